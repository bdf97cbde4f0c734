//! The conformance suites of the testkit over SoftHSM.
#![expect(clippy::unwrap_used, reason = "a fixture fails by panicking")]

#[path = "softhsm/tokens.rs"]
mod softhsm;

use std::sync::Arc;

use custody_core::crypto::Algorithm;
use custody_core::seam::{Exportability, KeyBackend};
use custody_testkit::suite::key_backend::{KeyBackendFixture, KeyLifetime};
use custody_testkit::suite::key_encryption::KeyEncryptionFixture;
use custody_testkit::suite::signer::SignerFixture;
use softhsm::Tokens;

mod backend {
    custody_testkit::key_backend_suite!(super::backend().await);
}

mod ecdsa_p256_signer {
    custody_testkit::signer_suite!(super::signer(super::Algorithm::EcdsaP256).await);
}

mod ecdsa_secp256k1_signer {
    custody_testkit::signer_suite!(super::signer(super::Algorithm::EcdsaSecp256k1).await);
}

mod ed25519_signer {
    custody_testkit::signer_suite!(super::signer(super::Algorithm::Ed25519).await);
}

mod kek {
    custody_testkit::key_encryption_suite!(super::kek().await);
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
