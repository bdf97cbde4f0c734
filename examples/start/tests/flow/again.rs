//! The same request again: one order, one answer, counted once.

use std::sync::Arc;
use std::time::Duration;

use custody_core::custodian::{Answer, Error};

use crate::world::work::{ETH, FEE, KNOWN, OTHER};
use crate::world::{Kind, World, words};

const SMALL: u128 = ETH / 2;

#[tokio::test]
async fn the_same_request_again_gives_the_same_answer_and_counts_once() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let first = world.pay(SMALL, KNOWN, "same").await.unwrap();
        for _ in 0..3 {
            assert_eq!(world.pay(SMALL, KNOWN, "same").await.unwrap(), first);
        }
        let world = world.reopen().await;
        assert_eq!(world.pay(SMALL, KNOWN, "same").await.unwrap(), first);
        assert_eq!(world.sign_calls(), 1);
        let probe = world.pay(SMALL, KNOWN, "probe").await.unwrap();
        assert_eq!(world.spent_at(&probe.order).await, (2 * (SMALL + FEE)).into());
        assert_eq!(world.verify().await.report.released, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_callers_with_one_request_get_one_order_and_one_signature() {
    for kind in Kind::ALL {
        let world = Arc::new(World::new(kind).await);
        let callers: Vec<_> = (0..64)
            .map(|_| {
                let world = Arc::clone(&world);
                tokio::spawn(async move { world.pay(SMALL, KNOWN, "raced").await.unwrap() })
            })
            .collect();
        let mut answers: Vec<Answer> = Vec::new();
        for caller in callers {
            answers.push(caller.await.unwrap());
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{kind:?}");
        assert_eq!(world.story(&answers[0].order).await, ["submitted", "allowed", "signed"]);
        assert_eq!(world.sign_calls(), 1);
        assert_eq!(world.spent_at(&answers[0].order).await, (SMALL + FEE).into());
        assert_eq!(world.verify().await.report.released, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_submissions_that_race_for_one_request_id_one_is_refused() {
    for kind in Kind::ALL {
        let world = Arc::new(World::new(kind).await);
        let callers: Vec<_> = (0..32_u32)
            .map(|number| {
                let (world, to) = (Arc::clone(&world), if number % 2 == 0 { KNOWN } else { OTHER });
                tokio::spawn(async move { world.pay(SMALL, to, "raced").await })
            })
            .collect();
        let mut heard = Vec::new();
        for caller in callers {
            heard.push(words::of(&caller.await.unwrap()));
        }
        let count = |what: &str| heard.iter().filter(|word| *word == what).count();
        assert_eq!((count("released"), count("reused")), (16, 16), "{kind:?}: {heard:?}");
        assert_eq!(world.sign_calls(), 1);
        assert_eq!(world.verify().await.report.released, 1);
    }
}

#[tokio::test]
async fn a_request_id_is_never_used_for_anything_else() {
    for kind in Kind::ALL {
        let mut world = World::new(kind).await;
        world.add_wallet("second").await;
        let first = world.pay(SMALL, KNOWN, "used").await.unwrap();
        let later = world.now().after(Duration::from_secs(3_600));
        for life in ["the same process", "after a restart"] {
            let mut elsewhere = world.request(SMALL, KNOWN, "used");
            if let custody_core::custodian::RequestedWork::Payload { wallet, .. } =
                &mut elsewhere.work
            {
                *wallet = custody_core::id::WalletId::parse("second").unwrap();
            }
            let command = custody_core::command::Command::ConfirmClock {};
            for (what, request) in [
                ("another amount", world.request(SMALL + 1, KNOWN, "used")),
                ("another destination", world.request(SMALL, OTHER, "used")),
                ("an expiry", world.request(SMALL, KNOWN, "used").expiring(later)),
                ("another wallet", elsewhere),
                ("a command", crate::world::work::command(&world.people.olivia, "used", command)),
            ] {
                let refused = world.submit(request).await;
                let Err(Error::RequestReused { order }) = refused else {
                    panic!("{what}, {life}: {refused:?}");
                };
                assert_eq!(order, first.order, "{what}, {life}");
            }
            world = world.reopen().await;
        }
        assert_eq!(world.sign_calls(), 1);
        assert_eq!(world.verify().await.report.released, 1);
    }
}

#[tokio::test]
async fn the_same_id_of_another_requester_is_another_order() {
    let world = World::new(Kind::Memory).await;
    let first = world.pay(SMALL, KNOWN, "shared").await.unwrap();
    let request = world.request_of(&world.people.otto, SMALL, KNOWN, "shared");
    let second = world.submit(request).await.unwrap();
    assert_ne!(first.order, second.order);
    assert_eq!(world.spent_at(&second.order).await, (2 * (SMALL + FEE)).into());
    assert_eq!(world.verify().await.report.released, 2);
}

#[tokio::test]
async fn an_order_that_waits_or_was_refused_is_the_same_order_when_it_is_asked_for_again() {
    for kind in Kind::ALL {
        let mut world = World::new(kind).await;
        let waits = world.pay(20 * ETH, KNOWN, "waits").await.unwrap();
        let denied = world.pay(101 * ETH, KNOWN, "denied").await.unwrap();
        let gone = world.pay(21 * ETH, KNOWN, "gone").await.unwrap();
        let gone = world.cancel(&world.people.olivia, &gone).await.unwrap();
        for _life in 0..2 {
            for (request, wei, first) in [
                ("waits", 20 * ETH, &waits),
                ("denied", 101 * ETH, &denied),
                ("gone", 21 * ETH, &gone),
            ] {
                let again = world.pay(wei, KNOWN, request).await.unwrap();
                assert_eq!(again, *first, "{request}");
            }
            world = world.reopen().await;
        }
        assert_eq!(world.story(&denied.order).await.len(), 2, "denied once");
        let waits = world.approve_all(waits).await;
        assert_eq!(words::of(&waits), "released");
        assert_eq!(world.verify().await.report.released, 1);
    }
}
