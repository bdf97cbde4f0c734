//! The store, timed.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use custody_core::seam::{Batch, Event, Position, Record, RecordKey, Store, StoreError};

use super::{Stage, Stages};

/// A store whose commits are timed.
#[derive(Debug)]
pub struct TimedStore {
    store: Arc<dyn Store>,
    stages: Arc<Stages>,
}

impl TimedStore {
    /// Times the commits of `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, stages: Arc<Stages>) -> Self {
        Self { store, stages }
    }
}

#[async_trait]
impl Store for TimedStore {
    async fn head(&self) -> Result<Position, StoreError> {
        self.store.head().await
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.store.get(key).await
    }

    async fn scan(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
        limit: u16,
    ) -> Result<Vec<Record>, StoreError> {
        self.store.scan(prefix, after, limit).await
    }

    async fn commit(&self, expected: Position, batch: Batch) -> Result<Position, StoreError> {
        let since = Instant::now();
        let answer = self.store.commit(expected, batch).await;
        self.stages.record(Stage::Commit, since.elapsed());
        answer
    }

    async fn events(&self, from: Position, limit: u16) -> Result<Vec<Event>, StoreError> {
        self.store.events(from, limit).await
    }
}
