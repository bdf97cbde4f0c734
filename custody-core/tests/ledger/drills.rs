//! When the last recovery drill was executed, and what rules are told of it.

use std::collections::BTreeSet;
use std::time::Duration;

use custody_core::bytes::HexBytes;
use custody_core::command::{Command, CommandResult, DRILL, Resolution};
use custody_core::digest::Digest;
use custody_core::document::{Conclusion, Hold, Verdict};
use custody_core::id::{ExtensionName, OrderId};
use custody_core::ledger::{Ledger, StateReader};
use custody_core::time::Timestamp;
use serde_json::{Value, json};

use crate::house::{Asked, DAY, House, START};
use crate::recovering::{archive, recovered};
use crate::state::read;

pub(crate) fn extension(name: &str) -> Command {
    let name = ExtensionName::parse(name).unwrap();
    Command::Extension { name, document: HexBytes::new(b"drill".to_vec()) }
}

fn answered() -> CommandResult {
    CommandResult::Extension { sha256: Digest::of(b"evidence") }
}

fn ask(house: &mut House, name: &str) -> OrderId {
    house.submit("ada", Asked::Command(extension(name)))
}

/// When the last drill was, as an engine is told about an order that is judged `later`.
fn told(ledger: &Ledger, order: &OrderId, later: Duration) -> (Timestamp, Timestamp) {
    let now = ledger.time().after(later);
    let order = ledger.order(order).unwrap();
    ledger.facts_at(order, now, |facts| (facts.drilled, facts.now)).unwrap()
}

fn head(house: &House) -> Value {
    let documents = house.ledger.documents(&BTreeSet::new()).unwrap();
    serde_json::from_slice(documents.head()).unwrap()
}

#[test]
fn without_a_drill_rules_are_told_when_the_log_began() {
    let mut house = House::new();
    house.wait(DAY * 400);
    let order = house.pay(1);
    assert_eq!((house.ledger.began(), house.ledger.drilled()), (START, None));
    assert_eq!(told(&house.ledger, &order, DAY), (START, START.after(DAY * 401)));
}

#[test]
fn an_executed_drill_moves_the_fact_to_its_own_time() {
    let mut house = House::new();
    let order = house.pay(1);
    for days in [1, 30, 0] {
        house.wait(DAY * days);
        let drill = ask(&mut house, DRILL);
        house.wait(DAY / 2);
        house.decide(&drill, Verdict::Allowed).unwrap();
        house.wait(DAY / 2);
        house.conclude(&drill, Conclusion::Executed { result: answered() }).unwrap();
        let done = house.now;
        assert_eq!(house.ledger.drilled(), Some(done));
        assert_eq!(told(&house.ledger, &order, DAY), (done, done.after(DAY)));
    }
    assert_eq!(house.rebuilt(), house.ledger);
}

#[test]
fn nothing_but_an_executed_drill_moves_the_fact() {
    type Step = fn(&mut House);
    let lost = |house: &mut House| {
        let order = ask(house, DRILL);
        house.decide(&order, Verdict::Allowed).unwrap();
        let outcome = Conclusion::Unknown { reason: Hold::TimedOut, suspends: None };
        house.conclude(&order, outcome).unwrap();
        order
    };
    let mut house = House::new();
    let order = house.pay(1);
    house.wait(DAY);
    house.execute(extension(DRILL), answered());
    let last = house.now;
    let steps: [(&str, Step); 8] = [
        ("pending", |house| drop(ask(house, DRILL))),
        ("denied", |house| {
            let order = ask(house, DRILL);
            house.decide(&order, Verdict::Denied).unwrap();
        }),
        ("reserved", |house| {
            let order = ask(house, DRILL);
            house.decide(&order, Verdict::Allowed).unwrap();
        }),
        ("failed", |house| {
            let order = ask(house, DRILL);
            house.decide(&order, Verdict::Allowed).unwrap();
            let reason = Hold::BackendRefused;
            house.conclude(&order, Conclusion::Failed { reason }).unwrap();
        }),
        ("another extension", |house| house.execute(extension("recovery/split"), answered())),
        ("a longer name", |house| house.execute(extension("recovery/drills"), answered())),
        ("another case", |house| house.execute(extension("recovery/Drill"), answered())),
        ("a recovery", |house| house.push(recovered(house, archive(1), None)).unwrap()),
    ];
    for (name, step) in steps {
        let mut house = house.clone();
        house.wait(DAY);
        step(&mut house);
        assert_eq!(house.ledger.drilled(), Some(last), "{name}");
        assert_eq!(told(&house.ledger, &order, DAY).0, last, "{name}");
    }
    house.wait(DAY);
    let drill = lost(&mut house);
    assert_eq!(house.ledger.drilled(), Some(last), "unknown");
    let resolution = Resolution::Failed { reason: "nothing was proved".to_owned() };
    house.execute(Command::ResolveOrder { order: drill, resolution }, CommandResult::Done {});
    assert_eq!(house.ledger.drilled(), Some(last), "resolved");
}

#[test]
fn a_state_keeps_its_last_drill_and_says_nothing_where_there_was_none() {
    let mut house = House::new();
    assert!(head(&house).get("drilled").is_none());
    house.wait(DAY);
    house.execute(extension(DRILL), answered());
    assert_eq!(head(&house)["drilled"], json!(house.now));
    let documents = house.ledger.documents(&BTreeSet::new()).unwrap();
    assert_eq!(read(&documents), house.ledger);
    for wrong in [json!("today"), json!(-1), json!({}), json!(1.5)] {
        let mut changed = head(&house);
        changed["drilled"] = wrong.clone();
        let changed = serde_json::to_vec(&changed).unwrap();
        assert!(StateReader::new(&changed).is_err(), "{wrong}");
    }
}

#[test]
fn a_state_that_is_read_is_told_when_its_log_began() {
    let mut house = House::new();
    house.wait(DAY);
    let order = house.pay(1);
    let documents = |house: &House| house.ledger.documents(&BTreeSet::new()).unwrap();
    let began_at = |house: &House, began: Timestamp| {
        let written = documents(house);
        let find = |name: &Digest| {
            let part = written.parts().iter().find(|(sha256, _)| sha256 == name);
            part.map(|(_, bytes)| bytes.clone())
        };
        Ledger::read(written.head(), began, find).unwrap()
    };
    let other = Timestamp::from_millis(START.as_millis() + 1);
    assert_eq!(began_at(&house, START), house.ledger);
    assert_ne!(began_at(&house, other), house.ledger);
    assert_eq!(told(&began_at(&house, START), &order, DAY).0, START);
    assert_eq!(told(&began_at(&house, other), &order, DAY).0, other);
    let again = began_at(&house, other).documents(&BTreeSet::new()).unwrap();
    assert_eq!(again.head(), documents(&house).head());
    // After a drill it makes no difference to the rules.
    house.execute(extension(DRILL), answered());
    assert_eq!(told(&began_at(&house, other), &order, DAY).0, house.now);
}

#[test]
fn an_end_that_does_not_follow_is_no_drill() {
    let mut house = House::new();
    let drill = ask(&mut house, DRILL);
    let executed = || Conclusion::Executed { result: answered() };
    assert!(house.conclude(&drill, executed()).is_err(), "it was not decided");
    house.decide(&drill, Verdict::Allowed).unwrap();
    house.conclude(&drill, executed()).unwrap();
    let done = house.ledger.drilled();
    house.wait(DAY);
    assert!(house.conclude(&drill, executed()).is_err(), "it has ended");
    assert_eq!(house.ledger.drilled(), done);
}
