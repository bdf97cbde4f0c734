use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use custody_core::seam::{Clock, ErrorKind};

use super::Intercept;

/// Makes every call wait on a clock before it is passed on, or one of them for ever. `O` names the
/// operations.
#[derive(Clone, Debug)]
pub struct Delay<O> {
    kind: Kind<O>,
}

#[derive(Clone, Debug)]
enum Kind<O> {
    Hangs(O),
    Waits(Arc<dyn Clock>, Duration),
}

impl<O: PartialEq> Delay<O> {
    /// Each call waits `time` on `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, time: Duration) -> Self {
        Self { kind: Kind::Waits(clock, time) }
    }

    /// Calls of `operation` never return; the others are passed on at once.
    #[must_use]
    pub const fn never(operation: O) -> Self {
        Self { kind: Kind::Hangs(operation) }
    }

    async fn pass(&self, operation: O) {
        match &self.kind {
            Kind::Hangs(hanging) if *hanging == operation => std::future::pending().await,
            Kind::Hangs(_) => {}
            Kind::Waits(clock, time) => clock.sleep_until(clock.monotonic() + *time).await,
        }
    }
}

impl<O: Copy + Debug + PartialEq + Send + Sync + 'static> Intercept<O> for Delay<O> {
    async fn intercept<T: Send, E: Send>(
        &self,
        operation: O,
        _: impl FnOnce(ErrorKind) -> E + Send,
        inner: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        self.pass(operation).await;
        inner.await
    }
}
