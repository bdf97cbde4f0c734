use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use custody_core::seam::{Batch, Clock, Event, Position, Record, RecordKey, Store, StoreError};

use crate::fault::{Delay, Denial, Fault, FaultPlan, Intercept};

/// The calls of a store.
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

/// A store with something before each of its calls.
#[derive(Debug)]
pub struct InterceptedStore<S, I> {
    inner: S,
    before: I,
}

/// A store that refuses every commit, until a test allows it, and logs what it refused.
pub type DenyingStore<S> = InterceptedStore<S, Denial<StoreCall>>;

/// A store that fails at chosen calls and logs all of them.
pub type FaultyStore<S> = InterceptedStore<S, FaultPlan<StoreCall>>;

/// A store whose calls take time on a clock.
pub type SlowStore<S> = InterceptedStore<S, Delay<StoreCall>>;

impl<S: Store> DenyingStore<S> {
    /// Denies every commit until [`Self::denial`] is told otherwise; reads are passed on.
    #[must_use]
    pub fn new(inner: S) -> Self {
        Self { inner, before: Denial::of(&[StoreCall::Commit]) }
    }

    /// What is denied, and the log of what was.
    #[must_use]
    pub const fn denial(&self) -> &Denial<StoreCall> {
        &self.before
    }
}

impl<S: Store> FaultyStore<S> {
    /// Passes every call on to `inner` until a fault is planned.
    #[must_use]
    pub fn new(inner: S) -> Self {
        Self { inner, before: FaultPlan::new() }
    }

    /// Plans a fault for call number `nth` of `call`, counted from 0 since the beginning.
    pub fn fail(&self, call: StoreCall, nth: usize, fault: Fault) {
        self.before.at(call, nth, fault);
    }

    /// The plan and the log of calls.
    #[must_use]
    pub const fn plan(&self) -> &FaultPlan<StoreCall> {
        &self.before
    }
}

impl<S: Store> SlowStore<S> {
    /// Waits `delay` on `clock` before each call.
    #[must_use]
    pub fn new(inner: S, clock: Arc<dyn Clock>, delay: Duration) -> Self {
        Self { inner, before: Delay::new(clock, delay) }
    }
}

impl<S: Store, I> InterceptedStore<S, I> {
    /// The store behind it.
    #[must_use]
    pub const fn inner(&self) -> &S {
        &self.inner
    }
}

#[async_trait]
impl<S: Store, I: Intercept<StoreCall>> Store for InterceptedStore<S, I> {
    async fn head(&self) -> Result<Position, StoreError> {
        let error = |kind| StoreError::new(kind, "head");
        self.before.intercept(StoreCall::Head, error, self.inner.head()).await
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        let error = |kind| StoreError::new(kind, "get");
        self.before.intercept(StoreCall::Get, error, self.inner.get(key)).await
    }

    async fn scan(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
        limit: u16,
    ) -> Result<Vec<Record>, StoreError> {
        let error = |kind| StoreError::new(kind, "scan");
        let inner = self.inner.scan(prefix, after, limit);
        self.before.intercept(StoreCall::Scan, error, inner).await
    }

    async fn commit(&self, expected: Position, batch: Batch) -> Result<Position, StoreError> {
        let error = |kind| StoreError::new(kind, "commit");
        let inner = self.inner.commit(expected, batch);
        self.before.intercept(StoreCall::Commit, error, inner).await
    }

    async fn events(&self, from: Position, limit: u16) -> Result<Vec<Event>, StoreError> {
        let error = |kind| StoreError::new(kind, "events");
        self.before.intercept(StoreCall::Events, error, self.inner.events(from, limit)).await
    }
}
