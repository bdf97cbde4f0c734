//! What is tried again, and what never.

use std::num::NonZeroU8;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use custody_core::seam::{ErrorKind, Health, KeyBackend as _};
use custody_core::secret::Secret;
use custody_hsm::{HsmBackend, HsmOpenError, Observer, PinSource};
use futures::future::join_all;
use pollster::block_on;

use crate::answers::*;
use crate::pkcs11_faults::{Calls, Deed};
use crate::softhsm::PIN;
use crate::token::{FaultyToken, INPUT, record, sign};

#[test]
#[ignore = "needs SoftHSM"]
fn what_was_certainly_not_signed_is_tried_again() {
    let token = FaultyToken::new();
    let (_backend, _record, signer) = token.signing();
    let lost = [
        KEY_HANDLE_INVALID,
        OBJECT_HANDLE_INVALID,
        OPERATION_ACTIVE,
        SESSION_HANDLE_INVALID,
        USER_NOT_LOGGED_IN,
        CRYPTOKI_NOT_INITIALIZED,
    ];
    let broken = [DEVICE_ERROR, DEVICE_REMOVED, FUNCTION_FAILED, GENERAL_ERROR, TOKEN_NOT_PRESENT];
    for answer in lost.into_iter().chain(broken) {
        token.module.order(&[(Calls::one("SignInit", 1), Deed::Answer(answer))]);
        assert_eq!(sign(&signer), Ok(()), "SignInit {answer:#x}");
        assert_eq!(token.signed(), 1, "SignInit {answer:#x}");
    }
}

#[test]
#[ignore = "needs SoftHSM"]
fn what_may_have_been_signed_is_never_tried_again() {
    let token = FaultyToken::new();
    let (_backend, _record, signer) = token.signing();
    for answer in [
        DEVICE_ERROR,
        DEVICE_REMOVED,
        FUNCTION_FAILED,
        GENERAL_ERROR,
        HOST_MEMORY,
        KEY_HANDLE_INVALID,
        OBJECT_HANDLE_INVALID,
        OPERATION_NOT_INITIALIZED,
        SESSION_CLOSED,
        SESSION_HANDLE_INVALID,
        USER_NOT_LOGGED_IN,
        VENDOR_DEFINED,
    ] {
        // The first call asks for the length: who stands between may have asked for more.
        for (call, deed) in
            [(1, Deed::Answer(answer)), (2, Deed::After(answer)), (2, Deed::Answer(answer))]
        {
            token.module.order(&[(Calls::one("Sign", call), deed)]);
            assert_eq!(sign(&signer), Err(ErrorKind::Indeterminate), "{deed:?}");
            let answers = [0, answer];
            let first = if call == 1 { 1 } else { 0 };
            assert_eq!(token.module.answers("Sign"), answers[first..], "{deed:?}");
            assert_eq!(token.module.answers("SignInit"), [0], "{deed:?}");
            // The session in which it happened is not used again.
            assert_eq!(token.module.answers("CloseSession").len(), 1, "{deed:?}");
            token.module.order(&[]);
            assert_eq!(sign(&signer), Ok(()), "after {deed:?}");
        }
    }
}

#[test]
#[ignore = "needs SoftHSM"]
fn trying_again_ends() {
    let token = FaultyToken::new();
    let (backend, _record, signer) = token.signing();
    for (answer, kind) in [
        (DEVICE_ERROR, ErrorKind::Unavailable),
        (SESSION_HANDLE_INVALID, ErrorKind::Unavailable),
        (KEY_HANDLE_INVALID, ErrorKind::NotFound),
        (MECHANISM_INVALID, ErrorKind::Unsupported),
    ] {
        token.module.order(&[(Calls::all("SignInit"), Deed::Answer(answer))]);
        assert_eq!(sign(&signer), Err(kind), "{answer:#x}");
        let tries = token.module.answers("SignInit").len();
        assert!((1..=4).contains(&tries), "{answer:#x}: {tries}");
        assert_eq!(token.signed(), 0, "{answer:#x}");
        assert_eq!(block_on(backend.health()), Health::Unavailable, "{answer:#x}");
        token.module.order(&[]);
        assert_eq!(sign(&signer), Ok(()), "after {answer:#x}");
        assert_eq!(block_on(backend.health()), Health::Ready, "after {answer:#x}");
    }
}

#[test]
#[ignore = "needs SoftHSM"]
fn there_is_one_login_and_no_logout() {
    let token = FaultyToken::new();
    let mut config = token.config();
    config.sessions = NonZeroU8::new(4).unwrap();
    let backend = block_on(HsmBackend::open(config, Observer::default())).unwrap();
    let signer = block_on(async { backend.signer(&record(&backend).await).await.unwrap() });
    let many = join_all((0..64).map(|_| signer.sign(INPUT)));
    assert!(block_on(many).into_iter().all(|signed| signed.is_ok()));
    drop((signer, backend));
    assert_eq!(token.module.answers("Login"), [0]);
    assert!(token.module.answers("Logout").is_empty());
    let (opened, closed) =
        (token.module.answers("OpenSession"), token.module.answers("CloseSession"));
    assert_eq!(opened.len(), closed.len(), "none is left open");
    assert!(opened.len() <= 5, "one for each thread, and one that keeps the login");
    assert_eq!(token.module.answers("Finalize"), [0]);
}

