//! A store in a folder of its own, and the batches that the tests write.
//!
//! **Invariant:** nothing here looks at what a store answers, except to unwrap it.

use std::path::{Path, PathBuf};
use std::process::Command;

use custody_core::seam::{Batch, Position, Record, RecordKey, Store};
use custody_store::SqliteStore;
use pollster::block_on;
use tempfile::TempDir;
use twox_hash::XxHash64;

/// A folder for one store, removed with it.
pub(crate) struct Folder {
    folder: TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The file of the store.
    pub(crate) fn file(&self) -> PathBuf {
        self.path().join("custody.db")
    }

    pub(crate) fn open(&self) -> SqliteStore {
        SqliteStore::open(self.file()).unwrap()
    }

    /// Makes a closed store of `batches` batches of one event and one record each.
    pub(crate) fn fill(&self, batches: u64) {
        let store = self.open();
        for number in 0..batches {
            block_on(store.commit(Position::new(number), numbered(number))).unwrap();
        }
    }

    /// Runs SQL on the file, as somebody with an editor would.
    pub(crate) fn edit(&self, sql: &str) {
        edit(&self.file(), sql);
    }
}

pub(crate) fn edit(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

pub(crate) fn key(text: &str) -> RecordKey {
    RecordKey::parse(text).unwrap()
}

pub(crate) fn record(name: &str, value: impl Into<Vec<u8>>) -> Record {
    Record { key: key(name), value: value.into() }
}

/// The sum that stands beside an event.
pub(crate) fn event_sum(position: u64, bytes: &[u8]) -> i64 {
    let (length, place) = (8_u64.to_be_bytes(), position.to_be_bytes());
    let text = [length.as_slice(), &place, bytes].concat();
    XxHash64::oneshot(1, &text).cast_signed()
}

/// One event, nothing else.
pub(crate) fn event(text: &str) -> Batch {
    Batch { events: vec![text.into()], ..Batch::default() }
}

/// The batch that [`Folder::fill`] writes at this position.
pub(crate) fn numbered(number: u64) -> Batch {
    Batch {
        inserts: vec![record(&format!("order/{number:08}"), vec![b'v'; 700])],
        puts: Vec::new(),
        events: vec![format!("event {number} {}", "e".repeat(700)).into_bytes()],
    }
}

/// Runs the calling test once more in another process, which finds `path` in the environment
/// and takes the other role. `before` is what the shell does first.
pub(crate) fn other_process(test: &str, path: &Path, before: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{before} exec \"$0\" \"$@\"")]);
    command.arg(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--include-ignored", "--nocapture", "--test-threads", "1"]);
    command.env(ROLE, path);
    command
}

/// The path that the test was given, if it is the other process.
pub(crate) fn role() -> Option<PathBuf> {
    std::env::var_os(ROLE).map(PathBuf::from)
}

const ROLE: &str = "CUSTODY_STORE_TEST_PATH";
