use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use custody_core::seam::{Batch, ErrorKind, Event, Position, Record, RecordKey, Store, StoreError};

use crate::referee::Referee;
use crate::sabotage::Sabotage;
use crate::weather::{Fate, Odds, Weather};

/// What is on the disk, whatever becomes of the process. Clones are one disk.
///
/// A batch is on it as a whole or not at all, as the contract of a store says. What SQLite makes
/// of torn pages, and of writes that a crash has cut short or dropped, is tested below the real
/// store: in `examples/start/tests/disk` and in the tests of `custody-store`.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    content: Arc<Mutex<Content>>,
    referee: Referee,
}

/// Everything on a disk at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    pub(crate) records: BTreeMap<RecordKey, Vec<u8>>,
    pub(crate) events: Vec<Vec<u8>>,
    /// The batches, newest last.
    undo: Vec<Before>,
}

/// How it was before a batch.
#[derive(Clone, Debug)]
struct Before {
    events: usize,
    /// The records that the batch wrote, the last one first; none if there was none.
    records: Vec<(RecordKey, Option<Vec<u8>>)>,
}

/// The store of one life over a disk. Clones are one store.
#[derive(Clone, Debug)]
pub(crate) struct DiskStore {
    disk: Disk,
    weather: Weather,
    sabotage: Option<Sabotage>,
    poisoned: Arc<AtomicBool>,
}

impl Disk {
    pub(crate) fn new(referee: Referee) -> Self {
        Self { content: Arc::default(), referee }
    }

    pub(crate) fn open(&self, weather: Weather, sabotage: Option<Sabotage>) -> DiskStore {
        DiskStore { disk: self.clone(), weather, sabotage, poisoned: Arc::default() }
    }

    /// How many events there are.
    pub(crate) fn events(&self) -> usize {
        self.content().events.len()
    }

    pub(crate) fn snapshot(&self) -> Content {
        self.content().clone()
    }

    pub(crate) fn restore(&self, content: Content) {
        *self.content() = content;
    }

    /// Takes back the newest batch; tells how many events are left.
    pub(crate) fn lose_batch(&self) -> usize {
        let mut content = self.content();
        if let Some(Before { events, records }) = content.undo.pop() {
            content.events.truncate(events);
            for (key, before) in records {
                match before {
                    Some(value) => drop(content.records.insert(key, value)),
                    None => drop(content.records.remove(&key)),
                }
            }
        }
        content.events.len()
    }

    /// Takes away the records under a prefix.
    pub(crate) fn lose_records(&self, prefix: &str) {
        self.content().records.retain(|key, _| !key.as_str().starts_with(prefix));
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap()
    }

    fn write(&self, expected: Position, batch: Batch) -> Result<Position, ErrorKind> {
        let mut content = self.content();
        content.check(expected, &batch)?;
        self.referee.durable(expected.value(), &batch);
        content.apply(batch);
        Ok(content.head())
    }
}

impl Content {
    pub(crate) fn head(&self) -> Position {
        Position::new(self.events.len() as u64)
    }

    fn check(&self, expected: Position, batch: &Batch) -> Result<(), ErrorKind> {
        let mut keys: Vec<_> = batch.inserts.iter().map(|record| &record.key).collect();
        keys.sort();
        let twice = keys.windows(2).any(|pair| pair[0] == pair[1]);
        let exists = keys.iter().any(|key| self.records.contains_key(key));
        if self.head() != expected || twice || exists {
            return Err(ErrorKind::Conflict);
        }
        if batch.events.is_empty() { Err(ErrorKind::Refused) } else { Ok(()) }
    }

    fn apply(&mut self, batch: Batch) {
        let events = self.events.len();
        let mut records = Vec::new();
        for record in batch.inserts.into_iter().chain(batch.puts) {
            records.push((record.key.clone(), self.records.insert(record.key, record.value)));
        }
        records.reverse();
        self.undo.push(Before { events, records });
        self.events.extend(batch.events);
    }
}

