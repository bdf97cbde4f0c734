use custody_core::document::DocumentError;
use custody_core::id::PrincipalId;

use crate::commitment::{CommitmentError, SetId, SharePosition};

/// Why a step does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The handler answered something else than the order asks for.
    #[error("the answer is not that of the order")]
    Answer,
    /// The confirmation names another commitment than the record.
    #[error("the record has another commitment to {share}")]
    Commitment {
        /// The share.
        share: SharePosition,
        /// Which share of the set the commitment is to.
        found: Option<SharePosition>,
    },
    /// The document or the answer is malformed.
    #[error("the document or the answer is malformed")]
    Document(#[from] DocumentError),
    /// The time of the challenge, or of the permit, was up before the order was submitted.
    #[error("its time was up when it was submitted")]
    Expired,
    /// The permit would count for longer than a month.
    #[error("a permit counts for 31 days at most")]
    LongPermit,
    /// The set does not have this share.
    #[error("the set has no {share}")]
    NoSuchShare {
        /// The share.
        share: SharePosition,
    },
    /// Only the set in force is rotated.
    #[error("the set {set} is not in force")]
    NotInForce {
        /// The set.
        set: SetId,
    },
    /// Only the holder of a share confirms it.
    #[error("{share} is held by {holder}")]
    NotTheHolder {
        /// The share.
        share: SharePosition,
        /// Who holds it.
        holder: PrincipalId,
    },
    /// Something else changes than the holder who leaves.
    #[error("more changes than the holder who leaves")]
    MoreThanOneHolder,
    /// The holder belongs to another organisation than the record says.
    #[error("{holder} belongs to another organisation than the record says")]
    OtherOrganisation {
        /// The holder.
        holder: PrincipalId,
    },
    /// The order describes the set that it follows otherwise than its record.
    #[error("the set {set} has another public key or other commitments")]
    OtherReference {
        /// The set.
        set: SetId,
    },
    /// The new shares have another secret than the old ones.
    #[error("the new shares have another secret than the old ones")]
    OtherSecret,
    /// The answer to the challenge proves nothing.
    #[error("the confirmation proves nothing")]
    Possession(#[from] CommitmentError),
    /// The record contradicts the order.
    #[error("the record contradicts the order: {what}")]
    Record {
        /// What is another.
        what: &'static str,
    },
    /// The challenge was answered before.
    #[error("the challenge was answered before")]
    Replayed,
    /// The secret or the shares are those of an earlier set.
    #[error("the secret or the shares are those of an earlier set")]
    Reused,
    /// The challenge could be answered for longer than a week more.
    #[error("the challenge ends more than seven days after the submission that answers it")]
    TooLong,
    /// There is no such set.
    #[error("there is no set {set}")]
    UnknownSet {
        /// The set.
        set: SetId,
    },
    /// The requester did not sign the submission.
    #[error("the submission was not signed")]
    Unsigned,
    /// The set is void.
    #[error("the set {set} is void")]
    Void {
        /// The set.
        set: SetId,
    },
}
