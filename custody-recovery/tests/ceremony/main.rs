//! Whole ceremonies as orders of a custodian: what holds when all goes well, and that nothing else
//! counts.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests: a check fails by panicking"
)]

mod broken_off;
mod confirming;
mod documents;
mod doubles;
mod flow;
mod following;
mod house;
mod offline;
mod packets;
mod rotating;
mod secrets;
