//! Freezing, suspending, compromising and removing while orders are pending, reserved, and in the
//! backend's hands.

use std::time::Duration;

use custody_core::caip::ChainId;
use custody_core::command::{Command, FreezeScope, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Answer, Error, Request};
use custody_core::digest::Digest;
use custody_core::id::{BackendId, KeyId, TierId, WalletId};
use custody_core::ledger::LedgerError;
use custody_core::principal::{SignedStatement, Verb};
use custody_core::seam::{Clock, DerivationPath, ErrorKind};
use custody_core::time::Timestamp;
use custody_testkit::backend::BackendCall;
use custody_testkit::fault::{Fault, Gate};
use custody_testkit::store::StoreCall;

use crate::world::people::Person;
use crate::world::work::{ETH, KNOWN, command};
use crate::world::{Kind, World, words};

const STOPS: [&str; 6] = [
    "freeze wallet",
    "freeze house",
    "suspend key",
    "compromise key",
    "remove approver",
    "remove requester",
];

fn hot() -> KeyId {
    KeyId::parse("hot.0").unwrap()
}

fn wallet() -> FreezeScope {
    FreezeScope::Wallet(WalletId::parse("hot").unwrap())
}

/// Does what `stop` says, by olivia and tom.
async fn stop(world: &World, stop: &str) {
    let person =
        |id: &custody_core::id::PrincipalId| Command::RemovePrincipal { principal: id.clone() };
    let work = match stop {
        "freeze wallet" => Command::Freeze { scope: wallet() },
        "freeze house" => Command::Freeze { scope: FreezeScope::House },
        "suspend key" => Command::SuspendKey { key: hot() },
        "compromise key" => Command::CompromiseKey { key: hot() },
        "remove approver" => person(&world.people.theo.id),
        _ => person(&world.people.otto.id),
    };
    let answer = world.submit(command(&world.people.olivia, "stop", work)).await.unwrap();
    let answer = match words::of_outcome(&answer.outcome).as_str() {
        "pending" => world.approve(&world.people.tom, &answer).await,
        _ => Ok(answer),
    };
    assert_eq!(words::of(&answer), "released", "{stop}");
}

/// Otto's large order, approved by theo.
async fn half_approved(world: &World) -> Answer {
    let request = world.request_of(&world.people.otto, 20 * ETH, KNOWN, "stopped");
    let answer = world.submit(request).await.unwrap();
    world.approve(&world.people.theo, &answer).await.unwrap()
}

#[tokio::test]
async fn what_is_pending_when_something_stops_it_is_not_released() {
    for (name, heard) in STOPS.into_iter().zip([
        "pending",
        "pending",
        "denied key-state",
        "denied key-state",
        "pending",
        "denied requester-removed",
    ]) {
        let world = World::new(Kind::Memory).await;
        let order = half_approved(&world).await;
        stop(&world, name).await;
        let answer = world.approve(&world.people.tara, &order).await;
        assert_eq!(words::of(&answer), heard, "{name}");
        let answer = world.judge_again(&order.order).await;
        assert_eq!(words::of(&answer), heard, "{name}");
        assert_eq!(world.sign_calls(), 0, "{name}");
        let _oracle = world.verify().await;
    }
}

#[tokio::test]
async fn what_waited_for_a_thaw_is_released_by_judging_it_again() {
    for (scope, kind) in [(wallet(), Kind::Memory), (FreezeScope::House, Kind::Sqlite)] {
        let world = World::new(kind).await;
        let order = half_approved(&world).await;
        world.done("freeze", Command::Freeze { scope: scope.clone() }).await;
        let answer = world.approve(&world.people.tara, &order).await;
        assert_eq!(words::of(&answer), "pending");
        let new = world.pay(ETH / 2, KNOWN, "new").await;
        assert_ne!(words::of(&new), "released", "a new order while frozen");
        let world = world.reopen().await;
        assert_eq!(words::of(&world.judge_again(&order.order).await), "pending");
        world.done("thaw", Command::Thaw { scope }).await;
        assert_eq!(words::of(&world.judge_again(&order.order).await), "released");
        assert_eq!(world.verify().await.report.released, 1);
    }
}

