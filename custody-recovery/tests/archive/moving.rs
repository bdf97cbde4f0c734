//! Stores that are no history to archive: they move, fail, or are another's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::id::CustodianId;
use custody_core::seam::{
    AuditLog as _, Batch, Checkpoint, ErrorKind, Event, Head, Position, Record, RecordKey, Store,
    StoreError,
};
use custody_recovery::archive::{HeaderError, Pack, PackError};
use custody_testkit::audit::MemoryLog;
use custody_testkit::fault::Fault;
use custody_testkit::key::TestKey;
use custody_testkit::store::{FaultyStore, MemoryStore, StoreCall};
use pollster::block_on;

use crate::house::{House, open};
use crate::support::record;

/// A store to which somebody commits at one of the calls.
#[derive(Debug)]
struct Moving {
    inner: MemoryStore,
    left: AtomicU64,
}

impl Moving {
    async fn move_on(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let head = self.inner.head().await.unwrap();
            let puts = vec![record("handle/new", b"new")];
            let events = self.inner.events(Position::new(2), 1).await.unwrap();
            let events = events.into_iter().map(|event| event.bytes).collect();
            let batch = Batch { puts, events, ..Batch::default() };
            self.inner.commit(head, batch).await.unwrap();
        }
    }
}

#[async_trait]
impl Store for Moving {
    async fn head(&self) -> Result<Position, StoreError> {
        self.move_on().await;
        self.inner.head().await
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.inner.get(key).await
    }

    async fn scan(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
        limit: u16,
    ) -> Result<Vec<Record>, StoreError> {
        self.move_on().await;
        self.inner.scan(prefix, after, limit).await
    }

    async fn commit(&self, expected: Position, batch: Batch) -> Result<Position, StoreError> {
        self.inner.commit(expected, batch).await
    }

    async fn events(&self, from: Position, limit: u16) -> Result<Vec<Event>, StoreError> {
        self.move_on().await;
        self.inner.events(from, limit).await
    }
}

#[test]
fn a_store_that_moves_at_any_call_gives_no_archive_of_two_moments() {
    let (mut moved, mut written) = (0, 0);
    for nth in 1.. {
        let house = House::new();
        let store = Moving { inner: house.store.clone(), left: AtomicU64::new(nth) };
        match house.write(&house.pack(&store)) {
            Err(PackError::Moved) => moved += 1,
            Ok((bytes, _)) => {
                // It moved before the first look or after the last one.
                block_on(open(&bytes).check()).unwrap();
                written += 1;
                if store.left.load(Ordering::SeqCst) > 0 && nth > 1 {
                    break;
                }
            }
            Err(other) => panic!("{nth}: {other:?}"),
        }
        assert!(nth < 5_000);
    }
    assert!(moved > 190 && written == 2, "{moved} {written}");
}

#[test]
fn a_store_that_fails_at_any_call_gives_no_archive() {
    let house = House::new();
    for call in [StoreCall::Head, StoreCall::Scan, StoreCall::Events] {
        for nth in [0, 1] {
            let store = FaultyStore::new(house.store.clone());
            store.fail(call, nth, Fault::fail(ErrorKind::Unavailable));
            let written = house.write(&house.pack(&store));
            let calls = store.plan().count(call);
            let failed = matches!(written, Err(PackError::Store(_)));
            assert!(failed || calls <= nth, "{call:?} {nth}: {written:?}");
        }
    }
}

#[test]
fn a_log_without_a_head_gives_no_archive() {
    let house = House::new();
    let store = MemoryStore::new();
    let key = TestKey::seeded(Algorithm::Ed25519, 1);
    let log = MemoryLog::new(Arc::new(store.clone()), vec![key]);
    let refused = block_on(Pack::new(house.custodian, &store, &log));
    assert!(matches!(refused, Err(PackError::NoHead)));
}

#[test]
fn events_of_another_custodian_give_no_archive() {
    let house = House::new();
    let stranger = CustodianId::new(Digest::of(b"another custodian"));
    let pack = block_on(Pack::new(stranger, &house.store, &house.log)).unwrap();
    let refused = house.write(&pack);
    assert!(matches!(refused, Err(PackError::Custodian)), "{refused:?}");
}

#[test]
fn a_head_that_the_events_do_not_lead_to_gives_no_archive() {
    let house = House::new();
    let checkpoint = block_on(house.log.head()).unwrap().unwrap();
    let key = block_on(house.log.public_key());
    let Head { size, root } = checkpoint.head;
    let write = |head: Head| {
        let checkpoint = Checkpoint { head, ..checkpoint.clone() };
        house.write(&Pack::at(house.custodian, &house.store, key.clone(), checkpoint))
    };
    write(checkpoint.head).unwrap();
    let (other, before) = (Digest::of(b"other"), Position::new(size.value() - 1));
    for (name, head) in [
        ("another root", Head { size, root: other }),
        ("the root of more events", Head { size: before, root }),
        ("another root over the first event", Head { size: Position::new(1), root: other }),
    ] {
        let refused = write(head);
        let told = head.size.value();
        let is_right = matches!(&refused, Err(PackError::Head { size }) if *size == told);
        assert!(is_right, "{name}: {refused:?}");
    }
    let end = block_on(house.store.head()).unwrap();
    let ahead = write(Head { size: end.plus(1), root: other });
    let is_right = matches!(ahead, Err(PackError::Header(HeaderError::Checkpoint { .. })));
    assert!(is_right, "more events than there are: {ahead:?}");
    let nothing = write(Head { size: Position::START, root: other });
    assert!(nothing.is_err(), "a root over nothing that is none: {nothing:?}");
}
