//! The sealed store: the suites of the testkit over SQLite, and what nobody below may do.
#![expect(clippy::unwrap_used, reason = "tests: a check fails by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use custody_core::seam::{Batch, ErrorKind, Event, Position, Record, RecordKey, Store, StoreError};
use custody_store::{SealedStore, SealedStoreError, SqliteStore};
use custody_testkit::backend::MemoryKeyEncryption;
use custody_testkit::runtime::TestEntropy;
use custody_testkit::store::MemoryStore;
use custody_testkit::suite::store::StoreFixture;
use pollster::block_on;

mod data_keys;

mod contract {
    custody_testkit::store_suite!(super::fixture());
}

mod durability {
    custody_testkit::durable_store_suite!(super::fixture());
}

fn fixture() -> StoreFixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("custody.db");
    let again = path.clone();
    StoreFixture::new(over_sqlite(&path))
        .with_reopen(move || {
            let path = again.clone();
            Box::pin(async move { over_sqlite(&path) })
        })
        .with_guard(folder)
}

fn over_sqlite(path: &Path) -> Arc<dyn Store> {
    Arc::new(sealed(Arc::new(SqliteStore::open(path).unwrap())).unwrap())
}

/// The sealed store over `below`, under the key encryption of the tests.
fn sealed(below: Arc<dyn Store>) -> Result<SealedStore, SealedStoreError> {
    sealed_under(below, 1)
}

fn sealed_under(below: Arc<dyn Store>, seed: u64) -> Result<SealedStore, SealedStoreError> {
    static OPENED: AtomicU64 = AtomicU64::new(1);
    let kek = Arc::new(MemoryKeyEncryption::seeded(seed));
    let entropy = TestEntropy::seeded(OPENED.fetch_add(1, Ordering::Relaxed));
    block_on(SealedStore::open(below, kek, Arc::new(entropy)))
}

fn key(text: &str) -> RecordKey {
    RecordKey::parse(text).unwrap()
}

fn record(name: &str, value: &[u8]) -> Record {
    Record { key: key(name), value: value.to_vec() }
}

/// One event, and the record `name` with this value.
fn batch(name: &str, value: &[u8]) -> Batch {
    let puts = vec![record(name, value)];
    Batch { puts, events: vec![[b"event of ", value].concat()], ..Batch::default() }
}

fn value(store: &dyn Store, name: &str) -> Result<Option<Vec<u8>>, ErrorKind> {
    let record = block_on(store.get(&key(name))).map_err(|error| error.kind())?;
    Ok(record.map(|record| record.value))
}

/// A memory store with the records `one` and `two`, each beside an event, and its sealed form.
fn two() -> (MemoryStore, SealedStore) {
    let below = MemoryStore::new();
    let store = sealed(Arc::new(below.clone())).unwrap();
    block_on(store.commit(Position::START, batch("one", b"first value"))).unwrap();
    block_on(store.commit(Position::new(1), batch("two", b"other value"))).unwrap();
    (below, store)
}

/// A store below that answers with something else than it was asked for. Data keys are read as they
/// are.
#[derive(Debug)]
struct Bent {
    inner: MemoryStore,
    lie: Lie,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    /// There were so many events before its own.
    EventsBefore(u64),
    /// The record `two` for every other, as a whole.
    GetsAnother,
    /// The events after those that were asked for.
    LaterEvents,
    /// The records of every key.
    ScansAll,
    /// Records from the first on.
    ScansFromFirst,
    /// A record as often as it is asked for.
    ScansOneTwice,
    /// Records from the last to the first.
    ScansReversed,
}

impl Bent {
    const fn before(&self) -> u64 {
        if let Lie::EventsBefore(events) = self.lie { events } else { 0 }
    }

    fn tells(&self, lie: Lie, key: &RecordKey) -> bool {
        self.lie == lie && !key.as_str().starts_with("sealing/")
    }
}

#[async_trait]
impl Store for Bent {
    async fn head(&self) -> Result<Position, StoreError> {
        Ok(self.inner.head().await?.plus(self.before()))
    }

    async fn get(&self, asked: &RecordKey) -> Result<Option<Record>, StoreError> {
        let another = self.tells(Lie::GetsAnother, asked).then(|| key("two"));
        self.inner.get(another.as_ref().unwrap_or(asked)).await
    }

