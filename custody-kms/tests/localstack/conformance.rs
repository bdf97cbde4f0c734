//! The conformance suites of the testkit over LocalStack, which has no Ed25519.

use std::sync::Arc;

use custody_core::crypto::Algorithm;
use custody_core::seam::KeyBackend;
use custody_kms::{KmsBackend, Observer};
use custody_testkit::suite::key_backend::{Ability, KeyBackendFixture, KeyLifetime};
use custody_testkit::suite::key_encryption::KeyEncryptionFixture;
use custody_testkit::suite::signer::SignerFixture;

use crate::LOCALSTACK;
use crate::account::{Account, record, request};
use crate::stand_in::told;

mod backend {
    custody_testkit::key_backend_suite!(ignore = "needs LocalStack"; super::backend());
}

mod ecdsa_p256_signer {
    custody_testkit::signer_suite!(ignore = "needs LocalStack"; super::signer(super::Algorithm::EcdsaP256).await);
}

mod ecdsa_secp256k1_signer {
    custody_testkit::signer_suite!(ignore = "needs LocalStack"; super::signer(super::Algorithm::EcdsaSecp256k1).await);
}

mod kek {
    custody_testkit::key_encryption_suite!(ignore = "needs LocalStack"; super::kek().await);
}

/// The account's keys, but for Ed25519.
pub(crate) fn keys(account: &Account) -> Arc<KmsBackend> {
    let mut config = account.config();
    config.algorithms.retain(|algorithm| *algorithm != Algorithm::Ed25519);
    Arc::new(KmsBackend::new(account.kms_with(config, Observer::default())).unwrap())
}

fn backend() -> KeyBackendFixture {
    let (one, two) = (Account::new(&told(LOCALSTACK)), Account::new(&told(LOCALSTACK)));
    KeyBackendFixture::new(keys(&one), keys(&two), KeyLifetime::Backend)
        .with_abilities(&[Ability::Switch])
        .with_message_bytes(0..=4_096)
        .with_reopen(move || {
            let again = keys(&one);
            Box::pin(async move { again as Arc<dyn KeyBackend> })
        })
}

async fn signer(algorithm: Algorithm) -> SignerFixture {
    let backend = keys(&Account::new(&told(LOCALSTACK)));
    let record = record(&*backend, &request("key", algorithm)).await;
    SignerFixture::new(backend.signer(&record).await.unwrap()).with_message_bytes(0..=4_096)
}

async fn kek() -> KeyEncryptionFixture {
    let account = Account::new(&told(LOCALSTACK));
    let (one, two) = (account.symmetric_key().await, account.symmetric_key().await);
    let fixture = KeyEncryptionFixture::new(account.kek(&one).await, account.kek(&two).await);
    fixture.with_reopen(move || {
        let (account, one) = (account.clone(), one.clone());
        Box::pin(async move { account.kek(&one).await as _ })
    })
}
