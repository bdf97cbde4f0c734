//! Asking changes nothing, time is ledger time, and stopping is for one where going on is for
//! several.

use std::time::Duration;

use custody_core::command::{Command, FreezeScope};
use custody_core::custodian::{Error, Outcome};
use custody_core::document::Hold;
use custody_core::id::{KeyId, RequestId, WalletId};
use custody_core::key::KeyState;
use custody_core::order::OrderState;
use custody_core::seam::Store;
use examples_start::house::TREASURY;

use crate::assert_released;
use crate::world::work::{ETH, KNOWN, command};
use crate::world::{Kind, Setup, World};

async fn world() -> World {
    World::new(Kind::Memory).await
}

fn key() -> KeyId {
    KeyId::parse("hot.0").unwrap()
}

fn wallet() -> WalletId {
    WalletId::parse("hot").unwrap()
}

#[tokio::test]
async fn simulating_and_explaining_make_no_order_and_reserve_nothing() {
    let world = world().await;
    let order = world.pay(20 * ETH, KNOWN, "large").await.unwrap();
    let (head, spent) = (world.store.head().await.unwrap(), 20 * ETH);
    for _ in 0..5 {
        let allowed = world.custodian.simulate(world.request(ETH / 2, KNOWN, "s")).unwrap();
        assert!(allowed.allowed && allowed.state == OrderState::Pending);
        let waits = world.custodian.simulate(world.request(spent, KNOWN, "l")).unwrap();
        assert!(!waits.allowed && !waits.missing.is_empty(), "{waits:?}");
        let never = world.custodian.simulate(world.request(200 * ETH, KNOWN, "n")).unwrap();
        assert!(!never.allowed && never.missing.is_empty(), "{never:?}");
        let explained = world.custodian.explain(&order.order).await.unwrap();
        assert!(!explained.allowed);
    }
    assert_eq!(world.store.head().await.unwrap(), head);
    assert_eq!(world.sign_calls(), 0);
    let request = RequestId::parse("s").unwrap();
    let ledger = world.verify().await.ledger;
    assert!(ledger.open_request(&world.people.olivia.id, &request).is_none());
    assert_eq!(ledger.orders().count(), 1);
}

#[tokio::test]
async fn an_order_that_waits_for_time_is_judged_again_when_the_time_has_come() {
    let slow = "@id(\"slow\") forbid (principal, action == Action::\"transfer\", resource) \
                unless { context.age >= duration(\"1h\") };";
    let rules = format!("{TREASURY}\n{slow}");
    let world = World::with(Setup { rules, ..Setup::new(Kind::Memory) }).await;
    let order = world.pay(ETH / 2, KNOWN, "slow").await.unwrap();
    let Outcome::Pending { missing } = &order.outcome else { panic!("{order:?}") };
    let due = missing[0].not_before.unwrap();
    world.clock.advance(due.since(world.now()) - Duration::from_millis(1));
    let early = world.judge_again(&order.order).await.unwrap();
    assert!(matches!(early.outcome, Outcome::Pending { .. }), "{early:?}");
    assert_eq!(world.sign_calls(), 0);
    world.clock.advance(Duration::from_millis(1));
    let due = world.judge_again(&order.order).await.unwrap();
    assert!(matches!(due.outcome, Outcome::Released(_)), "{due:?}");
    world.verify().await;
}

#[tokio::test]
async fn one_person_freezes_and_only_a_quorum_thaws() {
    for scope in [FreezeScope::House, FreezeScope::Wallet(wallet())] {
        let world = world().await;
        let (otto, theo) = (&world.people.otto, &world.people.theo);
        let freeze = Command::Freeze { scope: scope.clone() };
        let frozen = world.submit(command(theo, "freeze", freeze)).await.unwrap();
        assert!(matches!(frozen.outcome, Outcome::Released(_)), "{frozen:?}");
        let stopped = world.pay(ETH / 2, KNOWN, "frozen").await.unwrap();
        assert!(!matches!(stopped.outcome, Outcome::Released(_)), "{stopped:?}");
        let thaw = Command::Thaw { scope };
        let alone = world.submit(command(otto, "thaw", thaw)).await.unwrap();
        assert!(matches!(alone.outcome, Outcome::Pending { .. }), "{alone:?}");
        assert_eq!(world.sign_calls(), 0);
        let thawed = world.approve_all(alone).await.unwrap();
        assert!(matches!(thawed.outcome, Outcome::Released(_)), "{thawed:?}");
        let paid = world.pay(ETH / 2, KNOWN, "thawed").await.unwrap();
        assert!(matches!(paid.outcome, Outcome::Released(_)), "{paid:?}");
        world.verify().await;
    }
}

