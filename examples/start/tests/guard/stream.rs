//! Events and snapshots that somebody changed, and stores that were rolled back: refused at open.

use std::time::Duration;

use custody_core::custodian::{Answer, OpenError};
use custody_core::document::{EventBody, EventDocument, OrderDecided, V1, Verdict};
use custody_core::id::PolicyId;
use custody_core::principal::{Statement, Verb};
use custody_core::seam::{Batch, Position, RecordKey, Store};
use custody_testkit::store::MemoryStore;

use crate::assert_released;
use crate::records::memory;
use crate::world::work::{ETH, KNOWN};
use crate::world::{Kind, Remains, Setup, World};

/// A world with an order that waits for two treasurers, stopped; its store; and the order.
async fn stopped() -> (Remains, MemoryStore, Answer) {
    let world = World::new(Kind::Memory).await;
    let order = world.pay(20 * ETH, KNOWN, "large").await.unwrap();
    let store = memory(&world);
    (world.crash().await, store.reopen(), order)
}

async fn assert_refused(remains: Remains, what: &str) -> OpenError {
    match remains.try_open().await {
        Ok(world) => panic!("{what}: opened, with {} signatures", world.sign_calls()),
        Err(error) => error,
    }
}

fn last(store: &MemoryStore) -> Position {
    Position::new(store.snapshot().events().len() as u64 - 1)
}

async fn append(store: &MemoryStore, event: EventBody, of: &EventDocument) {
    let event = EventDocument { v: V1, at: of.at, event };
    let batch =
        Batch { events: vec![event.to_bytes().unwrap()], inserts: Vec::new(), puts: Vec::new() };
    store.commit(store.head().await.unwrap(), batch).await.unwrap();
}

fn event(store: &MemoryStore, position: Position) -> EventDocument {
    let index = usize::try_from(position.value()).unwrap();
    EventDocument::read(&store.snapshot().events()[index]).unwrap()
}

