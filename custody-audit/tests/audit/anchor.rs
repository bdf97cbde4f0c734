//! The anchor in a directory: what it refuses, and what it survives.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use custody_audit::anchor::{AnchorFileError, DirectoryAnchor, DirectoryAnchorError};
use custody_audit::note::KeyName;
use custody_core::digest::Digest;
use custody_core::seam::{AnchorError, ErrorKind, Head, HeadAnchor, Position};
use pollster::block_on;
use tempfile::TempDir;

use crate::support::origin;

struct Folder {
    folder: TempDir,
}

impl Folder {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("anchor")
    }

    fn head(&self) -> PathBuf {
        self.path().join("head")
    }

    fn create(&self) -> DirectoryAnchor {
        DirectoryAnchor::create(self.path(), &origin(), &[]).unwrap()
    }

    fn open(&self) -> Result<DirectoryAnchor, DirectoryAnchorError> {
        DirectoryAnchor::open(self.path(), &origin(), &[])
    }

    fn anchored(size: u64) -> Self {
        let folder = Self::new();
        block_on(folder.create().advance(None, head(size))).unwrap();
        folder
    }
}

fn head(size: u64) -> Head {
    Head { size: Position::new(size), root: Digest::of(&size.to_be_bytes()) }
}

fn load(anchor: &DirectoryAnchor) -> Result<Option<Head>, AnchorError> {
    block_on(anchor.load())
}

#[test]
fn the_head_is_there_again_after_a_restart() {
    let folder = Folder::new();
    drop(folder.create());
    assert_eq!(load(&folder.open().unwrap()).unwrap(), None);
    let mut old = None;
    for size in [1, 2, u64::MAX] {
        block_on(folder.open().unwrap().advance(old, head(size))).unwrap();
        old = Some(head(size));
        assert_eq!(load(&folder.open().unwrap()).unwrap(), old);
    }
}

#[test]
fn an_anchor_that_is_gone_is_never_an_empty_one() {
    let folder = Folder::anchored(7);
    fs::remove_file(folder.head()).unwrap();
    assert!(matches!(folder.open(), Err(DirectoryAnchorError::Missing)));
    fs::remove_dir_all(folder.path()).unwrap();
    assert!(matches!(folder.open(), Err(DirectoryAnchorError::Missing)));
    assert!(!folder.path().exists(), "a refused anchor was made");
}

#[test]
fn an_anchor_is_made_once() {
    let folder = Folder::anchored(7);
    let again = DirectoryAnchor::create(folder.path(), &origin(), &[]);
    assert!(matches!(again, Err(DirectoryAnchorError::Exists)), "{again:?}");
    assert_eq!(load(&folder.open().unwrap()).unwrap(), Some(head(7)));
    fs::write(folder.head(), "damaged").unwrap();
    let again = DirectoryAnchor::create(folder.path(), &origin(), &[]);
    assert!(matches!(again, Err(DirectoryAnchorError::Exists)), "{again:?}");
}

#[test]
fn two_anchors_never_have_one_directory() {
    let folder = Folder::new();
    let first = folder.create();
    assert!(matches!(folder.open(), Err(DirectoryAnchorError::InUse)));
    let second = DirectoryAnchor::create(folder.path(), &origin(), &[]);
    assert!(matches!(second, Err(DirectoryAnchorError::InUse)), "{second:?}");
    block_on(first.advance(None, head(1))).unwrap();
    drop(first);
    assert_eq!(load(&folder.open().unwrap()).unwrap(), Some(head(1)));
}

#[test]
fn an_anchor_that_another_process_has_is_refused() {
    if let Some(path) = std::env::var_os(OTHER_PROCESS) {
        for opened in [
            DirectoryAnchor::open(&path, &origin(), &[]),
            DirectoryAnchor::create(&path, &origin(), &[]),
        ] {
            assert!(matches!(opened, Err(DirectoryAnchorError::InUse)), "{opened:?}");
        }
        return;
    }
    let folder = Folder::new();
    let anchor = folder.create();
    let mut other = Command::new(std::env::current_exe().unwrap());
    other.args(["anchor::an_anchor_that_another_process_has_is_refused", "--exact"]);
    let other = other.env(OTHER_PROCESS, folder.path()).output().unwrap();
    let told = String::from_utf8_lossy(&other.stdout);
    assert!(other.status.success() && told.contains("1 passed"), "{told}");
    block_on(anchor.advance(None, head(1))).unwrap();
}

#[test]
fn what_cannot_be_looked_at_is_neither_missing_nor_made() {
    let folder = Folder::anchored(3);
    // No name is that long, so asking for it is an error of another kind than "not found".
    let place = folder.path().join("a".repeat(300));
    let opened = DirectoryAnchor::open(&place, &origin(), &[]);
    assert!(matches!(opened, Err(DirectoryAnchorError::Io(_))), "{opened:?}");
    let made = DirectoryAnchor::create(&place, &origin(), &[]);
    assert!(matches!(made, Err(DirectoryAnchorError::Io(_))), "{made:?}");
}

