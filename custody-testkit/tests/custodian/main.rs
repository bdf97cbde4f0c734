//! A whole custodian over each denying double: whatever denies, nothing is released.
//!
//! Each test says what the caller hears, what is durable and how often a key was used, and where
//! the double can be told to allow, that the denial was all that stood in the way.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests: a check fails by panicking"
)]

mod accounts;
mod backends;
mod behind;
mod bounds;
mod decoders;
mod drills;
mod house;
mod logs;
mod oracle;
mod policies;
mod quotas;
mod recovering;
mod resealing;
mod runtimes;
mod searching;
mod settling;
mod slow;
mod stores;
mod swapping;
mod switching;
