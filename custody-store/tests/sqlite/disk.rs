//! The disk has no room, or fails.
#![cfg(unix)]

use std::fs;
use std::path::Path;

use custody_core::seam::{Batch, ErrorKind, Position, Store, StoreError};
use custody_store::{OpenError, SqliteStore};
use pollster::block_on;

use crate::support::{Folder, event, key, numbered, other_process, record, role};

#[test]
#[ignore = "needs unshare(1) and the right to mount a file system in a namespace"]
fn a_full_disk_writes_nothing_and_the_next_commit_that_fits_works() {
    if let Some(folder) = role() {
        return fill_the_disk(&folder);
    }
    let folder = Folder::new();
    let mount = format!("mount -t tmpfs -o size=12m none '{}' &&", folder.path().display());
    let test = "disk::a_full_disk_writes_nothing_and_the_next_commit_that_fits_works";
    let inner = other_process(test, folder.path(), &mount);
    let mut outer = std::process::Command::new("unshare");
    outer.args(["--user", "--map-root-user", "--mount"]).arg(inner.get_program());
    outer
        .args(inner.get_args())
        .envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let other = outer.output().unwrap();
    let told = [other.stdout, other.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(other.status.success() && told.contains("1 passed"), "{told}");
}

/// On a disk of 12 MiB, half of which something else has.
fn fill_the_disk(folder: &Path) {
    let ballast = [("small", 1), ("large", 5)].map(|(name, mebibytes)| {
        let path = folder.join(name);
        fs::write(&path, vec![0; mebibytes * 1_024 * 1_024]).unwrap();
        path
    });
    let path = folder.join("custody.db");
    let store = SqliteStore::open(&path).unwrap();
    let (mut head, error) = commit_until_it_fails(&store);
    assert!(head > Position::new(10), "{head}");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{:?}", std::error::Error::source(&error));
    block_on(async {
        // Still full: still nothing, and reads go on.
        let again = store.commit(head, large(head)).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Unavailable);
        assert_eq!(store.get(&key(&name(head))).await.unwrap(), None);
        // Room again.
        fs::remove_file(&ballast[0]).unwrap();
        head = store.commit(head, large(head)).await.unwrap();
    });
    assert_whole(&store, head);
    drop(store);
    // The log does not fit into the database, and is not lost by that.
    assert!(matches!(SqliteStore::open(&path), Err(OpenError::Full)));
    fs::remove_file(&ballast[1]).unwrap();
    assert_whole(&SqliteStore::open(&path).unwrap(), head);
}

#[test]
fn a_failed_write_is_indeterminate_and_puts_the_store_out_of_use() {
    if let Some(path) = role() {
        return write_past_the_limit(&path);
    }
    let folder = Folder::new();
    let test = "disk::a_failed_write_is_indeterminate_and_puts_the_store_out_of_use";
    // Past this size a write fails with EFBIG, which is not "disk full".
    let limit = "trap '' XFSZ; ulimit -f 4096;";
    let other = other_process(test, &folder.file(), limit).output().unwrap();
    let told = [other.stdout, other.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(other.status.success() && told.contains("1 passed"), "{told}");
}

fn write_past_the_limit(path: &Path) {
    let store = SqliteStore::open(path).unwrap();
    let (head, error) = commit_until_it_fails(&store);
    assert_eq!(error.kind(), ErrorKind::Indeterminate, "{:?}", std::error::Error::source(&error));
    block_on(async {
        let kinds = [
            ("commit", store.commit(head, event("more")).await.unwrap_err().kind()),
            ("events", store.events(Position::START, 1).await.unwrap_err().kind()),
            ("get", store.get(&key("a")).await.unwrap_err().kind()),
            ("head", store.head().await.unwrap_err().kind()),
            ("scan", store.scan(&key("a"), None, 1).await.unwrap_err().kind()),
        ];
        for (call, kind) in kinds {
            assert_eq!(kind, ErrorKind::Unavailable, "{call}");
        }
    });
    drop(store);
    let store = SqliteStore::open(path).unwrap();
    assert_whole(&store, head);
    block_on(store.commit(head, numbered(0))).unwrap();
}

fn commit_until_it_fails(store: &SqliteStore) -> (Position, StoreError) {
    let mut head = block_on(store.head()).unwrap();
    loop {
        match block_on(store.commit(head, large(head))) {
            Ok(after) => head = after,
            Err(error) => return (head, error),
        }
    }
}

/// Exactly the batches before `head` are there.
fn assert_whole(store: &SqliteStore, head: Position) {
    block_on(async {
        assert_eq!(store.head().await.unwrap(), head);
        assert_eq!(
            store.events(Position::START, u16::MAX).await.unwrap().len() as u64,
            head.value()
        );
        let records = store.scan(&key("large/"), None, u16::MAX).await.unwrap();
        assert_eq!(records.len() as u64, head.value());
    });
}

/// About 60 KiB of log.
fn large(head: Position) -> Batch {
    let puts = vec![record(&name(head), vec![b'v'; 40_000])];
    Batch { puts, ..event("large") }
}

fn name(head: Position) -> String {
    format!("large/{:08}", head.value())
}
