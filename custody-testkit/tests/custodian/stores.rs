//! Stores that deny commits, and reads.

use std::sync::Arc;

use custody_core::custodian::Custodian;
use custody_testkit::backend::{BackendCall, FailingBackend};
use custody_testkit::fault::{Fault, Gate};
use custody_testkit::store::{DenyingStore, MemoryStore, StoreCall};

use crate::house::{House, Parts, pay, refusal, said};

type Denying = DenyingStore<MemoryStore>;

fn denying(house: &House) -> Arc<Denying> {
    Arc::new(DenyingStore::new(house.store.clone()))
}

fn parts(house: &House, store: &Arc<Denying>) -> Parts {
    Parts { store: Arc::<Denying>::clone(store), ..house.parts() }
}

/// A custodian with a key, over a store that allows as yet, and that store.
async fn allowed(house: &House) -> (Custodian, Arc<Denying>) {
    let store = denying(house);
    store.denial().allow();
    (house.furnished(parts(house, &store)).await, store)
}

#[test]
fn in_a_store_that_denies_every_commit_no_custodian_begins() {
    let house = House::new();
    house.run(async {
        let store = denying(&house);
        let created = house.create(parts(&house, &store)).await;
        assert_eq!(refusal(created), "store Refused");
        assert_eq!(store.denial().denied(), [StoreCall::Commit]);
        assert_eq!(house.events(), 0);
    });
}

#[test]
fn over_a_store_that_denies_every_commit_a_custodian_opens_and_releases_nothing() {
    let house = House::new();
    house.run(async {
        let id = house.closed().await;
        let (events, store) = (house.events(), denying(&house));
        let custodian = house.builder(parts(&house, &store)).open(id).await.unwrap();
        for _ in 0..2 {
            assert_eq!(said(&pay(&custodian, "once").await), "store Refused");
        }
        assert_eq!(store.denial().denied(), [StoreCall::Commit; 2]);
        assert_eq!(house.events(), events);
        house.assert_unused();
        store.denial().allow();
        assert_eq!(said(&pay(&custodian, "once").await), "released");
        assert_eq!(house.keys.sign_calls(), 1);
    });
}

#[test]
fn a_store_that_denies_to_read_releases_nothing() {
    let house = House::new();
    house.run(async {
        let (custodian, store) = allowed(&house).await;
        let reads = [StoreCall::Events, StoreCall::Get, StoreCall::Head, StoreCall::Scan];
        store.denial().deny_only(&reads);
        for _ in 0..2 {
            assert_ne!(said(&pay(&custodian, "once").await), "released");
        }
        assert!(store.denial().denied().contains(&StoreCall::Get), "the handle is not read");
        house.assert_unused();
    });
}

#[test]
fn an_outcome_that_the_store_denies_is_not_released_before_it_is_durable() {
    let house = House::new();
    house.run(async {
        let backend = Arc::new(FailingBackend::new(Arc::new(house.keys.clone())));
        let store = denying(&house);
        store.denial().allow();
        let gate = Gate::new();
        backend.plan().always(BackendCall::Sign, Fault::Hold(gate.clone()));
        let custodian = house.furnished(Parts { backend, ..parts(&house, &store) }).await;
        let denies = async {
            gate.reached_by(1).await;
            store.denial().deny_only(&[StoreCall::Commit]);
            gate.open();
        };
        let (answer, ()) = futures::join!(pay(&custodian, "once"), denies);
        assert_eq!(said(&answer), "unavailable, ask later");
        assert_eq!((house.keys.sign_calls(), house.signed()), (1, 0));
        store.denial().allow();
        assert_eq!(said(&pay(&custodian, "once").await), "released");
        assert_eq!((house.keys.sign_calls(), house.signed()), (1, 1));
    });
}
