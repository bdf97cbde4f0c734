//! Data keys: when one takes over from another, and what counts against it.

use std::task::Poll;

use custody_testkit::fault::{Fault, Happened};
use custody_testkit::store::{FaultyStore, StoreCall};
use futures::{pin_mut, poll};

use super::*;

#[test]
fn a_data_key_is_replaced_and_the_old_ones_still_open_what_they_sealed() {
    let below = MemoryStore::new();
    let store = sealed(Arc::new(below.clone())).unwrap().with_seals_per_key(4);
    for number in 0..10 {
        let name = format!("name-{number}");
        block_on(store.commit(Position::new(number), batch(&name, b"value"))).unwrap();
    }
    let keys = block_on(below.scan(&key("sealing/"), None, 99)).unwrap();
    assert_eq!(keys.len(), 5, "two seals a batch, four a key");
    let first: Vec<_> = (0..10)
        .map(|number| value(&below, &format!("name-{number}")).unwrap().unwrap()[..4].to_vec())
        .collect();
    assert_eq!(first[0], [0, 0, 0, 0]);
    assert_eq!(first[9], [0, 0, 0, 4]);
    let again = sealed(Arc::new(below)).unwrap();
    for number in 0..10 {
        assert_eq!(value(&again, &format!("name-{number}")), Ok(Some(b"value".to_vec())));
    }
    assert_eq!(block_on(again.events(Position::START, 99)).unwrap().len(), 10);
}

/// 2^20 events may have had 2^31 values, whoever sealed them and whatever limit he was given.
#[test]
fn a_data_key_that_earlier_processes_may_have_used_up_is_replaced_whatever_the_limit() {
    let (below_most, most) = ((1 << 31) - 1, 1 << 31);
    for (before, limit, expected) in [
        (0, below_most, 1),
        (0, most, 1),
        (1 << 19, below_most, 1),
        (1 << 20, below_most, 2),
        (1 << 20, 1 << 30, 2),
        (1 << 20, most, 2),
    ] {
        let below = MemoryStore::new();
        let first = sealed(Arc::new(below.clone())).unwrap();
        block_on(first.commit(Position::START, batch("one", b"first"))).unwrap();
        drop(first);
        let far = Bent { inner: below.clone(), lie: Lie::EventsBefore(before) };
        let again = sealed(Arc::new(far)).unwrap().with_seals_per_key(limit);
        block_on(again.commit(Position::new(before + 1), batch("two", b"other"))).unwrap();
        let keys = block_on(below.scan(&key("sealing/"), None, 99)).unwrap();
        assert_eq!(keys.len(), expected, "{before} events, {limit} seals");
        assert_eq!(value(&again, "one"), Ok(Some(b"first".to_vec())));
        assert_eq!(value(&again, "two"), Ok(Some(b"other".to_vec())));
    }
}

/// The first commit brings the data key: whatever becomes of it, there is one data key, and nothing
/// is sealed under one that is not stored.
#[test]
fn a_data_key_whose_commit_is_lost_is_not_used_before_it_is_stored() {
    for (kind, happened) in [
        (ErrorKind::Indeterminate, Happened::Yes),
        (ErrorKind::Indeterminate, Happened::No),
        (ErrorKind::Unavailable, Happened::No),
        (ErrorKind::Conflict, Happened::No),
    ] {
        let below = MemoryStore::new();
        let faulty = FaultyStore::new(below.clone());
        faulty.plan().next(StoreCall::Commit, Fault::Fail { kind, happened });
        let store = sealed(Arc::new(faulty)).unwrap();
        let lost = block_on(store.commit(Position::START, batch("one", b"first")));
        assert_eq!(lost.unwrap_err().kind(), kind);
        let head = block_on(store.head()).unwrap();
        assert_eq!(head.value(), u64::from(happened == Happened::Yes));
        block_on(store.commit(head, batch("two", b"other"))).unwrap();
        let keys = block_on(below.scan(&key("sealing/"), None, 99)).unwrap();
        assert_eq!(keys.len(), 1, "{kind:?} {happened:?}");
        let again = sealed(Arc::new(below)).unwrap();
        assert_eq!(value(&again, "two"), Ok(Some(b"other".to_vec())));
        let first = (happened == Happened::Yes).then(|| b"first".to_vec());
        assert_eq!(value(&again, "one"), Ok(first), "{kind:?} {happened:?}");
    }
}

/// A commit that is not answered with success: it fails, or is left while it waits.
fn lose(store: &SealedStore, head: Position, batch: Batch) {
    block_on(async {
        let commit = store.commit(head, batch);
        pin_mut!(commit);
        let answer = poll!(&mut commit);
        assert!(!matches!(answer, Poll::Ready(Ok(_))), "{answer:?}");
    });
}

