use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{Either, select};
use futures::poll;

use crate::crypto::PublicKey;
use crate::seam::{
    AnchorError, AuditError, AuditLog, Batch, Checkpoint, Clock, ErrorKind, Event, Head,
    HeadAnchor, Monotonic, Position, Receipt, Record, RecordKey, Store, StoreError,
};

/// How long a call may take, and by which clock.
#[derive(Clone)]
pub(crate) struct Limit {
    clock: Arc<dyn Clock>,
    limit: Duration,
}

impl Limit {
    pub(crate) fn new(clock: Arc<dyn Clock>, limit: Duration) -> Self {
        Self { clock, limit }
    }

    /// When a call that begins now is given up.
    pub(crate) fn deadline(&self) -> Monotonic {
        self.clock.monotonic().saturating_add(self.limit)
    }

    /// Waits for `call`; nothing if time ran out. A call that has its answer at once needs no timer.
    pub(crate) async fn of<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        let mut call = pin!(call);
        if let std::task::Poll::Ready(answer) = poll!(call.as_mut()) {
            return Some(answer);
        }
        match select(call, self.clock.sleep_until(self.deadline())).await {
            Either::Left((answer, _)) => Some(answer),
            Either::Right(((), _)) => None,
        }
    }
}

/// A store, log or anchor whose calls end in time. What was asked of one that hangs may still
/// happen.
pub(crate) struct Limited<T: ?Sized> {
    inner: Arc<T>,
    limit: Limit,
}

impl<T: ?Sized> Limited<T> {
    pub(crate) const fn new(inner: Arc<T>, limit: Limit) -> Self {
        Self { inner, limit }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Limited<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

const LOST: ErrorKind = ErrorKind::Indeterminate;
const HANGS: ErrorKind = ErrorKind::Unavailable;

#[async_trait]
impl Store for Limited<dyn Store> {
    async fn head(&self) -> Result<Position, StoreError> {
        let answer = self.limit.of(self.inner.head()).await;
        answer.unwrap_or(Err(StoreError::new(HANGS, "read its head in time")))
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        let answer = self.limit.of(self.inner.get(key)).await;
        answer.unwrap_or(Err(StoreError::new(HANGS, "read a record in time")))
    }

    async fn scan(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
        limit: u16,
    ) -> Result<Vec<Record>, StoreError> {
        let answer = self.limit.of(self.inner.scan(prefix, after, limit)).await;
        answer.unwrap_or(Err(StoreError::new(HANGS, "scan records in time")))
    }

    async fn commit(&self, expected: Position, batch: Batch) -> Result<Position, StoreError> {
        let answer = self.limit.of(self.inner.commit(expected, batch)).await;
        answer.unwrap_or(Err(StoreError::new(LOST, "commit in time")))
    }

    async fn events(&self, from: Position, limit: u16) -> Result<Vec<Event>, StoreError> {
        let answer = self.limit.of(self.inner.events(from, limit)).await;
        answer.unwrap_or(Err(StoreError::new(HANGS, "read events in time")))
    }
}

#[async_trait]
impl AuditLog for Limited<dyn AuditLog> {
    async fn public_key(&self) -> PublicKey {
        self.inner.public_key().await
    }

    async fn head(&self) -> Result<Option<Checkpoint>, AuditError> {
        let answer = self.limit.of(self.inner.head()).await;
        answer.unwrap_or(Err(AuditError::new(HANGS, "read its head in time")))
    }

    async fn seal(&self, through: Position) -> Result<Checkpoint, AuditError> {
        let answer = self.limit.of(self.inner.seal(through)).await;
        answer.unwrap_or(Err(AuditError::new(LOST, "sign a head in time")))
    }

    async fn receipt(&self, index: Position) -> Result<Receipt, AuditError> {
        let answer = self.limit.of(self.inner.receipt(index)).await;
        answer.unwrap_or(Err(AuditError::new(HANGS, "prove an entry in time")))
    }

    async fn includes(&self, events: &[Event]) -> Result<(), AuditError> {
        let answer = self.limit.of(self.inner.includes(events)).await;
        answer.unwrap_or(Err(AuditError::new(HANGS, "check events in time")))
    }

    async fn has_signer(&self, key: &PublicKey) -> bool {
        self.limit.of(self.inner.has_signer(key)).await.unwrap_or(false)
    }

    async fn rotate(&self, next: &PublicKey) -> Result<(), AuditError> {
        let answer = self.limit.of(self.inner.rotate(next)).await;
        answer.unwrap_or(Err(AuditError::new(LOST, "rotate its key in time")))
    }
}

#[async_trait]
impl HeadAnchor for Limited<dyn HeadAnchor> {
    async fn load(&self) -> Result<Option<Head>, AnchorError> {
        let answer = self.limit.of(self.inner.load()).await;
        answer.unwrap_or(Err(AnchorError::new(HANGS, "load the head in time")))
    }

    async fn advance(&self, old: Option<Head>, new: Head) -> Result<(), AnchorError> {
        let answer = self.limit.of(self.inner.advance(old, new)).await;
        answer.unwrap_or(Err(AnchorError::new(LOST, "advance the head in time")))
    }
}
