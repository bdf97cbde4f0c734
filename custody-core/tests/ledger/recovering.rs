//! A state that was restored from an archive: nothing goes on before what waited has ended, and
//! every window starts exhausted.

use std::collections::BTreeSet;
use std::time::Duration;

use custody_core::amount::Units;
use custody_core::command::{Command, CommandResult, FreezeScope, Resolution};
use custody_core::digest::Digest;
use custody_core::document::{
    CloseReason, Conclusion, DocumentReference, EventBody, EventDocument, HeadReference, Hold,
    RecoveredEvent, V1, Verdict,
};
use custody_core::id::OrderId;
use custody_core::ledger::{Attached, LedgerError, StateReader};
use custody_core::order::OrderState;
use custody_core::principal::Verb;
use custody_core::seam::{Position, WindowSums};
use custody_core::time::Timestamp;

use crate::approvals::Witness;
use crate::house::{DAY, House, key_id};
use crate::state::read;
use crate::steps::{in_state, unknown};

const MOST: WindowSums =
    WindowSums { h1: Units::MAX, h24: Units::MAX, d7: Units::MAX, d30: Units::MAX };

pub(crate) fn archive(number: u8) -> Digest {
    Digest::new([number; 32])
}

const fn head(size: u64) -> HeadReference {
    HeadReference { size: Position::new(size), root: Digest::new([9; 32]) }
}

pub(crate) fn recovered(house: &House, archive: Digest, behind: Option<u64>) -> EventBody {
    let restored = head(house.ledger.position().value());
    EventBody::Recovered(RecoveredEvent { archive, restored, behind: behind.map(head) })
}

fn recover(house: &mut House, number: u8) -> Result<(), LedgerError> {
    house.push(recovered(house, archive(number), None))
}

const fn wrong(what: &'static str) -> Result<(), LedgerError> {
    Err(LedgerError::Recovery { what })
}

const LEFT: Result<(), LedgerError> = wrong("orders are to be ended first");
const NONE_LEFT: Result<(), LedgerError> = wrong("no order is to be ended");

pub(crate) fn interrupted() -> Conclusion {
    Conclusion::Unknown { reason: Hold::Interrupted, suspends: None }
}

/// A house with a pending order, a reserved one and an unknown one, in this order.
fn three() -> (House, [OrderId; 3]) {
    let (mut house, lost) = in_state(OrderState::Unknown);
    let reserved = house.pay(3);
    house.decide(&reserved, Verdict::Allowed).unwrap();
    let pending = house.pay(2);
    (house, [pending, reserved, lost])
}

fn state(house: &House, order: &OrderId) -> Option<OrderState> {
    house.ledger.order(order).map(|order| order.state())
}

/// The sums that a payment of `units` would be judged by.
fn sums(house: &House, units: u64) -> Vec<Option<WindowSums>> {
    let mut probe = house.clone();
    let order = probe.pay(units);
    let open = probe.ledger.order(&order).unwrap();
    let decision = probe.ledger.decide(&Witness::default(), open, probe.now);
    decision.windows.iter().map(|used| used.sums).collect()
}

#[test]
fn what_waited_is_cancelled_and_what_was_reserved_is_unknown() {
    let (mut house, [pending, reserved, lost]) = three();
    recover(&mut house, 1).unwrap();
    house.close(&pending, CloseReason::Recovered {}).unwrap();
    house.conclude(&reserved, interrupted()).unwrap();
    assert_eq!(state(&house, &pending), None);
    assert_eq!(state(&house, &reserved), Some(OrderState::Unknown));
    assert_eq!(house.ledger.order(&reserved).unwrap().lost(), Some(Hold::Interrupted));
    assert_eq!(house.ledger.order(&lost).unwrap().lost(), Some(Hold::TimedOut), "as it was");
    let next = house.pay(1);
    assert_eq!(state(&house, &next), Some(OrderState::Pending));
    let resolution = Resolution::Failed { reason: "wiped".to_owned() };
    let resolve = Command::ResolveOrder { order: reserved.clone(), resolution };
    house.execute(resolve, CommandResult::Done {});
    assert_eq!(state(&house, &reserved), None);
    assert_eq!(house.rebuilt(), house.ledger);
}

