//! Keys in the process: an order and its outcome are one commit, and nothing is released earlier
//! than with any other key, whatever becomes of that commit.

use std::time::Duration;

use custody_core::command::{Command, FreezeScope};
use custody_core::id::WalletId;
use custody_core::seam::ErrorKind;
use custody_testkit::audit::LogCall;
use custody_testkit::backend::BackendCall;
use custody_testkit::fault::{Fault, Gate, Happened};
use custody_testkit::store::StoreCall;

use crate::world::work::{ETH, FEE, KNOWN};
use crate::world::{Kind, Setup, World, words};

const SMALL: u128 = ETH / 2;
const SIGNED: [&str; 3] = ["submitted", "allowed", "signed"];

/// A world whose key is open, because it has signed once.
async fn warm(kind: Kind) -> World {
    let world = World::with(Setup::new(kind).in_process()).await;
    assert_eq!(words::of(&world.pay(SMALL, KNOWN, "warm").await), "released");
    world
}

#[tokio::test]
async fn an_order_and_its_outcome_are_one_commit() {
    for kind in Kind::ALL {
        let world = warm(kind).await;
        let commits = || world.store.plan().count(StoreCall::Commit);
        let (before, events) = (commits(), world.events().await.len());
        for number in 1..=5 {
            let id = format!("paid-{number}");
            assert_eq!(words::of(&world.pay(SMALL, KNOWN, &id).await), "released");
            assert_eq!(world.story_of(&id).await, SIGNED);
        }
        assert_eq!(world.events().await.len(), events + 15);
        assert_eq!((commits() - before, world.sign_calls()), (5, 6), "{kind:?}");
        assert_eq!(world.verify().await.report.released, 6);
    }
}

#[tokio::test]
async fn the_first_use_of_a_key_and_orders_that_waited_take_two_commits() {
    let world = World::with(Setup::new(Kind::Memory).in_process()).await;
    let commits = || world.store.plan().count(StoreCall::Commit);
    let before = commits();
    assert_eq!(words::of(&world.pay(SMALL, KNOWN, "first").await), "released");
    assert_eq!(commits() - before, 2);
    let waits = world.pay(20 * ETH, KNOWN, "waits").await.unwrap();
    let waits = world.approve(&world.people.theo, &waits).await.unwrap();
    let before = commits();
    assert_eq!(words::of(&world.approve(&world.people.tara, &waits).await), "released");
    assert_eq!(commits() - before, 2);
    assert_eq!(world.verify().await.report.released, 2);
}

/// What becomes of a payment whose one commit has this fault: what its caller hears, how many of
/// its events are stored, and whether the process dies.
#[rustfmt::skip]
const COMMITS: [(&str, Fault, &str, usize, bool); 7] = [
    ("not committed", Fault::fail(ErrorKind::Unavailable), "store Unavailable", 0, false),
    ("lost and not committed", Fault::fail(ErrorKind::Indeterminate), "store Unavailable", 0, false),
    ("lost and committed", Fault::fail_after(ErrorKind::Indeterminate), "released", 3, false),
    ("another writer", Fault::fail(ErrorKind::Conflict), "released", 3, false),
    ("refused", Fault::fail(ErrorKind::Refused), "store Refused", 0, false),
    ("dies before", Fault::Hang { happened: Happened::No }, "", 0, true),
    ("dies after", Fault::Hang { happened: Happened::Yes }, "", 3, true),
];

#[tokio::test]
async fn a_fault_of_the_one_commit_leaves_all_of_it_or_nothing_and_releases_nothing_else() {
    for kind in Kind::ALL {
        for (name, fault, hears, stored, dies) in COMMITS {
            let world = warm(kind).await;
            world.store.plan().next(StoreCall::Commit, fault);
            let call = world.pay(SMALL, KNOWN, "once");
            let heard = if dies {
                world.dies_at(call, "once", stored).await
            } else {
                words::of(&call.await)
            };
            assert_eq!(heard, hears, "{kind:?}: {name}");
            assert_eq!(world.story_of("once").await.len(), stored, "{kind:?}: {name}");
            let world = if dies { world.reopen().await } else { world };
            assert_eq!(world.resume().await.unwrap(), [], "{kind:?}: {name}: nothing is half done");
            assert_eq!(words::of(&world.pay(SMALL, KNOWN, "once").await), "released", "{name}");
            assert_eq!(world.story_of("once").await, SIGNED);
            let probe = world.pay(SMALL, KNOWN, "probe").await.unwrap();
            assert_eq!(world.spent_at(&probe.order).await, (3 * (SMALL + FEE)).into(), "{name}");
            assert_eq!(world.verify().await.report.released, 3, "{kind:?}: {name}");
        }
    }
}

