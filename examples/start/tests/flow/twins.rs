//! Two custodians over one store, by mistake: whoever wrote last goes on, the other one writes and
//! releases nothing any more.

use std::sync::Arc;

use custody_core::command::{Command, FreezeScope};
use custody_testkit::backend::BackendCall;
use custody_testkit::fault::{Fault, Gate};

use crate::world::work::{ETH, FEE, KNOWN, OTHER, command};
use crate::world::{Kind, World, words};

const SMALL: u128 = ETH / 2;
const LARGE: u128 = 20 * ETH;

/// A world and its twin, opened after it.
async fn twins() -> (World, World) {
    let world = World::new(Kind::Memory).await;
    let twin = world.twin().await;
    (world, twin)
}

#[tokio::test]
async fn whoever_comes_second_hears_unavailable_and_no_key_is_used() {
    let (first, second) = twins().await;
    let paid = first.pay(SMALL, KNOWN, "paid").await.unwrap();
    let events = first.events().await.len();
    assert_eq!(words::of_outcome(&paid.outcome), "released");
    for (name, request) in [
        ("another", second.request(SMALL, OTHER, "another")),
        ("large", second.request(LARGE, KNOWN, "large")),
    ] {
        assert_eq!(words::of(&second.submit(request).await), "unavailable", "{name}");
    }
    // What the first one released is not under a head of the second one.
    for heard in [second.pay(SMALL, KNOWN, "paid").await, second.order(&paid.order).await] {
        assert!(words::of(&heard).starts_with("unavailable"), "{heard:?}");
    }
    assert!(second.resume().await.is_ok_and(|left| left.is_empty()));
    assert_eq!((first.events().await.len(), first.sign_calls()), (events, 1));
    assert_eq!(words::of(&first.pay(SMALL, KNOWN, "next").await), "released");
    let second = second.reopen().await;
    let again = second.pay(SMALL, KNOWN, "paid").await;
    assert_eq!(words::in_full(&again), words::in_full(&Ok(paid)));
    assert_eq!((second.sign_calls(), second.verify().await.report.released), (2, 2));
}

#[tokio::test]
async fn approvals_given_to_two_custodians_do_not_add_up_behind_each_others_back() {
    let world = World::new(Kind::Memory).await;
    let order = world.pay(LARGE, KNOWN, "large").await.unwrap();
    let twin = world.twin().await;
    assert_eq!(words::of(&world.approve(&world.people.theo, &order).await), "pending");
    assert_eq!(words::of(&twin.approve(&twin.people.tara, &order).await), "unavailable");
    assert_eq!(words::of(&twin.cancel(&twin.people.olivia, &order).await), "unavailable");
    assert_eq!(words::of(&twin.reject(&twin.people.tom, &order).await), "unavailable");
    assert_eq!(world.story(&order.order).await, ["submitted", "approved"]);
    assert_eq!(words::of(&world.approve(&world.people.tara, &order).await), "released");
    assert_eq!((world.sign_calls(), world.verify().await.report.released), (1, 1));
}

#[tokio::test]
async fn a_freeze_by_one_holds_against_the_other() {
    let (first, second) = twins().await;
    let freeze = Command::Freeze { scope: FreezeScope::House };
    let frozen = first.submit(command(&first.people.tom, "freeze", freeze)).await;
    assert_eq!(words::of(&frozen), "released");
    assert_eq!(words::of(&second.pay(SMALL, KNOWN, "paid").await), "unavailable");
    assert_eq!(first.sign_calls(), 0);
    let second = second.reopen().await;
    assert_ne!(words::of(&second.pay(SMALL, KNOWN, "paid").await), "released");
    assert_eq!((second.sign_calls(), second.verify().await.report.released), (0, 0));
}