#[test]
#[ignore = "needs SoftHSM"]
fn the_login_outlives_the_last_session_that_signs() {
    let token = FaultyToken::new();
    let (_backend, _record, signer) = token.signing();
    token.module.order(&[(Calls::one("SignInit", 1), Deed::Answer(SESSION_HANDLE_INVALID))]);
    assert_eq!(sign(&signer), Ok(()));
    assert_eq!(token.module.answers("OpenSession"), [0]);
    assert!(token.module.answers("Login").is_empty(), "another session kept it");
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_pin_that_is_refused_is_tried_once_by_the_opening_and_once_by_an_open_backend() {
    let token = FaultyToken::new();
    for answer in [PIN_INCORRECT, PIN_LOCKED, PIN_EXPIRED] {
        token.module.order(&[(Calls::all("Login"), Deed::Answer(answer))]);
        let opened = block_on(HsmBackend::open(token.config(), Observer::default()));
        let HsmOpenError::Login(error) = opened.unwrap_err() else { panic!("{answer:#x}") };
        assert_eq!(error.kind(), ErrorKind::Refused, "{answer:#x}");
        assert_eq!(token.module.answers("Login"), [answer]);
    }
    token.module.order(&[]);
    let (_backend, _record, signer) = token.signing();
    // The module starts anew, and then the PIN is another one.
    token.module.order(&[
        (
            Calls { function: "SignInit", first: 1, count: 2 },
            Deed::Answer(CRYPTOKI_NOT_INITIALIZED),
        ),
        (Calls::all("Login"), Deed::Answer(PIN_INCORRECT)),
    ]);
    for _ in 0..5 {
        assert_eq!(sign(&signer), Err(ErrorKind::Refused));
    }
    assert_eq!(token.module.answers("Login"), [PIN_INCORRECT]);
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_host_that_panics_when_it_is_asked_for_the_pin_leaves_no_session_open() {
    let token = FaultyToken::new();
    let mut config = token.config();
    config.pin =
        PinSource::Callback(Arc::new(|| -> Option<Secret> { panic!("nobody is at the keyboard") }));
    for _ in 0..3 {
        token.module.order(&[]);
        let opened = block_on(HsmBackend::open(config.clone(), Observer::default()));
        let HsmOpenError::Login(error) = opened.unwrap_err() else { panic!("it logs in") };
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(token.module.answers("Login").is_empty());
        assert_eq!(token.module.answers("OpenSession"), [0]);
        assert_eq!(token.module.answers("CloseSession"), [0]);
    }
}

/// Nothing is left over from the panic that would keep the next one out.
#[test]
#[ignore = "needs SoftHSM"]
fn a_host_that_panics_once_while_a_module_starts_anew_signs_the_next_time() {
    let token = FaultyToken::new();
    let mut config = token.config();
    let asked = AtomicU32::new(0);
    config.pin = PinSource::Callback(Arc::new(move || {
        assert_ne!(asked.fetch_add(1, Ordering::SeqCst), 1, "nobody is at the keyboard");
        Some(Secret::new(PIN.as_bytes().to_vec()))
    }));
    let backend = block_on(HsmBackend::open(config, Observer::default())).unwrap();
    let signer = block_on(async { backend.signer(&record(&backend).await).await.unwrap() });
    let anew = Calls { function: "SignInit", first: 1, count: 2 };
    token.module.order(&[(anew, Deed::Answer(CRYPTOKI_NOT_INITIALIZED))]);
    assert_eq!(sign(&signer), Err(ErrorKind::Indeterminate));
    let (opened, closed) =
        (token.module.answers("OpenSession"), token.module.answers("CloseSession"));
    assert_eq!(closed.len(), opened.len() + 1, "and the one from before");
    assert_eq!(sign(&signer), Ok(()));
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_token_without_a_session_left_is_throttled() {
    let token = FaultyToken::new();
    let (_backend, _record, signer) = token.signing();
    token.module.order(&[
        (Calls::one("SignInit", 1), Deed::Answer(SESSION_HANDLE_INVALID)),
        (Calls::all("OpenSession"), Deed::Answer(SESSION_COUNT)),
    ]);
    assert_eq!(sign(&signer), Err(ErrorKind::Throttled { retry_after: None }));
    token.module.order(&[]);
    assert_eq!(sign(&signer), Ok(()));
}