#[tokio::test]
async fn what_was_signed_early_is_not_released_before_its_head_is_signed() {
    for kind in Kind::ALL {
        let world = warm(kind).await;
        world.log.plan().always(LogCall::Seal, Fault::fail(ErrorKind::Unavailable));
        for _ in 0..2 {
            let heard = words::of(&world.pay(SMALL, KNOWN, "held").await);
            assert_eq!(heard, "unavailable, ask later", "{kind:?}");
        }
        assert_eq!(
            (world.story_of("held").await, world.sign_calls()),
            (SIGNED.map(str::to_owned).to_vec(), 2)
        );
        world.log.plan().clear();
        let heard = world.drive(world.pay(SMALL, KNOWN, "held")).await;
        assert_eq!(words::of(&heard), "released", "{kind:?}");
        assert_eq!((world.sign_calls(), world.verify().await.report.released), (2, 2));
    }
}

#[tokio::test]
async fn a_signature_that_takes_longer_is_written_in_the_next_turn() {
    for kind in Kind::ALL {
        let (world, gate) = (warm(kind).await, Gate::new());
        world.backend.plan().next(BackendCall::Sign, Fault::Hold(gate.clone()));
        let later = async {
            gate.reached_by(1).await;
            while world.story_of("slow").await.len() < 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
                world.clock.advance(Duration::from_millis(1));
            }
            gate.open();
        };
        let (paid, ()) = tokio::join!(world.pay(SMALL, KNOWN, "slow"), later);
        assert_eq!(words::of(&paid), "released", "{kind:?}");
        assert_eq!((world.story_of("slow").await.len(), world.sign_calls()), (3, 2));
        assert_eq!(world.verify().await.report.released, 2);
    }
}

#[tokio::test]
async fn what_a_key_refuses_or_loses_early_ends_as_it_does_later() {
    for (fault, heard, spent) in [
        (Fault::fail(ErrorKind::Refused), "failed BackendRefused", 2),
        (Fault::fail(ErrorKind::Unavailable), "failed BackendUnavailable", 2),
        (Fault::fail_after(ErrorKind::Indeterminate), "unknown BackendIndeterminate", 3),
    ] {
        for kind in Kind::ALL {
            let world = warm(kind).await;
            world.backend.plan().next(BackendCall::Sign, fault.clone());
            for _ in 0..2 {
                assert_eq!(words::of(&world.pay(SMALL, KNOWN, "stopped").await), heard, "{kind:?}");
            }
            assert_eq!(world.sign_calls(), 2, "{kind:?}");
            let probe = world.pay(SMALL, KNOWN, "probe").await.unwrap();
            assert_eq!(world.spent_at(&probe.order).await, (spent * (SMALL + FEE)).into());
            assert_eq!(world.verify().await.report.released, 2, "{kind:?}");
        }
    }
}

/// The freeze comes while the key signs: what it signed is not released.
#[tokio::test]
async fn a_freeze_while_a_key_signs_early_leaves_the_order_unknown() {
    for kind in Kind::ALL {
        let (world, gate) = (warm(kind).await, Gate::new());
        world.backend.plan().next(BackendCall::Sign, Fault::Hold(gate.clone()));
        let freeze = async {
            gate.reached_by(1).await;
            let scope = FreezeScope::Wallet(WalletId::parse("hot").unwrap());
            world.drive(world.done("freeze", Command::Freeze { scope })).await;
            gate.open();
        };
        let (paid, ()) = tokio::join!(world.pay(SMALL, KNOWN, "late"), freeze);
        assert_eq!(words::of(&paid), "unknown Frozen", "{kind:?}");
        assert_eq!((world.sign_calls(), world.verify().await.report.released), (2, 1));
    }
}

/// After a restart nobody remembers the request, so that the key may sign it once more before the
/// store says that it was made before. The answer is the first one.
#[tokio::test]
async fn a_request_that_was_made_before_is_answered_with_its_first_signatures() {
    for kind in Kind::ALL {
        let world = warm(kind).await;
        let first = words::in_full(&world.pay(SMALL, KNOWN, "once").await);
        let world = world.reopen().await;
        assert_eq!(words::of(&world.pay(SMALL, KNOWN, "opens").await), "released");
        assert_eq!(words::in_full(&world.pay(SMALL, KNOWN, "once").await), first);
        assert_eq!(words::of(&world.pay(2 * SMALL, KNOWN, "once").await), "reused", "{kind:?}");
        let events = world.events().await.len();
        assert_eq!(words::of(&world.pay(2 * SMALL, KNOWN, "warm").await), "reused", "{kind:?}");
        assert_eq!(world.events().await.len(), events, "{kind:?}: something was written");
        let probe = world.pay(SMALL, KNOWN, "probe").await.unwrap();
        assert_eq!(world.spent_at(&probe.order).await, (4 * (SMALL + FEE)).into(), "{kind:?}");
        assert_eq!(world.verify().await.report.released, 4, "{kind:?}");
    }
}
