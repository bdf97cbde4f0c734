//! One file with everything that is needed to rebuild a custodian elsewhere.
//!
//! # Layout
//! All numbers are big-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 16 | `custody-archive` and a line feed |
//! | 1 | version, 1 |
//! | 4 | length of the header, at most 64 KiB |
//! | that many | the header, a JSON document that is kept verbatim ([`Header`]) |
//! | 32 | HMAC-SHA-256 of everything before, under the header key |
//! | the rest | chunks |
//!
//! A chunk is a byte that is 1 for the last one and 0 for all others, the length of the envelope (4
//! bytes) and an envelope of [`custody_core::envelope`] under the payload key. All chunks but the
//! last hold 64 KiB; the last holds 1 byte at least, and nothing follows it. An envelope's context is
//! `custody/archive/chunk/v1`, SHA-256 of the header, the chunk's number from 0 on (8 bytes) and the
//! byte that tells whether it is the last: the STREAM construction of Hoang, Reyhanitabar, Rogaway
//! and Vizár, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", section 7.
//!
//! What the chunks hold is one sequence of entries. An entry is its kind (1 byte), its length (4
//! bytes) and so many bytes:
//!
//! | kind | bytes | at most |
//! |---|---|---|
//! | 1 event | its position (8), its bytes | 32 KiB + 64 |
//! | 2 record | length of its key (2), its key, its value | 512, 16 MiB |
//! | 3 file | its path | 512 |
//! | 4 piece of the file | its bytes, at least one | 64 KiB |
//! | 5 end of the file | its size (8) | |
//! | 6 secret | length of its name (2), its name, its bytes | 64, 64 KiB |
//! | 7 end | SHA-256 of all entries before | |
//!
//! Events come from position 0 on and without gaps, and records are mixed with them, so that one pass
//! with little memory restores: the documents of an order (`document/<order>/…`) stand before the
//! event that submits it and those of `genesis` before the first one, in byte order of their keys; all
//! other records are spread evenly over the events, in byte order of their keys; the last of both is
//! an event. Then come files in the order of their paths, and secrets in that of their names. The
//! header says how many there are of each.
//!
//! Three values are derived from the archive key by HKDF-SHA-256 with the archive's id as salt:
//! the header key (`custody/archive/header/v1`, 32 bytes), the payload key
//! (`custody/archive/payload/v1`, 32 bytes) and the key check
//! (`custody/archive/key-check/v1`, 16 bytes), which stands in the header.
//!
//! Invariant: nothing that was not authenticated under the archive key is given to a caller, but for
//! the header of a [`LockedArchive`], which says so.

mod chunk;
mod entry;
mod error;
mod file_source;
mod header;
mod key;
mod local;
mod name;
mod pack;
mod reader;
mod sequence;
mod writer;

pub use entry::Entry;
pub use error::{ContentError, EntryKind, ReadError, WriteError};
pub use file_source::{FileSource, FileSourceError, Folder};
pub use header::{Counts, Header, HeaderDraft, HeaderError};
pub use key::{ArchiveId, ArchiveKey, ArchiveKeyError};
pub use local::{LocalArchive, LocalError, LocalFile};
pub use name::{EntryPath, EntryPathError, SecretName, SecretNameError};
pub use pack::{Pack, PackError};
pub use reader::{ArchiveReader, LockedArchive};
pub(crate) use sequence::owner;
pub use writer::{ArchiveWriter, Summary};

const MAGIC: &[u8; 16] = b"custody-archive\n";
const VERSION: u8 = 1;
/// Length of the HMAC over the header.
const MAC: usize = 32;