/// The first one's order is in the backend's hands when the second one, opened after it was
/// reserved, takes over.
#[tokio::test]
async fn an_order_in_the_backends_hands_is_released_by_one_of_them_only() {
    let first = World::new(Kind::Memory).await;
    let gate = Gate::new();
    first.backend.plan().next(BackendCall::Sign, Fault::Hold(gate.clone()));
    let taking_over = async {
        gate.reached_by(1).await;
        let second = first.twin().await;
        assert_eq!(words::of(&second.pay(SMALL, OTHER, "beside").await), "released");
        gate.open();
        second
    };
    let (heard, second) = tokio::join!(first.pay(SMALL, KNOWN, "held"), taking_over);
    assert_eq!(words::of(&heard), "unavailable, ask later");
    assert_eq!(second.story_of("held").await, ["submitted", "allowed"]);
    assert_ne!(words::of(&first.pay(SMALL, KNOWN, "held").await), "released");

    let resumed = second.resume().await.unwrap();
    assert_eq!(resumed.len(), 1);
    assert_eq!(words::of_outcome(&resumed[0].outcome), "released");
    assert_eq!(second.story_of("held").await, ["submitted", "allowed", "signed"]);
    assert_ne!(words::of(&first.pay(SMALL, KNOWN, "held").await), "released");
    let probe = second.pay(SMALL, KNOWN, "probe").await.unwrap();
    assert_eq!(second.spent_at(&probe.order).await, (3 * (SMALL + FEE)).into());
    assert_eq!(second.verify().await.report.released, 3);
}

#[tokio::test]
async fn of_two_reservations_at_once_one_is_written() {
    for round in 0..20 {
        let (first, second) = twins().await;
        let (one, two) = tokio::join!(
            first.pay(SMALL, KNOWN, "raced"),
            second.pay(SMALL, if round % 2 == 0 { KNOWN } else { OTHER }, "raced"),
        );
        let mut heard = [words::of(&one), words::of(&two)];
        heard.sort();
        assert_eq!(heard[0], "released", "{heard:?}");
        assert!(heard[1].starts_with("unavailable"), "{heard:?}");
        assert_eq!((first.sign_calls(), first.verify().await.report.released), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_of_both_never_pass_the_limit_and_get_each_order_once() {
    const PART: u128 = 3 * ETH / 4;
    let (first, second) = twins().await;
    let worlds = [Arc::new(first), Arc::new(second)];
    let callers: Vec<_> = (0..200_usize)
        .map(|number| {
            // Each request is made twice, of both or twice of one.
            let world = Arc::clone(&worlds[number % 3 % 2]);
            let id = format!("shared-{}", number / 2);
            tokio::spawn(async move { (id.clone(), world.pay(PART, KNOWN, &id).await) })
        })
        .collect();
    let mut released = std::collections::BTreeMap::new();
    for caller in callers {
        let (id, heard) = caller.await.unwrap();
        match words::of(&heard).as_str() {
            "released" => {
                let answer = heard.unwrap();
                let first = released.entry(id).or_insert_with(|| answer.order.clone());
                assert_eq!(*first, answer.order, "one request, two orders");
            }
            // The second order of a request is not made, but the first may not have ended yet.
            "denied daily-limit"
            | "unavailable"
            | "unavailable, ask later"
            | "the order does not exist" => {}
            other => panic!("{other}"),
        }
    }
    assert!(!released.is_empty());
    assert!(released.len() as u128 * (PART + FEE) <= 60 * ETH);
    let [first, second] = &worlds;
    let (one, two) = (first.verify().await.report, second.verify().await.report);
    assert_eq!(one, two, "there is one log");
    assert!(first.sign_calls() as u64 >= one.released);
}

#[tokio::test]
async fn a_custodian_whose_store_another_one_took_over_can_be_closed() {
    let first = World::new(Kind::Memory).await;
    let gate = Gate::new();
    first.backend.plan().next(BackendCall::Sign, Fault::Hold(gate.clone()));
    let taking_over = async {
        gate.reached_by(1).await;
        let second = first.twin().await;
        assert_eq!(words::of(&second.pay(SMALL, OTHER, "beside").await), "released");
        gate.open();
    };
    let (heard, ()) = tokio::join!(first.pay(SMALL, KNOWN, "held"), taking_over);
    assert_eq!(words::of(&heard), "unavailable, ask later");
    first.drive(first.custodian.close()).await.unwrap();
}
