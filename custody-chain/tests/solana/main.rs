//! The Solana decoder against published and generated messages, an independent decoder, tables of
//! refusals, limits and properties.
#![cfg(feature = "solana")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]
#![expect(clippy::indexing_slicing, reason = "helpers of tests fail by panicking")]
#![expect(clippy::arithmetic_side_effects, reason = "helpers of tests fail by panicking")]

mod addresses;
mod assembly;
mod conformance;
mod fees;
mod lines;
mod malformed;
mod offchain;
mod programs;
mod properties;
mod refusals;
mod support;
mod tables;
mod tokens;
mod vectors;
