//! A backend that takes its time.

use std::sync::Arc;
use std::time::Duration;

use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::id::{KeyId, WalletId};
use custody_core::seam::Exportability;
use custody_testkit::backend::{MemoryBackend, SlowBackend};

use crate::world::work::{ETH, FEE, KNOWN};
use crate::world::{Kind, World, words};

const SMALL: u128 = ETH / 2;

/// A world whose backend, from now on, takes so long for each call.
async fn slow(kind: Kind, seconds: u64) -> (World, MemoryBackend) {
    let fast = MemoryBackend::seeded("software", 7);
    let setup = crate::world::Setup::new(kind).keys(Arc::new(fast.clone()));
    let world = World::with(setup).await;
    let (clock, delay) = (Arc::new(world.clock.clone()), Duration::from_secs(seconds));
    let slow = SlowBackend::new(Arc::new(fast.clone()), clock, delay);
    (world.crash().await.with_keys(Arc::new(slow)).open().await, fast)
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

#[tokio::test]
async fn each_call_may_take_as_long_as_the_limit_says() {
    for kind in Kind::ALL {
        let (world, keys) = slow(kind, 9).await;
        assert_eq!(words::of(&world.drive(world.pay(SMALL, KNOWN, "slow")).await), "released");
        world.drive(world.done("made", create_key("hot.1"))).await;
        assert_eq!((keys.sign_calls(), world.verify().await.report.released), (1, 1));
    }
}

#[tokio::test]
async fn a_backend_that_is_slower_than_the_limit_signs_and_makes_nothing_that_counts() {
    for kind in Kind::ALL {
        let (world, keys) = slow(kind, 11).await;
        let paid = world.drive(world.pay(SMALL, KNOWN, "slow")).await;
        assert_eq!(words::of(&paid), "failed BackendUnavailable", "the key was not opened in time");
        let made = world.drive(world.govern("made", create_key("hot.1"))).await;
        assert_eq!(words::of(&made), "unknown TimedOut");
        assert!(world.custodian.key(&KeyId::parse("hot.1").unwrap()).is_none());
        assert_eq!((keys.sign_calls(), world.sign_calls()), (0, 0), "{kind:?}");
        let world = world.crash().await.with_keys(Arc::new(keys.clone())).open().await;
        assert_eq!(world.resume().await.unwrap(), []);
        let probe = world.pay(SMALL, KNOWN, "probe").await.unwrap();
        assert_eq!(world.spent_at(&probe.order).await, (SMALL + FEE).into(), "{kind:?}");
        assert_eq!((keys.sign_calls(), world.verify().await.report.released), (1, 1));
    }
}

#[tokio::test]
async fn closing_waits_for_a_slow_signature() {
    let (world, keys) = slow(Kind::Sqlite, 9).await;
    let closing = async {
        tokio::task::yield_now().await;
        world.custodian.close().await
    };
    let both = async { tokio::join!(world.pay(SMALL, KNOWN, "slow"), closing) };
    let (paid, closed) = world.drive(both).await;
    assert_eq!(words::of(&paid), "released");
    assert!(closed.is_ok());
    let world = world.reopen().await;
    assert_eq!(words::of(&world.pay(SMALL, KNOWN, "slow").await), "released");
    assert_eq!((keys.sign_calls(), world.verify().await.report.released), (1, 1));
}
