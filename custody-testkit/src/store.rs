//! Stores: an honest one in memory that a test may tamper with, and denying, failing, lying and
//! slow ones.
//!
//! Invariant: nothing here touches a disk.

mod intercepted;
mod lying;
mod memory;

pub use intercepted::{DenyingStore, FaultyStore, InterceptedStore, SlowStore, StoreCall};
pub use lying::{LyingStore, StoreLie};
pub use memory::{MemoryStore, StoreSnapshot};
