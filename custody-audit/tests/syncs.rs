//! The anchor and the log in directories over a disk whose syncs fail when they are told to: each
//! test runs in a process of its own, under the shim `shims/disk_faults.c`.
#![cfg(target_os = "linux")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

#[expect(dead_code, reason = "not every test binary uses all of it")]
#[path = "../../shims/disk_faults.rs"]
mod shim;

use std::path::{Path, PathBuf};
use std::time::Duration;

use custody_audit::anchor::DirectoryAnchor;
use custody_audit::note::KeyName;
use custody_audit::storage::{DirectoryTiles, TileStorage as _};
use custody_audit::tile::{Tile, TileId};
use custody_audit::tree::TreeHash;
use custody_audit::{ExportError, export};
use custody_core::digest::Digest;
use custody_core::seam::{
    Batch, Checkpoint, ErrorKind, Head, HeadAnchor as _, Position, Record, RecordKey, Store as _,
};
use custody_core::tree::Tree;
use custody_testkit::store::MemoryStore;
use pollster::block_on;

use shim::{Clean, Fault, Order, Shim};

fn log() -> KeyName {
    KeyName::parse("custody.example/log").unwrap()
}

fn head(size: u64) -> Head {
    Head { size: Position::new(size), root: Digest::of(&size.to_be_bytes()) }
}

fn fails(kind: &'static str, part: &str) -> Order {
    Order { fault: Fault::Eio, goes_on: false, kind, number: 1, part: part.to_owned() }
}

/// After a sync of the directory failed, the file may be in the cache only, marked as written: a
/// second sync alone would answer that all is well.
#[test]
fn a_head_whose_sync_failed_is_written_again_before_it_is_told() {
    let shim = Clean(Shim::here());
    let folder = shim.0.directory.join("anchor");
    let anchor = DirectoryAnchor::create(&folder, &log(), &[]).unwrap();
    shim.0.order(&fails("sync", "/anchor$"));
    let failed = block_on(anchor.advance(None, head(1))).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Indeterminate);
    let before = shim.0.trace().len();
    assert_eq!(block_on(anchor.load()).unwrap(), Some(head(1)));
    let then = shim.0.trace().split_off(before);
    let kinds: Vec<_> = then.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(kinds, ["open", "write", "sync", "rename", "sync"], "{then:?}");
    assert_eq!(block_on(anchor.load()).unwrap(), Some(head(1)));
    assert_eq!(shim.0.trace().len(), before + kinds.len(), "it is certain by now");
}

#[test]
fn an_anchor_is_never_taken_for_granted_when_it_is_opened() {
    let shim = Clean(Shim::here());
    let folder = shim.0.directory.join("anchor");
    drop(DirectoryAnchor::create(&folder, &log(), &[]).unwrap());
    for (kind, part) in [("write", "head.draft$"), ("sync", "head.draft$"), ("sync", "/anchor$")] {
        shim.0.order(&fails(kind, part));
        let opened = DirectoryAnchor::open(&folder, &log(), &[]);
        assert!(opened.is_err(), "{kind} {part}");
    }
    drop(DirectoryAnchor::open(&folder, &log(), &[]).unwrap());
}

#[test]
fn an_advance_fails_at_every_call_and_leaves_the_old_head_or_the_new_one() {
    let shim = Clean(Shim::here());
    for fault in [Fault::Eio, Fault::Enospc, Fault::Short] {
        for number in 1..=5 {
            let folder = shim.0.directory.join(format!("{fault:?}{number}"));
            let anchor = DirectoryAnchor::create(&folder, &log(), &[]).unwrap();
            block_on(anchor.advance(None, head(3))).unwrap();
            let part = format!("/{fault:?}{number}");
            shim.0.order(&Order { fault, goes_on: true, kind: "any", number, part });
            let failed = block_on(anchor.advance(Some(head(3)), head(4))).unwrap_err();
            shim.0.cease();
            // Only the last call, the sync of the directory, is made after the file has its name.
            let is_there = number == 5;
            let kind = if is_there { ErrorKind::Indeterminate } else { ErrorKind::Unavailable };
            assert_eq!(failed.kind(), kind, "{fault:?} {number}");
            drop(anchor);
            let anchor = DirectoryAnchor::open(&folder, &log(), &[]).unwrap();
            let left = if is_there { head(4) } else { head(3) };
            assert_eq!(block_on(anchor.load()).unwrap(), Some(left), "{fault:?} {number}");
            block_on(anchor.advance(Some(left), head(5))).unwrap();
        }
    }
}

