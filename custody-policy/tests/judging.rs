#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    reason = "a test may fail"
)]
//! What denies whatever the rules say, and what a judgement names.

use std::time::{Duration, Instant};

use custody_core::amount::Units;
use custody_core::effect::{Action, Effect, GovernanceTarget};
use custody_core::id::{BookId, TierId, WalletId};
use custody_core::seam::{Missing, PolicyDocument, PolicyEngine};
use custody_policy::CedarEngine;

#[path = "judging/drills.rs"]
mod drills;
#[expect(dead_code, reason = "each test uses some of it")]
#[path = "support/order.rs"]
mod support;

use support::{About, DAY, ETHER, NOW, Order, USDC, document, ids};

/// Permits everything that a rule may permit.
const OPEN: &str = "
@id(\"spend\") permit (principal, action in [Action::\"spend\", Action::\"pay_fee\"], resource);
@id(\"call\") permit (principal, action in [Action::\"call\", Action::\"delegate_call\",
    Action::\"deploy\", Action::\"administer\", Action::\"sign_message\"], resource);
@id(\"opaque\") permit (principal, action == Action::\"sign_opaque\", resource == Wallet::\"hot-1\");
@id(\"govern\") permit (principal, action in Action::\"govern\", resource);";

fn engine(rules: &str) -> CedarEngine {
    CedarEngine::new(&document(rules)).unwrap()
}

fn order() -> Order {
    Order::by(&["operator"], &document(""))
}

#[test]
fn an_empty_rule_set_denies_everything() {
    let engine = engine("");
    for order in [
        order().transfer(ETHER, "0"),
        order().fee(ETHER, "0"),
        order().command(Action::Freeze),
        order(),
    ] {
        let judgement = engine.judge(&order.facts());
        assert!(!judgement.allowed);
        assert_eq!((judgement.rules, judgement.errors), (ids(&["no-permit"]), vec![]));
        assert_eq!(engine.missing(&order.facts()), Missing::Never);
    }
}

#[test]
fn what_is_not_known_denies_under_the_laxest_rules() {
    let engine = engine(OPEN);
    let tierless = |mut order: Order| {
        let About::Wallet(_, tier, _) = &mut order.about else { panic!("a wallet") };
        *tier = TierId::parse("lukewarm").unwrap();
        order
    };
    let without = |change: fn(&mut support::Part)| {
        let mut order = order().transfer(ETHER, "1");
        change(order.parts.last_mut().unwrap());
        order
    };
    let about = |about: About, mut order: Order| {
        order.about = about;
        order
    };
    let wallet = || order().about;
    let commanded = |target: GovernanceTarget| {
        let (action, loosens, extension) = (Action::Freeze, None, None);
        order().plain(Effect::Govern { action, target, loosens, extension })
    };
    let other = WalletId::parse("hot-2").unwrap();
    for (case, order) in [
        ("no effects", order()),
        ("no decimals", order().transfer(ETHER, "1").decimals(None)),
        ("no decimals of a fee", order().transfer(ETHER, "1").fee(ETHER, "1").decimals(None)),
        ("no money facts", without(|part| part.money = None)),
        ("no destination facts", without(|part| part.destination = None)),
        ("a tier without rules", tierless(order().transfer(ETHER, "1"))),
        ("a payment about the house", about(About::House, order().transfer(ETHER, "1"))),
        (
            "a payment about a book",
            about(About::Book(BookId::parse("b").unwrap()), order().transfer(ETHER, "1")),
        ),
        ("a command about another wallet", commanded(GovernanceTarget::Wallet(other))),
        ("a command for the house about a wallet", commanded(GovernanceTarget::House)),
        (
            "a command for a book about a wallet",
            commanded(GovernanceTarget::Book(BookId::parse("b").unwrap())),
        ),
        ("a command for a wallet about the house", {
            let target = GovernanceTarget::Wallet(WalletId::parse("hot-1").unwrap());
            about(About::House, commanded(target))
        }),
        ("a good effect and a bad one", {
            order().transfer(ETHER, "1").fee(ETHER, "1").decimals(None).transfer(ETHER, "1")
        }),
    ] {
        let judgement = engine.judge(&order.facts());
        assert!(!judgement.allowed, "{case}");
        assert_eq!(judgement.rules, ids(&["no-permit"]), "{case}");
        assert_eq!(engine.missing(&order.facts()), Missing::Never, "{case}");
    }
    assert!(matches!(wallet(), About::Wallet(..)));
    for (case, order) in [
        ("a payment", order().transfer(ETHER, "1")),
        ("the largest payment", order().transfer(ETHER, &Units::MAX.to_string())),
        ("no whole units", order().transfer(ETHER, "1").decimals(Some(255))),
        ("opaque bytes", order().sign(Action::SignOpaque, "raw")),
        ("a new contract", order().plain(Effect::Deploy)),
        ("a command", order().command(Action::Extension)),
        (
            "a command for its wallet",
            commanded(GovernanceTarget::Wallet(WalletId::parse("hot-1").unwrap())),
        ),
        (
            "a command for its book",
            about(
                About::Book(BookId::parse("b").unwrap()),
                commanded(GovernanceTarget::Book(BookId::parse("b").unwrap())),
            ),
        ),
    ] {
        assert!(engine.judge(&order.facts()).allowed, "{case}");
    }
}

#[test]
fn an_extension_without_a_name_is_denied_when_a_rule_asks_for_it() {
    let engine = engine(
        "@id(\"r\") permit (principal, action == Action::\"extension\", resource)
         when { context.name == \"recovery/split\" };",
    );
    let mut order = order().command(Action::Extension);
    assert!(engine.judge(&order.facts()).allowed);
    let Effect::Govern { extension, .. } = &mut order.parts[0].effect else { panic!("a command") };
    *extension = None;
    assert!(!engine.judge(&order.facts()).allowed);
}

#[test]
fn a_rule_that_fails_denies_even_if_it_is_a_forbid_that_cedar_would_skip() {
    let overflow = "context.order.count * 9223372036854775807 > 0";
    for (effect, scope, two, errors) in [
        ("forbid", "principal, action, resource", false, true),
        ("permit", "principal, action == Action::\"transfer\", resource", false, true),
        ("forbid", "principal in Role::\"treasurer\", action, resource", true, false),
        ("forbid", "principal, action == Action::\"call\", resource", true, false),
        ("forbid", "principal, action, resource in Tier::\"cold\"", true, false),
    ] {
        let engine =
            engine(&format!("{OPEN} @id(\"fails\") {effect} ({scope}) when {{ {overflow} }};"));
        let order = order().transfer(ETHER, "1").fee(ETHER, "1");
        let judgement = engine.judge(&order.facts());
        assert_eq!(judgement.allowed, two, "{effect} {scope}");
        let expected = if errors { ids(&["fails"]) } else { vec![] };
        assert_eq!(judgement.errors, expected, "{effect} {scope}");
        if errors {
            assert_eq!(judgement.rules, ids(&["no-permit"]), "the permits did not count");
            assert_eq!(engine.missing(&order.facts()), Missing::Never);
        }
    }
}

#[test]
fn a_forbid_on_a_group_matches_every_action_in_it() {
    for (group, denied, allowed) in [
        ("spend", vec![Action::Transfer, Action::Approve], vec![Action::PayFee, Action::Call]),
        ("sign", vec![Action::SignMessage, Action::SignOpaque], vec![Action::Transfer]),
        ("govern", vec![Action::Freeze, Action::Extension], vec![Action::Transfer]),
    ] {
        let engine = engine(&format!(
            "{OPEN} @id(\"group\") forbid (principal, action in Action::\"{group}\", resource);"
        ));
        for action in denied {
            let judgement = engine.judge(&of(action).facts());
            assert_eq!(judgement.rules, ids(&["group"]), "{action}");
        }
        for action in allowed {
            assert!(engine.judge(&of(action).facts()).allowed, "{action}");
        }
    }
}

/// An order with one effect of this action.
fn of(action: Action) -> Order {
    match action {
        Action::Transfer => order().transfer(ETHER, "1"),
        Action::Approve => order().approve(ETHER, "1"),
        Action::PayFee => order().fee(ETHER, "1"),
        Action::Deploy => order().plain(Effect::Deploy),
        Action::Call | Action::DelegateCall | Action::Administer => order().call(action),
        Action::SignMessage | Action::SignOpaque => order().sign(action, "raw"),
        command => order().command(command),
    }
}

#[test]
fn every_action_can_be_permitted_and_is_denied_without_a_permit_of_its_own() {
    for action in Action::ALL {
        let permit = |action: Action| {
            let resource =
                if action.is_governance() { "resource" } else { "resource == Wallet::\"hot-1\"" };
            format!("@id(\"r\") permit (principal, action == Action::\"{action}\", {resource});")
        };
        let own = engine(&permit(*action));
        for other in Action::ALL {
            let allowed = own.judge(&of(*other).facts()).allowed;
            assert_eq!(allowed, action == other, "{other} under a permit for {action}");
        }
    }
}

#[test]
fn a_judgement_names_each_rule_once_and_sorted() {
    let engine = engine(&format!(
        "{OPEN} @id(\"b\") permit (principal, action == Action::\"transfer\", resource);
         @id(\"a\") permit (principal in Role::\"operator\", action in Action::\"spend\", resource);
         @id(\"z\") forbid (principal, action == Action::\"call\", resource);
         @id(\"y\") forbid (principal, action, resource) when {{ context has selector }};"
    ));
    let paid = order().transfer(ETHER, "1").transfer(USDC, "2").fee(ETHER, "1");
    assert_eq!(engine.judge(&paid.facts()).rules, ids(&["a", "b", "spend"]));
    let called = paid.call(Action::Call).call(Action::Call).call(Action::DelegateCall);
    assert_eq!(engine.judge(&called.facts()).rules, ids(&["y", "z"]));
}

#[test]
fn an_address_is_forbidden_however_an_order_spells_it() {
    let engine = engine(&format!(
        "{OPEN} @id(\"not-there\") forbid (principal, action in Action::\"spend\", resource)
         when {{ context.destination == Address::\"eip155:1:0x{}cd\" }};",
        "0".repeat(38)
    ));
    for (ending, rule) in
        [("cd", "not-there"), ("CD", "not-there"), ("cD", "not-there"), ("ce", "spend")]
    {
        let mut order = order().transfer(ETHER, "1");
        let Effect::Transfer { to, .. } = &mut order.parts[0].effect else { panic!("a transfer") };
        *to = format!("eip155:1:0x{}{ending}", "0".repeat(38)).parse().unwrap();
        assert_eq!(engine.judge(&order.facts()).rules, ids(&[rule]), "{ending}");
    }
}

#[test]
fn limits_are_exact_to_one_base_unit() {
    let engine = engine(
        "@id(\"small\") permit (principal, action == Action::\"transfer\", resource in Tier::\"hot\")
         when { context.asset == Asset::\"eip155:1/slip44:60\"
             && context.amount.lessThanOrEqual(decimal(\"1.5\")) };
         @id(\"large\") permit (principal, action == Action::\"transfer\", resource in Tier::\"hot\")
         when { context.asset == Asset::\"eip155:1/slip44:60\"
             && context.amount.greaterThan(decimal(\"1.5\")) && context.approvals.treasurer >= 1 };",
    );
    let largest = Units::MAX.to_string();
    for (units, decimals, small) in [
        ("1500000000000000000", 18, true),
        ("1500000000000000001", 18, false),
        ("1", 0, true),
        ("2", 0, false),
        ("15", 1, true),
        ("16", 1, false),
        ("15000", 4, true),
        ("15001", 4, false),
        ("150000", 5, true),
        ("150001", 5, false),
        ("9223372036854775807", 4, false),
        ("9223372036854775808", 4, false),
        (largest.as_str(), 0, false),
        (largest.as_str(), 18, false),
        (largest.as_str(), 77, true),
        (largest.as_str(), 76, false),
        (largest.as_str(), 255, true),
    ] {
        let order = order().transfer(ETHER, units).decimals(Some(decimals));
        let judgement = engine.judge(&order.facts());
        assert_eq!(judgement.allowed, small, "{units} with {decimals} decimals");
        let approved = order.approved("treasurer", 1, 1);
        let name = if small { "small" } else { "large" };
        assert_eq!(engine.judge(&approved.facts()).rules, ids(&[name]), "{units}, {decimals}");
    }
}

#[test]
fn the_id_is_the_digest_of_the_whole_document() {
    let one = document(OPEN);
    let bytes = one.to_bytes().unwrap();
    assert_eq!(CedarEngine::new(&one).unwrap().id(), PolicyDocument::id_of(&bytes));
    let fewer = PolicyDocument { tiers: one.tiers[..2].to_vec(), ..one.clone() };
    let spaced = PolicyDocument { rules: format!("{OPEN}\n"), ..one.clone() };
    for other in [fewer, spaced] {
        assert_ne!(CedarEngine::new(&other).unwrap().id(), CedarEngine::new(&one).unwrap().id());
    }
}

#[test]
fn what_was_asked_before_changes_no_answer() {
    let rules = format!(
        "{OPEN} @id(\"not-ann\") forbid (principal == User::\"bob\", action, resource);
         @id(\"not-service\") forbid (principal, action, resource) when {{ principal.service }};
         @id(\"not-other\") forbid (principal in Org::\"other\", action, resource);
         @id(\"not-chain\") forbid (principal, action, resource is Wallet)
             when {{ resource.chain == \"eip155:10\" }};
         @id(\"not-cold\") forbid (principal, action, resource in Tier::\"cold\");"
    );
    let engine = engine(&rules);
    let change = |change: fn(&mut Order)| {
        let mut order = order().transfer(ETHER, "1");
        change(&mut order);
        order
    };
    let cases = [
        (change(|_| {}), "spend"),
        (change(|order| order.requester.id = "bob".parse().unwrap()), "not-ann"),
        (change(|order| order.requester.service = true), "not-service"),
        (change(|order| order.requester.organisation = "other".parse().unwrap()), "not-other"),
        (
            change(|order| {
                let About::Wallet(_, _, chain) = &mut order.about else { panic!("a wallet") };
                *chain = "eip155:10".parse().unwrap();
            }),
            "not-chain",
        ),
        (
            change(|order| {
                let About::Wallet(_, tier, _) = &mut order.about else { panic!("a wallet") };
                *tier = "cold".parse().unwrap();
            }),
            "not-cold",
        ),
    ];
    for _ in 0..3 {
        for (order, rule) in cases.iter().chain(cases.iter().rev()) {
            assert_eq!(engine.judge(&order.facts()).rules, ids(&[rule]));
        }
    }
}

#[test]
fn the_debug_text_has_no_rules() {
    let text = format!("{:?}", engine(OPEN));
    assert!(text.starts_with("CedarEngine { id: "), "{text}");
    assert!(!text.contains("permit"), "{text}");
}

#[test]
fn a_judgement_and_a_search_take_less_than_a_millisecond() {
    let mut rules = String::from(
        "@id(\"small\") permit (principal in Role::\"operator\", action == Action::\"transfer\",
            resource in Tier::\"hot\") when { context.asset == Asset::\"eip155:1/slip44:60\"
            && context.amount.lessThanOrEqual(decimal(\"5.0\"))
            && context.spent.wallet.h24.lessThanOrEqual(decimal(\"20.0\")) && context.known };
         @id(\"large\") permit (principal in Role::\"operator\", action == Action::\"transfer\",
            resource in Tier::\"hot\") when { context.asset == Asset::\"eip155:1/slip44:60\"
            && context.amount.lessThanOrEqual(decimal(\"100.0\"))
            && context.approvals.treasurer >= 2 };
         @id(\"cool\") forbid (principal, action in Action::\"spend\", resource)
            unless { context.known && context.cooled >= duration(\"24h\")
            || context.approvals.administrator >= 1 && context.age >= duration(\"1h\") };
         @id(\"fee\") permit (principal, action == Action::\"pay_fee\", resource);",
    );
    for number in 0..45 {
        rules.push_str(&format!(
            "@id(\"other-{number}\") permit (principal in Role::\"operator\", action == \
             Action::\"transfer\", resource == Wallet::\"other-{number}\") when {{ context.asset == \
             Asset::\"eip155:1/slip44:60\" && context.amount.lessThanOrEqual(decimal(\"5.0\")) }};\n"
        ));
    }
    let engine = engine(&rules);
    let paid = order().transfer(ETHER, "1000000000000000000").fee(ETHER, "1");
    assert!(engine.judge(&paid.facts()).allowed);
    let waits = order().transfer(ETHER, "50000000000000000000").unknown();
    assert!(matches!(engine.missing(&waits.facts()), Missing::Await { complete: true, .. }));
    let judging = median(|| drop(engine.judge(&paid.facts())));
    let searching = median(|| drop(engine.missing(&waits.facts())));
    // A machine with something else to do takes a tenth of this.
    let limit = Duration::from_millis(1);
    assert!(judging < limit && searching < limit, "{judging:?} {searching:?}");
}

fn median(run: impl Fn()) -> Duration {
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    let mut times: Vec<Duration> = (0..1_001).map(time).collect();
    times.sort_unstable();
    times[times.len() / 2]
}
