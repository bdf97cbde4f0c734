//! The verifier as its users run it, on logs that a real custodian wrote, and on logs that were
//! changed afterwards: by somebody who has the files, and by somebody who has the log key too.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::clone_on_ref_ptr,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "tests fail by panicking, tables are long, and a measurement tells its number"
)]

mod support;

mod answers;
mod drills;
mod evidence;
mod forged_approvals;
mod forged_decisions;
mod forged_events;
mod forged_orders;
mod forged_releases;
mod forged_submissions;
mod keys;
mod names;
mod recoveries;
mod speed;
mod tampered;
