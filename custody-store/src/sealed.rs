//! A store whose records and events are sealed. This file opens secrets.
//!
//! Invariant: nothing that a caller gave as a value or an event reaches the store below but inside
//! an envelope that is bound to its key or its position, and nothing comes back that did not open.

mod data_key;
mod error;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use custody_core::envelope;
use custody_core::seam::{
    Batch, Entropy, ErrorKind, Event, KeyEncryption, Position, Record, RecordKey, Store, StoreError,
};
use custody_core::secret::Secret;

use data_key::{DataKey, Number};
pub use error::SealedStoreError;

/// Seals all record values and events of a store under data keys, which a [`KeyEncryption`] wraps.
///
/// Each value is one envelope of `custody_core::envelope` (AES-256-GCM), bound to its record's key;
/// each event is one bound to its position. The keys of records stay in clear, and so do numbers and
/// lengths. The data keys are records of the store below, `sealing/<number>`; callers cannot read or
/// write them. A new one takes over before 2^31 seals (NIST SP 800-38D, section 8.3).
///
/// # Security
/// A record that was put under another key, a value that was cut or changed, another store's and
/// another key encryption's values are `Corrupt`, and so is an answer of the store below with
/// another record or event than was asked for. An *older* value of the same record is not noticed
/// here, nor are events cut off at the end: the custodian believes neither without the log.
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use custody_core::seam::{Batch, Position, Store};
/// use custody_store::{SealedStore, SqliteStore};
/// use custody_testkit::backend::MemoryKeyEncryption;
/// use custody_testkit::runtime::TestEntropy;
///
/// # pollster::block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("custody.db");
/// let below = Arc::new(SqliteStore::open(&path)?);
/// let (kek, entropy) = (MemoryKeyEncryption::seeded(1), TestEntropy::seeded(1));
/// let store = SealedStore::open(below.clone(), Arc::new(kek), Arc::new(entropy)).await?;
///
/// let batch = Batch { events: vec![b"secret".to_vec()], ..Batch::default() };
/// store.commit(Position::START, batch).await?;
/// assert_eq!(store.events(Position::START, 1).await?[0].bytes, b"secret");
/// assert_ne!(below.events(Position::START, 1).await?[0].bytes, b"secret");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct SealedStore {
    below: Arc<dyn Store>,
    kek: Arc<dyn KeyEncryption>,
    entropy: Arc<dyn Entropy>,
    seals_per_key: u64,
    keys: Mutex<Keys>,
    /// One commit at a time, so that one new data key is made at a time.
    turn: async_lock::Mutex<()>,
}

/// The data keys, and which one seals.
#[derive(Default)]
struct Keys {
    open: BTreeMap<Number, Arc<Secret>>,
    /// The newest that is certainly in the store below.
    newest: Option<Sealer>,
    /// One that a commit brought which may have happened or not.
    doubted: Option<Sealer>,
}

/// A data key that seals.
struct Sealer {
    data_key: DataKey,
    /// Seals under it since this store was opened, also of commits that came to nothing.
    seals: u64,
}

/// How often one data key seals.
const SEALS_MAX: u64 = 1 << 31;
/// How many values a batch has for each of its events, at most, the parts of a snapshot among them:
/// a bound for the seals under a key that earlier processes made. Their commits that failed left
/// nothing to count; most events have so few values that there is room for many of them.
const SEALS_PER_EVENT: u64 = 2_048;
const PREFIX: &str = "sealing/";
const PAGE: u16 = 256;