#[test]
fn nothing_else_happens_before_what_waited_or_was_reserved_has_ended() {
    let reference = DocumentReference { sha256: Digest::of(b"state"), size: 1 };
    let (mut ready, [pending, reserved, _]) = three();
    let approval = ready.say(Verb::Approve, &pending, "tara", 3);
    let cancel = CloseReason::Cancelled(ready.say(Verb::Cancel, &pending, "olivia", 2));
    let reject = CloseReason::Rejected(ready.say(Verb::Reject, &pending, "tara", 3));
    recover(&mut ready, 1).unwrap();
    type Step<'a> = Box<dyn Fn(&mut House) -> Result<(), LedgerError> + 'a>;
    let (pending, reserved) = (&pending, &reserved);
    let signed = Conclusion::Signed { signatures: reference };
    let failed = Conclusion::Failed { reason: Hold::Interrupted };
    let suspends = Some(key_id("key-1"));
    let suspending = Conclusion::Unknown { reason: Hold::Interrupted, suspends };
    let steps: Vec<(&str, Step<'_>)> = vec![
        ("approved", Box::new(|house| house.push(EventBody::ApprovalAdded(approval.clone())))),
        ("allowed", Box::new(|house| house.decide(pending, Verdict::Allowed))),
        ("denied", Box::new(|house| house.decide(pending, Verdict::Denied))),
        ("cancelled", Box::new(|house| house.close(pending, cancel.clone()))),
        ("rejected", Box::new(|house| house.close(pending, reject.clone()))),
        (
            "expired",
            Box::new(|house| {
                house.wait(DAY * 2);
                house.close(pending, CloseReason::Expired {})
            }),
        ),
        ("signed", Box::new(|house| house.conclude(reserved, signed.clone()))),
        ("failed", Box::new(|house| house.conclude(reserved, failed.clone()))),
        ("timed out", Box::new(|house| house.conclude(reserved, unknown()))),
        ("suspending", Box::new(|house| house.conclude(reserved, suspending.clone()))),
        ("kept", Box::new(|house| house.push(EventBody::Snapshot(reference)))),
        ("destroyed", Box::new(|house| house.push(EventBody::KeyDestroyed(key_id("key-1"))))),
    ];
    for (name, step) in steps {
        for ended in [None, Some(pending), Some(reserved)] {
            let mut house = ready.clone();
            if ended == Some(pending) {
                house.close(pending, CloseReason::Recovered {}).unwrap();
            } else if ended == Some(reserved) {
                house.conclude(reserved, interrupted()).unwrap();
            }
            assert_eq!(step(&mut house), LEFT, "{name}, {ended:?} has ended");
        }
    }
    let submitted = three().0.events.last().cloned().unwrap();
    let refused = ready.ledger.clone().apply(&submitted.0, &submitted.1);
    assert_eq!(refused, LEFT, "submitted");
}

#[test]
fn a_recovery_ends_no_order_at_any_other_time() {
    for state in [OrderState::Pending, OrderState::Reserved, OrderState::Unknown] {
        let (mut house, order) = in_state(state);
        assert_eq!(house.close(&order, CloseReason::Recovered {}), NONE_LEFT, "{state}");
    }
    let (mut house, [pending, reserved, lost]) = three();
    recover(&mut house, 1).unwrap();
    for order in [&reserved, &lost] {
        let refused = house.close(order, CloseReason::Recovered {});
        assert!(matches!(refused, Err(LedgerError::Impossible(_))), "{refused:?}");
    }
    for order in [&pending, &lost] {
        let refused = house.conclude(order, interrupted());
        assert!(matches!(refused, Err(LedgerError::Impossible(_))), "{refused:?}");
    }
    house.close(&pending, CloseReason::Recovered {}).unwrap();
    let again = house.close(&pending, CloseReason::Recovered {});
    assert_eq!(again, Err(LedgerError::Unknown { what: "order" }));
    house.conclude(&reserved, interrupted()).unwrap();
    let later = house.pay(1);
    assert_eq!(house.close(&later, CloseReason::Recovered {}), NONE_LEFT, "it came later");
    assert_eq!(house.close(&lost, CloseReason::Recovered {}), NONE_LEFT);
}

