//! Decoders, engines and backends that panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use custody_chain::EvmDecoder;
use custody_core::amount::Units;
use custody_core::caip::{AccountId, ChainId};
use custody_core::command::Command;
use custody_core::crypto::PublicKey;
use custody_core::custodian::{Error, OpenError};
use custody_core::effect::Effect;
use custody_core::id::{DecoderId, EngineId, PayloadFormat, PolicyId};
use custody_core::seam::{
    DecodeContext, DecodeError, Decoder, Facts, Intent, Judgement, Missing, Payload,
    PolicyCompiler, PolicyDocument, PolicyEngine, PolicyError, TaskSignature,
};
use custody_policy::CedarCompiler;
use custody_testkit::backend::MemoryBackend;
use examples_start::house::{self, TREASURY};

use crate::world::work::{self, ETH, KNOWN};
use crate::world::{Kind, Setup, World, words};

/// Amounts in wei that make a double panic.
const DECODE: u128 = 13;
const DECODE_AGAIN: u128 = 14;
const ASSEMBLE: u128 = 15;
const JUDGE: u128 = 16;
const MISSING: u128 = 20 * ETH + 17;
/// Rules with this text make the armed compiler panic.
const RULES: &str = "// as asked";

/// The EVM decoder, which panics over some amounts while it is armed.
#[derive(Debug)]
struct PanickingDecoder {
    inner: EvmDecoder,
    armed: AtomicBool,
    again: AtomicUsize,
}

fn pays(effects: &[Effect], wei: u128) -> bool {
    let amounts = effects.iter().filter_map(Effect::amount);
    amounts.into_iter().any(|amount| amount.units() == Units::from(wei))
}

impl Decoder for PanickingDecoder {
    fn id(&self) -> &DecoderId {
        self.inner.id()
    }

    fn reads(&self, format: &PayloadFormat, chain: &ChainId) -> bool {
        self.inner.reads(format, chain)
    }

    fn account(&self, chain: &ChainId, key: &PublicKey) -> Option<AccountId> {
        self.inner.account(chain, key)
    }

    fn decode(&self, payload: &Payload, context: &DecodeContext) -> Result<Intent, DecodeError> {
        let intent = self.inner.decode(payload, context)?;
        if self.armed.load(Ordering::SeqCst) {
            assert!(!pays(&intent.effects, DECODE), "as asked");
            if pays(&intent.effects, DECODE_AGAIN) {
                assert_eq!(self.again.fetch_add(1, Ordering::SeqCst), 0, "as asked");
            }
        }
        Ok(intent)
    }

    fn assemble(
        &self,
        payload: &Payload,
        context: &DecodeContext,
        signatures: &[TaskSignature],
    ) -> Result<Vec<u8>, DecodeError> {
        let intent = self.inner.decode(payload, context)?;
        let armed = self.armed.load(Ordering::SeqCst);
        assert!(!(armed && pays(&intent.effects, ASSEMBLE)), "as asked");
        self.inner.assemble(payload, context, signatures)
    }
}

/// Cedar's compiler, whose engines panic over some amounts.
#[derive(Debug)]
struct PanickingCompiler {
    inner: CedarCompiler,
    id: EngineId,
    armed: AtomicBool,
}

impl PanickingCompiler {
    fn new(armed: bool) -> Self {
        let id = EngineId::parse("panicking/1").unwrap();
        let inner = CedarCompiler::new().unwrap();
        Self { inner, id, armed: AtomicBool::new(armed) }
    }
}

#[derive(Debug)]
struct PanickingEngine(Arc<dyn PolicyEngine>);

impl PolicyCompiler for PanickingCompiler {
    fn engine(&self) -> &EngineId {
        &self.id
    }

    fn compile(&self, rules: &PolicyDocument) -> Result<Arc<dyn PolicyEngine>, PolicyError> {
        let armed = self.armed.load(Ordering::SeqCst);
        assert!(!(armed && rules.rules.ends_with(RULES)), "as asked");
        Ok(Arc::new(PanickingEngine(self.inner.compile(rules)?)))
    }
}

impl PanickingEngine {
    fn panic_over(facts: &Facts<'_>, wei: u128) {
        let amounts = facts.effects.iter().filter_map(|facts| facts.effect.amount());
        let asked = amounts.into_iter().any(|amount| amount.units() == Units::from(wei));
        assert!(!asked, "as asked");
    }
}

impl PolicyEngine for PanickingEngine {
    fn id(&self) -> PolicyId {
        self.0.id()
    }

    fn judge(&self, facts: &Facts<'_>) -> Judgement {
        Self::panic_over(facts, JUDGE);
        self.0.judge(facts)
    }

    fn missing(&self, facts: &Facts<'_>) -> Missing {
        Self::panic_over(facts, MISSING);
        self.0.missing(facts)
    }
}

async fn world() -> (World, Arc<PanickingDecoder>) {
    let decoder = Arc::new(PanickingDecoder {
        inner: EvmDecoder::new(),
        armed: AtomicBool::new(true),
        again: AtomicUsize::new(0),
    });
    let mut setup = Setup::new(Kind::Memory);
    setup.decoders = vec![Arc::<PanickingDecoder>::clone(&decoder)];
    setup.compiler = Arc::new(PanickingCompiler::new(true));
    (World::with(setup).await, decoder)
}

