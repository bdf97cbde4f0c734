//! How fast a large log is verified.

use std::time::Instant;

use crate::support::{House, Verifier};

#[test]
#[ignore = "needs half a minute: writes a log of 100,000 entries through a custodian"]
fn a_hundred_thousand_entries_are_verified_in_seconds() {
    let house = House::new(10_000);
    house.wallet("hot-1");
    house.know_payee();
    house.many_transfers("hot-1", 33_330);
    let log = house.export("log");
    let entries = house.events_count();
    assert!(entries >= 100_000, "{entries} entries");
    let verifier = Verifier::new(&log, &house.custodian.id(), &house.verifier_key(0));
    for verifier in [verifier.clone().flag("--no-replay"), verifier] {
        let start = Instant::now();
        let answer = verifier.run();
        let taken = start.elapsed();
        answer.assert_verified();
        let each_second = u128::from(entries) * 1_000 / taken.as_millis().max(1);
        println!("{entries} entries in {taken:?}, {each_second} a second\n{}", answer.text);
        // Two processors with nothing else to do reach five times this.
        assert!(each_second >= 5_000, "{each_second} entries a second");
    }
}
