use async_trait::async_trait;
use custody_core::crypto::PublicKey;
use custody_core::seam::{
    AnchorError, AuditError, AuditLog, Batch, Checkpoint, Event, Head, HeadAnchor, Position,
    Receipt, Record, RecordKey, Store, StoreError,
};

use super::Pointed;

#[async_trait]
impl Store for Pointed<dyn Store> {
    async fn head(&self) -> Result<Position, StoreError> {
        let error = |kind| StoreError::new(kind, "head");
        self.points.call("store.head", error, self.inner.head()).await
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        let error = |kind| StoreError::new(kind, "get");
        self.points.call("store.get", error, self.inner.get(key)).await
    }

    async fn scan(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
        limit: u16,
    ) -> Result<Vec<Record>, StoreError> {
        let error = |kind| StoreError::new(kind, "scan");
        self.points.call("store.scan", error, self.inner.scan(prefix, after, limit)).await
    }

    async fn commit(&self, expected: Position, batch: Batch) -> Result<Position, StoreError> {
        let error = |kind| StoreError::new(kind, "commit");
        self.points.call("store.commit", error, self.inner.commit(expected, batch)).await
    }

    async fn events(&self, from: Position, limit: u16) -> Result<Vec<Event>, StoreError> {
        let error = |kind| StoreError::new(kind, "events");
        self.points.call("store.events", error, self.inner.events(from, limit)).await
    }
}

#[async_trait]
impl AuditLog for Pointed<dyn AuditLog> {
    async fn public_key(&self) -> PublicKey {
        self.points.plain("log.public_key", self.inner.public_key()).await
    }

    async fn head(&self) -> Result<Option<Checkpoint>, AuditError> {
        let error = |kind| AuditError::new(kind, "head");
        self.points.call("log.head", error, self.inner.head()).await
    }

    async fn seal(&self, through: Position) -> Result<Checkpoint, AuditError> {
        let error = |kind| AuditError::new(kind, "seal");
        self.points.call("log.seal", error, self.inner.seal(through)).await
    }

    async fn receipt(&self, index: Position) -> Result<Receipt, AuditError> {
        let error = |kind| AuditError::new(kind, "prove");
        self.points.call("log.receipt", error, self.inner.receipt(index)).await
    }

    async fn includes(&self, events: &[Event]) -> Result<(), AuditError> {
        let error = |kind| AuditError::new(kind, "compare");
        self.points.call("log.includes", error, self.inner.includes(events)).await
    }

    async fn has_signer(&self, key: &PublicKey) -> bool {
        self.points.plain("log.has_signer", self.inner.has_signer(key)).await
    }

    async fn rotate(&self, next: &PublicKey) -> Result<(), AuditError> {
        let error = |kind| AuditError::new(kind, "rotate");
        self.points.call("log.rotate", error, self.inner.rotate(next)).await
    }
}

#[async_trait]
impl HeadAnchor for Pointed<dyn HeadAnchor> {
    async fn load(&self) -> Result<Option<Head>, AnchorError> {
        let error = |kind| AnchorError::new(kind, "load");
        self.points.call("anchor.load", error, self.inner.load()).await
    }

    async fn advance(&self, old: Option<Head>, new: Head) -> Result<(), AnchorError> {
        let error = |kind| AnchorError::new(kind, "advance");
        self.points.call("anchor.advance", error, self.inner.advance(old, new)).await
    }
}
