#![doc = include_str!("../README.md")]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this crate is test support: a check fails by panicking, a double panics on misuse"
)]

pub mod audit;
pub mod backend;
pub mod decoder;
pub mod failpoint;
pub mod fault;
pub mod house;
pub mod key;
pub mod oracle;
pub mod people;
pub mod policy;
pub mod runtime;
pub mod store;
pub mod strategy;
pub mod suite;
pub mod vectors;
