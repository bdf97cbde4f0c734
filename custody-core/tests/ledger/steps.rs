//! Events that cannot follow, and what orders leave behind in the windows.

use std::time::Duration;

use custody_core::amount::Units;
use custody_core::command::{Command, CommandResult, Resolution};
use custody_core::digest::Digest;
use custody_core::document::{
    CloseReason, Conclusion, DocumentReference, EventBody, Hold, OrderSubmitted, Verdict,
};
use custody_core::id::{BookId, OrderId};
use custody_core::ledger::{Ledger, LedgerError};
use custody_core::order::{OrderState, OrderStep};
use custody_core::principal::Verb;
use custody_core::window::WindowScope;

use crate::approvals::Witness;
use crate::house::{
    DAY, House, START, credential_id, custodian, genesis, newcomer, policy, principal,
};

fn failed() -> Conclusion {
    Conclusion::Failed { reason: Hold::BackendRefused }
}

fn signed() -> Conclusion {
    let signatures = DocumentReference { sha256: Digest::of(b"signatures"), size: 1 };
    Conclusion::Signed { signatures }
}

fn unknown() -> Conclusion {
    Conclusion::Unknown { reason: Hold::TimedOut, suspends: None }
}

/// An order of one payment in this state, and the house it is in.
fn in_state(state: OrderState) -> (House, OrderId) {
    let mut house = House::new();
    let order = house.pay(5);
    if state != OrderState::Pending {
        house.decide(&order, Verdict::Allowed).unwrap();
    }
    if state == OrderState::Unknown {
        house.conclude(&order, unknown()).unwrap();
    }
    assert_eq!(house.ledger.order(&order).unwrap().state(), state);
    (house, order)
}

#[test]
fn an_order_takes_the_steps_of_its_state_only() {
    type Step = fn(&mut House, &OrderId) -> Result<(), LedgerError>;
    use OrderState::{Pending, Reserved, Unknown};
    let steps: [(Step, OrderStep, OrderState); 6] = [
        (|house, id| house.decide(id, Verdict::Allowed), OrderStep::Allow, Pending),
        (|house, id| house.decide(id, Verdict::Denied), OrderStep::Deny, Pending),
        (|house, id| house.conclude(id, signed()), OrderStep::Sign, Reserved),
        (|house, id| house.conclude(id, failed()), OrderStep::Fail, Reserved),
        (|house, id| house.conclude(id, unknown()), OrderStep::Lose, Reserved),
        (
            |house, id| {
                house.wait(DAY + Duration::from_millis(1));
                house.close(id, CloseReason::Expired {})
            },
            OrderStep::Expire,
            Pending,
        ),
    ];
    for (take, step, from) in steps {
        for state in [Pending, Reserved, Unknown] {
            let (mut house, order) = in_state(state);
            let expected = match state == from {
                true => Ok(()),
                false => Err(LedgerError::Impossible(state.apply(step).unwrap_err())),
            };
            assert_eq!(take(&mut house, &order), expected, "{step:?} of {state}");
        }
    }
}

#[test]
fn a_payment_cannot_be_executed_like_a_command() {
    let (mut house, order) = in_state(OrderState::Reserved);
    let outcome = Conclusion::Executed { result: CommandResult::Done {} };
    assert_eq!(house.conclude(&order, outcome), Err(LedgerError::Result));
}

#[test]
fn an_order_that_ended_is_no_longer_there() {
    let (mut house, order) = in_state(OrderState::Reserved);
    house.conclude(&order, signed()).unwrap();
    assert!(house.ledger.order(&order).is_none());
    let unknown = Err(LedgerError::Unknown { what: "order" });
    assert_eq!(house.decide(&order, Verdict::Allowed), unknown);
    assert_eq!(house.conclude(&order, failed()), unknown);
    assert_eq!(house.close(&order, CloseReason::Expired {}), unknown);
}

#[test]
fn an_order_expires_after_its_last_millisecond_only() {
    let (mut house, order) = in_state(OrderState::Pending);
    house.wait(DAY);
    assert_eq!(house.close(&order, CloseReason::Expired {}), Err(LedgerError::Time));
    house.wait(Duration::from_millis(1));
    house.close(&order, CloseReason::Expired {}).unwrap();
}

