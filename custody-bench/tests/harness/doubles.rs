//! Backends that sign as they are told to, and what measures them.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use custody_bench::harness::environment::Build;
use custody_bench::harness::plan::Plan;
use custody_bench::harness::{Backends, Bench, Opened, OptionHelp, Provider, Wanted};
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::id::{BackendId, BackendIdentity};
use custody_core::seam::{
    BackendError, ErrorKind, Health, KeyBackend, KeyRecord, KeyRequest, NewKey, Signer,
};
use custody_testkit::backend::{BackendLie, LyingBackend, MemoryBackend};

pub(crate) fn bench() -> Bench {
    let backends = Backends::new()
        .with(Double { name: "memory", open: || Arc::new(memory()) })
        .with(Double { name: "failing", open: || Shaped::every_third_fails() })
        .with(Double { name: "refusing", open: || Shaped::refuses() })
        .with(Double { name: "hanging", open: || Shaped::hangs() })
        .with(Double { name: "stalling", open: || Shaped::stalls_once() })
        .with(Double { name: "paced", open: || Shaped::takes(Duration::from_micros(400)) })
        .with(Double { name: "slower", open: || Shaped::takes(Duration::from_micros(420)) })
        .with(Double { name: "slow", open: || Shaped::sleeps(Duration::from_millis(300)) })
        .with(Double { name: "narrow", open: || Arc::new(narrow()) })
        .with(Double { name: "wrong", open: || Arc::new(wrong()) });
    Bench::new(backends, Build::default())
}

/// A short closed loop of one caller, with Ed25519.
pub(crate) fn plan(backend: &str, out: &Path) -> Plan {
    let mut plan = Plan::new(backend, Algorithm::Ed25519, out.to_owned());
    plan.duration = Duration::from_millis(200);
    plan.warm_up = Duration::from_millis(20);
    plan
}

/// The two reports in a folder.
pub(crate) fn reported(folder: &Path) -> [String; 2] {
    ["report.html", "report.md"].map(|name| std::fs::read_to_string(folder.join(name)).unwrap())
}

fn memory() -> MemoryBackend {
    MemoryBackend::seeded("memory", 1)
}

fn narrow() -> MemoryBackend {
    memory().with_algorithms(&[Algorithm::Ed25519])
}

fn wrong() -> LyingBackend {
    LyingBackend::new("wrong", 1, BackendLie::SignsByAnotherKey)
}

#[derive(Debug)]
struct Double {
    name: &'static str,
    open: fn() -> Arc<dyn KeyBackend>,
}

#[async_trait]
impl Provider for Double {
    fn name(&self) -> &str {
        self.name
    }

    fn about(&self) -> &str {
        "a double"
    }

    fn options(&self) -> &[OptionHelp] {
        &[OptionHelp { name: "colour", about: "nothing" }]
    }

    async fn open(&self, _wanted: &Wanted) -> Result<Opened, String> {
        let mut opened = Opened::new((self.open)());
        opened.manner = custody_bench::harness::Manner::Threads;
        Ok(opened)
    }
}

/// Called with the time at which a call began, after it has signed.
type Shape = dyn Fn(Instant) -> Result<(), BackendError> + Send + Sync;

/// A backend whose calls have a shape.
struct Shaped {
    backend: MemoryBackend,
    shape: Arc<Shape>,
}

impl Shaped {
    fn shaped(
        shape: impl Fn(Instant) -> Result<(), BackendError> + Send + Sync + 'static,
    ) -> Arc<dyn KeyBackend> {
        Arc::new(Self { backend: memory(), shape: Arc::new(shape) })
    }

    /// Each call takes this long, on the clock.
    fn takes(time: Duration) -> Arc<dyn KeyBackend> {
        Self::shaped(move |began| {
            while began.elapsed() < time {
                std::hint::spin_loop();
            }
            Ok(())
        })
    }

    fn sleeps(time: Duration) -> Arc<dyn KeyBackend> {
        Self::shaped(move |_| {
            std::thread::sleep(time);
            Ok(())
        })
    }

    /// A second after its first call nothing is signed for a second.
    fn stalls_once() -> Arc<dyn KeyBackend> {
        let state = Mutex::new((None::<Instant>, false));
        Self::shaped(move |_| {
            let mut state = state.lock().unwrap();
            let first = *state.0.get_or_insert_with(Instant::now);
            if !state.1 && first.elapsed() > Duration::from_secs(1) {
                state.1 = true;
                std::thread::sleep(Duration::from_secs(1));
            }
            drop(state);
            std::thread::sleep(Duration::from_millis(1));
            Ok(())
        })
    }

    fn refuses() -> Arc<dyn KeyBackend> {
        Self::shaped(|_| Err(BackendError::new(ErrorKind::Refused, "sign")))
    }

    /// One call is answered when nobody waits for it any more.
    fn hangs() -> Arc<dyn KeyBackend> {
        let calls = AtomicU64::new(0);
        Self::shaped(move |_| {
            if calls.fetch_add(1, Ordering::Relaxed) == 2_000 {
                std::thread::sleep(Duration::from_secs(15));
            }
            Ok(())
        })
    }

    fn every_third_fails() -> Arc<dyn KeyBackend> {
        let calls = AtomicU64::new(0);
        Self::shaped(move |_| match calls.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => Err(BackendError::new(ErrorKind::Unavailable, "sign")),
            _ => Ok(()),
        })
    }
}

impl fmt::Debug for Shaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shaped")
    }
}

#[async_trait]
impl KeyBackend for Shaped {
    fn id(&self) -> &BackendId {
        self.backend.id()
    }

    fn identity(&self) -> &BackendIdentity {
        self.backend.identity()
    }

    fn algorithms(&self) -> &[Algorithm] {
        self.backend.algorithms()
    }

    fn in_process(&self) -> bool {
        self.backend.in_process()
    }

    async fn generate(&self, request: &KeyRequest) -> Result<NewKey, BackendError> {
        self.backend.generate(request).await
    }

    async fn signer(&self, key: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        let signer = self.backend.signer(key).await?;
        Ok(Arc::new(ShapedSigner { signer, shape: Arc::clone(&self.shape) }))
    }

    async fn health(&self) -> Health {
        Health::Ready
    }
}

struct ShapedSigner {
    signer: Arc<dyn Signer>,
    shape: Arc<Shape>,
}

impl fmt::Debug for ShapedSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShapedSigner")
    }
}

#[async_trait]
impl Signer for ShapedSigner {
    fn algorithm(&self) -> Algorithm {
        self.signer.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        let began = Instant::now();
        let signature = self.signer.sign(input).await?;
        (self.shape)(began)?;
        Ok(signature)
    }
}