#[test]
fn a_directory_is_durable_before_tiles_are_kept_in_it() {
    let shim = Clean(Shim::here());
    let (above, log) = (shim.0.directory.join("data"), shim.0.directory.join("data/log"));
    std::fs::create_dir(&above).unwrap();
    shim.0.order(&fails("sync", "/data$"));
    assert_eq!(DirectoryTiles::open(&log).unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(!log.exists(), "what is not durable is not taken for it");
    // As a process leaves it that ended before it had synced.
    shim.0.cease();
    std::fs::create_dir(&log).unwrap();
    shim.0.order(&fails("sync", "/data$"));
    assert_eq!(DirectoryTiles::open(&log).unwrap_err().kind(), ErrorKind::Unavailable);
    drop(DirectoryTiles::open(&log).unwrap());
}

/// The next write must not take the directory `tile/0` for durable because it is there.
#[test]
fn a_tile_whose_directory_was_not_synced_waits_for_that_and_the_checkpoint_for_the_tile() {
    let shim = Clean(Shim::here());
    let root = shim.0.directory.join("log");
    std::fs::create_dir_all(root.join("tile/0")).unwrap();
    let tiles = DirectoryTiles::open(&root).unwrap().with_pace(Duration::ZERO);
    shim.0.order(&fails("sync", "/tile$"));
    let tile = Tile::new(vec![TreeHash::leaf(b"leaf"); 256]).unwrap();
    block_on(tiles.put_tiles(vec![(TileId { level: 0, index: 0 }, tile)])).unwrap();
    // The failure is told by the call after it.
    let is_told = (0..10_000).any(|_| {
        std::thread::sleep(Duration::from_millis(1));
        block_on(tiles.put_checkpoint("note\n".into())).is_err()
    });
    drop(tiles);
    assert!(is_told, "{:?}", shim.0.trace());
    let trace = shim.0.trace();
    let place = |mark: &str, kind: &str, path: &str| {
        let line = format!("{mark} {kind} {}/{path}", root.display());
        trace.iter().position(|seen| *seen == line)
    };
    let failed = place("!", "sync", "tile");
    let (synced, named) = (place("-", "sync", "tile"), place("-", "rename", "tile/0/000"));
    let checkpoint = place("-", "rename", "checkpoint");
    assert!(failed.is_some() && failed < synced, "{trace:?}");
    assert!(synced < named && named < checkpoint, "{trace:?}");
}

/// Three hundred events and two documents, and the head over the events.
fn exported() -> (MemoryStore, Checkpoint) {
    let (store, mut tree) = (MemoryStore::new(), Tree::default());
    let events: Vec<_> = (0_u16..300).map(|index| index.to_be_bytes().to_vec()).collect();
    events.iter().for_each(|event| tree.append(event));
    let document = |bytes: &[u8]| Record {
        key: RecordKey::parse(&format!("document/order/{}", Digest::of(bytes))).unwrap(),
        value: bytes.to_vec(),
    };
    let puts = vec![document(b"one"), document(b"two")];
    block_on(store.commit(Position::START, Batch { puts, events, ..Batch::default() })).unwrap();
    (store, Checkpoint { head: tree.head(), note: "note\n".to_owned() })
}

/// The files and directories below a directory.
fn below(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    let paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    let deeper = paths.iter().filter(|path| path.is_dir()).flat_map(|path| below(path));
    let deeper: Vec<_> = deeper.collect();
    [paths, deeper].concat()
}

#[test]
fn an_export_is_durable_before_its_checkpoint_is_there() {
    let shim = Clean(Shim::here());
    let (store, checkpoint) = exported();
    let target = shim.0.directory.join("export");
    shim.0.order(&Order::counting());
    let written = block_on(export(&store, &checkpoint, &target)).unwrap();
    assert_eq!((written.entries, written.documents), (300, 2));
    let trace = shim.0.trace();
    let places = |kind: &str, path: &Path| {
        let line = format!("- {kind} {}", path.display());
        let seen = trace.iter().enumerate().filter(move |(_, seen)| **seen == line);
        seen.map(|(place, _)| place).collect::<Vec<_>>()
    };
    let named = places("rename", &target.join("checkpoint"))[0];
    let is_between = |sync: &usize, made: usize| made < *sync && *sync < named;
    let all: Vec<_> =
        below(&target).into_iter().filter(|path| !path.ends_with("checkpoint")).collect();
    assert_eq!(all.iter().filter(|path| path.is_file()).count(), 7, "{all:?}");
    for path in &all {
        let kind = if path.is_dir() { "mkdir" } else { "open" };
        let made = places(kind, path)[0];
        let above = places("sync", path.parent().unwrap());
        assert!(above.iter().any(|sync| is_between(sync, made)), "{path:?}: {trace:?}");
        if path.is_file() {
            let written = *places("write", path).last().unwrap();
            let own = places("sync", path);
            assert!(own.iter().any(|sync| is_between(sync, written)), "{path:?}: {trace:?}");
        }
    }
    assert!(*places("sync", &target).last().unwrap() > named, "{trace:?}");
}

#[test]
fn an_export_of_which_a_sync_fails_says_so_and_has_no_checkpoint() {
    let shim = Clean(Shim::here());
    let (store, checkpoint) = exported();
    shim.0.order(&Order::counting());
    block_on(export(&store, &checkpoint, &shim.0.directory.join("whole"))).unwrap();
    let trace = shim.0.trace();
    let syncs = trace.iter().filter(|line| line.contains(" sync ")).count();
    assert!(syncs > 15, "{trace:?}");
    for number in 1..=syncs {
        let target = shim.0.directory.join(format!("export-{number}"));
        let part = "/".to_owned();
        shim.0.order(&Order { fault: Fault::Eio, goes_on: false, kind: "sync", number, part });
        let failed = block_on(export(&store, &checkpoint, &target)).unwrap_err();
        assert!(matches!(failed, ExportError::Io(_)), "{number}: {failed:?}");
        // Only the last sync comes after the checkpoint has its name.
        assert_eq!(target.join("checkpoint").exists(), number == syncs, "{number}");
    }
}
