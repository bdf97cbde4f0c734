//! The conformance suites of the testkit over SoftHSM.
#![expect(clippy::unwrap_used, reason = "a fixture fails by panicking")]

#[path = "softhsm/tokens.rs"]
mod softhsm;

use std::sync::Arc;

use custody_core::crypto::Algorithm;
use custody_core::id::KekId;
use custody_core::seam::{Exportability, KeyBackend};
use custody_hsm::{HsmBackend, Observer};
use custody_testkit::suite::key_backend::{Ability, KeyBackendFixture, KeyLifetime};
use custody_testkit::suite::key_encryption::KeyEncryptionFixture;
use custody_testkit::suite::signer::SignerFixture;
use softhsm::Tokens;

mod backend {
    custody_testkit::key_backend_suite!(ignore = "needs SoftHSM"; super::backend().await);
}

mod wrapping_backend {
    custody_testkit::key_backend_suite!(ignore = "needs SoftHSM"; super::wrapping_backend().await);
}

mod ecdsa_p256_signer {
    custody_testkit::signer_suite!(ignore = "needs SoftHSM"; super::signer(super::Algorithm::EcdsaP256).await);
}

mod ecdsa_secp256k1_signer {
    custody_testkit::signer_suite!(ignore = "needs SoftHSM"; super::signer(super::Algorithm::EcdsaSecp256k1).await);
}

mod ed25519_signer {
    custody_testkit::signer_suite!(ignore = "needs SoftHSM"; super::signer(super::Algorithm::Ed25519).await);
}

mod kek {
    custody_testkit::key_encryption_suite!(ignore = "needs SoftHSM"; super::kek().await);
}

async fn backend() -> KeyBackendFixture {
    let tokens = Tokens::new(&["one", "two"]);
    let (one, two) = (tokens.open("one").await, tokens.open("two").await);
    let again = tokens.clone();
    KeyBackendFixture::new(one, two, KeyLifetime::Backend)
        .with_reopen(move || {
            let tokens = again.clone();
            Box::pin(async move { tokens.open("one").await as Arc<dyn KeyBackend> })
        })
        .with_guard(tokens)
}

/// A backend whose exportable keys are wrapped. SoftHSM wraps no keys of Ed25519.
async fn wrapping_backend() -> KeyBackendFixture {
    let tokens = Tokens::new(&["one", "two"]);
    let under = KekId::parse("recovery").unwrap();
    let (one, two) = (open_wrapping(&tokens, "one").await, open_wrapping(&tokens, "two").await);
    for backend in [&one, &two] {
        backend.create_wrapping_key(&under).await.unwrap();
    }
    let again = tokens.clone();
    KeyBackendFixture::new(one, two, KeyLifetime::Backend)
        .with_abilities(&[Ability::Wrapping])
        .with_wrapping_under(under)
        .with_wrappable(&[Algorithm::EcdsaP256, Algorithm::EcdsaSecp256k1])
        .with_reopen(move || {
            let tokens = again.clone();
            Box::pin(async move { open_wrapping(&tokens, "one").await as Arc<dyn KeyBackend> })
        })
        .with_guard(tokens)
}

async fn open_wrapping(tokens: &Tokens, label: &str) -> Arc<HsmBackend> {
    let mut config = tokens.config(label);
    config.wrapping = true;
    Arc::new(HsmBackend::open(config, Observer::default()).await.unwrap())
}

async fn signer(algorithm: Algorithm) -> SignerFixture {
    let tokens = Tokens::new(&["one"]);
    let backend = tokens.open("one").await;
    let request = softhsm::request("key", algorithm, Exportability::Never);
    let record = softhsm::record(&backend, request).await;
    SignerFixture::new(backend.signer(&record).await.unwrap())
}

async fn kek() -> KeyEncryptionFixture {
    let tokens = Tokens::new(&["one"]);
    let backend = tokens.open("one").await;
    let kek = Arc::new(backend.key_encryption("store").await.unwrap());
    let other = Arc::new(backend.key_encryption("other").await.unwrap());
    KeyEncryptionFixture::new(kek, other)
        .with_reopen(move || {
            let backend = Arc::clone(&backend);
            Box::pin(async move { Arc::new(backend.key_encryption("store").await.unwrap()) as _ })
        })
        .with_guard(tokens)
}
