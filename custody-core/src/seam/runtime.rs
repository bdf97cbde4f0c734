use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;

use crate::time::Timestamp;

/// A reading of a clock that never goes back: time since some fixed origin of the process.
pub type Monotonic = Duration;

/// Where time comes from.
#[async_trait]
pub trait Clock: Debug + Send + Sync {
    /// Wall-clock time.
    fn now(&self) -> Timestamp;

    /// Time since a fixed origin; must never go back.
    fn monotonic(&self) -> Monotonic;

    /// Returns when [`Self::monotonic`] has reached `deadline`, at once if it has already.
    async fn sleep_until(&self, deadline: Monotonic);
}

/// Where randomness comes from: must be a cryptographically secure generator.
pub trait Entropy: Debug + Send + Sync {
    /// Fills all of `bytes`.
    ///
    /// # Errors
    /// Fails if the source fails; what is in `bytes` must then not be used.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError>;
}

/// The source of randomness failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source of randomness failed")]
#[non_exhaustive]
pub struct EntropyError;

impl EntropyError {
    /// The error of a source that failed.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Default for EntropyError {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs tasks beside the caller.
pub trait Spawner: Debug + Send + Sync {
    /// Starts `task`; it must be polled to its end without anyone waiting for it.
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>);
}
