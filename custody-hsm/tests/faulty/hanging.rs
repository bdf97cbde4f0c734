//! What does not come back, or late.

use std::time::{Duration, Instant};

use cryptoki::context::Pkcs11;
use custody_core::seam::{ErrorKind, Health, KeyBackend as _};
use custody_hsm::{HsmBackend, HsmOpenError, Observer};
use pollster::block_on;

use crate::pkcs11_faults::{Calls, Deed};
use crate::softhsm;
use crate::token::{FaultyToken, record, sign};

#[test]
#[ignore = "needs SoftHSM"]
fn an_opening_that_hangs_is_answered_in_time() {
    let token = FaultyToken::new();
    let mut config = token.config();
    config.limits.generate = Duration::from_millis(400);
    let open = || {
        let since = Instant::now();
        let opened = block_on(HsmBackend::open(config.clone(), Observer::default()));
        assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
        opened.unwrap_err()
    };
    token.module.order(&[(Calls::all("Login"), Deed::Hang)]);
    let error = open();
    assert!(matches!(&error, HsmOpenError::Login(why) if why.kind() == ErrorKind::Unavailable));
    // The thread that logs in is lost, and with it the module: it is never entered alone again.
    token.module.order(&[(Calls::all("GetTokenInfo"), Deed::Hang)]);
    assert!(matches!(open(), HsmOpenError::Late { limit_ms: 400 }));
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_module_that_hangs_while_it_is_initialised_is_answered_in_time() {
    let token = FaultyToken::new();
    let mut config = token.config();
    config.limits.generate = Duration::from_millis(400);
    token.module.order(&[(Calls::all("Initialize"), Deed::Hang)]);
    let opened = block_on(HsmBackend::open(config, Observer::default()));
    assert!(matches!(opened, Err(HsmOpenError::Late { limit_ms: 400 })), "{opened:?}");
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_thread_that_comes_back_late_closes_its_session_and_another_signs() {
    let token = FaultyToken::new();
    let mut config = token.config();
    config.limits.sign = Duration::from_millis(300);
    let backend = block_on(HsmBackend::open(config, Observer::default())).unwrap();
    let signer = block_on(async { backend.signer(&record(&backend).await).await.unwrap() });
    token.module.order(&[(Calls::one("SignInit", 1), Deed::Late(1_500))]);
    assert_eq!(sign(&signer), Err(ErrorKind::Indeterminate));
    assert_eq!(sign(&signer), Ok(()), "on the thread in its place");
    assert!(token.module.answers("CloseSession").is_empty(), "the first is still inside");
    std::thread::sleep(Duration::from_millis(2_000));
    assert_eq!(token.module.answers("CloseSession"), [0]);
    assert_eq!(sign(&signer), Ok(()));
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_module_that_is_always_late_is_left_alone() {
    let token = FaultyToken::new();
    let mut config = token.config();
    config.limits.sign = Duration::from_millis(200);
    let backend = block_on(HsmBackend::open(config, Observer::default())).unwrap();
    let signer = block_on(async { backend.signer(&record(&backend).await).await.unwrap() });
    // Each comes back while the next is under way: that is no sign of health.
    token.module.order(&[(Calls::all("SignInit"), Deed::Late(300))]);
    for _ in 0..3 {
        assert_eq!(sign(&signer), Err(ErrorKind::Indeterminate));
    }
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(sign(&signer), Err(ErrorKind::Unavailable));
    assert_eq!(token.module.answers("SignInit").len(), 3);
}

/// A session that keeps the login may expire like any other.
#[test]
#[ignore = "needs SoftHSM"]
fn health_comes_back_after_the_session_that_keeps_the_login_is_lost() {
    let token = FaultyToken::new();
    let (backend, _record, signer) = token.signing();
    assert_eq!(block_on(backend.health()), Health::Ready);
    // The module starts anew, behind our back.
    Pkcs11::new(softhsm::module()).unwrap().finalize().unwrap();
    assert_eq!(sign(&signer), Ok(()));
    assert_eq!(block_on(backend.health()), Health::Ready);
    token.module.order(&[(Calls::one("Sign", 2), Deed::Zero)]);
    assert_eq!(block_on(backend.health()), Health::Unavailable);
    token.module.order(&[]);
    for _ in 0..20 {
        assert_eq!(block_on(backend.health()), Health::Ready);
    }
    assert!(token.module.answers("OpenSession").len() <= 1, "sessions are not piled up");
}
