//! Stores in memory: an honest one that a test may tamper with, one that fails at chosen calls and
//! one that lies.
//!
//! Invariant: nothing here touches a disk.

mod faulty;
mod lying;
mod memory;

pub use faulty::{FaultyStore, StoreCall};
pub use lying::{LyingStore, StoreLie};
pub use memory::{MemoryStore, StoreSnapshot};
