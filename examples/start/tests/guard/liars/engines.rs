use std::sync::Arc;

use custody_chain::EvmDecoder;
use custody_core::caip::ChainId;
use custody_core::command::Command;
use custody_core::custodian::{Answer, Custodian, OpenError, Outcome};
use custody_core::effect::Effect;
use custody_core::replay::{ReplayError, Report};
use custody_core::seam::{Decoder, PolicyDocument};
use custody_testkit::policy::{EngineLie, LyingCompiler, TestRules};
use examples_start::house;

use super::{furnish, genesis, refusal, replay};
use crate::doubles::{EffectDecoder, effects, transfer, transfer_of};
use crate::host::Host;
use crate::world::words;

/// Rules of the house, before those about money.
const HOUSE: &str = "allow create_wallet\nallow create_key\nneed treasurer 1 update_policy\n";

/// A host whose engine lies.
struct Cheated {
    host: Host,
    custodian: Custodian,
}

fn decoders() -> Vec<Arc<dyn Decoder>> {
    vec![Arc::new(EvmDecoder::new()), Arc::new(EffectDecoder::new())]
}

/// A beginning with a lying engine.
async fn begin(lie: EngineLie, rules: &str) -> Result<(Host, Custodian), OpenError> {
    let mut host = Host::new();
    host.compiler = Arc::new(LyingCompiler::new(lie));
    let builder = host.builder().await.backend(host.backend());
    let builder = builder.decoder(Arc::new(EffectDecoder::new()));
    let custodian = builder.create(genesis(&host, rules)).await?;
    Ok((host, custodian))
}

impl Cheated {
    /// A custodian with a wallet and a key under the rules of the house and these.
    async fn new(lie: EngineLie, money: &str) -> Self {
        let (host, custodian) = begin(lie, &format!("{HOUSE}{money}")).await.unwrap();
        let chain = ChainId::parse("eip155:1").unwrap();
        assert_eq!(furnish(&host, &custodian, &chain).await, ["released", "released"], "{lie:?}");
        Self { host, custodian }
    }

    /// What becomes of an order with these effects, as long as nobody approves it.
    async fn ask(&self, id: &str, list: &[Effect]) -> String {
        let request = effects(&self.host.people.olivia, id, list);
        words::of(&self.custodian.submit(request).await)
    }

    /// What becomes of it when two treasurers approve.
    async fn finish(&self, id: &str, list: &[Effect]) -> String {
        let request = effects(&self.host.people.olivia, id, list);
        words::of(&self.host.finish(&self.custodian, request).await)
    }

    fn signatures(&self) -> usize {
        self.host.keys.sign_calls()
    }

    /// What somebody finds who has an honest engine.
    async fn replay(&self) -> Result<Report, ReplayError> {
        let (rules, decoders) = (Arc::new(TestRules::new()), decoders());
        replay(&self.host.store, self.custodian.id(), rules, decoders).await
    }

    async fn assert_noticed(&self, what: &str) {
        let noticed = self.replay().await;
        assert!(matches!(noticed, Err(ReplayError::Decision { .. })), "{what}: {noticed:?}");
    }
}

#[tokio::test]
async fn an_order_that_an_engine_allows_in_spite_of_an_error_is_denied() {
    let cheated = Cheated::new(EngineLie::AllowsOnError, "allow transfer\nerror transfer\n").await;
    assert_eq!(cheated.finish("paid", &[transfer(1_u64)]).await, "denied no-permit line-5-error");
    assert_eq!(cheated.signatures(), 0);
    assert_eq!(cheated.replay().await.unwrap().released, 0);
}

#[tokio::test]
async fn an_order_of_nothing_that_an_engine_would_allow_is_not_made() {
    let cheated = Cheated::new(EngineLie::AllowsNothing, "allow transfer\n").await;
    let before = cheated.host.store.snapshot().events().len();
    let heard = cheated.finish("nothing", &[]).await;
    assert!(heard.starts_with("the payload cannot be decoded"), "{heard}");
    assert_eq!(cheated.host.store.snapshot().events().len(), before);
    assert_eq!(cheated.signatures(), 0);
}

#[tokio::test]
async fn a_broken_rule_set_that_a_compiler_accepts_does_not_come_into_force() {
    let rules = format!("{HOUSE}nonsense\n");
    let begun = begin(EngineLie::AcceptsBrokenSets, &rules).await;
    assert!(matches!(begun, Err(OpenError::Custodian(_))), "{:?}", begun.err());
    let cheated = Cheated::new(EngineLie::AcceptsBrokenSets, "allow transfer\n").await;
    let before = cheated.custodian.policy();
    let mut policy = house::policy().unwrap();
    policy.rules = rules;
    let policy = String::from_utf8(policy.to_bytes().unwrap()).unwrap();
    let update = Command::UpdatePolicy { policy };
    let refused = cheated.host.govern(&cheated.custodian, "update", update).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(cheated.custodian.policy(), before);
    assert_eq!(cheated.finish("paid", &[transfer(1_u64)]).await, "released");
    assert_eq!(cheated.replay().await.unwrap().released, 1);
}

