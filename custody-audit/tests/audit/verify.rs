//! Verification of exported logs: replay, keys, older checkpoints, receipts, documents.

use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;

use custody_audit::checkpoint::CheckpointError;
use custody_audit::export;
use custody_audit::note::{NoteError, SignedNote};
use custody_audit::proof::{LogProof, LogProofError};
use custody_audit::tree::ProofError;
use custody_audit::verify::{
    KeyHistory, LogDirectory, ReplayError, ReplayedLog, VerifiedLog, VerifyError,
};
use custody_core::digest::Digest;
use custody_core::seam::{AuditLog, Batch, Position, Store};
use pollster::block_on;
use tempfile::TempDir;

use crate::support::{House, event, seal};

const UNKNOWN: VerifyError =
    VerifyError::Checkpoint(CheckpointError::Note(NoteError::UnknownSigner));

fn exported(house: &House) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (_, checkpoint) = house.sealed();
    block_on(export(&house.store, &checkpoint, folder.path())).unwrap();
    folder
}

fn replay(folder: &TempDir) -> ReplayedLog {
    let log = LogDirectory::open(folder.path()).unwrap();
    log.replay(|_, _| Ok::<_, Infallible>(())).unwrap()
}

fn verified(house: &House, folder: &TempDir) -> VerifiedLog {
    replay(folder).authenticate(KeyHistory::new(house.signer.key())).unwrap()
}

#[test]
fn every_entry_is_shown_once_in_order_with_its_bytes() {
    for size in [0, 1, 255, 256, 257, 600] {
        let house = House::new(size);
        let folder = exported(&house);
        let mut shown = 0;
        let log = LogDirectory::open(folder.path()).unwrap();
        let replayed = log.replay(|index, entry| {
            assert_eq!((index, entry), (shown, event(index).as_slice()));
            shown += 1;
            Ok::<_, Infallible>(())
        });
        let log = replayed.unwrap().authenticate(KeyHistory::new(house.signer.key())).unwrap();
        assert_eq!((shown, log.head().tree().size), (size, size));
    }
}

#[test]
fn a_bundle_of_long_entries_is_read_whole() {
    let house = House::new(0);
    let long = |index: u8| vec![b'a' + index; 30_000];
    let batch = Batch { events: (0..4).map(long).collect(), ..Batch::default() };
    block_on(house.store.commit(Position::START, batch)).unwrap();
    let folder = exported(&house);
    let mut shown = Vec::new();
    let log = LogDirectory::open(folder.path()).unwrap();
    let replayed = log.replay(|_, entry| {
        shown.push(entry.to_vec());
        Ok::<_, Infallible>(())
    });
    replayed.unwrap().authenticate(KeyHistory::new(house.signer.key())).unwrap();
    assert_eq!(shown, (0..4).map(long).collect::<Vec<_>>());
}

#[test]
fn a_visitor_that_refuses_stops_the_replay_at_its_entry() {
    let folder = exported(&House::new(300));
    let log = LogDirectory::open(folder.path()).unwrap();
    let refused = log.replay(|index, _| if index == 270 { Err("no") } else { Ok(()) });
    let error = refused.unwrap_err();
    assert_eq!(error, ReplayError::Entry { index: 270, source: "no" });
    assert_eq!(error.first_entry(), Some(270));
}

#[test]
fn a_log_signed_by_another_key_is_not_verified() {
    let house = House::new(300);
    let folder = exported(&house);
    let refused = replay(&folder).authenticate(KeyHistory::new(house.next.key()));
    assert_eq!(refused.unwrap_err(), UNKNOWN);
}

/// A log whose key changes with entry 100; the head of 200 is signed by `signed_by_next`.
fn rotated(signed_by_next: bool) -> (House, TempDir, SignedNote) {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(200);
    let log = house.open().unwrap();
    let older = seal(&log, 100).unwrap();
    if signed_by_next {
        block_on(log.rotate(house.next.public())).unwrap();
    }
    let checkpoint = seal(&log, 200).unwrap();
    block_on(export(&house.store, &checkpoint, folder.path())).unwrap();
    (house, folder, SignedNote::parse(&older.note).unwrap())
}