#[test]
fn a_recovery_that_contradicts_the_log_is_refused() {
    let (mut house, _) = in_state(OrderState::Unknown);
    let size = house.ledger.position().value();
    let event = |restored, behind: Option<u64>| {
        let restored = head(restored);
        let behind = behind.map(head);
        EventBody::Recovered(RecoveredEvent { archive: archive(1), restored, behind })
    };
    for restored in [0, 1, size - 1, size + 1, u64::MAX] {
        let refused = house.push(event(restored, None));
        assert_eq!(refused, wrong("the restored head is not the one before it"), "{restored}");
    }
    for behind in [size, size - 1, 1] {
        let refused = house.push(event(size, Some(behind)));
        let other = wrong("a head that is no newer one is of another history");
        assert_eq!(refused, other, "{behind}");
    }
    house.push(event(size, Some(size + 1))).unwrap();
}

#[test]
fn an_archive_is_recovered_once_unless_more_is_known_to_be_lost() {
    let refused = wrong("the archive was recovered before");
    let (mut house, _) = in_state(OrderState::Unknown);
    recover(&mut house, 1).unwrap();
    assert_eq!(recover(&mut house, 1), refused);
    house.pay(1);
    assert_eq!(recover(&mut house, 1), refused);
    house.push(recovered(&house, archive(1), Some(1_000))).unwrap();
    let pending: Vec<_> = house.ledger.orders().map(|open| open.document().order.clone()).collect();
    house.close(&pending[1], CloseReason::Recovered {}).unwrap();
    assert_eq!(house.push(recovered(&house, archive(1), Some(1_000))), refused);
    assert_eq!(recover(&mut house, 1), refused);
    house.push(recovered(&house, archive(1), Some(1_001))).unwrap();
    recover(&mut house, 2).unwrap();
    recover(&mut house, 1).unwrap();
    assert_eq!(house.rebuilt(), house.ledger);
}

#[test]
fn a_second_recovery_ends_what_the_first_one_left() {
    let (mut house, [pending, reserved, _]) = three();
    recover(&mut house, 1).unwrap();
    house.close(&pending, CloseReason::Recovered {}).unwrap();
    recover(&mut house, 2).unwrap();
    assert_eq!(house.decide(&reserved, Verdict::Denied), LEFT);
    house.conclude(&reserved, interrupted()).unwrap();
    house.pay(1);
    let last = house.ledger.recovered().unwrap();
    assert_eq!((*last.archive(), last.behind()), (archive(2), None));
}

#[test]
fn every_window_starts_exhausted_and_comes_back_one_by_one() {
    let (mut house, _) = in_state(OrderState::Unknown);
    assert_eq!(house.ledger.exhausted(house.now), [false; 4]);
    assert!(house.ledger.recovered().is_none());
    recover(&mut house, 1).unwrap();
    assert_eq!(house.ledger.recovered().unwrap().at(), house.now);
    assert!(sums(&house, 1).iter().all(|sums| *sums == Some(MOST)), "also of windows unheard of");
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3_600));
    for (wait, exhausted) in [
        (hour, [true; 4]),
        (minute, [false, true, true, true]),
        (hour * 24, [false, false, true, true]),
        (hour * 24 * 6, [false, false, false, true]),
        (hour * 24 * 23, [false; 4]),
    ] {
        house.wait(wait);
        assert_eq!(house.ledger.exhausted(house.now), exhausted, "{wait:?}");
    }
    assert!(sums(&house, 1).iter().all(|sums| sums.is_some_and(|sums| sums.h1 < Units::MAX)));
}

#[test]
fn an_order_that_no_limit_concerns_is_reserved_in_exhausted_windows() {
    let (mut house, _) = in_state(OrderState::Unknown);
    recover(&mut house, 1).unwrap();
    let order = house.pay(7);
    house.decide(&order, Verdict::Allowed).unwrap();
    assert_eq!(state(&house, &order), Some(OrderState::Reserved));
}

