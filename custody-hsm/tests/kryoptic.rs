//! kryoptic: a module that writes points in two forms, locks after ten wrong PINs, and has no
//! secp256k1.

#[path = "world/export.rs"]
mod export;
#[path = "world/fixtures.rs"]
mod fixtures;
#[path = "kryoptic/tokens.rs"]
mod kryoptic;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::seam::{ErrorKind, Exportability, Health, KeyBackend as _};
use custody_core::secret::Secret;
use custody_hsm::{HsmBackend, HsmOpenError, Observer, PinSource};
use custody_testkit::suite::key_backend::KeyBackendFixture;
use custody_testkit::suite::key_encryption::KeyEncryptionFixture;
use custody_testkit::suite::signer::SignerFixture;
use export::assert_keys_stay;
use kryoptic::{PIN, Tokens, keys};
use pollster::block_on;

mod backend {
    custody_testkit::key_backend_suite!(ignore = "needs kryoptic"; super::backend().await);
}

mod ecdsa_p256_signer {
    custody_testkit::signer_suite!(
        ignore = "needs kryoptic"; super::signer(super::Algorithm::EcdsaP256).await
    );
}

mod ed25519_signer {
    custody_testkit::signer_suite!(
        ignore = "needs kryoptic"; super::signer(super::Algorithm::Ed25519).await
    );
}

mod kek {
    custody_testkit::key_encryption_suite!(ignore = "needs kryoptic"; super::kek().await);
}

async fn backend() -> KeyBackendFixture {
    let tokens = Tokens::new();
    fixtures::backend(move |label| {
        let tokens = tokens.clone();
        async move { tokens.open(label).await }
    })
    .await
}

async fn signer(algorithm: Algorithm) -> SignerFixture {
    fixtures::signer(Tokens::new().open("one").await, algorithm).await
}

async fn kek() -> KeyEncryptionFixture {
    fixtures::kek(Tokens::new().open("one").await).await
}

#[test]
#[ignore = "needs kryoptic"]
fn a_key_never_leaves_its_token() {
    block_on(async {
        let backend = Tokens::new().open("one").await;
        for algorithm in backend.algorithms() {
            let request = keys::request(algorithm.as_str(), *algorithm, Exportability::Never);
            let _key = keys::record(&backend, request).await;
        }
        assert_keys_stay(&Tokens::somebody(), backend.algorithms().len());
    });
}

#[test]
#[ignore = "needs kryoptic"]
fn a_curve_that_a_module_lists_no_word_of_is_found_missing() {
    block_on(async {
        let backend = Tokens::new().open("one").await;
        assert_eq!(backend.algorithms(), [Algorithm::EcdsaP256, Algorithm::Ed25519]);
        let request = keys::request("key", Algorithm::EcdsaSecp256k1, Exportability::Never);
        assert_eq!(backend.generate(&request).await.unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(backend.health().await, Health::Ready);
    });
}

#[test]
#[ignore = "needs kryoptic"]
fn points_are_read_raw_and_in_der() {
    for form in ["DER", "BYTES"] {
        Tokens::write_points_as(form);
        block_on(async {
            let backend = Tokens::new().open("one").await;
            for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
                let request = keys::request(algorithm.as_str(), algorithm, Exportability::Never);
                let record = keys::record(&backend, request).await;
                let signer = backend.signer(&record).await.unwrap();
                let input = match algorithm.signs_prehash() {
                    true => SignInput::Prehash(&[7; 32]),
                    false => SignInput::Message(&[7; 32]),
                };
                let signature = signer.sign(input).await.unwrap();
                assert!(signature.checked(signer.public_key(), input).is_ok(), "{form}");
            }
        });
    }
}

#[test]
#[ignore = "needs kryoptic"]
fn a_locked_pin_is_refused_even_if_it_is_right() {
    let tokens = Tokens::new();
    let open = || {
        let opened = block_on(HsmBackend::open(tokens.config("one"), Observer::default()));
        let HsmOpenError::Login(error) = opened.map(drop).unwrap_err() else { panic!("no login") };
        assert_eq!(error.kind(), ErrorKind::Refused);
    };
    let client = kryoptic::client();
    let slot = client.get_slots_with_token().unwrap()[0];
    let session = client.open_rw_session(slot).unwrap();
    let login = |pin: &str| session.login(UserType::User, Some(&AuthPin::from(pin)));
    for _ in 0..9 {
        assert!(login("pin-that-is-wrong-5ee1").is_err());
    }
    login(PIN).unwrap();
    session.logout().unwrap();
    for _ in 0..10 {
        assert!(login("pin-that-is-wrong-5ee1").is_err());
    }
    drop(session);
    client.finalize().unwrap();
    (0..3).for_each(|_| open());
}

/// Whoever is started again and again with a wrong PIN does not lock the token.
#[test]
#[ignore = "needs kryoptic"]
fn the_last_try_of_a_pin_is_left_to_people() {
    let tokens = Tokens::new();
    let asked = Arc::new(AtomicU32::new(0));
    let open = |pin: &'static str| {
        let counter = Arc::clone(&asked);
        let mut config = tokens.config("one");
        config.pin = PinSource::Callback(Arc::new(move || {
            counter.fetch_add(1, Ordering::SeqCst);
            Some(Secret::new(pin.as_bytes().to_vec()))
        }));
        block_on(HsmBackend::open(config, Observer::default()))
    };
    let refused = |pin| {
        let error = open(pin).map(drop).unwrap_err();
        let HsmOpenError::Login(error) = error else { panic!("no login: {error:?}") };
        assert_eq!(error.kind(), ErrorKind::Refused);
    };
    let client = kryoptic::client();
    let slot = client.get_slots_with_token().unwrap()[0];
    for tried in 1..=9 {
        assert!(!client.get_token_info(slot).unwrap().user_pin_final_try(), "{tried}");
        refused("pin-that-is-wrong-5ee1");
        assert_eq!(asked.load(Ordering::SeqCst), tried);
    }
    for pin in ["pin-that-is-wrong-5ee1", PIN, PIN] {
        refused(pin);
        assert_eq!(asked.load(Ordering::SeqCst), 9, "it is not asked for");
        let info = client.get_token_info(slot).unwrap();
        assert!(info.user_pin_final_try() && !info.user_pin_locked());
    }
    let session = client.open_rw_session(slot).unwrap();
    session.login(UserType::User, Some(&AuthPin::from(PIN))).unwrap();
    session.logout().unwrap();
    assert!(open(PIN).is_ok(), "a person has logged in");
    assert_eq!(asked.load(Ordering::SeqCst), 10);
}
