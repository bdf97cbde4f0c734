//! Verifies an exported log directory, offline and entry by entry.
//!
//! **Invariant:** whoever replays the entries sees only entries that lead to the root of the
//! checkpoint, in their order; and a [`VerifiedLog`] exists only after the key that was in force at
//! its size was seen to have signed that root. Memory is bounded whatever the size of the log.
//!
//! The directory must not change while it is verified.

mod directory;
mod error;
mod inventory;
mod keys;
mod replay;
mod verified;

pub use directory::LogDirectory;
pub use error::{ReplayError, VerifyError};
pub use inventory::Inventory;
pub use keys::KeyHistory;
pub use replay::ReplayedLog;
pub use verified::VerifiedLog;
