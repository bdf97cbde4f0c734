//! Each workload over a disk that fails below SQLite and below the log's files. Every sync, every
//! truncation, every renaming and many of the writes fail, or end the process before they are made.
//! Some find no space, end the process after they were made or in the middle, or are cut short;
//! some never return: the first call of a kind, the first and the middle one while callers are at
//! work, and the last. None can panic: below the C library nothing unwinds.
//!
//! A process does the workload under the shim `shims/disk_faults.c`. Then this one opens what is
//! left, without the shim, goes on with it, and holds it against what the callers heard.
//!
//! Beside it, and above the disk: a recovery from an archive, of which each call fails
//! (`recovering.rs`).
#![cfg(target_os = "linux")]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests: a check fails by panicking, and figures are told"
)]

#[expect(dead_code, reason = "not every test binary uses all of it")]
#[path = "../../../shims/disk_faults.rs"]
mod shim;

mod life;
mod recovering;
mod run;

use custody_kills::failpoints::workload::Workload;

use run::{Below, Point, SQLITE};
use shim::Fault;

macro_rules! workloads {
    ($($name:ident: $workload:ident;)*) => {$(
        #[test]
        fn $name() {
            Below::new(Workload::$workload).run();
        }
    )*};
}

workloads! {
    approvals_hold_whatever_the_disk_does: Approvals;
    governance_holds_whatever_the_disk_does: Governance;
    the_life_of_a_key_holds_whatever_the_disk_does: Keys;
    a_limit_holds_whatever_the_disk_does: Limit;
    a_payment_holds_whatever_the_disk_does: Payment;
    recovery_holds_whatever_the_disk_does: Recovery;
}

/// SQLite writes its log over and removes it; if it began to rename, that would want its place in
/// the list of kinds.
#[test]
#[should_panic(expected = "payment: sqlite.rename.1 is not met")]
fn sqlite_renames_nothing_and_a_call_that_is_not_met_is_a_failure() {
    let rename = Point { name: "sqlite.rename", kind: "rename", part: SQLITE };
    Below::new(Workload::Payment).strike_near(&rename, 1, Fault::Eio);
}
