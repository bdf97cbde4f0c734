use std::fmt::Debug;

use async_trait::async_trait;

use super::error::seam_error;
use super::store::{Event, Position};
use crate::crypto::PublicKey;
use crate::digest::Digest;

seam_error! {
    /// The log failed.
    AuditError, "the log"
}

seam_error! {
    /// The anchor of the log head failed.
    AnchorError, "the head anchor"
}

/// Brings committed events under a signed head.
///
/// There must never be two heads of one size with different roots, and every head must be
/// consistent with all earlier ones (RFC 6962, section 2.1.2).
#[async_trait]
pub trait AuditLog: Debug + Send + Sync {
    /// The Ed25519 key that signs heads now.
    async fn public_key(&self) -> PublicKey;

    /// The newest signed head; none before the first seal.
    ///
    /// # Errors
    /// `Corrupt` if the head does not verify or contradicts the tree.
    async fn head(&self) -> Result<Option<Checkpoint>, AuditError>;

    /// Signs a head over at least the first `through` events. Idempotent.
    ///
    /// # Errors
    /// `Corrupt` if the events contradict the tree; `Unavailable` if nothing was signed.
    async fn seal(&self, through: Position) -> Result<Checkpoint, AuditError>;

    /// A proof that the event number `index` is under a signed head.
    ///
    /// # Errors
    /// `NotFound` for an event that is not sealed.
    async fn receipt(&self, index: Position) -> Result<Receipt, AuditError>;

    /// Checks that these events are leaves of the sealed tree, at their positions.
    ///
    /// # Errors
    /// `Corrupt` if one is not, `NotFound` if one is beyond the signed head.
    async fn includes(&self, events: &[Event]) -> Result<(), AuditError>;

    /// Whether the host gave the log a signer for `key`.
    async fn has_signer(&self, key: &PublicKey) -> bool;

    /// Signs later heads with the key `next`, which the host gave to the log beforehand.
    ///
    /// # Errors
    /// `NotFound` if the log has no signer for that key.
    async fn rotate(&self, next: &PublicKey) -> Result<(), AuditError>;
}

/// Keeps the newest head somewhere else, so that a restored older copy is noticed.
#[async_trait]
pub trait HeadAnchor: Debug + Send + Sync {
    /// The newest head that was anchored.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be read; opening then fails.
    async fn load(&self) -> Result<Option<Head>, AnchorError>;

    /// Replaces `old` by `new`. The anchored head must never get smaller, nor become another one of
    /// the same size.
    ///
    /// # Errors
    /// `Conflict` if the anchored head is not `old`; `Refused` if `new` does not come after it.
    async fn advance(&self, old: Option<Head>, new: Head) -> Result<(), AnchorError>;
}

/// Size and root of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "logs build it")]
pub struct Head {
    /// Number of events.
    pub size: Position,
    /// Root over them (RFC 6962, section 2.1).
    pub root: Digest,
}

/// A signed head.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "logs build it")]
pub struct Checkpoint {
    /// What is signed.
    pub head: Head,
    /// The checkpoint file (C2SP tlog-checkpoint), verbatim.
    pub note: String,
}

/// A proof for one event that an outsider verifies offline (C2SP `tlog-proof@v1`), holding the
/// event itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "logs build it")]
pub struct Receipt {
    /// The event's index in the tree.
    pub index: Position,
    /// The proof file, verbatim.
    pub proof: String,
}