#[test]
fn a_house_that_lacks_something_is_frozen_until_it_is_thawed() {
    for (behind, frozen) in [(None, false), (Some(1_000), true)] {
        let (mut house, _) = in_state(OrderState::Unknown);
        house.push(recovered(&house, archive(1), behind)).unwrap();
        assert_eq!(house.ledger.is_frozen(), frozen, "{behind:?}");
        if !frozen {
            continue;
        }
        let order = house.pay(1);
        let hold = |house: &House| {
            house.ledger.hold(house.ledger.order(&order).unwrap().document(), house.now)
        };
        assert_eq!(hold(&house), Some("frozen"));
        house.wait(DAY);
        assert_eq!(hold(&house), Some("frozen"), "no timer thaws it");
        let thaw = Command::Thaw { scope: FreezeScope::House };
        house.execute(thaw, CommandResult::Done {});
        assert_eq!(hold(&house), None);
        recover(&mut house, 2).unwrap();
        house.close(&order, CloseReason::Recovered {}).unwrap();
        assert!(!house.ledger.is_frozen(), "a copy that lacks nothing freezes nothing");
    }
}

#[test]
fn a_smaller_head_is_lost_only_where_an_earlier_recovery_lost_it() {
    let (mut house, _) = in_state(OrderState::Unknown);
    recover(&mut house, 1).unwrap();
    house.push(recovered(&house, archive(1), Some(1))).unwrap();
    assert!(house.ledger.is_frozen());
}

#[test]
fn a_frozen_house_stays_frozen_when_it_is_recovered() {
    let (mut house, _) = in_state(OrderState::Unknown);
    house.execute(Command::Freeze { scope: FreezeScope::House }, CommandResult::Done {});
    recover(&mut house, 1).unwrap();
    assert!(house.ledger.is_frozen());
}

/// Every point of a recovery is written and read as it is, also between two ends.
#[test]
fn a_recovery_under_way_is_kept_with_the_state() {
    let (mut house, [pending, reserved, _]) = three();
    let check = |house: &House, left: usize| {
        let documents = house.ledger.documents(&BTreeSet::new()).unwrap();
        let mut kept = house.clone();
        kept.ledger = read(&documents);
        assert_eq!(kept.ledger, house.ledger, "{left} are left");
        for mut house in [kept, house.clone()] {
            let reference = documents.reference();
            let is_kept = house.push(EventBody::Snapshot(reference)).is_ok();
            assert_eq!(is_kept, left == 0, "{left} are left");
        }
    };
    check(&house, 0);
    recover(&mut house, 1).unwrap();
    check(&house, 2);
    house.conclude(&reserved, interrupted()).unwrap();
    check(&house, 1);
    house.close(&pending, CloseReason::Recovered {}).unwrap();
    check(&house, 0);
    house.pay(4);
    check(&house, 0);
}

#[test]
fn a_state_that_was_never_recovered_says_nothing_of_it() {
    let (mut house, _) = in_state(OrderState::Unknown);
    let head = |house: &House| -> serde_json::Value {
        let documents = house.ledger.documents(&BTreeSet::new()).unwrap();
        serde_json::from_slice(documents.head()).unwrap()
    };
    assert!(head(&house).get("recovered").is_none());
    house.push(recovered(&house, archive(1), Some(1_000))).unwrap();
    let kept = head(&house);
    let place = house.ledger.position().value() - 1;
    let expected = serde_json::json!({
        "archive": archive(1),
        "at": house.now,
        "index": place,
        "behind": { "size": 1_000, "root": Digest::new([9; 32]) },
    });
    assert_eq!(kept["recovered"], expected);
    for name in ["archive", "at", "index"] {
        let mut less = kept.clone();
        less["recovered"].as_object_mut().unwrap().remove(name);
        assert!(StateReader::new(&serde_json::to_vec(&less).unwrap()).is_err(), "{name}");
    }
    let mut more = kept;
    more["recovered"]["more"] = serde_json::json!(1);
    assert!(StateReader::new(&serde_json::to_vec(&more).unwrap()).is_err());
}

#[test]
fn time_does_not_go_back_in_a_recovery() {
    let (mut house, _) = in_state(OrderState::Unknown);
    let event = recovered(&house, archive(1), None);
    let at = Timestamp::from_millis(house.now.as_millis() - 1);
    let early = EventDocument { v: V1, at, event };
    let refused = house.ledger.clone().apply(&early, &Attached::default());
    assert_eq!(refused, Err(LedgerError::Time));
    recover(&mut house, 1).unwrap();
}
