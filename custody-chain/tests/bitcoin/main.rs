//! The Bitcoin decoder against tables of refusals, published vectors and the verification of
//! scripts of Bitcoin Core.
#![cfg(feature = "bitcoin")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]
#![expect(clippy::indexing_slicing, reason = "helpers of tests fail by panicking")]
#![expect(clippy::arithmetic_side_effects, reason = "helpers of tests fail by panicking")]

mod addresses;
mod change;
mod consensus;
mod draft;
mod limits;
mod messages;
mod mutations;
mod rates;
mod refusals;
mod spending;
mod support;
mod vectors;
