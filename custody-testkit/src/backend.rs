//! Key backends in memory: an honest one, and ones that deny, fail, lie or are slow.
//!
//! Invariant: keys live in this process only; every call that reaches a signer is counted.

mod derive;
mod failing;
mod kek;
mod lying;
mod memory;
mod slow;

pub use failing::{BackendCall, FailingBackend};
pub use kek::{FailingKeyEncryption, KekLie, MemoryKeyEncryption};
pub use lying::{BackendLie, LyingBackend};
pub use memory::MemoryBackend;
pub use slow::SlowBackend;
