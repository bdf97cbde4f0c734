//! The log, timed.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use custody_core::crypto::PublicKey;
use custody_core::seam::{AuditError, AuditLog, Checkpoint, Event, Position, Receipt};

use super::{Stage, Stages};

/// A log whose seals are timed.
#[derive(Debug)]
pub struct TimedLog {
    log: Arc<dyn AuditLog>,
    stages: Arc<Stages>,
}

impl TimedLog {
    /// Times the seals of `log`.
    #[must_use]
    pub fn new(log: Arc<dyn AuditLog>, stages: Arc<Stages>) -> Self {
        Self { log, stages }
    }
}

#[async_trait]
impl AuditLog for TimedLog {
    async fn public_key(&self) -> PublicKey {
        self.log.public_key().await
    }

    async fn head(&self) -> Result<Option<Checkpoint>, AuditError> {
        self.log.head().await
    }

    async fn seal(&self, through: Position) -> Result<Checkpoint, AuditError> {
        let since = Instant::now();
        let answer = self.log.seal(through).await;
        self.stages.record(Stage::Seal, since.elapsed());
        answer
    }

    async fn receipt(&self, index: Position) -> Result<Receipt, AuditError> {
        self.log.receipt(index).await
    }

    async fn includes(&self, events: &[Event]) -> Result<(), AuditError> {
        self.log.includes(events).await
    }

    async fn has_signer(&self, key: &PublicKey) -> bool {
        self.log.has_signer(key).await
    }

    async fn rotate(&self, next: &PublicKey) -> Result<(), AuditError> {
        self.log.rotate(next).await
    }
}