#[tokio::test]
async fn whoever_panics_releases_nothing_and_the_others_are_served() {
    let decoder_panicked = "the payload cannot be decoded: the decoder panicked";
    let signed: &[&str] = &["submitted", "allowed", "signed"];
    let rows: [(&str, u128, &str, &[&str], usize); 5] = [
        ("decode", DECODE, decoder_panicked, &[], 0),
        ("decode-again", DECODE_AGAIN, "failed Corrupt", &["submitted", "allowed"], 0),
        ("assemble", ASSEMBLE, decoder_panicked, signed, 1),
        ("judge", JUDGE, "denied engine-panic", &["submitted"], 0),
        ("missing", MISSING, "denied no-permit", &["submitted"], 0),
    ];
    for (name, wei, heard, story, calls) in rows {
        let (world, decoder) = world().await;
        let (answer, other) =
            tokio::join!(world.pay(wei, KNOWN, name), world.pay(ETH / 2, KNOWN, "beside"));
        assert!(words::of(&answer).starts_with(heard), "{name}: {}", words::of(&answer));
        assert_eq!(words::of(&other), "released", "{name}");
        let stored = world.story_of(name).await;
        assert_eq!(stored[..story.len()], *story, "{name}: {stored:?}");
        assert_eq!(world.sign_calls(), calls + 1, "{name}");
        decoder.armed.store(false, Ordering::SeqCst);
        assert_eq!(words::of(&world.pay(ETH / 2, KNOWN, "next").await), "released", "{name}");
        let _oracle = world.verify().await;
        world.custodian.close().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_panicking_decoder_did_not_deliver_is_delivered_once_it_no_longer_panics() {
    let (world, decoder) = world().await;
    assert!(world.pay(ASSEMBLE, KNOWN, "assemble").await.is_err());
    decoder.armed.store(false, Ordering::SeqCst);
    assert_eq!(words::of(&world.pay(ASSEMBLE, KNOWN, "assemble").await), "released");
    assert_eq!(world.sign_calls(), 1);
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn a_backend_that_panics_leaves_an_unknown_order_and_the_custodian_goes_on() {
    let backend = MemoryBackend::seeded("software", 7);
    let keys = Arc::new(backend.clone());
    let world = World::with(Setup::new(Kind::Memory).keys(keys)).await;
    assert_eq!(words::of(&world.pay(ETH / 2, KNOWN, "before").await), "released");
    backend.close();
    for request in ["one", "two"] {
        let answer = world.drive(world.pay(ETH / 2, KNOWN, request)).await;
        assert_eq!(words::of(&answer), "unknown Interrupted");
    }
    let waits = world.pay(20 * ETH, KNOWN, "waits").await;
    assert_eq!(words::of(&waits), "pending");
    assert_eq!(world.verify().await.report.released, 1);
    world.drive(world.custodian.close()).await.unwrap();
}

/// The command that puts rules in force over which the armed compiler panics.
fn update() -> Command {
    let mut policy = house::policy().unwrap();
    policy.rules = format!("{TREASURY}\n{RULES}");
    Command::UpdatePolicy { policy: String::from_utf8(policy.to_bytes().unwrap()).unwrap() }
}

#[tokio::test]
async fn a_compiler_that_panics_refuses_the_rules() {
    let mut setup = Setup::new(Kind::Memory);
    setup.compiler = Arc::new(PanickingCompiler::new(true));
    let world = World::with(setup).await;
    let before = (world.custodian.policy(), world.events().await.len());
    let Err(Error::Policy(refused)) = world.govern("update", update()).await else {
        panic!("the rules are not refused");
    };
    assert_eq!(refused.findings[0].message, "the compiler panicked");
    assert_eq!((world.custodian.policy(), world.events().await.len()), before);
    assert_eq!(words::of(&world.pay(ETH / 2, KNOWN, "next").await), "released");
}

#[tokio::test]
async fn a_compiler_that_panics_when_rules_come_into_force_fails_their_order_alone() {
    let mut setup = Setup::new(Kind::Memory);
    let compiler = Arc::new(PanickingCompiler::new(false));
    setup.compiler = Arc::<PanickingCompiler>::clone(&compiler);
    let world = World::with(setup).await;
    let before = world.custodian.policy();
    let request = work::command(&world.people.olivia, "update", update());
    let waits = world.submit(request).await.unwrap();
    compiler.armed.store(true, Ordering::SeqCst);
    assert_eq!(words::of(&world.approve_all(waits).await), "failed Conflict");
    assert_eq!(world.custodian.policy(), before);
    assert_eq!(words::of(&world.pay(ETH / 2, KNOWN, "next").await), "released");
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn a_compiler_that_panics_over_the_rules_in_force_opens_nothing() {
    let mut setup = Setup::new(Kind::Memory);
    let compiler = Arc::new(PanickingCompiler::new(false));
    setup.compiler = Arc::<PanickingCompiler>::clone(&compiler);
    let world = World::with(setup).await;
    world.done("update", update()).await;
    compiler.armed.store(true, Ordering::SeqCst);
    let remains = world.leave().await;
    let refused = remains.try_open().await;
    assert!(matches!(refused, Err(OpenError::Custodian(Error::Policy(_)))), "{:?}", refused.err());
}
