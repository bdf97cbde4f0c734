//! What the suites of the testkit need, over tokens of any module.
#![expect(clippy::unwrap_used, reason = "a fixture fails by panicking")]

use std::sync::Arc;

use custody_core::crypto::Algorithm;
use custody_core::seam::{Exportability, KeyBackend};
use custody_hsm::HsmBackend;
use custody_testkit::suite::key_backend::{KeyBackendFixture, KeyLifetime};
use custody_testkit::suite::key_encryption::KeyEncryptionFixture;
use custody_testkit::suite::signer::SignerFixture;

use crate::keys;

/// The backend over the token "one", and another one over the token "two".
pub(crate) async fn backend<F>(
    open: impl Fn(&'static str) -> F + Send + 'static,
) -> KeyBackendFixture
where
    F: Future<Output = Arc<HsmBackend>> + Send + 'static,
{
    let (one, two) = (open("one").await, open("two").await);
    KeyBackendFixture::new(one, two, KeyLifetime::Backend).with_reopen(move || {
        let again = open("one");
        Box::pin(async move { again.await as Arc<dyn KeyBackend> })
    })
}

/// A signer of a key of the backend.
pub(crate) async fn signer(backend: Arc<HsmBackend>, algorithm: Algorithm) -> SignerFixture {
    let request = keys::request("key", algorithm, Exportability::Never);
    let record = keys::record(&backend, request).await;
    SignerFixture::new(backend.signer(&record).await.unwrap())
}

/// A key of the backend's token that encrypts, and another one.
pub(crate) async fn kek(backend: Arc<HsmBackend>) -> KeyEncryptionFixture {
    let kek = Arc::new(backend.key_encryption("store").await.unwrap());
    let other = Arc::new(backend.key_encryption("other").await.unwrap());
    KeyEncryptionFixture::new(kek, other).with_reopen(move || {
        let backend = Arc::clone(&backend);
        Box::pin(async move { Arc::new(backend.key_encryption("store").await.unwrap()) as _ })
    })
}
