//! Random events: the fold never panics, and folding again gives the same state.

use std::collections::BTreeSet;
use std::time::Duration;

use custody_core::amount::Units;
use custody_core::command::{
    Command, CommandResult, DRILL, FreezeScope, KeyStart, ResealedKey, Resolution,
};
use custody_core::digest::Digest;
use custody_core::document::{
    CloseReason, Conclusion, DocumentReference, EventBody, Hold, Verdict,
};
use custody_core::id::{KeyId, OrderId};
use custody_core::key::KeyState;
use custody_core::order::OrderState;
use custody_core::principal::Verb;
use proptest::prelude::*;

use crate::drills::extension;
use crate::house::{
    Asked, House, create_key, credential, credential_id, key_id, key_result, newcomer, principal,
    wallet,
};
use crate::recovering::{archive, interrupted, recovered};
use crate::state::{read, read_parts};

/// Something that may or may not be possible now.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Pay(u64),
    Ask(Command, CommandResult),
    Reseal(u16),
    Approve(usize, usize),
    Decide(usize, Verdict),
    Conclude(usize, Conclusion),
    Cancel(usize),
    Reject(usize),
    Expire(usize),
    Destroy(&'static str),
    Snapshot,
    /// A recovery, after which so many orders end at once.
    Recover(u8, usize),
    /// Orders that a recovery left end.
    Settle(usize),
}

const KEYS: [&str; 3] = ["key-1", "key-2", "key-3"];
const APPROVERS: [(&str, u64); 3] = [("tara", 3), ("theo", 4), ("tom", 5)];

fn arb_command() -> impl Strategy<Value = (Command, CommandResult)> {
    let key = || prop::sample::select(&KEYS[..]).prop_map(key_id);
    let scope = || prop_oneof![Just(FreezeScope::House), Just(FreezeScope::Wallet(wallet("hot")))];
    let done = |command| (command, CommandResult::Done {});
    prop_oneof![
        key().prop_map(move |key| done(Command::ActivateKey { key })),
        key().prop_map(move |key| done(Command::SuspendKey { key })),
        key().prop_map(move |key| done(Command::ResumeKey { key })),
        key().prop_map(move |key| done(Command::DeactivateKey { key })),
        key().prop_map(move |key| done(Command::CompromiseKey { key })),
        key().prop_map(move |key| done(Command::DestroyKey { key, wait_ms: 60_000 })),
        key().prop_map(move |key| done(Command::CancelDestroy { key })),
        prop::sample::select(&[("key-1", 1), ("key-2", 2), ("key-3", 3)][..])
            .prop_map(|(key, seed)| (create_key(key, KeyStart::Active), key_result(seed))),
        scope().prop_map(move |scope| done(Command::Freeze { scope })),
        scope().prop_map(move |scope| done(Command::Thaw { scope })),
        prop::sample::select(&APPROVERS[..]).prop_map(move |(name, _)| {
            done(Command::RemovePrincipal { principal: principal(name) })
        }),
        prop::sample::select(&APPROVERS[..]).prop_map(move |(name, seed)| {
            done(Command::EnrollPrincipal { principal: newcomer(name, seed) })
        }),
        prop::sample::select(&APPROVERS[..]).prop_map(move |(name, seed)| {
            let (principal, credential) = (principal(name), credential_id(seed));
            done(Command::RemoveCredential { principal, credential })
        }),
        prop::sample::select(&APPROVERS[..]).prop_map(move |(name, seed)| {
            let (principal, credential) = (principal(name), credential_id(seed));
            done(Command::EnrollCredential { principal, credential, key: self::credential(seed) })
        }),
        prop::sample::select(&[DRILL, "recovery/split"][..])
            .prop_map(move |name| done(extension(name))),
        (1_usize..9).prop_map(move |number| {
            let order = OrderId::parse(&format!("order-{number:04}")).unwrap();
            let resolution = Resolution::Failed { reason: "wiped".to_owned() };
            done(Command::ResolveOrder { order, resolution })
        }),
    ]
}

fn arb_conclusion() -> impl Strategy<Value = Conclusion> {
    let signatures = DocumentReference { sha256: Digest::of(b"signatures"), size: 1 };
    prop_oneof![
        Just(Conclusion::Signed { signatures }),
        Just(Conclusion::Failed { reason: Hold::BackendRefused }),
        Just(Conclusion::Executed { result: CommandResult::Done {} }),
        prop::option::of(prop::sample::select(&KEYS[..])).prop_map(|key| Conclusion::Unknown {
            reason: Hold::TimedOut,
            suspends: key.map(key_id)
        }),
    ]
}

