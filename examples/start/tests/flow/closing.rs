//! Quotas, closing, and callers that leave.

use std::sync::Arc;
use std::time::Duration;

use custody_core::custodian::Answer;
use custody_core::principal::Verb;
use custody_testkit::backend::BackendCall;
use custody_testkit::fault::{Fault, Gate, Happened};
use custody_testkit::store::StoreCall;

use crate::world::disk::Disk;
use crate::world::work::{ETH, KNOWN};
use crate::world::{Kind, Setup, World, words};

const SMALL: u128 = ETH / 2;
const LARGE: u128 = 20 * ETH;

#[tokio::test]
async fn open_orders_of_a_requester_and_of_a_wallet_have_a_limit() {
    for (name, quota) in [("requester", true), ("wallet", false)] {
        let setup = Setup::new(Kind::Memory).config(|config| {
            if quota { config.open_per_requester = 2 } else { config.open_per_wallet = 2 }
        });
        let world = World::with(setup).await;
        let first = world.pay(LARGE, KNOWN, "first").await.unwrap();
        assert_eq!(words::of(&world.pay(LARGE, KNOWN, "second").await), "pending", "{name}");
        let events = world.events().await.len();
        let third = words::of(&world.pay(LARGE, KNOWN, "third").await);
        assert!(third.starts_with("busy") && third.contains(name), "{third}");
        assert_eq!(world.events().await.len(), events, "{name}: something was written");
        let again = world.pay(LARGE, KNOWN, "first").await;
        assert_eq!(words::of(&again), "pending", "{name}: what is open is found");
        let other = world.request_of(&world.people.otto, LARGE, KNOWN, "other");
        let other = words::of(&world.submit(other).await);
        assert_eq!(other == "pending", quota, "{name}: {other}");
        let gone = world.cancel(&world.people.olivia, &first).await;
        assert_eq!(words::of(&gone), "cancelled", "{name}");
        assert_eq!(words::of(&world.pay(LARGE, KNOWN, "third").await), "pending", "{name}");
        let _oracle = world.verify().await;
    }
}

#[tokio::test]
async fn an_order_takes_a_limited_number_of_approvals() {
    let setup = Setup::new(Kind::Memory).config(|config| config.approvals_per_order = 1);
    let world = World::with(setup).await;
    let waits = world.pay(LARGE, KNOWN, "waits").await.unwrap();
    assert_eq!(words::of(&world.approve(&world.people.theo, &waits).await), "pending");
    let full = words::of(&world.approve(&world.people.tara, &waits).await);
    assert_eq!(full, "busy: the order has too many approvals");
    assert_eq!(world.story(&waits.order).await, ["submitted", "approved"]);
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn a_person_approves_an_order_three_times_at_most_and_counts_once() {
    let world = World::new(Kind::Memory).await;
    let waits = world.pay(LARGE, KNOWN, "waits").await.unwrap();
    let theo = &world.people.theo;
    let first = world.says(theo, Verb::Approve, &waits);
    for _ in 0..3 {
        world.clock.advance(Duration::from_millis(1));
        assert_eq!(words::of(&world.approve(theo, &waits).await), "pending");
    }
    let fourth = words::of(&world.custodian.approve(first).await);
    assert_eq!(fourth, "busy: the person has approved the order too often");
    assert_eq!(words::of(&world.approve(&world.people.tara, &waits).await), "released");
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn a_full_queue_turns_callers_away_and_keeps_those_it_took() {
    let setup = Setup::new(Kind::Memory).config(|config| config.queue = 1);
    let world = Arc::new(World::with(setup).await);
    let gate = Gate::new();
    world.store.plan().next(StoreCall::Commit, Fault::Hold(gate.clone()));
    let callers: Vec<_> = (0..20)
        .map(|number| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.pay(SMALL, KNOWN, &format!("many-{number}")).await })
        })
        .collect();
    gate.reached_by(1).await;
    while callers.iter().filter(|caller| caller.is_finished()).count() < 15 {
        tokio::task::yield_now().await;
    }
    gate.open();
    let mut heard = Vec::new();
    for caller in callers {
        heard.push(words::of(&caller.await.unwrap()));
    }
    let count = |what: &str| heard.iter().filter(|word| *word == what).count();
    let (released, busy) = (count("released"), count("busy: the queue is full"));
    assert!(released >= 1 && busy >= 15 && released + busy == 20, "{heard:?}");
    assert_eq!(world.verify().await.report.released, released as u64);
}

#[tokio::test]
async fn closing_waits_for_what_is_under_way_and_refuses_what_comes_later() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let waits = world.pay(LARGE, KNOWN, "waits").await.unwrap();
        let gate = Gate::new();
        world.backend.plan().next(BackendCall::Sign, Fault::Hold(gate.clone()));
        let closing = async {
            gate.reached_by(1).await;
            let letting_go = async {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                let late = world.pay(SMALL, KNOWN, "late").await;
                assert_eq!(words::of(&late), "closed", "while it closes");
                gate.open();
            };
            tokio::join!(world.custodian.close(), world.custodian.close(), letting_go)
        };
        let (paid, (one, two, ())) = tokio::join!(world.pay(SMALL, KNOWN, "paid"), closing);
        assert_eq!(words::of(&paid), "released", "{kind:?}");
        assert!(one.is_ok() && two.is_ok());
        let late = world.request(SMALL, KNOWN, "late");
        assert_eq!(words::of(&world.submit(late).await), "closed");
        let approval = world.approve(&world.people.theo, &waits).await;
        assert_eq!(words::of(&approval), "closed");
        assert_eq!(words::of(&world.judge_again(&waits.order).await), "closed");
        assert!(world.resume().await.is_err());
        assert!(world.custodian.close().await.is_err(), "closed twice");
        let world = world.reopen().await;
        assert_eq!(words::of(&world.approve_all(waits).await), "released");
        assert_eq!(world.story_of("late").await, Vec::<String>::new());
        assert_eq!(world.verify().await.report.released, 2);
    }
}

