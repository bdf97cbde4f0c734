//! What the SQLite store does beyond the contract of the seam: its file, its failures, its end.
#![expect(clippy::unwrap_used, reason = "a fault in a test's own steps fails it")]
#![expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]

mod closing;
mod crash;
mod damage;
mod disk;
mod flips;
mod guest;
mod limits;
mod log;
mod model;
mod moment;
mod opening;
mod support;
