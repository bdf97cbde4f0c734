//! Rules that read how long ago the last drill was, judged again in stretches that begin at a
//! snapshot.

use custody_core::command::Command;
use custody_core::custodian::Outcome;
use custody_core::principal::Verb;

use crate::support::{ETHER, House, Verifier, policy, released};

const DRILL_OVERDUE: &str = "
@id(\"drill-overdue\")
forbid (principal, action == Action::\"transfer\", resource)
when { context.drilled > duration(\"1d\") };
";

/// The rules of the house and one more.
fn add_rule(house: &House, rule: &str) {
    let policy = String::from_utf8(policy(rule).to_bytes().unwrap()).unwrap();
    let answer = house.command(&house.people.ada, Command::UpdatePolicy { policy });
    released(&house.says(&house.people.tom, Verb::Approve, &answer));
}

#[test]
fn what_was_judged_by_the_time_since_the_log_began_is_judged_alike_after_a_snapshot() {
    let house = House::new(10);
    house.wallet("hot-1");
    house.know_payee();
    add_rule(&house, DRILL_OVERDUE);
    for _ in 0..12 {
        released(&house.transfer("hot-1", ETHER / 100));
    }
    house.wait(86_400);
    for _ in 0..4 {
        let denied = house.transfer("hot-1", ETHER / 100);
        let Outcome::Denied { rules } = &denied.outcome else { panic!("{denied:?}") };
        assert_eq!(rules[0].as_str(), "drill-overdue");
    }
    let log = house.export("log");
    let verifier = Verifier::new(&log, &house.custodian.id(), &house.verifier_key(0));
    let answer = verifier.run();
    answer.assert_verified();
    assert!(answer.line("decisions").starts_with("decisions: 20 judged again"), "{answer:?}");
}
