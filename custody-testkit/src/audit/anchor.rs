mod intercepted;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use custody_core::seam::{AnchorError, ErrorKind, Head, HeadAnchor};

pub use intercepted::{AnchorCall, DenyingAnchor, FailingAnchor, InterceptedAnchor, SlowAnchor};

/// An anchor in memory. Clones are one anchor. It can be told to lie.
#[derive(Clone, Debug, Default)]
pub struct MemoryAnchor {
    lie: Option<AnchorLie>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    head: Option<Head>,
    closed: bool,
}

/// How an anchor breaks the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AnchorLie {
    /// An advance is acknowledged and not kept.
    ForgetsAdvances,
    /// A head that does not come after the anchored one replaces it.
    GoesBack,
    /// The head that is replaced is not compared.
    IgnoresOld,
}

impl MemoryAnchor {
    /// An anchor without a head.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same anchor, lying from now on.
    #[must_use]
    pub const fn lying(mut self, lie: AnchorLie) -> Self {
        self.lie = Some(lie);
        self
    }

    /// Puts another head in place: an anchor that is ahead, or was rolled back.
    pub fn set(&self, head: Option<Head>) {
        self.state.lock().unwrap().head = head;
    }

    /// Closes the anchor. A later advance panics: a write after close.
    pub fn close(&self) {
        self.state.lock().unwrap().closed = true;
    }

    fn tells(&self, lie: AnchorLie) -> bool {
        self.lie == Some(lie)
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
        if state.head != old && !self.tells(AnchorLie::IgnoresOld) {
            return Err(AnchorError::new(ErrorKind::Conflict, "advance"));
        }
        let goes_back = state.head.is_some_and(|head| new != head && new.size <= head.size);
        if goes_back && !self.tells(AnchorLie::GoesBack) && !self.tells(AnchorLie::IgnoresOld) {
            return Err(AnchorError::new(ErrorKind::Refused, "advance"));
        }
        if !self.tells(AnchorLie::ForgetsAdvances) {
            state.head = Some(new);
        }
        Ok(())
    }
}
