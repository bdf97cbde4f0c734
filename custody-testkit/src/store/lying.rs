use async_trait::async_trait;
use custody_core::seam::{Batch, ErrorKind, Event, Position, Record, RecordKey, Store, StoreError};

use super::MemoryStore;

/// How a [`LyingStore`] breaks the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreLie {
    /// A batch without events is written.
    AcceptsEmptyBatch,
    /// Values lose their last byte.
    CutsValues,
    /// Events are handed out without every second one.
    EventsWithGaps,
    /// A commit is acknowledged and not written.
    ForgetsCommits,
    /// The expected position is not compared.
    IgnoresExpected,
    /// An insert writes over an existing record.
    IgnoresInserts,
    /// A scan does not mind its limit.
    IgnoresLimit,
    /// A scan hands out records of every key.
    IgnoresPrefix,
    /// Records of a refused batch are written all the same.
    KeepsPartOfConflicts,
    /// Keys are compared without their case.
    LowersKeys,
    /// A scan hands out records in reverse order.
    ReversesScans,
    /// A scan begins with the record it should come after.
    ScansFromAfter,
}

/// A store that breaks the contract in one way, to show that a check finds it.
#[derive(Clone, Debug)]
pub struct LyingStore {
    inner: MemoryStore,
    lie: StoreLie,
}

impl LyingStore {
    /// An empty store with this lie.
    #[must_use]
    pub fn new(lie: StoreLie) -> Self {
        Self { inner: MemoryStore::new(), lie }
    }

    fn tells(&self, lie: StoreLie) -> bool {
        self.lie == lie
    }

    fn key(&self, key: &RecordKey) -> RecordKey {
        let text = key.as_str();
        let lowered = self.tells(StoreLie::LowersKeys).then(|| text.to_lowercase());
        RecordKey::parse(lowered.as_deref().unwrap_or(text)).unwrap()
    }

    async fn bend(&self, expected: &mut Position, batch: &mut Batch) {
        if self.tells(StoreLie::IgnoresExpected) {
            *expected = self.inner.head().await.unwrap();
        }
        if self.tells(StoreLie::IgnoresInserts) {
            batch.puts.append(&mut batch.inserts);
        }
        for record in batch.inserts.iter_mut().chain(&mut batch.puts) {
            record.key = self.key(&record.key);
            if self.tells(StoreLie::CutsValues) {
                let _last = record.value.pop();
            }
        }
    }
}

#[async_trait]
impl Store for LyingStore {
    async fn head(&self) -> Result<Position, StoreError> {
        self.inner.head().await
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        let found = self.inner.get(&self.key(key)).await?;
        Ok(found.map(|record| Record { key: key.clone(), value: record.value }))
    }

    async fn scan(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
        limit: u16,
    ) -> Result<Vec<Record>, StoreError> {
        let mut all = self.inner.records();
        let prefix = self.key(prefix);
        all.retain(|record| {
            let inside = record.key.as_str().starts_with(prefix.as_str());
            let from = self.tells(StoreLie::ScansFromAfter);
            let late =
                after.is_none_or(|after| record.key > *after || from && record.key == *after);
            late && (inside || self.tells(StoreLie::IgnoresPrefix))
        });
        if self.tells(StoreLie::ReversesScans) {
            all.reverse();
        }
        if !self.tells(StoreLie::IgnoresLimit) {
            all.truncate(usize::from(limit));
        }
        Ok(all)
    }

    async fn commit(
        &self,
        mut expected: Position,
        mut batch: Batch,
    ) -> Result<Position, StoreError> {
        self.bend(&mut expected, &mut batch).await;
        if self.tells(StoreLie::ForgetsCommits) && !batch.events.is_empty() {
            return Ok(expected.plus(batch.events.len() as u64));
        }
        let kept = batch.clone();
        let answer = self.inner.commit(expected, batch).await;
        let kind = answer.as_ref().map_err(StoreError::kind).err();
        let keeps = match kind {
            Some(ErrorKind::Refused) => self.tells(StoreLie::AcceptsEmptyBatch),
            Some(ErrorKind::Conflict) => self.tells(StoreLie::KeepsPartOfConflicts),
            Some(_) | None => false,
        };
        if keeps {
            kept.puts.into_iter().for_each(|record| {
                self.inner.replace_record(&record.key, record.value);
            });
        }
        if keeps && self.tells(StoreLie::AcceptsEmptyBatch) {
            return Ok(expected);
        }
        answer
    }

    async fn events(&self, from: Position, limit: u16) -> Result<Vec<Event>, StoreError> {
        let events = self.inner.events(from, limit).await?;
        let gaps = self.tells(StoreLie::EventsWithGaps);
        Ok(events.into_iter().filter(|event| !gaps || event.position.value() % 2 == 0).collect())
    }
}
