//! A store that was filled halfway: what it is taken for.

use custody_core::custodian::{Older, OpenError, Recovery};
use custody_core::seam::{ErrorKind, Head, Position, Store as _};
use custody_recovery::restore::{NoFiles, RestoreError, Restored, restore};
use custody_testkit::fault::{Fault, Happened};
use custody_testkit::store::{FaultyStore, MemoryStore, StoreCall};
use pollster::block_on;

use crate::house::{House, open};

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
