//! What is copied.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use custody_recovery::{
    ArchiveSource, Copies, CopiesError, CopyState, Place, PlaceError, PlaceName,
};
use custody_testkit::runtime::{TestClock, TestExecutor};
use pollster::block_on;
use tokio::io::AsyncRead;

use crate::lying::{DAMAGING, Lie, LyingStore, WRITING};
use crate::support::{archive, name, place, sized, states};

#[test]
fn every_place_gets_its_copy() {
    let (one, two) = (LyingStore::default(), LyingStore::default());
    let folder = tempfile::tempdir().unwrap();
    let here = Place::folder(name("here"), folder.path()).unwrap();
    let copies = Copies::new(vec![place("one", &one), place("two", &two), here]).unwrap();
    let archive = archive(1);
    block_on(async {
        let report = copies.put(&archive.bytes, &archive.summary).await.unwrap();
        assert!(report.is_complete() && report.good() == 3 && report.faulty().next().is_none());
        assert_eq!(report.to_string(), "one: good\ntwo: good\nhere: good\n");
        assert!(copies.check(&archive.summary).await.is_complete());
    });
    let id = "01".repeat(32);
    let file = folder.path().join(format!("0000000001000001-{id}.archive"));
    assert_eq!(std::fs::read(file).unwrap(), *archive.bytes);
    let location = copies.places()[0].location(&archive.summary).to_string();
    assert_eq!(location, format!("custody/archives/0000000001000001-{id}.archive"));
}

#[test]
fn a_long_archive_goes_in_parts() {
    let store = LyingStore::default();
    let copies = Copies::new(vec![place("one", &store)]).unwrap();
    let archive = sized(1, 20 * 1024 * 1024);
    let report = block_on(copies.put(&archive.bytes, &archive.summary)).unwrap();
    assert_eq!(states(&report), [CopyState::Good]);
    assert_eq!(store.parts.load(Ordering::SeqCst), 3);
}

#[test]
fn a_place_that_fails_is_named_and_keeps_no_other_from_its_copy() {
    for lie in WRITING.into_iter().chain([Lie::Get, Lie::GetBreaks]) {
        let (bad, good) = (LyingStore::default(), LyingStore::default());
        bad.tell(lie);
        let copies = Copies::new(vec![place("bad", &bad), place("good", &good)]).unwrap();
        let archive = archive(1);
        let report = block_on(copies.put(&archive.bytes, &archive.summary)).unwrap();
        assert_eq!(states(&report), [CopyState::Unreachable, CopyState::Good], "{lie:?}");
        assert_eq!(report.faulty().collect::<Vec<_>>(), [&name("bad")]);
        let aborted = bad.aborted.load(Ordering::SeqCst);
        assert_eq!(aborted, matches!(lie, Lie::Part | Lie::Complete), "{lie:?}");
        // What a place said about itself counts for nothing, and no address is told.
        let told = format!("{report} {report:?} {copies:?}");
        assert!(!told.contains("hunter2") && !told.contains("c0ffee"), "{told}");
    }
}

#[test]
fn a_copy_that_reads_back_otherwise_does_not_count() {
    for (lie, expected) in DAMAGING
        .map(|lie| (lie, CopyState::Damaged))
        .into_iter()
        .chain([(Lie::Forgets, CopyState::Missing)])
    {
        let (bad, good) = (LyingStore::default(), LyingStore::default());
        bad.tell(lie);
        let copies = Copies::new(vec![place("bad", &bad), place("good", &good)]).unwrap();
        let archive = archive(1);
        let report = block_on(copies.put(&archive.bytes, &archive.summary)).unwrap();
        assert_eq!(states(&report), [expected, CopyState::Good], "{lie:?}");
        assert!(!report.is_complete() && report.good() == 1);
    }
}

#[test]
fn a_copy_can_be_put_again_where_it_failed() {
    let store = LyingStore::default();
    let copies = Copies::new(vec![place("one", &store)]).unwrap();
    let archive = archive(1);
    for lie in [Some(Lie::Complete), Some(Lie::Forgets), None, None] {
        store.tell(lie);
        let report = block_on(copies.put(&archive.bytes, &archive.summary)).unwrap();
        assert_eq!(report.is_complete(), lie.is_none(), "{lie:?}");
    }
}

#[test]
fn a_copy_that_cannot_get_its_name_leaves_nothing_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let here = Place::folder(name("here"), folder.path()).unwrap();
    let (copies, archive) = (Copies::new(vec![here]).unwrap(), archive(1));
    let copy = copies.places()[0].location(&archive.summary).to_string();
    // A folder under the name of the copy makes the last step fail, for root too.
    std::fs::create_dir(folder.path().join(&copy)).unwrap();
    let others = [format!("{copy}#"), format!("{copy}#1a"), format!("{copy}.old#1")];
    for other in &others {
        std::fs::write(folder.path().join(other), b"not of this copy").unwrap();
    }
    let names = || {
        let names = std::fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let before = names();
    assert_eq!(before.len(), 1 + others.len());
    for _ in 0..2 {
        let report = block_on(copies.put(&archive.bytes, &archive.summary)).unwrap();
        assert_eq!(states(&report), [CopyState::Unreachable]);
        assert_eq!(names(), before);
    }
    std::fs::remove_dir(folder.path().join(&copy)).unwrap();
    let report = block_on(copies.put(&archive.bytes, &archive.summary)).unwrap();
    assert!(report.is_complete());
    assert_eq!(names(), before);
}

