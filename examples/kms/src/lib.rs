//! Shared parts of the examples of KMS: an account of what stands in for AWS, and a custodian whose
//! keys are in it and under it.
#![expect(
    clippy::exhaustive_structs,
    clippy::missing_errors_doc,
    reason = "examples, not a library"
)]

pub mod account;
pub mod house;

pub use examples_start::Failure;
