#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail"
)]
//! What is refused when rules are loaded, and what is said about it.

use custody_core::id::{RoleId, TierId};
use custody_core::seam::{Finding, PolicyCompiler, PolicyDocument, PolicyError};
use custody_policy::{CedarCompiler, CedarEngine};

#[path = "loading/documents.rs"]
mod documents;
#[path = "loading/literals.rs"]
mod literals;
#[expect(dead_code, reason = "each test uses some of it")]
#[path = "support/order.rs"]
mod support;

use support::document;

fn findings(rules: &str) -> Vec<Finding> {
    CedarEngine::new(&document(rules)).err().map(|error| error.findings).unwrap_or_default()
}

/// A transfer from a hot wallet under a condition.
fn transfer(condition: &str) -> String {
    format!(
        "@id(\"r\")\npermit (principal, action == Action::\"transfer\", resource in Tier::\"hot\")\n\
         when {{ {condition} }};"
    )
}

const ETH: &str = "context.asset == Asset::\"eip155:1/slip44:60\"";
const OTHER: &str = "context.asset == Asset::\"eip155:10/slip44:60\"";
const AMOUNT: &str = "context.amount.lessThanOrEqual(decimal(\"1.0\"))";

#[test]
fn a_condition_that_could_lose_money_does_not_load() {
    let exact = "only `lessThanOrEqual` and `greaterThan` are exact";
    let asset = "means nothing without its asset";
    let literal = "is compared with a literal only";
    let less = "more approvals would turn an allow into a deny";
    let number = "is compared with a number only";
    let record = "is a record";
    for (condition, message) in [
        // Money without an asset.
        ("context.amount.lessThanOrEqual(decimal(\"1.0\"))".to_owned(), asset),
        ("context.fee.lessThanOrEqual(decimal(\"1.0\"))".to_owned(), asset),
        ("context.order.total.lessThanOrEqual(decimal(\"1.0\"))".to_owned(), asset),
        ("context.spent.wallet.d7.lessThanOrEqual(decimal(\"1.0\"))".to_owned(), asset),
        (format!("{ETH} || context.amount.lessThanOrEqual(decimal(\"1.0\"))"), asset),
        (format!("!({ETH}) && context.amount.lessThanOrEqual(decimal(\"1.0\"))"), asset),
        (
            format!("({ETH} || context.known) && context.amount.lessThanOrEqual(decimal(\"1.0\"))"),
            asset,
        ),
        (
            format!("if {ETH} then true else context.amount.lessThanOrEqual(decimal(\"1.0\"))"),
            asset,
        ),
        (format!("context.asset == context.asset && {AMOUNT}"), asset),
        (format!("resource == Wallet::\"w\" && {AMOUNT}"), asset),
        // Operators that are not exact.
        (format!("{ETH} && context.amount.lessThan(decimal(\"1.0\"))"), exact),
        (format!("{ETH} && context.amount.greaterThanOrEqual(decimal(\"1.0\"))"), exact),
        (format!("{ETH} && context.amount == decimal(\"1.0\")"), exact),
        (format!("{ETH} && context.amount != decimal(\"1.0\")"), exact),
        (format!("{ETH} && decimal(\"1.0\").greaterThan(context.amount)"), exact),
        // Two facts, or a fact in a set.
        (format!("{ETH} && context.fee.lessThanOrEqual(context.amount)"), literal),
        (format!("{ETH} && [decimal(\"1.0\")].contains(context.amount)"), literal),
        (format!("{ETH} && context.amount == context.order.total"), literal),
        // Saturation.
        (
            format!("{ETH} && context.amount.lessThanOrEqual(decimal(\"922337203685477.5807\"))"),
            "at most 14 whole digits",
        ),
        (
            format!("{ETH} && context.amount.greaterThan(decimal(\"100000000000000.0\"))"),
            "at most 14 whole digits",
        ),
        // More approvals that hurt.
        ("context.approvals.treasurer < 2".to_owned(), less),
        ("context.approvals.treasurer <= 2".to_owned(), less),
        ("2 > context.approvals.treasurer".to_owned(), less),
        ("context.approvals.treasurer == 2".to_owned(), less),
        ("context.approvals.treasurer != 2".to_owned(), less),
        ("!(context.approvals.treasurer >= 2)".to_owned(), less),
        ("context.organisations.treasurer < 2".to_owned(), less),
        ("if context.approvals.treasurer >= 2 then false else true".to_owned(), less),
        ("(context.approvals.treasurer >= 2) == false".to_owned(), less),
        // Calculations with approvals.
        ("context.approvals.treasurer + context.approvals.operator >= 3".to_owned(), number),
        ("context.approvals.treasurer >= context.approvals.operator".to_owned(), number),
        ("[2, 3].contains(context.approvals.treasurer)".to_owned(), number),
        ("-context.approvals.treasurer <= -2".to_owned(), number),
        // Whole records.
        ("context.approvals == context.organisations".to_owned(), record),
        ("context.spent.wallet == context.spent.requester".to_owned(), record),
        ("context has spent".to_owned(), record),
        // What can fail.
        ("context.now.offset(duration(\"1d\")) > datetime(\"2026-01-01\")".to_owned(), "offset"),
    ] {
        let found = findings(&transfer(&condition));
        assert!(
            found.iter().any(|finding| finding.message.contains(message)),
            "{condition}: {found:?}"
        );
    }
}

