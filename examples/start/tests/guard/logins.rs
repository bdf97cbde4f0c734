//! How a requester was logged in counts as it was at submission, whatever time does.

use std::time::Duration;

use custody_core::custodian::{Outcome, Request};
use custody_core::id::RuleId;
use custody_core::seam::Authentication;
use examples_start::house::TREASURY;

use crate::assert_released;
use crate::world::work::{ETH, KNOWN};
use crate::world::{Kind, Setup, World};

/// Whoever asks for a transfer must have logged in a short time before, with two factors.
const FRESH: &str = "@id(\"fresh-login\") \
    forbid (principal, action == Action::\"transfer\", resource) \
    when { context.authn.factors < 2 || context.authn.age > duration(\"15m\") };";

const LIMIT_MS: u64 = 15 * 60_000;
const HOUR: Duration = Duration::from_secs(3_600);

async fn world(kind: Kind) -> World {
    let rules = format!("{TREASURY}\n{FRESH}");
    World::with(Setup { rules, ..Setup::new(kind) }).await
}

/// A request by somebody who logged in `age_ms` ago.
fn request(world: &World, wei: u128, id: &str, (factors, age_ms): (u8, u64)) -> Request {
    let authentication = Authentication { factors, age_ms, ip: None, signed: false };
    world.request(wei, KNOWN, id).authenticated(authentication)
}

#[tokio::test]
async fn an_order_that_waits_does_not_die_of_an_old_login() {
    for kind in Kind::ALL {
        let world = world(kind).await;
        let order = world.submit(request(&world, 20 * ETH, "waits", (2, LIMIT_MS))).await.unwrap();
        world.clock.advance(HOUR);
        let order = world.approve(&world.people.theo, &order).await.unwrap();
        assert!(matches!(order.outcome, Outcome::Pending { .. }), "{order:?}");
        let world = world.reopen().await;
        world.clock.advance(HOUR - Duration::from_millis(1));
        assert_released(&world.approve(&world.people.tara, &order).await.unwrap());
        assert_eq!(world.sign_calls(), 1);
        world.verify().await;
    }
}

#[tokio::test]
async fn a_stale_login_at_submission_is_denied_whatever_comes_later() {
    for kind in Kind::ALL {
        for (name, login) in
            [("old", (2, LIMIT_MS + 1)), ("weak", (1, 0)), ("oldest", (2, u64::MAX))]
        {
            for (id, wei) in [("small", ETH / 2), ("large", 20 * ETH)] {
                let world = world(kind).await;
                let denied = world.submit(request(&world, wei, id, login)).await.unwrap();
                let rules = vec![RuleId::parse("fresh-login").unwrap()];
                assert_eq!(denied.outcome, Outcome::Denied { rules }, "{name}, {id}");
                let said = world.custodian.simulate(request(&world, wei, "said", login)).unwrap();
                assert!(!said.allowed && said.missing.is_empty(), "{name}, {id}: {said:?}");
                // A fresh login later, approvals and time change nothing about it.
                let again = world.submit(request(&world, wei, id, (2, 0))).await.unwrap();
                assert_eq!(again, denied, "{name}, {id}");
                assert_eq!(world.approve_all(again).await.unwrap(), denied, "{name}, {id}");
                world.clock.advance(HOUR);
                let world = world.reopen().await;
                assert_eq!(world.order(&denied.order).await.unwrap(), denied, "{name}, {id}");
                assert_eq!(world.sign_calls(), 0, "{name}, {id}");
                let other = request(&world, wei, "another", (2, LIMIT_MS));
                let other = world.submit(other).await.unwrap();
                assert_released(&world.approve_all(other).await.unwrap());
                world.verify().await;
            }
        }
    }
}