#[tokio::test]
async fn an_approval_by_somebody_who_was_removed_is_replaced_by_another_persons() {
    let world = World::new(Kind::Memory).await;
    let order = half_approved(&world).await;
    stop(&world, "remove approver").await;
    assert!(world.approve(&world.people.theo, &order).await.is_err());
    assert_eq!(words::of(&world.approve(&world.people.tara, &order).await), "pending");
    assert_eq!(words::of(&world.approve(&world.people.tom, &order).await), "released");
    let _oracle = world.verify().await;
}

/// The order is held at `call` of the backend while `stop` happens, then let go.
async fn held(world: &World, call: BackendCall, name: &str) -> Answer {
    let order = half_approved(world).await;
    let gate = Gate::new();
    world.backend.plan().next(call, Fault::Hold(gate.clone()));
    let stopping = async {
        gate.reached_by(1).await;
        stop(world, name).await;
        gate.open();
    };
    let (answer, ()) = tokio::join!(world.approve(&world.people.tara, &order), stopping);
    answer.unwrap()
}

#[tokio::test]
async fn what_is_reserved_but_not_called_fails_when_something_stops_it() {
    for (name, heard) in STOPS.into_iter().zip([
        "failed Frozen",
        "failed Frozen",
        "failed KeyState",
        "failed KeyState",
        "failed ApproverRemoved",
        "failed ApproverRemoved",
    ]) {
        let world = World::new(Kind::Memory).await;
        let answer = held(&world, BackendCall::Signer, name).await;
        assert_eq!(words::of_outcome(&answer.outcome), heard, "{name}");
        assert_eq!(world.sign_calls(), 0, "{name}");
        assert_eq!(world.verify().await.report.released, 0, "{name}");
    }
}

/// Has the backend answer `asking` only after so many milliseconds: what is heard then, and how often
/// a key signed.
async fn ends_late(
    world: &World,
    asking: impl Future<Output = Result<Answer, Error>>,
    (call, late): (BackendCall, u64),
    (heard, calls): (&str, usize),
) {
    let gate = Gate::new();
    world.backend.plan().next(call, Fault::Hold(gate.clone()));
    let waiting = async {
        gate.reached_by(1).await;
        world.clock.advance(Duration::from_millis(late));
        gate.open();
    };
    let (answer, ()) = tokio::join!(asking, waiting);
    assert_eq!(words::of(&answer), heard, "{call:?} {late}");
    assert_eq!(world.sign_calls(), calls, "{call:?} {late}");
    let released = u64::from(heard == "released");
    assert_eq!(world.verify().await.report.released, released, "{call:?} {late}");
}

/// Theo's approval ends while the order waits for the backend.
#[tokio::test]
async fn what_an_expired_approval_had_allowed_is_not_released() {
    for (call, late, heard, calls) in [
        (BackendCall::Signer, 5_001, "failed Expired", 0),
        (BackendCall::Sign, 5_001, "unknown Expired", 1),
        (BackendCall::Signer, 5_000, "released", 1),
        (BackendCall::Sign, 5_000, "released", 1),
    ] {
        let world = World::new(Kind::Memory).await;
        let request = world.request_of(&world.people.otto, 20 * ETH, KNOWN, "stopped");
        let order = world.submit(request).await.unwrap();
        let until = world.now().after(Duration::from_secs(5));
        let theo = &world.people.theo;
        let approval =
            theo.sign(&world.custodian.id(), theo.statement(Verb::Approve, &order, until));
        let order = world.custodian.approve(approval).await.unwrap();
        let approving = world.approve(&world.people.tara, &order);
        ends_late(&world, approving, (call, late), (heard, calls)).await;
    }
}