#[tokio::test]
async fn one_person_suspends_a_key_and_only_a_quorum_resumes_it() {
    let world = world().await;
    let suspend = Command::SuspendKey { key: key() };
    let suspended = world.submit(command(&world.people.tom, "stop", suspend)).await.unwrap();
    assert!(matches!(suspended.outcome, Outcome::Released(_)), "{suspended:?}");
    let stopped = world.pay(ETH / 2, KNOWN, "stopped").await.unwrap();
    assert!(matches!(stopped.outcome, Outcome::Denied { .. }), "{stopped:?}");
    let resume = Command::ResumeKey { key: key() };
    let alone = world.submit(command(&world.people.otto, "go", resume)).await.unwrap();
    assert!(matches!(alone.outcome, Outcome::Pending { .. }), "{alone:?}");
    assert_eq!(world.custodian.key(&key()).unwrap().state(), KeyState::Suspended);
    assert_eq!(world.sign_calls(), 0);
    assert_released(&world.approve_all(alone).await.unwrap());
    assert_eq!(world.custodian.key(&key()).unwrap().state(), KeyState::Active);
    let paid = world.pay(ETH / 2, KNOWN, "resumed").await.unwrap();
    assert!(matches!(paid.outcome, Outcome::Released(_)), "{paid:?}");
    world.verify().await;
}

#[tokio::test]
async fn a_pending_order_is_stopped_by_a_freeze_or_a_suspension_in_between() {
    for stop in [
        Command::Freeze { scope: FreezeScope::House },
        Command::Freeze { scope: FreezeScope::Wallet(wallet()) },
        Command::SuspendKey { key: key() },
        Command::CompromiseKey { key: key() },
    ] {
        let world = world().await;
        let order = world.pay(20 * ETH, KNOWN, "large").await.unwrap();
        let name = stop.action();
        assert_released(&world.submit(command(&world.people.tom, "stop", stop)).await.unwrap());
        let after = world.approve_all(order).await.unwrap();
        assert!(!matches!(after.outcome, Outcome::Released(_)), "{name}: {after:?}");
        assert_eq!(world.sign_calls(), 0, "{name}");
        world.verify().await;
    }
}

#[tokio::test]
async fn what_was_signed_is_not_delivered_while_its_wallet_is_frozen() {
    let world = world().await;
    let paid = world.pay(ETH / 2, KNOWN, "paid").await.unwrap();
    let freeze = Command::Freeze { scope: FreezeScope::Wallet(wallet()) };
    assert_released(&world.submit(command(&world.people.tom, "freeze", freeze)).await.unwrap());
    let held = world.order(&paid.order).await.unwrap();
    assert_eq!(held.outcome, Outcome::Unknown { reason: Hold::Frozen });
    world.done("thaw", Command::Thaw { scope: FreezeScope::Wallet(wallet()) }).await;
    crate::assert_same(&world.order(&paid.order).await.unwrap(), &paid);
    assert_eq!(world.sign_calls(), 1);
}

#[tokio::test]
async fn the_same_request_gives_the_same_answer_and_other_bytes_are_refused() {
    let world = world().await;
    let paid = world.pay(ETH / 2, KNOWN, "once").await.unwrap();
    assert_eq!(world.pay(ETH / 2, KNOWN, "once").await.unwrap(), paid);
    let other = world.pay(ETH / 4, KNOWN, "once").await;
    assert!(matches!(other, Err(Error::RequestReused { .. })), "{other:?}");
    assert_eq!(world.sign_calls(), 1);
    world.verify().await;
}

#[tokio::test]
async fn somebody_who_is_not_enrolled_asks_for_nothing() {
    let world = world().await;
    let mut stranger = world.people.otto.clone();
    stranger.id = custody_core::id::PrincipalId::parse("mallory").unwrap();
    let refused = world.submit(world.request_of(&stranger, 1, KNOWN, "m")).await;
    assert!(matches!(refused, Err(Error::NotFound { .. })), "{refused:?}");
    let treasurer = world.submit(world.request_of(&world.people.tom, 1, KNOWN, "t")).await;
    let denied = treasurer.unwrap();
    assert!(matches!(denied.outcome, Outcome::Denied { .. }), "{denied:?}");
    assert_eq!(world.sign_calls(), 0);
}
