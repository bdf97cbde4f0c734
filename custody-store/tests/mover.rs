//! The mover of the write-ahead log, on a disk that fails when it is told to: each test runs in a
//! process of its own, under the shim `shims/disk_faults.c`.
//!
//! **Invariant:** a life writes so much that the mover has to work, and commits nothing meanwhile:
//! each life makes the same calls.
#![cfg(target_os = "linux")]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "small numbers; a fixture that cannot be made fails its test"
)]

#[expect(dead_code, reason = "not every test binary uses all of it")]
#[path = "../../shims/disk_faults.rs"]
mod shim;

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use custody_core::seam::{Batch, ErrorKind, Position, Record, RecordKey, Store};
use custody_store::SqliteStore;
use pollster::block_on;

use shim::{Clean, Fault, Order, Shim};

#[test]
fn a_disk_that_fails_the_mover_takes_no_commit_back_and_puts_the_store_out_of_use() {
    let clean = Clean(Shim::here());
    let shim = &clean.0;
    let counted = Life::live(shim, "counted", &Order::counting());
    assert_eq!((counted.refusal, counted.is_log_restarted), (None, true));
    let all = counted.count("write");
    let moved = counted.calls.iter().take_while(|call| call.kind != "sync");
    let moved = moved.filter(|call| call.kind == "write").count();
    assert!(moved > 4_096, "the mover wrote {moved} pages");
    assert!(all > moved && counted.count("sync") > 1, "the writer moved no rest: {all} writes");
    counted.assert_kept("counted");
    for (name, fault, kind, number) in [
        ("first-write", Fault::Eio, "write", 1),
        ("middle-write", Fault::Short, "write", moved / 2),
        ("last-write", Fault::Eio, "write", moved),
        ("sync", Fault::Eio, "sync", 1),
        ("write-of-the-rest", Fault::Eio, "write", moved + 1),
        ("sync-of-the-rest", Fault::Eio, "sync", 2),
    ] {
        let order = Order { fault, goes_on: false, kind, number, part: DATABASE.to_owned() };
        let life = Life::live(shim, name, &order);
        assert!(life.calls.iter().any(|call| call.is_struck), "{name}: nothing failed");
        let refusal = life.refusal.expect(name);
        let expected = [ErrorKind::Indeterminate, ErrorKind::Unavailable];
        assert!(expected.contains(&refusal), "{name}: {refusal:?}");
        assert!(!life.is_log_restarted, "{name}: the log was written over");
        assert!(log_of(&life.path).exists(), "{name}: closing removed the log");
        life.assert_kept(name);
    }
}

#[test]
fn a_disk_without_room_for_what_is_moved_passes() {
    let clean = Clean(Shim::here());
    let part = DATABASE.to_owned();
    let order = Order { fault: Fault::Enospc, goes_on: false, kind: "write", number: 1, part };
    let life = Life::live(&clean.0, "full", &order);
    assert!(life.calls.iter().any(|call| call.is_struck), "nothing failed");
    assert_eq!((life.refusal, life.is_log_restarted), (None, true));
    life.assert_kept("full");
}

/// What a store went through from opening to closing.
struct Life {
    path: PathBuf,
    /// So many commits were answered with success.
    acknowledged: u64,
    /// Why the one after them was not.
    refusal: Option<ErrorKind>,
    is_log_restarted: bool,
    /// The calls on the file of the database before closing, from the last large commit on.
    calls: Vec<Call>,
}

/// A call that the shim saw.
struct Call {
    kind: String,
    is_struck: bool,
}

impl Life {
    /// Commits until the log has been moved and is written from its start again, or until a commit
    /// is refused.
    fn live(shim: &Shim, name: &str, order: &Order) -> Self {
        let folder = shim.directory.join(name);
        fs::create_dir(&folder).unwrap();
        let path = folder.join("custody.db");
        let store = Arc::new(SqliteStore::open(&path).unwrap());
        let mut acknowledged = 0;
        while acknowledged < LARGE {
            if acknowledged + 1 == LARGE {
                shim.order(order);
            }
            acknowledged = commit(&store, acknowledged).unwrap();
        }
        let log = log_header(&path);
        let end = Instant::now() + LIMIT;
        while !calls(shim).iter().any(|call| call.is_struck || call.kind == "sync") {
            assert!(Instant::now() < end, "{name}: the mover is not reached");
            thread::sleep(PAUSE);
        }
        let mut refusal = None;
        while refusal.is_none() && log_header(&path) == log {
            assert!(Instant::now() < end, "{name}: neither an error nor a shorter log");
            thread::sleep(PAUSE);
            match commit(&store, acknowledged) {
                Ok(head) => acknowledged = head,
                Err(kind) => refusal = Some(kind),
            }
        }
        let (calls, is_log_restarted) = (calls(shim), log_header(&path) != log);
        if refusal.is_some() {
            let read = block_on(store.head()).unwrap_err().kind();
            assert_eq!(read, ErrorKind::Unavailable, "{name}: a read is answered");
        }
        store.close();
        shim.cease();
        Self { path, acknowledged, refusal, is_log_restarted, calls }
    }

