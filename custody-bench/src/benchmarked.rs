//! A backend that is measured in production.
//!
//! Invariant: whatever becomes of a call, one that was begun is counted once, and as failed unless
//! it was answered; nothing of what was signed is kept.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::id::{BackendId, BackendIdentity};
use custody_core::seam::{
    Attestation, BackendError, Clock, Health, KeyBackend, KeyDerivation, KeyEncryption, KeyImport,
    KeyRecord, KeyRequest, KeyResealing, KeySwitch, KeyWrapping, Monotonic, NewKey, Signer,
};
use hdrhistogram::Histogram;

use crate::recorder::Recorder;

/// A backend that records how long its calls take, in production too.
///
/// It does what the backend does, and nothing else: it holds no input and no signature. What fails
/// is recorded apart from what succeeds, and so is what its caller gave up, with the time until
/// then: a backend that hangs is seen. Side traits (derivation, import, switching, …) are
/// those of the backend itself and are not recorded.
///
/// ```
/// # use std::sync::Arc;
/// # use custody_bench::{Benchmarked, Operation};
/// # use custody_core::seam::KeyBackend;
/// # use custody_core::tokio::TokioClock;
/// fn measured<B: KeyBackend>(backend: B) -> Benchmarked<B> {
///     Benchmarked::new(backend, Arc::new(TokioClock::new()))
/// }
///
/// fn p99_ns<B: KeyBackend>(backend: &Benchmarked<B>) -> Option<u64> {
///     Some(backend.measured().histogram(Operation::Sign)?.value_at_quantile(0.99))
/// }
/// ```
pub struct Benchmarked<B> {
    backend: B,
    clock: Arc<dyn Clock>,
    measured: Arc<Measured>,
}

impl<B: KeyBackend> Benchmarked<B> {
    /// Records the calls of `backend`.
    pub fn new(backend: B, clock: Arc<dyn Clock>) -> Self {
        Self { backend, clock, measured: Arc::default() }
    }

    /// The backend itself.
    pub const fn backend(&self) -> &B {
        &self.backend
    }

    /// What is recorded. It goes on being recorded into, and outlives the backend.
    pub fn measured(&self) -> Arc<Measured> {
        Arc::clone(&self.measured)
    }

    fn begin(&self, operation: Operation) -> Call<'_> {
        let (clock, measured) = (self.clock.as_ref(), self.measured.as_ref());
        Call { clock, measured, operation, since: Some(clock.monotonic()) }
    }
}

impl<B: fmt::Debug> fmt::Debug for Benchmarked<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Benchmarked").field(&self.backend).finish()
    }
}

#[async_trait]
impl<B: KeyBackend> KeyBackend for Benchmarked<B> {
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
        let call = self.begin(Operation::Generate);
        let answer = self.backend.generate(request).await;
        call.end(answer.is_ok());
        answer
    }

    async fn signer(&self, key: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        let call = self.begin(Operation::Open);
        let answer = self.backend.signer(key).await;
        call.end(answer.is_ok());
        let (clock, measured) = (Arc::clone(&self.clock), Arc::clone(&self.measured));
        Ok(Arc::new(BenchmarkedSigner { signer: answer?, clock, measured }))
    }

    async fn health(&self) -> Health {
        self.backend.health().await
    }

    fn derivation(&self) -> Option<&dyn KeyDerivation> {
        self.backend.derivation()
    }

    fn import(&self) -> Option<&dyn KeyImport> {
        self.backend.import()
    }

    fn wrapping(&self) -> Option<&dyn KeyWrapping> {
        self.backend.wrapping()
    }

    fn resealing(&self) -> Option<&dyn KeyResealing> {
        self.backend.resealing()
    }

    fn switch(&self) -> Option<&dyn KeySwitch> {
        self.backend.switch()
    }

    fn kek(&self) -> Option<Arc<dyn KeyEncryption>> {
        self.backend.kek()
    }

    fn attestation(&self) -> Option<&dyn Attestation> {
        self.backend.attestation()
    }
}