#[test]
fn a_closing_statement_is_for_the_order_that_it_closes() {
    let mut house = House::new();
    let (first, second) = (house.pay(1), house.pay(2));
    let cancel = house.say(Verb::Cancel, &first, "olivia", 2);
    let reject = house.say(Verb::Reject, &first, "tara", 3);
    let other = Err(LedgerError::Statement { what: "another order" });
    assert_eq!(house.close(&second, CloseReason::Cancelled(cancel.clone())), other);
    assert_eq!(house.close(&second, CloseReason::Rejected(reject.clone())), other);
    let verb = Err(LedgerError::Statement { what: "another verb" });
    assert_eq!(house.close(&first, CloseReason::Cancelled(reject)), verb);
    house.close(&first, CloseReason::Cancelled(cancel)).unwrap();
}

#[test]
fn an_approval_comes_while_the_order_is_pending_only() {
    for state in [OrderState::Reserved, OrderState::Unknown] {
        let (mut house, order) = in_state(state);
        let refused = Err(LedgerError::Statement { what: "the order does not wait" });
        assert_eq!(house.approve(&order, "tara"), refused);
    }
}

#[test]
fn time_does_not_go_back_and_genesis_comes_once() {
    let mut house = House::new();
    let (again, _) = house.events[0].clone();
    assert_eq!(house.push(again.event), Err(LedgerError::Exists));
    house.pay(1);
    house.wait(DAY);
    house.pay(2);
    house.now = START;
    let order = OrderId::parse("order-0003").unwrap();
    assert_eq!(house.decide(&order, Verdict::Denied), Err(LedgerError::Time));
}

#[test]
fn an_order_is_submitted_once_and_with_its_document() {
    let mut house = House::new();
    house.pay(1);
    let (event, attached) = house.events.last().cloned().unwrap();
    assert_eq!(house.push(event.event.clone()), Err(LedgerError::Missing));
    assert_eq!(house.ledger.clone().apply(&event, &attached), Err(LedgerError::Exists));
    let EventBody::OrderSubmitted(OrderSubmitted { order, .. }) = event.event else { panic!() };
    assert_eq!(house.ledger.open_of_wallet(&crate::house::wallet("hot")), 1);
    house.decide(&order, Verdict::Denied).unwrap();
    assert_eq!(house.ledger.open_of_wallet(&crate::house::wallet("hot")), 0);
}

/// What the wallet has spent in thirty days, as the judge would be told.
fn spent(house: &House) -> Units {
    let mut probe = house.clone();
    let order = probe.pay(0);
    let open = probe.ledger.order(&order).unwrap();
    let decision = probe.ledger.decide(&Witness::default(), open, probe.now);
    let mut windows = decision.windows.iter();
    let of_wallet = windows.find(|used| matches!(used.window.scope, WindowScope::Wallet(_)));
    of_wallet.unwrap().sums.unwrap().d30
}

#[test]
fn a_reservation_is_given_back_by_a_failure_and_by_nothing_else() {
    let resolve =
        |order: &OrderId, resolution| Command::ResolveOrder { order: order.clone(), resolution };
    let (five, none) = (Units::from(5_u64), Units::ZERO);
    let (mut house, order) = in_state(OrderState::Pending);
    assert_eq!(spent(&house), none, "a pending order reserves nothing");
    house.decide(&order, Verdict::Denied).unwrap();
    assert_eq!(spent(&house), none);

    let (mut house, order) = in_state(OrderState::Reserved);
    assert_eq!(spent(&house), five);
    house.conclude(&order, signed()).unwrap();
    assert_eq!(spent(&house), five);

    let (mut house, order) = in_state(OrderState::Reserved);
    house.conclude(&order, failed()).unwrap();
    assert_eq!(spent(&house), none);

    let (mut house, order) = in_state(OrderState::Unknown);
    assert_eq!(spent(&house), five);
    house.wait(DAY * 3);
    assert_eq!(spent(&house), five, "no timer frees it");
    let resolution = Resolution::Failed { reason: "wiped".to_owned() };
    house.execute(resolve(&order, resolution), CommandResult::Done {});
    assert_eq!(spent(&house), none);
}

#[test]
fn an_amount_that_overflows_its_window_is_not_reserved() {
    let mut house = House::new();
    let asked = || crate::house::Asked::Payment { key: "key-1", units: Units::MAX };
    let (first, second) = (house.submit("olivia", asked()), house.submit("olivia", asked()));
    house.decide(&first, Verdict::Allowed).unwrap();
    let refused = house.decide(&second, Verdict::Allowed);
    assert!(matches!(refused, Err(LedgerError::Overflow(_))), "{refused:?}");
}

