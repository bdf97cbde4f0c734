//! What a host is told about its tokens besides the answers to its calls.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Something that an operator wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HsmEvent {
    /// Calls of the module do not come back; nothing is tried for a while.
    ThreadsLost {
        /// How many.
        lost: u8,
    },
    /// The token is not what it was at the last start.
    TokenChanged {
        /// What changed: `firmware`, `hardware`, `mechanisms`, `model` or `manufacturer`.
        what: Vec<&'static str>,
    },
}

/// Whom to tell. It is called on threads of the backend and must not block.
#[derive(Clone, Default)]
pub struct Observer(Option<Arc<Tell>>);

type Tell = dyn Fn(&HsmEvent) + Send + Sync;

impl Observer {
    /// Tells the host's function.
    #[must_use]
    pub fn new(tell: impl Fn(&HsmEvent) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub(crate) fn tell(&self, event: &HsmEvent) {
        if let Some(tell) = &self.0
            && catch_unwind(AssertUnwindSafe(|| tell(event))).is_err()
        {
            tracing::error!("whoever is told of events panicked");
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observer").field(&self.0.is_some()).finish()
    }
}
