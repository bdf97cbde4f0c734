//! The log over a store: seals, receipts, rotation, what it refuses when it is opened.

use std::sync::Arc;

use custody_audit::TileLog;
use custody_audit::checkpoint::LogHead;
use custody_audit::log::LogError;
use custody_audit::note::{KeyError, SignedNote};
use custody_audit::proof::LogProof;
use custody_audit::storage::{DirectoryTiles, MemoryTiles, TileStorage};
use custody_audit::tile::{Tile, TileId};
use custody_audit::tree::TreeHash;
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::seam::{AuditLog, Checkpoint, ErrorKind, Event, Position, Signer};
use custody_testkit::fault::Fault;
use custody_testkit::store::{LyingStore, StoreLie};
use pollster::block_on;

use crate::support::{House, LogSigner, ORIGIN, cause, event, origin, seal};

fn receipt(log: &TileLog, index: u64) -> LogProof {
    let receipt = block_on(log.receipt(Position::new(index))).unwrap();
    assert_eq!(receipt.index.value(), index);
    LogProof::parse(&receipt.proof).unwrap()
}

fn events(range: std::ops::Range<u64>) -> Vec<Event> {
    range.map(|index| Event { position: Position::new(index), bytes: event(index) }).collect()
}

/// The root over the first events, computed apart from the log.
fn root(size: u64) -> TreeHash {
    let mut frontier = custody_audit::tree::Frontier::default();
    for index in 0..size {
        frontier.append(TreeHash::leaf(&event(index)), |_, _| ()).unwrap();
    }
    frontier.root()
}

fn assert_head(checkpoint: &Checkpoint, size: u64, signer: &LogSigner) {
    let note = SignedNote::parse(&checkpoint.note).unwrap();
    let head = LogHead::open(&note, &[signer.key()]).unwrap();
    assert_eq!((head.origin(), head.tree().size, head.tree().root), (ORIGIN, size, root(size)));
    assert_eq!(checkpoint.head.size.value(), size);
    assert_eq!(checkpoint.head.root.as_bytes(), head.tree().root.as_bytes());
}

#[test]
fn a_seal_signs_the_root_over_exactly_the_events_asked_for() {
    for size in [0, 1, 2, 255, 256, 257, 600] {
        let house = House::new(size + 3);
        let log = house.open().unwrap();
        assert_eq!(block_on(log.head()).unwrap(), None);
        assert_head(&seal(&log, size).unwrap(), size, &house.signer);
        assert_eq!(block_on(log.head()).unwrap().unwrap().head.size.value(), size);
    }
}

#[test]
fn sealing_again_or_at_an_older_position_returns_the_same_bytes_and_signs_nothing() {
    let house = House::new(300);
    let log = house.open().unwrap();
    let first = seal(&log, 300).unwrap();
    for position in [300, 299, 1, 0] {
        assert_eq!(seal(&log, position).unwrap(), first, "{position}");
    }
    assert_eq!(house.signer.count(), 1);
}

#[test]
fn heads_of_one_size_are_the_same_bytes_however_the_log_came_there() {
    let house = House::new(1_000);
    let (_, whole) = house.sealed();
    let steps = House::new(1_000);
    let mut log = steps.open().unwrap();
    for size in [1, 255, 256, 300, 511, 513, 999, 1_000] {
        let checkpoint = seal(&log, size).unwrap();
        assert_head(&checkpoint, size, &steps.signer);
        if size % 2 == 1 {
            log = steps.open().unwrap();
        }
    }
    assert_eq!(block_on(log.head()).unwrap(), Some(whole));
}

#[test]
fn a_seal_beyond_the_store_is_refused_and_signs_nothing() {
    let house = House::new(10);
    let log = house.open().unwrap();
    let error = seal(&log, 11).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(matches!(cause(&error), LogError::EventMissing { index: 10 }));
    assert_eq!((house.signer.count(), block_on(log.head()).unwrap()), (0, None));
    house.add(1);
    assert_head(&seal(&log, 11).unwrap(), 11, &house.signer);
}

