//! What is judged upon a turn that is still being committed.

use std::sync::Arc;
use std::time::Duration;

use custody_core::command::{Command, FreezeScope};
use custody_core::custodian::Outcome;
use custody_core::seam::ErrorKind;
use custody_testkit::backend::{BackendCall, FailingBackend, SlowBackend};
use custody_testkit::fault::{Fault, Gate, Happened};
use custody_testkit::policy::TestRules;
use custody_testkit::store::{FaultyStore, MemoryStore, StoreCall};
use custody_testkit::suite::key_backend::Ability;
use futures::future::{Either, join, join3, select};

use crate::house::{
    House, Parts, approve, create_key, furnish, govern, hot, key, pay, ruled, said,
};

/// What a backend can that has no switch: keys are suspended and resumed by orders alone.
fn without_switch() -> Vec<Ability> {
    Ability::ALL.into_iter().filter(|ability| *ability != Ability::Switch).collect()
}

/// What is heard of `first`, whose commit is held for a second, and of `second`, which comes
/// meanwhile.
async fn behind<A, B>(
    house: &House,
    store: &FaultyStore<MemoryStore>,
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> (A, B) {
    let gate = Gate::new();
    store.plan().next(StoreCall::Commit, Fault::Hold(gate.clone()));
    let second = async {
        gate.reached_by(1).await;
        let letting_go = async {
            house.pass(Duration::from_secs(1)).await;
            gate.open();
        };
        join(second, letting_go).await.0
    };
    join(Box::pin(first), Box::pin(second)).await
}

#[test]
fn what_a_thaw_or_a_resumption_allows_does_not_begin_before_that_is_durable() {
    for (stop, go) in [
        (
            Command::Freeze { scope: FreezeScope::Wallet(hot()) },
            Command::Thaw { scope: FreezeScope::Wallet(hot()) },
        ),
        (Command::SuspendKey { key: key(0) }, Command::ResumeKey { key: key(0) }),
    ] {
        let name = go.action();
        let house = House::new();
        house.run(async {
            let (store, parts) = house.faulty();
            let backend = Arc::new(house.keys.clone().with_abilities(&without_switch()));
            let parts = Parts { backend, ..parts };
            let custodian = house.furnished(parts).await;
            assert_eq!(said(&pay(&custodian, "opens-the-key").await), "released");
            assert_eq!(said(&govern(&custodian, "stop", stop).await), "released");
            let go = govern(&custodian, "go", go);
            let (gone, paid) = behind(&house, &store, go, pay(&custodian, "behind")).await;
            assert_eq!(said(&gone), "released", "{name}");
            assert_eq!(said(&paid), "released", "{name}: it waits for what is being committed");
            assert_eq!((house.keys.sign_calls(), house.signed()), (2, 2), "{name}");
            house.replays(&custodian).await;
        });
    }
}

#[test]
fn what_stops_a_key_behind_its_resumption_holds_before_it_is_durable_and_after_that_is() {
    let house = House::new();
    house.run(async {
        let (store, parts) = house.faulty();
        let keys = Arc::new(house.keys.clone().with_abilities(&without_switch()));
        let clock = Arc::new(house.clock.clone());
        // The key of the payment is being opened all the while.
        let backend = Arc::new(SlowBackend::new(keys, clock, Duration::from_secs(5)));
        let parts = Parts { backend, ..parts };
        let custodian = house.furnished(parts).await;
        let suspend = Command::SuspendKey { key: key(0) };
        let resume = Command::ResumeKey { key: key(0) };
        let (first, second) = (Gate::new(), Gate::new());
        let again = async {
            first.reached_by(1).await;
            govern(&custodian, "again", Command::CompromiseKey { key: key(0) }).await
        };
        let letting_go = async {
            first.reached_by(1).await;
            store.plan().next(StoreCall::Commit, Fault::Hold(second.clone()));
            house.pass(Duration::from_millis(100)).await;
            first.open();
            house.pass(Duration::from_secs(7)).await;
            second.open();
        };
        let stops = async {
            house.pass(Duration::from_secs(1)).await;
            assert_eq!(said(&govern(&custodian, "suspend", suspend).await), "released");
            store.plan().next(StoreCall::Commit, Fault::Hold(first.clone()));
            let resumed = Box::pin(govern(&custodian, "resume", resume));
            let (resumed, again, ()) = join3(resumed, Box::pin(again), letting_go).await;
            assert_eq!((said(&resumed), said(&again)), ("released".into(), "released".into()));
        };
        let (paid, ()) = join(Box::pin(pay(&custodian, "paid")), Box::pin(stops)).await;
        assert_eq!(said(&paid), "failed Frozen");
        house.assert_unused();
        house.replays(&custodian).await;
    });
}

/// House and wallet are frozen, or the key is suspended, when somebody lets them go and somebody
/// else raises the alarm again: what the alarm finds durable is not what it will be answered upon.
#[test]
fn an_alarm_behind_what_takes_the_last_one_back_counts() {
    let freeze = |scope: &FreezeScope| Command::Freeze { scope: scope.clone() };
    let thaw = |scope: &FreezeScope| Command::Thaw { scope: scope.clone() };
    let (house, wallet) = (FreezeScope::House, FreezeScope::Wallet(hot()));
    let suspend = || Command::SuspendKey { key: key(0) };
    let resume = || Command::ResumeKey { key: key(0) };
    for (name, alarm, back, abilities, gone) in [
        ("house", freeze(&house), thaw(&house), Ability::ALL.to_vec(), "released"),
        ("wallet", freeze(&wallet), thaw(&wallet), Ability::ALL.to_vec(), "released"),
        ("key", suspend(), resume(), without_switch(), "released"),
        ("switched key", suspend(), resume(), Ability::ALL.to_vec(), "failed Conflict"),
    ] {
        let house = House::new();
        house.run(async {
            let (store, parts) = house.faulty();
            let backend = Arc::new(house.keys.clone().with_abilities(&abilities));
            let custodian = house.furnished(Parts { backend, ..parts }).await;
            assert_eq!(said(&govern(&custodian, "first", alarm.clone()).await), "released");
            let back = govern(&custodian, "back", back);
            let again = govern(&custodian, "alarm", alarm);
            let (back, again) = behind(&house, &store, back, again).await;
            assert_eq!((said(&back), said(&again)), (gone.into(), "released".into()), "{name}");
            assert_ne!(said(&pay(&custodian, "stopped").await), "released", "{name}");
            house.assert_unused();
            house.replays(&custodian).await;
        });
    }
}

#[test]
fn an_alarm_about_what_is_so_already_is_no_order_and_one_that_was_answered_stays_answered() {
    for alarm in [
        Command::Freeze { scope: FreezeScope::House },
        Command::Freeze { scope: FreezeScope::Wallet(hot()) },
        Command::SuspendKey { key: key(0) },
    ] {
        let house = House::new();
        house.run(async {
            let name = format!("{alarm:?}");
            let custodian = house.furnished(house.parts()).await;
            let first = govern(&custodian, "first", alarm.clone()).await;
            assert_eq!(said(&first), "released", "{name}");
            custodian.close().await.unwrap();
            let custodian = house.builder(house.parts()).open(custodian.id()).await.unwrap();
            let events = house.events();
            let twice = said(&govern(&custodian, "twice", alarm.clone()).await);
            assert_eq!(twice, "the command cannot be done", "{name}");
            let again = govern(&custodian, "first", alarm.clone()).await;
            assert_eq!(said(&again), "released", "{name}");
            assert_eq!(again.unwrap().order, first.unwrap().order, "{name}");
            assert_eq!(house.events(), events, "{name}: an order was made of it");
        });
    }
}

/// What a stopped process left is gone on with while the house is being frozen.
#[test]
fn a_freeze_that_is_being_committed_does_not_keep_a_key_from_being_made() {
    let house = House::new();
    let id = house.run(async {
        let backend = Arc::new(FailingBackend::new(Arc::new(house.keys.clone())));
        let parts = Parts { backend: Arc::<FailingBackend>::clone(&backend), ..house.parts() };
        let custodian = house.furnished(parts).await;
        let gate = Gate::new();
        backend.plan().next(BackendCall::Generate, Fault::Hold(gate.clone()));
        let asked = Box::pin(govern(&custodian, "left", create_key(1)));
        let first = select(asked, Box::pin(gate.reached_by(1))).await;
        assert!(matches!(first, Either::Right(_)), "made before the crash");
        custodian.id()
    });
    let house = house.crashed();
    house.run(async {
        let (store, parts) = house.faulty();
        let custodian = house.builder(parts).open(id).await.unwrap();
        let freeze = Command::Freeze { scope: FreezeScope::House };
        let freeze = govern(&custodian, "freeze", freeze);
        let (frozen, resumed) = behind(&house, &store, freeze, custodian.resume()).await;
        let heard: Vec<_> = resumed.unwrap().into_iter().map(|one| said(&Ok(one))).collect();
        assert_eq!((said(&frozen).as_str(), heard), ("released", vec!["released".to_owned()]));
        assert!(custodian.key(&key(1)).is_some());
        house.replays(&custodian).await;
    });
}

/// A job began under rules that were then not written. Its answer comes when the order waits once
/// more, in the turn that allows it: the job that starts then is at work all the same.
#[test]
fn the_answer_of_a_job_that_counts_no_more_does_not_end_the_one_that_does() {
    const RULES: &str = "allow create_wallet\nallow create_key\nallow update_policy\n\
                         allow confirm_clock\nneed treasurer 1 transfer";
    let house = House::new();
    house.run(async {
        let (store, parts) = house.faulty();
        let backend = Arc::new(FailingBackend::new(Arc::new(house.keys.clone())));
        let parts = Parts { backend: Arc::<FailingBackend>::clone(&backend), ..parts };
        let custodian = house.builder(parts).create(ruled(RULES)).await.unwrap();
        furnish(&custodian).await;
        let opens = pay(&custodian, "opens-the-key").await.unwrap();
        assert_eq!(said(&approve(&custodian, &opens).await), "released");
        let (early, failing, held, late) = (Gate::new(), Gate::new(), Gate::new(), Gate::new());
        let (kind, happened) = (ErrorKind::Unavailable, Happened::No);
        let fails = Fault::HoldThenFail { gate: failing.clone(), kind, happened };
        store.plan().next(StoreCall::Commit, fails);
        backend.plan().next(BackendCall::Sign, Fault::Hold(early.clone()));
        let behind = async {
            failing.reached_by(1).await;
            let letting_go = async {
                early.reached_by(1).await;
                failing.open();
            };
            join(pay(&custodian, "twice-at-work"), letting_go).await.0
        };
        let rules = TestRules::document(&["treasurer"], "allow").to_bytes().unwrap();
        let rules = Command::UpdatePolicy { policy: String::from_utf8(rules).unwrap() };
        let (refused, waits) = join(govern(&custodian, "rules", rules), Box::pin(behind)).await;
        assert_eq!(said(&refused), "store Unavailable");
        let waits = waits.unwrap();
        assert!(matches!(waits.outcome, Outcome::Pending { .. }), "{waits:?}");

        store.plan().next(StoreCall::Commit, Fault::Hold(held.clone()));
        backend.plan().next(BackendCall::Sign, Fault::Hold(late.clone()));
        let behind = async {
            held.reached_by(1).await;
            early.open();
            house.pass(Duration::from_millis(100)).await;
            let letting_go = async {
                house.pass(Duration::from_millis(100)).await;
                held.open();
                late.reached_by(1).await;
                assert_eq!(custodian.resume().await.unwrap(), [], "its job is at work");
                late.open();
            };
            join(approve(&custodian, &waits), letting_go).await.0
        };
        let confirm = govern(&custodian, "confirm", Command::ConfirmClock {});
        let (confirmed, paid) = join(confirm, Box::pin(behind)).await;
        assert_eq!((said(&confirmed).as_str(), said(&paid).as_str()), ("released", "released"));
        assert_eq!(house.keys.sign_calls(), 3);
        house.replays(&custodian).await;
        custodian.close().await.unwrap();
    });
}
