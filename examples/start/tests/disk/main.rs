//! The whole custodian over a disk that fails below SQLite, below the log's files and below the
//! anchor's: at every call that changes a file, in every way.
//!
//! A process runs a workload under the shim `shims/disk_faults.c`, which lets one call go wrong.
//! Then this one opens what is left, without the shim, and holds it against what the callers heard.
#![cfg(target_os = "linux")]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests: a check fails by panicking"
)]

#[expect(dead_code, reason = "not every test binary uses all of it")]
#[path = "../world/world.rs"]
mod world;

#[expect(dead_code, reason = "not every test binary uses all of it")]
#[path = "../../../../shims/disk_faults.rs"]
mod shim;

mod after;
mod house;
mod life;
mod power;
mod run;

use life::Work;
use run::{Call, Phase, Run};
use shim::Fault;

/// Lets each meant call of `work` go wrong. `test` is the name of the calling test.
fn each(test: &'static str, work: Work, fault: Fault, goes_on: bool, meant: fn(&Call) -> bool) {
    if let Some(run) = Run::of(test, work) {
        run.each(fault, goes_on, meant);
    }
}

fn all(_: &Call) -> bool {
    true
}

#[test]
fn paying_survives_any_call_that_fails_once() {
    each("paying_survives_any_call_that_fails_once", Work::Pay, Fault::Eio, false, all);
}

#[test]
fn paying_survives_a_disk_that_is_full_from_any_call_on() {
    let test = "paying_survives_a_disk_that_is_full_from_any_call_on";
    each(test, Work::Pay, Fault::Enospc, true, all);
}

#[test]
fn paying_survives_a_disk_that_is_full_at_any_call_once() {
    let test = "paying_survives_a_disk_that_is_full_at_any_call_once";
    each(test, Work::Pay, Fault::Enospc, false, all);
}

#[test]
fn paying_survives_a_disk_that_is_gone_from_any_call_on() {
    let test = "paying_survives_a_disk_that_is_gone_from_any_call_on";
    each(test, Work::Pay, Fault::Eio, true, |call| call.number() % 3 == 0);
}

#[test]
fn paying_survives_the_end_of_the_process_before_any_call() {
    let test = "paying_survives_the_end_of_the_process_before_any_call";
    each(test, Work::Pay, Fault::Abort, false, all);
}

#[test]
fn paying_survives_the_end_of_the_process_within_any_call() {
    let test = "paying_survives_the_end_of_the_process_within_any_call";
    each(test, Work::Pay, Fault::Torn, false, all);
}

#[test]
fn paying_survives_any_write_that_is_cut_short() {
    let test = "paying_survives_any_write_that_is_cut_short";
    each(test, Work::Pay, Fault::Short, false, |call| call.kind == "write");
}

#[test]
fn callers_are_answered_in_time_whichever_call_hangs() {
    let test = "callers_are_answered_in_time_whichever_call_hangs";
    each(test, Work::Pay, Fault::Hang, false, |call| {
        call.phase == Phase::Working && call.number() % 8 == 0
    });
}

#[test]
fn a_beginning_survives_any_call_that_fails_once() {
    each("a_beginning_survives_any_call_that_fails_once", Work::Create, Fault::Eio, false, all);
}

#[test]
fn a_beginning_survives_a_disk_that_is_full_from_any_call_on() {
    let test = "a_beginning_survives_a_disk_that_is_full_from_any_call_on";
    each(test, Work::Create, Fault::Enospc, true, all);
}

#[test]
fn a_beginning_survives_the_end_of_the_process_before_any_call() {
    let test = "a_beginning_survives_the_end_of_the_process_before_any_call";
    each(test, Work::Create, Fault::Abort, false, all);
}

#[test]
fn a_beginning_survives_the_end_of_the_process_within_any_call() {
    let test = "a_beginning_survives_the_end_of_the_process_within_any_call";
    each(test, Work::Create, Fault::Torn, false, all);
}

#[test]
fn what_a_payment_was_told_is_there_when_the_power_goes_after_any_call() {
    let test = "what_a_payment_was_told_is_there_when_the_power_goes_after_any_call";
    if let Some(run) = Run::of(test, Work::Pay) {
        run.each_without_power();
    }
}

#[test]
fn what_a_beginning_was_told_is_there_when_the_power_goes_after_any_call() {
    let test = "what_a_beginning_was_told_is_there_when_the_power_goes_after_any_call";
    if let Some(run) = Run::of(test, Work::Create) {
        run.each_without_power();
    }
}

/// The two tests before would pass if they did not notice that something is gone.
#[test]
fn a_disk_that_lies_about_its_syncs_loses_what_was_told() {
    let test = "a_disk_that_lies_about_its_syncs_loses_what_was_told";
    if let Some(run) = Run::of(test, Work::Pay) {
        run.each_on_a_lying_disk("-wal");
    }
}
