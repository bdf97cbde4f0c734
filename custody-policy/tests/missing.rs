#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail"
)]
//! What would allow an order: tables, and the search against asking for every point.

use custody_core::effect::Action;
use custody_core::seam::{Missing, PolicyEngine, Requirement};
use custody_core::time::Timestamp;
use custody_policy::CedarEngine;

#[path = "missing/drawn.rs"]
mod drawn;
#[expect(dead_code, reason = "each test uses some of it")]
#[path = "support/order.rs"]
mod support;

use support::{DAY, ETHER, HOUR, NOW, Order, document};

const SPEND: &str = "principal, action == Action::\"transfer\", resource in Tier::\"hot\"";

fn engine(condition: &str) -> CedarEngine {
    rules(&format!("@id(\"r\") permit ({SPEND}) when {{ {condition} }};"))
}

fn rules(rules: &str) -> CedarEngine {
    CedarEngine::new(&document(rules)).unwrap()
}

fn order() -> Order {
    Order::by(&["operator"], &document("")).transfer(ETHER, "1")
}

/// The options as text, and whether they are all.
fn shown(missing: &Missing) -> (Vec<String>, bool) {
    match missing {
        Missing::Await { options, complete } => {
            (options.iter().map(|option| format!("[{option}]")).collect(), *complete)
        }
        Missing::Never => (Vec::new(), true),
        other => panic!("{other:?}"),
    }
}

#[test]
fn approvals_are_counted_from_what_is_given() {
    for (condition, given, expected) in [
        ("context.approvals.treasurer >= 2", 0, "[2 more of treasurer]"),
        ("context.approvals.treasurer >= 2", 1, "[1 more of treasurer]"),
        ("context.approvals.treasurer > 2", 1, "[2 more of treasurer]"),
        ("3 <= context.approvals.treasurer", 2, "[1 more of treasurer]"),
        ("context.approvals.treasurer >= 2", 2, "[]"),
    ] {
        let missing = engine(condition).missing(&order().approved("treasurer", given, 1).facts());
        assert_eq!(shown(&missing), (vec![expected.to_owned()], true), "{condition} with {given}");
    }
}

#[test]
fn a_forbid_that_approvals_lift_is_awaited() {
    for forbid in [
        "when { context.approvals.treasurer < 2 }",
        "when { context.approvals.treasurer <= 1 }",
        "unless { context.approvals.treasurer >= 2 }",
    ] {
        let engine = rules(&format!(
            "@id(\"p\") permit ({SPEND}); @id(\"f\") forbid (principal, action, resource) {forbid};"
        ));
        let expected = (vec!["[2 more of treasurer]".to_owned()], true);
        assert_eq!(shown(&engine.missing(&order().facts())), expected, "{forbid}");
    }
}

#[test]
fn more_than_there_are_people_is_never_asked_for() {
    let three = engine("context.approvals.treasurer >= 3");
    let two_houses = engine("context.organisations.treasurer >= 2");
    for (engine, people, houses, never) in [
        (&three, 3, 1, false),
        (&three, 2, 2, true),
        (&two_houses, 2, 2, false),
        (&two_houses, 5, 1, true),
        (&two_houses, 0, 0, true),
    ] {
        let order = order().eligible("treasurer", people, houses);
        let missing = engine.missing(&order.facts());
        assert_eq!(missing == Missing::Never, never, "{people} people of {houses} houses");
    }
}

#[test]
fn another_organisation_takes_another_person() {
    let engine = engine("context.organisations.treasurer >= 2 && context.approvals.treasurer >= 2");
    for (approvals, houses, expected) in [
        (0, 0, "[2 more of treasurer, 2 more organisations of treasurer]"),
        (1, 1, "[1 more of treasurer, 1 more organisations of treasurer]"),
        (2, 1, "[1 more of treasurer, 1 more organisations of treasurer]"),
        (2, 2, "[]"),
    ] {
        let order = order().approved("treasurer", approvals, houses);
        let expected = (vec![expected.to_owned()], true);
        assert_eq!(shown(&engine.missing(&order.facts())), expected, "{approvals} of {houses}");
    }
}

