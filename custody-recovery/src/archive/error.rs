//! Why an archive is not written or read.
//!
//! Invariant: no error carries bytes of an archive, only kinds, numbers and lengths.

use std::fmt;
use std::io;

use custody_core::envelope::EnvelopeError;

use super::header::HeaderError;
use super::key::ArchiveKeyError;

/// What an entry of an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "a new kind is a new version of the format")]
pub enum EntryKind {
    /// An event.
    Event,
    /// A record.
    Record,
    /// The beginning of a file.
    File,
    /// Bytes of the file.
    Piece,
    /// The end of the file.
    FileEnd,
    /// A secret.
    Secret,
    /// The end of all.
    End,
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Event => "event",
            Self::Record => "record",
            Self::File => "file",
            Self::Piece => "piece of a file",
            Self::FileEnd => "end of a file",
            Self::Secret => "secret",
            Self::End => "end",
        })
    }
}

/// Why entries are not what an archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// There are more or fewer than the header says.
    #[error("the header counts {expected} of {kind}, there are {found} or more")]
    Count {
        /// Of what.
        kind: EntryKind,
        /// How many the header says.
        expected: u64,
        /// How many there are so far.
        found: u64,
    },
    /// All entries together are not what was written.
    #[error("the digest at the end is not that of the entries")]
    Digest,
    /// The event is not the next one.
    #[error("event {found} stands in the place of event {expected}")]
    Gap {
        /// The position that comes next.
        expected: u64,
        /// The position found.
        found: u64,
    },
    /// The entry is longer than its kind allows, or shorter.
    #[error("a {kind} has {length} bytes, allowed are at most {limit}")]
    Length {
        /// Its kind.
        kind: EntryKind,
        /// Its length, in bytes.
        length: u64,
        /// The largest length, in bytes.
        limit: u64,
    },
    /// The entry does not read.
    #[error("a {kind} is malformed")]
    Malformed {
        /// Its kind.
        kind: EntryKind,
    },
    /// An entry of this kind has no place here.
    #[error("a {kind} stands after {after}")]
    Order {
        /// Its kind.
        kind: EntryKind,
        /// What came before; nothing but the header at the beginning.
        after: EntryKind,
    },
    /// The file has not the size that its end says.
    #[error("a file has {found} bytes and its end says {expected}")]
    Size {
        /// What the end says.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// The kind is unknown.
    #[error("an entry has the unknown kind {kind}")]
    UnknownKind {
        /// The kind's number.
        kind: u8,
    },
    /// The entry is not in the order of the keys, paths or names, or stands twice.
    #[error("a {kind} is out of order or stands twice")]
    Unordered {
        /// Its kind.
        kind: EntryKind,
    },
}

/// Why an archive is not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// An earlier call failed or was dropped: what was written so far is worth nothing.
    #[error("an earlier part of the archive was not written")]
    Broken,
    /// The archive would have more chunks than one key may seal.
    #[error("the archive has more chunks than one key may seal")]
    ChunksMax,
    /// The entry has no place in the archive.
    #[error("the entry has no place in the archive")]
    Content(#[from] ContentError),
    /// A chunk was not sealed.
    #[error("a chunk was not sealed")]
    Envelope(#[from] EnvelopeError),
    /// The key is not that of the header, or of no use.
    #[error("the archive key is of no use")]
    Key(#[from] ArchiveKeyError),
    /// The sink failed.
    #[error("the archive cannot be written")]
    Sink(#[source] io::Error),
    /// A file that belongs into the archive cannot be read.
    #[error("a file for the archive cannot be read")]
    Source(#[source] io::Error),
    /// The key is another one than the header was made for.
    #[error("the archive key is not that of the header")]
    WrongKey,
}

/// Why an archive is not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// An earlier call failed or was dropped.
    #[error("an earlier part of the archive was not read")]
    Broken,
    /// A chunk does not open, or its length is none that it may have.
    #[error("chunk {number} of the archive does not open")]
    Chunk {
        /// Its number, from 0.
        number: u64,
    },
    /// The entries are not what an archive holds.
    #[error("the archive does not hold what it says")]
    Content(#[from] ContentError),
    /// The header does not read.
    #[error("the header of the archive does not read")]
    Header(#[from] HeaderError),
    /// The key is the archive's, and the header has been changed.
    #[error("the header of the archive has been changed")]
    HeaderChanged,
    /// The key is of no use.
    #[error("the archive key is of no use")]
    Key(#[from] ArchiveKeyError),
    /// It is something else.
    #[error("the file is no archive")]
    NotAnArchive,
    /// The source failed.
    #[error("the archive cannot be read")]
    Source(#[source] io::Error),
    /// Something follows the last chunk.
    #[error("something follows the end of the archive")]
    Trailing,
    /// It ends too early.
    #[error("the archive ends too early")]
    Truncated,
    /// The version is unknown.
    #[error("the archive has the unknown version {version}")]
    Version {
        /// Version found.
        version: u8,
    },
    /// The key is another archive's.
    #[error(
        "this is not the key of the archive; a wrong passphrase of a SLIP-39 set, which gives \
         another secret and no error, looks like this too"
    )]
    WrongKey,
}
