//! How fast a large log is verified.

use std::time::Instant;

use crate::support::{House, Verifier};

#[test]
#[ignore = "needs half a minute: writes a log of 100,000 entries through a custodian"]
fn a_hundred_thousand_entries_are_verified_in_seconds() {
    let log = Large::new();
    for verifier in [log.verifier.clone().flag("--no-replay"), log.verifier.clone()] {
        let each_second = log.verify(&verifier);
        // Far less than a processor that does other things too reaches.
        assert!(each_second >= 5_000, "{each_second} entries a second");
    }
}

#[test]
#[ignore = "needs a quiet machine and an optimised build: `cargo xtask speed`"]
fn twenty_thousand_entries_are_verified_each_second_without_replay() {
    let log = Large::new();
    let verifier = log.verifier.clone().flag("--no-replay");
    let fastest = (0..3).map(|_| log.verify(&verifier)).max().unwrap();
    assert!(fastest >= 20_000, "{fastest} entries a second");
}

/// An exported log of 100,000 entries: small transfers.
struct Large {
    verifier: Verifier,
    entries: u64,
    _house: House,
}

impl Large {
    fn new() -> Self {
        let house = House::new(10_000);
        house.wallet("hot-1");
        house.know_payee();
        house.many_transfers("hot-1", 33_330);
        let log = house.export("log");
        let entries = house.events_count();
        assert!(entries >= 100_000, "{entries} entries");
        let verifier = Verifier::new(&log, &house.custodian.id(), &house.verifier_key(0));
        Self { verifier, entries, _house: house }
    }

    /// How many entries are verified in a second.
    fn verify(&self, verifier: &Verifier) -> u128 {
        let start = Instant::now();
        let answer = verifier.run();
        let taken = start.elapsed();
        answer.assert_verified();
        let each_second = u128::from(self.entries) * 1_000 / taken.as_millis().max(1);
        println!("{} entries in {taken:?}, {each_second} a second", self.entries);
        each_second
    }
}
