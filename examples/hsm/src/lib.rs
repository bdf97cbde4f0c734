//! Shared parts of the examples of HSMs: tokens of SoftHSM in a directory, a custodian whose log key
//! lives in one, and a session that goes past custody to see what a token lets others do.
#![expect(
    clippy::exhaustive_structs,
    clippy::missing_errors_doc,
    reason = "examples, not a library"
)]

pub mod answer;
pub mod bare;
pub mod coin;
pub mod export;
pub mod house;
pub mod pin;
pub mod stage;
pub mod tokens;

pub use examples_start::Failure;
