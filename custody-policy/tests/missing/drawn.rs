//! Rules that are drawn: what is told to be missing is all that asking for every point finds.

use std::collections::BTreeSet;

use custody_core::id::RoleId;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::*;
use crate::support::counts;

fn arb_atom() -> impl Strategy<Value = String> {
    let role = select(vec!["treasurer", "administrator"]);
    let time = select(vec![
        "context.age >= duration(\"4h\")",
        "context.age > duration(\"2h\")",
        "context.age < duration(\"9h\")",
        "duration(\"12h\") >= context.age",
        "context.cooled >= duration(\"24h\")",
        "context.drilled <= duration(\"90d\")",
        "context.drilled > duration(\"7d12h\")",
        "context.now.toTime() >= duration(\"8h\") && context.now.toTime() < duration(\"18h\")",
        "context.weekday <= 3",
        "context.now >= datetime(\"2026-01-08T06:00:00Z\")",
        "context.now < datetime(\"2026-01-07T21:00:00Z\")",
        "context.known",
        "context.self_owned",
    ]);
    prop_oneof![
        (role, 1..4_u32).prop_map(|(role, least)| format!("context.approvals.{role} >= {least}")),
        (0..3_u32).prop_map(|more| format!("context.approvals.treasurer > {more}")),
        (1..3_u32).prop_map(|least| format!("context.organisations.treasurer >= {least}")),
        time.prop_map(str::to_owned),
    ]
}

fn arb_condition() -> impl Strategy<Value = String> {
    arb_atom().prop_recursive(3, 8, 2, |inner| {
        (inner.clone(), select(vec!["&&", "||"]), inner)
            .prop_map(|(left, operator, right)| format!("({left}) {operator} ({right})"))
    })
}

/// Rules, and an order that they may keep waiting.
fn arb_case() -> impl Strategy<Value = (String, Order)> {
    let permits = prop::collection::vec(arb_condition(), 1..3);
    let forbids = prop::collection::vec(arb_condition(), 0..2);
    let drilled = select(vec![NOW - 90 * DAY + 5 * HOUR, NOW - 7 * DAY, NOW - 100 * DAY]);
    let given = (0..2_u32, 0..2_u32);
    (permits, forbids, given, drilled).prop_map(|(permits, forbids, (people, others), drilled)| {
        let permits = permits.iter().enumerate().map(|(number, condition)| {
            format!("@id(\"p{number}\") permit ({SPEND}) when {{ {condition} }};")
        });
        let forbids = forbids.iter().enumerate().map(|(number, condition)| {
            format!(
                "@id(\"f{number}\") forbid (principal, action, resource is Wallet) \
                 unless {{ context has known && ({condition}) }};"
            )
        });
        let rules: Vec<String> = permits.chain(forbids).collect();
        let order = order()
            .drilled_at(drilled)
            .known_since(NOW - 20 * HOUR)
            .approved("treasurer", people, people)
            .approved("administrator", others, 1);
        (rules.join("\n"), order)
    })
}

/// Every count and every half hour that is allowed, but those that need more than another one.
fn every_option(engine: &CedarEngine, order: &Order) -> BTreeSet<(u64, [u32; 3])> {
    let given = |role: &str| order.approvals.roles[&RoleId::parse(role).unwrap()];
    let (treasurer, administrator) = (given("treasurer"), given("administrator"));
    let mut allowed: Vec<(u64, [u32; 3])> = Vec::new();
    let halves = (0..48).flat_map(|half| [half * HOUR / 2, half * HOUR / 2 + 1]);
    for later in halves {
        for people in 0..=treasurer.eligible - treasurer.approvals {
            for houses in 0..=treasurer.eligible_organisations - treasurer.organisations {
                for others in 0..=administrator.eligible - administrator.approvals {
                    let point = (later, [people, houses, others]);
                    let less = |one: &[u32; 3]| one.iter().zip(&point.1).all(|(a, b)| a <= b);
                    if houses > people || allowed.iter().any(|(_, counts)| less(counts)) {
                        continue;
                    }
                    let option = Requirement {
                        approvals: counts(&[("treasurer", people), ("administrator", others)]),
                        organisations: counts(&[("treasurer", houses)]),
                        not_before: Some(Timestamp::from_millis(order.now.as_millis() + later)),
                    };
                    if engine.judge(&met(order, &option).facts()).allowed {
                        allowed.push(point);
                    }
                }
            }
        }
    }
    let minimal = |point: &&(u64, [u32; 3])| {
        !allowed.iter().any(|other| {
            other != *point
                && other.0 <= point.0
                && other.1.iter().zip(&point.1).all(|(one, two)| one <= two)
        })
    };
    allowed.iter().filter(minimal).copied().collect()
}

#[test]
fn rule_sets_are_drawn_that_load_and_keep_orders_waiting_for_people_and_for_times() {
    const CASES: usize = 200;
    let mut runner = TestRunner::deterministic();
    let (mut loaded, mut waiting, mut later) = (0, 0, 0);
    for _ in 0..CASES {
        let (rules, order) = arb_case().new_tree(&mut runner).unwrap().current();
        let Ok(engine) = CedarEngine::new(&document(&rules)) else { continue };
        loaded += 1;
        let Missing::Await { options, .. } = engine.missing(&order.facts()) else { continue };
        waiting += usize::from(options.iter().any(|option| *option != Requirement::default()));
        later += usize::from(options.iter().any(|option| option.not_before.is_some()));
    }
    let met = format!("of {CASES} loaded {loaded}, waiting {waiting}, for a time {later}");
    assert!(loaded >= CASES / 4 && waiting >= CASES / 20 && later >= 1, "{met}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_options_are_all_that_asking_for_every_point_finds(
        (rules, order) in arb_case(),
    ) {
        // Some conditions contradict themselves and do not load.
        let Ok(engine) = CedarEngine::new(&document(&rules)) else { return Ok(()) };
        let missing = engine.missing(&order.facts());
        let all = every_option(&engine, &order);
        if all.is_empty() {
            prop_assert_eq!(missing, Missing::Never);
            return Ok(());
        }
        let Missing::Await { options, complete } = missing else {
            return Err(TestCaseError::fail(format!("never, but {all:?}")));
        };
        prop_assert!(complete);
        for option in &options {
            prop_assert!(engine.judge(&met(&order, option).facts()).allowed);
        }
        let found: BTreeSet<(u64, [u32; 3])> = options.iter().map(|option| {
            let more = |counts: &std::collections::BTreeMap<RoleId, u32>, role: &str| {
                counts.get(&RoleId::parse(role).unwrap()).copied().unwrap_or(0)
            };
            let later = option.not_before.map_or(0, |time| time.as_millis() - NOW);
            let treasurers = more(&option.approvals, "treasurer");
            let houses = more(&option.organisations, "treasurer");
            (later, [treasurers, houses, more(&option.approvals, "administrator")])
        }).collect();
        prop_assert_eq!(found, all);
    }
}
