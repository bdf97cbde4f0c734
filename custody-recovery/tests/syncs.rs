//! Journals and files over a disk whose syncs fail when they are told to: each test runs in a
//! process of its own, under the shim `shims/disk_faults.c`.
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

use custody_core::digest::Digest;
use custody_core::id::{CustodianId, OrderId};
use custody_core::seam::ErrorKind;
use custody_core::secret::Secret;
use custody_recovery::SetId;
use custody_recovery::archive::EntryPath;
use custody_recovery::ceremony::{Begun, FolderJournal, Journal as _};
use custody_recovery::restore::{FileError, FileTarget as _, FolderTarget};
use pollster::block_on;

use shim::{Clean, Fault, Order, Shim};

/// The next sync of what ends so fails.
fn failing_sync(part: &str) -> Order {
    let part = format!("{part}$");
    Order { fault: Fault::Eio, goes_on: false, kind: "sync", number: 1, part }
}

#[test]
fn a_record_whose_name_is_not_durable_is_none() {
    let shim = Clean(Shim::here());
    let folder = shim.0.directory.join("journal");
    std::fs::create_dir(&folder).unwrap();
    let journal = FolderJournal::new(&folder);
    let custodian = CustodianId::new(Digest::of(b"custodian"));
    let set = SetId::of(&custodian, &OrderId::parse("order").unwrap());
    block_on(async {
        assert_eq!(journal.begin(&set).await.unwrap(), Begun::First);
        shim.0.order(&failing_sync("/journal"));
        let failed = journal.finish(&set, b"record").await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Indeterminate);
        assert_eq!(journal.record(&set).await.unwrap(), None);
        assert_eq!(journal.begin(&set).await.unwrap(), Begun::BrokenOff);
        // What is noted from a log is noted again, and then it stays whatever fails.
        shim.0.cease();
        journal.finish(&set, b"record").await.unwrap();
        shim.0.order(&failing_sync("/journal"));
        assert!(journal.finish(&set, b"record").await.is_err());
        assert_eq!(journal.record(&set).await.unwrap(), Some(b"record".to_vec()));
        assert_eq!(journal.begin(&set).await.unwrap(), Begun::Done(b"record".to_vec()));
    });
}

#[test]
fn a_folder_for_files_is_durable_before_anything_is_written_into_it() {
    let shim = Clean(Shim::here());
    let (above, log) = (shim.0.directory.join("files"), shim.0.directory.join("files/log"));
    std::fs::create_dir(&above).unwrap();
    shim.0.order(&failing_sync("/files"));
    let refused = FolderTarget::new().folder("log", &log).unwrap_err();
    assert!(matches!(refused, FileError::Folder(_)), "{refused:?}");
    assert!(!log.exists(), "what is not durable is not taken for it");
    // As a process leaves it that ended before it had synced.
    shim.0.cease();
    std::fs::create_dir(&log).unwrap();
    shim.0.order(&failing_sync("/files"));
    let refused = FolderTarget::new().folder("log", &log).unwrap_err();
    assert!(matches!(refused, FileError::Folder(_)), "{refused:?}");
    shim.0.order(&Order::counting());
    let mut target = FolderTarget::new().folder("log", &log).unwrap();
    block_on(async {
        for file in ["log/tile/0/000", "log/tile/0/001", "log/checkpoint"] {
            target.begin(&EntryPath::parse(file).unwrap()).await.unwrap();
            target.write(&Secret::new(b"bytes".to_vec())).await.unwrap();
            target.finish().await.unwrap();
        }
    });
    let trace = shim.0.trace();
    let syncs = |folder: &str| {
        let line = format!("- sync {}/{folder}", shim.0.directory.display());
        trace.iter().filter(|seen| **seen == line).count()
    };
    assert_eq!((syncs("files"), syncs("files/log/tile")), (1, 1), "{trace:?}");
    // Each of these has two names in it.
    assert_eq!((syncs("files/log"), syncs("files/log/tile/0")), (2, 2), "{trace:?}");
}
