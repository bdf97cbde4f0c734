//! The log over a store: seals, receipts, rotation.

use std::sync::Arc;

use custody_audit::TileLog;
use custody_audit::log::LogError;
use custody_audit::storage::{MemoryTiles, TileStorage};
use custody_core::seam::{AuditLog, Checkpoint, ErrorKind, Event, Position, Signer};
use custody_testkit::fault::Fault;
use custody_testkit::store::{LyingStore, StoreLie};
use pollster::block_on;

use crate::support::{House, LogSigner, assert_head, cause, event, events, origin, receipt, seal};

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
fn errors_name_positions_and_never_the_bytes_of_events() {
    let house = House::new(300);
    drop(house.sealed());
    let log = house.open().unwrap();
    house.store.replace_event(Position::new(7), b"secret".to_vec());
    let error = block_on(log.receipt(Position::new(7))).unwrap_err();
    assert_eq!(cause(&error).to_string(), "event 7 is not the one that is signed");
    assert!(!format!("{error:?}").contains("secret"));
}
