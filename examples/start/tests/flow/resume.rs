//! What a process left reserved when it died.

use std::time::Duration;

use custody_core::command::{Command, FreezeScope};
use custody_core::custodian::Answer;
use custody_core::id::{KeyId, WalletId};
use custody_core::seam::{Clock as _, ErrorKind};
use custody_core::time::Timestamp;
use custody_testkit::backend::BackendCall;
use custody_testkit::fault::{Fault, Happened};
use custody_testkit::store::StoreCall;

use crate::world::work::{ETH, FEE, KNOWN, command};
use crate::world::{Kind, World, words};

/// A world that died right after otto's order, approved by theo and tara for an hour, was reserved.
async fn died_reserved(kind: Kind) -> (World, Answer) {
    died_with(kind, SHORT).await
}

/// The same with an order that expires after so many seconds.
async fn died_with(kind: Kind, lasts: u64) -> (World, Answer) {
    let world = World::new(kind).await;
    let expires = world.now().after(Duration::from_secs(lasts));
    let request = world.request_of(&world.people.otto, 20 * ETH, KNOWN, "left").expiring(expires);
    let answer = world.submit(request).await.unwrap();
    let answer = world.approve(&world.people.theo, &answer).await.unwrap();
    let plan = world.store.plan();
    plan.next(StoreCall::Commit, Fault::Hang { happened: Happened::Yes });
    tokio::select! {
        biased;
        heard = world.approve(&world.people.tara, &answer) => panic!("{heard:?}"),
        () = world.stored(&answer.order, 4) => {}
    }
    assert!(!plan.is_waiting());
    let world = world.reopen().await;
    assert_eq!(*world.story(&answer.order).await.last().unwrap(), "allowed");
    assert_eq!(world.sign_calls(), 0);
    (world, answer)
}

/// What expires first is the order, or are its approvals; in seconds.
const SHORT: u64 = 3_000;
const LONG: u64 = 7_200;
const HOUR: u64 = 3_600;

/// Has `work` done by olivia with tom's approval.
async fn tom(world: &World, work: Command) {
    let answer = world.submit(command(&world.people.olivia, "between", work)).await.unwrap();
    let answer = world.approve(&world.people.tom, &answer).await;
    assert_eq!(words::of(&answer), "released");
}

#[tokio::test]
async fn a_reserved_order_with_nothing_against_it_is_signed_once_after_a_restart() {
    for kind in Kind::ALL {
        let (world, left) = died_reserved(kind).await;
        let waiting = world.order(&left.order).await;
        assert_eq!(words::of(&waiting), "pending", "nothing goes on by itself");
        assert_eq!(world.sign_calls(), 0);
        let resumed = world.resume().await.unwrap();
        assert_eq!(resumed.iter().map(|one| &one.order).collect::<Vec<_>>(), [&left.order]);
        assert_eq!(words::of(&Ok(resumed[0].clone())), "released");
        assert_eq!(world.resume().await.unwrap(), []);
        assert_eq!(world.sign_calls(), 1);
        assert_eq!(world.verify().await.report.released, 1);
    }
}