#[test]
fn a_forbid_with_the_sense_turned_round_does_not_load() {
    for (clause, loads) in [
        ("when { context.approvals.treasurer < 2 }", true),
        ("unless { context.approvals.treasurer >= 2 }", true),
        ("unless { !(context.approvals.treasurer < 2) }", true),
        ("unless { context.known || 2 <= context.approvals.treasurer }", true),
        ("when { context.approvals.treasurer >= 2 }", false),
        ("unless { context.approvals.treasurer < 2 }", false),
        ("when { !(context.approvals.treasurer < 2) }", false),
        ("when { context.known } unless { context.approvals.treasurer <= 2 }", false),
    ] {
        let rules = format!(
            "@id(\"r\") forbid (principal, action in Action::\"spend\", resource) {clause};"
        );
        assert_eq!(findings(&rules).is_empty(), loads, "{clause}: {:?}", findings(&rules));
    }
}

#[test]
fn what_cedar_refuses_does_not_load() {
    for (rules, message) in [
        (transfer("context.approvals.tresurer >= 2"), "tresurer"),
        (transfer("context.value.lessThanOrEqual(decimal(\"1.0\"))"), "optional"),
        (transfer("context.selector == \"0x\""), "selector"),
        (transfer(&format!("{ETH} && context.amount <= decimal(\"1.0\")")), "decimal"),
        (transfer(&format!("{ETH} && context.amount.lessThanOrEqual(decimal(\"10\"))")), "10"),
        (
            transfer(&format!("{ETH} && context.amount.lessThanOrEqual(decimal(\"1.00001\"))")),
            "1.00001",
        ),
        (transfer("context.age >= duration(\"1 hour\")"), "1 hour"),
        (transfer("context.drilled > duration(\"90 days\")"), "90 days"),
        (transfer("context.drilled > duration(\"90.5d\")"), "90.5d"),
        (transfer("context.drilled > 90"), "Long"),
        (transfer("context.drilled > datetime(\"2026-01-01\")"), "datetime"),
        (transfer("context has drilled && context.driled > duration(\"90d\")"), "driled"),
        (transfer("context.destination in AddressBook::\"blocked\""), "impossible"),
        (
            "@id(\"r\") forbid (principal in Role::\"tresurer\", action, resource);".to_owned(),
            "tresurer",
        ),
        ("@id(\"r\") forbid (principal, action, resource in Tier::\"hott\");".to_owned(), "hott"),
        (
            "@id(\"r\") forbid (principal, action == Action::\"transfr\", resource);".to_owned(),
            "transfr",
        ),
        (
            "@id(\"r\") forbid (principal, action, resource) \
             when { context.amount.greaterThan(decimal(\"1.0\")) };"
                .to_owned(),
            "amount",
        ),
        ("@id(\"r\") forbid (principal, action, resource".to_owned(), "unexpected end"),
    ] {
        let found = findings(&rules);
        assert!(
            found.iter().any(|finding| finding.message.contains(message)),
            "{rules}: {found:?}"
        );
    }
}

