//! The decoders against published vectors, tables of refusals, properties and an independent
//! encoder.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]
#![expect(clippy::indexing_slicing, reason = "helpers of tests fail by panicking")]
#![expect(clippy::arithmetic_side_effects, reason = "helpers of tests fail by panicking")]

mod assembly;
mod effects;
mod fuzz;
mod opaque;
mod properties;
mod refusals;
mod rlp;
mod support;
mod transaction_tests;
mod vectors;