/// A key is used up by seals, whatever becomes of what was sealed.
#[test]
fn seals_of_commits_that_came_to_nothing_count_against_their_data_key() {
    for (name, fault) in [
        ("unavailable", Fault::fail(ErrorKind::Unavailable)),
        ("a conflict", Fault::fail(ErrorKind::Conflict)),
        ("lost", Fault::fail(ErrorKind::Indeterminate)),
        ("its answer lost", Fault::fail_after(ErrorKind::Indeterminate)),
        ("left", Fault::Hang { happened: Happened::No }),
        ("left when it had happened", Fault::Hang { happened: Happened::Yes }),
    ] {
        let below = MemoryStore::new();
        let faulty = FaultyStore::new(below.clone());
        faulty.fail(StoreCall::Commit, 1, fault);
        let store = sealed(Arc::new(faulty)).unwrap().with_seals_per_key(4);
        block_on(store.commit(Position::START, batch("one", b"first"))).unwrap();
        lose(&store, Position::new(1), batch("two", b"other"));
        let head = block_on(store.head()).unwrap();
        block_on(store.commit(head, batch("three", b"third"))).unwrap();
        let number = value(&below, "three").unwrap().unwrap()[..4].to_vec();
        assert_eq!(number, [0, 0, 0, 1], "{name}: two seals a batch, four a key");
        let again = sealed(Arc::new(below)).unwrap();
        assert_eq!(value(&again, "three"), Ok(Some(b"third".to_vec())), "{name}");
    }
}

#[test]
fn seals_under_a_data_key_that_is_not_stored_yet_count_too() {
    for (happened, stored) in [(Happened::No, 1), (Happened::Yes, 2)] {
        let below = MemoryStore::new();
        let faulty = FaultyStore::new(below.clone());
        let lost = Fault::Fail { kind: ErrorKind::Indeterminate, happened };
        faulty.fail(StoreCall::Commit, 0, lost);
        faulty.fail(StoreCall::Commit, 1, Fault::fail(ErrorKind::Unavailable));
        let store = sealed(Arc::new(faulty)).unwrap().with_seals_per_key(4);
        lose(&store, Position::START, batch("one", b"first"));
        let head = block_on(store.head()).unwrap();
        lose(&store, head, batch("two", b"other"));
        block_on(store.commit(head, batch("three", b"third"))).unwrap();
        let number = value(&below, "three").unwrap().unwrap()[..4].to_vec();
        assert_eq!(number, [0, 0, 0, 1], "{happened:?}: two seals a batch, four a key");
        let keys = block_on(below.scan(&key("sealing/"), None, 99)).unwrap();
        assert_eq!(keys.len(), stored, "{happened:?}");
        let again = sealed(Arc::new(below)).unwrap();
        let first = (happened == Happened::Yes).then(|| b"first".to_vec());
        assert_eq!(value(&again, "one"), Ok(first), "{happened:?}");
        assert_eq!(value(&again, "two"), Ok(None), "{happened:?}");
        assert_eq!(value(&again, "three"), Ok(Some(b"third".to_vec())), "{happened:?}");
    }
}

/// Earlier processes may have made all but 2,048 of the seals of a key, and each batch has 1,501.
#[test]
fn seals_that_came_to_nothing_count_beside_those_of_earlier_processes() {
    let many = || {
        let puts = (0..1_500).map(|number| record(&format!("many/{number}"), b"value"));
        Batch { puts: puts.collect(), events: vec![b"many".to_vec()], ..Batch::default() }
    };
    for (lost, expected) in [(0, 1), (1, 2)] {
        let below = MemoryStore::new();
        let first = sealed(Arc::new(below.clone())).unwrap();
        block_on(first.commit(Position::START, batch("one", b"first"))).unwrap();
        drop(first);
        let lie = Lie::EventsBefore((1 << 20) - 2);
        let faulty = FaultyStore::new(Bent { inner: below.clone(), lie });
        for number in 0..lost {
            faulty.fail(StoreCall::Commit, number, Fault::fail(ErrorKind::Unavailable));
        }
        let again = sealed(Arc::new(faulty)).unwrap();
        let head = block_on(again.head()).unwrap();
        for _ in 0..lost {
            lose(&again, head, many());
        }
        block_on(again.commit(head, many())).unwrap();
        let keys = block_on(below.scan(&key("sealing/"), None, 99)).unwrap();
        assert_eq!(keys.len(), expected, "{lost} lost");
    }
}