#[tokio::test]
async fn two_calls_of_resume_sign_once() {
    let (world, left) = died_reserved(Kind::Memory).await;
    let (one, two) = tokio::join!(world.resume(), world.resume());
    let answers = [one.unwrap(), two.unwrap()].concat();
    assert!(!answers.is_empty());
    assert!(answers.into_iter().all(|answer| words::of(&Ok(answer)) == "released"));
    assert_eq!(words::of(&world.order(&left.order).await), "released");
    assert_eq!(world.sign_calls(), 1);
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn a_reserved_order_that_something_stands_against_becomes_unknown_after_a_restart() {
    for row in [
        "frozen wallet",
        "frozen house",
        "suspended key",
        "compromised key",
        "removed approver",
        "removed requester",
        "expired order",
        "expired approval",
    ] {
        let lasts = if row == "expired approval" { LONG } else { SHORT };
        let (world, left) = died_with(Kind::Memory, lasts).await;
        let key = KeyId::parse("hot.0").unwrap();
        let wallet = FreezeScope::Wallet(WalletId::parse("hot").unwrap());
        let person = |person: &crate::world::people::Person| Command::RemovePrincipal {
            principal: person.id.clone(),
        };
        let stop = match row {
            "frozen wallet" => Some(Command::Freeze { scope: wallet }),
            "frozen house" => Some(Command::Freeze { scope: FreezeScope::House }),
            "suspended key" => Some(Command::SuspendKey { key }),
            "compromised key" => Some(Command::CompromiseKey { key }),
            "removed approver" => Some(person(&world.people.theo)),
            "removed requester" => Some(person(&world.people.otto)),
            _ => None,
        };
        match stop {
            Some(stop @ Command::RemovePrincipal { .. }) => tom(&world, stop).await,
            Some(stop) => world.done("stop", stop).await,
            None => world.clock.advance(Duration::from_secs(lasts.min(HOUR) + 1)),
        }
        let resumed = world.resume().await.unwrap();
        assert_eq!(words::of(&Ok(resumed[0].clone())), "unknown Interrupted", "{row}");
        assert_eq!(words::of(&world.order(&left.order).await), "unknown Interrupted", "{row}");
        assert_eq!(world.resume().await.unwrap(), [], "{row}");
        assert_eq!(world.sign_calls(), 0, "{row}");
        let oracle = world.verify().await;
        assert_eq!(oracle.report.released, 0, "{row}");
        assert!(oracle.ledger.order(&left.order).is_some(), "{row}: stays until resolved");
    }
}

#[tokio::test]
async fn nothing_goes_on_by_a_clock_that_is_behind_what_the_stopped_process_wrote() {
    let (world, left) = died_with(Kind::Memory, LONG).await;
    let remains = world.crash().await;
    let last = remains.clock.now();
    remains.clock.advance(Duration::from_secs(2 * 86_400));
    let now = remains.clock.now();
    remains.clock.set_wall(Timestamp::from_millis(last.as_millis() - 3_600_000));
    let world = remains.open().await;
    for _ in 0..2 {
        let refused = world.resume().await.unwrap_err();
        assert_eq!(words::of_error(&refused), "clock jump");
        assert_eq!(world.sign_calls(), 0);
        assert_eq!(words::of(&world.order(&left.order).await), "pending", "nothing is lost");
    }
    world.clock.set_wall(now);
    assert_eq!(words::of_error(&world.resume().await.unwrap_err()), "clock jump");
    world.done("confirm", Command::ConfirmClock {}).await;
    let resumed = world.resume().await.unwrap();
    assert_eq!(words::of(&Ok(resumed[0].clone())), "unknown Interrupted", "approvals expired");
    assert_eq!(world.sign_calls(), 0);
    assert_eq!(world.verify().await.report.released, 0);
}

#[tokio::test]
async fn what_a_stopped_process_left_goes_on_once_the_clock_is_confirmed() {
    let (world, left) = died_with(Kind::Memory, LONG).await;
    let remains = world.crash().await;
    let now = remains.clock.now();
    remains.clock.set_wall(Timestamp::from_millis(now.as_millis() - 3_600_000));
    let world = remains.open().await;
    assert_eq!(words::of_error(&world.resume().await.unwrap_err()), "clock jump");
    world.clock.set_wall(now);
    world.done("confirm", Command::ConfirmClock {}).await;
    let resumed = world.resume().await.unwrap();
    assert_eq!(resumed.iter().map(|one| &one.order).collect::<Vec<_>>(), [&left.order]);
    assert_eq!(words::of(&Ok(resumed[0].clone())), "released");
    assert_eq!(world.sign_calls(), 1);
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn with_nothing_left_a_clock_that_is_not_trusted_keeps_nobody_from_starting() {
    let world = World::new(Kind::Memory).await;
    let remains = world.crash().await;
    let now = remains.clock.now();
    remains.clock.set_wall(Timestamp::from_millis(now.as_millis() - 3_600_000));
    let world = remains.open().await;
    assert_eq!(world.resume().await.unwrap(), []);
    assert_eq!(words::of(&world.pay(ETH / 2, KNOWN, "paid").await), "clock jump");
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn what_expires_at_this_very_millisecond_is_still_signed_after_a_restart() {
    for lasts in [SHORT, LONG] {
        let (world, _left) = died_with(Kind::Memory, lasts).await;
        world.clock.advance(Duration::from_secs(lasts.min(HOUR)));
        let resumed = world.resume().await.unwrap();
        assert_eq!(words::of(&Ok(resumed[0].clone())), "released", "{lasts}");
        let _oracle = world.verify().await;
    }
}

#[tokio::test]
async fn what_is_left_reserved_stays_spent_without_resume() {
    let (world, _left) = died_reserved(Kind::Sqlite).await;
    let probe = world.pay(ETH / 2, KNOWN, "probe").await.unwrap();
    let expected = (20 * ETH + ETH / 2 + 2 * FEE).into();
    assert_eq!(world.spent_at(&probe.order).await, expected);
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn a_signed_order_is_delivered_from_the_store_without_the_backend() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let paid = world.pay(ETH / 2, KNOWN, "paid").await.unwrap();
        let world = world.reopen().await;
        world.backend.plan().always(BackendCall::Sign, Fault::fail(ErrorKind::Unavailable));
        let delivered = world.order(&paid.order).await;
        let again = world.pay(ETH / 2, KNOWN, "paid").await;
        for answer in [delivered, again] {
            assert_eq!(words::in_full(&answer), words::in_full(&Ok(paid.clone())));
        }
        assert_eq!(world.sign_calls(), 1);
        let _oracle = world.verify().await;
    }
}

/// The stopped process may have had a signature that it did not store, so that no answer of the
/// backend now can say that there is none.
#[tokio::test]
async fn a_resumed_order_that_fails_stays_spent() {
    for (call, kind, heard) in [
        (BackendCall::Sign, ErrorKind::Refused, "unknown BackendRefused"),
        (BackendCall::Sign, ErrorKind::Unavailable, "unknown BackendUnavailable"),
        (BackendCall::Signer, ErrorKind::Unavailable, "unknown BackendUnavailable"),
        (BackendCall::Sign, ErrorKind::Indeterminate, "unknown BackendIndeterminate"),
    ] {
        let world = World::new(Kind::Memory).await;
        let plan = world.store.plan();
        let conclude = plan.count(StoreCall::Commit) + 1;
        plan.at(StoreCall::Commit, conclude, Fault::Hang { happened: Happened::No });
        tokio::select! {
            biased;
            heard = world.pay(ETH / 2, KNOWN, "left") => panic!("{heard:?}"),
            () = async { while plan.is_waiting() { tokio::task::yield_now().await } } => {}
        }
        assert_eq!(world.sign_calls(), 1);
        let world = world.reopen().await;
        world.backend.plan().next(call, Fault::fail(kind));
        let resumed = world.resume().await.unwrap();
        assert_eq!(words::of(&Ok(resumed[0].clone())), heard);
        let probe = world.pay(ETH / 2, KNOWN, "probe").await.unwrap();
        let expected = (ETH + 2 * FEE).into();
        assert_eq!(world.spent_at(&probe.order).await, expected, "{heard}: was returned");
        let _oracle = world.verify().await;
    }
}
