//! A log that is opened: where it goes on, and what it does not believe.

use std::sync::Arc;

use custody_audit::TileLog;
use custody_audit::log::LogError;
use custody_audit::note::KeyError;
use custody_audit::storage::{DirectoryTiles, MemoryTiles, TileStorage};
use custody_audit::tile::{Tile, TileId};
use custody_audit::tree::TreeHash;
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::seam::{AuditLog, ErrorKind, Position, Signer};
use custody_testkit::fault::Fault;
use pollster::block_on;

use crate::support::{House, LogSigner, assert_head, cause, event, events, origin, receipt, seal};

#[test]
fn a_log_without_a_signer_or_with_a_key_of_another_kind_is_not_opened() {
    let house = House::new(0);
    let store = || Arc::new(house.store.clone());
    let tiles = || Arc::new(MemoryTiles::default());
    let none = block_on(TileLog::open(origin(), store(), tiles(), Vec::new()));
    assert!(matches!(none, Err(LogError::NoSigner)));
    // The base point of secp256k1 (SEC 2, section 2.4.1) is as good a key as any.
    let point = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    let point = hex::decode(point).unwrap();
    let public = PublicKey::from_bytes(Algorithm::EcdsaSecp256k1, &point).unwrap();
    let signers: Vec<Arc<dyn Signer>> = vec![LogSigner::new(1), LogSigner::claiming(1, public)];
    let other = block_on(TileLog::open(origin(), store(), tiles(), signers));
    assert!(matches!(other, Err(LogError::Key(KeyError::Algorithm))));
}

#[test]
fn a_reopened_log_is_where_it_was_without_reading_all_events() {
    for size in [0, 1, 255, 256, 257, 65_536, 66_049] {
        let house = House::new(size);
        let (_, checkpoint) = house.sealed();
        let log = house.open().unwrap();
        assert_eq!(block_on(log.head()).unwrap(), Some(checkpoint), "{size}");
        house.add(300);
        assert_head(&seal(&log, size + 300).unwrap(), size + 300, &house.signer);
    }
}

#[test]
fn a_checkpoint_that_cannot_be_believed_is_refused_at_open() {
    let good = House::new(300).sealed().1.note;
    let other_key = {
        let mut house = House::new(300);
        house.signer = LogSigner::new(5);
        house.sealed().1.note
    };
    let other_size = House::new(299).sealed().1.note.replace("\n299\n", "\n300\n");
    for (name, note) in [
        ("empty", String::new()),
        ("no note", "checkpoint".into()),
        ("another size", good.replace("\n300\n", "\n299\n")),
        ("another name", good.replace("custody.example/log", "custody.example/other")),
        ("another key", other_key),
        ("a signature for another size", other_size),
        ("a flipped signature", flip_signature(&good)),
        ("cut off", good.trim_end().into()),
    ] {
        let house = House::new(300);
        house.sealed();
        block_on(house.tiles.inner.put_checkpoint(note.clone())).unwrap();
        assert_ne!(note, good, "{name}");
        let error = house.open().unwrap_err();
        let believed = matches!(error, LogError::Checkpoint(_) | LogError::Note(_));
        assert!(believed, "{name}: {error:?}");
    }
}

#[test]
fn another_log_of_the_same_key_is_refused_at_open() {
    let house = House::new(300);
    house.sealed();
    house.store.replace_event(Position::new(299), b"other".to_vec());
    assert!(matches!(house.open(), Err(LogError::WrongRoot { size: 300 })));
    house.store.truncate_events(Position::new(299));
    assert!(matches!(house.open(), Err(LogError::EventMissing { index: 299 })));
}

#[test]
fn a_tile_at_the_edge_that_was_changed_is_refused_at_open() {
    let house = House::new(300);
    house.sealed();
    let hashes = vec![TreeHash::leaf(b"other"); 256];
    let id = TileId { level: 0, index: 0 };
    let other = vec![(id, Tile::new(hashes).unwrap())];
    block_on(house.tiles.inner.put_tiles(other)).unwrap();
    assert!(matches!(house.open(), Err(LogError::WrongRoot { size: 300 })));
}