#[tokio::test]
async fn advice_that_one_approval_is_enough_releases_nothing() {
    let cheated = Cheated::new(EngineLie::ClaimsTooLittle, "need treasurer 2 transfer\n").await;
    let (host, custodian) = (&cheated.host, &cheated.custodian);
    let request = effects(&host.people.olivia, "paid", &[transfer(1_u64)]);
    let order = custodian.submit(request).await.unwrap();
    let Outcome::Pending { missing } = &order.outcome else { panic!("{order:?}") };
    assert_eq!(missing[0].approvals.values().sum::<u32>(), 1, "the lie is not told");
    assert_eq!(approve(&cheated, &order, 0).await, "pending");
    assert_eq!(words::of(&custodian.judge_again(&order.order).await), "pending");
    assert_eq!(cheated.signatures(), 0);
    assert_eq!(approve(&cheated, &order, 1).await, "released");
    assert_eq!((cheated.signatures(), cheated.replay().await.unwrap().released), (1, 1));
}

/// What becomes of an order when a treasurer approves it.
async fn approve(cheated: &Cheated, order: &Answer, who: usize) -> String {
    let people = &cheated.host.people;
    let person = [&people.theo, &people.tara][who];
    words::of(&cheated.host.approve(&cheated.custodian, person, order).await)
}

#[tokio::test]
async fn advice_that_an_order_waits_for_nothing_releases_nothing() {
    let cheated = Cheated::new(EngineLie::NeverSaysNever, "allow transfer\ndeny transfer\n").await;
    assert_eq!(cheated.finish("paid", &[transfer(1_u64)]).await, "pending");
    assert_eq!(cheated.signatures(), 0);
    assert_eq!(cheated.replay().await.unwrap().released, 0);
}

#[tokio::test]
async fn what_is_recorded_of_a_decision_is_the_rules_own_digest_whatever_the_engine_says() {
    let cheated = Cheated::new(EngineLie::WrongId, "allow transfer\n").await;
    let mut policy = house::policy().unwrap();
    policy.rules = format!("{HOUSE}allow transfer\n");
    let id = PolicyDocument::id_of(&policy.to_bytes().unwrap());
    assert_eq!(cheated.custodian.policy(), id);
    assert_eq!(cheated.finish("paid", &[transfer(1_u64)]).await, "released");
    assert_eq!(cheated.replay().await.unwrap().released, 1);
}

/// Engines whose judgement itself is wrong: nobody but another engine can know.
#[tokio::test]
async fn a_release_by_an_engine_that_misjudged_is_found_by_an_honest_one() {
    let both = [transfer(1_u64), Effect::Deploy];
    let unknown = [transfer_of("eip155:1/slip44:61", 1_u64)];
    let plain = [transfer(1_u64)];
    let rows: [(EngineLie, &str, &[Effect]); 2] = [
        (EngineLie::AllowsWithoutDecimals, "allow transfer\n", &unknown),
        (EngineLie::ReadsTheFirstEffect, "allow transfer\ndeny deploy\n", &both),
    ];
    for (lie, rules, list) in rows {
        let cheated = Cheated::new(lie, rules).await;
        assert_eq!(cheated.ask("plain", &plain).await, "released", "{lie:?}");
        assert_eq!(cheated.replay().await.unwrap().released, 1, "{lie:?}");
        assert_eq!(cheated.ask("wrong", list).await, "released", "{lie:?}: the lie is not told");
        cheated.assert_noticed(&format!("{lie:?}")).await;
    }
}

/// Engines that contradict themselves from call to call, or from compilation to compilation.
#[tokio::test]
async fn an_engine_that_contradicts_itself_is_found_by_an_honest_one() {
    for lie in [EngineLie::Alternates, EngineLie::DiffersByCompilation] {
        // These rules permit nobody anything but to replace them.
        let begun = begin(lie, "need treasurer 1 update_policy\n").await;
        let (host, custodian) = begun.map_err(|error| refusal(&error)).unwrap();
        let chain = ChainId::parse("eip155:1").unwrap();
        let heard = furnish(&host, &custodian, &chain).await;
        assert!(heard.contains(&"released".to_owned()), "{lie:?}: the lie is not told: {heard:?}");
        Cheated { host, custodian }.assert_noticed(&format!("{lie:?}")).await;
    }
}
