//! The rules under which the governed path is measured are as many as is said of them.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use custody_core::amount::Amount;
use custody_core::caip::AssetId;
use custody_core::effect::Effect;
use custody_core::id::{RoleId, TierId, WalletId};
use custody_core::seam::{PolicyDocument, PolicyEngine};
use custody_policy::CedarEngine;
use custody_testkit::policy::OrderFacts;

#[test]
fn five_of_fifty_rules_can_match_a_transfer_with_its_fee() {
    let rules = benches::house::rules();
    let rules: Vec<_> = rules.split("@id(\"").skip(1).collect();
    let matching: Vec<_> = rules.iter().filter(|rule| can_match(rule)).map(|r| id(r)).collect();
    let expected = ["transfer", "fee", "hourly-limit", "order-limit", "no-replayable"];
    assert_eq!((rules.len(), matching), (50, expected.to_vec()));
}

fn id(rule: &str) -> &str {
    rule.split_once('"').unwrap().0
}

/// Whether the rule, once its conditions are taken away, speaks about the transfer or about its fee.
fn can_match(rule: &str) -> bool {
    let (scope, _) = rule.split_once("when {").unwrap_or((rule.trim().trim_end_matches(';'), ""));
    let document = PolicyDocument {
        v: 1,
        roles: vec![RoleId::parse("operator").unwrap()],
        tiers: ["hot", "warm", "cold"].map(|tier| TierId::parse(tier).unwrap()).into(),
        rules: format!("@id(\"{scope};"),
    };
    let engine = CedarEngine::new(&document).unwrap();
    let order =
        OrderFacts { wallet: WalletId::parse("hot").unwrap(), ..OrderFacts::new(&document) };
    let fee = Amount::new(AssetId::parse("eip155:1/slip44:60").unwrap(), 1_u64.into());
    let fee = order.clone().with(Effect::PayFee { amount: fee, rate: None });
    [order.with_transfer(1), fee].iter().any(|order| {
        let judgement = engine.judge(&order.facts());
        judgement.rules.iter().any(|named| named.as_str() == id(rule))
    })
}
