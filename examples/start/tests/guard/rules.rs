//! What the rules must deny whoever approves it.

use std::sync::Arc;

use custody_chain::EvmDecoder;
use custody_core::amount::{Asset, Units};
use custody_core::caip::AssetId;
use custody_core::command::Command;
use custody_core::custodian::{Answer, OpenError, Outcome, Request};
use custody_core::effect::{Effect, MessageKind};
use custody_core::id::RuleId;
use custody_core::seam::PolicyCompiler;
use examples_start::house::TREASURY;

use crate::doubles::{
    CompilerDouble, EffectDecoder, effects, is_governance, judgement, transfer, transfer_of,
};
use crate::host::Host;
use crate::world::work::{ETH, KNOWN, STRANGER};
use crate::world::{Kind, Setup, World};

/// A world that also reads lists of effects.
async fn world(rules: &str) -> World {
    let setup = Setup {
        decoders: vec![Arc::new(EvmDecoder::new()), Arc::new(EffectDecoder::new())],
        rules: rules.to_owned(),
        ..Setup::new(Kind::Memory)
    };
    World::with(setup).await
}

/// Submits, and has everybody approve as long as the order waits.
async fn finish(world: &World, request: Request) -> Answer {
    let answer = world.submit(request).await.unwrap();
    world.approve_all(answer).await.unwrap()
}

/// The order must be denied by this rule, whoever approves it, and no key be used.
async fn assert_denied(world: &World, request: Request, rule: &str) {
    let answer = finish(world, request).await;
    let Outcome::Denied { rules } = &answer.outcome else { panic!("not denied: {answer:?}") };
    assert!(rules.contains(&RuleId::parse(rule).unwrap()), "{rule} is not in {rules:?}");
    assert_eq!(world.sign_calls(), 0);
    world.verify().await;
}

#[tokio::test]
async fn a_forbid_that_fails_denies() {
    let overflow = "@id(\"overflow\") forbid (principal, action == Action::\"transfer\", resource) \
                    when { context.order.count + 9223372036854775807 > 0 };";
    let world = world(&format!("{TREASURY}\n{overflow}")).await;
    let request = || world.request(ETH / 2, KNOWN, "small");
    let said = world.custodian.simulate(request()).unwrap();
    assert_eq!((said.allowed, said.errors), (false, vec![RuleId::parse("overflow").unwrap()]));
    assert_denied(&world, request(), "overflow").await;
}

#[tokio::test]
async fn an_allowed_judgement_with_a_failed_rule_denies() {
    let compiler: Arc<dyn PolicyCompiler> = Arc::new(CompilerDouble::new(|facts| {
        let errors: &[&str] = if is_governance(facts) { &[] } else { &["failed"] };
        judgement(true, &["all"], errors)
    }));
    let world = World::with(Setup { compiler, ..Setup::new(Kind::Memory) }).await;
    assert_denied(&world, world.request(ETH / 2, KNOWN, "small"), "failed").await;
}

#[tokio::test]
async fn an_engine_that_panics_denies() {
    let compiler: Arc<dyn PolicyCompiler> = Arc::new(CompilerDouble::new(|facts| {
        assert!(is_governance(facts), "the engine panics, as it is told to");
        judgement(true, &["all"], &[])
    }));
    let world = World::with(Setup { compiler, ..Setup::new(Kind::Memory) }).await;
    assert_denied(&world, world.request(ETH / 2, KNOWN, "small"), "engine-panic").await;
}

#[tokio::test]
async fn an_engine_that_denies_all_orders_of_money_releases_none() {
    let compiler: Arc<dyn PolicyCompiler> =
        Arc::new(CompilerDouble::new(|facts| match is_governance(facts) {
            true => judgement(true, &["all"], &[]),
            false => judgement(false, &["no-permit"], &[]),
        }));
    let world = World::with(Setup { compiler, ..Setup::new(Kind::Memory) }).await;
    assert_denied(&world, world.request(ETH / 2, KNOWN, "small"), "no-permit").await;
}

#[tokio::test]
async fn an_empty_rule_set_is_no_beginning() {
    for rules in ["", "// nothing is permitted\n"] {
        let host = Host::new();
        let keys = host.backend();
        let refused = host.builder().await.backend(keys).create(host.genesis(rules)).await;
        assert!(matches!(refused, Err(OpenError::Custodian(_))), "{refused:?}");
        assert_eq!(host.store.snapshot().events().len(), 0);
    }
}

#[tokio::test]
async fn an_engine_that_denies_everything_is_no_beginning() {
    let mut host = Host::new();
    host.compiler = Arc::new(CompilerDouble::new(|_| judgement(false, &["no-permit"], &[])));
    let keys = host.backend();
    let refused = host.builder().await.backend(keys).create(host.genesis(TREASURY)).await;
    assert!(matches!(refused, Err(OpenError::Custodian(_))), "{refused:?}");
    assert_eq!(host.store.snapshot().events().len(), 0);
}

