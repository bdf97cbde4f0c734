//! Randomness that is denied, and tasks that nobody runs.

use std::sync::Arc;

use custody_testkit::runtime::{LyingSpawner, TestEntropy};

use crate::house::{House, Parts, pay, refusal, said};

#[test]
fn without_randomness_no_custodian_begins_and_no_order_is_made() {
    let house = House::new();
    house.run(async {
        let without = || Parts { entropy: Arc::new(TestEntropy::failing()), ..house.parts() };
        assert_eq!(refusal(house.create(without()).await), "there is no entropy");
        assert_eq!(house.events(), 0);
        let id = house.closed().await;
        let events = house.events();
        let custodian = house.builder(without()).open(id).await.unwrap();
        assert_eq!(said(&pay(&custodian, "once").await), "there is no entropy");
        assert_eq!(house.events(), events);
        house.assert_unused();
    });
}

#[test]
fn a_spawner_that_runs_no_task_releases_nothing() {
    let house = House::new();
    house.run(async {
        let id = house.closed().await;
        let events = house.events();
        let parts = Parts { spawner: Arc::new(LyingSpawner::new()), ..house.parts() };
        let custodian = house.builder(parts).open(id).await.unwrap();
        assert_eq!(said(&pay(&custodian, "once").await), "the custodian is closed");
        assert_eq!(house.events(), events);
        house.assert_unused();
    });
}