impl SealedStore {
    /// Opens the sealed store over `below`: unwraps its data keys. An empty store gets its first one
    /// with its first commit.
    ///
    /// # Errors
    /// Fails if `below` holds anything that is not sealed, if a data key is of another key
    /// encryption or does not unwrap, or if a part fails.
    ///
    /// # Cancel safety
    /// Nothing changes if the future is dropped.
    pub async fn open(
        below: Arc<dyn Store>,
        kek: Arc<dyn KeyEncryption>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, SealedStoreError> {
        let prefix = RecordKey::parse(PREFIX).map_err(|_| SealedStoreError::DataKey)?;
        let (mut keys, mut after) = (Keys::default(), None);
        loop {
            let page = below.scan(&prefix, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            for record in page {
                let data_key = DataKey::read(&record)?;
                let secret = data_key.unwrap(kek.as_ref()).await?;
                keys.open.insert(data_key.number(), Arc::new(secret));
                keys.newest = Some(Sealer { data_key, seals: 0 });
            }
        }
        if keys.newest.is_none() && below.head().await? != Position::START {
            return Err(SealedStoreError::NotSealed);
        }
        let turn = async_lock::Mutex::new(());
        let keys = Mutex::new(keys);
        Ok(Self { below, kek, entropy, seals_per_key: SEALS_MAX, keys, turn })
    }

    /// Replaces a data key after so many seals since this store was opened, at most 2^31. Those of
    /// commits that failed, or that nobody waited for, count too.
    ///
    /// Whatever the number, a key that may have sealed 2^31 times since it was made is replaced
    /// too: what earlier processes did with it is bounded by the number of events since then.
    #[must_use]
    pub fn with_seals_per_key(mut self, seals: u64) -> Self {
        self.seals_per_key = seals.clamp(1, SEALS_MAX);
        self
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The data key for so many more seals after `head` events, and whether the store below has it.
    /// They are counted from now on.
    async fn data_key(&self, head: Position, seals: u64) -> Result<(DataKey, bool), StoreError> {
        let number = {
            let mut guard = self.keys();
            let keys = &mut *guard;
            let is_there = keys.doubted.is_none();
            match keys.doubted.as_mut().or(keys.newest.as_mut()) {
                None => Number::FIRST,
                Some(sealer) => {
                    if sealer.takes(head, seals, self.seals_per_key) {
                        return Ok((sealer.data_key.clone(), is_there));
                    }
                    let next = sealer.data_key.number().next();
                    next.ok_or_else(|| failed(ErrorKind::Unsupported))?
                }
            }
        };
        let secret = Secret::try_fill(32, |bytes| self.entropy.fill(bytes))
            .map_err(|error| failed(ErrorKind::Unavailable).with_source(error))?;
        let made = DataKey::wrap(number, head, &secret, self.kek.as_ref()).await;
        let data_key = made.map_err(|error| failed(ErrorKind::Unavailable).with_source(error))?;
        let mut keys = self.keys();
        keys.open.insert(number, Arc::new(secret));
        // A commit that brought another one may still come late: that one stays open.
        keys.doubted = Some(Sealer { data_key: data_key.clone(), seals });
        Ok((data_key, false))
    }

    fn seal(
        &self,
        number: Number,
        bound: &Bound<'_>,
        value: Vec<u8>,
    ) -> Result<Vec<u8>, StoreError> {
        let key = self.keys().open.get(&number).map(Arc::clone);
        let key = key.ok_or_else(|| failed(ErrorKind::Corrupt))?;
        let value = Secret::new(value);
        let context = bound.context(number);
        let context = context.each_ref().map(Vec::as_slice);
        let sealed = envelope::seal(&key, &context, &value, self.entropy.as_ref())
            .map_err(|error| failed(ErrorKind::Unavailable).with_source(error))?;
        let mut bytes = number.to_bytes().to_vec();
        bytes.extend_from_slice(&sealed);
        Ok(bytes)
    }

    fn unseal(&self, bound: &Bound<'_>, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let corrupt = || StoreError::new(ErrorKind::Corrupt, "open what is sealed");
        let (number, sealed) = Number::split(sealed).ok_or_else(corrupt)?;
        let key = self.keys().open.get(&number).map(Arc::clone).ok_or_else(corrupt)?;
        let context = bound.context(number);
        let opened = envelope::open(&key, &context.each_ref().map(Vec::as_slice), sealed);
        let value = opened.map_err(|error| corrupt().with_source(error))?;
        Ok(value.expose().to_vec())
    }

    fn seal_batch(
        &self,
        number: Number,
        expected: Position,
        batch: Batch,
    ) -> Result<Batch, StoreError> {
        let record = |record: Record| {
            let value = self.seal(number, &Bound::Record(&record.key), record.value)?;
            Ok(Record { key: record.key, value })
        };
        let event = |(offset, bytes): (u64, Vec<u8>)| {
            self.seal(number, &Bound::Event(expected.plus(offset)), bytes)
        };
        Ok(Batch {
            inserts: batch.inserts.into_iter().map(record).collect::<Result<_, StoreError>>()?,
            puts: batch.puts.into_iter().map(record).collect::<Result<_, StoreError>>()?,
            events: (0..).zip(batch.events).map(event).collect::<Result<_, StoreError>>()?,
        })
    }

    /// Whether the data key that may have come with an earlier commit is in the store below.
    async fn settle(&self) -> Result<(), StoreError> {
        let doubted = self.keys().doubted.as_ref().map(|sealer| sealer.data_key.clone());
        let Some(doubted) = doubted else { return Ok(()) };
        match self.below.get(&doubted.key()?).await? {
            None => Ok(()),
            Some(found) if found.value == doubted.value() => {
                self.confirm();
                Ok(())
            }
            // Somebody else writes to the store.
            Some(_) => Err(failed(ErrorKind::Conflict)),
        }
    }

    /// The data key that was in doubt is in the store below.
    fn confirm(&self) {
        let mut keys = self.keys();
        if let Some(stored) = keys.doubted.take() {
            keys.newest = Some(stored);
        }
    }
}

impl Sealer {
    /// Counts so many more seals after `head` events, if the key may make them.
    ///
    /// They count before they are made: a key is used up by a seal, whatever becomes of the commit.
    fn takes(&mut self, head: Position, seals: u64, seals_per_key: u64) -> bool {
        let events = head.value().saturating_sub(self.data_key.from().value());
        // What failed since this store was opened is no event. What did not is counted twice.
        let ever = events.saturating_mul(SEALS_PER_EVENT).saturating_add(self.seals);
        let after = self.seals.saturating_add(seals);
        let is_within = after <= seals_per_key && ever.saturating_add(seals) <= SEALS_MAX;
        if is_within {
            self.seals = after;
        }
        is_within
    }
}

/// What an envelope is bound to.
enum Bound<'a> {
    Record(&'a RecordKey),
    Event(Position),
}

impl Bound<'_> {
    /// The fields of the envelope's context, as text and numbers.
    fn context(&self, number: Number) -> [Vec<u8>; 3] {
        let number = number.to_bytes().to_vec();
        match self {
            Self::Record(key) => [b"record".to_vec(), number, key.as_str().as_bytes().to_vec()],
            Self::Event(position) => {
                [b"event".to_vec(), number, position.value().to_be_bytes().to_vec()]
            }
        }
    }
}

#[async_trait]
impl Store for SealedStore {
    async fn head(&self) -> Result<Position, StoreError> {
        self.below.head().await
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        if key.as_str().starts_with(PREFIX) {
            return Ok(None);
        }
        let Some(record) = self.below.get(key).await? else { return Ok(None) };
        if record.key != *key {
            return Err(foreign());
        }
        let value = self.unseal(&Bound::Record(key), &record.value)?;
        Ok(Some(Record { key: record.key, value }))
    }

    async fn scan(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
        limit: u16,
    ) -> Result<Vec<Record>, StoreError> {
        let (mut found, mut after) = (Vec::new(), after.cloned());
        while found.len() < usize::from(limit) {
            let page = self.below.scan(prefix, after.as_ref(), limit).await?;
            let is_last = page.len() < usize::from(limit);
            for record in page {
                let is_next = after.as_ref().is_none_or(|after| *after < record.key);
                if !is_next || !record.key.as_str().starts_with(prefix.as_str()) {
                    return Err(foreign());
                }
                after = Some(record.key.clone());
                if !record.key.as_str().starts_with(PREFIX) && found.len() < usize::from(limit) {
                    let value = self.unseal(&Bound::Record(&record.key), &record.value)?;
                    found.push(Record { key: record.key, value });
                }
            }
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    async fn commit(&self, expected: Position, batch: Batch) -> Result<Position, StoreError> {
        let is_own = |record: &Record| record.key.as_str().starts_with(PREFIX);
        if batch.inserts.iter().chain(&batch.puts).any(is_own) {
            return Err(failed(ErrorKind::Refused));
        }
        if batch.events.is_empty() {
            return self.below.commit(expected, batch).await;
        }
        let _turn = self.turn.lock().await;
        self.settle().await?;
        let values = batch.inserts.len().saturating_add(batch.puts.len());
        let seals = u64::try_from(values.saturating_add(batch.events.len())).unwrap_or(u64::MAX);
        let (data_key, is_there) = self.data_key(expected, seals).await?;
        let mut sealed = self.seal_batch(data_key.number(), expected, batch)?;
        if !is_there {
            sealed.inserts.push(data_key.record()?);
        }
        let committed = self.below.commit(expected, sealed).await?;
        if !is_there {
            self.confirm();
        }
        Ok(committed)
    }

    async fn events(&self, from: Position, limit: u16) -> Result<Vec<Event>, StoreError> {
        let events = self.below.events(from, limit).await?;
        let open = |(offset, event): (u64, Event)| {
            let position = from.plus(offset);
            if event.position != position {
                return Err(foreign());
            }
            let bytes = self.unseal(&Bound::Event(position), &event.bytes)?;
            Ok(Event { position, bytes })
        };
        (0..).zip(events).map(open).collect()
    }
}

impl fmt::Debug for SealedStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SealedStore").field("below", &self.below).finish_non_exhaustive()
    }
}

const fn failed(kind: ErrorKind) -> StoreError {
    StoreError::new(kind, "commit")
}

/// The store below has answered with something else than it was asked for.
const fn foreign() -> StoreError {
    StoreError::new(ErrorKind::Corrupt, "find what was asked for")
}