    fn count(&self, kind: &str) -> usize {
        self.calls.iter().filter(|call| call.kind == kind).count()
    }

    /// Opening again gives what was acknowledged and nothing else, but for a commit of which nobody
    /// was told what became of it; and the store works.
    fn assert_kept(self, name: &str) {
        let store = Arc::new(SqliteStore::open(&self.path).unwrap());
        let head = block_on(store.head()).unwrap().value();
        let most = self.acknowledged + u64::from(self.refusal == Some(ErrorKind::Indeterminate));
        let may = self.acknowledged..=most;
        assert!(may.contains(&head), "{name}: {head} events, and {may:?} were acknowledged");
        let events = block_on(store.events(Position::START, u16::MAX)).unwrap();
        let events: Vec<_> = events.into_iter().map(|event| event.bytes).collect();
        assert_eq!(events, (0..head).map(event).collect::<Vec<_>>(), "{name}");
        for number in 0..LARGE {
            let found = block_on(store.get(&key(number))).unwrap();
            assert!(found == Some(record(number)), "{name}: record {number} is another");
        }
        block_on(store.verify()).unwrap();
        assert_eq!(commit(&store, head), Ok(head + 1), "{name}");
        store.close();
        assert!(!log_of(&self.path).exists(), "{name}: a store that works leaves no log");
        fs::remove_dir_all(self.path.parent().unwrap()).unwrap();
    }
}

/// Makes the commit after `head` ones; its answer must come in time.
fn commit(store: &Arc<SqliteStore>, head: u64) -> Result<u64, ErrorKind> {
    let (caller, (tell, answer)) = (Arc::clone(store), mpsc::channel());
    let thread = thread::spawn(move || {
        tell.send(block_on(caller.commit(Position::new(head), batch(head)))).unwrap();
    });
    let answer = answer.recv_timeout(LIMIT).expect("an answer in time");
    thread.join().unwrap();
    answer.map(Position::value).map_err(|error| error.kind())
}

/// The first ones have a large record each.
fn batch(number: u64) -> Batch {
    let inserts = if number < LARGE { vec![record(number)] } else { Vec::new() };
    Batch { inserts, events: vec![event(number)], ..Batch::default() }
}

fn event(number: u64) -> Vec<u8> {
    format!("event {number}").into_bytes()
}

fn record(number: u64) -> Record {
    let byte = u8::try_from(number + 1).unwrap();
    Record { key: key(number), value: vec![byte; RECORD] }
}

fn key(number: u64) -> RecordKey {
    RecordKey::parse(&format!("large/{number}")).unwrap()
}

/// The calls on the file of the database since the last order.
fn calls(shim: &Shim) -> Vec<Call> {
    let lines = shim.trace().into_iter().filter(|line| line.ends_with("/custody.db"));
    let call = |line: String| {
        let mut words = line.split(' ');
        let is_struck = words.next()? == "!";
        Some(Call { kind: words.next()?.to_owned(), is_struck })
    };
    lines.filter_map(call).collect()
}

fn log_of(path: &Path) -> PathBuf {
    path.with_file_name("custody.db-wal")
}

/// Another one each time the log starts again.
fn log_header(path: &Path) -> [u8; 32] {
    let mut header = [0; 32];
    File::open(log_of(path)).unwrap().read_exact(&mut header).unwrap();
    header
}

/// The file of the database itself, for the shim.
const DATABASE: &str = "/custody.db$";
/// Two records leave the log below what the mover acts from, three do not.
const LARGE: u64 = 3;
const RECORD: usize = 14 * 1_024 * 1_024;
/// What takes longer hangs.
const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);
