//! The example rules: each has an id, a line in the list, and rows here for both sides of it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail"
)]

use std::collections::BTreeSet;

use custody_core::effect::Action;
use custody_core::seam::{Missing, PolicyEngine};
use custody_policy::{CedarCompiler, CedarEngine};

mod rows;
#[expect(dead_code, reason = "each test uses some of it")]
#[path = "../support/order.rs"]
mod support;

use rows::{Row, administrator, ether, operator, rows};
use support::{ETHER, Order, document, ids};

const RULES: &str = include_str!("../../../examples/policies/treasury.cedar");
const LIST: &str = include_str!("../../../examples/policies/README.md");

#[test]
fn each_rule_says_what_its_line_says() {
    let engine = CedarEngine::new(&document(RULES)).unwrap();
    for Row { rule, case, order, allowed, by } in rows() {
        let judgement = engine.judge(&order.facts());
        assert_eq!(judgement.allowed, allowed, "{rule}: {case}: {judgement:?}");
        assert_eq!(judgement.rules, ids(&[by.unwrap_or(rule)]), "{rule}: {case}");
        assert_eq!(judgement.errors, [], "{rule}: {case}");
    }
}

#[test]
fn rules_list_and_table_name_the_same_rules() {
    let between = |line: &str, before: &str, after: &str| -> Option<String> {
        Some(line.strip_prefix(before)?.split_once(after)?.0.to_owned())
    };
    let written: Vec<String> =
        RULES.lines().filter_map(|line| between(line, "@id(\"", "\")")).collect();
    let listed: Vec<String> = LIST.lines().filter_map(|line| between(line, "| `", "`")).collect();
    let tested: BTreeSet<String> = rows().iter().map(|row| row.rule.to_owned()).collect();
    assert_eq!(written, listed);
    assert_eq!(written.into_iter().collect::<BTreeSet<_>>(), tested);
}

#[test]
fn the_rules_load_without_a_finding_or_a_warning() {
    let compiler = CedarCompiler::new().unwrap();
    assert_eq!(compiler.warnings(&document(RULES)), Ok(Vec::new()));
    assert!(RULES.lines().count() <= 120, "the rules are to be read");
}

#[test]
fn every_command_can_be_allowed() {
    let engine = CedarEngine::new(&document(RULES)).unwrap();
    for action in Action::ALL.iter().filter(|action| action.is_governance()) {
        let missing = engine.missing(&administrator().command(*action).facts());
        let Missing::Await { options, .. } = missing else { panic!("{action} is never allowed") };
        assert!(!options.is_empty(), "{action}");
    }
}

#[test]
fn an_order_is_as_good_as_its_worst_effect() {
    let engine = CedarEngine::new(&document(RULES)).unwrap();
    let paid = operator().transfer(ETHER, "1").fee(ETHER, "1");
    let judgement = engine.judge(&paid.facts());
    assert!(judgement.allowed);
    assert_eq!(judgement.rules, ids(&["fee", "transfer-small"]));

    let opaque = paid.sign(Action::SignOpaque, "raw").transfer(ETHER, &ether(2));
    let judgement = engine.judge(&opaque.facts());
    assert!(!judgement.allowed);
    assert_eq!(judgement.rules, ids(&["no-opaque", "no-permit"]));
}

#[test]
fn what_is_missing_is_what_the_rules_ask_for() {
    let engine = CedarEngine::new(&document(RULES)).unwrap();
    for (case, order, expected) in [
        ("a large payment", operator().transfer(ETHER, &ether(2)), "2 more of treasurer"),
        ("an unknown address", operator().transfer(ETHER, "1").unknown(), "2 more of treasurer"),
        ("a new wallet", administrator().command(Action::CreateWallet), "1 more of treasurer"),
        (
            "a refill",
            operator().transfer(ETHER, "1").tier("cold").in_book("own-wallets").self_owned(),
            "2 more of treasurer, not before 2026-01-07T11:00:00.000Z",
        ),
    ] {
        let Missing::Await { options, complete } = engine.missing(&order.facts()) else {
            panic!("{case}: never")
        };
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        assert_eq!((options, complete), (vec![expected.to_owned()], true), "{case}");
    }
    for (case, order) in [
        ("above the daily limit", operator().transfer(ETHER, &ether(61))),
        ("opaque bytes", operator().sign(Action::SignOpaque, "raw")),
        ("by a stranger", Order::by(&[], &document(RULES)).transfer(ETHER, "1")),
        ("of no wallet", operator().transfer(ETHER, "1").tier("cold")),
    ] {
        assert_eq!(engine.missing(&order.facts()), Missing::Never, "{case}");
    }
}
