//! What is judged upon a turn that is still being committed.

use std::sync::Arc;
use std::time::Duration;

use custody_core::command::{Command, FreezeScope};
use custody_testkit::backend::SlowBackend;
use custody_testkit::fault::{Fault, Gate};
use custody_testkit::store::{FaultyStore, MemoryStore, StoreCall};
use custody_testkit::suite::key_backend::Ability;
use futures::future::{join, join3};

use crate::house::{House, Parts, govern, hot, key, pay, said};

/// What a backend can that has no switch: keys are suspended and resumed by orders alone.
fn without_switch() -> Vec<Ability> {
    Ability::ALL.into_iter().filter(|ability| *ability != Ability::Switch).collect()
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
            let store = Arc::new(FaultyStore::new(house.store.clone()));
            let parts = Parts {
                store: Arc::<FaultyStore<MemoryStore>>::clone(&store),
                backend: Arc::new(house.keys.clone().with_abilities(&without_switch())),
                ..house.parts()
            };
            let custodian = house.furnished(parts).await;
            assert_eq!(said(&pay(&custodian, "opens-the-key").await), "released");
            assert_eq!(said(&govern(&custodian, "stop", stop).await), "released");
            let gate = Gate::new();
            store.plan().next(StoreCall::Commit, Fault::Hold(gate.clone()));
            let behind = async {
                gate.reached_by(1).await;
                let letting_go = async {
                    house.pass(Duration::from_secs(1)).await;
                    gate.open();
                };
                join(pay(&custodian, "behind"), letting_go).await.0
            };
            let (gone, paid) = join(govern(&custodian, "go", go), Box::pin(behind)).await;
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
        let store = Arc::new(FaultyStore::new(house.store.clone()));
        let keys = Arc::new(house.keys.clone().with_abilities(&without_switch()));
        let clock = Arc::new(house.clock.clone());
        let parts = Parts {
            store: Arc::<FaultyStore<MemoryStore>>::clone(&store),
            // The key of the payment is being opened all the while.
            backend: Arc::new(SlowBackend::new(keys, clock, Duration::from_secs(5))),
            ..house.parts()
        };
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
