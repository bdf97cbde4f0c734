use std::io;

use custody_core::digest::Digest;

use crate::checkpoint::CheckpointError;
use crate::note::NoteError;
use crate::proof::LogProofError;
use crate::tile::{TileError, TilePath};
use crate::tree::TreeFull;

/// Why a directory is not a believable log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A checkpoint or receipt is for more entries than the log has.
    #[error("a head of size {size} is beyond the log of size {log}")]
    Beyond {
        /// The size of the other head.
        size: u64,
        /// The size of the log.
        log: u64,
    },
    /// A checkpoint cannot be believed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A receipt of a longer log proves other entries than this log has: there were two logs.
    #[error("the log of size {size} had other entries from {start} on, before {end}")]
    Forked {
        /// The size of the other log.
        size: u64,
        /// The first of the entries of which one is another.
        start: u64,
        /// The first entry after them.
        end: u64,
    },
    /// A checkpoint of the same log has another root for its size: there were two logs.
    #[error("another root was signed for size {size}")]
    Inconsistent {
        /// The size of the other head.
        size: u64,
    },
    /// A change of the log key does not come after the one before it.
    #[error("the log key changes at entry {index}, out of order")]
    KeyOrder {
        /// The index of the entry that changes the key.
        index: u64,
    },
    /// The checkpoint is missing.
    #[error("the checkpoint is missing")]
    NoCheckpoint,
    /// A document is missing.
    #[error("document {digest} is missing")]
    NoDocument {
        /// The digest of the document.
        digest: Digest,
    },
    /// A tile or bundle is missing.
    #[error("{path} is missing, from entry {first_entry} on")]
    NoTile {
        /// The path of the file.
        path: TilePath,
        /// The first entry that it covers.
        first_entry: u64,
    },
    /// A note is malformed or not signed as it should be.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A file or directory could not be read.
    #[error("a file of the log could not be read: {0:?}")]
    Read(io::ErrorKind),
    /// A receipt proves nothing.
    #[error(transparent)]
    Receipt(#[from] LogProofError),
    /// A tile is not the hashes that its path promises.
    #[error("{path} is malformed, from entry {first_entry} on")]
    Tile {
        /// The path of the file.
        path: TilePath,
        /// The first entry that it covers.
        first_entry: u64,
        /// What is wrong with it.
        source: TileError,
    },
    /// A tile or bundle could not be read, or is longer than any may be.
    #[error("{path} could not be read, from entry {first_entry} on: {kind:?}")]
    TileUnread {
        /// The path of the file.
        path: TilePath,
        /// The first entry that it covers.
        first_entry: u64,
        /// Why it could not be read.
        kind: io::ErrorKind,
    },
    /// The tree is full.
    #[error(transparent)]
    TreeFull(#[from] TreeFull),
    /// A document is not the one that its name says.
    #[error("document {digest} has other content")]
    WrongDocument {
        /// The digest in the name of the document.
        digest: Digest,
    },
    /// An entry is not the leaf that the tree has at its index.
    #[error("entry {index} is not the one in the tree")]
    WrongEntry {
        /// The index of the entry.
        index: u64,
    },
    /// The tiles do not lead to the root of the checkpoint, and no single entry is at fault.
    #[error("the tiles do not lead to the root of size {size}")]
    WrongRoot {
        /// The size of the checkpoint.
        size: u64,
    },
    /// A tile does not have the hashes of the tiles below it.
    #[error("{path} has other hashes, from entry {first_entry} on")]
    WrongTile {
        /// The path of the file.
        path: TilePath,
        /// The first entry under a wrong hash.
        first_entry: u64,
    },
}

impl VerifyError {
    /// Returns the index of the first entry that is known to be affected.
    #[must_use]
    pub const fn first_entry(&self) -> Option<u64> {
        match *self {
            Self::WrongEntry { index } | Self::KeyOrder { index } => Some(index),
            Self::NoTile { first_entry, .. }
            | Self::Tile { first_entry, .. }
            | Self::TileUnread { first_entry, .. }
            | Self::WrongTile { first_entry, .. } => Some(first_entry),
            Self::Beyond { .. }
            | Self::Checkpoint(_)
            | Self::Forked { .. }
            | Self::Inconsistent { .. }
            | Self::NoCheckpoint
            | Self::NoDocument { .. }
            | Self::Note(_)
            | Self::Read(_)
            | Self::Receipt(_)
            | Self::TreeFull(_)
            | Self::WrongDocument { .. }
            | Self::WrongRoot { .. } => None,
        }
    }
}

impl From<io::Error> for VerifyError {
    fn from(error: io::Error) -> Self {
        Self::Read(error.kind())
    }
}

/// Why a replay stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError<E> {
    /// The visitor refused an entry that is in the log.
    #[error("entry {index} was refused")]
    Entry {
        /// The index of the entry.
        index: u64,
        /// What the visitor answered.
        source: E,
    },
    /// The directory is not a believable log.
    #[error(transparent)]
    Log(#[from] VerifyError),
}

impl<E> ReplayError<E> {
    /// Returns the index of the first entry that is known to be wrong.
    #[must_use]
    pub const fn first_entry(&self) -> Option<u64> {
        match self {
            Self::Entry { index, .. } => Some(*index),
            Self::Log(error) => error.first_entry(),
        }
    }
}
