//! Entries as bytes.
//!
//! Invariant: a length is checked against its kind's limit before anything of that length is made.

use std::fmt;

use custody_core::document::EVENT_MAX;
use custody_core::seam::{Event, Record};
use custody_core::secret::Secret;

use super::chunk::CHUNK;
use super::error::{ContentError, EntryKind};
use super::name::{EntryPath, SecretName};

/// One thing that an archive gives out.
///
/// # Security
/// It is authentic, but only an [`super::ArchiveReader`] that has come to its end says that nothing is
/// missing.
#[expect(clippy::exhaustive_enums, reason = "whoever restores must look at all")]
pub enum Entry {
    /// The next event.
    Event(Event),
    /// A record.
    Record(Record),
    /// A file begins; its pieces follow, then its end.
    File(EntryPath),
    /// Bytes of the file that has begun.
    Piece(Secret),
    /// The file that has begun is whole.
    FileEnd {
        /// Its size, in bytes.
        size: u64,
    },
    /// A secret.
    Secret(SecretName, Secret),
}

impl Entry {
    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> EntryKind {
        match self {
            Self::Event(_) => EntryKind::Event,
            Self::Record(_) => EntryKind::Record,
            Self::File(_) => EntryKind::File,
            Self::Piece(_) => EntryKind::Piece,
            Self::FileEnd { .. } => EntryKind::FileEnd,
            Self::Secret(..) => EntryKind::Secret,
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("kind", &self.kind()).finish_non_exhaustive()
    }
}

impl EntryKind {
    /// The number on the wire.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Event => 1,
            Self::Record => 2,
            Self::File => 3,
            Self::Piece => 4,
            Self::FileEnd => 5,
            Self::Secret => 6,
            Self::End => 7,
        }
    }

    pub(super) const fn of(number: u8) -> Result<Self, ContentError> {
        Ok(match number {
            1 => Self::Event,
            2 => Self::Record,
            3 => Self::File,
            4 => Self::Piece,
            5 => Self::FileEnd,
            6 => Self::Secret,
            7 => Self::End,
            kind => return Err(ContentError::UnknownKind { kind }),
        })
    }

    /// The longest entry of this kind, without kind and length.
    const fn limit(self) -> usize {
        match self {
            Self::Event => POSITION + EVENT_BYTES_MAX,
            Self::Record => NAME_LENGTH + KEY_MAX + VALUE_MAX,
            Self::File => EntryPath::MAX,
            Self::Piece => PIECE_MAX,
            Self::FileEnd => 8,
            Self::Secret => NAME_LENGTH + SecretName::MAX + SECRET_MAX,
            Self::End => 32,
        }
    }

    /// Checks the length of an entry.
    pub(super) fn check(self, length: usize) -> Result<u32, ContentError> {
        let limit = self.limit();
        let (length_u64, limit_u64) = (wide(length), wide(limit));
        let refused = ContentError::Length { kind: self, length: length_u64, limit: limit_u64 };
        if length == 0 || length > limit {
            return Err(refused);
        }
        u32::try_from(length).map_err(|_| refused)
    }
}

/// Checks a part of an entry that has a limit of its own.
pub(super) fn check_part(kind: EntryKind, bytes: &[u8]) -> Result<(), ContentError> {
    let limit = match kind {
        EntryKind::Event => EVENT_BYTES_MAX,
        EntryKind::Record => VALUE_MAX,
        EntryKind::Secret => SECRET_MAX,
        EntryKind::File | EntryKind::Piece | EntryKind::FileEnd | EntryKind::End => kind.limit(),
    };
    let length = bytes.len();
    if length > limit {
        return Err(ContentError::Length { kind, length: wide(length), limit: wide(limit) });
    }
    Ok(())
}

/// The name in front of what it names, and that.
pub(super) fn split_named(kind: EntryKind, bytes: &[u8]) -> Result<(&str, &[u8]), ContentError> {
    let malformed = || ContentError::Malformed { kind };
    let (length, rest) = bytes.split_first_chunk().ok_or_else(malformed)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (name, rest) = rest.split_at_checked(length).ok_or_else(malformed)?;
    let name = std::str::from_utf8(name).map_err(|_| malformed())?;
    check_part(kind, rest)?;
    Ok((name, rest))
}

/// The length of a name, as it stands in front of it.
pub(super) fn name_length(kind: EntryKind, name: &str) -> Result<[u8; 2], ContentError> {
    let length = u16::try_from(name.len()).map_err(|_| ContentError::Malformed { kind })?;
    Ok(length.to_be_bytes())
}

pub(super) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

const POSITION: usize = 8;
const NAME_LENGTH: usize = 2;
const EVENT_BYTES_MAX: usize = EVENT_MAX + 64;
const KEY_MAX: usize = 512;
const VALUE_MAX: usize = 16 * 1024 * 1024;
const SECRET_MAX: usize = 64 * 1024;
/// Longest piece of a file.
pub(super) const PIECE_MAX: usize = CHUNK;
