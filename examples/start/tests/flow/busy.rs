//! A custodian that cannot take more: who is refused hears so before any work is done for him, and
//! who was let in waits for nothing without an end.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use custody_chain::EvmDecoder;
use custody_core::caip::{AccountId, ChainId};
use custody_core::command::{Command, FreezeScope, KeyStart};
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::custodian::{Answer, Error};
use custody_core::id::{BackendId, DecoderId, KeyId, PayloadFormat, TierId, WalletId};
use custody_core::principal::Verb;
use custody_core::seam::{
    Clock, DecodeContext, DecodeError, Decoder, ErrorKind, Exportability, Intent, Payload,
    TaskSignature,
};
use custody_testkit::backend::BackendCall;
use custody_testkit::fault::{Fault, Gate, Happened};
use custody_testkit::store::StoreCall;
use futures::poll;

use crate::world::work::{ETH, FEE, KNOWN, command};
use crate::world::{Kind, Setup, World, words};

const SMALL: u128 = ETH / 2;
const FULL: &str = "busy: the queue is full";
const QUEUE: usize = 3;

/// The EVM decoder under a name of its own, whose uses are counted.
#[derive(Clone, Debug)]
struct Watched {
    id: DecoderId,
    uses: Arc<AtomicUsize>,
}

impl Watched {
    fn new(id: &str) -> Self {
        Self { id: DecoderId::parse(id).unwrap(), uses: Arc::default() }
    }

    fn uses(&self) -> usize {
        self.uses.load(Ordering::SeqCst)
    }
}

impl Decoder for Watched {
    fn id(&self) -> &DecoderId {
        &self.id
    }

    fn reads(&self, format: &PayloadFormat, chain: &ChainId) -> bool {
        EvmDecoder::new().reads(format, chain)
    }

    fn account(&self, chain: &ChainId, key: &PublicKey) -> Option<AccountId> {
        EvmDecoder::new().account(chain, key)
    }

    fn decode(&self, payload: &Payload, context: &DecodeContext) -> Result<Intent, DecodeError> {
        self.uses.fetch_add(1, Ordering::SeqCst);
        EvmDecoder::new().decode(payload, context)
    }

    fn assemble(
        &self,
        payload: &Payload,
        context: &DecodeContext,
        signatures: &[TaskSignature],
    ) -> Result<Vec<u8>, DecodeError> {
        EvmDecoder::new().assemble(payload, context, signatures)
    }
}

/// A world whose sequencer waits for its store until the gate is opened, and takes nothing meanwhile.
async fn stopped(world: &World) -> (Gate, impl Future<Output = Result<Answer, Error>>) {
    let gate = Gate::new();
    world.store.plan().next(StoreCall::Commit, Fault::fail_after(ErrorKind::Indeterminate));
    world.store.plan().next(StoreCall::Head, Fault::Hold(gate.clone()));
    let mut first = Box::pin(world.pay(SMALL, KNOWN, "first"));
    tokio::select! {
        biased;
        heard = &mut first => panic!("{}", words::of(&heard)),
        () = gate.reached_by(1) => {}
    }
    (gate, first)
}