impl DiskStore {
    async fn read<T: Send>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Content) -> T + Send,
    ) -> Result<T, StoreError> {
        let odds = self.weather.sky().reads;
        let failed = || StoreError::new(ErrorKind::Unavailable, operation);
        self.weather.pass(&odds).await;
        let fate = self.weather.fate(operation, &odds);
        fate.strike_before().await;
        if fate == Fate::FailsBefore || self.refuses() {
            return Err(failed());
        }
        let found = read(&self.disk.content());
        fate.strike_after().await;
        Ok(found)
    }

    /// Whether it cannot be reached, is closed, or an fsync has failed: then it must be opened
    /// again.
    fn refuses(&self) -> bool {
        self.poisoned.load(Ordering::SeqCst) || self.weather.is_out() || self.weather.is_over()
    }

    async fn write(self, expected: Position, batch: Batch) -> Result<Position, StoreError> {
        let odds: Odds = self.weather.sky().commits;
        let failed = |kind| StoreError::new(kind, "commit");
        self.weather.pass(&odds).await;
        let fate = self.weather.fate("commit", &odds);
        fate.strike_before().await;
        if self.refuses() {
            return Err(failed(ErrorKind::Unavailable));
        }
        if fate == Fate::FailsBefore {
            return Err(failed(self.failure()));
        }
        let batch = self.kept(expected, batch);
        let (events, records) = (batch.events.len(), batch.inserts.len() + batch.puts.len());
        let written = self.disk.write(expected, batch).map_err(failed)?;
        self.weather.trace.note(format_args!(
            "disk: {events} events and {records} records, now {written} events"
        ));
        if self.denies() {
            return Err(failed(ErrorKind::Unavailable));
        }
        self.weather.pass(&odds).await;
        fate.strike_after().await;
        if fate == Fate::FailsAfter {
            self.poisoned.fetch_or(self.weather.dice.chance(300), Ordering::SeqCst);
            return Err(failed(self.weather.doubt()));
        }
        Ok(written)
    }

    /// Whether a sabotaged store says that a commit did not happen that did.
    fn denies(&self) -> bool {
        let is_sabotaged = self.sabotage == Some(Sabotage::StoreDenies);
        is_sabotaged && !self.weather.sky().is_calm && self.weather.dice.chance(50)
    }

    /// How a commit fails that did not happen: clearly, or after a failed fsync.
    fn failure(&self) -> ErrorKind {
        if self.weather.dice.chance(600) {
            return ErrorKind::Unavailable;
        }
        self.poisoned.fetch_or(self.weather.dice.chance(300), Ordering::SeqCst);
        self.weather.doubt()
    }

    /// What is kept of a batch: all of it, unless the store is sabotaged.
    fn kept(&self, expected: Position, batch: Batch) -> Batch {
        let forgets = self.sabotage == Some(Sabotage::StoreForgetsRecords)
            && expected > Position::START
            && self.weather.dice.chance(50);
        if !forgets {
            return batch;
        }
        self.weather.trace.note(format_args!("sabotage: the records at {expected} are forgotten"));
        Batch { inserts: Vec::new(), puts: Vec::new(), events: batch.events }
    }
}

#[async_trait]
impl Store for DiskStore {
    async fn head(&self) -> Result<Position, StoreError> {
        self.read("head", Content::head).await
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        let value = self.read("get", |content| content.records.get(key).cloned()).await?;
        Ok(value.map(|value| Record { key: key.clone(), value }))
    }

    async fn scan(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
        limit: u16,
    ) -> Result<Vec<Record>, StoreError> {
        let found = |content: &Content| {
            let records = content.records.range(prefix..);
            let inside = records.take_while(|(key, _)| key.as_str().starts_with(prefix.as_str()));
            let late = inside.filter(|(key, _)| after.is_none_or(|after| *key > after));
            late.take(usize::from(limit))
                .map(|(key, value)| Record { key: key.clone(), value: value.clone() })
                .collect()
        };
        self.read("scan", found).await
    }

    async fn commit(&self, expected: Position, batch: Batch) -> Result<Position, StoreError> {
        self.disk.referee.begins("a commit");
        self.weather.make(self.clone().write(expected, batch)).await
    }

    async fn events(&self, from: Position, limit: u16) -> Result<Vec<Event>, StoreError> {
        let found = |content: &Content| {
            let events = content.events.iter().enumerate();
            let first = usize::try_from(from.value()).unwrap_or(usize::MAX);
            events
                .skip(first)
                .take(usize::from(limit))
                .map(|(at, bytes)| Event {
                    position: Position::new(at as u64),
                    bytes: bytes.clone(),
                })
                .collect()
        };
        self.read("events", found).await
    }
}
