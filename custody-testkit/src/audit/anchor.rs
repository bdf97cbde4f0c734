use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use custody_core::seam::{AnchorError, ErrorKind, Head, HeadAnchor};

use crate::fault::FaultPlan;

/// An anchor in memory. Clones are one anchor.
#[derive(Clone, Debug, Default)]
pub struct MemoryAnchor {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    head: Option<Head>,
    closed: bool,
}

impl MemoryAnchor {
    /// An anchor without a head.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts another head in place: an anchor that is ahead, or was rolled back.
    pub fn set(&self, head: Option<Head>) {
        self.state.lock().unwrap().head = head;
    }

    /// Closes the anchor. A later advance panics: a write after close.
    pub fn close(&self) {
        self.state.lock().unwrap().closed = true;
    }
}

#[async_trait]
impl HeadAnchor for MemoryAnchor {
    async fn load(&self) -> Result<Option<Head>, AnchorError> {
        Ok(self.state.lock().unwrap().head)
    }

    async fn advance(&self, old: Option<Head>, new: Head) -> Result<(), AnchorError> {
        let mut state = self.state.lock().unwrap();
        assert!(!state.closed, "an advance after the anchor was closed");
        if state.head != old {
            return Err(AnchorError::new(ErrorKind::Conflict, "advance"));
        }
        state.head = Some(new);
        Ok(())
    }
}

/// The calls of an anchor, as [`FailingAnchor`] plans and logs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the calls of the seam")]
pub enum AnchorCall {
    /// [`HeadAnchor::advance`].
    Advance,
    /// [`HeadAnchor::load`].
    Load,
}

/// An anchor that fails at chosen calls and logs all of them.
#[derive(Debug)]
pub struct FailingAnchor {
    inner: Arc<dyn HeadAnchor>,
    plan: FaultPlan<AnchorCall>,
}

impl FailingAnchor {
    /// Passes every call on to `inner` until a fault is planned.
    #[must_use]
    pub fn new(inner: Arc<dyn HeadAnchor>) -> Self {
        Self { inner, plan: FaultPlan::new() }
    }

    /// The plan and the log of calls.
    #[must_use]
    pub const fn plan(&self) -> &FaultPlan<AnchorCall> {
        &self.plan
    }
}

#[async_trait]
impl HeadAnchor for FailingAnchor {
    async fn load(&self) -> Result<Option<Head>, AnchorError> {
        let error = |kind| AnchorError::new(kind, "load");
        self.plan.call(AnchorCall::Load, error, self.inner.load()).await
    }

    async fn advance(&self, old: Option<Head>, new: Head) -> Result<(), AnchorError> {
        let error = |kind| AnchorError::new(kind, "advance");
        self.plan.call(AnchorCall::Advance, error, self.inner.advance(old, new)).await
    }
}
