//! What an archive says about itself before its contents.
//!
//! Invariant: the header's bytes are kept as they were read or first written; what is authenticated
//! is those bytes.

use serde::{Deserialize, Serialize};

use custody_core::crypto::PublicKey;
use custody_core::digest::Digest;
use custody_core::document::{self, DocumentError, V1};
use custody_core::id::CustodianId;
use custody_core::seam::{Checkpoint, Head, Position};
use custody_core::time::Timestamp;

use super::key::{ArchiveId, ArchiveKey, ArchiveKeyError, KeyCheck, Keys};
use crate::route::{Routes, RoutesError};

/// The header of an archive.
///
/// Its document has the fields, in this order, `v` (1), `archive` and `custodian` (their ids),
/// `log_key` (the public key under which the log's head is signed), `created_at` (milliseconds since
/// 1970), `checkpoint` (`size`, `root` and `note`, the checkpoint file), `counts` (`events`,
/// `records`, `files`, `secrets`), `key_check` (16 bytes derived from the archive key) and `routes`
/// ([`Routes`]).
#[derive(Clone, Debug)]
pub struct Header {
    document: HeaderDocument,
    bytes: Vec<u8>,
}

/// What a header says, before an archive key and routes are there.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "whoever writes an archive builds it")]
pub struct HeaderDraft {
    /// The archive.
    pub archive: ArchiveId,
    /// Whose archive it is.
    pub custodian: CustodianId,
    /// The key that signs heads of the log now.
    pub log_key: PublicKey,
    /// When it was made.
    pub created_at: Timestamp,
    /// The newest signed head.
    pub checkpoint: Checkpoint,
    /// How much is in it.
    pub counts: Counts,
}

/// How much is in an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "whoever writes an archive builds it")]
pub struct Counts {
    /// Number of events.
    pub events: u64,
    /// Number of records.
    pub records: u64,
    /// Number of files.
    pub files: u64,
    /// Number of secrets.
    pub secrets: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderDocument {
    v: V1,
    archive: ArchiveId,
    custodian: CustodianId,
    log_key: PublicKey,
    created_at: Timestamp,
    checkpoint: CheckpointDocument,
    counts: Counts,
    key_check: KeyCheck,
    routes: Routes,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointDocument {
    size: u64,
    root: Digest,
    note: String,
}

impl Header {
    /// Longest header, in bytes.
    pub const MAX: usize = 64 * 1024;

    /// Writes the header of a new archive.
    ///
    /// # Errors
    /// Fails on a header above 64 KiB, on a count above 2^53 - 1 and on a checkpoint of more events
    /// than there are.
    pub fn new(draft: HeaderDraft, key: &ArchiveKey, routes: Routes) -> Result<Self, HeaderError> {
        let head = draft.checkpoint.head;
        let document = HeaderDocument {
            v: V1,
            archive: draft.archive,
            custodian: draft.custodian,
            log_key: draft.log_key,
            created_at: draft.created_at,
            checkpoint: CheckpointDocument {
                size: head.size.value(),
                root: head.root,
                note: draft.checkpoint.note,
            },
            counts: draft.counts,
            key_check: Keys::derive(key, &draft.archive)?.check,
            routes,
        };
        let bytes = serde_json::to_vec(&document).map_err(|_| DocumentError::Write)?;
        document.check(bytes.len())?;
        Ok(Self { document, bytes })
    }

    /// Reads a header from its bytes. Nothing in it is authenticated.
    ///
    /// # Errors
    /// Fails on anything that [`Self::new`] does not write, but for spaces.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, HeaderError> {
        let document: HeaderDocument = document::parse(&bytes)?;
        document.check(bytes.len())?;
        Ok(Self { document, bytes })
    }

    /// The bytes, verbatim.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The archive.
    #[must_use]
    pub const fn archive(&self) -> &ArchiveId {
        &self.document.archive
    }

    /// Whose archive it is.
    #[must_use]
    pub const fn custodian(&self) -> &CustodianId {
        &self.document.custodian
    }

    /// The key that signed heads of the log when the archive was made.
    #[must_use]
    pub const fn log_key(&self) -> &PublicKey {
        &self.document.log_key
    }

    /// When the archive was made.
    #[must_use]
    pub const fn created_at(&self) -> Timestamp {
        self.document.created_at
    }

    /// The newest signed head when the archive was made.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        let CheckpointDocument { size, root, note } = &self.document.checkpoint;
        let head = Head { size: Position::new(*size), root: *root };
        Checkpoint { head, note: note.clone() }
    }

    /// How much is in the archive.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.document.counts
    }

    /// The routes to the archive key.
    #[must_use]
    pub const fn routes(&self) -> &Routes {
        &self.document.routes
    }

    pub(super) const fn key_check(&self) -> &KeyCheck {
        &self.document.key_check
    }
}

impl HeaderDocument {
    fn check(&self, length: usize) -> Result<(), HeaderError> {
        let Counts { events, records, files, secrets } = self.counts;
        if [events, records, files, secrets].iter().any(|count| *count > COUNT_MAX) {
            return Err(HeaderError::Count);
        }
        if self.checkpoint.size > events {
            return Err(HeaderError::Checkpoint { size: self.checkpoint.size, events });
        }
        if !self.key_check.has_its_length() {
            return Err(HeaderError::KeyCheck);
        }
        if length > Header::MAX {
            return Err(HeaderError::Length { length });
        }
        Ok(self.routes.check()?)
    }
}

/// Why a header is not written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The checkpoint is over more events than there are.
    #[error("the checkpoint is over {size} events, the archive has {events}")]
    Checkpoint {
        /// Events under the checkpoint.
        size: u64,
        /// Events in the archive.
        events: u64,
    },
    /// A count is not exact in JSON.
    #[error("a count is above 2^53 - 1")]
    Count,
    /// The document does not read or cannot be written.
    #[error("the header is no document")]
    Document(#[from] DocumentError),
    /// The key is of no use.
    #[error("the archive key is of no use")]
    Key(#[from] ArchiveKeyError),
    /// The key check has another length.
    #[error("the key check has not 16 bytes")]
    KeyCheck,
    /// The header is too long.
    #[error("a header has at most 64 KiB, this one has {length} bytes")]
    Length {
        /// Length found, in bytes.
        length: usize,
    },
    /// The routes do not go together.
    #[error("the routes do not go together")]
    Routes(#[from] RoutesError),
}

/// The largest number that is exact in JSON (I-JSON, RFC 7493, section 2.2).
const COUNT_MAX: u64 = (1 << 53) - 1;
