//! What `Benchmarked` records, and that it changes nothing.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Duration;

use custody_bench::{Benchmarked, Operation};
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::digest::Digest;
use custody_core::id::{BackendId, BackendIdentity, CustodianId, KeyId, WalletId};
use custody_core::seam::{
    BackendError, Exportability, Health, KeyBackend, KeyRecord, KeyRequest, NewKey, Signer,
};
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
    benchmarked(memory())
}

fn memory() -> MemoryBackend {
    MemoryBackend::seeded("memory", 1)
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
    let measured = backend.measured();
    assert_eq!(measured.take(Operation::Sign).unwrap().len(), 10);
    assert_eq!(counts(&backend), [0, 1, 1, 0]);
    signer.sign(SignInput::Message(b"more")).await.unwrap();
    assert_eq!(measured.take(Operation::Sign).unwrap().len(), 1);
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

/// A caller gives up after some time what a backend that hangs would never answer.
#[tokio::test]
async fn what_its_caller_gave_up_has_failed() {
    let backend = Benchmarked::new(Hanging(memory()), Arc::new(TokioClock::new()));
    let record = record(&backend).await;
    let signer = backend.signer(&record).await.unwrap();
    drop(signer.sign(SignInput::Message(b"never asked")));
    assert_eq!(counts(&backend), [0, 1, 1, 0], "a call that was never begun is none");
    let patience = Duration::from_millis(50);
    let signed = tokio::time::timeout(patience, signer.sign(SignInput::Message(b"asked"))).await;
    assert!(signed.is_err());
    assert_eq!(counts(&backend), [1, 1, 1, 0]);
    let failed = backend.measured().histogram(Operation::Failed).unwrap();
    assert!(failed.min() >= 49_000_000, "{}", failed.min());
}

/// A backend whose signers never answer.
#[derive(Debug)]
struct Hanging(MemoryBackend);

#[async_trait::async_trait]
impl KeyBackend for Hanging {
    fn id(&self) -> &BackendId {
        self.0.id()
    }

    fn identity(&self) -> &BackendIdentity {
        self.0.identity()
    }

    fn algorithms(&self) -> &[Algorithm] {
        self.0.algorithms()
    }

    fn in_process(&self) -> bool {
        self.0.in_process()
    }

    async fn generate(&self, request: &KeyRequest) -> Result<NewKey, BackendError> {
        self.0.generate(request).await
    }

    async fn signer(&self, key: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        Ok(Arc::new(HangingSigner(self.0.signer(key).await?)))
    }

    async fn health(&self) -> Health {
        self.0.health().await
    }
}

#[derive(Debug)]
struct HangingSigner(Arc<dyn Signer>);

#[async_trait::async_trait]
impl Signer for HangingSigner {
    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    async fn sign(&self, _input: SignInput<'_>) -> Result<Signature, BackendError> {
        std::future::pending().await
    }
}
