//! Quotas of open orders keep nobody from stopping and settling.

use std::sync::Arc;
use std::time::Duration;

use custody_core::command::{Command, FreezeScope, Resolution};
use custody_core::custodian::{Config, Custodian, Outcome};
use custody_core::id::OrderId;
use custody_core::seam::ErrorKind;
use custody_testkit::backend::{BackendCall, FailingBackend};
use custody_testkit::fault::Fault;

use crate::house::{House, Parts, furnish, genesis, govern, hot, key, pay, ruled, said};

/// A custodian with one order of unknown outcome for each of these requests.
async fn with_lost(house: &House, config: Config, ids: [&str; 2]) -> (Custodian, Vec<OrderId>) {
    let backend = Arc::new(FailingBackend::new(Arc::new(house.keys.clone())));
    let parts = Parts { backend: Arc::<FailingBackend>::clone(&backend), ..house.parts() };
    let custodian = house.builder(parts).config(config).create(genesis()).await.unwrap();
    furnish(&custodian).await;
    let mut lost = Vec::new();
    for id in ids {
        backend.plan().next(BackendCall::Sign, Fault::fail(ErrorKind::Indeterminate));
        let paid = pay(&custodian, id).await;
        assert_eq!(said(&paid), "Unknown { reason: BackendIndeterminate }");
        lost.push(paid.unwrap().order);
    }
    (custodian, lost)
}

fn resolve(order: OrderId) -> Command {
    let reason = "it is on no chain".to_owned();
    Command::ResolveOrder { order, resolution: Resolution::Failed { reason } }
}

#[test]
fn a_full_wallet_or_requester_stops_and_settles_and_then_pays_again() {
    let scope = || FreezeScope::Wallet(hot());
    for (name, config) in [
        ("wallet", Config { open_per_wallet: 2, ..Config::default() }),
        ("requester", Config { open_per_requester: 2, ..Config::default() }),
    ] {
        let house = House::new();
        house.run(async {
            let (custodian, lost) = with_lost(&house, config, ["first", "second"]).await;
            let events = house.events();
            let full = format!("busy: the {name} has too many open orders");
            assert_eq!(said(&pay(&custodian, "third").await), full);
            let resume = Command::ResumeKey { key: key(0) };
            assert_eq!(house.events(), events, "{name}: something was written");
            for (id, command) in [
                ("freeze", Command::Freeze { scope: scope() }),
                ("suspend", Command::SuspendKey { key: key(0) }),
            ] {
                assert_eq!(said(&govern(&custodian, id, command).await), "released", "{name}");
            }
            let denied = govern(&custodian, "early", resume.clone()).await;
            assert_eq!(said(&denied), full, "what gives rights is refused as before");
            for order in lost {
                let id = format!("resolve-{order}");
                let settled = govern(&custodian, &id, resolve(order)).await;
                assert_eq!(said(&settled), "released", "{name}");
            }
            for (id, command) in [("thaw", Command::Thaw { scope: scope() }), ("resume", resume)] {
                assert_eq!(said(&govern(&custodian, id, command).await), "released", "{name}");
            }
            assert_eq!(said(&pay(&custodian, "third").await), "released", "{name}");
            house.replays(&custodian).await;
        });
    }
}

#[test]
fn a_full_requester_confirms_the_clock() {
    let house = House::new();
    house.run(async {
        let config = Config { open_per_requester: 2, ..Config::default() };
        let (custodian, _) = with_lost(&house, config, ["first", "second"]).await;
        house.clock.drift(Duration::from_secs(6));
        let jumped = "the clock jumped; a confirm_clock order is needed";
        assert_eq!(said(&pay(&custodian, "third").await), jumped);
        let confirmed = govern(&custodian, "confirm", Command::ConfirmClock {}).await;
        assert_eq!(said(&confirmed), "released");
        let full = "busy: the requester has too many open orders";
        assert_eq!(said(&pay(&custodian, "third").await), full, "time goes on");
        house.replays(&custodian).await;
    });
}

#[test]
fn a_confirmation_that_waits_for_its_time_is_judged_again_though_the_clock_jumped() {
    let rules = "allow create_wallet\nallow create_key\nallow transfer\nallow update_policy\n\
                 allow confirm_clock\nwait 60 confirm_clock";
    let house = House::new();
    house.run(async {
        let custodian = house.builder(house.parts()).create(ruled(rules)).await.unwrap();
        furnish(&custodian).await;
        house.clock.drift(Duration::from_secs(6));
        let waits = govern(&custodian, "confirm", Command::ConfirmClock {}).await.unwrap();
        assert!(matches!(waits.outcome, Outcome::Pending { .. }), "{waits:?}");
        let early = custodian.judge_again(&waits.order).await.unwrap();
        assert!(matches!(early.outcome, Outcome::Pending { .. }), "{early:?}");
        house.clock.advance(Duration::from_secs(61));
        assert_eq!(said(&custodian.judge_again(&waits.order).await), "released");
        assert_eq!(said(&pay(&custodian, "paid").await), "released");
        house.replays(&custodian).await;
    });
}

const RULES: &str = "\
allow create_wallet
allow create_key
need treasurer 1 transfer
need treasurer 1 suspend_key
need treasurer 1 update_policy
";

#[test]
fn what_takes_rights_away_has_sixteen_places_more() {
    let house = House::new();
    house.run(async {
        let config = Config { open_per_requester: 1, ..Config::default() };
        let builder = house.builder(house.parts()).config(config);
        let custodian = builder.create(ruled(RULES)).await.unwrap();
        furnish(&custodian).await;
        let suspend = || Command::SuspendKey { key: key(0) };
        assert!(said(&pay(&custodian, "waits").await).starts_with("Pending"));
        for number in 0..16 {
            let asked = govern(&custodian, &format!("suspend-{number}"), suspend()).await;
            assert!(said(&asked).starts_with("Pending"), "{number}: {}", said(&asked));
        }
        let full = "busy: the requester has too many open orders";
        let events = house.events();
        assert_eq!(said(&govern(&custodian, "suspend-16", suspend()).await), full);
        assert_eq!(said(&pay(&custodian, "another").await), full);
        assert_eq!(house.events(), events);
    });
}
