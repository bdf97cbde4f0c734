//! What a host is told about KMS besides the answers to its calls.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use custody_core::crypto::Algorithm;

use crate::arn::KeyArn;
use crate::config::RegionName;
use crate::fault::KmsReason;

/// Something that an operator wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KmsEvent {
    /// KMS has no keys of this algorithm here; it is not asked again.
    AlgorithmUnsupported {
        /// The algorithm.
        algorithm: Algorithm,
        /// Where.
        region: RegionName,
    },
    /// The credentials had expired and were asked for again.
    CredentialsReloaded {
        /// The region whose client did so.
        region: RegionName,
    },
    /// Another key was made for the same id by somebody else at the same time; this one, which
    /// nobody uses, was scheduled for deletion.
    DuplicateRemoved {
        /// The key that is not used.
        key: KeyArn,
    },
    /// A region does not serve; others are asked before it for a while.
    RegionFailed {
        /// The region.
        region: RegionName,
        /// Why.
        reason: KmsReason,
    },
}

/// Whom to tell. It is called on the caller's task and must not block.
#[derive(Clone, Default)]
pub struct Observer(Option<Arc<Tell>>);

type Tell = dyn Fn(&KmsEvent) + Send + Sync;

impl Observer {
    /// Tells the host's function.
    #[must_use]
    pub fn new(tell: impl Fn(&KmsEvent) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    pub(crate) fn tell(&self, event: &KmsEvent) {
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
