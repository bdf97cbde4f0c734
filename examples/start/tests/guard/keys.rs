//! Keys at the end of their life, and backends that are not what they were.

use std::sync::Arc;
use std::time::Duration;

use custody_core::caip::ChainId;
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Custodian, Error, Outcome, Request, RequestedWork};
use custody_core::document::Hold;
use custody_core::id::{BackendId, KeyId, RequestId, TierId, WalletId};
use custody_core::key::KeyState;
use custody_core::ledger::CommandRefusal;
use custody_core::seam::{DerivationPath, ErrorKind, Exportability, KeyBackend};
use custody_testkit::backend::{BackendCall, BackendLie, LyingBackend, MemoryBackend};
use custody_testkit::fault::Fault;
use examples_start::house::TREASURY;

use crate::assert_released;
use crate::host::Host;
use crate::world::work::{ETH, KNOWN, payload};
use crate::world::{Kind, World};

fn key(text: &str) -> KeyId {
    KeyId::parse(text).unwrap()
}

fn hot() -> WalletId {
    WalletId::parse("hot").unwrap()
}

fn create_wallet(seed: Option<KeyId>) -> Command {
    Command::CreateWallet {
        wallet: hot(),
        chain: ChainId::parse("eip155:1").unwrap(),
        tier: TierId::parse("hot").unwrap(),
        backend: BackendId::parse("software").unwrap(),
        seed,
    }
}

fn create_key(id: &str) -> Command {
    Command::CreateKey {
        wallet: hot(),
        key: key(id),
        algorithm: Algorithm::EcdsaSecp256k1,
        exportability: Exportability::Never,
        start: KeyStart::Active,
    }
}

/// A world whose wallet `hot` has the keys `hot.0`, deactivated, and `hot.1`, active.
async fn retired() -> World {
    let world = World::new(Kind::Memory).await;
    world.done("successor", create_key("hot.1")).await;
    world.add_wallet("other").await;
    world.done("retire", Command::DeactivateKey { key: key("hot.0") }).await;
    world
}

/// The address that a key controls.
fn address(world: &World, id: &str) -> String {
    let key = world.custodian.key(&key(id)).unwrap();
    key.account().unwrap().address().to_owned()
}

/// A payment of a tenth of an ether from one key.
fn from_key(world: &World, id: &str, to: &str, request: &str) -> Request {
    let mut request = world.request(ETH / 10, to, request);
    if let RequestedWork::Payload { key: from, .. } = &mut request.work {
        *from = Some(key(id));
    }
    request
}

#[tokio::test]
async fn a_deactivated_key_sweeps_to_an_account_of_its_wallet_and_nowhere_else() {
    let world = retired().await;
    let elsewhere = [KNOWN.to_owned(), address(&world, "hot.0"), address(&world, "other.0")];
    for (index, to) in elsewhere.iter().enumerate() {
        let request = from_key(&world, "hot.0", to, &format!("elsewhere-{index}"));
        let denied = world.submit(request).await.unwrap();
        assert!(matches!(denied.outcome, Outcome::Denied { .. }), "{to}: {denied:?}");
    }
    assert_eq!(world.sign_calls(), 0);
    let successor = address(&world, "hot.1");
    let sweep = world.submit(from_key(&world, "hot.0", &successor, "sweep")).await.unwrap();
    let sweep = world.approve_all(sweep).await.unwrap();
    assert!(matches!(sweep.outcome, Outcome::Released(_)), "{sweep:?}");
    world.done("suspend", Command::SuspendKey { key: key("hot.1") }).await;
    let late = world.submit(from_key(&world, "hot.0", &successor, "late")).await.unwrap();
    assert!(matches!(late.outcome, Outcome::Denied { .. }), "{late:?}");
    assert_eq!(world.sign_calls(), 1);
    world.verify().await;
}

#[tokio::test]
async fn a_deactivated_key_is_on_at_its_backend_for_its_sweep_only() {
    use BackendCall::{Disable, Enable, Sign};
    let world = retired().await;
    let plan = world.backend.plan();
    world.until(|| plan.count(Disable) == 1).await;
    let successor = address(&world, "hot.1");
    let sweep = async |id| {
        let waits = world.submit(from_key(&world, "hot.0", &successor, id)).await.unwrap();
        world.approve_all(waits).await.unwrap().outcome
    };
    plan.next(Enable, Fault::fail(ErrorKind::Refused));
    assert_eq!(sweep("refused").await, Outcome::Failed { reason: Hold::BackendRefused });
    assert_eq!(world.sign_calls(), 0);
    world.until(|| plan.count(Disable) == 2).await;
    let swept = sweep("sweep").await;
    assert!(matches!(swept, Outcome::Released(_)), "{swept:?}");
    world.until(|| plan.count(Disable) == 3).await;
    let calls = plan.calls().into_iter().filter(|call| [Disable, Enable, Sign].contains(call));
    assert_eq!(calls.collect::<Vec<_>>(), [Disable, Enable, Disable, Enable, Sign, Disable]);
    world.verify().await;
}

