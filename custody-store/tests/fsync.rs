//! The suite of stores whose sync fails, on the SQLite store over a disk that fails when it is
//! told to: each test runs in a process of its own, under the shim `shims/disk_faults.c`.
#![cfg(target_os = "linux")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails its test"
)]

#[expect(dead_code, reason = "not every test binary uses all of it")]
#[path = "../../shims/disk_faults.rs"]
mod shim;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use custody_core::seam::{Batch, Position, Store};
use custody_store::SqliteStore;
use custody_testkit::suite::store::StoreFixture;

use shim::{Clean, Fault, Order, Shim};

mod a_sync_that_fails {
    custody_testkit::fsync_store_suite!(super::fixture());
}

/// The sync of the next commit fails, and none after it.
fn fixture() -> StoreFixture {
    let shim = Shim::here();
    let path = shim.directory.join("custody.db");
    let (again, fail) = (path.clone(), shim.clone());
    StoreFixture::new(open(&path))
        .with_reopen(move || {
            let path = again.clone();
            Box::pin(async move { open(&path) })
        })
        .with_failing_fsync(move || fail.order(&next_sync()))
        .with_guard(Clean(shim))
}

fn next_sync() -> Order {
    let part = "custody.db-wal$".to_owned();
    Order { fault: Fault::Eio, goes_on: false, kind: "sync", number: 1, part }
}

fn open(path: &PathBuf) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(path).unwrap())
}

/// What SQLite counts as moved may not have been synced: only the log has all of it for sure.
#[test]
fn closing_after_a_sync_that_failed_leaves_the_log_from_which_all_is_read_again() {
    let shim = Clean(Shim::here());
    let path = shim.0.directory.join("custody.db");
    let log = shim.0.directory.join("custody.db-wal");
    let batch = |text: &str| Batch { events: vec![text.into()], ..Batch::default() };
    let store = SqliteStore::open(&path).unwrap();
    let head = pollster::block_on(async {
        let head = store.head().await.unwrap();
        let head = store.commit(head, batch("first")).await.unwrap();
        let head = store.commit(head, batch("second")).await.unwrap();
        shim.0.order(&next_sync());
        store.commit(head, batch("third")).await.unwrap_err();
        head
    });
    store.close();
    drop(store);
    assert!(log.exists(), "the log was removed");
    let store = open(&path);
    let events = pollster::block_on(store.events(Position::START, 10)).unwrap();
    assert!(events.len() as u64 >= head.value());
    let bytes: Vec<_> = events.iter().map(|event| event.bytes.as_slice()).take(2).collect();
    assert_eq!(bytes, [b"first".as_slice(), b"second"]);
    drop(store);
    assert!(!log.exists(), "a store that works leaves no log");
}

/// The suite would pass on a store that fails for another reason.
#[test]
fn a_commit_is_one_sync_of_the_write_ahead_log_and_it_is_what_fails() {
    let shim = Clean(Shim::here());
    let path = shim.0.directory.join("custody.db");
    let store = open(&path);
    let batch = || Batch { events: vec![b"1".to_vec()], ..Batch::default() };
    let syncs = |struck: &str| {
        let log = format!("{struck} sync {}-wal", path.display());
        shim.0.trace().iter().filter(|line| **line == log).count()
    };
    pollster::block_on(async {
        let head = store.head().await.unwrap();
        // The first commit also makes the header of the log durable.
        let head = store.commit(head, batch()).await.unwrap();
        shim.0.order(&Order { fault: Fault::Count, ..next_sync() });
        let head = store.commit(head, batch()).await.unwrap();
        assert_eq!((syncs("-"), syncs("!")), (1, 0), "{:?}", shim.0.trace());
        shim.0.order(&next_sync());
        store.commit(head, batch()).await.unwrap_err();
        assert_eq!((syncs("-"), syncs("!")), (0, 1), "{:?}", shim.0.trace());
    });
    assert!(Path::new(&path).exists());
}
