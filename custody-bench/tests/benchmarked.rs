//! What `Benchmarked` records, and that it changes nothing.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use custody_bench::{Benchmarked, Operation};
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::digest::Digest;
use custody_core::id::{CustodianId, KeyId, WalletId};
use custody_core::seam::{Exportability, KeyBackend, KeyRecord, KeyRequest};
use custody_core::tokio::TokioClock;
use custody_testkit::backend::MemoryBackend;
use custody_testkit::suite::key_backend::{Ability, KeyBackendFixture, KeyLifetime, Rotated};

mod as_a_backend {
    custody_testkit::key_backend_suite!(super::fixture());
}

fn benchmarked(backend: MemoryBackend) -> Benchmarked<MemoryBackend> {
    Benchmarked::new(backend, Arc::new(TokioClock::new()))
}

fn backend() -> Benchmarked<MemoryBackend> {
    benchmarked(MemoryBackend::seeded("memory", 1))
}

/// All abilities of the backend below are there.
fn fixture() -> KeyBackendFixture {
    let backend = MemoryBackend::seeded("memory", 1);
    let kek = backend.kek().map(|kek| kek.id().clone()).unwrap();
    let (again, before) = (backend.clone(), backend.clone());
    let other = Arc::new(MemoryBackend::seeded("memory", 2));
    KeyBackendFixture::new(Arc::new(benchmarked(backend)), other, KeyLifetime::Backend)
        .with_reopen(move || {
            let backend = again.clone();
            Box::pin(async move { Arc::new(benchmarked(backend)) as Arc<_> })
        })
        .with_rotation(move || {
            let rotated = before.rotated();
            let alone = Arc::new(benchmarked(rotated.clone().without_previous()));
            let with_previous = Arc::new(benchmarked(rotated));
            Box::pin(async move { Rotated { with_previous, alone } })
        })
        .with_abilities(&Ability::ALL)
        .with_wrapping_under(kek)
}

fn request() -> KeyRequest {
    KeyRequest {
        custodian: CustodianId::new(Digest::of(b"benchmarked")),
        wallet: WalletId::parse("hot").unwrap(),
        key: KeyId::parse("hot.0").unwrap(),
        algorithm: Algorithm::Ed25519,
        exportability: Exportability::Never,
    }
}

async fn record(backend: &dyn KeyBackend) -> KeyRecord {
    let made = backend.generate(&request()).await.unwrap();
    let KeyRequest { custodian, wallet, key, .. } = request();
    KeyRecord { custodian, wallet, key, public_key: made.public_key, handle: made.handle }
}

fn counts<B: KeyBackend>(backend: &Benchmarked<B>) -> [u64; 4] {
    let measured = backend.measured();
    Operation::ALL.map(|operation| measured.histogram(operation).unwrap().len())
}

#[tokio::test]
async fn each_operation_has_a_histogram() {
    let backend = backend();
    let record = record(&backend).await;
    let signer = backend.signer(&record).await.unwrap();
    for number in 0..10 {
        let message = [number; 20];
        let input = SignInput::Message(&message);
        signer.sign(input).await.unwrap().checked(&record.public_key, input).unwrap();
    }
    assert_eq!(counts(&backend), [0, 1, 1, 10]);
    backend.measured().clear();
    assert_eq!(counts(&backend), [0; 4]);
}

#[tokio::test]
async fn what_fails_is_told_apart_from_what_succeeds() {
    let backend = backend();
    let record = record(&backend).await;
    let other = KeyRecord { wallet: WalletId::parse("cold").unwrap(), ..record.clone() };
    backend.signer(&other).await.unwrap_err();
    let signer = backend.signer(&record).await.unwrap();
    signer.sign(SignInput::Prehash(&[7; 32])).await.unwrap_err();
    assert_eq!(counts(&backend), [2, 1, 1, 0]);
}
