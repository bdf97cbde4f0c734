//! What an export writes, and what it refuses to write.

use std::fs;
use std::path::Path;

use custody_audit::{ExportError, Exported, export};
use custody_core::digest::Digest;
use custody_core::seam::{Checkpoint, Head, Position, StoreError};
use pollster::block_on;

use crate::support::{House, event};

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn an_export_has_the_files_of_the_standard_and_the_documents_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(600);
    house.add_document("order-1", b"shared");
    house.add_document("order-2", b"shared");
    house.add_document("order-2", b"own");
    let (_, checkpoint) = house.sealed();
    let written = block_on(export(&house.store, &checkpoint, folder.path())).unwrap();
    assert_eq!((written.entries, written.documents), (600, 2));
    insta::assert_snapshot!(files(folder.path()).join("\n"), @"
    checkpoint
    documents/5b3975651c3cab92d044c096dc30a1c2d9525497457472de48c51ecb363d1f4a
    documents/a4d26868017c0ccffe2efe50944ef4211834660cca834c6e9f86dec6a88246fa
    tile/0/000
    tile/0/001
    tile/0/002.p/88
    tile/1/000.p/2
    tile/entries/000
    tile/entries/001
    tile/entries/002.p/88
    ");
    let note = fs::read_to_string(folder.path().join("checkpoint")).unwrap();
    assert_eq!(note, checkpoint.note);
    let name = format!("documents/{}", Digest::of(b"own"));
    assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"own");
}

#[test]
fn the_bundles_of_an_export_hold_the_events_after_their_lengths() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(3);
    let (_, checkpoint) = house.sealed();
    block_on(export(&house.store, &checkpoint, folder.path())).unwrap();
    let bundle = fs::read(folder.path().join("tile/entries/000.p/3")).unwrap();
    let expected = [vec![0, 0], vec![0, 7], event(1), vec![0, 14], event(2)].concat();
    assert_eq!(bundle, expected);
}

#[test]
fn an_export_ends_at_its_checkpoint_whatever_was_stored_since() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(300);
    let (_, checkpoint) = house.sealed();
    house.add(300);
    let written = block_on(export(&house.store, &checkpoint, folder.path())).unwrap();
    assert_eq!(written.entries, 300);
    assert!(folder.path().join("tile/entries/001.p/44").exists());
}

#[test]
fn an_empty_log_is_exported_as_a_checkpoint_alone() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(0);
    let (_, checkpoint) = house.sealed();
    let written = block_on(export(&house.store, &checkpoint, folder.path())).unwrap();
    assert_eq!(written, Exported::default());
    assert_eq!(files(folder.path()), ["checkpoint"]);
}

#[test]
fn a_directory_that_is_not_empty_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), b"mine").unwrap();
    let house = House::new(3);
    let (_, checkpoint) = house.sealed();
    let refused = block_on(export(&house.store, &checkpoint, folder.path()));
    assert!(matches!(refused, Err(ExportError::NotEmpty)));
    assert_eq!(files(folder.path()), ["mine"]);
}

#[test]
fn no_checkpoint_is_written_over_events_that_do_not_lead_to_its_root() {
    let changed = |house: &House| house.store.replace_event(Position::new(7), b"other".to_vec());
    let cut = |house: &House| house.store.truncate_events(Position::new(7));
    let long = |house: &House| house.store.replace_event(Position::new(7), vec![0; 65_536]);
    for (name, damage) in
        [("changed", &changed as &dyn Fn(&House)), ("cut", &cut), ("too long", &long)]
    {
        let folder = tempfile::tempdir().unwrap();
        let house = House::new(300);
        let (_, checkpoint) = house.sealed();
        damage(&house);
        let error = block_on(export(&house.store, &checkpoint, folder.path())).unwrap_err();
        match name {
            "changed" => assert!(matches!(error, ExportError::WrongRoot { size: 300 })),
            "cut" => assert!(matches!(error, ExportError::EventMissing { index: 7 })),
            _ => assert!(matches!(error, ExportError::EventTooLong(_))),
        }
        assert!(!folder.path().join("checkpoint").exists(), "{name}");
    }
}

#[test]
fn a_document_that_is_not_the_one_its_key_names_stops_the_export() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(3);
    let (_, checkpoint) = house.sealed();
    let record =
        crate::support::record(&format!("document/order/{}", Digest::of(b"document")), b"documenT");
    house.store.replace_record(&record.key, record.value);
    let refused = block_on(export(&house.store, &checkpoint, folder.path()));
    assert!(matches!(refused, Err(ExportError::Document { bytes: 8 })));
    assert!(!folder.path().join("checkpoint").exists());
}

#[test]
fn more_documents_than_a_page_are_all_exported_and_other_records_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(3);
    for number in 0..100 {
        house.add_document(&format!("order-{number}"), format!("document {number}").as_bytes());
    }
    let other = crate::support::record("documents/other", b"other");
    house.store.replace_record(&other.key, other.value);
    let (_, checkpoint) = house.sealed();
    let written = block_on(export(&house.store, &checkpoint, folder.path())).unwrap();
    assert_eq!(written.documents, 100);
}

#[test]
fn a_store_that_fails_fails_the_export() {
    use custody_core::seam::ErrorKind;
    use custody_testkit::fault::Fault;
    use custody_testkit::store::{FaultyStore, StoreCall};

    let house = House::new(300);
    let (_, checkpoint) = house.sealed();
    for call in [StoreCall::Events, StoreCall::Scan] {
        let folder = tempfile::tempdir().unwrap();
        let store = FaultyStore::new(house.store.clone());
        store.fail(call, 0, Fault::fail(ErrorKind::Unavailable));
        let error = block_on(export(&store, &checkpoint, folder.path())).unwrap_err();
        let ExportError::Store(error) = error else { panic!("{error:?}") };
        assert_eq!(StoreError::kind(&error), ErrorKind::Unavailable);
        assert!(!folder.path().join("checkpoint").exists());
    }
}

#[test]
fn a_checkpoint_of_another_log_is_not_exported() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(3);
    let (_, checkpoint) = house.sealed();
    let head = Head { root: Digest::of(b"other"), ..checkpoint.head };
    let other = Checkpoint { head, ..checkpoint };
    let refused = block_on(export(&house.store, &other, folder.path()));
    assert!(matches!(refused, Err(ExportError::WrongRoot { size: 3 })));
}
