//! The conformance suites of the testkit over openCryptoki, and what it does like no other module.
#![expect(clippy::unwrap_used, reason = "a fixture fails by panicking")]

#[path = "world/aes.rs"]
mod aes;
#[path = "world/export.rs"]
mod export;
#[path = "world/fixtures.rs"]
mod fixtures;
#[path = "opencryptoki/tokens.rs"]
mod opencryptoki;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::seam::{
    ErrorKind, Exportability, KeyBackend as _, KeyEncryption as _, KeyRecord, Signer,
};
use custody_core::secret::Secret;
use custody_hsm::{HsmBackend, HsmOpenError, Observer, PinSource};
use custody_testkit::suite::key_backend::KeyBackendFixture;
use custody_testkit::suite::key_encryption::KeyEncryptionFixture;
use custody_testkit::suite::signer::SignerFixture;
use export::assert_keys_stay;
use opencryptoki::{PIN, Tokens, keys};
use pollster::block_on;

mod backend {
    custody_testkit::key_backend_suite!(ignore = "needs openCryptoki"; super::backend().await);
}

mod ecdsa_p256_signer {
    custody_testkit::signer_suite!(
        ignore = "needs openCryptoki"; super::signer(super::Algorithm::EcdsaP256).await
    );
}

mod ecdsa_secp256k1_signer {
    custody_testkit::signer_suite!(
        ignore = "needs openCryptoki"; super::signer(super::Algorithm::EcdsaSecp256k1).await
    );
}

mod kek {
    custody_testkit::key_encryption_suite!(ignore = "needs openCryptoki"; super::kek().await);
}

/// A key of a backend that never leaves it.
async fn key(backend: &HsmBackend, name: &str, algorithm: Algorithm) -> KeyRecord {
    let request = keys::request(name, algorithm, Exportability::Never);
    keys::record(backend, request).await
}

async fn backend() -> KeyBackendFixture {
    let tokens = Tokens::new(&["one", "two"]);
    fixtures::backend(move |label| tokens.open(label)).await
}

async fn signer(algorithm: Algorithm) -> SignerFixture {
    fixtures::signer(Tokens::new(&["one"]).open("one").await, algorithm).await
}

async fn kek() -> KeyEncryptionFixture {
    fixtures::kek(Tokens::new(&["one"]).open("one").await).await
}

#[test]
#[ignore = "needs openCryptoki"]
fn the_curves_are_those_of_ecdsa() {
    block_on(async {
        let backend = Tokens::new(&["one"]).open("one").await;
        assert_eq!(backend.algorithms(), [Algorithm::EcdsaP256, Algorithm::EcdsaSecp256k1]);
    });
}

#[test]
#[ignore = "needs openCryptoki"]
fn a_token_without_a_serial_number_is_refused() {
    block_on(async {
        for labels in [&["one"][..], &["one", "two"]] {
            let config = Tokens::without_serials(labels).config("one", PIN);
            let error = HsmBackend::open(config, Observer::default()).await.unwrap_err();
            assert!(matches!(error, HsmOpenError::Serial), "{labels:?}: {error:?}");
        }
    });
}

/// Left to itself the module makes keys that anybody may read.
#[test]
#[ignore = "needs openCryptoki"]
fn a_key_never_leaves_its_token() {
    block_on(async {
        let tokens = Tokens::new(&["one"]);
        let backend = tokens.open("one").await;
        for algorithm in backend.algorithms() {
            let _key = key(&backend, algorithm.as_str(), *algorithm).await;
        }
        assert_keys_stay(&tokens.somebody("one"), backend.algorithms().len());
    });
}

/// The module locks after the third wrong PIN, and says how many tries are left.
#[test]
#[ignore = "needs openCryptoki"]
fn each_opening_tries_the_pin_once_and_a_locked_one_is_refused() {
    block_on(async {
        let tokens = Tokens::new(&["one", "two"]);
        let client = opencryptoki::client();
        let left = || {
            let (_, info) = opencryptoki::slot(&client, "one");
            [info.user_pin_count_low(), info.user_pin_final_try(), info.user_pin_locked()]
        };
        assert_eq!(left(), [false, false, false]);
        let (wrong, right) = ("pin-91c2", PIN);
        for (pin, asked, told) in [
            (wrong, 1, [true, false, false]),
            (wrong, 1, [false, true, false]),
            // The last try is left to people.
            (wrong, 0, [false, true, false]),
            (right, 0, [false, true, false]),
        ] {
            assert_eq!((refused(tokens, pin).await, left()), (asked, told));
        }
        let session = client.open_rw_session(opencryptoki::slot(&client, "one").0).unwrap();
        let login = |pin: &str| session.login(UserType::User, Some(&AuthPin::from(pin)));
        login(right).unwrap();
        session.logout().unwrap();
        assert_eq!(left(), [false, false, false]);
        for _ in 0..3 {
            assert!(login(wrong).is_err());
        }
        for pin in [wrong, right] {
            assert_eq!((refused(tokens, pin).await, left()), (0, [false, false, true]));
        }
        let _other = tokens.open("two").await;
    });
}