#[test]
fn every_event_of_a_log_has_a_receipt_that_proves_its_bytes() {
    let house = House::new(700);
    let (log, checkpoint) = house.sealed();
    for index in 0..700 {
        let receipt = receipt(&log, index);
        let (entry, head) = receipt.verify(&[house.signer.key()]).unwrap();
        assert_eq!((entry, receipt.index()), (event(index).as_slice(), index));
        assert_eq!(head.tree().size, checkpoint.head.size.value());
    }
}

#[test]
fn receipts_reach_through_two_levels_of_full_tiles() {
    let house = House::new(66_000);
    let (log, _) = house.sealed();
    let reopened = house.open().unwrap();
    for index in [0, 255, 256, 40_000, 65_535, 65_536, 65_999] {
        for log in [&log, &reopened] {
            let receipt = receipt(log, index);
            assert_eq!(receipt.verify(&[house.signer.key()]).unwrap().0, event(index));
        }
    }
}

#[test]
fn an_event_beyond_the_head_has_no_receipt() {
    let house = House::new(10);
    let log = house.open().unwrap();
    let refused = |index| block_on(log.receipt(Position::new(index))).unwrap_err().kind();
    assert_eq!(refused(0), ErrorKind::NotFound);
    seal(&log, 9).unwrap();
    assert_eq!((refused(9), refused(u64::MAX)), (ErrorKind::NotFound, ErrorKind::NotFound));
    assert!(block_on(log.receipt(Position::new(8))).is_ok());
}