#[tokio::test]
async fn an_event_under_the_signed_head_that_was_changed_is_refused() {
    let (_, store, _) = stopped().await;
    let count = last(&store).value();
    for position in 0..=count {
        let (remains, store, _) = stopped().await;
        let position = Position::new(position);
        let mut changed = event(&store, position);
        changed.at = changed.at.after(Duration::from_millis(1));
        store.replace_event(position, changed.to_bytes().unwrap());
        let error = assert_refused(remains, &format!("event {position} changed")).await;
        assert!(matches!(error, OpenError::Audit(_) | OpenError::Corrupt { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn events_that_changed_places_are_refused() {
    let (remains, store, _) = stopped().await;
    let events = store.snapshot().events().to_vec();
    store.replace_event(Position::new(1), events[2].clone());
    store.replace_event(Position::new(2), events[1].clone());
    assert_refused(remains, "swapped").await;
}

#[tokio::test]
async fn a_store_that_lost_events_is_refused() {
    for lost in [1, 2, 5] {
        let (remains, store, _) = stopped().await;
        let count = last(&store).value() + 1;
        store.truncate_events(Position::new(count - lost));
        let error = assert_refused(remains, "truncated").await;
        let OpenError::RolledBack { stored, signed } = error else { panic!("{error:?}") };
        assert_eq!((stored, signed), (count - lost, count));
    }
}

#[tokio::test]
async fn a_store_that_was_rolled_back_to_an_older_copy_is_refused() {
    let world = World::new(Kind::Memory).await;
    let store = memory(&world);
    let older = store.snapshot();
    assert_released(&world.pay(ETH / 2, KNOWN, "paid").await.unwrap());
    let remains = world.crash().await;
    store.reopen().restore(&older);
    let error = assert_refused(remains, "rolled back").await;
    assert!(matches!(error, OpenError::RolledBack { .. }), "{error:?}");
}

#[tokio::test]
async fn a_decision_that_somebody_appended_is_refused() {
    let (remains, store, order) = stopped().await;
    let before = event(&store, last(&store));
    let decided =
        store.snapshot().events().iter().rev().find_map(|bytes| {
            match EventDocument::read(bytes).unwrap().event {
                EventBody::OrderDecided(decided) => Some(decided),
                _ => None,
            }
        });
    let forged = OrderDecided { order: order.order, verdict: Verdict::Allowed, ..decided.unwrap() };
    let _: &PolicyId = &forged.policy;
    append(&store, EventBody::OrderDecided(forged), &before).await;
    let error = assert_refused(remains, "a forged decision").await;
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn an_approval_that_somebody_appended_is_refused() {
    let world = World::new(Kind::Memory).await;
    let order = world.pay(20 * ETH, KNOWN, "large").await.unwrap();
    let theo = &world.people.theo;
    let until = world.now().after(Duration::from_secs(3_600));
    let statement = theo.statement(Verb::Approve, &order, until);
    let reject = Statement { verb: Verb::Reject, ..statement.clone() };
    let signature = theo.sign(&world.custodian.id(), reject).signature;
    let forged = statement.signed(signature);
    let store = memory(&world);
    let remains = world.crash().await;
    let store = store.reopen();
    let before = event(&store, last(&store));
    append(&store, EventBody::ApprovalAdded(forged), &before).await;
    let error = assert_refused(remains, "a forged approval").await;
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn an_order_document_that_was_changed_is_refused() {
    let (remains, store, order) = stopped().await;
    let key = RecordKey::parse(&format!("document/{}/{}", order.order, order.digest)).unwrap();
    let records = store.records();
    let mut bytes = records.into_iter().find(|record| record.key == key).unwrap().value;
    bytes.push(b' ');
    store.replace_record(&key, bytes);
    assert_refused(remains, "an order document changed").await;
}

/// A world that keeps its state every few events, stopped; and its store.
async fn with_snapshots() -> (Remains, MemoryStore) {
    let setup = Setup::new(Kind::Memory).config(|config| config.snapshot_interval = 4);
    let world = World::with(setup).await;
    for number in 0..6 {
        assert_released(&world.pay(ETH / 100, KNOWN, &format!("pay-{number}")).await.unwrap());
    }
    let store = memory(&world);
    (world.crash().await, store.reopen())
}

fn pointer(store: &MemoryStore) -> u64 {
    let mut records = store.records().into_iter();
    let pointer = records.find(|record| record.key.as_str() == "snapshot").unwrap();
    std::str::from_utf8(&pointer.value).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_snapshot_pointer_that_names_no_snapshot_is_refused() {
    let key = RecordKey::parse("snapshot").unwrap();
    for text in ["0", "1", "-1", "", "x"] {
        let (remains, store) = with_snapshots().await;
        assert!(pointer(&store) > 1);
        store.replace_record(&key, text.as_bytes().to_vec());
        let error = assert_refused(remains, &format!("pointer {text:?}")).await;
        assert!(matches!(error, OpenError::Corrupt { .. }), "{text:?}: {error:?}");
    }
}

#[tokio::test]
async fn without_a_snapshot_more_is_folded_and_the_state_is_the_same() {
    let key = RecordKey::parse("snapshot").unwrap();
    for text in [None, Some("999999")] {
        let (remains, store) = with_snapshots().await;
        match text {
            None => store.remove_record(&key),
            Some(text) => store.replace_record(&key, text.as_bytes().to_vec()),
        }
        let world = remains.open().await;
        let signed = world.sign_calls();
        assert_released(&world.pay(ETH / 100, KNOWN, "after").await.unwrap());
        assert_eq!(world.sign_calls(), signed + 1);
        world.verify().await;
    }
}

#[tokio::test]
async fn a_snapshot_that_was_changed_is_refused() {
    let (remains, store) = with_snapshots().await;
    let index = Position::new(pointer(&store));
    let EventBody::Snapshot(reference) = event(&store, index).event else { panic!("no snapshot") };
    let key = RecordKey::parse(&format!("document/snapshot/{}", reference.sha256)).unwrap();
    let mut records = store.records().into_iter();
    let bytes = records.find(|record| record.key == key).unwrap().value;
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("\"frozen\":false"));
    let richer = text.replacen("\"frozen\":false", "\"frozen\":true", 1);
    store.replace_record(&key, richer.into_bytes());
    let error = assert_refused(remains, "a snapshot changed").await;
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
}
