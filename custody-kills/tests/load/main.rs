//! A whole house under more load than it can take, beside a backend that hangs, and at work for long.
//!
//! Each test measures what the machine can do, in the same run and beside whatever else it does;
//! what is asserted is a multiple of that, or a time that the configuration promises. Each ends with
//! the one oracle.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests: a check fails by panicking, and figures are told"
)]

mod hung;
mod overload;
mod soak;
mod support;
