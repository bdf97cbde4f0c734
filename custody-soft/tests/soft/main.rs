//! Behaviour of software keys, checked through the public API.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its helpers are test code"
)]

mod backend;
mod cache;
mod derivation;
mod formats;
mod handles;
mod kek;
mod log_lines;
mod mnemonics;
mod resealing;
mod signatures;
mod support;
mod taproot;
mod traces;