#[test]
#[cfg(unix)]
fn an_anchor_in_a_directory_of_the_store_or_the_log_is_refused() {
    let folder = Folder::new();
    let data = folder.folder.path().join("data");
    fs::create_dir_all(data.join("log")).unwrap();
    let link = folder.folder.path().join("link");
    std::os::unix::fs::symlink(&data, &link).unwrap();
    for place in [&data, &data.join("anchor"), &data.join("log/anchor"), &link.join("anchor")] {
        fs::create_dir_all(place).unwrap();
        for apart_from in [[folder.path().as_path(), &data], [folder.path().as_path(), &link]] {
            fs::create_dir_all(folder.path()).unwrap();
            for opened in [
                DirectoryAnchor::create(place, &origin(), &apart_from),
                DirectoryAnchor::open(place, &origin(), &apart_from),
            ] {
                assert!(matches!(opened, Err(DirectoryAnchorError::Apart)), "{opened:?}");
            }
        }
    }
    let beside = folder.folder.path().join("data-anchor");
    drop(DirectoryAnchor::create(&beside, &origin(), &[&data]).unwrap());
    drop(DirectoryAnchor::open(&beside, &origin(), &[&data]).unwrap());
    let unknown = DirectoryAnchor::open(&beside, &origin(), &[Path::new("nowhere")]);
    assert!(matches!(unknown, Err(DirectoryAnchorError::Io(_))), "{unknown:?}");
}

#[test]
fn a_directory_that_holds_something_else_is_refused() {
    for other in ["checkpoint", "custody.sqlite", "head.old", "."] {
        let folder = Folder::anchored(3);
        let place = folder.path().join(other);
        if other == "." {
            fs::create_dir(folder.path().join("tile")).unwrap();
        } else {
            fs::write(place, "something").unwrap();
        }
        assert!(matches!(folder.open(), Err(DirectoryAnchorError::Foreign)), "{other}");
        fs::remove_file(folder.head()).unwrap();
        let made = DirectoryAnchor::create(folder.path(), &origin(), &[]);
        assert!(matches!(made, Err(DirectoryAnchorError::Foreign)), "{other}");
        assert!(!folder.head().exists(), "{other}");
    }
}

#[test]
fn the_anchor_of_another_log_is_refused() {
    let folder = Folder::anchored(3);
    let other = KeyName::parse("custody.example/other").unwrap();
    let opened = DirectoryAnchor::open(folder.path(), &other, &[]);
    let refused = matches!(opened, Err(DirectoryAnchorError::File(AnchorFileError::Log)));
    assert!(refused, "{opened:?}");
}

#[test]
fn what_is_no_anchors_file_is_refused() {
    let folder = Folder::anchored(3);
    let of = |error: &DirectoryAnchorError| {
        let DirectoryAnchorError::File(error) = error else { return None };
        Some(*error)
    };
    fs::write(folder.head(), "").unwrap();
    assert_eq!(of(&folder.open().unwrap_err()), Some(AnchorFileError::Lines));
    fs::write(folder.head(), vec![b'a'; 1_025]).unwrap();
    assert_eq!(of(&folder.open().unwrap_err()), Some(AnchorFileError::Shape));
    fs::remove_file(folder.head()).unwrap();
    fs::create_dir(folder.head()).unwrap();
    assert_eq!(of(&folder.open().unwrap_err()), Some(AnchorFileError::Shape));
}

#[test]
fn a_file_that_is_put_back_behind_the_anchor_is_a_conflict_and_one_that_is_gone_corrupt() {
    let folder = Folder::anchored(3);
    let older = fs::read(folder.head()).unwrap();
    let anchor = folder.open().unwrap();
    block_on(anchor.advance(Some(head(3)), head(4))).unwrap();
    fs::write(folder.head(), older).unwrap();
    let refused = block_on(anchor.advance(Some(head(4)), head(5))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    fs::remove_file(folder.head()).unwrap();
    assert_eq!(load(&anchor).unwrap_err().kind(), ErrorKind::Corrupt);
    let refused = block_on(anchor.advance(None, head(5))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(!folder.head().exists());
}

#[test]
fn an_advance_that_cannot_be_written_leaves_the_old_head() {
    let folder = Folder::anchored(3);
    let anchor = folder.open().unwrap();
    // A directory under the name of the draft makes writing it fail, for root too.
    fs::create_dir(folder.path().join("head.draft")).unwrap();
    let refused = block_on(anchor.advance(Some(head(3)), head(4))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert_eq!(load(&anchor).unwrap(), Some(head(3)));
    fs::remove_dir(folder.path().join("head.draft")).unwrap();
    block_on(anchor.advance(Some(head(3)), head(4))).unwrap();
    assert_eq!(load(&anchor).unwrap(), Some(head(4)));
}

#[test]
fn a_draft_that_a_crash_left_behind_is_written_over() {
    let folder = Folder::anchored(3);
    fs::write(folder.path().join("head.draft"), "half an anch").unwrap();
    let anchor = folder.open().unwrap();
    assert_eq!(load(&anchor).unwrap(), Some(head(3)));
    block_on(anchor.advance(Some(head(3)), head(4))).unwrap();
    assert_eq!(load(&anchor).unwrap(), Some(head(4)));
}

#[test]
fn an_advance_whose_caller_left_is_done_or_not_and_the_next_call_sees_which() {
    let folder = Folder::anchored(3);
    let anchor = folder.open().unwrap();
    let mut left = anchor.advance(Some(head(3)), head(4));
    let waker = std::task::Waker::noop();
    let polled = left.as_mut().poll(&mut std::task::Context::from_waker(waker));
    drop(left);
    assert!(polled.is_pending() || matches!(polled, std::task::Poll::Ready(Ok(()))));
    assert_eq!(load(&anchor).unwrap(), Some(head(4)));
}

#[test]
fn an_error_names_no_content() {
    let folder = Folder::anchored(3);
    fs::write(folder.head(), "customer 4711\n".repeat(3)).unwrap();
    let error = folder.open().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("4711"));
}

/// Where the other process finds the anchor of the first.
const OTHER_PROCESS: &str = "CUSTODY_AUDIT_TEST_ANCHOR";
