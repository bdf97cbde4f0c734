//! Backends whose signatures do not verify, and orders whose outcome is not known.

use std::sync::Arc;

use async_trait::async_trait;
use custody_chain::EvmDecoder;
use custody_core::command::{Command, Resolution};
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::custodian::{Answer, Outcome};
use custody_core::id::{BackendId, BackendIdentity, KeyId, OrderId, WalletId};
use custody_core::key::KeyState;
use custody_core::seam::{
    BackendError, ContextAccount, DecodeContext, Decoder, ErrorKind, Health, KeyBackend, KeyHandle,
    KeyRecord, KeyRequest, NewKey, RecordKey, Signer, Store, TaskInput, TaskSignature,
};
use custody_testkit::backend::{BackendCall, BackendLie, LyingBackend, MemoryBackend};
use custody_testkit::fault::{Fault, Happened};
use custody_testkit::key::TestKey;
use examples_start::transactions::sender;

use crate::world::work::{ETH, FEE, KNOWN, command};
use crate::world::{Kind, Setup, World, words};

const SMALL: u128 = ETH / 2;

fn hot() -> KeyId {
    KeyId::parse("hot.0").unwrap()
}

#[tokio::test]
async fn a_signature_that_does_not_verify_is_not_released_and_suspends_the_key() {
    for lie in [
        BackendLie::SignsByAnotherAlgorithm,
        BackendLie::SignsByAnotherKey,
        BackendLie::SignsTheDigest,
        BackendLie::SignsZeros,
    ] {
        let backend = LyingBackend::new("software", 1, lie);
        let setup = Setup::new(Kind::Memory).keys(Arc::new(backend));
        let world = World::with(setup).await;
        let answer = world.pay(SMALL, KNOWN, "lied").await;
        assert_eq!(words::of(&answer), "unknown BadSignature", "{lie:?}");
        let story = ["submitted", "allowed", "unknown BadSignature suspends hot.0"];
        assert_eq!(world.story_of("lied").await, story, "{lie:?}");
        assert_eq!(world.custodian.key(&hot()).unwrap().state(), KeyState::Suspended);
        let next = world.pay(SMALL, KNOWN, "next").await;
        assert_eq!(words::of(&next), "denied key-state", "{lie:?}");
        assert_eq!(world.sign_calls(), 1, "{lie:?}");
        world.done("resume", Command::ResumeKey { key: hot() }).await;
        let probe = world.pay(SMALL, KNOWN, "probe").await.unwrap();
        assert_eq!(words::of_outcome(&probe.outcome), "unknown BadSignature", "{lie:?}");
        assert_eq!(world.spent_at(&probe.order).await, (2 * (SMALL + FEE)).into(), "{lie:?}");
        assert_eq!(world.verify().await.report.released, 0, "{lie:?}");
    }
}

/// A backend whose signatures are cut short, as it finds when it reads them.
#[derive(Debug)]
struct Cutting {
    inner: MemoryBackend,
    left: usize,
}

#[derive(Debug)]
struct CuttingSigner {
    inner: Arc<dyn Signer>,
    left: usize,
}

#[async_trait]
impl Signer for CuttingSigner {
    fn algorithm(&self) -> Algorithm {
        self.inner.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        self.inner.public_key()
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        let signature = self.inner.sign(input).await?;
        Signature::from_bytes(self.algorithm(), &signature.as_bytes()[..self.left])
            .map_err(|error| BackendError::new(ErrorKind::Corrupt, "sign").with_source(error))
    }
}

#[async_trait]
impl KeyBackend for Cutting {
    fn id(&self) -> &BackendId {
        self.inner.id()
    }

    fn identity(&self) -> &BackendIdentity {
        self.inner.identity()
    }

    fn algorithms(&self) -> &[Algorithm] {
        self.inner.algorithms()
    }

    fn in_process(&self) -> bool {
        true
    }

    async fn generate(&self, request: &KeyRequest) -> Result<NewKey, BackendError> {
        self.inner.generate(request).await
    }

    async fn signer(&self, key: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        let inner = self.inner.signer(key).await?;
        Ok(Arc::new(CuttingSigner { inner, left: self.left }))
    }

    async fn health(&self) -> Health {
        self.inner.health().await
    }
}

