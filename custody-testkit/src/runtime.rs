//! Clocks, entropy and spawners that a test holds in its hands.
//!
//! Invariant: nothing here reads the system's clock or its source of randomness.

mod clock;
mod entropy;
mod executor;
mod lying;
mod spawner;

pub use clock::TestClock;
pub use entropy::TestEntropy;
pub use executor::TestExecutor;
pub use lying::{LyingClock, LyingEntropy, LyingSpawner};
pub use spawner::TestSpawner;
