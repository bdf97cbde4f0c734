//! The anchor in a directory over a disk whose syncs fail when they are told to: each test runs in
//! a process of its own, under the shim `shims/disk_faults.c`.
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

use custody_audit::anchor::DirectoryAnchor;
use custody_audit::note::KeyName;
use custody_core::digest::Digest;
use custody_core::seam::{ErrorKind, Head, HeadAnchor as _, Position};
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
