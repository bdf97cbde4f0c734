use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::error::seam_error;

seam_error! {
    /// A store failed.
    StoreError, "the store"
}

/// Keeps records and the event stream, atomically.
///
/// Events are numbered from 0; a position is a number of events, which is the size of the tree
/// over them.
#[async_trait]
pub trait Store: Debug + Send + Sync {
    /// The number of durable events.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be read.
    async fn head(&self) -> Result<Position, StoreError>;

    /// The record under `key`.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be read, `Corrupt` if it is damaged.
    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, StoreError>;

    /// Records whose keys begin with `prefix`, in byte order of their keys, after `after`, at most
    /// `limit` of them.
    ///
    /// # Errors
    /// As for [`Self::get`].
    async fn scan(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
        limit: u16,
    ) -> Result<Vec<Record>, StoreError>;

    /// Appends events and writes records, all or nothing, only if the number of events is still
    /// `expected`; durable on return. Returns the new number of events.
    ///
    /// # Errors
    /// `Conflict` if the number of events is another or an inserted key exists (nothing was
    /// written); `Refused` for a batch without events; `Unavailable` if nothing was written;
    /// `Indeterminate` if it may have been. After a failed fsync the store must refuse all calls,
    /// reads too (`Unavailable`), until it is reopened: what it would read may not be on the disk.
    async fn commit(&self, expected: Position, batch: Batch) -> Result<Position, StoreError>;

    /// Events from position `from` on (the first one returned is number `from`), at most `limit`,
    /// in order and without gaps.
    ///
    /// # Errors
    /// As for [`Self::get`].
    async fn events(&self, from: Position, limit: u16) -> Result<Vec<Event>, StoreError>;
}

/// A number of events.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(u64);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// After `events` events.
    #[must_use]
    pub const fn new(events: u64) -> Self {
        Self(events)
    }

    /// The number of events.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The position `events` events later.
    #[must_use]
    pub const fn plus(self, events: u64) -> Self {
        Self(self.0.saturating_add(events))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The key of a record: 1 to 512 bytes of visible ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey(Arc<str>);

impl RecordKey {
    /// Parses a key.
    ///
    /// # Errors
    /// Fails on an empty or too long text and on a byte that is not visible ASCII.
    pub fn parse(text: &str) -> Result<Self, RecordKeyError> {
        if text.is_empty() || text.len() > 512 || text.bytes().any(|byte| !byte.is_ascii_graphic())
        {
            return Err(RecordKeyError { length: text.len() });
        }
        Ok(Self(text.into()))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not a record key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record key has 1 to 512 bytes of visible ASCII; this text has {length} bytes")]
#[non_exhaustive]
pub struct RecordKeyError {
    /// Length found, in bytes.
    pub length: usize,
}

/// A record: bytes under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "stores build it")]
pub struct Record {
    /// Its key.
    pub key: RecordKey,
    /// Its bytes.
    pub value: Vec<u8>,
}

/// An event as it is stored and hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "stores build it")]
pub struct Event {
    /// The number of events before it, which is its index in the tree.
    pub position: Position,
    /// Its bytes, verbatim.
    pub bytes: Vec<u8>,
}

/// What one commit writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "stores take it apart")]
pub struct Batch {
    /// Records that must not exist yet.
    pub inserts: Vec<Record>,
    /// Records to write one after the other, whether they exist or not: of two under one key the last
    /// stays.
    pub puts: Vec<Record>,
    /// Events to append, in order; at least one.
    pub events: Vec<Vec<u8>>,
}
