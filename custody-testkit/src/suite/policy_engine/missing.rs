use super::{PolicyEngineFixture, assert_allowed, assert_denied, judge};
use crate::policy::OrderFacts;
use crate::strategy::arb_order_facts;
use crate::suite::runner;
use custody_core::seam::{Missing, PolicyEngine, Requirement};

/// Whatever is said to be missing is enough: with it granted the order is allowed; and it can be
/// granted: not more people than are eligible, not after the order has expired.
pub fn what_is_said_to_be_missing_is_enough(fixture: PolicyEngineFixture) {
    let (needing, role, count) = &fixture.needing;
    for document in [needing, &fixture.permissive, &fixture.transfers] {
        let engine = fixture.compile(document);
        for given in 0..=*count {
            let order = fixture.order().with_transfer(1).with_approvals(role, given);
            assert_enough(&*engine, &order);
        }
        let mut runner = runner(96);
        let enough = runner.run(&arb_order_facts(document), |order| {
            assert_enough(&*engine, &order);
            let transfer = OrderFacts { effects: Vec::new(), ..order }.with_transfer(1);
            assert_enough(&*engine, &transfer);
            Ok(())
        });
        enough.unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Under a set that needs approvals the missing ones are named, fewer with each that is given, and
/// with all of them the order is allowed.
pub fn approvals_that_are_missing_are_named(fixture: PolicyEngineFixture) {
    let (document, role, count) = &fixture.needing;
    let engine = fixture.compile(document);
    for given in 0..*count {
        let order = fixture.order().with_transfer(1).with_approvals(role, given);
        assert_denied(&*engine, &order, &format!("{given} of {count} approvals"));
        let options = options(&*engine, &order);
        let expected = count - given;
        let named = options.iter().any(|option| option.approvals.get(role) == Some(&expected));
        assert!(named, "{expected} more of {role} are missing: {options:?}");
    }
    let order = fixture.order().with_transfer(1).with_approvals(role, *count);
    assert_allowed(&*engine, &order, &format!("{count} approvals"));
}

/// An order without effects, an effect that no rule permits, and more approvals than people could
/// give, wait for nothing.
pub fn nothing_is_missing_where_nothing_helps(fixture: PolicyEngineFixture) {
    let engine = fixture.permissive();
    assert_never(&*engine, &fixture.order(), "an order without effects");
    let transfers = fixture.compile(&fixture.transfers);
    for effect in OrderFacts::every_effect() {
        if !matches!(effect, custody_core::effect::Effect::Transfer { .. }) {
            let case = effect.action().to_string();
            assert_never(&*transfers, &fixture.order().with(effect), &case);
        }
    }
    let (document, role, count) = &fixture.needing;
    let mut order = fixture.order().with_transfer(1);
    let facts = order.approvals.roles.get_mut(role).expect("the role of the sample set");
    facts.eligible = count - 1;
    facts.eligible_organisations = facts.eligible_organisations.min(count - 1);
    assert_never(&*fixture.compile(document), &order, "one person too few is eligible");
}

fn assert_enough(engine: &dyn PolicyEngine, order: &OrderFacts) {
    if judge(engine, order).allowed {
        return;
    }
    let Missing::Await { options, .. } = engine.missing(&order.facts()) else { return };
    assert!(!options.is_empty(), "something is awaited and nothing named");
    for option in &options {
        assert_possible(order, option);
        let granted = order.clone().granted(option);
        assert_allowed(engine, &granted, &format!("with {option} granted"));
    }
}

fn assert_possible(order: &OrderFacts, option: &Requirement) {
    for (role, more) in &option.approvals {
        let facts = order.approvals.roles.get(role).copied().unwrap_or_default();
        let enough = facts.approvals + more <= facts.eligible;
        assert!(enough, "{more} more of {role} than the {} eligible", facts.eligible);
    }
    for (role, more) in &option.organisations {
        let facts = order.approvals.roles.get(role).copied().unwrap_or_default();
        let enough = facts.organisations + more <= facts.eligible_organisations;
        assert!(enough, "{more} more organisations of {role} than there are");
    }
    let late = option.not_before.is_some_and(|time| time >= order.expires);
    assert!(!late, "awaited until after the order expires");
}

fn options(engine: &dyn PolicyEngine, order: &OrderFacts) -> Vec<Requirement> {
    let missing = engine.missing(&order.facts());
    let Missing::Await { options, .. } = missing else {
        panic!("approvals are missing and the answer is {missing:?}");
    };
    options
}

fn assert_never(engine: &dyn PolicyEngine, order: &OrderFacts, case: &str) {
    assert_denied(engine, order, case);
    assert_eq!(engine.missing(&order.facts()), Missing::Never, "{case}");
}