#[test]
fn a_tile_inside_the_tree_that_was_changed_is_noticed_when_it_is_used() {
    let house = House::new(66_000);
    let id = TileId { level: 0, index: 3 };
    house.sealed();
    let mut hashes = block_on(house.tiles.inner.tile(id)).unwrap().unwrap().hashes().to_vec();
    hashes[17] = TreeHash::leaf(b"other");
    let other = vec![(id, Tile::new(hashes).unwrap())];
    block_on(house.tiles.inner.put_tiles(other)).unwrap();
    let log = house.open().unwrap();
    for error in [
        block_on(log.receipt(Position::new(800))).map(drop).unwrap_err(),
        block_on(log.includes(&events(800..801))).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(matches!(cause(&error), LogError::WrongTile { level: 0, index: 3 }));
    }
    assert!(block_on(log.receipt(Position::new(1_100))).is_ok());
}

#[test]
fn lost_tiles_are_made_again_from_the_events_if_these_lead_to_the_signed_root() {
    let house = House::new(66_000);
    let (_, checkpoint) = house.sealed();
    let lost: Arc<MemoryTiles> = Arc::default();
    block_on(lost.put_checkpoint(checkpoint.note.clone())).unwrap();
    let log = house.open_on(Arc::<MemoryTiles>::clone(&lost)).unwrap();
    assert_eq!(block_on(log.head()).unwrap(), Some(checkpoint));
    assert_eq!(receipt(&log, 700).verify(&[house.signer.key()]).unwrap().0, event(700));
    assert!(block_on(lost.tile(TileId { level: 1, index: 0 })).unwrap().is_some());
}

#[test]
fn lost_tiles_are_not_made_again_from_events_that_lead_elsewhere() {
    let house = House::new(600);
    let (_, checkpoint) = house.sealed();
    house.store.replace_event(Position::new(3), b"other".to_vec());
    let lost: Arc<MemoryTiles> = Arc::default();
    block_on(lost.put_checkpoint(checkpoint.note)).unwrap();
    let refused = house.open_on(Arc::<MemoryTiles>::clone(&lost));
    assert!(matches!(refused, Err(LogError::WrongRoot { size: 600 })));
    assert_eq!(block_on(lost.tile(TileId { level: 0, index: 0 })).unwrap(), None);
}

#[test]
fn a_storage_that_cannot_be_read_is_not_taken_for_an_empty_one() {
    let house = House::new(300);
    let (log, _) = house.sealed();
    for call in ["checkpoint", "tile"] {
        house.tiles.faults.next(call, Fault::fail(ErrorKind::Unavailable));
        assert!(matches!(house.open(), Err(LogError::Tiles(_))), "{call}");
    }
    house.tiles.faults.next("tile", Fault::fail(ErrorKind::Unavailable));
    let error = block_on(log.receipt(Position::new(0))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn a_log_in_a_directory_is_reopened_from_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(700);
    let open = || house.open_on(Arc::new(DirectoryTiles::open(folder.path()).unwrap())).unwrap();
    let checkpoint = seal(&open(), 700).unwrap();
    let file = std::fs::read_to_string(folder.path().join("checkpoint")).unwrap();
    assert_eq!(file, checkpoint.note);
    let log = open();
    assert_eq!(block_on(log.head()).unwrap(), Some(checkpoint));
    assert_eq!(receipt(&log, 100).verify(&[house.signer.key()]).unwrap().0, event(100));
}

/// Exchanges two characters in the middle of the signature.
fn flip_signature(note: &str) -> String {
    let mut bytes = note.to_owned().into_bytes();
    let place = (note.len() - 40..note.len()).find(|at| bytes[*at] != bytes[at + 1]).unwrap();
    bytes.swap(place, place + 1);
    String::from_utf8(bytes).unwrap()
}