#[test]
fn a_head_after_a_rotation_must_be_signed_by_the_next_key_and_one_before_by_the_old() {
    for (signed_by_next, changed_at, accepted) in [
        (true, Some(100), true),
        (true, Some(199), true),
        (true, Some(200), false),
        (true, None, false),
        (false, Some(200), true),
        (false, Some(100), false),
        (false, None, true),
    ] {
        let (house, folder, older) = rotated(signed_by_next);
        let mut keys = KeyHistory::new(house.signer.key());
        if let Some(index) = changed_at {
            keys.change(index, house.next.key()).unwrap();
        }
        let log = replay(&folder).authenticate(keys);
        assert_eq!(log.is_ok(), accepted, "{signed_by_next} {changed_at:?}");
        if let Ok(log) = log {
            assert_eq!(log.continues(&older).unwrap().size, 100);
        }
    }
}

#[test]
fn every_older_checkpoint_of_the_log_is_continued() {
    let house = House::new(600);
    let log = house.open().unwrap();
    let sizes = [0, 1, 2, 255, 256, 257, 511, 512, 600];
    let olds: Vec<_> = sizes.map(|size| seal(&log, size).unwrap().note).into();
    let folder = exported(&house);
    let log = verified(&house, &folder);
    for (size, note) in sizes.into_iter().zip(&olds) {
        assert_eq!(log.continues(&SignedNote::parse(note).unwrap()).unwrap().size, size);
    }
}

#[test]
fn a_checkpoint_of_another_history_a_longer_log_or_another_key_is_not_continued() {
    let house = House::new(300);
    let folder = exported(&house);
    let log = verified(&house, &folder);
    let other = House::new(300);
    other.store.replace_event(Position::new(7), b"other".to_vec());
    let note = |house: &House, size| {
        let log = house.open().unwrap();
        SignedNote::parse(&seal(&log, size).unwrap().note).unwrap()
    };
    let refused = |note: &SignedNote| log.continues(note).unwrap_err();
    assert_eq!(refused(&note(&other, 8)), VerifyError::Inconsistent { size: 8 });
    assert_eq!(refused(&note(&other, 300)), VerifyError::Inconsistent { size: 300 });
    let longer = House::new(301);
    assert_eq!(refused(&note(&longer, 301)), VerifyError::Beyond { size: 301, log: 300 });
    let mut foreign = House::new(300);
    foreign.signer = crate::support::LogSigner::new(5);
    assert_eq!(refused(&note(&foreign, 8)), UNKNOWN);
}

fn receipt(house: &House, size: u64, index: u64) -> LogProof {
    let log = house.open().unwrap();
    seal(&log, size).unwrap();
    LogProof::parse(&block_on(log.receipt(Position::new(index))).unwrap().proof).unwrap()
}

#[test]
fn receipts_of_any_time_are_checked_against_the_log() {
    let house = House::new(600);
    let olds: Vec<_> = [1, 256, 300, 600].map(|size| receipt(&house, size, size - 1)).into();
    let folder = exported(&house);
    let log = verified(&house, &folder);
    for old in &olds {
        assert_eq!(log.receipt(old).unwrap(), event(old.index()));
    }
}

#[test]
fn a_receipt_of_another_history_is_refused_though_it_holds_by_itself() {
    let house = House::new(600);
    let folder = exported(&house);
    let log = verified(&house, &folder);
    let other = House::new(600);
    other.store.replace_event(Position::new(7), b"other".to_vec());
    let foreign = receipt(&other, 300, 7);
    assert!(foreign.verify(&[other.signer.key()]).is_ok());
    assert_eq!(log.receipt(&foreign), Err(VerifyError::Inconsistent { size: 300 }));
    let longer = receipt(&House::new(601), 601, 7);
    assert_eq!(log.receipt(&longer), Err(VerifyError::Beyond { size: 601, log: 600 }));
}

#[test]
fn a_receipt_of_a_longer_log_is_checked_as_far_as_the_log_goes() {
    let longer = House::new(700);
    for size in [1, 2, 255, 256, 257, 300, 600] {
        let house = House::new(size);
        let folder = exported(&house);
        let log = verified(&house, &folder);
        for index in [0, size - 1, size, 699] {
            let beyond = receipt(&longer, 700, index);
            assert_eq!(log.receipt_beyond(&beyond).unwrap(), event(index), "{size} {index}");
        }
        // One that is not beyond it is checked too.
        let within = receipt(&house, size, 0);
        assert_eq!(log.receipt_beyond(&within).unwrap(), event(0), "{size}");
    }
}

