//! What happens to a token behind our back, and what bad configurations are told.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[path = "world/export.rs"]
mod export;
#[path = "token/restoring.rs"]
mod restoring;
#[path = "softhsm/tokens.rs"]
mod softhsm;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::id::KekId;
use custody_core::seam::{ErrorKind, Exportability, Health, KeyBackend, KeyRecord, Signer};
use custody_core::secret::Secret;
use custody_hsm::{HsmBackend, HsmOpenError, Observer, PinSource, TokenSelector};
use export::assert_keys_stay;
use futures::future::join_all;
use pollster::block_on;
use softhsm::{PIN, Tokens};

const DIGEST: [u8; 32] = [7; 32];

async fn key(backend: &HsmBackend, name: &str, algorithm: Algorithm) -> KeyRecord {
    softhsm::keys::record(backend, softhsm::keys::request(name, algorithm, Exportability::Never))
        .await
}

/// A backend, and a signer of a key of it.
async fn signing(tokens: &Tokens) -> (Arc<HsmBackend>, KeyRecord, Arc<dyn Signer>) {
    let backend = tokens.open("one").await;
    let record = key(&backend, "key", Algorithm::EcdsaSecp256k1).await;
    let signer = backend.signer(&record).await.unwrap();
    (backend, record, signer)
}

async fn sign(signer: &Arc<dyn Signer>) -> Result<(), ErrorKind> {
    let input = SignInput::Prehash(&DIGEST);
    let signed = signer.sign(input).await.map_err(|error| error.kind())?;
    signed.checked(signer.public_key(), input).map(drop).map_err(|_| ErrorKind::Corrupt)
}

