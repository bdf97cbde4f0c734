//! A store that is filled batch by batch, and what one that was filled halfway is taken for.

use custody_core::custodian::{Older, OpenError, Recovery};
use custody_core::seam::{ErrorKind, Head, Position, Store as _};
use custody_recovery::archive::Entry;
use custody_recovery::restore::{NoFiles, RestoreError, Restored, restore};
use custody_testkit::fault::{Fault, Happened};
use custody_testkit::store::{FaultyStore, MemoryStore, StoreCall};
use pollster::block_on;

use crate::house::{House, entries, open};
use crate::support::record;

/// Enough for several batches of 1,000 events and records.
const WALLETS: usize = 600;

/// Fills a store, of which one commit fails.
fn filled(bytes: &[u8], failing: usize, happened: Happened) -> (MemoryStore, RestoreError) {
    let store = MemoryStore::new();
    let faulty = FaultyStore::new(store.clone());
    let fault = Fault::Fail { kind: ErrorKind::Unavailable, happened };
    faulty.fail(StoreCall::Commit, failing, fault);
    let error = block_on(restore(open(bytes), &faulty, &mut NoFiles)).unwrap_err();
    (store, error)
}

/// Fills a store to its end. Answers with how many commits.
fn whole(bytes: &[u8]) -> (MemoryStore, Restored, usize) {
    let store = MemoryStore::new();
    let counting = FaultyStore::new(store.clone());
    let restored = block_on(restore(open(bytes), &counting, &mut NoFiles)).unwrap();
    let commits = counting.plan().calls().iter().filter(|call| **call == StoreCall::Commit).count();
    (store, restored, commits)
}

/// Whether the store is refused since nothing is in it.
fn is_nothing(error: &OpenError) -> bool {
    matches!(error, OpenError::Corrupt { what: "the store is empty" })
}

#[test]
fn a_store_that_was_filled_halfway_is_refused_whatever_was_the_last_that_reached_it() {
    let house = House::with(WALLETS);
    let (bytes, _) = house.write(&house.pack(&house.store)).unwrap();
    let (store, restored, commits) = whole(&bytes);
    assert!(commits >= 3, "{commits}");
    let folded = restored.folded().head;
    let refuse = restored.recovery(&[], Older::Refuse);
    for failing in 0..commits {
        let (half, error) = filled(&bytes, failing, Happened::No);
        assert!(matches!(error, RestoreError::Store(_)), "{failing}: {error}");
        assert!(error.is_transient(), "{failing}");
        let reached = block_on(half.head()).unwrap();
        assert_eq!(reached == Position::START, failing == 0);
        let refused = house.recover(&half, refuse.clone()).unwrap_err();
        if failing == 0 {
            assert!(is_nothing(&refused), "{refused}");
        } else {
            let is_rolled_back = matches!(refused, OpenError::RolledBack { .. });
            assert!(is_rolled_back, "{failing}: {refused}");
        }
        assert_eq!(block_on(half.head()).unwrap(), reached, "{failing}: nothing is written");
        // A second try needs another store.
        if failing > 0 {
            let again = block_on(restore(open(&bytes), &half, &mut NoFiles)).unwrap_err();
            assert!(matches!(again, RestoreError::NotEmpty), "{failing}: {again}");
        }
    }
    let custodian = house.recover(&store, refuse).unwrap();
    assert!(custodian.recovered().unwrap().behind().is_none());
    assert_eq!(folded.size, block_on(house.store.head()).unwrap());
}

#[test]
fn a_store_that_was_filled_halfway_is_frozen_if_an_older_one_is_accepted() {
    let house = House::with(WALLETS);
    let (bytes, _) = house.write(&house.pack(&house.store)).unwrap();
    let (_, restored, commits) = whole(&bytes);
    let newest = restored.folded().head;
    let freeze = restored.recovery(&[], Older::Freeze);
    for failing in 1..commits {
        let (half, _) = filled(&bytes, failing, Happened::No);
        let custodian = house.recover(&half, freeze.clone()).unwrap();
        let behind = custodian.recovered().unwrap().behind().copied().map(Head::from);
        assert_eq!(behind, Some(newest), "{failing}");
    }
    // The last commit was done, though its answer was lost: everything is there.
    let (store, error) = filled(&bytes, commits - 1, Happened::Yes);
    assert!(matches!(error, RestoreError::Store(_)), "{error}");
    let custodian = house.recover(&store, freeze).unwrap();
    assert!(custodian.recovered().unwrap().behind().is_none());
}

#[test]
fn an_archive_that_ends_early_fills_no_store_to_its_end() {
    let house = House::with(WALLETS);
    let (bytes, _) = house.write(&house.pack(&house.store)).unwrap();
    let (_, restored, _) = whole(&bytes);
    let refuse = restored.recovery(&[], Older::Refuse);
    for cut in [1, bytes.len() / 3, bytes.len() / 2] {
        let store = MemoryStore::new();
        let short = &bytes[..bytes.len() - cut];
        let error = block_on(restore(open(short), &store, &mut NoFiles)).unwrap_err();
        assert!(matches!(error, RestoreError::Archive(_)), "{cut}: {error}");
        let refused = house.recover(&store, Recovery { ..refuse.clone() }).unwrap_err();
        let is_refused = matches!(refused, OpenError::RolledBack { .. }) || is_nothing(&refused);
        assert!(is_refused, "{cut}: {refused}");
    }
}

/// How many records an archive has between two events, and how many bytes of them, at most.
fn widest_gap(bytes: &[u8]) -> (usize, usize) {
    let (mut records, mut length, mut widest) = (0, 0, (0, 0));
    for entry in entries(bytes) {
        if let Entry::Record(record) = entry {
            records += 1;
            length += record.value.len();
        } else {
            (records, length) = (0, 0);
        }
        widest = (widest.0.max(records), widest.1.max(length));
    }
    widest
}

/// A house with so many more records; some of them in the middle are large.
fn laden(wallets: usize, records: usize, large: usize) -> House {
    let house = House::with(wallets);
    for number in 0..records {
        let is_large = (records / 2..records / 2 + large).contains(&number);
        let value = vec![number as u8; if is_large { LARGE } else { 3 }];
        let record = record(&format!("guest/{number:05}"), &value);
        house.store.replace_record(&record.key, record.value);
    }
    house
}

#[test]
fn records_that_make_a_batch_between_two_events_are_restored() {
    // Several stand before each event, or all before the only one.
    for (wallets, records, large) in [(3, 40, 4), (0, 1_500, 0), (0, 3, 3), (1, 6_000, 0)] {
        let house = laden(wallets, records, large);
        let (bytes, _) = house.write(&house.pack(&house.store)).unwrap();
        let (most, length) = widest_gap(&bytes);
        let is_wide = if large > 0 { length >= 2 * LARGE } else { most >= 1_500 };
        assert!(is_wide, "{wallets} {records}: {most} records, {length} bytes");
        let (store, restored, commits) = whole(&bytes);
        assert!(store.snapshot() == house.store.snapshot(), "{wallets} {records}");
        let head = restored.folded().head.size;
        assert_eq!(block_on(store.head()).unwrap(), head);
        for failing in 0..commits {
            let (half, _) = filled(&bytes, failing, Happened::No);
            assert!(block_on(half.head()).unwrap() < head, "{wallets} {records}: {failing}");
        }
    }
}

/// As many bytes as make a batch.
const LARGE: usize = 4 * 1024 * 1024;
