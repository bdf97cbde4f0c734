#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]
//! The example rules: each has an id, a line in the list, and rows here for both sides of it.

use std::collections::BTreeSet;

use custody_core::effect::{Action, Effect};
use custody_core::seam::{Missing, PolicyEngine};
use custody_policy::{CedarCompiler, CedarEngine};

#[expect(dead_code, reason = "each test uses some of it")]
#[path = "support/order.rs"]
mod support;

use support::{ETHER, HOUR, Order, USDC, document, ids, whole};

const RULES: &str = include_str!("../../examples/policies/treasury.cedar");
const LIST: &str = include_str!("../../examples/policies/README.md");

/// A rule, what it is asked about, whether the order is allowed, and the rules that said so.
type Row = (&'static str, &'static str, Order, bool, &'static [&'static str]);

fn ether(units: u64) -> String {
    whole(units, 18)
}

fn usdc(units: u64) -> String {
    whole(units, 6)
}

fn operator() -> Order {
    Order::by(&["operator"], &document(RULES))
}

fn administrator() -> Order {
    Order::by(&["administrator"], &document(RULES))
}

fn payments() -> Vec<Row> {
    let one_wei_more = |units: u64| format!("{}1", &ether(units)[..ether(units).len() - 1]);
    let pay = |units: &str| operator().transfer(ETHER, units);
    let pay_two = |units: &str| pay(units).approved("treasurer", 2, 1);
    vec![
        ("transfer-small", "on the limit", pay(&ether(1)), true, &["transfer-small"]),
        ("transfer-small", "one wei above", pay(&one_wei_more(1)), false, &["no-permit"]),
        ("transfer-small", "to an unknown address", pay("1").unknown(), false, &["no-permit"]),
        (
            "transfer-small",
            "split into parts",
            pay(&ether(1)).order_total(&ether(2)),
            false,
            &["no-permit"],
        ),
        (
            "transfer-small",
            "by a treasurer",
            Order::by(&["treasurer"], &document(RULES)).transfer(ETHER, "1"),
            false,
            &["no-permit"],
        ),
        ("transfer-small", "from a warm wallet", pay("1").tier("warm"), false, &["no-permit"]),
        (
            "transfer-small",
            "of another asset",
            operator().transfer("eip155:1/erc20:0x01", "1"),
            false,
            &["no-permit"],
        ),
        ("transfer-large", "with two treasurers", pay_two(&ether(60)), true, &["transfer-large"]),
        (
            "transfer-large",
            "to an unknown address",
            pay_two(&ether(1)).unknown(),
            true,
            &["transfer-large"],
        ),
        (
            "transfer-large",
            "with one treasurer",
            pay(&ether(2)).approved("treasurer", 1, 1),
            false,
            &["no-permit"],
        ),
        (
            "transfer-large",
            "above the limit",
            pay_two(&one_wei_more(100)).spent_today("0"),
            false,
            &["no-permit"],
        ),
        (
            "token-small",
            "on the limit",
            operator().transfer(USDC, &usdc(2_500)),
            true,
            &["token-small"],
        ),
        (
            "token-small",
            "above the limit",
            operator().transfer(USDC, "2500000001"),
            false,
            &["no-permit"],
        ),
        (
            "token-large",
            "with two treasurers",
            operator().transfer(USDC, &usdc(250_000)).approved("treasurer", 2, 1),
            true,
            &["token-large"],
        ),
        (
            "token-large",
            "above the limit",
            operator().transfer(USDC, "250000000001").approved("treasurer", 2, 1),
            false,
            &["no-permit"],
        ),
        ("fee", "on the cap", operator().fee(ETHER, "50000000000000000"), true, &["fee"]),
        ("fee", "from a cold wallet", operator().fee(ETHER, "1").tier("cold"), true, &["fee"]),
        ("fee", "in a token", operator().fee(USDC, "1"), false, &["no-permit"]),
        (
            "fee-cap",
            "one wei above the cap",
            operator().fee(ETHER, "50000000000000001"),
            false,
            &["fee-cap"],
        ),
        (
            "fee-cap",
            "beside a small payment",
            pay("1").fee(ETHER, "50000000000000001"),
            false,
            &["fee-cap"],
        ),
        (
            "daily-limit",
            "on the limit",
            pay(&ether(1)).spent_today(&ether(60)),
            true,
            &["transfer-small"],
        ),
        (
            "daily-limit",
            "one wei above",
            pay(&ether(1)).spent_today(&one_wei_more(60)),
            false,
            &["daily-limit"],
        ),
        ("daily-limit", "with two treasurers", pay_two(&ether(61)), false, &["daily-limit"]),
        (
            "daily-limit",
            "reached by a fee",
            operator().fee(ETHER, "1").spent_today(&one_wei_more(60)),
            false,
            &["daily-limit"],
        ),
    ]
}

