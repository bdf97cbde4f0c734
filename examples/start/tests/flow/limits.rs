//! The daily limit of sixty ether, through the whole custodian.

use std::sync::Arc;
use std::time::Duration;

use crate::world::work::{ETH, FEE, KNOWN};
use crate::world::{Kind, World, words};

const LIMIT: u128 = 60 * ETH;
const DAY: Duration = Duration::from_secs(86_400);
const BUCKET: Duration = Duration::from_secs(900);
const TICK: Duration = Duration::from_millis(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_spenders_use_the_limit_and_never_pass_it() {
    for kind in Kind::ALL {
        let world = Arc::new(World::new(kind).await);
        let spenders: Vec<_> = (0..64_u128)
            .map(|number| {
                let world = Arc::clone(&world);
                tokio::spawn(async move {
                    let mut spent = 0;
                    for turn in 0..2 {
                        let wei = ETH / 4 + (number * 29 + turn * 13) % 64 * (ETH / 86) - FEE;
                        let heard = world.pay(wei, KNOWN, &format!("{number}-{turn}")).await;
                        match words::of(&heard).as_str() {
                            "released" => spent += wei + FEE,
                            "denied daily-limit" => {}
                            other => panic!("{other}"),
                        }
                    }
                    spent
                })
            })
            .collect();
        let mut spent = 0;
        for spender in spenders {
            spent += spender.await.unwrap();
        }
        assert!(spent <= LIMIT, "{kind:?}: {spent} wei");
        assert!(spent >= LIMIT / 100 * 95, "{kind:?}: only {spent} wei");
        let oracle = world.verify().await;
        assert_eq!(oracle.report.signatures, world.sign_calls() as u64);
    }
}

#[tokio::test]
async fn a_payment_exactly_on_the_limit_is_released_and_one_wei_more_is_denied() {
    for (wei, heard) in [(LIMIT - FEE, "released"), (LIMIT - FEE + 1, "denied daily-limit")] {
        let world = World::new(Kind::Sqlite).await;
        let answer = world.pay(wei, KNOWN, "edge").await.unwrap();
        let answer = world.approve_all(answer).await;
        assert_eq!(words::of(&answer), heard, "{wei} wei");
        let _oracle = world.verify().await;
    }
}

#[tokio::test]
async fn small_payments_fill_the_limit_to_the_last_wei() {
    let world = World::new(Kind::Memory).await;
    let large = world.pay(59 * ETH - FEE, KNOWN, "large").await.unwrap();
    assert_eq!(words::of(&world.approve_all(large).await), "released");
    for (wei, id, heard) in [
        (ETH - FEE + 1, "too-much", "denied daily-limit"),
        (ETH - FEE, "just-fits", "released"),
        (0, "a-fee-alone", "denied daily-limit"),
    ] {
        assert_eq!(words::of(&world.pay(wei, KNOWN, id).await), heard, "{id}");
    }
    let _oracle = world.verify().await;
}

#[tokio::test]
async fn approvals_given_while_the_limit_is_used_up_by_others_do_not_release() {
    let world = World::new(Kind::Memory).await;
    let first = world.pay(40 * ETH, KNOWN, "first").await.unwrap();
    let second = world.pay(40 * ETH, KNOWN, "second").await.unwrap();
    assert_eq!(words::of(&world.approve_all(first).await), "released");
    let second = world.approve_all(second).await;
    assert_ne!(words::of(&second), "released");
    assert_eq!(world.verify().await.report.released, 1);
}

#[tokio::test]
async fn a_reservation_counts_for_a_day_and_until_its_bucket_has_passed() {
    for (offset, kind) in [
        (Duration::ZERO, Kind::Memory),
        (Duration::from_secs(420), Kind::Sqlite),
        (BUCKET - TICK, Kind::Memory),
    ] {
        let world = World::new(kind).await;
        world.clock.advance(offset);
        let first = world.pay(LIMIT - FEE, KNOWN, "first").await.unwrap();
        assert_eq!(words::of(&world.approve_all(first).await), "released");
        world.clock.advance(DAY);
        let probe = |id: &'static str| world.pay(ETH / 2, KNOWN, id);
        assert_eq!(words::of(&probe("a-day-later").await), "denied daily-limit", "{offset:?}");
        world.clock.advance(BUCKET - offset - TICK);
        assert_eq!(words::of(&probe("last-moment").await), "denied daily-limit", "{offset:?}");
        world.clock.advance(TICK);
        assert_eq!(words::of(&probe("bucket-passed").await), "released", "{offset:?}");
        let _oracle = world.verify().await;
        let world = world.reopen().await;
        let large = world.pay(LIMIT - ETH / 2, KNOWN, "after-restart").await;
        assert_eq!(words::of(&large), "denied daily-limit", "{offset:?}");
    }
}
