//! What a host is told about KMS besides the answers to its calls.

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
    /// A key bears the custodian's tags and has no alias, and another key was taken for its id: nobody
    /// uses it. It may be one that somebody else makes at this moment and removes by himself; if it is
    /// still there an hour later, its deletion can be scheduled. Told once for each key.
    KeyLeftBehind {
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
pub type Observer = custody_core::observer::Observer<KmsEvent>;
