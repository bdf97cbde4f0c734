//! Rule sets: one that compiles answers every order, always alike, and denies what it must.

use std::sync::{Arc, LazyLock};

use custody_core::effect::Effect;
use custody_core::id::{RoleId, TierId};
use custody_core::seam::{Missing, PolicyCompiler as _, PolicyDocument, PolicyEngine};
use custody_policy::CedarCompiler;
use custody_testkit::policy::OrderFacts;

use crate::Seed;
use crate::input::Input;

const ROLES: [&str; 3] = ["operator", "treasurer", "administrator"];
const TIERS: [&str; 3] = ["hot", "warm", "cold"];

pub(crate) fn parts() -> Vec<&'static str> {
    vec!["rules"]
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let mut input = Input::new(bytes);
    let absent = input.byte();
    let rules = std::str::from_utf8(input.rest()).ok()?;
    let document = document(absent, rules);
    let engine = match COMPILER.compile(&document) {
        Ok(engine) => engine,
        Err(error) => {
            assert!(!error.findings.is_empty(), "a refusal says why");
            assert!(COMPILER.warnings(&document).is_err());
            return None;
        }
    };
    let stored = document.to_bytes().unwrap();
    assert_eq!(engine.id(), PolicyDocument::id_of(&stored));
    assert!(COMPILER.warnings(&document).is_ok());
    judge(engine.as_ref(), &document);
    Some("rules")
}

fn judge(engine: &dyn PolicyEngine, document: &PolicyDocument) {
    let order = || OrderFacts::new(document);
    let nothing = order();
    assert!(!engine.judge(&nothing.facts()).allowed, "an order without effects is denied");
    let mut orders: Vec<_> =
        OrderFacts::every_effect().into_iter().map(|effect| order().with(effect)).collect();
    let commands = OrderFacts::every_command().into_iter().step_by(7);
    orders.extend(commands.map(|effect| order().with(effect)));
    orders.push(order().with_transfer(7).with_transfer(1_000_000));
    let mut unknown = order().with_transfer(7);
    unknown.effects[0].money.as_mut().unwrap().decimals = None;
    assert!(!engine.judge(&unknown.facts()).allowed, "an asset without decimals is denied");
    for order in orders {
        let judgement = engine.judge(&order.facts());
        assert_eq!(judgement, engine.judge(&order.facts()), "twice the same");
        assert!(!judgement.allowed || judgement.errors.is_empty(), "an error denies");
        assert!(!judgement.rules.is_empty() || !judgement.errors.is_empty(), "a verdict says why");
        // What rules say about the number of effects changes with one more.
        if !document.rules.contains("count") {
            strictest_wins(engine, &order, judgement.allowed);
        }
        enough(engine, &order);
    }
}

/// An order is allowed if each of its effects is.
fn strictest_wins(engine: &dyn PolicyEngine, order: &OrderFacts, allowed: bool) {
    let with_deploy = engine.judge(&order.clone().with(Effect::Deploy).facts()).allowed;
    let alone = OrderFacts { effects: Vec::new(), ..order.clone() }.with(Effect::Deploy);
    let deploy = engine.judge(&alone.facts()).allowed;
    assert_eq!(with_deploy, allowed && deploy, "each effect is judged by itself");
}

/// What is said to be missing is enough.
fn enough(engine: &dyn PolicyEngine, order: &OrderFacts) {
    let Missing::Await { options, .. } = engine.missing(&order.facts()) else { return };
    for option in options {
        let granted = order.clone().granted(&option);
        assert!(engine.judge(&granted.facts()).allowed, "{option} is not enough");
    }
}

static COMPILER: LazyLock<Arc<CedarCompiler>> =
    LazyLock::new(|| Arc::new(CedarCompiler::new().unwrap()));

/// The rules in a house that lacks the roles and tiers whose bits are set.
fn document(absent: u8, rules: &str) -> PolicyDocument {
    let here = |place: usize| absent >> place & 1 == 0;
    let roles = ROLES.iter().enumerate().filter(|(place, _)| here(*place));
    let tiers = TIERS.iter().enumerate().filter(|(place, _)| here(*place + 3));
    PolicyDocument {
        v: 1,
        roles: roles.map(|(_, role)| RoleId::parse(role).unwrap()).collect(),
        tiers: tiers.map(|(_, tier)| TierId::parse(tier).unwrap()).collect(),
        rules: rules.to_owned(),
    }
}

const TREASURY: &str = include_str!("../../examples/policies/treasury.cedar");

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |name: &str, rules: &str| {
        seeds.push((name.to_owned(), [&[0], rules.as_bytes()].concat()));
    };
    add("treasury", TREASURY);
    for (number, rule) in TREASURY.split_inclusive(";\n").enumerate() {
        let rule = rule.split_once("@id").map_or("", |(_, rest)| rest);
        if !rule.is_empty() {
            add(&format!("rule-{number}"), &format!("@id{rule}"));
        }
    }
    let permit = |id: &str, clause: &str| {
        format!(
            "@id(\"{id}\")\npermit (principal, action == Action::\"transfer\", resource)\n{clause};\n"
        )
    };
    let when = |clause: &str| permit("a", &format!("when {{ {clause} }}"));
    for (name, rules) in [
        ("empty", String::new()),
        ("plain", permit("a", "")),
        ("twice", permit("a", "") + &permit("a", "")),
        ("without-id", "permit (principal, action == Action::\"transfer\", resource);".to_owned()),
        ("any-action", "@id(\"a\") permit (principal, action, resource);".to_owned()),
        ("forbid-all", "@id(\"a\") forbid (principal, action, resource);".to_owned()),
        ("approvals", when("context.approvals.treasurer >= 2")),
        ("organisations", when("context.organisations.treasurer >= 2")),
        ("age", when("context.age >= duration(\"1h\")")),
        ("amount", when("context.amount.lessThanOrEqual(decimal(\"0.0001\"))")),
        ("amount-equal", when("context.amount == decimal(\"1.0\")")),
        ("like", when("resource like \"a*\"")),
        ("no-such-field", when("context.nothing")),
        ("overflow", when("context.approvals.treasurer + 9223372036854775807 >= 1")),
        ("if", when("if context.known then true else false")),
        ("unless", permit("a", "unless { context.known }")),
        ("or", when("context.known || context.self_owned || context.approvals.operator >= 1")),
        ("facts", when("context.facts.contains(\"replayable\")")),
        ("authn", when("context.authn.factors >= 2 && context.authn.signed")),
        ("nested", when(&format!("{}context.known{}", "(".repeat(31), ")".repeat(31)))),
        ("nested-too-deep", when(&format!("{}context.known{}", "(".repeat(40), ")".repeat(40)))),
        ("negations", when(&format!("{}context.known", "!".repeat(40)))),
        ("template", "@id(\"a\") permit (principal == ?principal, action, resource);".to_owned()),
        ("comment", "// nothing but a comment".to_owned()),
    ] {
        add(name, &rules);
    }
    let halved = &TREASURY[..TREASURY.len() / 2];
    add("halved", halved);
    seeds.push(("without-roles".to_owned(), [&[7], when("context.known").as_bytes()].concat()));
    seeds.push(("without-tiers".to_owned(), [&[0x38], when("context.known").as_bytes()].concat()));
    seeds
}