#[test]
fn a_place_that_never_answers_is_unreachable_when_its_time_is_over() {
    let (clock, bad, good) = (TestClock::new(), LyingStore::default(), LyingStore::default());
    bad.tell(Lie::Hangs);
    let copies = Copies::new(vec![place("bad", &bad), place("good", &good)]).unwrap();
    let copies = copies.with_deadline(Arc::new(clock.clone()), Duration::from_secs(60));
    let archive = archive(1);
    let report = TestExecutor::new(clock)
        .run(async { copies.put(&archive.bytes, &archive.summary).await.unwrap() });
    assert_eq!(states(&report), [CopyState::Unreachable, CopyState::Good]);
}

/// A source that cannot be opened, or breaks off.
#[derive(Debug)]
struct Broken {
    opens: bool,
}

impl ArchiveSource for Broken {
    fn open(&self) -> io::Result<Box<dyn AsyncRead + Send + Unpin>> {
        struct Breaks;
        impl AsyncRead for Breaks {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
                _: &mut tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<io::Result<()>> {
                std::task::Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
        }
        match self.opens {
            true => Ok(Box::new(Breaks)),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

#[test]
fn what_cannot_be_read_or_is_another_archive_is_not_copied() {
    let store = LyingStore::default();
    let copies = Copies::new(vec![place("one", &store)]).unwrap();
    let (one, other) = (archive(1), archive(2));
    block_on(async {
        for opens in [false, true] {
            let put = copies.put(&Broken { opens }, &one.summary).await;
            assert!(matches!(put, Err(CopiesError::Source(_))));
        }
        let put = copies.put(&other.bytes, &one.summary).await;
        assert!(matches!(put, Err(CopiesError::Differs)));
        let short: Arc<[u8]> = one.bytes[..4_999].into();
        let put = copies.put(&short, &one.summary).await;
        assert!(matches!(put, Err(CopiesError::Differs)));
        assert!(store.aborted.load(Ordering::SeqCst));
        assert_eq!(states(&copies.check(&one.summary).await), [CopyState::Missing]);
        let missing = std::path::PathBuf::from("/nowhere/custody.archive");
        let put = copies.put(&missing, &one.summary).await;
        assert!(matches!(put, Err(CopiesError::Source(_))));
    });
}

#[test]
fn places_have_names_of_their_own() {
    let store = LyingStore::default();
    assert!(matches!(Copies::new(Vec::new()), Err(CopiesError::NoPlace)));
    let twice = Copies::new(vec![place("one", &store), place("one", &store)]);
    assert!(matches!(twice, Err(CopiesError::NameTwice)));
    for text in ["", "One", "one two", "s3://one", &"a".repeat(65)] {
        assert_eq!(PlaceName::parse(text).unwrap_err().length, text.len());
    }
    let folder = tempfile::tempdir().unwrap();
    let missing = Place::folder(name("one"), &folder.path().join("missing"));
    assert_eq!(missing.unwrap_err(), PlaceError::Folder);
    let prefix = Place::new(name("one"), Arc::new(store), "a//b");
    assert_eq!(prefix.unwrap_err(), PlaceError::Prefix);
}

#[test]
fn a_url_names_a_folder_or_a_cloud_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    let copies = Copies::new(vec![Place::from_url(name("here"), &url, []).unwrap()]).unwrap();
    let archive = archive(1);
    let report = block_on(copies.put(&archive.bytes, &archive.summary)).unwrap();
    assert!(report.is_complete());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    for url in
        ["", "here", "memory:///", "http://example.org/a", "https://example.org/a", "ftp://a"]
    {
        assert_eq!(Place::from_url(name("a"), url, []).unwrap_err(), PlaceError::Url, "{url}");
    }
    let missing = format!("{url}/missing");
    assert_eq!(Place::from_url(name("a"), &missing, []).unwrap_err(), PlaceError::Folder);
    let options = [
        ("aws_access_key_id", "key"),
        ("aws_secret_access_key", "hunter2"),
        ("aws_region", "eu-central-1"),
    ];
    let made = Place::from_url(name("a"), "s3://bucket/prefix", options);
    assert_eq!(made.is_ok(), cfg!(feature = "aws"), "{made:?}");
    assert!(!format!("{made:?}").contains("hunter2"));
    let made = Place::from_url(name("a"), "gs://bucket/prefix", []);
    assert_eq!(made.is_ok(), cfg!(feature = "gcp"), "{made:?}");
    let options = [("account_name", "account")];
    let made = Place::from_url(name("a"), "az://container/prefix", options);
    assert_eq!(made.is_ok(), cfg!(feature = "azure"), "{made:?}");
}
