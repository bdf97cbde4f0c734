//! Rebuilds a custodian from an archive, on a machine where there is none.
//!
//! Invariant: nothing that came out of an archive is called restored before the archive came to its
//! end, its events led to the head that its header tells, and they folded into a state with the
//! log key that its header names.

mod files;
mod fold;
mod keys;
mod memory_files;
mod permitted;
mod prove;
mod unwrapping;

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use tokio::io::AsyncRead;

use custody_core::custodian::{Older, Recovery};
use custody_core::digest::Digest;
use custody_core::id::KeyId;
use custody_core::replay::ReplayError;
use custody_core::seam::{Batch, ErrorKind, Head, Position, Record, Store, StoreError};
use custody_core::secret::Secret;

use crate::archive::{ArchiveReader, Entry, EntryKind, Header, ReadError, SecretName};

pub use files::{FileTarget, FolderTarget, NoFiles};
pub use keys::{ArchivedKey, ArchivedSeed, Keys};
pub use memory_files::MemoryFiles;
pub use permitted::{PermitError, SeedWords};
pub use prove::{ProofError, Proved, Unproved, prove};
pub use unwrapping::{Unwrapping, WrapError, Wrapped, wrap_keys};

pub use fold::Folded;

use fold::Fold;

/// What was restored. The custodian that is in the store is opened by
/// [`CustodianBuilder::recover`](custody_core::custodian::CustodianBuilder::recover).
pub struct Restored {
    header: Header,
    keys: Keys,
    secrets: Secrets,
    folded: Folded,
}

/// The secrets of an archive, by their names.
pub struct Secrets(BTreeMap<SecretName, Secret>);

impl Restored {
    /// What the archive said about itself.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The keys and seeds of the custodian, with their handles.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The secrets of the archive.
    #[must_use]
    pub const fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Gives the secrets away, and forgets the rest.
    #[must_use]
    pub fn into_secrets(self) -> Secrets {
        self.secrets
    }

    /// How far the events led, and how many orders there are.
    #[must_use]
    pub const fn folded(&self) -> Folded {
        self.folded
    }

    /// What the custodian is opened with: `vouched` are the heads that an anchor, a witness or another
    /// copy vouches for. The head over all restored events is always among them, so that a store that
    /// was filled halfway is older.
    ///
    /// # Security
    /// An archive cannot tell that it is old. Whoever restores without asking a witness or an anchor
    /// that lives elsewhere accepts whatever was lost. [`Older::Freeze`] accepts a store that was filled
    /// halfway, too.
    #[must_use]
    pub fn recovery(&self, vouched: &[Head], older: Older) -> Recovery {
        let own = [self.folded.head, self.header.checkpoint().head];
        let vouched = vouched.iter().copied().chain(own).collect();
        Recovery { archive: Digest::new(*self.header.archive().as_bytes()), vouched, older }
    }
}

impl fmt::Debug for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restored").field("header", &self.header).finish_non_exhaustive()
    }
}

impl Secrets {
    /// A secret.
    #[must_use]
    pub fn get(&self, name: &SecretName) -> Option<&Secret> {
        self.0.get(name)
    }

    /// Takes a secret out.
    pub fn take(&mut self, name: &SecretName) -> Option<Secret> {
        self.0.remove(name)
    }

    /// What they are called.
    pub fn names(&self) -> impl Iterator<Item = &SecretName> {
        self.0.keys()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("names", &self.0.keys()).finish_non_exhaustive()
    }
}

/// Writes what is in an archive into an empty store, and its files where the host wants them.
///
/// The last event is written last: a store that was not filled to its end is older than the head
/// that the archive tells, and [`Restored::recovery`] has it refused.
///
/// # Errors
/// `NotEmpty` if the store has events, and whatever is wrong with the archive, the store or the
/// files. What was written so far is then worth nothing: begin again with an empty store.
///
/// # Security
/// Open what was restored with [`Restored::recovery`], never as if nothing had happened:
/// `CustodianBuilder::open` knows of more than is in the store only by the files of the log and the
/// anchor. Where both are new it opens a store that was filled halfway.
///
/// # Cancel safety
/// As after an error.
pub async fn restore<R: AsyncRead + Unpin>(
    mut reader: ArchiveReader<R>,
    store: &dyn Store,
    files: &mut dyn FileTarget,
) -> Result<Restored, RestoreError> {
    if store.head().await? != Position::START {
        return Err(RestoreError::NotEmpty);
    }
    let mut filling = Filling::new(store);
    let restored = unpack(&mut reader, Some(&mut filling), files).await?;
    filling.finish().await?;
    Ok(restored)
}

/// Reads an archive to its end and writes nothing: for its keys, those of one wallet, its secrets.
///
/// # Errors
/// As for [`restore`], but for the store.
///
/// # Cancel safety
/// Nothing changes if the future is dropped.
pub async fn read<R: AsyncRead + Unpin>(
    reader: ArchiveReader<R>,
) -> Result<Restored, RestoreError> {
    read_with(reader, &mut NoFiles).await
}

/// As [`read`], and gives the files to a target.
pub(crate) async fn read_with<R: AsyncRead + Unpin>(
    mut reader: ArchiveReader<R>,
    files: &mut dyn FileTarget,
) -> Result<Restored, RestoreError> {
    unpack(&mut reader, None, files).await
}