fn arb_step() -> impl Strategy<Value = Step> {
    let order = 0_usize..8;
    prop_oneof![
        1 => (0_u64..100_000_000).prop_map(Step::Wait),
        1 => (0_u64..1_000).prop_map(Step::Pay),
        3 => arb_command().prop_map(|(command, result)| Step::Ask(command, result)),
        1 => (1_u16..4).prop_map(Step::Reseal),
        2 => (order.clone(), 0_usize..3).prop_map(|(order, who)| Step::Approve(order, who)),
        2 => (order.clone(), prop_oneof![2 => Just(Verdict::Allowed), 1 => Just(Verdict::Denied)])
            .prop_map(|(order, verdict)| Step::Decide(order, verdict)),
        2 => (order.clone(), arb_conclusion()).prop_map(|(order, end)| Step::Conclude(order, end)),
        1 => order.clone().prop_map(Step::Cancel),
        1 => order.clone().prop_map(Step::Reject),
        1 => order.prop_map(Step::Expire),
        1 => prop::sample::select(&KEYS[..]).prop_map(Step::Destroy),
        1 => Just(Step::Snapshot),
        1 => (0_u8..3, 0_usize..4).prop_map(|(archive, ends)| Step::Recover(archive, ends)),
        3 => (0_usize..8).prop_map(Step::Settle),
    ]
}

/// The n-th open order, or one that does not exist.
fn open(house: &House, number: usize) -> OrderId {
    let ids: Vec<_> = house.ledger.orders().map(|order| order.document().order.clone()).collect();
    let none = || OrderId::parse("none").unwrap();
    if ids.is_empty() { none() } else { ids[number % ids.len()].clone() }
}

/// Takes a step, or is refused; and an order never takes a step that its state does not allow.
fn take(house: &mut House, step: Step) {
    let state = |house: &House, id: &OrderId| house.ledger.order(id).map(|order| order.state());
    if is_settling(house) && !matches!(step, Step::Wait(_) | Step::Recover(..) | Step::Settle(_)) {
        let reference = DocumentReference { sha256: Digest::of(b"state"), size: 1 };
        assert!(house.push(EventBody::Snapshot(reference)).is_err());
        return;
    }
    match step {
        Step::Wait(millis) => house.wait(Duration::from_millis(millis)),
        Step::Pay(units) => {
            house.submit("olivia", Asked::Payment { key: "key-1", units: Units::from(units) });
        }
        Step::Ask(command, result) => {
            let is_possible = house.ledger.check(&command).is_ok();
            let is_done = house.try_execute(command, result).is_ok();
            assert!(is_possible || !is_done, "what was not possible was done");
        }
        Step::Reseal(limit) => reseal(house, limit),
        Step::Approve(number, who) => {
            let (order, (name, seed)) = (open(house, number), APPROVERS[who]);
            if house.ledger.order(&order).is_some() {
                let approval = house.say(Verb::Approve, &order, name, seed);
                let _either = house.push(EventBody::ApprovalAdded(approval));
            }
        }
        Step::Decide(number, verdict) => {
            let order = open(house, number);
            let before = state(house, &order);
            let is_done = house.decide(&order, verdict).is_ok();
            assert_eq!(is_done, before == Some(OrderState::Pending));
        }
        Step::Conclude(number, outcome) => {
            let order = open(house, number);
            let before = state(house, &order);
            let is_done = house.conclude(&order, outcome).is_ok();
            assert!(!is_done || before == Some(OrderState::Reserved));
        }
        Step::Cancel(number) => close(house, number, "olivia", 2, Verb::Cancel),
        Step::Reject(number) => close(house, number, "tara", 3, Verb::Reject),
        Step::Expire(number) => {
            let order = open(house, number);
            let _either = house.close(&order, CloseReason::Expired {});
        }
        Step::Destroy(key) => {
            let _either = house.push(EventBody::KeyDestroyed(key_id(key)));
        }
        Step::Snapshot => {
            let reference = DocumentReference { sha256: Digest::of(b"state"), size: 1 };
            house.push(EventBody::Snapshot(reference)).unwrap();
        }
        Step::Recover(number, ends) => {
            let behind = (number == 2).then_some(10_000);
            let event = recovered(house, archive(number), behind);
            let is_done = house.push(event).is_ok();
            assert!(!is_done || house.ledger.exhausted(house.now) == [true; 4]);
            settle(house, ends);
        }
        Step::Settle(ends) => settle(house, ends),
    }
}