#[tokio::test]
async fn a_full_queue_refuses_before_anything_is_decoded_verified_or_read() {
    for kind in Kind::ALL {
        let decoder = Watched::new("evm/9");
        let setup = Setup { decoders: vec![Arc::new(decoder.clone())], ..Setup::new(kind) };
        let world = World::with(setup.config(|config| config.queue = QUEUE)).await;
        assert_eq!(words::of(&world.pay(SMALL, KNOWN, "before").await), "released");
        let large = world.pay(20 * ETH, KNOWN, "large").await.unwrap();
        let (gate, first) = stopped(&world).await;
        let ids: Vec<_> = (0..QUEUE).map(|number| format!("waits-{number}")).collect();
        let mut waiting: Vec<_> =
            ids.iter().map(|id| Box::pin(world.pay(SMALL, KNOWN, id))).collect();
        for call in &mut waiting {
            assert!(poll!(call).is_pending(), "{kind:?}: there is a place for it");
        }
        let (uses, calls) = (decoder.uses(), world.store.plan().calls().len());
        for id in ["late", "late", "later"] {
            assert_eq!(words::of(&world.pay(SMALL, KNOWN, id).await), FULL, "{kind:?}");
        }
        let mut forged = world.says(&world.people.theo, Verb::Approve, &large);
        forged.statement.principal = world.people.tara.id.clone();
        assert_eq!(words::of(&world.custodian.approve(forged).await), FULL, "{kind:?}");
        assert_eq!((decoder.uses(), world.store.plan().calls().len()), (uses, calls));
        let before = world.pay(SMALL, KNOWN, "before").await;
        assert_eq!(words::of(&before), "released", "{kind:?}: an answer needs no place");
        gate.open();
        let mut heard = vec![words::of(&first.await)];
        for call in waiting {
            heard.push(words::of(&call.await));
        }
        assert_eq!(heard, vec!["released"; QUEUE + 1], "{kind:?}");
        assert_eq!(words::of(&world.pay(SMALL, KNOWN, "late").await), "released", "{kind:?}");
        assert_eq!(world.story_of("later").await, Vec::<String>::new(), "nothing was written");
        assert_eq!(world.verify().await.report.released, QUEUE as u64 + 3);
    }
}

#[tokio::test]
async fn a_hopeless_order_is_denied_though_the_queue_is_full() {
    for kind in Kind::ALL {
        let setup = Setup::new(kind).config(|config| config.queue = QUEUE);
        let world = World::with(setup).await;
        let mut hopeless = Box::pin(world.pay(1_000 * ETH, KNOWN, "hopeless"));
        assert!(poll!(&mut hopeless).is_pending());
        // What came later is done, so that the order is written and its caller could go on.
        assert_eq!(words::of(&world.pay(SMALL, KNOWN, "later").await), "released", "{kind:?}");
        assert_eq!(world.story_of("hopeless").await, ["submitted"], "{kind:?}");
        let (gate, first) = stopped(&world).await;
        let ids: Vec<_> = (0..QUEUE).map(|number| format!("waits-{number}")).collect();
        let mut waiting: Vec<_> =
            ids.iter().map(|id| Box::pin(world.pay(SMALL, KNOWN, id))).collect();
        for call in &mut waiting {
            assert!(poll!(call).is_pending(), "{kind:?}: there is a place for it");
        }
        assert_eq!(words::of(&world.pay(SMALL, KNOWN, "late").await), FULL, "{kind:?}");
        assert!(poll!(&mut hopeless).is_pending(), "{kind:?}: it needs no place");
        gate.open();
        let (first, hopeless, waiting) =
            tokio::join!(first, hopeless, futures::future::join_all(waiting));
        assert!(words::of(&hopeless).starts_with("denied "), "{}", words::of(&hopeless));
        for heard in [first].iter().chain(&waiting) {
            assert_eq!(words::of(heard), "released", "{kind:?}");
        }
        assert_eq!(world.verify().await.report.released, QUEUE as u64 + 2);
    }
}

