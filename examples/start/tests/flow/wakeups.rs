//! The stream that wakes a host: once something is durable, as seldom as the host reads, and until
//! the custodian is gone.

use custody_core::seam::{ErrorKind, Position, Store};
use custody_testkit::fault::{Fault, Gate};
use custody_testkit::store::StoreCall;
use futures::{FutureExt, Stream, StreamExt};

use crate::world::work::{ETH, KNOWN};
use crate::world::{Kind, World, words};

const LARGE: u128 = 20 * ETH;

/// The wake-ups that are there already.
fn waiting(stream: &mut (impl Stream<Item = Position> + Unpin)) -> Vec<Position> {
    let mut found = Vec::new();
    while let Some(Some(position)) = stream.next().now_or_never() {
        found.push(position);
    }
    found
}

/// Lets every task of this thread go on as far as it can.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_host_is_woken_once_something_is_durable_and_not_before() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let mut wakeups = world.custodian.wakeups();
        settle().await;
        assert_eq!(waiting(&mut wakeups), [], "{kind:?}: of what was before");
        let (gate, before) = (Gate::new(), world.store.inner().head().await.unwrap());
        world.store.plan().next(StoreCall::Commit, Fault::Hold(gate.clone()));
        let watching = async {
            gate.reached_by(1).await;
            settle().await;
            assert_eq!(waiting(&mut wakeups), [], "{kind:?}: nothing is durable");
            gate.open();
            let woken = wakeups.next().await.unwrap();
            let durable = world.store.inner().head().await.unwrap();
            assert!(before < woken && woken <= durable, "{kind:?}: {before} {woken} {durable}");
        };
        let (paid, ()) = tokio::join!(world.pay(LARGE, KNOWN, "large"), watching);
        assert_eq!(words::of(&paid), "pending");
        let _oracle = world.verify().await;
    }
}

#[tokio::test]
async fn a_commit_that_fails_wakes_nobody() {
    let world = World::new(Kind::Memory).await;
    let mut wakeups = world.custodian.wakeups();
    for kind in [ErrorKind::Unavailable, ErrorKind::Indeterminate] {
        world.store.plan().next(StoreCall::Commit, Fault::fail(kind));
        assert_eq!(words::of(&world.pay(LARGE, KNOWN, "lost").await), "store Unavailable");
        settle().await;
        assert_eq!(waiting(&mut wakeups), [], "{kind:?}");
    }
    let lost = Fault::fail_after(ErrorKind::Indeterminate);
    world.store.plan().next(StoreCall::Commit, lost);
    assert_eq!(words::of(&world.pay(LARGE, KNOWN, "kept").await), "pending");
    assert_eq!(waiting(&mut wakeups), [world.store.inner().head().await.unwrap()]);
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn a_host_that_does_not_read_is_woken_a_few_times_and_misses_no_event() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let (mut wakeups, mut idle) = (world.custodian.wakeups(), world.custodian.wakeups());
        let mut read = world.store.inner().head().await.unwrap();
        for round in 0..3 {
            for number in 0..20 {
                let id = format!("pay-{round}-{number}");
                assert_eq!(words::of(&world.pay(1, KNOWN, &id).await), "released");
            }
            let woken = waiting(&mut wakeups);
            assert!((1..=2).contains(&woken.len()), "{kind:?}: not coalesced: {woken:?}");
            let events = world.custodian.events(read, 1_000).await.unwrap();
            read = read.plus(events.len() as u64);
            assert_eq!(events.len(), 60, "{kind:?}: two commits and three events a payment");
            assert_eq!(read, world.store.inner().head().await.unwrap(), "{kind:?}");
        }
        assert!(waiting(&mut idle).len() <= 2, "{kind:?}: one who never read");
        let _oracle = world.verify().await;
    }
}

#[tokio::test]
async fn a_host_that_went_away_holds_nobody_up() {
    let world = World::new(Kind::Memory).await;
    let mut stays = world.custodian.wakeups();
    drop(world.custodian.wakeups());
    assert_eq!(words::of(&world.pay(1, KNOWN, "paid").await), "released");
    assert!(!waiting(&mut stays).is_empty());
    drop(stays);
    assert_eq!(words::of(&world.pay(1, KNOWN, "next").await), "released");
    let mut later = world.custodian.wakeups();
    assert_eq!(words::of(&world.pay(1, KNOWN, "last").await), "released");
    assert!(!waiting(&mut later).is_empty());
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn the_stream_ends_when_the_last_handle_is_gone() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let wakeups = world.custodian.wakeups();
        assert_eq!(words::of(&world.pay(1, KNOWN, "paid").await), "released");
        let remains = world.leave().await;
        let rest: Vec<_> = wakeups.collect().await;
        assert!((1..=2).contains(&rest.len()), "{kind:?}: {rest:?}");
        let _oracle = remains.open().await.verify().await;
    }
}

#[tokio::test]
async fn the_stream_ends_when_the_custodian_is_closed() {
    for kind in Kind::ALL {
        let world = World::new(kind).await;
        let mut wakeups = world.custodian.wakeups();
        assert_eq!(words::of(&world.pay(1, KNOWN, "paid").await), "released");
        world.custodian.close().await.unwrap();
        settle().await;
        while let Some(position) = wakeups.next().now_or_never().expect("the stream goes on") {
            assert!(position <= world.store.inner().head().await.unwrap());
        }
        let mut late = world.custodian.wakeups();
        assert_eq!(late.next().now_or_never(), Some(None), "{kind:?}: after it was closed");
    }
}
