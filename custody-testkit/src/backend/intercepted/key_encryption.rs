use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use custody_core::id::KekId;
use custody_core::seam::{BackendError, Clock, KeyEncryption};
use custody_core::secret::Secret;

use super::BackendCall;
use crate::fault::{Delay, Denial, FaultPlan, Intercept};

/// A key encryption with something before each of its calls, which are
/// [`BackendCall::WrapDataKey`] and [`BackendCall::UnwrapDataKey`].
#[derive(Clone, Debug)]
pub struct InterceptedKeyEncryption<I> {
    inner: Arc<dyn KeyEncryption>,
    before: I,
}

/// A key encryption that refuses every call, until a test allows it, and logs what it refused.
pub type DenyingKeyEncryption = InterceptedKeyEncryption<Denial<BackendCall>>;

/// A key encryption that fails at chosen calls, and logs all of them.
pub type FailingKeyEncryption = InterceptedKeyEncryption<FaultPlan<BackendCall>>;

/// A key encryption whose calls take time on a clock.
pub type SlowKeyEncryption = InterceptedKeyEncryption<Delay<BackendCall>>;

impl DenyingKeyEncryption {
    /// Denies every call until [`Self::denial`] is told otherwise.
    #[must_use]
    pub fn new(inner: Arc<dyn KeyEncryption>) -> Self {
        Self::of(inner, Denial::new())
    }

    /// What is denied, and the log of what was.
    #[must_use]
    pub const fn denial(&self) -> &Denial<BackendCall> {
        &self.before
    }
}

impl FailingKeyEncryption {
    /// Passes every call on to `inner` until a fault is planned.
    #[must_use]
    pub fn new(inner: Arc<dyn KeyEncryption>) -> Self {
        Self::of(inner, FaultPlan::new())
    }

    /// The plan and the log of calls.
    #[must_use]
    pub const fn plan(&self) -> &FaultPlan<BackendCall> {
        &self.before
    }
}

impl SlowKeyEncryption {
    /// Waits `delay` on `clock` before each call.
    #[must_use]
    pub fn new(inner: Arc<dyn KeyEncryption>, clock: Arc<dyn Clock>, delay: Duration) -> Self {
        Self::of(inner, Delay::new(clock, delay))
    }
}

impl<I> InterceptedKeyEncryption<I> {
    pub(super) const fn of(inner: Arc<dyn KeyEncryption>, before: I) -> Self {
        Self { inner, before }
    }
}

#[async_trait]
impl<I: Intercept<BackendCall>> KeyEncryption for InterceptedKeyEncryption<I> {
    fn id(&self) -> &KekId {
        self.inner.id()
    }

    fn in_process(&self) -> bool {
        self.inner.in_process()
    }

    async fn wrap(&self, data_key: &Secret, context: &[&[u8]]) -> Result<Vec<u8>, BackendError> {
        let error = |kind| BackendError::new(kind, "wrap");
        let inner = self.inner.wrap(data_key, context);
        self.before.intercept(BackendCall::WrapDataKey, error, inner).await
    }

    async fn unwrap(&self, wrapped: &[u8], context: &[&[u8]]) -> Result<Secret, BackendError> {
        let error = |kind| BackendError::new(kind, "unwrap");
        let inner = self.inner.unwrap(wrapped, context);
        self.before.intercept(BackendCall::UnwrapDataKey, error, inner).await
    }
}
