//! A store or a log that is away while many wait.

use std::sync::Arc;

use custody_core::command::Command;
use custody_core::seam::ErrorKind;
use custody_testkit::audit::LogCall;
use custody_testkit::fault::{Fault, Happened};
use custody_testkit::store::StoreCall;

use crate::world::disk::Disk;
use crate::world::work::{ETH, KNOWN};
use crate::world::{Kind, World, words};

const SMALL: u128 = ETH / 2;

/// What twenty callers hear, asking at once.
async fn twenty(world: &Arc<World>, prefix: &str) -> Vec<String> {
    let callers: Vec<_> = (0..20)
        .map(|number| {
            let (world, id) = (Arc::clone(world), format!("{prefix}-{number}"));
            tokio::spawn(async move { words::of(&world.pay(SMALL, KNOWN, &id).await) })
        })
        .collect();
    let mut heard = Vec::new();
    for caller in callers {
        heard.push(world.drive(caller).await.unwrap());
    }
    heard
}

fn all(heard: &[String], word: &str) -> bool {
    heard.iter().all(|one| one == word)
}

#[tokio::test]
async fn everybody_hears_that_the_store_is_away_and_is_served_when_it_is_back() {
    for kind in Kind::ALL {
        let world = Arc::new(World::new(kind).await);
        let events = world.events().await.len();
        let away = Fault::fail(ErrorKind::Unavailable);
        world.store.plan().always(StoreCall::Commit, away);
        let heard = twenty(&world, "away").await;
        assert!(all(&heard, "store Unavailable"), "{kind:?}: {heard:?}");
        assert_eq!((world.events().await.len(), world.sign_calls()), (events, 0));
        world.store.plan().clear();
        let heard = twenty(&world, "away").await;
        assert!(all(&heard, "released"), "{kind:?}: {heard:?}");
        let _oracle = world.verify().await;
    }
}

#[tokio::test]
async fn while_it_is_not_known_whether_a_batch_was_written_nothing_else_is_judged() {
    for happened in [Happened::No, Happened::Yes] {
        let world = Arc::new(World::new(Kind::Memory).await);
        let kind = ErrorKind::Indeterminate;
        world.store.plan().next(StoreCall::Commit, Fault::Fail { kind, happened });
        world.store.plan().always(StoreCall::Head, Fault::fail(ErrorKind::Unavailable));
        let lost = world.pay(SMALL, KNOWN, "lost").await;
        assert_eq!(words::of(&lost), "indeterminate", "{happened:?}");
        let heard = twenty(&world, "meanwhile").await;
        assert!(all(&heard, "unavailable"), "{happened:?}: {heard:?}");
        assert_eq!(world.sign_calls(), 0);
        world.store.plan().clear();
        let again = world.drive(world.pay(SMALL, KNOWN, "lost")).await;
        assert_eq!(words::of(&again), "released", "{happened:?}");
        let heard = twenty(&world, "meanwhile").await;
        assert!(all(&heard, "released"), "{happened:?}: {heard:?}");
        assert_eq!(world.verify().await.report.released, 21);
    }
}

#[tokio::test]
async fn a_failed_fsync_ends_all_writing_until_the_store_is_opened_again() {
    for happened in [Happened::No, Happened::Yes] {
        let world = Arc::new(World::new(Kind::Memory).await);
        let Disk::Memory(memory) = world.store.inner() else { panic!("memory") };
        memory.fail_next_fsync(happened);
        let lost = world.drive(world.pay(SMALL, KNOWN, "lost")).await;
        assert_ne!(words::of(&lost), "released", "{happened:?}");
        let heard = twenty(&world, "after").await;
        assert!(all(&heard, "unavailable"), "{happened:?}: {heard:?}");
        let world = Arc::into_inner(world).unwrap().reopen().await;
        let _resumed = world.resume().await.unwrap();
        let again = world.pay(SMALL, KNOWN, "lost").await;
        assert_eq!(words::of(&again), "released", "{happened:?}");
        assert_eq!(world.verify().await.report.released, 1);
    }
}

#[tokio::test]
async fn everybody_hears_that_the_log_is_away_and_nothing_is_signed_meanwhile() {
    for kind in Kind::ALL {
        let world = Arc::new(World::new(kind).await);
        world.log.plan().always(LogCall::Seal, Fault::fail(ErrorKind::Unavailable));
        let heard = twenty(&world, "away").await;
        assert!(all(&heard, "unavailable, ask later"), "{kind:?}: {heard:?}");
        assert_eq!(world.sign_calls(), 0, "{kind:?}");
        world.log.plan().clear();
        let heard = twenty(&world, "away").await;
        assert!(all(&heard, "released"), "{kind:?}: {heard:?}");
        assert_eq!(world.sign_calls(), 20, "{kind:?}");
        let _oracle = world.verify().await;
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_read_says_nothing_about_a_request_made_before() {
    let world = World::new(Kind::Memory).await;
    assert_eq!(words::of(&world.pay(SMALL, KNOWN, "once").await), "released");
    world.store.plan().next(StoreCall::Get, Fault::fail(ErrorKind::Unavailable));
    assert_eq!(words::of(&world.pay(SMALL, KNOWN, "once").await), "store Unavailable");
    assert_eq!(words::of(&world.pay(SMALL, KNOWN, "once").await), "released");
    assert_eq!(world.sign_calls(), 1);
    let _oracle = world.verify().await;
}

/// An order of a former process is found by the record that it left, which cannot be inserted
/// twice, and nothing of the turn is lost.
#[tokio::test]
async fn a_request_made_before_a_restart_gets_its_old_answer_and_the_others_of_its_turn_go_on() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        assert_eq!(words::of(&world.pay(SMALL, KNOWN, "old").await), "released");
        let old = world.order_of("old").await.unwrap();
        let world = world.reopen().await;
        let (before, again, after) = tokio::join!(
            world.pay(SMALL, KNOWN, "before"),
            world.pay(SMALL, KNOWN, "old"),
            world.pay(SMALL, KNOWN, "after"),
        );
        assert_eq!(again.as_ref().unwrap().order, old);
        for answer in [before, again, after] {
            assert_eq!(words::of(&answer), "released");
        }
        assert_eq!(words::of(&world.pay(ETH, KNOWN, "old").await), "reused");
        let released = world.verify().await.report.released;
        assert_eq!(released, 3);
    }
}

/// What was answered once is answered again, even if the request would be refused by now.
#[tokio::test]
async fn a_request_made_before_is_answered_though_its_requester_was_removed() {
    for reopens in [false, true] {
        let mut world = World::new(Kind::Memory).await;
        let first = world.request_of(&world.people.tara, SMALL, KNOWN, "theirs");
        let first = world.submit(first).await;
        let said = words::in_full(&first);
        let principal = world.people.tara.id.clone();
        world.done("remove", Command::RemovePrincipal { principal }).await;
        if reopens {
            world = world.reopen().await;
        }
        let again = world.request_of(&world.people.tara, SMALL, KNOWN, "theirs");
        assert_eq!(words::in_full(&world.submit(again).await), said);
        let new = world.request_of(&world.people.tara, SMALL, KNOWN, "another");
        assert!(world.submit(new).await.is_err());
    }
}
