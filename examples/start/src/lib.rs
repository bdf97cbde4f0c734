//! Shared parts of the examples: a small house with its people, put together as a host would.
#![expect(
    clippy::exhaustive_structs,
    clippy::missing_errors_doc,
    reason = "examples, not a library"
)]

pub mod entropy;
pub mod exported;
pub mod hot;
pub mod house;
pub mod people;
pub mod place;
pub mod reseal;
pub mod small;
pub mod transactions;

/// Any error of an example.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ReadmeDoctests;