#[test]
fn each_way_to_be_allowed_is_an_option() {
    let engine = engine(
        "context.approvals.administrator >= 1 || context.approvals.treasurer >= 2
            || context.approvals.treasurer >= 1 && context.age >= duration(\"4h\")",
    );
    let expected = [
        "[1 more of administrator]",
        "[2 more of treasurer]",
        "[1 more of treasurer, not before 2026-01-07T14:00:00.000Z]",
    ];
    let expected = (expected.map(str::to_owned).to_vec(), true);
    assert_eq!(shown(&engine.missing(&order().facts())), expected);
}

#[test]
fn what_takes_the_fewest_people_comes_first() {
    for (condition, expected) in [
        (
            "context.approvals.treasurer >= 1 || context.approvals.administrator >= 2",
            ["[1 more of treasurer]", "[2 more of administrator]"],
        ),
        (
            "context.approvals.treasurer >= 2 || context.approvals.administrator >= 1",
            ["[1 more of administrator]", "[2 more of treasurer]"],
        ),
        (
            "context.approvals.operator >= 2 || context.organisations.treasurer >= 2
                || context.approvals.administrator >= 3",
            ["[2 more of operator]", "[3 more of administrator]"],
        ),
    ] {
        let (mut found, complete) = shown(&engine(condition).missing(&order().facts()));
        found.retain(|option| !option.contains("organisations"));
        assert_eq!((found, complete), (expected.map(str::to_owned).to_vec(), true), "{condition}");
    }
}

#[test]
fn sixty_three_later_times_are_looked_at_and_of_one_more_it_is_said() {
    for (times, complete) in [(63, true), (64, false)] {
        let each = (1..=times).map(|minute| {
            format!(
                "@id(\"r{minute}\") permit ({SPEND}) when {{ context.approvals.treasurer >= 1 \
                 && context.age >= duration(\"{minute}m\") }};"
            )
        });
        let missing = rules(&each.collect::<String>()).missing(&order().facts());
        let first = "[1 more of treasurer, not before 2026-01-07T10:01:00.000Z]".to_owned();
        assert_eq!(shown(&missing), (vec![first], complete), "{times} times");
    }
}

#[test]
fn times_are_those_at_which_the_rules_change() {
    let later = |hours: u64| format!("[not before {}]", Timestamp::from_millis(NOW + hours * HOUR));
    let after = |millis: u64| Timestamp::from_millis(NOW + millis);
    let one_more = format!("[not before {}]", after(HOUR + 1));
    let after_one = format!("[not before {}]", after(1));
    for (condition, expected) in [
        ("context.age >= duration(\"4h\")", later(4)),
        ("context.age > duration(\"1h\")", one_more),
        ("duration(\"4h\") <= context.age", later(4)),
        ("context.age == duration(\"4h\")", later(4)),
        ("context.age != duration(\"0h\")", format!("[not before {}]", after(1))),
        ("context.cooled >= duration(\"3h\") && context.known", later(2)),
        ("context.drilled >= duration(\"10h\")", later(5)),
        ("duration(\"4h\") < context.drilled && context.drilled != duration(\"5h\")", after_one),
        ("context.now >= datetime(\"2026-01-07T15:00:00Z\")", later(5)),
        ("context.now.toTime() >= duration(\"18h\")", later(8)),
        ("context.now.toTime() < duration(\"8h\")", later(14)),
        ("context.weekday == 4", later(14)),
        ("context.now.toDate() == datetime(\"2026-01-08\")", later(14)),
        ("context.now.toTime() >= duration(\"9h\") && context.weekday >= 4", later(23)),
    ] {
        let order = order().known_since(NOW - HOUR).drilled_at(NOW - 5 * HOUR);
        assert_eq!(shown(&engine(condition).missing(&order.facts())), (vec![expected], true));
    }
}

#[test]
fn what_time_takes_away_is_not_promised() {
    for (condition, never) in [
        ("context.age >= duration(\"4h\") && context.age < duration(\"3h\")", true),
        ("context.age >= duration(\"4h\") && context.age <= duration(\"4h\")", false),
        ("context.now < datetime(\"2026-01-07T10:00:00Z\")", true),
        ("context.weekday == 3 && context.age >= duration(\"14h\")", true),
        ("context.age >= duration(\"24h\")", true),
        ("context.age >= duration(\"1439m\")", false),
        ("context.cooled >= duration(\"1h\") && !context.known", true),
        ("context.drilled < duration(\"1h\") && context.age >= duration(\"1h\")", true),
        ("context.drilled <= duration(\"1h\") && context.age >= duration(\"1h\")", false),
    ] {
        let order = order().known_since(NOW);
        let missing = engine(condition).missing(&order.facts());
        assert_eq!(missing == Missing::Never, never, "{condition}");
    }
}

/// No new keys when a drill is overdue, and two administrators for the others.
const DRILLED: &str = "
@id(\"key\") permit (principal, action == Action::\"create_key\", resource)
    when { context.approvals.administrator >= 2 };
@id(\"drill-overdue\") forbid (principal, action == Action::\"create_key\", resource)
    when { context.drilled > duration(\"90d\") };";

#[test]
fn what_only_a_drill_would_release_waits_for_nothing() {
    let engine = rules(DRILLED);
    let order = || Order::by(&["operator"], &document("")).command(Action::CreateKey);
    for (drilled, never) in [
        (NOW, false),
        (NOW - 90 * DAY, false),
        (NOW - 90 * DAY - 1, true),
        (NOW - 1_000 * DAY, true),
        (0, true),
    ] {
        let order = order().drilled_at(drilled);
        let missing = engine.missing(&order.facts());
        assert_eq!(missing == Missing::Never, never, "{drilled}");
        let approved = order.approved("administrator", 2, 1);
        assert_eq!(engine.judge(&approved.facts()).allowed, !never, "{drilled}");
    }
}

#[test]
fn a_drill_that_becomes_overdue_meanwhile_takes_nothing_from_what_is_missing_now() {
    let engine = rules(DRILLED);
    let order = Order::by(&["operator"], &document("")).command(Action::CreateKey);
    let order = order.drilled_at(NOW - 90 * DAY + HOUR);
    let missing = engine.missing(&order.facts());
    assert_eq!(shown(&missing), (vec!["[2 more of administrator]".to_owned()], true));
    for (waited, allowed) in [(HOUR, true), (HOUR + 1, false)] {
        let later = order.clone().waited(waited).approved("administrator", 2, 1);
        assert_eq!(engine.judge(&later.facts()).allowed, allowed, "{waited}");
    }
    let patient = rules(&format!(
        "{DRILLED} @id(\"wait\") forbid (principal, action, resource)
        unless {{ context.age > duration(\"1h\") }};"
    ));
    assert_eq!(patient.missing(&order.facts()), Missing::Never, "then it is overdue");
}

#[test]
fn on_saturday_it_is_three_officers_on_monday_or_one_treasurer() {
    let saturday = NOW + 3 * DAY;
    let engine = engine(
        "context.weekday <= 5 && context.now.toTime() >= duration(\"8h\")
            && context.now.toTime() < duration(\"18h\") && context.approvals.operator >= 3
            || context.approvals.treasurer >= 1",
    );
    let order = order().submitted_at(saturday).expires_after(5 * DAY);
    let expected =
        ["[1 more of treasurer]", "[3 more of operator, not before 2026-01-12T08:00:00.000Z]"];
    let expected = (expected.map(str::to_owned).to_vec(), true);
    assert_eq!(shown(&engine.missing(&order.facts())), expected);
}

#[test]
fn many_effects_need_what_all_of_them_need() {
    let engine = rules(
        "@id(\"a\") permit (principal, action == Action::\"transfer\", resource in Tier::\"hot\")
            when { context.approvals.treasurer >= 1 };
         @id(\"b\") permit (principal, action == Action::\"approve\", resource in Tier::\"hot\")
            when { context.approvals.administrator >= 1 };
         @id(\"c\") permit (principal, action == Action::\"pay_fee\", resource in Tier::\"hot\");",
    );
    let both = order().approve(ETHER, "1").fee(ETHER, "1");
    let expected = "[1 more of administrator, 1 more of treasurer]".to_owned();
    assert_eq!(shown(&engine.missing(&both.facts())), (vec![expected], true));
    let impossible = both.call(custody_core::effect::Action::Call);
    assert_eq!(engine.missing(&impossible.facts()), Missing::Never);
}

#[test]
fn a_time_read_in_another_way_is_said_to_be_incomplete() {
    for condition in [
        "context.approvals.treasurer >= 1 || context.age.toHours() >= 4",
        "context.approvals.treasurer >= 1 || context.age > context.cooled",
        "context.approvals.treasurer >= 1 || context.drilled.toHours() >= 4",
        "context.approvals.treasurer >= 1 \
         || context.now.durationSince(datetime(\"2026-01-01\")) > duration(\"9d\")",
    ] {
        let missing = engine(condition).missing(&order().facts());
        let expected = (vec!["[1 more of treasurer]".to_owned()], false);
        assert_eq!(shown(&missing), expected, "{condition}");
    }
}

#[test]
fn a_search_that_ends_early_says_so_and_still_tells_the_truth() {
    // Three roles with three steps each, and a time in every minute of an hour.
    let minutes: Vec<String> =
        (1..=70).map(|minute| format!("context.age == duration(\"{minute}m\")")).collect();
    let counts: Vec<String> = ["operator", "treasurer", "administrator"]
        .iter()
        .flat_map(|role| (1..=30).map(move |n| format!("context.approvals.{role} >= {n}")))
        .collect();
    let asked = |rules: &[String]| {
        let rules: Vec<String> = rules
            .iter()
            .enumerate()
            .map(|(number, condition)| {
                format!(
                    "@id(\"r{number}\") permit ({SPEND}) when {{ {condition} \
                     && context.approvals.operator >= 30 \
                     && context.approvals.treasurer >= 30 }};"
                )
            })
            .collect();
        self::rules(&rules.join("\n"))
    };
    for engine in [asked(&minutes), asked(&counts)] {
        let order = order().eligible("operator", 30, 1).eligible("treasurer", 30, 1);
        let order = order.eligible("administrator", 30, 1);
        let Missing::Await { options, complete } = engine.missing(&order.facts()) else {
            panic!("never")
        };
        assert!(!complete);
        assert!(!options.is_empty());
        for option in options {
            assert!(engine.judge(&met(&order, &option).facts()).allowed, "{option}");
        }
    }
}

#[test]
fn an_expired_order_waits_for_nothing_later() {
    let engine = engine("context.age >= duration(\"4h\")");
    for (expires, never) in [(4 * HOUR, true), (4 * HOUR + 1, false), (0, true)] {
        let order = order().expires_after(expires);
        assert_eq!(engine.missing(&order.facts()) == Missing::Never, never, "{expires}");
    }
}

/// The order after somebody did what the option says.
fn met(order: &Order, option: &Requirement) -> Order {
    let mut order = order.clone();
    for (role, facts) in &mut order.approvals.roles {
        facts.approvals += option.approvals.get(role).copied().unwrap_or(0);
        facts.organisations += option.organisations.get(role).copied().unwrap_or(0);
    }
    order.now = option.not_before.unwrap_or(order.now);
    order
}
