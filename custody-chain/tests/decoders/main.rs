//! The decoders against published vectors, tables of refusals, properties and an independent
//! encoder.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]
#![expect(clippy::indexing_slicing, reason = "helpers of tests fail by panicking")]
#![expect(clippy::arithmetic_side_effects, reason = "helpers of tests fail by panicking")]

mod abis;
mod addresses;
mod assembly;
mod calls;
mod effects;
mod fuzz;
mod interfaces;
mod messages;
mod names;
mod opaque;
mod permits;
mod properties;
mod refusals;
mod rlp;
mod safes;
mod support;
mod transaction_tests;
mod typed_data;
mod unread;
mod vectors;