#[test]
fn a_rule_without_an_id_of_its_own_does_not_load() {
    let forbid = "forbid (principal, action, resource);";
    for (rules, line, message) in [
        (forbid.to_owned(), 1, "the rule has no @id"),
        (format!("\n@id(\"\") {forbid}"), 2, "malformed"),
        (format!("@id(\"Upper\") {forbid}"), 1, "malformed"),
        (format!("@id(\"{}\") {forbid}", "a".repeat(65)), 1, "malformed"),
        (format!("@id(\"a\") {forbid}\n@id(\"a\") {forbid}"), 2, "`a` is the @id of an earlier"),
        (format!("@id(\"no-permit\") {forbid}"), 1, "no rule spoke"),
        (
            "@id(\"a\") forbid (principal == ?principal, action, resource);".to_owned(),
            1,
            "a template has no links",
        ),
    ] {
        let found = findings(&rules);
        assert_eq!(found.len(), 1, "{rules}: {found:?}");
        assert!(found[0].message.contains(message), "{rules}: {found:?}");
        assert_eq!(found[0].line, line, "{rules}");
    }
}

#[test]
fn a_permit_that_covers_too_much_does_not_load() {
    for (scope, message) in [
        ("principal, action, resource in Tier::\"hot\"", Some("a permit names its action")),
        ("principal, action == Action::\"sign_opaque\", resource", Some("names its one wallet")),
        (
            "principal, action == Action::\"sign_opaque\", resource in Tier::\"hot\"",
            Some("names its one wallet"),
        ),
        (
            "principal, action in Action::\"sign\", resource in Tier::\"hot\"",
            Some("names its one wallet"),
        ),
        (
            "principal, action in [Action::\"transfer\", Action::\"sign\"], resource is Wallet",
            Some("names its one wallet"),
        ),
        ("principal, action == Action::\"sign_opaque\", resource == Wallet::\"w\"", None),
        ("principal, action == Action::\"sign_message\", resource in Tier::\"hot\"", None),
    ] {
        let found = findings(&format!("@id(\"r\") permit ({scope});"));
        let said = found.first().map(|finding| finding.message.as_str());
        match message {
            Some(message) => assert!(said.unwrap().contains(message), "{scope}: {found:?}"),
            None => assert_eq!(said, None, "{scope}"),
        }
    }
}

#[test]
fn a_permit_for_every_wallet_is_only_a_warning() {
    let compiler = CedarCompiler::new().unwrap();
    let warnings = |rule: &str| compiler.warnings(&document(rule)).unwrap().len();
    for (scope, condition, expected) in [
        ("principal, action == Action::\"transfer\", resource", "context.known", 1),
        ("principal, action == Action::\"transfer\", resource is Wallet", "context.known", 1),
        ("principal, action == Action::\"transfer\", resource in Tier::\"hot\"", "true", 0),
        ("principal, action == Action::\"transfer\", resource == Wallet::\"w\"", "true", 0),
        (
            "principal, action == Action::\"transfer\", resource",
            "context.known && resource in [Tier::\"hot\", Tier::\"warm\"]",
            0,
        ),
        (
            "principal, action == Action::\"transfer\", resource",
            "context.known || resource in Tier::\"hot\"",
            1,
        ),
        (
            "principal, action == Action::\"transfer\", resource",
            "principal in Role::\"operator\"",
            1,
        ),
        (
            "principal, action == Action::\"transfer\", resource",
            "principal is User in Role::\"operator\"",
            1,
        ),
        (
            "principal, action == Action::\"transfer\", resource",
            "resource is Wallet in Tier::\"hot\"",
            0,
        ),
        ("principal, action == Action::\"transfer\", resource", "resource == resource", 1),
        ("principal, action in Action::\"govern\", resource", "context.approvals.operator > 1", 0),
    ] {
        let rule = format!("@id(\"r\") permit ({scope}) when {{ {condition} }};");
        assert_eq!(warnings(&rule), expected, "{rule}");
        assert!(CedarEngine::new(&document(&rule)).is_ok(), "{rule}");
    }
    assert_eq!(warnings("@id(\"r\") forbid (principal, action, resource);"), 0);
    assert!(compiler.warnings(&document("permit (principal, action, resource);")).is_err());
}

