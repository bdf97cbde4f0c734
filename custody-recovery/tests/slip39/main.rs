//! SLIP-39 through the public API: the vectors, the reference implementation, and what the docs
//! say. This file's modules open secrets, of tests only.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its helpers are test code"
)]

mod lengths;
mod reference;
mod support;
mod vectors;