#[tokio::test]
async fn whoever_stops_something_has_a_queue_of_his_own() {
    let setup = Setup::new(Kind::Memory).config(|config| config.queue = 1);
    let world = World::with(setup).await;
    let (gate, first) = stopped(&world).await;
    let mut waits = pin!(world.pay(SMALL, KNOWN, "waits"));
    assert!(poll!(&mut waits).is_pending());
    assert_eq!(words::of(&world.pay(SMALL, KNOWN, "late").await), FULL);
    let freeze = |id| {
        let scope = FreezeScope::Wallet(WalletId::parse("hot").unwrap());
        world.submit(command(&world.people.theo, id, Command::Freeze { scope }))
    };
    let mut frozen = pin!(freeze("freeze"));
    assert!(poll!(&mut frozen).is_pending());
    assert_eq!(words::of(&freeze("again").await), FULL, "it has an end too");
    gate.open();
    assert_eq!(words::of(&frozen.await), "released");
    assert!(!words::of(&waits.await).starts_with("released"), "it came after the freeze");
    let _heard = first.await;
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn everybody_behind_a_commit_of_unknown_fate_hears_so_at_once() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let hang = Fault::Hang { happened: Happened::No };
        world.store.plan().next(StoreCall::Commit, Fault::fail_after(ErrorKind::Indeterminate));
        world.store.plan().always(StoreCall::Head, hang);
        let looks = || world.store.plan().count(StoreCall::Head);
        let (before, looked) = (world.now(), looks());
        let ids: Vec<_> = (0..20).map(|number| format!("waits-{number}")).collect();
        let rest = async {
            while looks() == looked {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let calls = ids.iter().map(|id| world.pay(SMALL, KNOWN, id));
            futures::future::join_all(calls).await
        };
        let both = async { tokio::join!(world.pay(SMALL, KNOWN, "first"), rest) };
        let (first, rest) = world.drive(both).await;
        let waited = world.now().since(before);
        assert_eq!(words::of(&first), "indeterminate", "{kind:?}");
        for heard in &rest {
            assert_eq!(words::of(heard), "unavailable", "{kind:?}");
        }
        // Two looks at the store, of ten seconds each.
        assert!(waited < Duration::from_secs(30), "{kind:?}: {waited:?}");
        world.store.plan().clear();
        for id in ["first", "waits-0"] {
            let heard = loop {
                let heard = words::of(&world.drive(world.pay(SMALL, KNOWN, id)).await);
                if !heard.starts_with("unavailable") {
                    break heard;
                }
            };
            assert_eq!(heard, "released", "{kind:?}: {id}");
        }
        let _oracle = world.verify().await;
    }
}

/// Worlds whose backend has place for one call, which a payment holds for 19 seconds: nine until its
/// key is open, and ten in which it is not signed.
async fn occupied(setup: Setup) -> (World, Gate) {
    let world = World::with(setup.config(|config| config.backend_calls = 1)).await;
    let gate = Gate::new();
    world.backend.plan().next(BackendCall::Signer, Fault::Hold(gate.clone()));
    world.backend.plan().next(BackendCall::Sign, Fault::Hang { happened: Happened::No });
    (world, gate)
}

/// Opens the gate nine seconds from now.
async fn open_later(world: &World, gate: &Gate) {
    let until = world.clock.monotonic() + Duration::from_secs(9);
    world.clock.sleep_until(until).await;
    gate.open();
}

fn create_key(id: &str) -> Command {
    Command::CreateKey {
        wallet: WalletId::parse("hot").unwrap(),
        key: KeyId::parse(id).unwrap(),
        algorithm: Algorithm::EcdsaSecp256k1,
        exportability: Exportability::Never,
        start: KeyStart::Active,
    }
}

fn create_seed(id: &str) -> Command {
    Command::CreateWallet {
        wallet: WalletId::parse(id).unwrap(),
        chain: ChainId::parse("eip155:1").unwrap(),
        tier: TierId::parse("hot").unwrap(),
        backend: BackendId::parse("software").unwrap(),
        seed: Some(KeyId::parse(&format!("{id}-seed")).unwrap()),
    }
}

#[tokio::test]
async fn an_order_that_gets_no_place_in_its_backend_fails_in_time_and_gives_its_limit_back() {
    for kind in Kind::ALL {
        for setup in [Setup::new(kind), Setup::new(kind).in_process()] {
            let (world, gate) = occupied(setup).await;
            let before = world.now();
            let waits = async {
                gate.reached_by(1).await;
                let waits = world.pay(SMALL, KNOWN, "waits").await;
                (waits, world.now().since(before))
            };
            let made = async {
                gate.reached_by(1).await;
                world.govern("made", create_key("hot.1")).await
            };
            let all = async {
                tokio::join!(
                    world.pay(SMALL, KNOWN, "hangs"),
                    waits,
                    made,
                    open_later(&world, &gate)
                )
            };
            let (hangs, (waits, waited), made, ()) = world.drive(all).await;
            assert_eq!(words::of(&hangs), "unknown TimedOut", "{kind:?}");
            assert_eq!(words::of(&waits), "failed BackendUnavailable", "{kind:?}");
            assert_eq!(words::of(&made), "failed BackendUnavailable", "{kind:?}");
            assert!((10..18).contains(&waited.as_secs()), "{kind:?}: {waited:?}");
            assert_eq!((world.sign_calls(), has_key(&world, "hot.1")), (1, false), "{kind:?}");
            let probe = world.drive(world.pay(SMALL, KNOWN, "probe")).await.unwrap();
            let spent = 2 * (SMALL + FEE);
            assert_eq!(world.spent_at(&probe.order).await, spent.into(), "{kind:?}");
            assert_eq!(world.verify().await.report.released, 1);
        }
    }
}

