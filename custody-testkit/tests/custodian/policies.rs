//! Engines that deny everything, and compilers that refuse every rule set.

use std::sync::Arc;

use custody_core::custodian::Custodian;
use custody_testkit::policy::DenyingCompiler;

use crate::house::{House, Parts, create_key, govern, key, pay, payment, refusal, said};

fn under(house: &House, compiler: DenyingCompiler) -> Parts {
    Parts { compiler: Arc::new(compiler), ..house.parts() }
}

#[test]
fn under_an_engine_that_denies_everything_no_custodian_begins() {
    let house = House::new();
    house.run(async {
        let parts = under(&house, DenyingCompiler::new());
        assert_eq!(refusal(house.create(parts).await), "the ledger refuses the event");
        assert_eq!(house.events(), 0);
        house.assert_unused();
    });
}

#[test]
fn an_engine_that_denies_everything_releases_nothing_and_names_its_rule() {
    let house = House::new();
    house.run(async {
        let id = house.closed().await;
        let parts = under(&house, DenyingCompiler::new());
        let custodian = house.builder(parts).open(id).await.unwrap();
        for _ in 0..2 {
            assert_eq!(said(&pay(&custodian, "once").await), "denied deny-all");
        }
        let made = govern(&custodian, "another-key", create_key(1)).await;
        assert_eq!(said(&made), "denied deny-all");
        assert!(custodian.key(&key(1)).is_none());
        assert_simulated(&custodian);
        house.assert_unused();
    });
}

fn assert_simulated(custodian: &Custodian) {
    let explained = custodian.simulate(payment("simulated")).unwrap();
    assert!(!explained.allowed);
    assert_eq!((explained.rules, explained.missing), (vec![DenyingCompiler::rule()], vec![]));
}

#[test]
fn under_a_compiler_that_refuses_every_rule_set_no_custodian_begins_or_goes_on() {
    let house = House::new();
    house.run(async {
        let refusing = || under(&house, DenyingCompiler::refusing());
        assert_eq!(refusal(house.create(refusing()).await), "the rule set is refused");
        assert_eq!(house.events(), 0);
        let id = house.closed().await;
        let events = house.events();
        let opened = house.builder(refusing()).open(id).await;
        assert_eq!(refusal(opened), "the rule set is refused");
        assert_eq!(house.events(), events);
        house.assert_unused();
    });
}
