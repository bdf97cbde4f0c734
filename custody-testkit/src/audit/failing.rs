use std::sync::Arc;

use async_trait::async_trait;
use custody_core::crypto::PublicKey;
use custody_core::seam::{AuditError, AuditLog, Checkpoint, Event, Position, Receipt};

use crate::fault::FaultPlan;

/// The calls of a log, as [`FailingLog`] plans and logs them.
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

/// A log that fails at chosen calls and logs all of them.
#[derive(Debug)]
pub struct FailingLog {
    inner: Arc<dyn AuditLog>,
    plan: FaultPlan<LogCall>,
}

impl FailingLog {
    /// Passes every call on to `inner` until a fault is planned.
    #[must_use]
    pub fn new(inner: Arc<dyn AuditLog>) -> Self {
        Self { inner, plan: FaultPlan::new() }
    }

    /// The plan and the log of calls.
    #[must_use]
    pub const fn plan(&self) -> &FaultPlan<LogCall> {
        &self.plan
    }
}

#[async_trait]
impl AuditLog for FailingLog {
    async fn public_key(&self) -> PublicKey {
        self.inner.public_key().await
    }

    async fn head(&self) -> Result<Option<Checkpoint>, AuditError> {
        let error = |kind| AuditError::new(kind, "head");
        self.plan.call(LogCall::Head, error, self.inner.head()).await
    }

    async fn seal(&self, through: Position) -> Result<Checkpoint, AuditError> {
        let error = |kind| AuditError::new(kind, "seal");
        self.plan.call(LogCall::Seal, error, self.inner.seal(through)).await
    }

    async fn receipt(&self, index: Position) -> Result<Receipt, AuditError> {
        let error = |kind| AuditError::new(kind, "prove");
        self.plan.call(LogCall::Receipt, error, self.inner.receipt(index)).await
    }

    async fn includes(&self, events: &[Event]) -> Result<(), AuditError> {
        let error = |kind| AuditError::new(kind, "compare");
        self.plan.call(LogCall::Includes, error, self.inner.includes(events)).await
    }

    async fn has_signer(&self, key: &PublicKey) -> bool {
        self.inner.has_signer(key).await
    }

    async fn rotate(&self, next: &PublicKey) -> Result<(), AuditError> {
        let error = |kind| AuditError::new(kind, "rotate");
        self.plan.call(LogCall::Rotate, error, self.inner.rotate(next)).await
    }
}
