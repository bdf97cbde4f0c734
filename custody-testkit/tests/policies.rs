//! The suite of policy engines holds for the testkit's rules, and finds each lie.
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made fails its test")]

use std::sync::Arc;

use custody_core::id::RoleId;
use custody_core::seam::{Judgement, Missing, PolicyCompiler, PolicyDocument, PolicyEngine};
use custody_testkit::policy::{DenyingCompiler, EngineLie, LyingCompiler, OrderFacts, TestRules};
use custody_testkit::suite::policy_engine::{self as checks, PolicyEngineFixture, SampleSets};
use custody_testkit::suite::run_failing;

/// Changes only together with the name of the engine.
const PIN: &str = "test-rules/2 45085a6e49b0309cdf70951fa072f925e772975d009ffb4febb6471dabd6a48e";
const ROLES: &[&str] = &["treasurer", "officer"];

fn fixture(compiler: Arc<dyn PolicyCompiler>) -> PolicyEngineFixture {
    let document = |rules: &str| TestRules::document(ROLES, rules);
    let role = RoleId::parse("treasurer").unwrap();
    let sets = SampleSets {
        permissive: document("allow"),
        transfers: document("allow transfer"),
        needing: (document("need treasurer 2 transfer"), role, 2),
        failing: document("allow\nerror transfer"),
        broken: vec![document("allow everything"), document("need nobody 2"), document("permit")],
    };
    PolicyEngineFixture::new(compiler, sets).with_pin(PIN)
}

mod test_rules {
    custody_testkit::policy_engine_suite!(super::fixture(std::sync::Arc::new(
        super::TestRules::new()
    )));
}

/// Shows that a check fails on an engine with this lie, and says so in these words.
macro_rules! found {
    ($($name:ident: $lie:ident fails $($check:ident with $words:literal)*;)*) => {$(
        #[test]
        fn $name() {
            $(
                let said = run_failing(stringify!($check), async {
                    checks::$check(fixture(Arc::new(LyingCompiler::new(EngineLie::$lie))));
                });
                assert!(said.contains($words), "{said}");
            )*
        }
    )*};
}

found! {
    an_engine_that_accepts_broken_sets_is_found: AcceptsBrokenSets fails
        a_broken_set_is_refused_with_its_findings with "a broken set compiles";
    an_engine_that_allows_nothing_at_all_is_found: AllowsNothing fails
        an_order_without_effects_is_denied with "allowed without effects";
    an_engine_that_allows_on_errors_is_found: AllowsOnError fails
        a_failing_rule_denies with "allowed in spite of an error";
    an_engine_that_allows_without_decimals_is_found: AllowsWithoutDecimals fails
        an_asset_without_decimals_is_denied with "of an unknown asset"
        the_strictest_effect_wins with "allowed: effect 0 of five is denied"
        a_large_order_is_judged with "allowed: the last of 1,024 transfers";
    an_engine_that_alternates_is_found: Alternates fails
        the_same_facts_give_the_same_judgement with "allowed without effects";
    an_engine_that_claims_too_little_is_found: ClaimsTooLittle fails
        what_is_said_to_be_missing_is_enough with "denied: with 1 more of officer granted"
        approvals_that_are_missing_are_named with "2 more of treasurer are missing";
    an_engine_that_differs_by_compilation_is_found: DiffersByCompilation fails
        two_compilations_judge_alike with "allowed without effects"
        judgements_are_pinned_under_the_engines_name with "allowed without effects";
    an_engine_that_never_says_never_is_found: NeverSaysNever fails
        nothing_is_missing_where_nothing_helps with "failed: an order without effects"
        what_is_said_to_be_missing_is_enough with "denied: with";
    an_engine_that_reads_the_first_effect_is_found: ReadsTheFirstEffect fails
        the_strictest_effect_wins with "allowed: effect 1 of five is denied"
        an_effect_that_no_rule_names_is_denied with "allowed: transfer, ";
    an_engine_with_the_wrong_id_is_found: WrongId fails
        the_id_is_the_digest_of_the_document with "left: PolicyId(";
}

fn engine(rules: &str) -> Arc<dyn PolicyEngine> {
    TestRules::new().compile(&TestRules::document(ROLES, rules)).unwrap()
}

fn order() -> OrderFacts {
    OrderFacts::new(&TestRules::document(ROLES, "")).with_transfer(10)
}

#[test]
fn each_rule_of_the_format_does_what_its_line_says() {
    for (rules, allowed) in [
        ("", false),
        ("# allow", false),
        ("allow", true),
        ("allow transfer", true),
        ("allow call", false),
        ("allow\ndeny", false),
        ("allow\ndeny transfer", false),
        ("allow\ndeny call", true),
        ("allow\nlimit-order 10", true),
        ("allow\nlimit-order 9", false),
        ("allow\nlimit-day 10", true),
        ("allow\nlimit-day 9", false),
        ("allow\ndrill 0", true),
        ("need officer 0", true),
        ("need officer 1", false),
        ("allow\nwait 0", true),
        ("allow\nwait 1", false),
        ("allow\nbook friends", false),
        ("allow\nrole officer", true),
        ("allow\nerror", false),
        ("allow\nerror call", true),
    ] {
        assert_eq!(engine(rules).judge(&order().facts()).allowed, allowed, "{rules:?}");
    }
    let mut stranger = order();
    stranger.requester.roles.clear();
    assert!(!engine("allow\nrole officer").judge(&stranger.facts()).allowed);
    let mut later = order();
    later.now = later.drilled.after(std::time::Duration::from_millis(60_001));
    for (rules, allowed) in [
        ("allow\ndrill 61", true),
        ("allow\ndrill 60", false),
        ("allow\ndrill 60 transfer", false),
        ("allow\ndrill 60 call", true),
    ] {
        assert_eq!(engine(rules).judge(&later.facts()).allowed, allowed, "{rules:?}");
    }
    assert_eq!(engine("allow\ndrill 60").missing(&later.facts()), Missing::Never);
}

#[test]
fn waiting_times_and_approvals_are_named_together() {
    let engine = engine("need treasurer 2\nwait 60");
    let Missing::Await { options, complete } = engine.missing(&order().facts()) else {
        panic!("nothing is awaited");
    };
    assert!(complete);
    let named: Vec<String> = options.iter().map(ToString::to_string).collect();
    assert_eq!(named, ["2 more of treasurer, not before 2026-01-01T00:01:00.000Z"]);
}

#[test]
#[should_panic(expected = "line-1-panic panics")]
fn a_panicking_rule_panics() {
    drop(engine("panic").judge(&order().facts()));
}

#[test]
fn a_denying_engine_denies_every_order_for_good_and_names_its_rule() {
    let document = TestRules::document(ROLES, "allow");
    let engine = DenyingCompiler::new().compile(&document).unwrap();
    assert_eq!(engine.id(), PolicyDocument::id_of(&document.to_bytes().unwrap()));
    let rules = vec![DenyingCompiler::rule()];
    for order in [order(), OrderFacts::new(&document)] {
        let denied = Judgement { allowed: false, rules: rules.clone(), errors: Vec::new() };
        assert_eq!(engine.judge(&order.facts()), denied);
        assert_eq!(engine.missing(&order.facts()), Missing::Never);
    }
}

#[test]
fn a_refusing_compiler_refuses_what_others_compile() {
    for rules in ["", "allow", "permit"] {
        let refused = DenyingCompiler::refusing().compile(&TestRules::document(ROLES, rules));
        assert_eq!(refused.unwrap_err().findings.len(), 1, "{rules:?}");
    }
}
