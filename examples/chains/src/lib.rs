//! Shared parts of the examples of chains: a house in a temporary directory, and a program beside it
//! that plays the network.
#![expect(
    clippy::exhaustive_structs,
    clippy::missing_errors_doc,
    reason = "examples, not a library"
)]

pub mod entropy;
pub mod house;
pub mod network;

/// Any error of an example.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
