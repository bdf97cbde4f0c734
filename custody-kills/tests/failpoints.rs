//! Failpoints on both sides of every call of every seam; see `custody_kills::failpoints`.
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests: a check fails by panicking, and figures are told"
)]

use std::collections::BTreeSet;

use custody_core::custodian::OpenError;
use custody_kills::failpoints::abort::Aborts;
use custody_kills::failpoints::matrix::{Rehearsal, Strike, Tally};
use custody_kills::failpoints::memory::Forgets;
use custody_kills::failpoints::workload::Workload;
use custody_testkit::failpoint::{Action, Failpoint};
use custody_testkit::oracle::Breach;

macro_rules! workloads {
    ($($memory:ident, $disk:ident: $workload:ident;)*) => {$(
        #[test]
        fn $memory() {
            let rehearsal = Rehearsal::of(Workload::$workload).unwrap();
            figures("errors, panics and hangs", Workload::$workload, rehearsal.run());
        }

        #[test]
        fn $disk() {
            let program = env!("CARGO_BIN_EXE_custody-kills").into();
            let aborts = Aborts::new(program, Workload::$workload).unwrap();
            figures("aborts", Workload::$workload, aborts.run());
        }
    )*};
}

workloads! {
    approvals_hold_at_every_failpoint, approvals_hold_after_every_abort: Approvals;
    governance_holds_at_every_failpoint, governance_holds_after_every_abort: Governance;
    the_life_of_a_key_holds_at_every_failpoint, the_life_of_a_key_holds_after_every_abort: Keys;
    a_limit_holds_at_every_failpoint, a_limit_holds_after_every_abort: Limit;
    a_payment_holds_at_every_failpoint, a_payment_holds_after_every_abort: Payment;
    recovery_holds_at_every_failpoint, recovery_holds_after_every_abort: Recovery;
}

fn figures(what: &str, workload: Workload, run: Result<Tally, custody_kills::Failure>) {
    match run {
        Ok(Tally { points, strikes }) => {
            println!(
                "figures: {what}: {}: {points} failpoints, {strikes} strikes",
                workload.name()
            );
            assert!(points >= 40, "only {points} failpoints are reached");
        }
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn every_failpoint_is_reached_by_a_workload() {
    let mut reached = BTreeSet::new();
    for workload in Workload::ALL {
        reached.extend(Rehearsal::of(workload).unwrap().reached());
    }
    let missed: Vec<_> = Failpoint::all().filter(|point| !reached.contains(point)).collect();
    assert!(missed.is_empty(), "{}", missed.iter().map(|p| format!("{p} ")).collect::<String>());
}

#[test]
fn switches_handlers_and_descriptors_are_reached_over_sqlite_too() {
    let mut reached = BTreeSet::new();
    for workload in [Workload::Governance, Workload::Keys] {
        let program = env!("CARGO_BIN_EXE_custody-kills").into();
        reached.extend(Aborts::new(program, workload).unwrap().reached());
    }
    let is_meant = |point: &Failpoint| {
        let call = point.call();
        ["handler.", "switch."].iter().any(|seam| call.starts_with(seam)) || call == "decoder.check"
    };
    let meant: BTreeSet<_> = Failpoint::all().filter(is_meant).collect();
    assert_eq!(meant.len(), 14);
    let missed: Vec<_> = meant.difference(&reached).map(ToString::to_string).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn workloads_end_as_they_should_when_nothing_fails() {
    let expected: [&[&str]; 6] = [
        &["released"],
        &["released"; 10],
        &["released"; 13],
        &["denied", "denied", "released", "released"],
        &["released"; 3],
        &["released"; 3],
    ];
    for (workload, expected) in Workload::ALL.into_iter().zip(expected) {
        assert_eq!(Rehearsal::of(workload).unwrap().words(), expected, "{}", workload.name());
    }
}

/// A strike that harms nobody: the clock is looked at late.
fn harmless() -> Strike {
    let point = Failpoint::parse("clock.now.before").unwrap();
    Strike { point, nth: 0, action: Action::Hang, lasting: false }
}

#[test]
fn what_forgets_all_that_it_said_was_done_is_found_by_the_oracle() {
    for workload in Workload::ALL {
        let rehearsal = Rehearsal::of(workload).unwrap();
        rehearsal.strike(harmless(), None).unwrap();
        let failure = rehearsal.strike(harmless(), Some(Forgets::Everything)).unwrap_err();
        let breach = failure.downcast_ref::<Breach>();
        assert!(breach.is_some(), "{}: {failure:?}", workload.name());
    }
}

#[test]
fn a_store_that_forgets_alone_is_found_by_the_next_opening() {
    for workload in Workload::ALL {
        let rehearsal = Rehearsal::of(workload).unwrap();
        let failure = rehearsal.strike(harmless(), Some(Forgets::Store)).unwrap_err();
        let refused = failure.downcast_ref::<OpenError>();
        assert!(matches!(refused, Some(OpenError::RolledBack { .. })), "{failure:?}");
    }
}