    async fn scan(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
        limit: u16,
    ) -> Result<Vec<Record>, StoreError> {
        if self.tells(Lie::ScansAll, prefix) {
            return Ok(self.inner.records());
        }
        let after = after.filter(|_| !self.tells(Lie::ScansFromFirst, prefix));
        let mut found = self.inner.scan(prefix, after, limit).await?;
        if self.tells(Lie::ScansReversed, prefix) {
            found.reverse();
        }
        if self.tells(Lie::ScansOneTwice, prefix) {
            found.extend(found.first().cloned());
        }
        Ok(found)
    }

    async fn commit(&self, expected: Position, batch: Batch) -> Result<Position, StoreError> {
        let expected = Position::new(expected.value().saturating_sub(self.before()));
        Ok(self.inner.commit(expected, batch).await?.plus(self.before()))
    }

    async fn events(&self, from: Position, limit: u16) -> Result<Vec<Event>, StoreError> {
        let later = u64::from(self.lie == Lie::LaterEvents);
        self.inner.events(from.plus(later), limit).await
    }
}

#[test]
fn nothing_that_was_given_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("custody.db");
    let store = over_sqlite(&path);
    let secret = b"a value that stands nowhere else";
    for number in 0..50 {
        let name = format!("name-{number}");
        block_on(store.commit(Position::new(number), batch(&name, secret))).unwrap();
    }
    drop(store);
    let mut files = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(12).any(|window| secret.starts_with(window)), "a value in clear");
        assert!(!bytes.windows(9).any(|window| window == b"event of "), "an event in clear");
        files += usize::from(bytes.windows(7).any(|window| window == b"name-49"));
    }
    assert!(files > 0, "the search finds what is in clear");
    let store = over_sqlite(&path);
    assert_eq!(value(store.as_ref(), "name-49"), Ok(Some(secret.to_vec())));
}

#[test]
fn values_that_changed_places_were_cut_or_changed_are_refused() {
    let (below, store) = two();
    let honest = value(&below, "one").unwrap().unwrap();
    let other = value(&below, "two").unwrap().unwrap();
    for (what, bytes) in [
        ("of another record", other),
        ("nothing", Vec::new()),
        ("in clear", b"first value".to_vec()),
        ("longer", [honest.as_slice(), b"x"].concat()),
        ("of a data key that there is not", [&[0, 0, 0, 9], &honest[4..]].concat()),
    ] {
        below.replace_record(&key("one"), bytes);
        assert_eq!(value(&store, "one"), Err(ErrorKind::Corrupt), "{what}");
        let scanned = block_on(store.scan(&key("o"), None, 9));
        assert_eq!(scanned.unwrap_err().kind(), ErrorKind::Corrupt, "{what}");
    }
    for cut in 0..honest.len() {
        below.replace_record(&key("one"), honest[..cut].to_vec());
        assert_eq!(value(&store, "one"), Err(ErrorKind::Corrupt), "cut to {cut} bytes");
    }
    for place in 0..honest.len() {
        let mut flipped = honest.clone();
        flipped[place] ^= 1;
        below.replace_record(&key("one"), flipped);
        assert_eq!(value(&store, "one"), Err(ErrorKind::Corrupt), "flipped at {place}");
    }
    below.replace_record(&key("one"), honest);
    assert_eq!(value(&store, "one"), Ok(Some(b"first value".to_vec())));
    assert_eq!(value(&store, "two"), Ok(Some(b"other value".to_vec())));
}

#[test]
fn events_that_changed_places_are_refused() {
    let (below, store) = two();
    let events = block_on(below.events(Position::START, 9)).unwrap();
    let swapped = MemoryStore::new();
    let keys = block_on(below.get(&key("sealing/0000000000"))).unwrap().unwrap();
    let events = [events[1].bytes.clone(), events[0].bytes.clone()];
    let batch = Batch { inserts: vec![keys], events: events.to_vec(), ..Batch::default() };
    block_on(swapped.commit(Position::START, batch)).unwrap();
    let swapped = sealed(Arc::new(swapped)).unwrap();
    for position in 0..2 {
        let read = block_on(swapped.events(Position::new(position), 1));
        assert_eq!(read.unwrap_err().kind(), ErrorKind::Corrupt);
    }
    let honest = block_on(store.events(Position::START, 9)).unwrap();
    assert_eq!(honest[1].bytes, b"event of other value");
}