#[tokio::test]
async fn bytes_that_nobody_understood_are_denied() {
    let world = world(TREASURY).await;
    let kind = MessageKind::parse("unknown").unwrap();
    let opaque = [transfer(1_u64), Effect::SignOpaque { kind }];
    let request = effects(&world.people.olivia, "opaque", &opaque);
    assert_denied(&world, request, "no-opaque").await;
}

#[tokio::test]
async fn an_order_without_effects_is_not_made() {
    let world = world(TREASURY).await;
    let before = world.events().await.len();
    let answer = world.submit(effects(&world.people.olivia, "nothing", &[])).await;
    let is_released = answer.is_ok_and(|answer| matches!(answer.outcome, Outcome::Released(_)));
    assert!(!is_released);
    assert_eq!((world.events().await.len(), world.sign_calls()), (before, 0));
}

/// Known destinations may have anything, in any amount.
const ANYTHING: &str = "@id(\"anything\") permit (principal in Role::\"operator\", \
    action == Action::\"transfer\", resource in Tier::\"hot\") when { context.known };";

#[tokio::test]
async fn a_token_that_is_not_registered_is_denied_even_if_anything_is_permitted() {
    let world = world(&format!("{TREASURY}\n{ANYTHING}")).await;
    let token = format!("eip155:1/erc20:{STRANGER}");
    let olivia = &world.people.olivia;
    let only = vec![transfer_of(&token, 1_u64)];
    let beside = vec![transfer(1_u64), transfer_of(&token, 1_u64)];
    for (id, payload) in [("only", &only), ("beside", &beside)] {
        let denied = finish(&world, effects(olivia, id, payload)).await;
        let rules = vec![RuleId::parse("no-permit").unwrap()];
        assert_eq!(denied.outcome, Outcome::Denied { rules }, "{id}");
        let said = world.custodian.simulate(effects(olivia, "said", payload)).unwrap();
        assert!(!said.allowed && said.missing.is_empty(), "{id}: {said:?}");
    }
    assert_eq!(world.sign_calls(), 0);
    let asset = Asset::new(AssetId::parse(&token).unwrap(), 6);
    world.done("register", Command::RegisterAsset { asset }).await;
    for (id, payload) in [("only", only), ("beside", beside)] {
        let stays = world.submit(effects(olivia, id, &payload)).await.unwrap();
        assert!(matches!(stays.outcome, Outcome::Denied { .. }), "{id}: {stays:?}");
        let again = effects(olivia, &format!("{id}-registered"), &payload);
        let released = world.submit(again).await.unwrap();
        assert!(matches!(released.outcome, Outcome::Released(_)), "{id}: {released:?}");
    }
    assert_eq!(world.sign_calls(), 2);
    world.verify().await;
}

#[tokio::test]
async fn amounts_that_overflow_are_denied() {
    let world = world(TREASURY).await;
    for (id, units) in
        [("twice", vec![Units::MAX, Units::MAX]), ("by-one", vec![Units::MAX, Units::from(1_u64)])]
    {
        let transfers: Vec<_> = units.into_iter().map(transfer).collect();
        let request = effects(&world.people.olivia, id, &transfers);
        assert_denied(&world, request, "amount-overflow").await;
    }
    let one = effects(&world.people.olivia, "most", &[transfer(Units::MAX)]);
    let answer = finish(&world, one).await;
    assert!(matches!(answer.outcome, Outcome::Denied { .. }), "{answer:?}");
    assert_eq!(world.sign_calls(), 0);
}

#[tokio::test]
async fn splitting_a_transfer_into_ten_gains_nothing() {
    let world = world(TREASURY).await;
    let olivia = &world.people.olivia;
    // One ether goes without approvals, a hundred with two.
    let ten = |units: u128| vec![transfer(units); 10];
    let small = effects(olivia, "small", &ten(ETH / 10));
    assert!(matches!(finish(&world, small).await.outcome, Outcome::Released(_)));
    let signed = world.sign_calls();
    let split = world.submit(effects(olivia, "split", &ten(9 * ETH / 10))).await.unwrap();
    assert!(matches!(split.outcome, Outcome::Pending { .. }), "{split:?}");
    let large = finish(&world, effects(olivia, "large", &ten(11 * ETH))).await;
    assert!(matches!(large.outcome, Outcome::Denied { .. }), "{large:?}");
    assert_eq!(world.sign_calls(), signed);
    world.verify().await;
}

#[tokio::test]
async fn rules_speak_about_a_signed_submission_by_its_signature_only() {
    let signed = "@id(\"unsigned\") forbid (principal, action == Action::\"transfer\", resource) \
                  unless { context.authn.signed };";
    let world = world(&format!("{TREASURY}\n{signed}")).await;
    let mut claimed = world.request(ETH / 2, KNOWN, "claimed");
    claimed.authentication.signed = true;
    assert_denied(&world, claimed, "unsigned").await;
    let mut request = world.request(ETH / 2, KNOWN, "signed");
    let digest = world.custodian.submission_digest(&request).unwrap();
    request.signature = Some(world.people.olivia.sign_submission(&digest));
    assert!(matches!(finish(&world, request).await.outcome, Outcome::Released(_)));
    world.verify().await;
}
