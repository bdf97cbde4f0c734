use super::{PolicyEngineFixture, assert_allowed, assert_denied, judge};
use crate::policy::OrderFacts;
use crate::strategy::arb_order_facts;
use crate::suite::runner;

/// The permissive set allows a plain transfer; without this the other checks would show nothing.
pub fn a_set_that_permits_everything_allows_a_transfer(fixture: PolicyEngineFixture) {
    let engine = fixture.permissive();
    assert_allowed(&*engine, &fixture.order().with_transfer(1), "a transfer");
    for effect in OrderFacts::every_effect() {
        let case = effect.action().to_string();
        assert_allowed(&*engine, &fixture.order().with(effect), &case);
    }
    for command in OrderFacts::every_command() {
        let case = command.action().to_string();
        let order = OrderFacts { house: true, ..fixture.order() };
        assert_allowed(&*engine, &order.with(command), &case);
    }
}

/// An order without effects is denied, about a wallet and about the house.
pub fn an_order_without_effects_is_denied(fixture: PolicyEngineFixture) {
    let engine = fixture.permissive();
    assert_denied(&*engine, &fixture.order(), "a wallet's order without effects");
    let house = OrderFacts { house: true, ..fixture.order() };
    assert_denied(&*engine, &house, "the house's order without effects");
}

/// Without rules every effect is denied, or such a set does not compile.
pub fn an_empty_set_denies_everything(fixture: PolicyEngineFixture) {
    let Ok(engine) = fixture.compiler.compile(&fixture.empty()) else { return };
    for effect in OrderFacts::every_effect().into_iter().chain(OrderFacts::every_command()) {
        let case = effect.action().to_string();
        assert_denied(&*engine, &fixture.order().with(effect), &case);
    }
}

/// An amount whose asset is unknown, or about whose money nothing is known, is denied.
pub fn an_asset_without_decimals_is_denied(fixture: PolicyEngineFixture) {
    let engine = fixture.permissive();
    for effect in OrderFacts::every_effect() {
        if effect.amount().is_none() {
            continue;
        }
        let case = effect.action().to_string();
        let mut order = fixture.order().with(effect);
        assert_allowed(&*engine, &order, &case);
        order.effects[0].money.as_mut().unwrap().decimals = None;
        assert_denied(&*engine, &order, &format!("{case} of an unknown asset"));
        order.effects[0].money = None;
        assert_denied(&*engine, &order, &format!("{case} without facts about its money"));
    }
}

/// Under a set that permits transfers every other effect is denied, alone and beside a transfer.
pub fn an_effect_that_no_rule_names_is_denied(fixture: PolicyEngineFixture) {
    let engine = fixture.compile(&fixture.transfers);
    let transfer = || fixture.order().with_transfer(1);
    assert_allowed(&*engine, &transfer(), "a transfer");
    for effect in OrderFacts::every_effect().into_iter().chain(OrderFacts::every_command()) {
        if matches!(effect, custody_core::effect::Effect::Transfer { .. }) {
            continue;
        }
        let case = effect.action().to_string();
        assert_denied(&*engine, &fixture.order().with(effect.clone()), &case);
        assert_denied(&*engine, &transfer().with(effect.clone()), &format!("transfer, {case}"));
        let before = fixture.order().with(effect).with_transfer(1);
        assert_denied(&*engine, &before, &format!("{case}, transfer"));
    }
}

/// One effect that is denied denies the order, wherever it stands.
pub fn the_strictest_effect_wins(fixture: PolicyEngineFixture) {
    let engine = fixture.permissive();
    let order = (0..5).fold(fixture.order(), |order, units| order.with_transfer(units));
    assert_allowed(&*engine, &order, "five transfers");
    for index in 0..5 {
        let mut denied = order.clone();
        denied.effects[index].money.as_mut().unwrap().decimals = None;
        assert_denied(&*engine, &denied, &format!("effect {index} of five is denied"));
    }
}

/// A rule that fails denies and is named, or such a set does not compile.
pub fn a_failing_rule_denies(fixture: PolicyEngineFixture) {
    let Ok(engine) = fixture.compiler.compile(&fixture.failing) else { return };
    let judgement = judge(&*engine, &fixture.order().with_transfer(1));
    assert!(!judgement.errors.is_empty(), "the failing rule is not named, or did not fail");
    assert!(!judgement.allowed, "allowed although a rule failed");
}

/// A denied order names the rules that denied it, or `no-permit`.
pub fn a_denied_order_names_why(fixture: PolicyEngineFixture) {
    let engine = fixture.compile(&fixture.transfers);
    let judgement = judge(&*engine, &fixture.order().with(OrderFacts::every_effect()[4].clone()));
    let rules: Vec<&str> = judgement.rules.iter().map(|rule| rule.as_str()).collect();
    assert_eq!((judgement.allowed, rules), (false, vec!["no-permit"]));
    let allowed = judge(&*engine, &fixture.order().with_transfer(1));
    assert!(!allowed.rules.iter().any(|rule| rule.as_str() == "no-permit"));
}

/// An order of 1,024 effects is judged, and denied for its last effect alone.
pub fn a_large_order_is_judged(fixture: PolicyEngineFixture) {
    let engine = fixture.permissive();
    let mut order = (0..1_024).fold(fixture.order(), |order, units| order.with_transfer(units));
    assert_allowed(&*engine, &order, "1,024 transfers");
    order.effects[1_023].money.as_mut().unwrap().decimals = None;
    assert_denied(&*engine, &order, "the last of 1,024 transfers");
}

/// Any facts, judged twice, give the same judgement and the same advice, and nothing panics.
pub fn the_same_facts_give_the_same_judgement(fixture: PolicyEngineFixture) {
    for document in [&fixture.permissive, &fixture.transfers, &fixture.needing.0] {
        let engine = fixture.compile(document);
        let mut runner = runner(64);
        let same = runner.run(&arb_order_facts(document), |order| {
            let first = judge(&*engine, &order);
            assert_eq!(judge(&*engine, &order), first);
            let missing = engine.missing(&order.facts());
            assert_eq!(engine.missing(&order.facts()), missing);
            assert_eq!(judge(&*engine, &order), first);
            Ok(())
        });
        same.unwrap_or_else(|error| panic!("{error}"));
    }
}