#[tokio::test]
async fn a_destruction_waits_and_then_takes_the_handle_with_it() {
    let world = retired().await;
    let handle = |world: &World| {
        let mut records = world.tamper().records().into_iter();
        records.find(|record| record.key.as_str() == "handle/hot.0").map(|record| record.value)
    };
    let before = handle(&world).unwrap();
    let destroy = |wait_ms| Command::DestroyKey { key: key("hot.0"), wait_ms };
    world.done("destroy", destroy(60_000)).await;
    world.clock.advance(Duration::from_secs(50));
    world.done("cancel", Command::CancelDestroy { key: key("hot.0") }).await;
    world.clock.advance(Duration::from_secs(600));
    world.done("look", Command::ConfirmClock {}).await;
    assert_eq!(world.custodian.key(&key("hot.0")).unwrap().state(), KeyState::Deactivated);
    assert_eq!(handle(&world).unwrap(), before);

    world.done("again", destroy(60_000)).await;
    let state = || world.custodian.key(&key("hot.0")).unwrap().state();
    world.until(|| state() == KeyState::Destroyed).await;
    assert_ne!(handle(&world), Some(before), "the handle is still there");
    let successor = address(&world, "hot.1");
    let sweep = world.submit(from_key(&world, "hot.0", &successor, "sweep")).await.unwrap();
    assert!(matches!(sweep.outcome, Outcome::Denied { .. }), "{sweep:?}");
    assert_eq!(world.sign_calls(), 0);
    world.verify().await;
}

#[tokio::test]
async fn a_key_of_another_wallet_is_not_used() {
    let world = retired().await;
    let refused = world.submit(from_key(&world, "other.0", KNOWN, "foreign")).await;
    assert!(matches!(refused, Err(Error::NotFound { .. })), "{refused:?}");
    assert_eq!(world.sign_calls(), 0);
}

#[tokio::test]
async fn a_path_is_derived_once() {
    let world = World::empty(crate::world::Setup::new(Kind::Memory)).await;
    world.done("wallet", create_wallet(Some(key("seed")))).await;
    let derive = |id, path| Command::DeriveAccount {
        wallet: hot(),
        key: key(id),
        path: DerivationPath::parse(path).unwrap(),
        algorithm: Algorithm::EcdsaSecp256k1,
        start: KeyStart::Active,
    };
    world.done("first", derive("hot.0", "m/44'/60'/0'/0/0")).await;
    let twice = world.govern("twice", derive("hot.1", "m/44'/60'/0'/0/0")).await;
    let exists = CommandRefusal::Exists { what: "path" };
    assert!(matches!(&twice, Err(Error::Command(refusal)) if *refusal == exists), "{twice:?}");
    let taken = world.govern("taken", derive("hot.0", "m/44'/60'/0'/0/1")).await;
    assert!(matches!(taken, Err(Error::Command(_))), "{taken:?}");
    world.done("second", derive("hot.1", "m/44'/60'/0'/0/1")).await;
    world.verify().await;
}

/// Pays a tenth of an ether from the wallet `hot`.
async fn pay(host: &Host, custodian: &Custodian, id: &str) -> Outcome {
    let request = Request::payload(
        host.people.olivia.id.clone(),
        RequestId::parse(id).unwrap(),
        hot(),
        payload(ETH / 10, KNOWN, 1),
    );
    host.finish(custodian, request).await.unwrap().outcome
}

#[tokio::test]
async fn a_backend_that_gives_two_keys_as_one_is_not_believed() {
    let host = Host::new();
    let lying = Arc::new(LyingBackend::new("software", 7, BackendLie::SharesKeys));
    let keys: Arc<dyn KeyBackend> = Arc::<LyingBackend>::clone(&lying);
    let builder = host.builder().await.backend(keys);
    let custodian = builder.create(host.genesis(TREASURY)).await.unwrap();
    assert_released(&host.govern(&custodian, "wallet", create_wallet(None)).await.unwrap());
    let first = host.govern(&custodian, "first", create_key("hot.0")).await.unwrap();
    assert!(matches!(first.outcome, Outcome::Released(_)), "{first:?}");
    let second = host.govern(&custodian, "second", create_key("hot.1")).await.unwrap();
    assert!(!matches!(second.outcome, Outcome::Released(_)), "{second:?}");
    assert!(custodian.key(&key("hot.1")).is_none());
}

#[tokio::test]
async fn a_backend_that_is_no_longer_the_registered_one_signs_nothing() {
    let host = Host::new();
    let custodian = host.create().await;
    assert_released(&host.govern(&custodian, "wallet", create_wallet(None)).await.unwrap());
    assert_released(&host.govern(&custodian, "key", create_key("hot.0")).await.unwrap());
    assert!(matches!(pay(&host, &custodian, "first").await, Outcome::Released(_)));
    let id = custodian.id();
    custodian.close().await.unwrap();

    let stranger = Arc::new(MemoryBackend::seeded("software", 8));
    assert_ne!(stranger.identity(), host.keys.identity());
    let keys: Arc<dyn KeyBackend> = Arc::<MemoryBackend>::clone(&stranger);
    let opened = host.builder().await.backend(keys).open(id).await.unwrap();
    let failed = Outcome::Failed { reason: Hold::BackendUnavailable };
    assert_eq!(pay(&host, &opened, "second").await, failed);
    let made = host.govern(&opened, "another-key", create_key("hot.1")).await.unwrap();
    assert_eq!(made.outcome, failed);
    assert_eq!((host.keys.sign_calls(), stranger.sign_calls()), (1, 0));
    opened.close().await.unwrap();

    let absent = host.builder().await.open(id).await.unwrap();
    assert_eq!(pay(&host, &absent, "third").await, failed);
    assert_eq!(host.keys.sign_calls(), 1);
}
