use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use custody_core::seam::{Batch, ErrorKind, Event, Position, Record, RecordKey, Store, StoreError};

use crate::fault::Happened;

/// A store in memory that keeps the whole contract. Clones are one open store;
/// [`Self::reopen`] opens the same records and events anew.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    disk: Arc<Mutex<Disk>>,
    handle: Arc<Handle>,
}

#[derive(Debug, Default)]
struct Disk {
    content: StoreSnapshot,
    /// The next fsync fails; what was written may be there or not.
    failing_fsync: Option<Happened>,
}

#[derive(Debug, Default)]
struct Handle {
    closed: AtomicBool,
    poisoned: AtomicBool,
}

/// Everything a store holds, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreSnapshot {
    records: BTreeMap<RecordKey, Vec<u8>>,
    events: Vec<Vec<u8>>,
}

impl StoreSnapshot {
    /// The records, in the order of their keys.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let record = |(key, value): (&RecordKey, &Vec<u8>)| Record {
            key: key.clone(),
            value: value.clone(),
        };
        self.records.iter().map(record).collect()
    }

    /// The events' bytes, in order.
    #[must_use]
    pub fn events(&self) -> &[Vec<u8>] {
        &self.events
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the same records and events anew, as after a restart of the process.
    #[must_use]
    pub fn reopen(&self) -> Self {
        Self { disk: Arc::clone(&self.disk), handle: Arc::default() }
    }

    /// Closes this open store. A later commit through it panics: a write after close.
    pub fn close(&self) {
        self.handle.closed.store(true, Ordering::SeqCst);
    }

    /// Makes the fsync of the next commit fail: it answers `Indeterminate`, and this open store
    /// refuses all later calls. `happened` says whether the batch is there after a reopen.
    pub fn fail_next_fsync(&self, happened: Happened) {
        self.disk().failing_fsync = Some(happened);
    }

    /// All that it holds now.
    #[must_use]
    pub fn snapshot(&self) -> StoreSnapshot {
        self.disk().content.clone()
    }

    /// Puts an older (or other) content in place: a rollback that no event tells of.
    pub fn restore(&self, snapshot: &StoreSnapshot) {
        self.disk().content = snapshot.clone();
    }

    /// The records, in the order of their keys.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.disk().content.records()
    }

    /// Tampers with a record: other bytes under the key, whether it exists or not.
    pub fn replace_record(&self, key: &RecordKey, value: Vec<u8>) {
        self.disk().content.records.insert(key.clone(), value);
    }

    /// Tampers with a record: takes it away.
    ///
    /// # Panics
    /// If there is none.
    pub fn remove_record(&self, key: &RecordKey) {
        assert!(self.disk().content.records.remove(key).is_some(), "there is no record {key}");
    }

    /// Tampers with an event: other bytes at its position.
    ///
    /// # Panics
    /// If there is none.
    pub fn replace_event(&self, position: Position, bytes: Vec<u8>) {
        let mut disk = self.disk();
        let event = disk.content.events.get_mut(index(position));
        *event.unwrap_or_else(|| panic!("there is no event {position}")) = bytes;
    }

    /// Tampers with the stream: forgets all events from `position` on.
    pub fn truncate_events(&self, position: Position) {
        self.disk().content.events.truncate(index(position));
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap()
    }

    /// Fails if an fsync failed.
    fn check(&self) -> Result<(), ErrorKind> {
        let poisoned = self.handle.poisoned.load(Ordering::SeqCst);
        if poisoned { Err(ErrorKind::Unavailable) } else { Ok(()) }
    }

    fn write(&self, expected: Position, batch: Batch) -> Result<Position, ErrorKind> {
        assert!(!self.handle.closed.load(Ordering::SeqCst), "a commit after the store was closed");
        self.check()?;
        if batch.events.is_empty() {
            return Err(ErrorKind::Refused);
        }
        let mut disk = self.disk();
        disk.content.check(expected, &batch)?;
        let failing = disk.failing_fsync.take();
        if failing != Some(Happened::No) {
            disk.content.apply(batch);
        }
        if failing.is_some() {
            self.handle.poisoned.store(true, Ordering::SeqCst);
            return Err(ErrorKind::Indeterminate);
        }
        Ok(disk.content.head())
    }
}

impl StoreSnapshot {
    fn head(&self) -> Position {
        Position::new(self.events.len() as u64)
    }

    fn check(&self, expected: Position, batch: &Batch) -> Result<(), ErrorKind> {
        let mut inserted = BTreeSet::new();
        let exists = |record: &Record| self.records.contains_key(&record.key);
        let fresh = batch.inserts.iter().all(|r| !exists(r) && inserted.insert(&r.key));
        if self.head() == expected && fresh { Ok(()) } else { Err(ErrorKind::Conflict) }
    }

    fn apply(&mut self, batch: Batch) {
        let records = batch.inserts.into_iter().chain(batch.puts);
        self.records.extend(records.map(|record| (record.key, record.value)));
        self.events.extend(batch.events);
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn head(&self) -> Result<Position, StoreError> {
        self.check().map_err(|kind| StoreError::new(kind, "read its head"))?;
        Ok(self.disk().content.head())
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.check().map_err(|kind| StoreError::new(kind, "read a record"))?;
        let value = self.disk().content.records.get(key).cloned();
        Ok(value.map(|value| Record { key: key.clone(), value }))
    }

    async fn scan(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
        limit: u16,
    ) -> Result<Vec<Record>, StoreError> {
        self.check().map_err(|kind| StoreError::new(kind, "scan records"))?;
        let disk = self.disk();
        let found = disk
            .content
            .records
            .range(prefix..)
            .take_while(|(key, _)| key.as_str().starts_with(prefix.as_str()))
            .filter(|(key, _)| after.is_none_or(|after| *key > after))
            .take(usize::from(limit))
            .map(|(key, value)| Record { key: key.clone(), value: value.clone() });
        Ok(found.collect())
    }

    async fn commit(&self, expected: Position, batch: Batch) -> Result<Position, StoreError> {
        self.write(expected, batch).map_err(|kind| StoreError::new(kind, "commit"))
    }

    async fn events(&self, from: Position, limit: u16) -> Result<Vec<Event>, StoreError> {
        self.check().map_err(|kind| StoreError::new(kind, "read events"))?;
        let disk = self.disk();
        let events = disk.content.events.iter().enumerate().skip(index(from));
        let event = |(at, bytes): (usize, &Vec<u8>)| Event {
            position: Position::new(at as u64),
            bytes: bytes.clone(),
        };
        Ok(events.take(usize::from(limit)).map(event).collect())
    }
}

fn index(position: Position) -> usize {
    usize::try_from(position.value()).unwrap_or(usize::MAX)
}
