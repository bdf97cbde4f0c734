//! SoftHSM behind a module that fails and lies: what is tried again, and what is believed.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking")]

#[path = "../../shims/pkcs11_faults.rs"]
mod pkcs11_faults;
#[path = "softhsm/tokens.rs"]
mod softhsm;

use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::{Duration, Instant};

use custody_core::crypto::{Algorithm, SignInput};
use custody_core::seam::{
    ErrorKind, Exportability, Health, KeyBackend, KeyEncryption as _, KeyRecord, Signer,
};
use custody_core::secret::Secret;
use custody_hsm::{HsmBackend, HsmConfig, HsmOpenError, Observer};
use futures::future::join_all;
use pkcs11_faults::{Calls, Deed, FaultyModule};
use pollster::block_on;
use softhsm::Tokens;

const DIGEST: [u8; 32] = [7; 32];
const INPUT: SignInput<'static> = SignInput::Prehash(&DIGEST);

/// A token behind a module that does what it is told.
struct Bench {
    tokens: Tokens,
    module: FaultyModule,
}

impl Bench {
    fn new() -> Self {
        let tokens = Tokens::new(&["one"]);
        let module = FaultyModule::before(&softhsm::module(), tokens.folder(), softhsm::set);
        module.order(&[]);
        Self { tokens, module }
    }

    /// One session, so that calls come in an order.
    fn config(&self) -> HsmConfig {
        let mut config = self.tokens.config("one");
        config.module = FaultyModule::path();
        config.sessions = NonZeroU8::MIN;
        config
    }

    fn open(&self) -> HsmBackend {
        block_on(HsmBackend::open(self.config(), Observer::default())).unwrap()
    }

    /// A backend, and a signer of a key that it made.
    fn signing(&self) -> (HsmBackend, KeyRecord, Arc<dyn Signer>) {
        let backend = self.open();
        let record = block_on(record(&backend));
        let signer = block_on(backend.signer(&record)).unwrap();
        (backend, record, signer)
    }

    /// Whether all that was asked to be signed since the last order was signed once: cryptoki asks
    /// for the length first.
    fn signed(&self) -> usize {
        self.module.answers("Sign").len() / 2
    }
}

async fn record(backend: &HsmBackend) -> KeyRecord {
    softhsm::record(backend, request()).await
}

fn request() -> custody_core::seam::KeyRequest {
    softhsm::request("key", Algorithm::EcdsaSecp256k1, Exportability::Never)
}

/// Signs; `Corrupt` is what core says of a signature that does not verify.
fn sign(signer: &Arc<dyn Signer>) -> Result<(), ErrorKind> {
    let signed = block_on(signer.sign(INPUT)).map_err(|error| error.kind())?;
    signed.checked(signer.public_key(), INPUT).map(drop).map_err(|_| ErrorKind::Corrupt)
}

#[test]
#[ignore = "needs SoftHSM"]
fn what_was_certainly_not_signed_is_tried_again() {
    let bench = Bench::new();
    let (_backend, _record, signer) = bench.signing();
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
        bench.module.order(&[(Calls::one("SignInit", 1), Deed::Answer(answer))]);
        assert_eq!(sign(&signer), Ok(()), "SignInit {answer:#x}");
        assert_eq!(bench.signed(), 1, "SignInit {answer:#x}");
    }
}

#[test]
#[ignore = "needs SoftHSM"]
fn what_may_have_been_signed_is_never_tried_again() {
    let bench = Bench::new();
    let (_backend, _record, signer) = bench.signing();
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
            bench.module.order(&[(Calls::one("Sign", call), deed)]);
            assert_eq!(sign(&signer), Err(ErrorKind::Indeterminate), "{deed:?}");
            let answers = [0, answer];
            let first = if call == 1 { 1 } else { 0 };
            assert_eq!(bench.module.answers("Sign"), answers[first..], "{deed:?}");
            assert_eq!(bench.module.answers("SignInit"), [0], "{deed:?}");
            // The session in which it happened is not used again.
            assert_eq!(bench.module.answers("CloseSession").len(), 1, "{deed:?}");
            bench.module.order(&[]);
            assert_eq!(sign(&signer), Ok(()), "after {deed:?}");
        }
    }
}