#[tokio::test]
async fn what_is_signed_after_the_order_has_expired_is_not_released() {
    for (call, late, heard, calls) in [
        (BackendCall::Signer, 5_001, "failed Expired", 0),
        (BackendCall::Sign, 5_001, "unknown Expired", 1),
        (BackendCall::Sign, 5_000, "released", 1),
    ] {
        let world = World::new(Kind::Memory).await;
        let expires = Some(world.now().after(Duration::from_secs(5)));
        let request = Request { expires, ..world.request(ETH / 2, KNOWN, "late") };
        ends_late(&world, world.submit(request), (call, late), (heard, calls)).await;
    }
}

#[tokio::test]
async fn only_whoever_could_have_approved_hears_how_an_order_ended() {
    let world = World::new(Kind::Memory).await;
    let ended = world.pay(ETH / 2, KNOWN, "over").await.unwrap();
    let other = world.pay(ETH / 4, KNOWN, "besides").await.unwrap();
    let (theo, until) = (&world.people.theo, world.now().after(Duration::from_secs(60)));
    let custodian = world.custodian.id();
    let good = theo.sign(&custodian, theo.statement(Verb::Approve, &ended, until));
    let heard = world.custodian.approve(good.clone()).await;
    assert_eq!(words::of(&heard), "released");
    let unsigned = SignedStatement { signature: theo.sign_digest(&Digest::of(b"x")), ..good };
    let mistaken = Answer { digest: other.digest, ..ended.clone() };
    let of_other = theo.sign(&custodian, theo.statement(Verb::Approve, &mistaken, until));
    let stranger = Person::new("mallory", &["treasurer"], Algorithm::Ed25519);
    let strange = stranger.sign(&custodian, stranger.statement(Verb::Approve, &ended, until));
    let past = theo.statement(Verb::Approve, &ended, Timestamp::from_millis(1));
    for said in [unsigned, of_other, strange, theo.sign(&custodian, past)] {
        let refused = world.custodian.approve(said).await;
        assert!(
            matches!(refused, Err(Error::Ledger(LedgerError::Statement { .. }))),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn no_account_is_derived_for_an_order_that_expires_while_its_seed_is_looked_up() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let (wallet, seed) = (WalletId::parse("seeded").unwrap(), KeyId::parse("seed").unwrap());
        let seeded = Command::CreateWallet {
            wallet: wallet.clone(),
            chain: ChainId::parse("eip155:1").unwrap(),
            tier: TierId::parse("hot").unwrap(),
            backend: BackendId::parse("software").unwrap(),
            seed: Some(seed),
        };
        world.done("seeded", seeded).await;
        let derive = |id| Command::DeriveAccount {
            wallet: wallet.clone(),
            key: KeyId::parse(id).unwrap(),
            path: DerivationPath::parse("m/44'/60'/0'/0/0").unwrap(),
            algorithm: Algorithm::EcdsaSecp256k1,
            start: KeyStart::Active,
        };
        let gate = Gate::new();
        world.store.plan().next(StoreCall::Get, Fault::Hold(gate.clone()));
        let stopping = async {
            gate.reached_by(1).await;
            let late = world.clock.monotonic() + Duration::from_secs(7);
            world.clock.sleep_until(late).await;
            gate.open();
        };
        let expires = Some(world.now().after(Duration::from_secs(5)));
        let request = command(&world.people.olivia, "derive", derive("made"));
        let deriving = world.submit(Request { expires, ..request });
        let both = async { tokio::join!(deriving, stopping) };
        let (heard, ()) = world.drive(both).await;
        assert_eq!(words::of(&heard), "failed Expired", "{kind:?}");
        let calls = || world.backend.plan().count(BackendCall::Derive);
        assert_eq!(calls(), 0, "{kind:?}");
        world.done("another", derive("another")).await;
        assert_eq!(calls(), 1, "{kind:?}");
        let _oracle = world.verify().await;
    }
}

#[tokio::test]
async fn what_the_backend_was_called_for_is_unknown_when_something_stops_it() {
    for (name, heard) in STOPS.into_iter().zip([
        "unknown Frozen",
        "unknown Frozen",
        "unknown KeyState",
        "unknown KeyState",
        "unknown ApproverRemoved",
        "unknown ApproverRemoved",
    ]) {
        let world = World::new(Kind::Memory).await;
        let answer = held(&world, BackendCall::Sign, name).await;
        assert_eq!(words::of_outcome(&answer.outcome), heard, "{name}");
        assert_eq!(world.sign_calls(), 1, "{name}");
        if name.starts_with("freeze") {
            let scope = if name.ends_with("house") { FreezeScope::House } else { wallet() };
            world.done("thaw", Command::Thaw { scope }).await;
            let after = world.order(&answer.order).await;
            assert_eq!(words::of(&after), heard, "{name}: stays unknown");
        }
        assert_eq!(world.verify().await.report.released, 0, "{name}");
    }
}

#[tokio::test]
async fn what_was_signed_before_a_freeze_is_not_delivered_while_it_lasts() {
    for scope in [wallet(), FreezeScope::House] {
        let world = World::new(Kind::Sqlite).await;
        let paid = world.pay(ETH / 2, KNOWN, "paid").await.unwrap();
        world.done("freeze", Command::Freeze { scope: scope.clone() }).await;
        assert_eq!(words::of(&world.order(&paid.order).await), "unknown Frozen");
        let world = world.reopen().await;
        assert_eq!(words::of(&world.pay(ETH / 2, KNOWN, "paid").await), "unknown Frozen");
        world.done("thaw", Command::Thaw { scope }).await;
        let delivered = world.order(&paid.order).await;
        assert_eq!(words::in_full(&delivered), words::in_full(&Ok(paid)));
        let _oracle = world.verify().await;
    }
}

#[tokio::test]
async fn a_freeze_holds_before_it_is_durable() {
    let world = World::new(Kind::Memory).await;
    let (signer, commit) = (Gate::new(), Gate::new());
    world.backend.plan().next(BackendCall::Signer, Fault::Hold(signer.clone()));
    let freezing = async {
        signer.reached_by(1).await;
        world.store.plan().next(StoreCall::Commit, Fault::Hold(commit.clone()));
        let opening = async {
            commit.reached_by(1).await;
            let before = world.events().await.len();
            signer.open();
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert_eq!(world.events().await.len(), before, "the freeze is not durable yet");
            assert_eq!(world.sign_calls(), 0);
            commit.open();
        };
        tokio::join!(world.govern("freeze", Command::Freeze { scope: wallet() }), opening).0
    };
    let (paid, frozen) = tokio::join!(world.pay(ETH / 2, KNOWN, "paid"), freezing);
    assert_eq!(words::of(&frozen), "released");
    assert_eq!(words::of(&paid), "failed Frozen");
    assert_eq!(world.sign_calls(), 0);
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn a_freeze_that_was_not_committed_does_not_hold() {
    for kind in [ErrorKind::Unavailable, ErrorKind::Indeterminate] {
        let world = World::new(Kind::Memory).await;
        world.store.plan().next(StoreCall::Commit, Fault::fail(kind));
        assert!(world.govern("freeze", Command::Freeze { scope: wallet() }).await.is_err());
        assert_eq!(words::of(&world.pay(ETH / 2, KNOWN, "paid").await), "released");
        let _oracle = world.verify().await;
    }
}

#[tokio::test]
async fn one_person_freezes_and_only_two_thaw() {
    let world = World::new(Kind::Memory).await;
    let people = &world.people;
    let freeze = Command::Freeze { scope: wallet() };
    let frozen = world.submit(command(&people.theo, "freeze", freeze)).await;
    assert_eq!(words::of(&frozen), "released");
    let thaw = || Command::Thaw { scope: wallet() };
    let waits = world.submit(command(&people.theo, "thaw", thaw())).await.unwrap();
    assert_eq!(words::of_outcome(&waits.outcome), "pending");
    let own = world.approve(&people.theo, &waits).await;
    assert_ne!(words::of(&own), "released", "the requester's own approval");
    assert_eq!(words::of(&world.approve(&people.tara, &waits).await), "pending");
    assert_eq!(words::of(&world.approve(&people.tom, &waits).await), "released");
    assert_eq!(words::of(&world.pay(ETH / 2, KNOWN, "paid").await), "released");
    let _oracle = world.verify().await;
}