#[test]
fn genesis_refuses_people_whose_roles_or_credentials_are_wrong() {
    let rules = policy("").to_bytes().unwrap();
    let fold = |people| Ledger::genesis(custodian(), &genesis(people, &rules), &rules).map(drop);
    let mut janitor = newcomer("nina", 44);
    janitor.roles.insert(custody_core::id::RoleId::parse("janitor").unwrap());
    assert_eq!(fold(vec![newcomer("nina", 44)]), Ok(()));
    for people in [
        vec![janitor],
        vec![newcomer("nina", 44), newcomer("nora", 44)],
        vec![newcomer("nina", 44), newcomer("nina", 45)],
    ] {
        let refused = fold(people);
        assert!(matches!(refused, Err(LedgerError::Command(_))), "{refused:?}");
    }
    let other = policy("// other").to_bytes().unwrap();
    let refused = Ledger::genesis(custodian(), &genesis(Vec::new(), &rules), &other).map(drop);
    assert_eq!(refused, Err(LedgerError::Missing));
}

#[test]
fn the_bytes_of_a_state_that_is_kept_are_pinned() {
    let (mut house, order) = in_state(OrderState::Reserved);
    house.conclude(&order, unknown()).unwrap();
    house.pay(7);
    let order = house.pay(8);
    house.approve(&order, "tara").unwrap();
    let command = Command::EnrollCredential {
        principal: principal("tara"),
        credential: credential_id(33),
        key: crate::house::credential(33),
    };
    house.execute(command, CommandResult::Done {});
    insta::assert_snapshot!("state", serde_json::to_string_pretty(&house.ledger).unwrap());
}

#[test]
fn a_state_with_a_field_more_or_less_is_refused() {
    let (house, _) = in_state(OrderState::Reserved);
    let state = serde_json::to_value(&house.ledger).unwrap();
    let read = |value: &serde_json::Value| Ledger::read(&serde_json::to_vec(value).unwrap());
    assert_eq!(read(&state).as_ref(), Ok(&house.ledger));
    for name in state.as_object().unwrap().keys() {
        let mut less = state.clone();
        less.as_object_mut().unwrap().remove(name);
        assert!(read(&less).is_err(), "without {name:?}");
    }
    for place in
        ["", "/policy", "/members/ada", "/wallets/hot", "/keys/key-1", "/orders/order-0003"]
    {
        let mut more = state.clone();
        more.pointer_mut(place).unwrap()["unknown"] = serde_json::json!(1);
        assert!(read(&more).is_err(), "more in {place:?}");
    }
}

#[test]
fn a_state_in_which_a_key_or_a_window_stands_twice_is_refused() {
    let (mut house, _) = in_state(OrderState::Reserved);
    let (book, account) = (BookId::parse("payees").unwrap(), crate::house::account(7));
    house.execute(Command::AddAddress { book, account }, CommandResult::Done {});
    let text = serde_json::to_string(&house.ledger).unwrap();
    let state: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(Ledger::read(text.as_bytes()).as_ref(), Ok(&house.ledger));
    let first = |map: &serde_json::Value| {
        let (key, value) = map.as_object().unwrap().iter().next().unwrap();
        (key.clone(), value.clone())
    };
    let doubled = |start: &str, member: String| {
        assert_eq!(text.matches(start).count(), 1, "{start}");
        text.replacen(start, &format!("{start}{member},"), 1)
    };
    for name in
        ["members", "roles", "wallets", "keys", "accounts", "assets", "backends", "books", "orders"]
    {
        let (key, value) = first(&state[name]);
        let whole = text.find(&format!("\"{name}\":{{\"{key}\":")).unwrap();
        let (before, after) = text.split_at(whole + name.len() + 4);
        let twice = format!("{before}\"{key}\":{value},{after}");
        assert!(Ledger::read(twice.as_bytes()).is_err(), "{key:?} twice in {name}");
    }
    for name in ["roles", "books"] {
        let (outer, inner) = first(&state[name]);
        let (key, value) = first(&inner);
        let start = format!("\"{name}\":{{\"{outer}\":{{");
        let twice = doubled(&start, format!("\"{key}\":{value}"));
        assert!(Ledger::read(twice.as_bytes()).is_err(), "{key:?} twice in {name}/{outer}");
    }
    let twice = doubled("\"windows\":[", state["windows"][0].to_string());
    assert!(Ledger::read(twice.as_bytes()).is_err(), "a window twice");
}
