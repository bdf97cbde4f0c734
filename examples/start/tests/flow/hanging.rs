//! A store or a log of which a call never comes back: callers hear of it in time, nothing is judged
//! upon what may still happen, and the custodian can be closed.

use custody_testkit::audit::LogCall;
use custody_testkit::fault::{Fault, Gate, Happened};
use custody_testkit::store::StoreCall;

use crate::world::work::{ETH, FEE, KNOWN};
use crate::world::{Kind, Setup, World, words};

const SMALL: u128 = ETH / 2;

#[tokio::test]
async fn callers_of_a_commit_that_hangs_hear_so_in_time_and_it_counts_when_it_lands() {
    for kind in Kind::ALL {
        let (world, gate) = (World::new(kind).await, Gate::new());
        world.store.plan().next(StoreCall::Commit, Fault::Hold(gate.clone()));
        let before = world.now();
        let lost = world.drive(world.pay(SMALL, KNOWN, "lost")).await;
        assert_eq!(words::of(&lost), "indeterminate", "{kind:?}");
        let waited = world.now().since(before);
        assert!((10..12).contains(&waited.as_secs()), "{kind:?}: {waited:?}");
        let next = world.drive(world.pay(SMALL, KNOWN, "next")).await;
        assert_eq!(words::of(&next), "unavailable", "{kind:?}: judged upon what may still happen");
        assert_eq!(world.sign_calls(), 0);
        gate.open();
        for id in ["next", "lost", "lost"] {
            let heard = loop {
                let heard = words::of(&world.drive(world.pay(SMALL, KNOWN, id)).await);
                if heard != "unavailable" {
                    break heard;
                }
            };
            assert_eq!(heard, "released", "{kind:?}: {id}");
        }
        assert_eq!(world.sign_calls(), 2, "{kind:?}");
        let probe = world.pay(SMALL, KNOWN, "probe").await.unwrap();
        assert_eq!(world.spent_at(&probe.order).await, (3 * (SMALL + FEE)).into(), "{kind:?}");
        assert_eq!(world.verify().await.report.released, 3);
    }
}

#[tokio::test]
async fn a_custodian_over_a_store_that_hangs_for_good_can_be_closed_and_opened_again() {
    for kind in Kind::ALL {
        for happened in [Happened::No, Happened::Yes] {
            let world = World::new(kind).await;
            world.store.plan().next(StoreCall::Commit, Fault::Hang { happened });
            let lost = world.drive(world.pay(SMALL, KNOWN, "lost")).await;
            assert_eq!(words::of(&lost), "indeterminate", "{kind:?}");
            world.drive(world.custodian.close()).await.unwrap();
            let world = world.reopen().await;
            let _resumed = world.resume().await.unwrap();
            assert_eq!(words::of(&world.pay(SMALL, KNOWN, "lost").await), "released");
            let calls = world.sign_calls();
            assert_eq!((calls, world.verify().await.report.released), (1, 1), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn an_outcome_whose_commit_hangs_does_not_keep_a_custodian_from_closing() {
    for kind in Kind::ALL {
        for happened in [Happened::No, Happened::Yes] {
            let world = World::new(kind).await;
            let next = world.store.plan().count(StoreCall::Commit);
            world.store.plan().at(StoreCall::Commit, next + 1, Fault::Hang { happened });
            let lost = world.drive(world.pay(SMALL, KNOWN, "lost")).await;
            assert_eq!(words::of(&lost), "unavailable, ask later", "{kind:?}");
            world.drive(world.custodian.close()).await.unwrap();
            let world = world.reopen().await;
            let _resumed = world.resume().await.unwrap();
            assert_eq!(words::of(&world.pay(SMALL, KNOWN, "lost").await), "released");
            assert_eq!(world.verify().await.report.released, 1, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn callers_of_a_log_that_hangs_hear_so_in_time_and_are_served_when_it_answers_again() {
    for kind in Kind::ALL {
        for (call, calls) in [(LogCall::Seal, 0), (LogCall::Receipt, 1)] {
            for happened in [Happened::No, Happened::Yes] {
                let world = World::new(kind).await;
                world.log.plan().next(call, Fault::Hang { happened });
                let lost = world.drive(world.pay(SMALL, KNOWN, "lost")).await;
                assert_eq!(words::of(&lost), "unavailable, ask later", "{kind:?} {call:?}");
                assert_eq!(world.sign_calls(), calls, "{kind:?} {call:?}");
                let again = world.drive(world.pay(SMALL, KNOWN, "lost")).await;
                assert_eq!(words::of(&again), "released", "{kind:?} {call:?}");
                assert_eq!((world.sign_calls(), world.verify().await.report.released), (1, 1));
                world.drive(world.custodian.close()).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn reads_that_hang_are_refused_in_time_and_change_nothing() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let paid = world.pay(SMALL, KNOWN, "paid").await.unwrap();
        for call in [StoreCall::Get, StoreCall::Events] {
            world.store.plan().next(call, Fault::Hang { happened: Happened::No });
            let heard = world.drive(world.pay(SMALL, KNOWN, "paid")).await;
            assert!(heard.is_err(), "{kind:?} {call:?}: {heard:?}");
            let heard = world.drive(world.pay(SMALL, KNOWN, "paid")).await.unwrap();
            assert_eq!(heard.order, paid.order);
        }
        assert_eq!((world.sign_calls(), world.verify().await.report.released), (1, 1));
    }
}

/// Everything that was given to callers stays true; what cannot be written is left to the next one.
#[tokio::test]
async fn a_custodian_whose_store_takes_nothing_any_more_can_be_closed() {
    for setup in [Setup::new(Kind::Memory), Setup::new(Kind::Memory).in_process()] {
        for nth in 0..3 {
            let world = World::with(setup.clone()).await;
            let next = world.store.plan().count(StoreCall::Commit);
            let away = Fault::fail(custody_core::seam::ErrorKind::Unavailable);
            for call in next + nth..next + 5_000 {
                world.store.plan().at(StoreCall::Commit, call, away.clone());
            }
            for id in ["first", "more", "first"] {
                let _heard = world.drive(world.pay(SMALL, KNOWN, id)).await;
            }
            world.drive(world.custodian.close()).await.unwrap();
            let world = world.reopen().await;
            world.store.plan().clear();
            let _resumed = world.resume().await.unwrap();
            for id in ["first", "more"] {
                assert_eq!(words::of(&world.pay(SMALL, KNOWN, id).await), "released");
            }
            assert_eq!(world.verify().await.report.released, 2);
        }
    }
}
