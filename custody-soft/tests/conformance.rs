//! The conformance suites of the testkit, for the backend, its signers and its passphrase.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a fixture fails by panicking, and counts a few restarts"
)]

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::id::{BackendId, CustodianId, KeyId, WalletId};
use custody_core::seam::{
    Entropy, Exportability, KeyBackend, KeyEncryption, KeyRecord, KeyRequest,
};
use custody_core::secret::Secret;
use custody_soft::{CacheLimits, KdfParameters, KekDocument, PassphraseKek, SoftBackend};
use custody_testkit::runtime::{TestClock, TestEntropy};
use custody_testkit::suite::key_backend::{Ability, KeyBackendFixture, KeyLifetime, Rotated};
use custody_testkit::suite::key_encryption::KeyEncryptionFixture;
use custody_testkit::suite::signer::SignerFixture;

#[path = "soft/log_lines.rs"]
mod log_lines;

mod backend {
    custody_testkit::key_backend_suite!(super::backend_fixture(super::CacheLimits::default()));
}

/// A cache that keeps nothing: every signature opens its handle.
mod backend_without_cache {
    custody_testkit::key_backend_suite!(super::backend_fixture(super::limits(1, 0, 1)));
}

mod bip340_signer {
    custody_testkit::signer_suite!(super::signer_fixture(super::Algorithm::Bip340).await);
}

mod ecdsa_p256_signer {
    custody_testkit::signer_suite!(super::signer_fixture(super::Algorithm::EcdsaP256).await);
}

mod ecdsa_secp256k1_signer {
    custody_testkit::signer_suite!(super::signer_fixture(super::Algorithm::EcdsaSecp256k1).await);
}

mod ed25519_signer {
    custody_testkit::signer_suite!(super::signer_fixture(super::Algorithm::Ed25519).await);
}

mod passphrase {
    custody_testkit::key_encryption_suite!(super::passphrase_fixture());
}

fn limits(keys: u32, age_s: u64, uses: u64) -> CacheLimits {
    let (keys, uses) = (NonZeroU32::new(keys).unwrap(), NonZeroU64::new(uses).unwrap());
    CacheLimits::new(keys, Duration::from_secs(age_s), uses)
}

fn passphrase() -> Secret {
    Secret::new(b"correct horse battery staple".to_vec())
}

fn create_kek(seed: u64) -> (Arc<dyn KeyEncryption>, KekDocument) {
    log_lines::install();
    let entropy: Arc<dyn Entropy> = Arc::new(TestEntropy::seeded(seed));
    let (kek, document) =
        PassphraseKek::create(passphrase(), KdfParameters::MINIMUM, entropy).unwrap();
    (Arc::new(kek), document)
}

/// The key-encrypting key of a stored document, as after a restart.
fn open_kek(document: &KekDocument, seed: u64) -> Arc<dyn KeyEncryption> {
    let document = KekDocument::parse(document.to_json().as_bytes()).unwrap();
    let entropy = Arc::new(TestEntropy::seeded(seed));
    Arc::new(PassphraseKek::open(passphrase(), &document, entropy).unwrap())
}

fn backend_over(
    kek: Arc<dyn KeyEncryption>,
    limits: CacheLimits,
    seed: u64,
) -> Arc<dyn KeyBackend> {
    let id = BackendId::parse("soft").unwrap();
    let (entropy, clock) = (Arc::new(TestEntropy::seeded(seed)), Arc::new(TestClock::new()));
    Arc::new(SoftBackend::with_cache(id, kek, entropy, clock, limits).unwrap())
}

/// A backend under a new key-encrypting key, with the one of `document` as previous and without.
fn rotated(document: &KekDocument, limits: CacheLimits) -> Rotated {
    let id = BackendId::parse("soft").unwrap();
    let (kek, old) = (create_kek(5).0, open_kek(document, 6));
    let (entropy, clock) = (Arc::new(TestEntropy::seeded(7)), Arc::new(TestClock::new()));
    let both = SoftBackend::with_cache(id, Arc::clone(&kek), entropy, clock, limits).unwrap();
    let with_previous = Arc::new(both.with_previous(vec![old]));
    Rotated { with_previous, alone: backend_over(kek, limits, 8) }
}

fn backend_fixture(limits: CacheLimits) -> KeyBackendFixture {
    let (kek, document) = create_kek(1);
    let backend = backend_over(kek, limits, 2);
    let other = backend_over(create_kek(3).0, limits, 4);
    let mut restarts = 100;
    let before = document.clone();
    let abilities =
        [Ability::Derivation, Ability::Import, Ability::KeyEncryption, Ability::Resealing];
    KeyBackendFixture::new(backend, other, KeyLifetime::Handle)
        .with_abilities(&abilities)
        .with_rotation(move || {
            let rotated = rotated(&before, limits);
            Box::pin(async move { rotated })
        })
        .with_derivable(&Algorithm::ALL)
        .with_reopen(move || {
            restarts += 1;
            let backend = backend_over(open_kek(&document, restarts), limits, restarts);
            Box::pin(async move { backend })
        })
}

async fn signer_fixture(algorithm: Algorithm) -> SignerFixture {
    let request = KeyRequest {
        custodian: CustodianId::new(Digest::of(b"custodian")),
        wallet: WalletId::parse("treasury").unwrap(),
        key: KeyId::parse("key-1").unwrap(),
        algorithm,
        exportability: Exportability::Never,
    };
    let backend = backend_over(create_kek(1).0, CacheLimits::default(), 2);
    let new = backend.generate(&request).await.unwrap();
    let record = KeyRecord {
        custodian: request.custodian,
        wallet: request.wallet,
        key: request.key,
        public_key: new.public_key,
        handle: new.handle,
    };
    SignerFixture::new(backend.signer(&record).await.unwrap())
}

fn passphrase_fixture() -> KeyEncryptionFixture {
    let (kek, document) = create_kek(1);
    let mut restarts = 100;
    KeyEncryptionFixture::new(kek, create_kek(2).0).with_reopen(move || {
        restarts += 1;
        let kek = open_kek(&document, restarts);
        Box::pin(async move { kek })
    })
}