#[test]
#[ignore = "needs SoftHSM"]
fn trying_again_ends() {
    let bench = Bench::new();
    let (backend, _record, signer) = bench.signing();
    for (answer, kind) in [
        (DEVICE_ERROR, ErrorKind::Unavailable),
        (SESSION_HANDLE_INVALID, ErrorKind::Unavailable),
        (KEY_HANDLE_INVALID, ErrorKind::NotFound),
        (MECHANISM_INVALID, ErrorKind::Unsupported),
    ] {
        bench.module.order(&[(Calls::all("SignInit"), Deed::Answer(answer))]);
        assert_eq!(sign(&signer), Err(kind), "{answer:#x}");
        let tries = bench.module.answers("SignInit").len();
        assert!((1..=4).contains(&tries), "{answer:#x}: {tries}");
        assert_eq!(bench.signed(), 0, "{answer:#x}");
        assert_eq!(block_on(backend.health()), Health::Unavailable, "{answer:#x}");
        bench.module.order(&[]);
        assert_eq!(sign(&signer), Ok(()), "after {answer:#x}");
        assert_eq!(block_on(backend.health()), Health::Ready, "after {answer:#x}");
    }
}

#[test]
#[ignore = "needs SoftHSM"]
fn there_is_one_login_and_no_logout() {
    let bench = Bench::new();
    let mut config = bench.config();
    config.sessions = NonZeroU8::new(4).unwrap();
    let backend = block_on(HsmBackend::open(config, Observer::default())).unwrap();
    let signer = block_on(async { backend.signer(&record(&backend).await).await.unwrap() });
    let many = join_all((0..64).map(|_| signer.sign(INPUT)));
    assert!(block_on(many).into_iter().all(|signed| signed.is_ok()));
    drop((signer, backend));
    assert_eq!(bench.module.answers("Login"), [0]);
    assert!(bench.module.answers("Logout").is_empty());
    let (opened, closed) =
        (bench.module.answers("OpenSession"), bench.module.answers("CloseSession"));
    assert_eq!(opened.len(), closed.len(), "none is left open");
    assert!(opened.len() <= 5, "one for each thread, and one that keeps the login");
    assert_eq!(bench.module.answers("Finalize"), [0]);
}