fn contracts() -> Vec<Row> {
    let approve = |units: &str| operator().approve(USDC, units).in_book("contracts");
    let most = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let call = |action| operator().call(action).approved("treasurer", 1, 1);
    let refill = |tier| operator().transfer(ETHER, &ether(500)).tier(tier).in_book("own-wallets");
    let ready = |tier| refill(tier).self_owned().approved("treasurer", 2, 1);
    vec![
        (
            "approve-token",
            "on the limit",
            approve(&usdc(10_000)).approved("treasurer", 1, 1),
            true,
            &["approve-token"],
        ),
        ("approve-token", "with nobody", approve("1"), false, &["no-permit"]),
        (
            "approve-token",
            "one unit above",
            approve("10000000001").approved("treasurer", 3, 1),
            false,
            &["no-permit"],
        ),
        (
            "approve-token",
            "for an unlisted spender",
            operator().approve(USDC, "1").approved("treasurer", 1, 1),
            false,
            &["no-permit"],
        ),
        (
            "unlimited-allowance",
            "without limit",
            approve(most).approved("treasurer", 3, 1),
            false,
            &["unlimited-allowance"],
        ),
        (
            "unlimited-allowance",
            "one unit above",
            approve("1000000000001"),
            false,
            &["unlimited-allowance"],
        ),
        ("unlimited-allowance", "on the limit", approve(&usdc(1_000_000)), false, &["no-permit"]),
        ("call-listed", "listed", call(Action::Call).in_book("contracts"), true, &["call-listed"]),
        (
            "call-listed",
            "listed, with nobody",
            operator().call(Action::Call).in_book("contracts"),
            false,
            &["no-permit"],
        ),
        ("unknown-call", "unlisted", call(Action::Call), false, &["unknown-call"]),
        ("unknown-call", "of foreign code", call(Action::DelegateCall), false, &["unknown-call"]),
        ("unknown-call", "of an owner", call(Action::Administer), false, &["unknown-call"]),
        (
            "unknown-call",
            "for a new contract",
            operator().plain(Effect::Deploy),
            false,
            &["unknown-call"],
        ),
        (
            "sign-message",
            "with a treasurer",
            operator().sign(Action::SignMessage, "eip191").approved("treasurer", 1, 1),
            true,
            &["sign-message"],
        ),
        (
            "sign-message",
            "with nobody",
            operator().sign(Action::SignMessage, "eip191"),
            false,
            &["no-permit"],
        ),
        (
            "no-opaque",
            "with everybody",
            operator().sign(Action::SignOpaque, "raw").approved("treasurer", 3, 2),
            false,
            &["no-opaque"],
        ),
        (
            "no-replayable",
            "a small payment",
            operator().transfer(ETHER, "1").decoded("replayable"),
            false,
            &["no-replayable"],
        ),
        ("refill", "from warm", ready("warm").waited(HOUR), true, &["refill"]),
        ("refill", "from cold", ready("cold").waited(HOUR), true, &["refill"]),
        ("refill", "too soon", ready("cold").waited(HOUR - 1), false, &["no-permit"]),
        (
            "refill",
            "with one treasurer",
            ready("cold").waited(HOUR).approved("treasurer", 1, 1),
            false,
            &["no-permit"],
        ),
        (
            "refill",
            "to a stranger",
            refill("cold").approved("treasurer", 2, 1).waited(HOUR),
            false,
            &["no-permit"],
        ),
    ]
}

fn house() -> Vec<Row> {
    let update = |order: Order| order.command(Action::UpdatePolicy);
    vec![
        (
            "house-routine",
            "by an administrator",
            administrator().command(Action::DeriveAccount),
            true,
            &["house-routine"],
        ),
        (
            "house-routine",
            "by an operator",
            operator().command(Action::DeriveAccount),
            false,
            &["no-permit"],
        ),
        (
            "house-growth",
            "with a treasurer",
            administrator().command(Action::AddAddress).approved("treasurer", 1, 1),
            true,
            &["house-growth"],
        ),
        (
            "house-growth",
            "with nobody",
            administrator().command(Action::CreateWallet),
            false,
            &["no-permit"],
        ),
        (
            "house-growth",
            "with an operator",
            administrator().command(Action::RegisterAsset).approved("operator", 2, 1),
            false,
            &["no-permit"],
        ),
        (
            "house-danger",
            "by an administrator with a treasurer",
            update(administrator()).approved("treasurer", 1, 1),
            true,
            &["house-danger"],
        ),
        (
            "house-danger",
            "by an operator with two treasurers",
            update(operator()).approved("treasurer", 2, 1),
            true,
            &["house-danger"],
        ),
        (
            "house-danger",
            "by an operator with one treasurer",
            update(operator()).approved("treasurer", 1, 1),
            false,
            &["no-permit"],
        ),
        ("house-danger", "by an administrator", update(administrator()), false, &["no-permit"]),
        (
            "emergency-stop",
            "by a treasurer",
            Order::by(&["treasurer"], &document(RULES)).command(Action::Freeze),
            true,
            &["emergency-stop"],
        ),
        (
            "emergency-stop",
            "by a stranger",
            Order::by(&[], &document(RULES)).command(Action::Freeze),
            false,
            &["no-permit"],
        ),
    ]
}

fn rows() -> Vec<Row> {
    [payments(), contracts(), house()].concat()
}

#[test]
fn each_rule_says_what_its_line_says() {
    let engine = CedarEngine::new(&document(RULES)).unwrap();
    for (rule, case, order, allowed, rules) in rows() {
        let judgement = engine.judge(&order.facts());
        assert_eq!(judgement.allowed, allowed, "{rule}: {case}: {judgement:?}");
        assert_eq!(judgement.rules, ids(rules), "{rule}: {case}");
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
    let tested: BTreeSet<String> = rows().iter().map(|row| row.0.to_owned()).collect();
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