/// How often the PIN is asked for by an opening that is refused.
async fn refused(tokens: Tokens, pin: &'static str) -> u32 {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let mut config = tokens.config("one", pin);
    config.pin = PinSource::Callback(Arc::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        Some(Secret::new(pin.as_bytes().to_vec()))
    }));
    let error = HsmBackend::open(config, Observer::default()).await.unwrap_err();
    assert!(
        matches!(&error, HsmOpenError::Login(error) if error.kind() == ErrorKind::Refused),
        "{error:?}"
    );
    asked.load(Ordering::SeqCst)
}

/// The module gives the number of a key that was destroyed to the next one.
#[test]
#[ignore = "needs openCryptoki"]
fn a_key_that_has_the_number_of_ours_never_signs_as_ours() {
    block_on(async {
        let tokens = Tokens::new(&["one"]);
        let mut config = tokens.config("one", PIN);
        config.destroyable = true;
        let backend = HsmBackend::open(config, Observer::default()).await.unwrap();
        let key = key(&backend, "key", Algorithm::EcdsaSecp256k1).await;
        let signer = backend.signer(&key).await.unwrap();
        sign(&*signer).await.unwrap();
        let session = tokens.somebody("one");
        let [ours] = private_keys(&session)[..] else { panic!("one key") };
        // What is destroyed last is used again first, and the public half is made first.
        for object in [ours].into_iter().chain(public_keys(&session)) {
            session.destroy_object(object).unwrap();
        }
        assert_eq!(foreign_key(&session), ours, "the number is not used again");
        assert!(sign(&*signer).await.is_err());
        assert!(backend.signer(&key).await.is_err());
    });
}

/// And it does so with keys that encrypt data keys.
#[test]
#[ignore = "needs openCryptoki"]
fn a_key_that_has_the_number_of_ours_encrypts_and_opens_nothing() {
    block_on(async {
        let tokens = Tokens::new(&["one"]);
        let mut config = tokens.config("one", PIN);
        config.destroyable = true;
        let backend = HsmBackend::open(config, Observer::default()).await.unwrap();
        let kek = backend.key_encryption("store").await.unwrap();
        let data_key = Secret::new((60..92).collect());
        let wrapped = kek.wrap(&data_key, &[b"context"]).await.unwrap();
        assert!(kek.unwrap(&wrapped, &[b"context"]).await.is_ok());
        let session = tokens.somebody("one");
        let secret = [Attribute::Class(ObjectClass::SECRET_KEY)];
        let [ours] = session.find_objects(&secret).unwrap()[..] else { panic!("one key") };
        let id = session.get_attributes(ours, &[AttributeType::Id]).unwrap();
        session.destroy_object(ours).unwrap();
        assert_eq!(foreign_kek(&session, id), ours, "the number is not used again");
        let sealed = kek.wrap(&data_key, &[b"context"]).await.unwrap_err();
        assert_eq!(sealed.kind(), ErrorKind::Corrupt);
        let opened = kek.unwrap(&wrapped, &[b"context"]).await;
        assert_eq!(opened.map(drop).unwrap_err().kind(), ErrorKind::Corrupt);
    });
}

/// Signs, and looks at the signature as custodians do.
async fn sign(signer: &dyn Signer) -> Result<(), ErrorKind> {
    let signed = signer.sign(INPUT).await.map_err(|error| error.kind())?;
    signed.checked(signer.public_key(), INPUT).map(drop).map_err(|_| ErrorKind::Corrupt)
}

fn private_keys(session: &Session) -> Vec<ObjectHandle> {
    session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap()
}

fn public_keys(session: &Session) -> Vec<ObjectHandle> {
    session.find_objects(&[Attribute::Class(ObjectClass::PUBLIC_KEY)]).unwrap()
}

/// A key of secp256k1 that no backend made.
fn foreign_key(session: &Session) -> ObjectHandle {
    let curve = Attribute::EcParams(vec![0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a]);
    let made = session.generate_key_pair(
        &Mechanism::EccKeyPairGen,
        &[Attribute::Token(true), curve],
        &[Attribute::Token(true), Attribute::Private(true), Attribute::Sign(true)],
    );
    made.unwrap().1
}

/// A key of AES that no backend made, and that is like one in all that the module says about it.
fn foreign_kek(session: &Session, mut template: Vec<Attribute>) -> ObjectHandle {
    template.extend(aes::like_ours());
    template.push(Attribute::ValueLen(32.into()));
    session.generate_key(&Mechanism::AesKeyGen, &template).unwrap()
}

const INPUT: SignInput<'static> = SignInput::Prehash(&[7; 32]);
