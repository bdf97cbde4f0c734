use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use custody_core::seam::{Clock, Entropy, EntropyError, Monotonic, Spawner};
use custody_core::time::Timestamp;

use super::TestClock;

/// A clock that goes back at each look, and wakes every sleeper at once.
#[derive(Clone, Debug, Default)]
pub struct LyingClock {
    inner: TestClock,
}

impl LyingClock {
    /// The clock.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Clock for LyingClock {
    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    fn monotonic(&self) -> Monotonic {
        self.inner.drift(Duration::from_nanos(1));
        Duration::from_secs(1).saturating_sub(self.inner.monotonic())
    }

    async fn sleep_until(&self, _: Monotonic) {}
}

/// A source that fills all bytes but the last, and always with the same.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct LyingEntropy;

impl LyingEntropy {
    /// The source.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Entropy for LyingEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        if let Some((_, filled)) = bytes.split_last_mut() {
            filled.fill(7);
        }
        Ok(())
    }
}

/// A spawner that takes every task and runs none.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct LyingSpawner;

impl LyingSpawner {
    /// The spawner.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Spawner for LyingSpawner {
    fn spawn(&self, _: Pin<Box<dyn Future<Output = ()> + Send>>) {}
}
