//! Real kills: a process that keeps a whole custodian over SQLite is ended with SIGKILL at random
//! moments, again and again on one directory, and everything that its callers had been given is
//! held against what is found afterwards.
//!
//! ```text
//! driver (a test)                                   child (src/main.rs)
//! ---------------                                   -------------------
//! start a life  -------------------------------->   open, resume, callers at work
//! keep the list <-------- one line an answer -----  before the caller goes on
//! SIGKILL       -------------------------------->   gone, wherever it was
//! open the directory, replay, compare; next life
//! ```
//!
//! **Invariant:** the driver believes a line only if it is whole, and judges with the one oracle of
//! `custody-testkit`; the child prints nothing but lines of the list.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::exhaustive_structs,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    reason = "test support that is never published"
)]

pub mod creation;
pub mod driver;
pub mod failpoints;
pub mod figures;
pub mod finish;
pub mod house;
pub mod life;
pub mod line;
mod process;
pub mod random;
pub mod requests;
pub mod soak;
pub mod work;

/// Why a life could not be lived.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
