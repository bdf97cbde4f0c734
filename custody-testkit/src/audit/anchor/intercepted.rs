use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use custody_core::seam::{AnchorError, Clock, Head, HeadAnchor};

use crate::fault::{Delay, Denial, FaultPlan, Intercept};

/// The calls of an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the calls of the seam")]
pub enum AnchorCall {
    /// [`HeadAnchor::advance`].
    Advance,
    /// [`HeadAnchor::load`].
    Load,
}

/// An anchor with something before each of its calls.
#[derive(Debug)]
pub struct InterceptedAnchor<I> {
    inner: Arc<dyn HeadAnchor>,
    before: I,
}

/// An anchor that refuses every call, until a test allows it, and logs what it refused.
pub type DenyingAnchor = InterceptedAnchor<Denial<AnchorCall>>;

/// An anchor that fails at chosen calls and logs all of them.
pub type FailingAnchor = InterceptedAnchor<FaultPlan<AnchorCall>>;

/// An anchor whose calls take time on a clock.
pub type SlowAnchor = InterceptedAnchor<Delay<AnchorCall>>;

impl DenyingAnchor {
    /// Denies every call until [`Self::denial`] is told otherwise.
    #[must_use]
    pub fn new(inner: Arc<dyn HeadAnchor>) -> Self {
        Self { inner, before: Denial::new() }
    }

    /// What is denied, and the log of what was.
    #[must_use]
    pub const fn denial(&self) -> &Denial<AnchorCall> {
        &self.before
    }
}

impl FailingAnchor {
    /// Passes every call on to `inner` until a fault is planned.
    #[must_use]
    pub fn new(inner: Arc<dyn HeadAnchor>) -> Self {
        Self { inner, before: FaultPlan::new() }
    }

    /// The plan and the log of calls.
    #[must_use]
    pub const fn plan(&self) -> &FaultPlan<AnchorCall> {
        &self.before
    }
}

impl SlowAnchor {
    /// Waits `delay` on `clock` before each call.
    #[must_use]
    pub fn new(inner: Arc<dyn HeadAnchor>, clock: Arc<dyn Clock>, delay: Duration) -> Self {
        Self { inner, before: Delay::new(clock, delay) }
    }
}

#[async_trait]
impl<I: Intercept<AnchorCall>> HeadAnchor for InterceptedAnchor<I> {
    async fn load(&self) -> Result<Option<Head>, AnchorError> {
        let error = |kind| AnchorError::new(kind, "load");
        self.before.intercept(AnchorCall::Load, error, self.inner.load()).await
    }

    async fn advance(&self, old: Option<Head>, new: Head) -> Result<(), AnchorError> {
        let error = |kind| AnchorError::new(kind, "advance");
        self.before.intercept(AnchorCall::Advance, error, self.inner.advance(old, new)).await
    }
}
