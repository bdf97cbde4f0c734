//! The conformance suites of the testkit over SoftHSM.
#![expect(clippy::unwrap_used, reason = "a fixture fails by panicking")]

#[path = "world/fixtures.rs"]
mod fixtures;
#[path = "softhsm/tokens.rs"]
mod softhsm;

use std::sync::Arc;

use custody_core::crypto::Algorithm;
use custody_core::id::KekId;
use custody_hsm::{HsmBackend, Observer};
use custody_testkit::suite::key_backend::{Ability, KeyBackendFixture};
use custody_testkit::suite::key_encryption::KeyEncryptionFixture;
use custody_testkit::suite::signer::SignerFixture;
use softhsm::{Tokens, keys};

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
    fixtures::backend(move |label| {
        let tokens = tokens.clone();
        async move { tokens.open(label).await }
    })
    .await
}

/// A backend whose exportable keys are wrapped. SoftHSM wraps no keys of Ed25519.
async fn wrapping_backend() -> KeyBackendFixture {
    let tokens = Tokens::new(&["one", "two"]);
    let under = KekId::parse("recovery").unwrap();
    for label in ["one", "two"] {
        open_wrapping(&tokens, label).await.create_wrapping_key(&under).await.unwrap();
    }
    let backend = fixtures::backend(move |label| {
        let tokens = tokens.clone();
        async move { open_wrapping(&tokens, label).await }
    });
    backend
        .await
        .with_abilities(&[Ability::Wrapping])
        .with_wrapping_under(under)
        .with_wrappable(&[Algorithm::EcdsaP256, Algorithm::EcdsaSecp256k1])
}

async fn open_wrapping(tokens: &Tokens, label: &str) -> Arc<HsmBackend> {
    let mut config = tokens.config(label);
    config.wrapping = true;
    Arc::new(HsmBackend::open(config, Observer::default()).await.unwrap())
}

async fn signer(algorithm: Algorithm) -> SignerFixture {
    fixtures::signer(Tokens::new(&["one"]).open("one").await, algorithm).await
}

async fn kek() -> KeyEncryptionFixture {
    fixtures::kek(Tokens::new(&["one"]).open("one").await).await
}