#[test]
#[ignore = "needs SoftHSM"]
fn the_login_outlives_the_last_session_that_signs() {
    let bench = Bench::new();
    let (_backend, _record, signer) = bench.signing();
    bench.module.order(&[(Calls::one("SignInit", 1), Deed::Answer(SESSION_HANDLE_INVALID))]);
    assert_eq!(sign(&signer), Ok(()));
    assert_eq!(bench.module.answers("OpenSession"), [0]);
    assert!(bench.module.answers("Login").is_empty(), "another session kept it");
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_pin_that_is_refused_is_tried_once_by_the_opening_and_once_by_an_open_backend() {
    let bench = Bench::new();
    for answer in [PIN_INCORRECT, PIN_LOCKED, PIN_EXPIRED] {
        bench.module.order(&[(Calls::all("Login"), Deed::Answer(answer))]);
        let opened = block_on(HsmBackend::open(bench.config(), Observer::default()));
        let HsmOpenError::Login(error) = opened.unwrap_err() else { panic!("{answer:#x}") };
        assert_eq!(error.kind(), ErrorKind::Refused, "{answer:#x}");
        assert_eq!(bench.module.answers("Login"), [answer]);
    }
    bench.module.order(&[]);
    let (_backend, _record, signer) = bench.signing();
    // The module starts anew, and then the PIN is another one.
    bench.module.order(&[
        (
            Calls { function: "SignInit", first: 1, count: 2 },
            Deed::Answer(CRYPTOKI_NOT_INITIALIZED),
        ),
        (Calls::all("Login"), Deed::Answer(PIN_INCORRECT)),
    ]);
    for _ in 0..5 {
        assert_eq!(sign(&signer), Err(ErrorKind::Refused));
    }
    assert_eq!(bench.module.answers("Login"), [PIN_INCORRECT]);
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_token_without_a_session_left_is_throttled() {
    let bench = Bench::new();
    let (_backend, _record, signer) = bench.signing();
    bench.module.order(&[
        (Calls::one("SignInit", 1), Deed::Answer(SESSION_HANDLE_INVALID)),
        (Calls::all("OpenSession"), Deed::Answer(SESSION_COUNT)),
    ]);
    assert_eq!(sign(&signer), Err(ErrorKind::Throttled { retry_after: None }));
    bench.module.order(&[]);
    assert_eq!(sign(&signer), Ok(()));
}

#[test]
#[ignore = "needs SoftHSM"]
fn an_opening_that_hangs_is_answered_in_time() {
    let bench = Bench::new();
    let mut config = bench.config();
    config.limits.generate = Duration::from_millis(400);
    let open = || {
        let since = Instant::now();
        let opened = block_on(HsmBackend::open(config.clone(), Observer::default()));
        assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
        opened.unwrap_err()
    };
    bench.module.order(&[(Calls::all("Login"), Deed::Hang)]);
    let error = open();
    assert!(matches!(&error, HsmOpenError::Login(why) if why.kind() == ErrorKind::Unavailable));
    // The thread that logs in is lost, and with it the module: it is never entered alone again.
    bench.module.order(&[(Calls::all("GetTokenInfo"), Deed::Hang)]);
    assert!(matches!(open(), HsmOpenError::Late { limit_ms: 400 }));
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_module_that_hangs_while_it_is_initialised_is_answered_in_time() {
    let bench = Bench::new();
    let mut config = bench.config();
    config.limits.generate = Duration::from_millis(400);
    bench.module.order(&[(Calls::all("Initialize"), Deed::Hang)]);
    let opened = block_on(HsmBackend::open(config, Observer::default()));
    assert!(matches!(opened, Err(HsmOpenError::Late { limit_ms: 400 })), "{opened:?}");
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_thread_that_comes_back_late_closes_its_session_and_another_signs() {
    let bench = Bench::new();
    let mut config = bench.config();
    config.limits.sign = Duration::from_millis(300);
    let backend = block_on(HsmBackend::open(config, Observer::default())).unwrap();
    let signer = block_on(async { backend.signer(&record(&backend).await).await.unwrap() });
    bench.module.order(&[(Calls::one("SignInit", 1), Deed::Late(1_500))]);
    assert_eq!(sign(&signer), Err(ErrorKind::Indeterminate));
    assert_eq!(sign(&signer), Ok(()), "on the thread in its place");
    assert!(bench.module.answers("CloseSession").is_empty(), "the first is still inside");
    std::thread::sleep(Duration::from_millis(2_000));
    assert_eq!(bench.module.answers("CloseSession"), [0]);
    assert_eq!(sign(&signer), Ok(()));
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_key_whose_making_was_not_answered_is_found() {
    let bench = Bench::new();
    let backend = bench.open();
    for (deed, made_again) in [(Deed::After(DEVICE_ERROR), 0), (Deed::Answer(DEVICE_ERROR), 1)] {
        let request = softhsm::request(
            &format!("key-{made_again}"),
            Algorithm::EcdsaP256,
            Exportability::Never,
        );
        bench.module.order(&[(Calls::all("GenerateKeyPair"), deed)]);
        let lost = block_on(backend.generate(&request)).unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::Indeterminate, "{deed:?}");
        assert_eq!(bench.module.answers("GenerateKeyPair"), [DEVICE_ERROR], "{deed:?}");
        bench.module.order(&[]);
        let record = block_on(softhsm::record(&backend, request));
        assert_eq!(bench.module.answers("GenerateKeyPair").len(), made_again, "{deed:?}");
        assert_eq!(sign(&block_on(backend.signer(&record)).unwrap()), Ok(()), "{deed:?}");
    }
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_key_that_can_be_neither_looked_at_nor_destroyed_may_be_there() {
    let bench = Bench::new();
    let backend = bench.open();
    bench.module.order(&[
        (Calls::all("GetAttributeValue"), Deed::Answer(DEVICE_ERROR)),
        (Calls::all("DestroyObject"), Deed::Answer(FUNCTION_FAILED)),
    ]);
    let lost = block_on(backend.generate(&request())).unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Indeterminate);
    bench.module.order(&[]);
    let record = block_on(record(&backend));
    assert!(bench.module.answers("GenerateKeyPair").is_empty(), "it was there");
    assert_eq!(sign(&block_on(backend.signer(&record)).unwrap()), Ok(()));
}

#[test]
#[ignore = "needs SoftHSM"]
fn no_signature_that_a_module_garbled_verifies() {
    let bench = Bench::new();
    let (_backend, _record, signer) = bench.signing();
    for seed in 0..300 {
        bench.module.order(&[(Calls::one("Sign", 2), Deed::Flip(seed))]);
        assert_eq!(sign(&signer), Err(ErrorKind::Corrupt), "seed {seed}");
    }
    for deed in [Deed::Zero, Deed::Cut(1), Deed::Cut(32), Deed::Cut(64)] {
        bench.module.order(&[(Calls::one("Sign", 2), deed)]);
        assert_eq!(sign(&signer), Err(ErrorKind::Corrupt), "{deed:?}");
    }
    bench.module.order(&[]);
    assert_eq!(sign(&signer), Ok(()));
}

#[test]
#[ignore = "needs SoftHSM"]
fn no_key_is_recorded_that_a_module_garbled() {
    let bench = Bench::new();
    let backend = bench.open();
    for algorithm in [Algorithm::EcdsaSecp256k1, Algorithm::Ed25519] {
        no_key_of_an_algorithm(&bench, &backend, algorithm);
    }
}

fn no_key_of_an_algorithm(bench: &Bench, backend: &HsmBackend, algorithm: Algorithm) {
    let request = || softhsm::request(algorithm.as_str(), algorithm, Exportability::Never);
    let honest = block_on(softhsm::record(backend, request()));
    let garbled = |deed| {
        for call in 1..=4 {
            bench.module.order(&[(Calls::one("GetAttributeValue", call), deed)]);
            match block_on(backend.generate(&request())) {
                // A bit that means nothing.
                Ok(made) => assert_eq!(made.public_key, honest.public_key, "{deed:?}, {call}"),
                Err(error) => {
                    let refused = [ErrorKind::Corrupt, ErrorKind::Refused];
                    assert!(refused.contains(&error.kind()), "{deed:?}, {call}: {error:?}");
                }
            }
        }
    };
    (0..300).map(Deed::Flip).for_each(garbled);
    garbled(Deed::Zero);
    for seed in 0..300 {
        bench.module.order(&[(Calls::all("GetAttributeValue"), Deed::Flip(seed))]);
        let opened = block_on(backend.signer(&honest));
        assert_eq!(opened.map(drop).unwrap_err().kind(), ErrorKind::Corrupt, "seed {seed}");
    }
    bench.module.order(&[]);
    assert!(block_on(backend.signer(&honest)).is_ok());
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_key_that_a_module_confuses_with_another_does_not_sign_for_it() {
    let bench = Bench::new();
    let (backend, _record, signer) = bench.signing();
    let other = softhsm::request("other", Algorithm::EcdsaSecp256k1, Exportability::Never);
    let _other = block_on(softhsm::record(&backend, other));
    let mut signed = 0;
    for seed in 0..64 {
        bench.module.order(&[
            (Calls::one("SignInit", 1), Deed::Answer(KEY_HANDLE_INVALID)),
            (Calls::all("FindObjects"), Deed::Flip(seed)),
        ]);
        let told = sign(&signer);
        let allowed =
            [ErrorKind::Corrupt, ErrorKind::NotFound, ErrorKind::Refused, ErrorKind::Unavailable];
        match told {
            Ok(()) => signed += 1,
            Err(kind) => assert!(allowed.contains(&kind), "seed {seed}: {kind:?}"),
        }
    }
    assert!(signed < 64, "no search was garbled");
    bench.module.order(&[]);
    assert_eq!(sign(&signer), Ok(()));
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_token_whose_keys_do_not_sign_offers_none() {
    let bench = Bench::new();
    bench.module.order(&[(Calls::all("Sign"), Deed::Zero)]);
    let backend = bench.open();
    assert_eq!(backend.algorithms(), []);
    let refused = block_on(backend.generate(&request())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    let behind = block_on(bench.tokens.open("one"));
    assert_eq!(behind.algorithms().len(), 3, "the module behind it does");
}

#[test]
#[ignore = "needs SoftHSM"]
fn no_data_key_comes_back_that_was_garbled_on_its_way_in() {
    let bench = Bench::new();
    let backend = bench.open();
    let kek = block_on(backend.key_encryption("store")).unwrap();
    let data_key = Secret::new((40..72).collect());
    for seed in 0..64 {
        for call in ["Encrypt", "Decrypt"] {
            bench.module.order(&[(Calls::one(call, 2), Deed::Flip(seed))]);
            match block_on(kek.wrap(&data_key, &[b"context"])) {
                // It was tried again.
                Ok(wrapped) => {
                    let opened = block_on(kek.unwrap(&wrapped, &[b"context"])).unwrap();
                    assert_eq!(opened.expose(), data_key.expose(), "{call}, seed {seed}");
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{call}, seed {seed}"),
            }
        }
    }
    bench.module.order(&[]);
    let wrapped = block_on(kek.wrap(&data_key, &[b"context"])).unwrap();
    bench.module.order(&[(Calls::one("Decrypt", 1), Deed::Answer(GENERAL_ERROR))]);
    let opened = block_on(kek.unwrap(&wrapped, &[b"context"])).unwrap();
    assert_eq!(opened.expose(), data_key.expose(), "it was not the bytes");
    for deed in [Deed::Answer(DEVICE_ERROR), Deed::Answer(SESSION_HANDLE_INVALID)] {
        bench.module.order(&[(Calls::one("FindObjectsInit", 1), deed)]);
        assert!(block_on(kek.unwrap(&wrapped, &[b"context"])).is_ok(), "{deed:?}");
    }
    bench.module.order(&[(Calls::all("Decrypt"), Deed::Cut(1))]);
    let opened = block_on(kek.unwrap(&wrapped, &[b"context"]));
    assert_eq!(opened.map(drop).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_token_whose_random_numbers_repeat_wraps_nothing() {
    let bench = Bench::new();
    let backend = bench.open();
    let kek = block_on(backend.key_encryption("store")).unwrap();
    let data_key = Secret::new((50..82).collect());
    bench.module.order(&[(Calls::all("GenerateRandom"), Deed::Zero)]);
    for _ in 0..3 {
        let refused = block_on(kek.wrap(&data_key, &[b"context"])).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt);
    }
    bench.module.order(&[]);
    assert!(block_on(kek.wrap(&data_key, &[b"context"])).is_ok());
}

/// Answers of PKCS #11 3.0, section 3.3 (`CKR_…`).
const HOST_MEMORY: u64 = 0x02;
const GENERAL_ERROR: u64 = 0x05;
const FUNCTION_FAILED: u64 = 0x06;
const DEVICE_ERROR: u64 = 0x30;
const DEVICE_REMOVED: u64 = 0x32;
const KEY_HANDLE_INVALID: u64 = 0x60;
const MECHANISM_INVALID: u64 = 0x70;
const OBJECT_HANDLE_INVALID: u64 = 0x82;
const OPERATION_ACTIVE: u64 = 0x90;
const PIN_INCORRECT: u64 = 0xa0;
const PIN_EXPIRED: u64 = 0xa3;
const PIN_LOCKED: u64 = 0xa4;
const OPERATION_NOT_INITIALIZED: u64 = 0x91;
const SESSION_CLOSED: u64 = 0xb0;
const SESSION_COUNT: u64 = 0xb1;
const SESSION_HANDLE_INVALID: u64 = 0xb3;
const TOKEN_NOT_PRESENT: u64 = 0xe0;
const USER_NOT_LOGGED_IN: u64 = 0x101;
const CRYPTOKI_NOT_INITIALIZED: u64 = 0x190;
const VENDOR_DEFINED: u64 = 0x8000_0001;
