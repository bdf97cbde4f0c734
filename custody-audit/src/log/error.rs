use custody_core::seam::{AuditError, BackendError, ErrorKind, StoreError};

use crate::checkpoint::CheckpointError;
use crate::note::{KeyError, NoteError};
use crate::tree::{PlanError, TreeFull};

/// Why a log cannot be opened, extended or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The stored checkpoint cannot be believed.
    #[error("the stored checkpoint cannot be believed")]
    Checkpoint(#[from] CheckpointError),
    /// The store does not hold an event that it must hold.
    #[error("the store does not hold event {index}")]
    EventMissing {
        /// The index of the event.
        index: u64,
    },
    /// An event is longer than a log can hold.
    #[error("event {index} has {bytes} bytes, more than a log can hold")]
    EventTooLong {
        /// The index of the event.
        index: u64,
        /// The bytes of the event.
        bytes: usize,
    },
    /// A signer is not an Ed25519 key.
    #[error("a signer cannot sign heads")]
    Key(#[from] KeyError),
    /// There is no signer.
    #[error("the log has no signer")]
    NoSigner,
    /// The event is beyond the signed head.
    #[error("event {index} is not sealed")]
    NotSealed {
        /// The index of the event.
        index: u64,
    },
    /// A signature of a head does not verify, or the stored checkpoint is not a note.
    #[error("the signature of a head cannot be believed")]
    Note(#[from] NoteError),
    /// There is no such proof.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The head could not be signed.
    #[error("the head could not be signed")]
    Sign(#[source] BackendError),
    /// The store failed.
    #[error("the events could not be read")]
    Store(#[source] StoreError),
    /// The storage of tiles failed.
    #[error("the tiles could not be read or kept")]
    Tiles(#[source] AuditError),
    /// The tree is full.
    #[error(transparent)]
    TreeFull(#[from] TreeFull),
    /// A stored tile is missing.
    #[error("tile {index} of level {level} is missing")]
    TileMissing {
        /// The level of the tile.
        level: u8,
        /// The index of the tile.
        index: u64,
    },
    /// An event is not the leaf that is signed.
    #[error("event {index} is not the one that is signed")]
    WrongEvent {
        /// The index of the event.
        index: u64,
    },
    /// Events and tiles do not lead to the root that was signed for this size.
    #[error("another root was signed for size {size}")]
    WrongRoot {
        /// The size of the signed head.
        size: u64,
    },
    /// A stored tile is not the one that is signed.
    #[error("tile {index} of level {level} is not the one that is signed")]
    WrongTile {
        /// The level of the tile.
        level: u8,
        /// The index of the tile.
        index: u64,
    },
}

impl LogError {
    /// Returns the error of the seam.
    pub(super) fn during(self, operation: &'static str) -> AuditError {
        AuditError::new(self.kind(), operation).with_source(self)
    }

    const fn kind(&self) -> ErrorKind {
        match self {
            Self::Checkpoint(_)
            | Self::Note(_)
            | Self::TileMissing { .. }
            | Self::WrongEvent { .. }
            | Self::WrongRoot { .. }
            | Self::WrongTile { .. } => ErrorKind::Corrupt,
            Self::EventMissing { .. } | Self::NotSealed { .. } | Self::Plan(_) => {
                ErrorKind::NotFound
            }
            Self::EventTooLong { .. } | Self::Key(_) | Self::NoSigner | Self::TreeFull(_) => {
                ErrorKind::Refused
            }
            Self::Sign(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Tiles(error) => error.kind(),
        }
    }
}