fn has_key(world: &World, id: &str) -> bool {
    world.custodian.key(&KeyId::parse(id).unwrap()).is_some()
}

#[tokio::test]
async fn what_came_in_while_a_job_waited_for_its_place_stops_it() {
    for kind in Kind::ALL {
        let setup = Setup::new(kind).config(|config| config.backend_calls = 1);
        let (world, gate) = (World::with(setup).await, Gate::new());
        let seeded = command(&world.people.olivia, "seeded", create_seed("seeded"));
        let seeded = world.submit(seeded).await.unwrap();
        world.backend.plan().next(BackendCall::Sign, Fault::Hold(gate.clone()));
        let stop = async {
            // Both others are allowed, and wait.
            world.stored(&seeded.order, 3).await;
            while world.story_of("waits").await.len() < 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let key = KeyId::parse("hot.0").unwrap();
            world.done("suspended", Command::SuspendKey { key }).await;
            let principal = world.people.theo.id.clone();
            let removal =
                command(&world.people.olivia, "removed", Command::RemovePrincipal { principal });
            let removal = world.submit(removal).await.unwrap();
            let removed = world.approve(&world.people.tara, &removal).await;
            assert_eq!(words::of(&removed), "released");
            gate.open();
        };
        let others = async {
            gate.reached_by(1).await;
            tokio::join!(
                world.pay(SMALL, KNOWN, "waits"),
                world.approve(&world.people.theo, &seeded),
                stop
            )
        };
        let (signs, (waits, seeded, ())) = tokio::join!(world.pay(SMALL, KNOWN, "signs"), others);
        assert_eq!(words::of(&signs), "unknown KeyState", "{kind:?}: the key was in use");
        assert_eq!(words::of(&waits), "failed KeyState", "{kind:?}");
        assert_eq!(words::of(&seeded), "failed ApproverRemoved", "{kind:?}");
        assert_eq!(world.sign_calls(), 1, "{kind:?}");
        assert_eq!(world.backend.plan().count(BackendCall::GenerateSeed), 0, "{kind:?}");
        let _oracle = world.verify().await;
    }
}

#[tokio::test]
async fn an_order_of_another_version_of_the_decoder_uses_no_key_and_gives_its_limit_back() {
    for kind in Kind::ALL {
        let (first, second) = (Watched::new("evm/8"), Watched::new("evm/9"));
        let setup = Setup { decoders: vec![Arc::new(first.clone())], ..Setup::new(kind) };
        let world = World::with(setup).await;
        let order = world.pay(20 * ETH, KNOWN, "large").await.unwrap();
        let mut remains = world.crash().await;
        remains.setup.decoders = vec![Arc::new(second.clone())];
        let mut world = remains.open().await;
        let failed = world.approve_all(order).await;
        assert_eq!(words::of(&failed), "failed Corrupt", "{kind:?}");
        assert_eq!((world.sign_calls(), second.uses()), (0, 0), "{kind:?}");
        let probe = world.pay(SMALL, KNOWN, "probe").await.unwrap();
        assert_eq!(world.spent_at(&probe.order).await, (SMALL + FEE).into(), "{kind:?}");
        world.setup.decoders = vec![Arc::new(first), Arc::new(second)];
        assert_eq!(world.verify().await.report.released, 1);
    }
}
