//! Clocks that jump.

use std::time::Duration;

use custody_core::command::{Command, FreezeScope};
use custody_core::seam::Clock;
use custody_core::time::Timestamp;

use crate::world::work::{ETH, KNOWN, command};
use crate::world::{Kind, World, words};

const SMALL: u128 = ETH / 2;

/// Moves the wall clock alone.
fn jump(world: &World, millis: i64) {
    let now = world.clock.now().as_millis();
    world.clock.set_wall(Timestamp::from_millis(now.checked_add_signed(millis).unwrap()));
}

#[tokio::test]
async fn a_clock_that_drifts_by_more_than_five_seconds_stops_judging_until_it_is_confirmed() {
    for millis in [5_001, 6_000, 3_600_000, -5_001, -6_000, -3_600_000] {
        let world = World::new(Kind::Memory).await;
        let waits = world.pay(20 * ETH, KNOWN, "waits").await.unwrap();
        let waits = world.approve(&world.people.theo, &waits).await.unwrap();
        let events = world.events().await.len();
        jump(&world, millis);
        assert_eq!(words::of(&world.pay(SMALL, KNOWN, "paid").await), "clock jump", "{millis}");
        assert_eq!(words::of(&world.judge_again(&waits.order).await), "clock jump", "{millis}");
        let approved = world.approve(&world.people.tara, &waits).await;
        assert_eq!(words::of(&approved), "clock jump", "{millis}");
        assert_eq!(world.events().await.len(), events, "{millis}: something was written");

        let confirm = command(&world.people.olivia, "confirm", Command::ConfirmClock {});
        let confirm = world.submit(confirm).await.unwrap();
        assert_eq!(words::of_outcome(&confirm.outcome), "pending", "{millis}: one alone");
        assert_eq!(words::of(&world.pay(SMALL, KNOWN, "paid").await), "clock jump", "{millis}");
        let confirm = world.approve(&world.people.theo, &confirm).await;
        assert_eq!(words::of(&confirm), "released", "{millis}");

        assert_eq!(words::of(&world.pay(SMALL, KNOWN, "paid").await), "released", "{millis}");
        let approved = world.approve(&world.people.tara, &waits).await;
        assert_eq!(words::of(&approved), "released", "{millis}");
        let _oracle = world.verify().await;
    }
}

#[tokio::test]
async fn a_clock_that_drifts_by_five_seconds_or_less_goes_on() {
    for millis in [4_000, 5_000, -4_000, -5_000, 1, -1] {
        let world = World::new(Kind::Memory).await;
        jump(&world, millis);
        let paid = world.pay(SMALL, KNOWN, "paid").await;
        assert_eq!(words::of(&paid), "released", "{millis}");
        let _oracle = world.verify().await;
    }
}

#[tokio::test]
async fn a_wall_clock_that_stands_still_is_a_jump() {
    for (still, heard) in [(5_000, "released"), (5_001, "clock jump")] {
        let world = World::new(Kind::Memory).await;
        world.clock.drift(Duration::from_millis(still));
        assert_eq!(words::of(&world.pay(SMALL, KNOWN, "paid").await), heard, "{still}");
        let _oracle = world.verify().await;
    }
}

#[tokio::test]
async fn time_that_passes_on_both_clocks_is_no_jump() {
    let world = World::new(Kind::Memory).await;
    for days in 0..5 {
        world.clock.advance(Duration::from_secs(86_400 * 3));
        let paid = world.pay(SMALL, KNOWN, &format!("day-{days}")).await;
        assert_eq!(words::of(&paid), "released");
    }
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn a_freeze_works_while_the_clock_has_jumped() {
    for millis in [3_600_000, -3_600_000] {
        let world = World::new(Kind::Memory).await;
        jump(&world, millis);
        assert_eq!(words::of(&world.pay(SMALL, KNOWN, "paid").await), "clock jump");
        let freeze = Command::Freeze { scope: FreezeScope::House };
        let frozen = world.submit(command(&world.people.tom, "freeze", freeze)).await;
        assert_eq!(words::of(&frozen), "released", "{millis}");
        assert!(world.verify().await.ledger.is_frozen());
    }
}

#[tokio::test]
async fn nothing_expires_by_a_clock_that_is_not_confirmed() {
    let world = World::new(Kind::Memory).await;
    let expires = world.now().after(Duration::from_secs(3_600));
    let request = world.request(20 * ETH, KNOWN, "waits").expiring(expires);
    let waits = world.submit(request).await.unwrap();
    jump(&world, 7_200_000);
    assert_eq!(words::of(&world.pay(SMALL, KNOWN, "paid").await), "clock jump");
    assert_eq!(world.story(&waits.order).await, ["submitted"]);
    world.done("confirm", Command::ConfirmClock {}).await;
    assert_eq!(words::of(&world.pay(SMALL, KNOWN, "paid").await), "released");
    assert_eq!(words::of(&world.order(&waits.order).await), "expired");
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn an_approval_made_by_the_wrong_clock_does_not_outlive_its_term() {
    let world = World::new(Kind::Memory).await;
    let waits = world.pay(20 * ETH, KNOWN, "waits").await.unwrap();
    let waits = world.approve(&world.people.theo, &waits).await.unwrap();
    world.clock.advance(Duration::from_millis(3_600_001));
    let approved = world.approve(&world.people.tara, &waits).await;
    assert_eq!(words::of(&approved), "pending", "theo's approval has run out");
    let approved = world.approve(&world.people.tom, &waits).await;
    assert_eq!(words::of(&approved), "released");
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn a_process_that_starts_with_a_clock_behind_the_ledger_judges_nothing() {
    for (millis, heard) in [(-5_001, "clock jump"), (-5_000, "released"), (86_400_000, "released")]
    {
        let world = World::new(Kind::Sqlite).await;
        let remains = world.crash().await;
        let now = remains.clock.now().as_millis();
        remains.clock.set_wall(Timestamp::from_millis(now.checked_add_signed(millis).unwrap()));
        let world = remains.open().await;
        assert_eq!(words::of(&world.pay(SMALL, KNOWN, "paid").await), heard, "{millis}");
        if heard == "clock jump" {
            world.done("confirm", Command::ConfirmClock {}).await;
            assert_eq!(words::of(&world.pay(SMALL, KNOWN, "paid").await), "released");
        }
        let _oracle = world.verify().await;
    }
}
