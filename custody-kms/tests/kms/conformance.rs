//! The conformance suites of the testkit over ministack.
use std::sync::Arc;

use custody_core::crypto::Algorithm;
use custody_core::seam::KeyBackend;
use custody_testkit::suite::key_backend::{Ability, KeyBackendFixture, KeyLifetime};
use custody_testkit::suite::key_encryption::KeyEncryptionFixture;
use custody_testkit::suite::signer::SignerFixture;

use crate::MINISTACK;
use crate::account::{Account, record, request};
use crate::stand_in::told;

mod backend {
    custody_testkit::key_backend_suite!(ignore = "needs a stand-in for KMS"; super::backend());
}

mod ecdsa_p256_signer {
    custody_testkit::signer_suite!(ignore = "needs a stand-in for KMS"; super::signer(super::Algorithm::EcdsaP256).await);
}

mod ecdsa_secp256k1_signer {
    custody_testkit::signer_suite!(ignore = "needs a stand-in for KMS"; super::signer(super::Algorithm::EcdsaSecp256k1).await);
}

mod ed25519_signer {
    custody_testkit::signer_suite!(ignore = "needs a stand-in for KMS"; super::signer(super::Algorithm::Ed25519).await);
}

mod kek {
    custody_testkit::key_encryption_suite!(ignore = "needs a stand-in for KMS"; super::kek().await);
}

fn backend() -> KeyBackendFixture {
    let (one, two) = (Account::new(&told(MINISTACK)), Account::new(&told(MINISTACK)));
    KeyBackendFixture::new(one.backend(), two.backend(), KeyLifetime::Backend)
        .with_abilities(&[Ability::Switch])
        .with_message_bytes(0..=4_096)
        .with_reopen(move || {
            let again = one.backend();
            Box::pin(async move { again as Arc<dyn KeyBackend> })
        })
}

async fn signer(algorithm: Algorithm) -> SignerFixture {
    let backend = Account::new(&told(MINISTACK)).backend();
    let record = record(&*backend, &request("key", algorithm)).await;
    SignerFixture::new(backend.signer(&record).await.unwrap()).with_message_bytes(0..=4_096)
}

async fn kek() -> KeyEncryptionFixture {
    let account = Account::new(&told(MINISTACK));
    let (one, two) = (account.symmetric_key().await, account.symmetric_key().await);
    let fixture = KeyEncryptionFixture::new(account.kek(&one).await, account.kek(&two).await);
    fixture.with_reopen(move || {
        let (account, one) = (account.clone(), one.clone());
        Box::pin(async move { account.kek(&one).await as _ })
    })
}