#[tokio::test]
async fn a_truncated_or_empty_signature_is_not_released_and_suspends_the_key() {
    for left in [63, 1, 0] {
        let inner = MemoryBackend::seeded("software", 7);
        let setup = Setup::new(Kind::Memory).keys(Arc::new(Cutting { inner, left }));
        let world = World::with(setup).await;
        assert_eq!(words::of(&world.pay(SMALL, KNOWN, "cut").await), "unknown Corrupt", "{left}");
        let story = ["submitted", "allowed", "unknown Corrupt suspends hot.0"];
        assert_eq!(world.story_of("cut").await, story, "{left}");
        assert_eq!(world.custodian.key(&hot()).unwrap().state(), KeyState::Suspended);
        assert_eq!(words::of(&world.pay(SMALL, KNOWN, "next").await), "denied key-state");
        world.done("resume", Command::ResumeKey { key: hot() }).await;
        let probe = world.pay(SMALL, KNOWN, "probe").await.unwrap();
        assert_eq!(world.spent_at(&probe.order).await, (2 * (SMALL + FEE)).into(), "{left}");
        assert_eq!(world.verify().await.report.released, 0, "{left}");
    }
}

#[tokio::test]
async fn an_old_signature_over_other_bytes_is_not_released() {
    let backend = LyingBackend::new("software", 1, BackendLie::Replays);
    let world = World::with(Setup::new(Kind::Memory).keys(Arc::new(backend))).await;
    assert_eq!(words::of(&world.pay(SMALL, KNOWN, "first").await), "released");
    assert_eq!(words::of(&world.pay(SMALL, KNOWN, "second").await), "unknown BadSignature");
    assert_eq!(world.verify().await.report.released, 1);
}

#[tokio::test]
async fn a_high_s_signature_is_normalised_and_released() {
    let backend = MemoryBackend::seeded("software", 7).with_high_s();
    let world = World::with(Setup::new(Kind::Memory).keys(Arc::new(backend))).await;
    for number in 0..8 {
        let answer = world.pay(SMALL, KNOWN, &format!("high-{number}")).await.unwrap();
        let Outcome::Released(release) = answer.outcome else { panic!("{:?}", answer.outcome) };
        assert!(release.signatures[0].signature.as_bytes()[32] < 0x80, "s is high");
        let account = world.custodian.key(&hot()).unwrap().account().unwrap().clone();
        assert_eq!(sender(&release.signed.unwrap()).unwrap(), account.address());
    }
    assert_eq!(world.verify().await.report.released, 8);
}

/// A world with an order of unknown outcome, of which the backend made a signature.
async fn lost(kind: Kind) -> (World, Answer) {
    let world = World::new(kind).await;
    world.backend.plan().next(BackendCall::Sign, Fault::Hang { happened: Happened::Yes });
    let answer = world.drive(world.pay(SMALL, KNOWN, "lost")).await.unwrap();
    assert_eq!(words::of_outcome(&answer.outcome), "unknown TimedOut");
    (world, answer)
}

fn resolve(order: &OrderId, resolution: Resolution) -> Command {
    Command::ResolveOrder { order: order.clone(), resolution }
}

fn failed(reason: &str) -> Resolution {
    Resolution::Failed { reason: reason.to_owned() }
}

/// What the backend signs for a payload, asked beside the custodian.
async fn signature_of(world: &World, wei: u128, nonce_of: &str) -> TaskSignature {
    let custody_core::custodian::RequestedWork::Payload { payload, .. } =
        world.request(wei, KNOWN, nonce_of).work
    else {
        panic!("a payload");
    };
    let key = world.custodian.key(&hot()).unwrap();
    let (wallet, public_key) = (WalletId::parse("hot").unwrap(), key.public_key().clone());
    let context = DecodeContext {
        v: 1,
        wallet: wallet.clone(),
        chain: world.custodian.wallet(&wallet).unwrap().chain().clone(),
        accounts: vec![ContextAccount { key: hot(), public_key: public_key.clone(), path: None }],
        descriptors: Vec::new(),
    };
    let intent = EvmDecoder::new().decode(&payload, &context).unwrap();
    let input: &TaskInput = &intent.tasks[0].input;
    let handle = RecordKey::parse("handle/hot.0").unwrap();
    let handle = world.store.inner().get(&handle).await.unwrap().unwrap().value;
    let record = KeyRecord {
        custodian: world.custodian.id(),
        wallet,
        key: hot(),
        public_key: public_key.clone(),
        handle: KeyHandle::new(handle),
    };
    let signer = world.setup.keys.signer(&record).await.unwrap();
    let signature = signer.sign(input.as_input()).await.unwrap();
    let signature = signature.checked(&public_key, input.as_input()).unwrap();
    TaskSignature { key: hot(), signature }
}