#[test]
fn careful_conditions_load() {
    for condition in [
        format!("{ETH} && context.amount.lessThanOrEqual(decimal(\"99999999999999.9999\"))"),
        format!("context.amount.lessThanOrEqual(decimal(\"1.0\")) && {ETH}"),
        // Each alternative names the asset of its amount, before it or after it.
        format!("({AMOUNT} && {ETH}) || ({OTHER} && {AMOUNT})"),
        format!("{ETH} && (context.known || context.amount.lessThanOrEqual(decimal(\"1.0\")))"),
        format!("if {ETH} then context.amount.lessThanOrEqual(decimal(\"1.0\")) else false"),
        format!("{ETH} && decimal(\"1.0\").greaterThanOrEqual(context.amount)"),
        "[Asset::\"eip155:1/slip44:60\", Asset::\"eip155:10/slip44:60\"].contains(context.asset) \
         && context.spent.destination.d30.lessThanOrEqual(decimal(\"1.0\"))"
            .to_owned(),
        "context.asset in [Asset::\"eip155:1/slip44:60\"] && \
         context.fee.greaterThan(decimal(\"1.0\"))"
            .to_owned(),
        "context has value && context.value.lessThanOrEqual(decimal(\"1.0\"))".to_owned(),
        "context.authn has ip && context.authn.ip.isInRange(ip(\"10.0.0.0/8\"))".to_owned(),
        "context has authn.ip && context.authn.ip.isLoopback()".to_owned(),
        "context.weekday <= 5 && context.now.toTime() < duration(\"18h\")".to_owned(),
        "context.now.toDate() == datetime(\"2026-01-01\") || context.age.toHours() > 3".to_owned(),
        "context.drilled <= duration(\"90d\") || duration(\"2160h\") >= context.drilled".to_owned(),
        "context.facts.contains(\"replayable\") || context.order.count > 3".to_owned(),
        "principal.service && resource.chain like \"eip155:*\"".to_owned(),
        "principal has service && resource has chain".to_owned(),
        "if context.known then context.approvals.treasurer >= 1 else \
         context.approvals.treasurer >= 2"
            .to_owned(),
    ] {
        assert_eq!(findings(&transfer(&condition)), [], "{condition}");
    }
}

#[test]
fn findings_say_where_they_are() {
    let rules = "// A comment.\n\n@id(\"first\")\nforbid (principal, action, resource);\n\n  \
                 @id(\"second\")\n  permit (principal, action == Action::\"transfer\",\n    \
                 resource in Tier::\"hott\")\n  when { context.approvals.tresurer >= 2\n    \
                 && context.amount.lessThan(decimal(\"1.0\")) };\n";
    insta::assert_snapshot!(shown(&CedarEngine::new(&document(rules)).unwrap_err()));
}

#[test]
fn all_errors_of_a_malformed_text_come_at_once() {
    let rules = "permit (principal, resource);\n\
                 forbid (principal, action, resource) when { unlimited(1) };";
    insta::assert_snapshot!(shown(&CedarEngine::new(&document(rules)).unwrap_err()));
}

#[test]
fn what_is_wrong_for_many_actions_is_said_once() {
    let rules = "@id(\"any\")\nforbid (principal, action, resource)\n\
                 when { context.amount.greaterThan(decimal(\"1.0\")) };";
    insta::assert_snapshot!(shown(&CedarEngine::new(&document(rules)).unwrap_err()));
}

#[test]
fn the_schema_follows_roles_and_tiers() {
    insta::assert_snapshot!(CedarCompiler::new().unwrap().schema(&document("")));
}

#[test]
fn the_engine_names_every_version_that_can_change_an_answer() {
    insta::assert_snapshot!(CedarCompiler::new().unwrap().engine().as_str());
}

fn shown(error: &PolicyError) -> String {
    let findings: Vec<String> = error.findings.iter().map(ToString::to_string).collect();
    format!("{error}\n\n{}", findings.join("\n"))
}
