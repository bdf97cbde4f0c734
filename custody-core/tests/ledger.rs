//! The state of a custodian as a fold over its events.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "fixtures and helpers of tests, which fail by panicking"
)]

#[path = "ledger/approvals.rs"]
mod approvals;
#[path = "ledger/commands.rs"]
mod commands;
#[path = "ledger/drills.rs"]
mod drills;
#[path = "ledger/house.rs"]
mod house;
#[path = "ledger/judging.rs"]
mod judging;
#[path = "ledger/keys.rs"]
mod keys;
#[path = "ledger/recovering.rs"]
mod recovering;
#[path = "ledger/resealing.rs"]
mod resealing;
#[path = "ledger/sequences.rs"]
mod sequences;
#[path = "ledger/state.rs"]
mod state;
#[path = "ledger/steps.rs"]
mod steps;
