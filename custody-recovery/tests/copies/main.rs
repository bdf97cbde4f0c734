//! Copies of archives: what counts as one, and what becomes of places that fail or lie.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests: a check fails by panicking"
)]

mod checking;
mod lying;
mod pruning;
mod putting;
mod support;
