//! The whole custodian, put together as a host would, under faults, crashes, races and attacks.
//!
//! Each test ends with the oracle: the whole log replays in full, limits hold, and nothing was
//! handed out that is not durable and sealed.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests: a check fails by panicking"
)]

#[expect(dead_code, reason = "not every test binary uses all of it")]
#[path = "../world/world.rs"]
mod world;

mod again;
mod busy;
mod clocks;
mod closing;
mod early;
mod faults;
mod genesis;
mod hanging;
mod jobs;
mod lies;
mod limits;
mod outages;
mod panics;
mod pipeline;
mod resume;
mod slow;
mod smoke;
mod steps;
mod stops;
mod twins;
mod wakeups;