/// The same module, used by somebody else in this process.
fn somebody(tokens: &Tokens, label: &str) -> (Pkcs11, Session) {
    let client = Pkcs11::new(softhsm::module()).unwrap();
    let slots = client.get_slots_with_token().unwrap();
    let wanted = tokens.label(label);
    let is_it = |slot: &_| client.get_token_info(*slot).unwrap().label() == wanted;
    let slot = slots.into_iter().find(is_it).unwrap();
    let session = client.open_rw_session(slot).unwrap();
    match session.login(UserType::User, Some(&AuthPin::from(PIN))) {
        Ok(()) => {}
        Err(error) => assert!(error.to_string().contains("already"), "{error}"),
    }
    (client, session)
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_wrong_configuration_is_named() {
    block_on(async {
        let tokens = Tokens::new(&["one", "same", "same"]);
        let usual = tokens.config("one");
        let mut cases = Vec::new();
        let mut config = usual.clone();
        config.module = PathBuf::from("/nowhere/module.so");
        cases.push((config, "`module`: /nowhere/module.so cannot be found"));
        let mut config = usual.clone();
        config.module = tokens.folder().join("pin");
        cases.push((config, "is no PKCS#11 module"));
        let mut config = usual.clone();
        config.token = TokenSelector::Label("none".into());
        cases.push((config, "`token`: no token is Label(\"none\"); there are: "));
        let mut config = usual.clone();
        config.token = TokenSelector::Serial("none".into());
        cases.push((config, "`token`: no token is Serial(\"none\")"));
        let same = tokens.config("same");
        cases.push((same, "`token`: several tokens are Label("));
        let mut config = usual.clone();
        config.pin = PinSource::File(tokens.folder().join("missing"));
        cases.push((config, "`pin`: "));
        for (config, told) in cases {
            let error = HsmBackend::open(config, Observer::default()).await.unwrap_err();
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(next) = cause {
                text = format!("{text}: {next}");
                cause = next.source();
            }
            assert!(text.contains(told), "{text:?} does not tell {told:?}");
        }
        let _opened = HsmBackend::open(usual, Observer::default()).await.unwrap();
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_wrong_pin_is_asked_for_once() {
    block_on(async {
        let tokens = Tokens::new(&["one"]);
        let asked = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&asked);
        let mut config = tokens.config("one");
        config.pin = PinSource::Callback(Arc::new(move || {
            counter.fetch_add(1, Ordering::SeqCst);
            Some(Secret::new(b"pin-that-is-wrong-91c2".to_vec()))
        }));
        let error = HsmBackend::open(config, Observer::default()).await.unwrap_err();
        let HsmOpenError::Login(error) = error else { panic!("{error:?}") };
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_key_never_leaves_its_token() {
    block_on(async {
        let tokens = Tokens::new(&["one"]);
        let backend = tokens.open("one").await;
        for algorithm in backend.algorithms() {
            let _key = key(&backend, algorithm.as_str(), *algorithm).await;
        }
        let (_client, session) = somebody(&tokens, "one");
        assert_keys_stay(&session, backend.algorithms().len());
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn an_exportable_key_comes_back_in_another_token() {
    block_on(async {
        let tokens = Tokens::new(&["one", "two"]);
        let under = KekId::parse("recovery").unwrap();
        let open = async |label: &str| {
            let mut config = tokens.config(label);
            config.wrapping = true;
            let backend = HsmBackend::open(config, Observer::default()).await.unwrap();
            let key = Secret::new((100..132).collect());
            backend.import_wrapping_key(&under, key).await.unwrap();
            backend
        };
        let (one, two) = (open("one").await, open("two").await);
        for algorithm in [Algorithm::EcdsaSecp256k1, Algorithm::EcdsaP256] {
            let request =
                softhsm::keys::request(algorithm.as_str(), algorithm, Exportability::Wrapped);
            let kept = softhsm::keys::record(&one, request).await;
            let wrapped = one.wrapping().unwrap().wrap(&kept, &under).await.unwrap();
            assert_eq!(two.signer(&kept).await.unwrap_err().kind(), ErrorKind::NotFound);
            let restoring = two.wrapping().unwrap();
            for position in 0..wrapped.len() {
                let mut changed = wrapped.clone();
                changed[position] ^= 1;
                let refused = restoring.unwrap(&kept, &changed, &under).await.unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::Corrupt, "byte {position}");
            }
            let handle = restoring.unwrap(&kept, &wrapped, &under).await.unwrap();
            let back = KeyRecord { handle, ..kept.clone() };
            sign(&two.signer(&back).await.unwrap()).await.unwrap();
            sign(&one.signer(&kept).await.unwrap()).await.unwrap();
            assert!(one.wrapping().unwrap().unwrap(&kept, &wrapped, &under).await.is_ok());
            // Cut off between the private key and the public one, restoring goes on.
            let (_client, session) = somebody(&tokens, "two");
            let public = [Attribute::Class(ObjectClass::PUBLIC_KEY)];
            for object in session.find_objects(&public).unwrap() {
                session.destroy_object(object).unwrap();
            }
            assert_eq!(two.signer(&back).await.unwrap_err().kind(), ErrorKind::Corrupt);
            let handle = restoring.unwrap(&kept, &wrapped, &under).await.unwrap();
            let back = KeyRecord { handle, ..kept };
            sign(&two.signer(&back).await.unwrap()).await.unwrap();
        }
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_key_that_may_not_leave_and_one_that_the_token_does_not_wrap_are_refused() {
    block_on(async {
        let tokens = Tokens::new(&["one"]);
        let under = KekId::parse("recovery").unwrap();
        let mut config = tokens.config("one");
        config.wrapping = true;
        let backend = HsmBackend::open(config, Observer::default()).await.unwrap();
        backend.create_wrapping_key(&under).await.unwrap();
        let again = backend.create_wrapping_key(&under).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Conflict);
        let kept = key(&backend, "kept", Algorithm::EcdsaSecp256k1).await;
        let edwards = softhsm::keys::request("edwards", Algorithm::Ed25519, Exportability::Wrapped);
        let edwards = softhsm::keys::record(&backend, edwards).await;
        let wrapping = backend.wrapping().unwrap();
        for record in [&kept, &edwards] {
            let refused = wrapping.wrap(record, &under).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Refused);
        }
        let exportable =
            softhsm::keys::request("exportable", Algorithm::EcdsaSecp256k1, Exportability::Wrapped);
        let exportable = softhsm::keys::record(&backend, exportable).await;
        let none = KekId::parse("none").unwrap();
        let unknown = wrapping.wrap(&exportable, &none).await.unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::NotFound);
        assert!(tokens.open("one").await.wrapping().is_none(), "unless it is asked for");
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_key_deleted_behind_our_back_is_not_found_and_the_others_sign() {
    block_on(async {
        let tokens = Tokens::new(&["one"]);
        let mut config = tokens.config("one");
        config.destroyable = true;
        let backend = HsmBackend::open(config, Observer::default()).await.unwrap();
        let (gone, kept) = (
            key(&backend, "gone", Algorithm::EcdsaSecp256k1).await,
            key(&backend, "kept", Algorithm::EcdsaSecp256k1).await,
        );
        let signers = [&gone, &kept].map(|record| block_on(backend.signer(record)).unwrap());
        for signer in &signers {
            sign(signer).await.unwrap();
        }
        let (_client, session) = somebody(&tokens, "one");
        let label = Attribute::Label(b"custody cold gone ecdsa-secp256k1".to_vec());
        let found = session.find_objects(&[label]).unwrap();
        assert_eq!(found.len(), 2, "private and public");
        for object in found {
            session.destroy_object(object).unwrap();
        }
        assert_eq!(sign(&signers[0]).await, Err(ErrorKind::NotFound));
        assert_eq!(backend.signer(&gone).await.unwrap_err().kind(), ErrorKind::NotFound);
        sign(&signers[1]).await.unwrap();
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn two_keys_of_one_id_are_refused() {
    block_on(async {
        let tokens = Tokens::new(&["one"]);
        let backend = tokens.open("one").await;
        let record = key(&backend, "twice", Algorithm::EcdsaSecp256k1).await;
        let (_client, session) = somebody(&tokens, "one");
        let private = [Attribute::Class(ObjectClass::PRIVATE_KEY)];
        let found = session.find_objects(&private).unwrap();
        let [one] = found.as_slice() else { panic!("one key") };
        let told = session.get_attributes(*one, &[cryptoki::object::AttributeType::Id]).unwrap();
        let curve = Attribute::EcParams(vec![0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a]);
        let (_public, _private) = session
            .generate_key_pair(
                &cryptoki::mechanism::Mechanism::EccKeyPairGen,
                &[Attribute::Token(true), curve, told[0].clone()],
                &[Attribute::Token(true), told[0].clone()],
            )
            .unwrap();
        assert_eq!(backend.signer(&record).await.unwrap_err().kind(), ErrorKind::Corrupt);
        let request =
            softhsm::keys::request("twice", Algorithm::EcdsaSecp256k1, Exportability::Never);
        assert_eq!(backend.generate(&request).await.unwrap_err().kind(), ErrorKind::Corrupt);
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_logout_behind_our_back_is_healed() {
    block_on(async {
        let tokens = Tokens::new(&["one"]);
        let (backend, _record, signer) = signing(&tokens).await;
        sign(&signer).await.unwrap();
        let (_client, session) = somebody(&tokens, "one");
        for _ in 0..5 {
            session.logout().unwrap();
            sign(&signer).await.unwrap();
        }
        assert_eq!(backend.health().await, Health::Ready);
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_module_finalised_behind_our_back_is_initialised_again() {
    block_on(async {
        let tokens = Tokens::new(&["one"]);
        let (_backend, _record, signer) = signing(&tokens).await;
        sign(&signer).await.unwrap();
        for _ in 0..3 {
            let client = Pkcs11::new(softhsm::module()).unwrap();
            client.finalize().unwrap();
            sign(&signer).await.unwrap();
        }
        let again = join_all((0..16).map(|_| sign(&signer))).await;
        assert!(again.into_iter().all(|signed| signed.is_ok()));
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_module_that_the_host_initialised_is_used_and_left_open() {
    block_on(async {
        let tokens = Tokens::new(&["one"]);
        let client = Pkcs11::new(softhsm::module()).unwrap();
        client.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
        {
            let (_backend, _record, signer) = signing(&tokens).await;
            sign(&signer).await.unwrap();
        }
        assert!(!client.get_slots_with_token().unwrap().is_empty(), "it is still initialised");
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn several_backends_share_a_module_and_the_last_finalises_it() {
    block_on(async {
        let tokens = Tokens::new(&["one", "two"]);
        let (one, two) = (tokens.open("one").await, tokens.open("two").await);
        let record = key(&two, "key", Algorithm::EcdsaSecp256k1).await;
        drop(one);
        sign(&two.signer(&record).await.unwrap()).await.unwrap();
        drop(two);
        let client = Pkcs11::new(softhsm::module()).unwrap();
        assert!(client.get_slots_with_token().is_err(), "it is finalised");
        let again = tokens.open("two").await;
        sign(&again.signer(&record).await.unwrap()).await.unwrap();
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn sixty_four_callers_share_four_sessions() {
    block_on(async {
        let tokens = Tokens::new(&["one"]);
        let (_backend, _record, signer) = signing(&tokens).await;
        let signed = join_all((0..64).map(|_| async {
            for _ in 0..10 {
                sign(&signer).await?;
            }
            Ok::<_, ErrorKind>(())
        }));
        assert!(signed.await.into_iter().all(|signed| signed.is_ok()));
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn ten_thousand_signatures_need_no_more_memory_or_files() {
    block_on(async {
        let tokens = Tokens::new(&["one"]);
        let (_backend, _record, signer) = signing(&tokens).await;
        let many = async |count| {
            for _ in 0..count / 8 {
                let signed = join_all((0..8).map(|_| sign(&signer))).await;
                assert!(signed.into_iter().all(|signed| signed.is_ok()));
            }
        };
        many(2_000).await;
        let before = (resident_kib(), files());
        many(10_000).await;
        let after = (resident_kib(), files());
        println!("figures: {before:?} before, {after:?} after");
        assert!(after.0 < before.0 + 2_048, "{before:?} before, {after:?} after");
        assert_eq!(after.1, before.1);
    });
}

/// `VmRSS` of this process.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
