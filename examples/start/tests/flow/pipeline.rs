//! What is judged while the turn before it is still being committed.

use custody_core::command::{Command, FreezeScope};
use custody_core::custodian::{Answer, Error};
use custody_core::id::WalletId;
use custody_core::seam::ErrorKind;
use custody_testkit::fault::{Fault, Gate, Happened};
use custody_testkit::store::StoreCall;
use examples_start::house::TREASURY;

use crate::world::work::{ETH, KNOWN, command};
use crate::world::{Kind, Setup, World, words};

/// Two of these are more than a day allows.
const PAY: u128 = 9 * ETH / 10;

/// A house whose wallets spend at most 1.5 ether a day.
async fn world(kind: Kind) -> World {
    let (from, to) = ("h24.greaterThan(decimal(\"60.0\"))", "h24.greaterThan(decimal(\"1.5\"))");
    assert!(TREASURY.contains(from), "the rules say something else");
    let mut setup = Setup::new(kind);
    setup.rules = TREASURY.replace(from, to);
    World::with(setup).await
}

/// Pays, with the commit of the payment held, and makes `call` meanwhile; then the commit ends as
/// `fault` says. What both heard.
async fn beside(
    world: &World,
    kind: ErrorKind,
    happened: Happened,
    call: impl Future<Output = Result<Answer, Error>>,
) -> (Result<Answer, Error>, Result<Answer, Error>) {
    let gate = Gate::new();
    let fault = Fault::HoldThenFail { gate: gate.clone(), kind, happened };
    world.store.plan().next(StoreCall::Commit, fault);
    let meanwhile = async {
        gate.reached_by(1).await;
        let letting_go = async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            gate.open();
        };
        tokio::join!(call, letting_go).0
    };
    tokio::join!(world.pay(PAY, KNOWN, "first"), meanwhile)
}

#[tokio::test]
async fn what_was_judged_upon_a_turn_that_was_not_written_is_judged_again() {
    for kind in Kind::ALL {
        let world = world(kind).await;
        let second = world.pay(PAY, KNOWN, "second");
        let (first, second) =
            Box::pin(beside(&world, ErrorKind::Unavailable, Happened::No, second)).await;
        assert_eq!(words::of(&first), "store Unavailable");
        assert_eq!(words::of(&second), "released", "the first does not count");
        assert_eq!(words::of(&world.pay(PAY, KNOWN, "first").await), "denied daily-limit");
        assert_eq!(world.verify().await.report.released, 1);
    }
}

#[tokio::test]
async fn what_was_judged_upon_a_turn_that_was_written_after_all_stands() {
    for kind in Kind::ALL {
        let world = world(kind).await;
        let second = world.pay(PAY, KNOWN, "second");
        let (first, second) =
            Box::pin(beside(&world, ErrorKind::Indeterminate, Happened::Yes, second)).await;
        assert_eq!(words::of(&first), "released");
        assert_eq!(words::of(&second), "denied daily-limit");
        assert_eq!(world.verify().await.report.released, 1);
    }
}

#[tokio::test]
async fn nothing_is_judged_upon_a_turn_of_unknown_fate() {
    for kind in Kind::ALL {
        let world = world(kind).await;
        world.store.plan().next(StoreCall::Head, Fault::fail(ErrorKind::Unavailable));
        let second = world.pay(PAY, KNOWN, "second");
        let (first, second) =
            Box::pin(beside(&world, ErrorKind::Indeterminate, Happened::Yes, second)).await;
        assert_eq!(words::of(&first), "indeterminate");
        assert_eq!(words::of(&second), "unavailable");
        assert_eq!(words::of(&world.pay(PAY, KNOWN, "second").await), "denied daily-limit");
        assert_eq!(words::of(&world.pay(PAY, KNOWN, "first").await), "released");
        assert_eq!(world.verify().await.report.released, 1);
    }
}

#[tokio::test]
async fn a_freeze_upon_a_turn_that_was_not_written_is_not_lost() {
    for kind in Kind::ALL {
        let world = world(kind).await;
        let scope = FreezeScope::Wallet(WalletId::parse("hot").unwrap());
        let freeze = command(&world.people.theo, "freeze", Command::Freeze { scope });
        let freeze = world.submit(freeze);
        let (first, frozen) =
            Box::pin(beside(&world, ErrorKind::Unavailable, Happened::No, freeze)).await;
        assert_eq!(words::of(&first), "store Unavailable");
        assert_eq!(words::of(&frozen), "released");
        assert_eq!(words::of(&world.pay(PAY, KNOWN, "next").await), "pending");
        assert_eq!(world.sign_calls(), 0);
        let _oracle = world.verify().await;
    }
}

#[tokio::test]
async fn a_request_that_is_being_committed_is_found() {
    for (happened, kind, heard) in [
        (Happened::Yes, ErrorKind::Indeterminate, "released"),
        (Happened::No, ErrorKind::Unavailable, "store Unavailable"),
    ] {
        let world = world(Kind::Memory).await;
        let twins = async {
            let (twin, other) =
                tokio::join!(world.pay(PAY, KNOWN, "first"), world.pay(PAY / 2, KNOWN, "first"));
            // Without the first, the one of the two that comes first is the request.
            let reused = [&twin, &other].map(words::of);
            assert_eq!(reused, ["released", "reused"], "{happened:?}");
            twin
        };
        let (first, twin) = Box::pin(beside(&world, kind, happened, twins)).await;
        assert_eq!(words::of(&first), heard);
        if let Ok(first) = first {
            assert_eq!(first.order, twin.unwrap().order);
        }
        assert_eq!(world.verify().await.report.released, 1);
    }
}

#[tokio::test]
async fn a_request_that_is_being_denied_is_found() {
    let world = world(Kind::Memory).await;
    let gate = Gate::new();
    world.store.plan().next(StoreCall::Commit, Fault::Hold(gate.clone()));
    let fee = "0x0000000000000000000000000000000000000bad";
    let meanwhile = async {
        gate.reached_by(1).await;
        let letting_go = async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            gate.open();
        };
        tokio::join!(world.pay(2_000_000 * ETH, fee, "first"), letting_go).0
    };
    let (first, twin) = tokio::join!(world.pay(2_000_000 * ETH, fee, "first"), meanwhile);
    let (first, twin) = (first.unwrap(), twin.unwrap());
    assert!(words::of_outcome(&first.outcome).starts_with("denied"), "{first:?}");
    assert_eq!(words::in_full(&Ok(first)), words::in_full(&Ok(twin)));
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn turns_that_wait_for_their_head_follow_in_order() {
    let world = world(Kind::Memory).await;
    for number in 0..4 {
        let ids = [0, 1, 2].map(|part| format!("{number}-{part}"));
        let [one, two, three] = ids.each_ref().map(|id| world.pay(ETH / 20, KNOWN, id));
        let (one, two, three) = tokio::join!(one, two, three);
        for answer in [one, two, three] {
            assert_eq!(words::of(&answer), "released");
        }
    }
    assert_eq!(world.verify().await.report.released, 12);
}