/// Each answer opens by itself: only what was asked for tells that it is another.
#[test]
fn what_was_not_asked_for_is_refused_though_it_is_whole() {
    let (below, honest) = two();
    block_on(honest.commit(Position::new(2), batch("ones", b"third value"))).unwrap();
    let scan = |store: &SealedStore, prefix: &str, after: Option<&str>| {
        let found = block_on(store.scan(&key(prefix), after.map(key).as_ref(), 9));
        found.map(|records| records.len()).map_err(|error| error.kind())
    };
    let events = |store: &SealedStore, from: u64| {
        let found = block_on(store.events(Position::new(from), 9));
        found.map(|events| events.len()).map_err(|error| error.kind())
    };
    assert_eq!(value(&honest, "one"), Ok(Some(b"first value".to_vec())));
    assert_eq!((scan(&honest, "on", None), scan(&honest, "on", Some("one"))), (Ok(2), Ok(1)));
    assert_eq!((events(&honest, 0), events(&honest, 1)), (Ok(3), Ok(2)));
    let lying = |lie| sealed(Arc::new(Bent { inner: below.clone(), lie })).unwrap();
    let corrupt = Err(ErrorKind::Corrupt);
    assert_eq!(value(&lying(Lie::GetsAnother), "one"), Err(ErrorKind::Corrupt));
    assert_eq!(value(&lying(Lie::GetsAnother), "none"), Err(ErrorKind::Corrupt));
    assert_eq!(scan(&lying(Lie::ScansAll), "on", None), corrupt);
    assert_eq!(scan(&lying(Lie::ScansFromFirst), "on", Some("one")), corrupt);
    assert_eq!(scan(&lying(Lie::ScansOneTwice), "two", None), corrupt);
    assert_eq!(scan(&lying(Lie::ScansReversed), "on", None), corrupt);
    assert_eq!(events(&lying(Lie::LaterEvents), 0), corrupt);
    assert_eq!(events(&lying(Lie::LaterEvents), 1), corrupt);
}

#[test]
fn another_key_encryption_opens_nothing() {
    let (below, store) = two();
    drop(store);
    let refused = sealed_under(Arc::new(below.clone()), 2).unwrap_err();
    assert!(matches!(refused, SealedStoreError::KeyEncryption { .. }), "{refused:?}");
    let honest = value(&below, "sealing/0000000000").unwrap().unwrap();
    for place in 0..honest.len() {
        let mut flipped = honest.clone();
        flipped[place] ^= 1;
        below.replace_record(&key("sealing/0000000000"), flipped);
        assert!(sealed(Arc::new(below.clone())).is_err(), "flipped at {place}");
    }
    for cut in 0..honest.len() {
        below.replace_record(&key("sealing/0000000000"), honest[..cut].to_vec());
        assert!(sealed(Arc::new(below.clone())).is_err(), "cut to {cut} bytes");
    }
    below.replace_record(&key("sealing/0000000000"), honest);
    assert!(sealed(Arc::new(below)).is_ok());
}

#[test]
fn a_store_that_was_filled_in_clear_is_refused() {
    let below = MemoryStore::new();
    block_on(below.commit(Position::START, batch("one", b"in clear"))).unwrap();
    let refused = sealed(Arc::new(below)).unwrap_err();
    assert!(matches!(refused, SealedStoreError::NotSealed), "{refused:?}");
}

#[test]
fn data_keys_are_out_of_reach() {
    let (below, store) = two();
    assert_eq!(value(&store, "sealing/0000000000"), Ok(None));
    assert_eq!(block_on(store.scan(&key("s"), None, 9)).unwrap(), []);
    for name in ["sealing/0000000000", "sealing/0000000007", "sealing/x"] {
        let put = block_on(store.commit(Position::new(2), batch(name, b"mine")));
        assert_eq!(put.unwrap_err().kind(), ErrorKind::Refused, "{name}");
        let inserts = vec![record(name, b"mine")];
        let insert = Batch { inserts, events: vec![b"event".to_vec()], ..Batch::default() };
        let insert = block_on(store.commit(Position::new(2), insert));
        assert_eq!(insert.unwrap_err().kind(), ErrorKind::Refused, "{name}");
    }
    assert_eq!(block_on(below.head()).unwrap(), Position::new(2));
}

/// Two sealed stores over one store below, which one custodian over one store never makes.
#[test]
fn a_second_writer_is_a_conflict() {
    let below = MemoryStore::new();
    let first = sealed(Arc::new(below.clone())).unwrap();
    let second = sealed(Arc::new(below.clone())).unwrap();
    block_on(first.commit(Position::START, batch("one", b"first"))).unwrap();
    for expected in [Position::START, Position::new(1)] {
        let refused = block_on(second.commit(expected, batch("two", b"other")));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    }
    assert_eq!(value(&first, "one"), Ok(Some(b"first".to_vec())));
    assert_eq!(block_on(below.head()).unwrap(), Position::new(1));
}
