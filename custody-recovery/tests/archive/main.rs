//! Archives: what is written is read again, and nothing else is.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests: a check fails by panicking"
)]

mod damage;
mod format;
mod halfway;
mod house;
mod log_keys;
mod moving;
mod packing;
mod routes;
mod support;
mod writing;