#[tokio::test]
async fn an_unknown_order_that_is_resolved_to_failed_returns_its_reservation() {
    for kind in Kind::ALL {
        let (mut world, order) = lost(kind).await;
        let reason = "the token's own log shows no use of the key";
        let id = &order.order;
        let waits = world
            .submit(command(&world.people.olivia, "resolve", resolve(id, failed(reason))))
            .await
            .unwrap();
        assert_eq!(words::of_outcome(&waits.outcome), "pending", "one person alone");
        assert_eq!(words::of(&world.order(id).await), "unknown TimedOut");
        assert_eq!(words::of(&world.approve_all(waits).await), "released");
        for _life in 0..2 {
            assert_eq!(words::of(&world.order(id).await), "failed Resolved");
            assert_eq!(words::of(&world.pay(SMALL, KNOWN, "lost").await), "failed Resolved");
            world = world.reopen().await;
        }
        let probe = world.pay(SMALL, KNOWN, "probe").await.unwrap();
        assert_eq!(world.spent_at(&probe.order).await, (SMALL + FEE).into(), "{kind:?}");
        let twice = world.govern("twice", resolve(id, failed(reason))).await;
        assert!(twice.is_err(), "{twice:?}");
        let _oracle = world.verify().await;
    }
}

#[tokio::test]
async fn an_unknown_order_is_resolved_to_signed_only_with_signatures_that_verify() {
    let (mut world, order) = lost(Kind::Sqlite).await;
    let right = signature_of(&world, SMALL, "lost").await;
    let other = signature_of(&world, SMALL + 1, "lost").await;
    let stranger = TestKey::seeded(Algorithm::EcdsaSecp256k1, 5);
    let digest = custody_core::digest::Digest::of(b"anything");
    let input = custody_core::crypto::SignInput::Prehash(digest.as_bytes());
    let foreign = TaskSignature { key: hot(), signature: stranger.sign(input).unwrap() };
    let zeros = Signature::from_bytes(Algorithm::EcdsaSecp256k1, &[1; 64]).unwrap();
    let zeros = TaskSignature { key: hot(), signature: zeros };
    let misnamed =
        TaskSignature { key: KeyId::parse("cold.0").unwrap(), signature: right.signature.clone() };
    for (name, signatures) in [
        ("none", vec![]),
        ("over other bytes", vec![other]),
        ("by another key", vec![foreign]),
        ("malformed", vec![zeros]),
        ("under another name", vec![misnamed]),
        ("one too many", vec![right.clone(), right.clone()]),
    ] {
        let resolution = Resolution::Signed { signatures };
        let refused =
            world.govern(&name.replace(' ', "-"), resolve(&order.order, resolution)).await;
        assert!(refused.is_err(), "{name}: {refused:?}");
        assert_eq!(words::of(&world.order(&order.order).await), "unknown TimedOut", "{name}");
    }
    let resolution = Resolution::Signed { signatures: vec![right] };
    world.done("right", resolve(&order.order, resolution)).await;
    let first = world.order(&order.order).await;
    assert_eq!(words::of(&first), "released");
    world = world.reopen().await;
    let later = world.order(&order.order).await;
    assert_eq!(words::in_full(&later), words::in_full(&first));
    assert_eq!(world.sign_calls(), 1);
    let probe = world.pay(SMALL, KNOWN, "probe").await.unwrap();
    assert_eq!(world.spent_at(&probe.order).await, (2 * (SMALL + FEE)).into());
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn a_resolution_needs_a_reason_and_an_order_that_is_unknown() {
    let (world, order) = lost(Kind::Memory).await;
    let released = world.pay(SMALL, KNOWN, "released").await.unwrap();
    let waits = world.pay(20 * ETH, KNOWN, "waits").await.unwrap();
    let long = "x".repeat(501);
    for (name, id, reason) in [
        ("empty-reason", &order.order, ""),
        ("long-reason", &order.order, long.as_str()),
        ("line-break", &order.order, "two\nlines"),
        ("released-order", &released.order, "no"),
        ("pending-order", &waits.order, "no"),
    ] {
        let refused = world.govern(name, resolve(id, failed(reason))).await;
        assert!(refused.is_err(), "{name}: {refused:?}");
    }
    assert_eq!(words::of(&world.order(&order.order).await), "unknown TimedOut");
    world.done("longest", resolve(&order.order, failed(&"x".repeat(500)))).await;
    assert_eq!(words::of(&world.order(&order.order).await), "failed Resolved");
    let _oracle = world.verify().await;
}
