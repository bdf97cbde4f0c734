use async_trait::async_trait;
use custody_core::seam::{Batch, Event, Position, Record, RecordKey, Store, StoreError};

use crate::fault::{Fault, FaultPlan};

/// The calls of a store, as [`FaultyStore`] plans and logs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the calls of the seam")]
pub enum StoreCall {
    /// [`Store::commit`].
    Commit,
    /// [`Store::events`].
    Events,
    /// [`Store::get`].
    Get,
    /// [`Store::head`].
    Head,
    /// [`Store::scan`].
    Scan,
}

/// A store that fails at chosen calls and logs all of them.
#[derive(Debug)]
pub struct FaultyStore<S> {
    inner: S,
    plan: FaultPlan<StoreCall>,
}

impl<S: Store> FaultyStore<S> {
    /// Passes every call on to `inner` until a fault is planned.
    #[must_use]
    pub fn new(inner: S) -> Self {
        Self { inner, plan: FaultPlan::new() }
    }

    /// Plans a fault for call number `nth` of `call`, counted from 0 since the beginning.
    pub fn fail(&self, call: StoreCall, nth: usize, fault: Fault) {
        self.plan.at(call, nth, fault);
    }

    /// The plan and the log of calls.
    #[must_use]
    pub const fn plan(&self) -> &FaultPlan<StoreCall> {
        &self.plan
    }

    /// The store behind it.
    #[must_use]
    pub const fn inner(&self) -> &S {
        &self.inner
    }
}

#[async_trait]
impl<S: Store> Store for FaultyStore<S> {
    async fn head(&self) -> Result<Position, StoreError> {
        let error = |kind| StoreError::new(kind, "head");
        self.plan.call(StoreCall::Head, error, self.inner.head()).await
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        let error = |kind| StoreError::new(kind, "get");
        self.plan.call(StoreCall::Get, error, self.inner.get(key)).await
    }

    async fn scan(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
        limit: u16,
    ) -> Result<Vec<Record>, StoreError> {
        let error = |kind| StoreError::new(kind, "scan");
        self.plan.call(StoreCall::Scan, error, self.inner.scan(prefix, after, limit)).await
    }

    async fn commit(&self, expected: Position, batch: Batch) -> Result<Position, StoreError> {
        let error = |kind| StoreError::new(kind, "commit");
        self.plan.call(StoreCall::Commit, error, self.inner.commit(expected, batch)).await
    }

    async fn events(&self, from: Position, limit: u16) -> Result<Vec<Event>, StoreError> {
        let error = |kind| StoreError::new(kind, "events");
        self.plan.call(StoreCall::Events, error, self.inner.events(from, limit)).await
    }
}