#[tokio::test]
async fn dropping_every_handle_closes_and_gives_the_store_back() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let paid = world.pay(SMALL, KNOWN, "paid").await.unwrap();
        let clone = world.custodian.clone();
        drop(clone);
        assert_eq!(words::of(&world.pay(SMALL, KNOWN, "next").await), "released");
        let world = world.leave().await.open().await;
        let delivered = world.order(&paid.order).await;
        assert_eq!(words::in_full(&delivered), words::in_full(&Ok(paid)));
        let _oracle = world.verify().await;
    }
}

#[tokio::test]
async fn an_order_in_the_backends_hands_ends_after_every_handle_is_gone() {
    let world = World::new(Kind::Sqlite).await;
    let gate = Gate::new();
    world.backend.plan().next(BackendCall::Sign, Fault::Hold(gate.clone()));
    tokio::select! {
        biased;
        heard = world.pay(SMALL, KNOWN, "paid") => panic!("{heard:?}"),
        () = gate.reached_by(1) => {}
    }
    let opening = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        gate.open();
    };
    let (remains, ()) = tokio::join!(world.leave(), opening);
    let world = remains.open().await;
    assert_eq!(words::of(&world.pay(SMALL, KNOWN, "paid").await), "released");
    assert_eq!(world.sign_calls(), 1);
    let _oracle = world.verify().await;
}

/// A small generator: the tests below need no better one.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[tokio::test]
async fn a_caller_who_leaves_at_any_await_finds_one_order_later() {
    for (kind, rounds) in [(Kind::Memory, 200), (Kind::Sqlite, 200)] {
        let seed = 0x9e37_79b9_7f4a_7c15;
        let mut draws = Draws(seed);
        let world = Arc::new(World::new(kind).await);
        for round in 0..rounds {
            let id = format!("left-{round}");
            let (caller, request) = (Arc::clone(&world), id.clone());
            let leaves = tokio::spawn(async move { caller.pay(1, KNOWN, &request).await });
            match kind {
                Kind::Memory => {
                    for _ in 0..draws.below(24) {
                        tokio::task::yield_now().await;
                    }
                }
                Kind::Sealed | Kind::Sqlite => {
                    for _ in 0..draws.below(400) {
                        tokio::task::yield_now().await;
                    }
                }
            }
            leaves.abort();
            let again: Answer = world.pay(1, KNOWN, &id).await.unwrap();
            let case = format!("{kind:?}, round {round}, seed {seed}");
            assert_eq!(words::of_outcome(&again.outcome), "released", "{case}");
            let story = world.story(&again.order).await;
            assert_eq!(story, ["submitted", "allowed", "signed"], "{case}");
        }
        assert_eq!(world.sign_calls(), rounds);
        assert_eq!(world.verify().await.report.released, rounds as u64);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approvers_who_leave_at_any_await_leave_one_signature() {
    let world = Arc::new(World::new(Kind::Memory).await);
    let mut draws = Draws(77);
    for round in 0..20 {
        let waits = world.pay(ETH + ETH / 2, KNOWN, &format!("waits-{round}")).await.unwrap();
        assert_eq!(words::of(&world.approve(&world.people.theo, &waits).await), "pending");
        let approval = world.says(&world.people.tara, Verb::Approve, &waits);
        let custodian = world.custodian.clone();
        let leaves = tokio::spawn(async move { custodian.approve(approval).await });
        for _ in 0..draws.below(24) {
            tokio::task::yield_now().await;
        }
        leaves.abort();
        let again = world.approve(&world.people.tara, &waits).await;
        assert_eq!(words::of(&again), "released", "round {round}");
    }
    assert_eq!(world.sign_calls(), 20);
    assert_eq!(world.verify().await.report.released, 20);
}

/// A poisoned store must be opened again, so that the custodian over it must be closed first.
#[tokio::test]
async fn a_custodian_whose_store_is_poisoned_can_be_closed() {
    for happened in [Happened::No, Happened::Yes] {
        let world = World::new(Kind::Memory).await;
        let gate = Gate::new();
        world.backend.plan().next(BackendCall::Sign, Fault::Hold(gate.clone()));
        let poisoning = async {
            gate.reached_by(1).await;
            let Disk::Memory(memory) = world.store.inner() else { panic!("in memory") };
            memory.fail_next_fsync(happened);
            gate.open();
        };
        let (heard, ()) = tokio::join!(world.pay(SMALL, KNOWN, "held"), poisoning);
        assert_ne!(words::of(&heard), "released", "{happened:?}");
        world.drive(world.custodian.close()).await.unwrap();
        let world = world.reopen().await;
        let _resumed = world.resume().await.unwrap();
        assert_eq!(words::of(&world.pay(SMALL, KNOWN, "held").await), "released");
        assert_eq!(world.verify().await.report.released, 1, "{happened:?}");
    }
}
