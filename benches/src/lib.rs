//! Shared parts of the benches: a house as a host would put it together, with real durability.
#![expect(
    clippy::missing_errors_doc,
    clippy::exhaustive_structs,
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    clippy::wildcard_enum_match_arm,
    reason = "benches, not a library"
)]

pub mod house;
pub mod judging;
pub mod kept;
pub mod load;
pub mod measured;
pub mod percentile;
pub mod token;

/// Any error of a bench.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