#[test]
fn an_event_that_was_changed_after_it_was_sealed_gets_no_receipt() {
    let house = House::new(300);
    drop(house.sealed());
    let log = house.open().unwrap();
    house.store.replace_event(Position::new(7), b"other".to_vec());
    let error = block_on(log.receipt(Position::new(7))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(matches!(cause(&error), LogError::WrongEvent { index: 7 }));
    house.store.truncate_events(Position::new(7));
    let error = block_on(log.receipt(Position::new(7))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn only_the_sealed_events_at_their_positions_are_included() {
    let house = House::new(600);
    let log = house.open().unwrap();
    let judge = |events: &[Event]| block_on(log.includes(events)).map_err(|error| error.kind());
    assert_eq!(judge(&[]), Ok(()));
    assert_eq!(judge(&events(0..1)), Err(ErrorKind::NotFound));
    seal(&log, 590).unwrap();
    assert_eq!(judge(&events(0..590)), Ok(()));
    assert_eq!(judge(&events(250..260)), Ok(()));
    assert_eq!(judge(&events(589..591)), Err(ErrorKind::NotFound));
    for (index, other) in [(3, 4), (301, 302), (580, 0)] {
        let moved = Event { position: Position::new(index), bytes: event(other) };
        assert_eq!(judge(&[moved]), Err(ErrorKind::Corrupt), "{index}");
        let mut flipped = events(index..index + 1);
        flipped[0].bytes[0] ^= 1;
        assert_eq!(judge(&flipped), Err(ErrorKind::Corrupt), "{index}");
        flipped[0].bytes.clear();
        assert_eq!(judge(&flipped), Err(ErrorKind::Corrupt), "{index}");
    }
}

#[test]
fn after_a_rotation_heads_are_signed_by_the_next_key_and_old_ones_stay_as_they_are() {
    let house = House::new(20);
    let log = house.open().unwrap();
    let old = seal(&log, 10).unwrap();
    block_on(log.rotate(house.next.public())).unwrap();
    assert_eq!(&block_on(log.public_key()), house.next.public());
    assert_eq!(seal(&log, 10).unwrap(), old);
    assert_head(&seal(&log, 20).unwrap(), 20, &house.next);
    assert_eq!((house.signer.count(), house.next.count()), (1, 1));
    let reopened = house.open().unwrap();
    assert_eq!(&block_on(reopened.public_key()), house.next.public());
    assert_eq!(reopened.keys(), [house.next.key(), house.signer.key()]);
}

#[test]
fn a_rotation_to_an_unknown_key_is_refused_and_changes_nothing() {
    let house = House::new(3);
    let log = house.open().unwrap();
    let error = block_on(log.rotate(LogSigner::new(9).public())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_head(&seal(&log, 3).unwrap(), 3, &house.signer);
}

#[test]
fn each_failure_of_a_seal_leaves_a_log_that_goes_on_to_the_same_head() {
    for (place, fault, kind) in [
        ("put tiles", Fault::fail(ErrorKind::Unavailable), ErrorKind::Unavailable),
        ("put tiles", Fault::fail_after(ErrorKind::Indeterminate), ErrorKind::Indeterminate),
        ("sign", Fault::fail(ErrorKind::Unavailable), ErrorKind::Unavailable),
        ("sign", Fault::fail_after(ErrorKind::Indeterminate), ErrorKind::Indeterminate),
        ("put checkpoint", Fault::fail(ErrorKind::Unavailable), ErrorKind::Unavailable),
        ("put checkpoint", Fault::fail_after(ErrorKind::Indeterminate), ErrorKind::Indeterminate),
    ] {
        for reopen in [false, true] {
            let house = House::new(600);
            let mut log = house.open().unwrap();
            let before = seal(&log, 100).unwrap();
            let plan = if place == "sign" { &house.signer.faults } else { &house.tiles.faults };
            plan.next(place, fault.clone());
            let error = seal(&log, 600).unwrap_err();
            assert_eq!(error.kind(), kind, "{place}");
            assert_eq!(block_on(log.head()).unwrap(), Some(before), "{place}");
            if reopen {
                log = house.open().unwrap();
            }
            assert_head(&seal(&log, 600).unwrap(), 600, &house.signer);
            assert_eq!(receipt(&log, 5).verify(&[house.signer.key()]).unwrap().0, event(5));
        }
    }
}

#[test]
fn a_head_is_kept_before_it_is_handed_out() {
    let house = House::new(5);
    let log = house.open().unwrap();
    house.tiles.faults.next("put checkpoint", Fault::fail(ErrorKind::Unavailable));
    assert!(seal(&log, 5).is_err());
    assert_eq!(block_on(house.tiles.inner.checkpoint()).unwrap(), None);
    assert_eq!((house.signer.count(), block_on(log.head()).unwrap()), (1, None));
}

#[test]
fn a_seal_that_is_dropped_while_it_waits_changes_nothing_and_blocks_nothing() {
    for place in ["put tiles", "put checkpoint", "sign"] {
        let house = House::new(600);
        let log = house.open().unwrap();
        let plan = if place == "sign" { &house.signer.faults } else { &house.tiles.faults };
        plan.next(place, Fault::Hang { happened: custody_testkit::fault::Happened::Yes });
        let mut sealing = Box::pin(log.seal(Position::new(600)));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(sealing.as_mut().poll(&mut context).is_pending(), "{place}");
        drop(sealing);
        assert_eq!(block_on(log.head()).unwrap(), None, "{place}");
        assert_head(&seal(&log, 600).unwrap(), 600, &house.signer);
    }
}

#[test]
fn no_second_head_of_a_size_is_signed_when_events_change_under_a_head_that_was_not_kept() {
    for (retry, changed) in [(50, 20), (60, 20), (50, 49), (20, 5)] {
        let house = House::new(60);
        let log = house.open().unwrap();
        house.tiles.faults.next("put checkpoint", Fault::fail(ErrorKind::Unavailable));
        assert!(seal(&log, 50).is_err());
        house.store.replace_event(Position::new(changed), b"other".to_vec());
        let error = seal(&log, retry).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{retry} {changed}");
        assert!(matches!(cause(&error), LogError::WrongRoot { size: 50 }));
        assert_eq!(house.signer.count(), 1);
    }
}

#[test]
fn a_signature_by_another_key_never_becomes_a_head() {
    let house = House::new(5);
    let liar: Arc<dyn Signer> = LogSigner::claiming(7, LogSigner::new(1).public().clone());
    let tiles: Arc<MemoryTiles> = Arc::default();
    let store = Arc::new(house.store.clone());
    let open = TileLog::open(origin(), store, Arc::<MemoryTiles>::clone(&tiles), vec![liar]);
    let log = block_on(open).unwrap();
    let error = seal(&log, 5).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(block_on(tiles.checkpoint()).unwrap(), None);
}

#[test]
fn seals_from_many_threads_give_one_head_for_each_size() {
    let house = House::new(64 * 8);
    let log = house.open().unwrap();
    let seals: Vec<Checkpoint> = std::thread::scope(|scope| {
        let spawn = |turn: u64| {
            let log = &log;
            scope.spawn(move || (1..=64).map(|step| seal(log, step * 8 - turn).unwrap()).collect())
        };
        let threads: Vec<_> = (0..8).map(spawn).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Vec<Checkpoint>>| thread.join();
        threads.into_iter().flat_map(|thread| join(thread).unwrap()).collect()
    });
    let notes: std::collections::BTreeMap<_, _> =
        seals.iter().map(|seal| (seal.head.size, seal.note.clone())).collect();
    assert!(seals.iter().all(|seal| notes[&seal.head.size] == seal.note));
    assert_eq!(house.signer.count(), notes.len());
    assert_head(&seal(&log, 512).unwrap(), 512, &house.signer);
}

#[test]
fn events_with_gaps_are_never_sealed() {
    let store = LyingStore::new(StoreLie::EventsWithGaps);
    let batch = custody_core::seam::Batch {
        events: (0..8).map(event).collect(),
        ..custody_core::seam::Batch::default()
    };
    block_on(custody_core::seam::Store::commit(&store, Position::START, batch)).unwrap();
    let signer = LogSigner::new(1);
    let signers: Vec<Arc<dyn Signer>> = vec![Arc::<LogSigner>::clone(&signer)];
    let open = TileLog::open(origin(), Arc::new(store), Arc::new(MemoryTiles::default()), signers);
    let log = block_on(open).unwrap();
    assert!(matches!(cause(&seal(&log, 8).unwrap_err()), LogError::EventMissing { .. }));
    assert_eq!(signer.count(), 0);
}

#[test]
fn an_event_that_no_bundle_can_hold_is_never_sealed() {
    for (bytes, fits) in [(65_535, true), (65_536, false)] {
        let house = House::new(3);
        house.store.replace_event(Position::new(1), vec![b'x'; bytes]);
        let log = house.open().unwrap();
        let sealed = seal(&log, 3).map_err(|error| error.kind());
        assert_eq!(sealed.map(|_| ()), if fits { Ok(()) } else { Err(ErrorKind::Refused) });
    }
}

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

/// Exchanges two characters in the middle of the signature.
fn flip_signature(note: &str) -> String {
    let mut bytes = note.to_owned().into_bytes();
    let place = (note.len() - 40..note.len()).find(|at| bytes[*at] != bytes[at + 1]).unwrap();
    bytes.swap(place, place + 1);
    String::from_utf8(bytes).unwrap()
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

#[test]
fn errors_name_positions_and_never_the_bytes_of_events() {
    let house = House::new(300);
    drop(house.sealed());
    let log = house.open().unwrap();
    house.store.replace_event(Position::new(7), b"secret".to_vec());
    let error = block_on(log.receipt(Position::new(7))).unwrap_err();
    assert_eq!(cause(&error).to_string(), "event 7 is not the one that is signed");
    assert!(!format!("{error:?}").contains("secret"));
}