async fn unpack<R: AsyncRead + Unpin>(
    reader: &mut ArchiveReader<R>,
    mut filling: Option<&mut Filling<'_>>,
    files: &mut dyn FileTarget,
) -> Result<Restored, RestoreError> {
    let mut fold = Fold::new(reader.header());
    let mut secrets = Secrets(BTreeMap::new());
    while let Some(entry) = reader.next().await? {
        match entry {
            Entry::Event(event) => {
                fold.event(&event)?;
                if let Some(filling) = &mut filling {
                    filling.event(event.bytes).await?;
                }
            }
            Entry::Record(record) => {
                fold.record(&record);
                if let Some(filling) = &mut filling {
                    filling.record(record).await?;
                }
            }
            Entry::Secret(name, secret) => {
                secrets.0.insert(name, secret);
            }
            Entry::File(path) => files.begin(&path).await?,
            Entry::Piece(bytes) => files.write(&bytes).await?,
            Entry::FileEnd { .. } => files.finish().await?,
        }
    }
    let (ledger, handles, folded) = fold.finish()?;
    let keys = Keys::of(&ledger, handles)?;
    Ok(Restored { header: reader.header().clone(), keys, secrets, folded })
}

/// Batches of what comes one by one. The last event waits until the archive has come to its end.
struct Filling<'a> {
    store: &'a dyn Store,
    position: Position,
    batch: Batch,
    size: usize,
    last: Option<Vec<u8>>,
}

impl<'a> Filling<'a> {
    fn new(store: &'a dyn Store) -> Self {
        let (position, batch) = (Position::START, Batch::default());
        Self { store, position, batch, size: 0, last: None }
    }

    async fn event(&mut self, bytes: Vec<u8>) -> Result<(), RestoreError> {
        if let Some(before) = self.last.replace(bytes) {
            self.size = self.size.saturating_add(before.len());
            self.batch.events.push(before);
        }
        self.commit_if_full().await
    }

    async fn record(&mut self, record: Record) -> Result<(), RestoreError> {
        self.size = self.size.saturating_add(record.value.len());
        self.batch.inserts.push(record);
        if self.is_full() && self.batch.events.is_empty() {
            // A reader gives no record after the last event: the one that waits is not the last.
            self.batch.events.extend(self.last.take());
        }
        self.commit_if_full().await
    }

    fn is_full(&self) -> bool {
        let entries = self.batch.events.len().saturating_add(self.batch.inserts.len());
        entries >= ENTRIES || self.size >= BYTES
    }

    /// No store takes a batch without an event: records wait for theirs.
    async fn commit_if_full(&mut self) -> Result<(), RestoreError> {
        let is_due = self.is_full() && !self.batch.events.is_empty();
        if is_due { self.commit().await } else { Ok(()) }
    }

    async fn finish(mut self) -> Result<(), RestoreError> {
        self.batch.events.extend(self.last.take());
        if self.batch.events.is_empty() {
            return Err(RestoreError::Empty);
        }
        self.commit().await
    }

    async fn commit(&mut self) -> Result<(), RestoreError> {
        let batch = std::mem::take(&mut self.batch);
        self.size = 0;
        self.position = self.store.commit(self.position, batch).await?;
        Ok(())
    }
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The archive is not what it should be.
    #[error("the archive cannot be restored from")]
    Archive(#[from] ReadError),
    /// There is nothing in the archive.
    #[error("the archive has no events")]
    Empty,
    /// The events do not make a state.
    #[error("event {position} of the archive does not follow those before it")]
    Event {
        /// Its position.
        position: u64,
        /// What is wrong with it.
        source: ReplayError,
    },
    /// A file of the archive cannot be written.
    #[error("a file of the archive cannot be written")]
    File(#[from] FileError),
    /// The handle of a key or seed is missing, or not the recorded one.
    #[error("the handle of {key} is not the recorded one")]
    Handle {
        /// Of which key or seed.
        key: KeyId,
    },
    /// The events do not lead to the head that the header tells.
    #[error("the events do not lead to the head that the header tells, of size {size}")]
    Head {
        /// The size of that head.
        size: u64,
    },
    /// The log had another key than the header names, at the head that it tells and since.
    #[error("the log had another key than the header names, at the head of size {size} and since")]
    LogKey {
        /// The size of that head.
        size: u64,
    },
    /// The store is not empty.
    #[error("the store is not empty")]
    NotEmpty,
    /// The store failed.
    #[error("the store cannot be filled")]
    Store(#[from] StoreError),
}

impl RestoreError {
    /// Whether another try with the same archive may go better.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => {
                matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Throttled { .. })
            }
            Self::File(error) => !matches!(error, FileError::TooMuch { .. }),
            Self::Archive(ReadError::Source(_)) => true,
            Self::Archive(_)
            | Self::Empty
            | Self::Event { .. }
            | Self::Handle { .. }
            | Self::Head { .. }
            | Self::LogKey { .. }
            | Self::NotEmpty => false,
        }
    }
}

/// Why a file of an archive is not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The folder is not empty, or no folder.
    #[error("the folder for the files is not an empty one")]
    Folder(#[source] io::Error),
    /// The file cannot be written.
    #[error("a file cannot be written")]
    Io(#[from] io::Error),
    /// No folder is there for it.
    #[error("no folder is there for what begins with {first:?}")]
    NoFolder {
        /// The first part of its path.
        first: String,
    },
    /// Pieces came without a file.
    #[error("a {kind} came without a file")]
    Order {
        /// What came.
        kind: EntryKind,
    },
    /// The files are larger than may be kept in memory.
    #[error("more than {bytes_max} bytes of files would be kept in memory")]
    TooMuch {
        /// How many may be kept.
        bytes_max: usize,
    },
}

/// So many events and records, or so many bytes, make a batch.
const ENTRIES: usize = 1_000;
const BYTES: usize = 4 * 1024 * 1024;