/// A log of 300 entries against receipts of one of 700, of which one entry is another: which hash
/// of the proof tells, if one is over entries of both logs alone.
#[test]
fn a_receipt_of_a_longer_log_with_other_entries_is_refused() {
    let house = House::new(300);
    let folder = exported(&house);
    let log = verified(&house, &folder);
    for (index, changed, told) in [
        (299, 7, Some((0, 256))),
        (299, 256, Some((256, 288))),
        (299, 298, Some((298, 299))),
        (299, 299, Some((299, 300))),
        (7, 6, Some((6, 7))),
        (7, 7, Some((7, 8))),
        (7, 255, Some((128, 256))),
        (400, 3, Some((0, 256))),
        (7, 299, None),
        (400, 299, None),
        (650, 0, None),
    ] {
        let other = House::new(700);
        other.store.replace_event(Position::new(changed), b"other".to_vec());
        let beyond = receipt(&other, 700, index);
        let (entry, _) = beyond.verify(&[other.signer.key()]).unwrap();
        let expected = match told {
            Some((start, end)) => Err(VerifyError::Forked { size: 700, start, end }),
            None => Ok(entry),
        };
        assert_eq!(log.receipt_beyond(&beyond), expected, "{index} {changed}");
    }
}

#[test]
fn a_receipt_that_does_not_hold_is_refused() {
    let house = House::new(300);
    let folder = exported(&house);
    let log = verified(&house, &folder);
    let moved = receipt(&House::new(300), 300, 7).to_string().replace("index 7", "index 6");
    let moved = LogProof::parse(&moved).unwrap();
    let refused = Err(VerifyError::Receipt(LogProofError::Proof(ProofError)));
    assert_eq!(log.receipt(&moved), refused);
    assert_eq!(log.receipt_beyond(&moved), refused);
}

#[test]
fn documents_are_read_only_with_the_content_of_their_name() {
    let house = House::new(3);
    let (kept, changed) = (house.add_document("a", b"kept"), house.add_document("a", b"changed"));
    let folder = exported(&house);
    fs::write(folder.path().join(format!("documents/{changed}")), b"changeD").unwrap();
    let log = verified(&house, &folder);
    assert_eq!(log.document(kept).unwrap(), b"kept");
    assert_eq!(log.document(changed), Err(VerifyError::WrongDocument { digest: changed }));
    let missing = Digest::of(b"missing");
    assert_eq!(log.document(missing), Err(VerifyError::NoDocument { digest: missing }));
    assert_eq!(log.inventory(), Err(VerifyError::WrongDocument { digest: changed }));
}

#[test]
fn the_inventory_counts_documents_and_names_what_does_not_belong_to_the_log() {
    let house = House::new(600);
    house.add_document("a", b"one");
    house.add_document("a", b"two");
    let folder = exported(&house);
    let log = verified(&house, &folder);
    let clean = log.inventory().unwrap();
    assert_eq!((clean.documents, clean.foreign), (2, 0));
    let digest = Digest::of(b"three");
    let foreign = [
        "README".to_owned(),
        "checkpoint.old".to_owned(),
        format!("documents/{digest}.json"),
        format!("documents/deeper/{digest}"),
        format!("documents/{}", digest.to_string().to_uppercase()),
        "tile/0/000.p/7".to_owned(),
        "tile/0/003".to_owned(),
        "tile/1/000.p/3".to_owned(),
        "tile/entries/002".to_owned(),
        "tile/entries/2".to_owned(),
        "a/b/c/d/e/f/g/h/i/j/k/l/m".to_owned(),
    ];
    for path in &foreign {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"three").unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc", folder.path().join("documents/link")).unwrap();
    let mut found = log.inventory().unwrap();
    found.foreign_paths.sort();
    let mut expected: Vec<PathBuf> = foreign.iter().map(PathBuf::from).collect();
    // Folders are not followed without end: the twelfth level is named itself.
    expected.retain(|path| !path.starts_with("a"));
    expected.push("a/b/c/d/e/f/g/h/i/j/k/l".into());
    #[cfg(unix)]
    expected.push("documents/link".into());
    expected.sort();
    assert_eq!(found.foreign_paths, expected);
    assert_eq!((found.documents, found.foreign), (2, expected.len() as u64));
}

#[test]
fn only_the_first_hundred_foreign_files_are_named() {
    let house = House::new(3);
    let folder = exported(&house);
    for number in 0..150 {
        fs::write(folder.path().join(format!("foreign-{number}")), b"").unwrap();
    }
    let found = verified(&house, &folder).inventory().unwrap();
    assert_eq!((found.foreign, found.foreign_paths.len()), (150, 100));
}
