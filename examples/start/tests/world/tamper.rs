use std::fs;
use std::path::{Path, PathBuf};

use custody_core::seam::{Batch, Position, Record, RecordKey, Store as _};
use custody_testkit::store::{MemoryStore, StoreSnapshot};
use rusqlite::Connection;
use twox_hash::XxHash64;

/// The hand of another program on a store's disk. It asks no custodian and no store.
pub(crate) enum Tamper {
    Memory(MemoryStore),
    /// The file.
    Sqlite(PathBuf),
}

/// Everything on a disk at one moment.
pub(crate) enum Copy {
    Memory(StoreSnapshot),
    /// The file's bytes, and those of its write-ahead log.
    Sqlite(Vec<Option<Vec<u8>>>),
}

impl Tamper {
    /// The records, in the order of their keys.
    pub(crate) fn records(&self) -> Vec<Record> {
        match self {
            Self::Memory(store) => store.records(),
            Self::Sqlite(file) => {
                let connection = Connection::open(file).unwrap();
                let sql = "SELECT key, value FROM records ORDER BY key";
                let mut statement = connection.prepare(sql).unwrap();
                let rows = statement.query_map([], |row| {
                    Ok(Record {
                        key: RecordKey::parse(&row.get::<_, String>(0)?).unwrap(),
                        value: row.get(1)?,
                    })
                });
                rows.unwrap().map(Result::unwrap).collect()
            }
        }
    }

    /// The value of the record `key`.
    pub(crate) fn value(&self, key: &str) -> Vec<u8> {
        let mut records = self.records().into_iter();
        records.find(|record| record.key.as_str() == key).unwrap().value
    }

    /// The keys of all records below a prefix.
    pub(crate) fn below(&self, prefix: &str) -> Vec<String> {
        let keys = self.records().into_iter().map(|record| record.key.to_string());
        keys.filter(|key| key.starts_with(prefix)).collect()
    }

    /// Puts other bytes under a record's key, whether it exists or not.
    pub(crate) fn replace(&self, key: &str, value: Vec<u8>) {
        let key = RecordKey::parse(key).unwrap();
        match self {
            Self::Memory(store) => store.replace_record(&key, value),
            Self::Sqlite(file) => {
                let sql = "INSERT OR REPLACE INTO records (key, value, sum) VALUES (?1, ?2, ?3)";
                let sum = sum(RECORD, key.as_str().as_bytes(), &value);
                execute(file, sql, (key.as_str(), value, sum));
            }
        }
    }

    /// Takes a record away.
    pub(crate) fn remove(&self, key: &str) {
        let key = RecordKey::parse(key).unwrap();
        match self {
            Self::Memory(store) => store.remove_record(&key),
            Self::Sqlite(file) => {
                execute(file, "DELETE FROM records WHERE key = ?1", [key.as_str()]);
            }
        }
    }

    /// The events' bytes, in order.
    pub(crate) fn events(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Memory(store) => store.snapshot().events().to_vec(),
            Self::Sqlite(file) => {
                let connection = Connection::open(file).unwrap();
                let sql = "SELECT bytes FROM events ORDER BY position";
                let mut statement = connection.prepare(sql).unwrap();
                let rows = statement.query_map([], |row| row.get(0));
                rows.unwrap().map(Result::unwrap).collect()
            }
        }
    }

    /// Puts other bytes at an event's position.
    pub(crate) fn replace_event(&self, position: u64, bytes: Vec<u8>) {
        match self {
            Self::Memory(store) => store.replace_event(Position::new(position), bytes),
            Self::Sqlite(file) => {
                let sql = "UPDATE events SET bytes = ?2, sum = ?3 WHERE position = ?1";
                let sum = sum(EVENT, &position.to_be_bytes(), &bytes);
                execute(file, sql, (i64::try_from(position).unwrap(), bytes, sum));
            }
        }
    }

    /// Puts an event behind the last one.
    pub(crate) async fn append_event(&self, bytes: Vec<u8>) {
        match self {
            Self::Memory(store) => {
                let (store, none) = (store.reopen(), Vec::new);
                let batch = Batch { inserts: none(), puts: none(), events: vec![bytes] };
                store.commit(store.head().await.unwrap(), batch).await.unwrap();
            }
            Self::Sqlite(file) => {
                let position = self.events().len() as u64;
                let sum = sum(EVENT, &position.to_be_bytes(), &bytes);
                let sql = "INSERT INTO events (position, bytes, sum) VALUES (?1, ?2, ?3)";
                execute(file, sql, (i64::try_from(position).unwrap(), bytes, sum));
            }
        }
    }

    /// Forgets all events but the first `count`.
    pub(crate) fn truncate_events(&self, count: u64) {
        match self {
            Self::Memory(store) => store.truncate_events(Position::new(count)),
            Self::Sqlite(file) => {
                let sql = "DELETE FROM events WHERE position >= ?1";
                execute(file, sql, [i64::try_from(count).unwrap()]);
            }
        }
    }

    /// Keeps all that is there. Nobody may have the store open.
    pub(crate) fn copy(&self) -> Copy {
        match self {
            Self::Memory(store) => Copy::Memory(store.snapshot()),
            Self::Sqlite(file) => {
                Copy::Sqlite(files(file).map(|path| fs::read(path).ok()).to_vec())
            }
        }
    }

    /// Puts back what was kept. Nobody may have the store open.
    pub(crate) fn put_back(&self, copy: &Copy) {
        match (self, copy) {
            (Self::Memory(store), Copy::Memory(snapshot)) => store.restore(snapshot),
            (Self::Sqlite(file), Copy::Sqlite(contents)) => {
                for (path, bytes) in files(file).iter().zip(contents) {
                    match bytes {
                        Some(bytes) => fs::write(path, bytes).unwrap(),
                        None => drop(fs::remove_file(path)),
                    }
                }
            }
            _ => panic!("a copy of another kind of store"),
        }
    }
}

/// A store's file, its write-ahead log and the index of that.
fn files(file: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut path = file.as_os_str().to_owned();
        path.push(suffix);
        path.into()
    })
}

/// The sum that stands beside a row, which whoever changes the row on purpose writes too.
fn sum(kind: u64, place: &[u8], bytes: &[u8]) -> i64 {
    let length = u64::try_from(place.len()).unwrap().to_be_bytes();
    let text = [length.as_slice(), place, bytes].concat();
    XxHash64::oneshot(kind, &text).cast_signed()
}

/// Changes a file, which must change something.
fn execute(file: &Path, sql: &str, parameters: impl rusqlite::Params) {
    let changed = Connection::open(file).unwrap().execute(sql, parameters).unwrap();
    assert!(changed > 0, "{sql} changed nothing");
}

const EVENT: u64 = 1;
const RECORD: u64 = 2;
