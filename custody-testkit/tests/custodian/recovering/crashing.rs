//! A recovery that is cut short at any of its writes goes on at the next start.

use custody_core::seam::{ErrorKind, Store};
use custody_testkit::fault::Happened;
use custody_testkit::store::{FaultyStore, StoreCall};

use super::*;

/// A custodian with so many waiting orders, and a copy of it.
fn crowded(orders: usize) -> (Lost, Vec<OrderId>) {
    let mut lost = lost();
    let waiting = lost.house.run(async {
        let anchor = MemoryAnchor::new();
        lost.house.store.restore(&lost.middle.store);
        let parts = lost.parts(&anchor);
        let config = custody_core::custodian::Config {
            open_per_requester: 10_000,
            open_per_wallet: 10_000,
            ..Default::default()
        };
        let custodian = lost.house.builder(parts).config(config).open(lost.id).await.unwrap();
        let mut waiting = Vec::new();
        for number in 0..orders {
            let request = transfer(0, 1, &format!("crowd-{number}"));
            waiting.push(custodian.submit(request).await.unwrap().order);
        }
        let crowd = copy(&lost.house, &custodian).await;
        custodian.close().await.unwrap();
        (waiting, crowd)
    });
    let (waiting, crowd) = waiting;
    lost.middle = crowd;
    (lost, waiting)
}

/// Fails at its n-th commit, whether it takes effect or not; the process dies with it.
fn failing(lost: &Lost, anchor: &MemoryAnchor, nth: usize, fault: Fault) -> Parts {
    let store = FaultyStore::new(lost.house.store.clone());
    store.fail(StoreCall::Commit, nth, fault);
    let parts = lost.parts(anchor);
    let store: Arc<dyn Store> = Arc::new(store);
    Parts { store, ..parts }
}

#[test]
fn a_recovery_that_is_cut_short_at_any_batch_goes_on_by_opening_or_by_recovering() {
    let (lost, waiting) = crowded(600);
    let faults = [
        Fault::fail(ErrorKind::Unavailable),
        Fault::fail(ErrorKind::Indeterminate),
        Fault::fail_after(ErrorKind::Indeterminate),
    ];
    lost.house.run(async {
        for nth in 0..3 {
            for (fault, opens) in faults.iter().flat_map(|fault| [(fault, true), (fault, false)]) {
                let case = format!("batch {nth}, {fault:?}, opened {opens}");
                let anchor = MemoryAnchor::new();
                lost.house.store.restore(&lost.middle.store);
                let parts = failing(&lost, &anchor, nth, fault.clone());
                let refused = lost.recover(parts, recovery(1)).await;
                assert!(refusal(refused).starts_with("store"), "{case}");
                let happened = match fault {
                    Fault::Fail { happened: Happened::Yes, .. } => nth + 1,
                    _ => nth,
                };
                assert_eq!(anchor.load().await.unwrap(), None, "{case}");
                let custodian = if opens && happened > 0 {
                    lost.open(lost.parts(&anchor)).await.unwrap()
                } else {
                    lost.recover(lost.parts(&anchor), recovery(1)).await.unwrap()
                };
                for order in [&waiting[0], &waiting[300], &waiting[599], &lost.waiting] {
                    assert_eq!(stands(&custodian, order).await, "Cancelled", "{case}");
                }
                assert_eq!(stands(&custodian, &lost.reserved).await, INTERRUPTED, "{case}");
                // One event of the recovery, and one for each order.
                let events = lost.middle.head.size.value() + 1 + 602;
                assert_eq!(lost.house.events() as u64, events, "{case}");
                custodian.close().await.unwrap();
            }
        }
        lost.assert_replays().await;
    });
}

#[test]
fn an_anchor_that_fails_lets_a_recovery_go_on_later() {
    use custody_testkit::audit::{AnchorCall, DenyingAnchor};
    let lost = lost();
    lost.house.run(async {
        let anchor = MemoryAnchor::new();
        lost.house.store.restore(&lost.middle.store);
        let denying = DenyingAnchor::new(Arc::new(anchor.clone()));
        denying.denial().deny_only(&[AnchorCall::Advance]);
        let parts = Parts { anchor: Arc::new(denying), ..lost.parts(&anchor) };
        assert_eq!(refusal(lost.recover(parts, recovery(1)).await), "anchor Refused");
        let events = lost.house.events();
        let custodian = lost.recover(lost.parts(&anchor), recovery(1)).await.unwrap();
        assert_eq!(stands(&custodian, &lost.waiting).await, "Cancelled");
        assert_eq!(lost.house.events(), events);
        let head = custodian.checkpoint().await.unwrap().unwrap().head;
        assert_eq!(anchor.load().await.unwrap(), Some(head));
    });
}

#[test]
fn orders_that_ended_in_a_recovery_are_found_after_a_snapshot_and_another_start() {
    let (lost, waiting) = crowded(40);
    lost.house.run(async {
        let anchor = MemoryAnchor::new();
        lost.house.store.restore(&lost.middle.store);
        let custodian = lost.recover(lost.parts(&anchor), recovery(1)).await.unwrap();
        custodian.close().await.unwrap();
        let config = custody_core::custodian::Config { snapshot_interval: 1, ..Default::default() };
        let builder = lost.house.builder(lost.parts(&anchor)).config(config);
        let custodian = builder.open(lost.id).await.unwrap();
        lost.pass(Duration::from_secs(60)).await;
        assert_eq!(said(&pay(&custodian, opaque("opaque")).await), "released");
        custodian.close().await.unwrap();
        let custodian = lost.open(lost.parts(&anchor)).await.unwrap();
        assert_eq!(custodian.exhausted(), [true; 4]);
        assert_eq!(stands(&custodian, &waiting[7]).await, "Cancelled");
        assert_eq!(stands(&custodian, &lost.reserved).await, INTERRUPTED);
        assert_eq!(said(&pay(&custodian, transfer(0, 1, "early")).await), OVER_LIMIT);
        lost.assert_replays().await;
    });
}
