use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use custody_core::crypto::PublicKey;
use custody_core::seam::{AuditError, AuditLog, Checkpoint, Clock, Event, Position, Receipt};

use crate::fault::{Delay, Denial, FaultPlan, Intercept};

/// The calls of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the calls of the seam")]
pub enum LogCall {
    /// [`AuditLog::head`].
    Head,
    /// [`AuditLog::includes`].
    Includes,
    /// [`AuditLog::receipt`].
    Receipt,
    /// [`AuditLog::rotate`].
    Rotate,
    /// [`AuditLog::seal`].
    Seal,
}

/// A log with something before each of its calls that may fail.
#[derive(Debug)]
pub struct InterceptedLog<I> {
    inner: Arc<dyn AuditLog>,
    before: I,
}

/// A log that refuses every call, until a test allows it, and logs what it refused.
pub type DenyingLog = InterceptedLog<Denial<LogCall>>;

/// A log that fails at chosen calls and logs all of them.
pub type FailingLog = InterceptedLog<FaultPlan<LogCall>>;

/// A log whose calls take time on a clock.
pub type SlowLog = InterceptedLog<Delay<LogCall>>;

impl DenyingLog {
    /// Denies every call until [`Self::denial`] is told otherwise.
    #[must_use]
    pub fn new(inner: Arc<dyn AuditLog>) -> Self {
        Self { inner, before: Denial::new() }
    }

    /// What is denied, and the log of what was.
    #[must_use]
    pub const fn denial(&self) -> &Denial<LogCall> {
        &self.before
    }
}

impl FailingLog {
    /// Passes every call on to `inner` until a fault is planned.
    #[must_use]
    pub fn new(inner: Arc<dyn AuditLog>) -> Self {
        Self { inner, before: FaultPlan::new() }
    }

    /// The plan and the log of calls.
    #[must_use]
    pub const fn plan(&self) -> &FaultPlan<LogCall> {
        &self.before
    }
}

impl SlowLog {
    /// Waits `delay` on `clock` before each call.
    #[must_use]
    pub fn new(inner: Arc<dyn AuditLog>, clock: Arc<dyn Clock>, delay: Duration) -> Self {
        Self { inner, before: Delay::new(clock, delay) }
    }
}

#[async_trait]
impl<I: Intercept<LogCall>> AuditLog for InterceptedLog<I> {
    async fn public_key(&self) -> PublicKey {
        self.inner.public_key().await
    }

    async fn head(&self) -> Result<Option<Checkpoint>, AuditError> {
        let error = |kind| AuditError::new(kind, "head");
        self.before.intercept(LogCall::Head, error, self.inner.head()).await
    }

    async fn seal(&self, through: Position) -> Result<Checkpoint, AuditError> {
        let error = |kind| AuditError::new(kind, "seal");
        self.before.intercept(LogCall::Seal, error, self.inner.seal(through)).await
    }

    async fn receipt(&self, index: Position) -> Result<Receipt, AuditError> {
        let error = |kind| AuditError::new(kind, "prove");
        self.before.intercept(LogCall::Receipt, error, self.inner.receipt(index)).await
    }

    async fn includes(&self, events: &[Event]) -> Result<(), AuditError> {
        let error = |kind| AuditError::new(kind, "compare");
        self.before.intercept(LogCall::Includes, error, self.inner.includes(events)).await
    }

    async fn has_signer(&self, key: &PublicKey) -> bool {
        self.inner.has_signer(key).await
    }

    async fn rotate(&self, next: &PublicKey) -> Result<(), AuditError> {
        let error = |kind| AuditError::new(kind, "rotate");
        self.before.intercept(LogCall::Rotate, error, self.inner.rotate(next)).await
    }
}
