//! The verifier as its users run it, on logs that a real custodian wrote, and on logs that were
//! changed afterwards: by somebody who has the files, and by somebody who has the log key too.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::clone_on_ref_ptr,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "tests fail by panicking, and tables are long"
)]

mod support;

mod answers;
mod evidence;
mod forged_approvals;
mod forged_decisions;
mod forged_orders;
mod forged_releases;
mod keys;
mod speed;
mod tampered;
mod unseen;