/// A call that was begun. If it is dropped before it ends, it has failed.
struct Call<'call> {
    clock: &'call dyn Clock,
    measured: &'call Measured,
    operation: Operation,
    /// None once it has ended.
    since: Option<Monotonic>,
}

impl Call<'_> {
    fn end(mut self, succeeded: bool) {
        self.record(succeeded);
    }

    fn record(&mut self, succeeded: bool) {
        if let Some(since) = self.since.take() {
            let time = self.clock.monotonic().saturating_sub(since);
            self.measured.record(self.operation, time, succeeded);
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.record(false);
    }
}

/// Histograms of the calls of a [`Benchmarked`], in nanoseconds. Each operation has up to eight,
/// for different threads, of some 270 kB each.
#[derive(Debug)]
pub struct Measured {
    generate: Recorder,
    open: Recorder,
    sign: Recorder,
    failed: Recorder,
}

impl Measured {
    /// How long the successful calls took; failed ones for [`Operation::Failed`]. None if memory
    /// or histogram cannot be had.
    #[must_use]
    pub fn histogram(&self, operation: Operation) -> Option<Histogram<u64>> {
        self.recorder(operation).total()
    }

    /// The same, and begins a new interval: each call is in exactly one of the histograms that are
    /// taken.
    #[must_use]
    pub fn take(&self, operation: Operation) -> Option<Histogram<u64>> {
        self.recorder(operation).take()
    }

    fn record(&self, operation: Operation, time: Duration, succeeded: bool) {
        self.recorder(if succeeded { operation } else { Operation::Failed }).record(time);
    }

    const fn recorder(&self, operation: Operation) -> &Recorder {
        match operation {
            Operation::Failed => &self.failed,
            Operation::Generate => &self.generate,
            Operation::Open => &self.open,
            Operation::Sign => &self.sign,
        }
    }
}

impl Default for Measured {
    fn default() -> Self {
        let new = Recorder::new;
        Self { generate: new(), open: new(), sign: new(), failed: new() }
    }
}

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Any of the others that failed, or was given up before it was answered.
    Failed,
    /// Making a key.
    Generate,
    /// Opening a key for signing.
    Open,
    /// Signing.
    Sign,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Failed, Self::Generate, Self::Open, Self::Sign];
}

#[derive(Debug)]
struct BenchmarkedSigner {
    signer: Arc<dyn Signer>,
    clock: Arc<dyn Clock>,
    measured: Arc<Measured>,
}

impl Signer for BenchmarkedSigner {
    fn algorithm(&self) -> Algorithm {
        self.signer.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    // Written out: the future of an `async fn` would be moved and resumed once more.
    fn sign<'signer, 'input, 'call>(&'signer self, input: SignInput<'input>) -> Signing<'call>
    where
        'signer: 'call,
        'input: 'call,
        Self: 'call,
    {
        let inner = self.signer.sign(input);
        let (clock, measured) = (self.clock.as_ref(), self.measured.as_ref());
        let call = Call { clock, measured, operation: Operation::Sign, since: None };
        Box::pin(RecordedSigning { inner, call })
    }
}

type Signing<'call> = Pin<Box<dyn Future<Output = Result<Signature, BackendError>> + Send + 'call>>;

/// A call that records itself when it is answered. It begins when it is first polled, as others do.
struct RecordedSigning<'call> {
    inner: Signing<'call>,
    call: Call<'call>,
}

impl Future for RecordedSigning<'_> {
    type Output = Result<Signature, BackendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let clock = self.call.clock;
        self.call.since.get_or_insert_with(|| clock.monotonic());
        let polled = self.inner.as_mut().poll(context);
        if let Poll::Ready(answer) = &polled {
            self.call.record(answer.is_ok());
        }
        polled
    }
}
