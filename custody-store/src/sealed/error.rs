use custody_core::id::KekId;
use custody_core::seam::{BackendError, StoreError};

/// Why a sealed store does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealedStoreError {
    /// A record of a data key is not one.
    #[error("a data key of the store is damaged")]
    DataKey,
    /// A data key was wrapped by another key encryption.
    #[error("the data keys are wrapped by {wrapped_by}, not by {given}")]
    KeyEncryption {
        /// Which key wrapped it.
        wrapped_by: KekId,
        /// Which key was given.
        given: KekId,
    },
    /// The store holds events and no data key.
    #[error("the store is not sealed")]
    NotSealed,
    /// The store below failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A data key does not unwrap.
    #[error("a data key does not unwrap")]
    Unwrap(#[source] BackendError),
}