/// Whether orders are left that the last recovery found waiting or reserved.
fn is_settling(house: &House) -> bool {
    let Some(recovered) = house.ledger.recovered() else { return false };
    house
        .ledger
        .orders()
        .any(|order| order.state() != OrderState::Unknown && order.submitted() < recovered.index())
}

/// Ends some of the orders that a recovery left.
fn settle(house: &mut House, ends: usize) {
    for _ in 0..ends {
        let mut orders = house.ledger.orders();
        let left = orders.find(|order| order.state() != OrderState::Unknown);
        let Some((id, state)) = left.map(|open| (open.document().order.clone(), open.state()))
        else {
            return;
        };
        drop(orders);
        let was_settling = is_settling(house);
        if state == OrderState::Pending {
            let is_done = house.close(&id, CloseReason::Recovered {}).is_ok();
            assert_eq!(is_done, was_settling);
        } else {
            house.conclude(&id, interrupted()).unwrap();
        }
    }
}

/// Seals the first keys anew, as they must be.
fn reseal(house: &mut House, limit: u16) {
    let hot = wallet("hot");
    let is_there =
        |id: &&KeyId| house.ledger.key(id).is_some_and(|key| key.state() != KeyState::Destroyed);
    let keys = house.ledger.wallet(&hot).unwrap().keys().iter().filter(is_there);
    let keys: Vec<_> = keys.cloned().collect();
    let taken = keys.iter().take(usize::from(limit)).cloned();
    let number = house.events.len();
    let handle = |key: KeyId| {
        let handle = Digest::of(format!("{key} {number}").as_bytes());
        ResealedKey { key, handle }
    };
    let handles: Vec<_> = taken.map(handle).collect();
    let has_more = handles.len() < keys.len();
    let next = handles.last().filter(|_| has_more).map(|resealed| resealed.key.clone());
    let command = Command::ResealKeys { wallet: hot, after: None, limit };
    house.execute(command, CommandResult::Resealed { handles, next });
}

fn close(house: &mut House, number: usize, name: &str, seed: u64, verb: Verb) {
    let order = open(house, number);
    let Some(before) = house.ledger.order(&order).map(|order| order.state()) else { return };
    let said = house.say(verb, &order, name, seed);
    let reason = if verb == Verb::Cancel {
        CloseReason::Cancelled(said)
    } else {
        CloseReason::Rejected(said)
    };
    let is_done = house.close(&order, reason).is_ok();
    assert!(!is_done || before == OrderState::Pending);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_state_is_the_same_when_it_is_rebuilt_or_read(
        steps in prop::collection::vec(arb_step(), 1..60),
    ) {
        let mut house = House::new();
        for step in steps {
            take(&mut house, step);
        }
        prop_assert_eq!(&house.rebuilt(), &house.ledger);
        let written = house.ledger.documents(&BTreeSet::new()).unwrap();
        let read = read(&written);
        prop_assert_eq!(&read, &house.ledger);
        let again = read.documents(&BTreeSet::new()).unwrap();
        prop_assert_eq!(again.head(), written.head());
        prop_assert_eq!(again.parts(), written.parts());
    }

    #[test]
    fn only_what_changed_is_written_again(
        before in prop::collection::vec(arb_step(), 1..30),
        after in prop::collection::vec(arb_step(), 0..10),
    ) {
        let mut house = House::new();
        for step in before {
            take(&mut house, step);
        }
        let first = house.ledger.documents(&BTreeSet::new()).unwrap();
        let again = house.ledger.documents(first.names()).unwrap();
        prop_assert!(again.parts().is_empty());
        prop_assert_eq!(again.head(), first.head());
        for step in after {
            take(&mut house, step);
        }
        let second = house.ledger.documents(first.names()).unwrap();
        let all = house.rebuilt().documents(&BTreeSet::new()).unwrap();
        prop_assert_eq!(second.head(), all.head());
        prop_assert!(second.parts().iter().all(|(name, _)| !first.names().contains(name)));
        let parts = first.parts().iter().chain(second.parts());
        let parts: Vec<_> = parts.map(|(_, bytes)| bytes.clone()).collect();
        prop_assert_eq!(&read_parts(second.head(), &parts).unwrap(), &house.ledger);
    }

    #[test]
    fn a_state_that_was_kept_goes_on_as_if_it_had_not_been(
        before in prop::collection::vec(arb_step(), 1..30),
        after in prop::collection::vec(arb_step(), 1..30),
    ) {
        let mut house = House::new();
        for step in before {
            take(&mut house, step);
        }
        house.ledger = read(&house.ledger.documents(&BTreeSet::new()).unwrap());
        for step in after {
            take(&mut house, step);
        }
        prop_assert_eq!(&house.rebuilt(), &house.ledger);
    }
}
