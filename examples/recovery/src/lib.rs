//! What the recovery examples share: a house that can be archived and rebuilt, and its people.
#![expect(
    clippy::missing_errors_doc,
    clippy::exhaustive_structs,
    reason = "examples, not a library"
)]

pub mod acts;
pub mod cold;
pub mod drilled;
pub mod holders;
pub mod house;
pub mod keys;
pub mod log;
pub mod rebuild;
pub mod vault;

pub use examples_start::entropy;

/// Any error of an example.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
