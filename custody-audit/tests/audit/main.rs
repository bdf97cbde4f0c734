//! The log, its export and its verification, from outside, and the published vectors.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod anchor;
mod conformance;
mod export;
mod flips;
mod log;
mod opening;
mod oracle;
mod parsers;
mod storage;
mod support;
mod tamper;
mod vectors;
mod verify;
