//! Shared parts of the examples of chains: a house in a temporary directory, and a program beside it
//! that plays the network.
#![expect(clippy::missing_errors_doc, reason = "examples, not a library")]

pub mod house;
pub mod network;

pub use examples_start::Failure;
