//! Events that say that a recovery was where there was none are found by whoever opens or verifies.

use custody_core::document::{
    CloseReason, EventBody, EventDocument, HeadReference, OrderClosed, RecoveredEvent, V1,
};
use custody_core::replay::{Depth, Replay, ReplayError};
use custody_core::seam::{Batch, Store as _};

use super::*;

const DO_NOT_FOLD: &str = "the store is refused: the events do not fold";

/// Appends an event that nobody judged, and opens what is then there.
async fn opened(lost: &Lost, copy: &Copy, events: Vec<EventBody>) -> Result<Custodian, OpenError> {
    let parts = lost.restore(copy, None);
    let at = lost.house.clock.now();
    let events = events.into_iter().map(|event| EventDocument { v: V1, at, event });
    let events = events.map(|event| event.to_bytes().unwrap()).collect();
    let batch = Batch { events, ..Batch::default() };
    lost.house.store.commit(copy.head.size, batch).await.unwrap();
    lost.open(parts).await
}

fn closed(order: &OrderId) -> EventBody {
    EventBody::OrderClosed(OrderClosed { order: order.clone(), reason: CloseReason::Recovered {} })
}

fn recovered(restored: Head) -> EventBody {
    let archive = Digest::new([1; 32]);
    let restored = HeadReference::from(restored);
    EventBody::Recovered(RecoveredEvent { archive, restored, behind: None })
}

#[test]
fn a_forged_end_by_a_recovery_does_not_fold() {
    let lost = lost();
    lost.house.run(async {
        let head = lost.middle.head;
        let wrong = Head { size: Position::new(head.size.value() - 1), ..head };
        for (name, events) in [
            ("no recovery", vec![closed(&lost.waiting)]),
            ("reserved", vec![recovered(head), closed(&lost.reserved)]),
            ("ended before", vec![recovered(head), closed(&lost.signed)]),
            ("twice", vec![recovered(head), closed(&lost.waiting), closed(&lost.waiting)]),
            ("of another size", vec![recovered(wrong)]),
            ("recovered twice", vec![recovered(head), recovered(head)]),
        ] {
            let refused = opened(&lost, &lost.middle, events).await;
            assert_eq!(refusal(refused), DO_NOT_FOLD, "{name}");
        }
        // What is left of a true one goes on.
        let custodian = opened(&lost, &lost.middle, vec![recovered(head)]).await.unwrap();
        assert_eq!(stands(&custodian, &lost.waiting).await, "Cancelled");
        assert_eq!(stands(&custodian, &lost.reserved).await, INTERRUPTED);
    });
}

/// Each event that ends an order by a recovery is needed: a log without it does not replay.
#[test]
fn a_log_in_which_an_order_outlives_its_recovery_does_not_replay() {
    let lost = lost();
    lost.house.run(async {
        let parts = lost.restore(&lost.middle, None);
        let custodian = lost.recover(parts, recovery(1)).await.unwrap();
        assert_eq!(said(&pay(&custodian, opaque("opaque")).await), "released");
        custodian.close().await.unwrap();
        let events = lost.house.store.snapshot().events().to_vec();
        let documents: std::collections::BTreeMap<_, _> = lost
            .house
            .store
            .records()
            .into_iter()
            .filter(|record| record.key.as_str().starts_with("document/"))
            .map(|record| (Digest::of(&record.value), record.value))
            .collect();
        let replay = |events: &[Vec<u8>]| {
            let compiler = Some(Arc::new(TestRules::new()) as _);
            let decoders = vec![Arc::new(TestDecoder::new()) as _];
            let mut replay = Replay::new(lost.id, Depth::Full, compiler, decoders);
            events.iter().try_for_each(|bytes| replay.event(bytes, &documents))
        };
        replay(&events).unwrap();
        let first = usize::try_from(lost.middle.head.size.value()).unwrap();
        for without in first..first + 3 {
            let mut events = events.clone();
            events.remove(without);
            assert!(replay(&events).is_err(), "without event {}", without - first);
        }
        // A head of the same size over other events.
        let recovered = String::from_utf8(events[first].clone()).unwrap();
        let (root, other) = (lost.middle.head.root.to_string(), Digest::of(b"").to_string());
        assert_eq!(recovered.matches(&root).count(), 1);
        let mut events = events;
        events[first] = recovered.replace(&root, &other).into_bytes();
        let refused = replay(&events).unwrap_err();
        assert!(matches!(refused, ReplayError::Wrong { .. }), "{refused:?}");
    });
}
