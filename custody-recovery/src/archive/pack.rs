//! Everything of a custodian into one archive.
//!
//! Invariant: an archive is of one moment: if the store moved while it was read, there is none.

mod records;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokio::io::AsyncWrite;

use custody_core::crypto::PublicKey;
use custody_core::digest::Digest;
use custody_core::document::{DocumentError, EventBody, EventDocument};
use custody_core::id::CustodianId;
use custody_core::seam::{
    AuditError, AuditLog, Checkpoint, Clock, Entropy, EntropyError, Event, Position, RecordKey,
    RecordKeyError, Store, StoreError,
};
use custody_core::secret::Secret;
use custody_core::tree::Tree;

use super::entry::wide;
use super::error::WriteError;
use super::file_source::{FileSource, FileSourceError};
use super::header::{Counts, Header, HeaderDraft, HeaderError};
use super::key::{ArchiveId, ArchiveKey};
use super::local::{Blocking, LocalArchive, LocalError};
use super::name::{EntryPath, SecretName};
use super::sequence::GENESIS;
use super::writer::{ArchiveWriter, Summary};
use crate::route::{Recipient, RouteError, Routes};
use records::{RECORDS, RecordCount, Spread};

/// What goes into an archive: all events and records of a store, files, and secrets.
///
/// # Security
/// Give the store that the custodian has. If that is a sealed store, its records and events are opened
/// and sealed anew under the archive key, and a new store elsewhere seals them under its own keys; what
/// lies *below* a sealed store is of no use without its key encryption.
pub struct Pack<'a> {
    custodian: CustodianId,
    store: &'a dyn Store,
    log_key: PublicKey,
    checkpoint: Checkpoint,
    sources: Vec<&'a dyn FileSource>,
    secrets: BTreeMap<SecretName, &'a Secret>,
}

impl<'a> Pack<'a> {
    /// Everything in the store, and the newest head of the log.
    ///
    /// # Errors
    /// Fails if the log has no head or cannot be asked.
    ///
    /// # Cancel safety
    /// Nothing changes if the future is dropped.
    pub async fn new(
        custodian: CustodianId,
        store: &'a dyn Store,
        log: &dyn AuditLog,
    ) -> Result<Self, PackError> {
        let checkpoint = log.head().await?.ok_or(PackError::NoHead)?;
        let log_key = log.public_key().await;
        let (sources, secrets) = (Vec::new(), BTreeMap::new());
        Ok(Self { custodian, store, log_key, checkpoint, sources, secrets })
    }

    /// Everything in a store as it was at one moment, and a head of the log that was signed before it:
    /// for a custodian that goes on meanwhile. Ask the log for its head first, then for its key,
    /// and take the moment last: nothing is restored from an archive whose events lead to another.
    #[must_use]
    pub fn at(
        custodian: CustodianId,
        store: &'a dyn Store,
        log_key: PublicKey,
        checkpoint: Checkpoint,
    ) -> Self {
        let (sources, secrets) = (Vec::new(), BTreeMap::new());
        Self { custodian, store, log_key, checkpoint, sources, secrets }
    }

    /// Adds files, such as those of the log.
    #[must_use]
    pub fn with_files(mut self, source: &'a dyn FileSource) -> Self {
        self.sources.push(source);
        self
    }

    /// Adds a secret, such as the passphrase of a key-encrypting key or the key that signs heads. Of
    /// two under one name the later stays.
    ///
    /// # Security
    /// Each route of the archive alone opens it: a secret that none of them should have does not
    /// belong into an archive.
    #[must_use]
    pub fn with_secret(mut self, name: SecretName, secret: &'a Secret) -> Self {
        self.secrets.insert(name, secret);
        self
    }

    /// Writes the archive to a sink, under a new key that is wrapped to `recipients`.
    ///
    /// # Errors
    /// `Moved` if the store changed or a file went meanwhile: nothing is wrong, and a later call may succeed.
    /// Otherwise if a part fails.
    ///
    /// # Cancel safety
    /// If the future is dropped, what is in the sink is no archive.
    pub async fn write(
        &self,
        sink: impl AsyncWrite + Unpin,
        recipients: &[Recipient<'_>],
        clock: &dyn Clock,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Summary, PackError> {
        let (archive, key) = draw(entropy.as_ref())?;
        let seal = Seal { archive, key: &key, recipients, entropy };
        self.write_sealed(sink, &seal, clock).await
    }

    /// Writes the archive to a file. Under `path` there is the old archive until the new one is
    /// durable and was read back.
    ///
    /// # Errors
    /// As for [`Self::write`], and if the disk fails.
    ///
    /// # Cancel safety
    /// If the future is dropped, the old archive stays.
    pub async fn write_file(
        &self,
        path: &Path,
        recipients: &[Recipient<'_>],
        clock: &dyn Clock,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Summary, PackError> {
        let (archive, key) = draw(entropy.as_ref())?;
        let seal = Seal { archive, key: &key, recipients, entropy };
        let mut file = LocalArchive::create(path, &archive)?;
        let summary = self.write_sealed(&mut file, &seal, clock).await?;
        file.commit(&key, &summary).await?;
        Ok(summary)
    }

    async fn write_sealed(
        &self,
        sink: impl AsyncWrite + Unpin,
        seal: &Seal<'_>,
        clock: &dyn Clock,
    ) -> Result<Summary, PackError> {
        let Seal { archive, key, recipients, entropy } = seal;
        let head = self.store.head().await?;
        let files = self.files()?;
        let records = RecordCount::of(self.store).await?;
        let draft = HeaderDraft {
            archive: *archive,
            custodian: self.custodian,
            log_key: self.log_key.clone(),
            created_at: clock.now(),
            checkpoint: self.checkpoint.clone(),
            counts: Counts {
                events: head.value(),
                records: records.all,
                files: wide(files.len()),
                secrets: wide(self.secrets.len()),
            },
        };
        let routes =
            Routes::wrap(key, archive, &self.custodian, recipients, entropy.as_ref()).await?;
        let header = Header::new(draft, key, routes)?;
        let mut writer = ArchiveWriter::begin(sink, key, &header, Arc::clone(entropy)).await?;
        let written = self.write_contents(&mut writer, head, &records, &files).await;
        // Whatever went wrong, if the store moved it is no wonder.
        if self.store.head().await? != head {
            return Err(PackError::Moved);
        }
        written?;
        Ok(writer.finish().await?)
    }

    async fn write_contents<W: AsyncWrite + Unpin>(
        &self,
        writer: &mut ArchiveWriter<W>,
        head: Position,
        records: &RecordCount,
        files: &BTreeMap<EntryPath, &'a dyn FileSource>,
    ) -> Result<(), PackError> {
        let written = self.write_history(writer, head, records).await?;
        match records.all.saturating_sub(written) {
            0 => {}
            count => return Err(PackError::Orphaned { count }),
        }
        for (path, source) in files {
            let file = source.open(path).map_err(gone)?;
            writer.file(path, Blocking(file)).await?;
        }
        for (name, secret) in &self.secrets {
            writer.secret(name, secret).await?;
        }
        Ok(())
    }

    /// Writes events and records, mixed as [`super::sequence`] tells. Answers how many records.
    async fn write_history<W: AsyncWrite + Unpin>(
        &self,
        writer: &mut ArchiveWriter<W>,
        head: Position,
        records: &RecordCount,
    ) -> Result<u64, PackError> {
        let (mut spread, mut next) =
            (Spread::new(self.store, head, records.spread), Position::START);
        let (mut documents, mut tree) = (0_u64, Tree::default());
        self.check_head(&tree)?;
        while next < head {
            let page = self.store.events(next, PAGE).await?;
            if page.is_empty() {
                return Err(PackError::Moved);
            }
            for event in page.iter().take_while(|event| event.position < head) {
                next = event.position.plus(1);
                while let Some(record) = spread.due(next).await? {
                    writer.record(&record).await?;
                }
                let written = self.write_documents(writer, event).await?;
                documents = documents.saturating_add(written);
                writer.event(event.position, &event.bytes).await?;
                tree.append(&event.bytes);
                self.check(event, &tree)?;
            }
        }
        Ok(documents.saturating_add(spread.given))
    }

    /// Whoever restores checks the same.
    fn check(&self, event: &Event, tree: &Tree) -> Result<(), PackError> {
        let is_first = event.position == Position::START;
        if is_first && CustodianId::new(Digest::of(&event.bytes)) != self.custodian {
            return Err(PackError::Custodian);
        }
        self.check_head(tree)
    }

    fn check_head(&self, tree: &Tree) -> Result<(), PackError> {
        let told = self.checkpoint.head;
        if tree.size() == told.size && tree.head() != told {
            return Err(PackError::Head { size: told.size.value() });
        }
        Ok(())
    }

    /// Writes the documents that an event is the first to name. Answers how many.
    async fn write_documents<W: AsyncWrite + Unpin>(
        &self,
        writer: &mut ArchiveWriter<W>,
        event: &Event,
    ) -> Result<u64, PackError> {
        let body = EventDocument::read(&event.bytes)?.event;
        let owner = if let EventBody::Genesis(_) = &body {
            GENESIS
        } else if let EventBody::OrderSubmitted(submitted) = &body {
            submitted.order.as_str()
        } else {
            return Ok(0);
        };
        let prefix = RecordKey::parse(&format!("document/{owner}/"))?;
        let (mut after, mut written) = (None, 0_u64);
        loop {
            let page = self.store.scan(&prefix, after.as_ref(), RECORDS).await?;
            let Some(last) = page.last() else { return Ok(written) };
            after = Some(last.key.clone());
            written = written.saturating_add(wide(page.len()));
            for record in page {
                writer.record(&record).await?;
            }
        }
    }

    fn files(&self) -> Result<BTreeMap<EntryPath, &'a dyn FileSource>, PackError> {
        let mut files = BTreeMap::new();
        for source in &self.sources {
            for path in source.list()? {
                if files.insert(path, *source).is_some() {
                    return Err(PackError::FileTwice);
                }
            }
        }
        Ok(files)
    }
}

impl fmt::Debug for Pack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pack")
            .field("custodian", &self.custodian)
            .field("secrets", &self.secrets.keys().collect::<BTreeSet<_>>())
            .finish_non_exhaustive()
    }
}

/// Under which key an archive is written, and who is to have it.
struct Seal<'a> {
    archive: ArchiveId,
    key: &'a ArchiveKey,
    recipients: &'a [Recipient<'a>],
    entropy: &'a Arc<dyn Entropy>,
}

/// A file that is gone after it was listed belongs to something that moves.
fn gone(error: FileSourceError) -> PackError {
    let is_gone = matches!(
        &error,
        FileSourceError::Io(error) if error.kind() == std::io::ErrorKind::NotFound
    );
    if is_gone { PackError::Moved } else { error.into() }
}

fn draw(entropy: &dyn Entropy) -> Result<(ArchiveId, ArchiveKey), EntropyError> {
    Ok((ArchiveId::generate(entropy)?, ArchiveKey::generate(entropy)?))
}

/// Why there is no archive of a custodian.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The log cannot be asked.
    #[error("the log cannot be asked")]
    Audit(#[from] AuditError),
    /// The events are another custodian's.
    #[error("the events are another custodian's")]
    Custodian,
    /// An event does not read.
    #[error("an event of the store does not read")]
    Event(#[from] DocumentError),
    /// There was no entropy.
    #[error("no entropy for an archive key")]
    Entropy(#[from] EntropyError),
    /// Two sources have a file of the same path.
    #[error("two sources have a file of the same path")]
    FileTwice,
    /// A file cannot be had.
    #[error("a file cannot be had")]
    Files(#[from] FileSourceError),
    /// The events do not lead to the head of the log.
    #[error("the events do not lead to the head of the log, of size {size}")]
    Head {
        /// The size of that head.
        size: u64,
    },
    /// The header cannot be written.
    #[error("the header cannot be written")]
    Header(#[from] HeaderError),
    /// The archive did not become a file.
    #[error("the archive did not become a file")]
    Local(#[from] LocalError),
    /// The store changed, or a file went, while they were read.
    #[error("the store changed, or a file went, while they were read")]
    Moved,
    /// A record that an event names cannot be looked for.
    #[error("a record that an event names cannot be looked for")]
    Key(#[from] RecordKeyError),
    /// The log has no signed head yet.
    #[error("the log has no signed head")]
    NoHead,
    /// Documents belong to orders that no event submits.
    #[error("{count} documents belong to orders that no event submits")]
    Orphaned {
        /// How many.
        count: u64,
    },
    /// The key cannot be wrapped to a recipient.
    #[error("the archive key cannot be wrapped to a recipient")]
    Route(#[from] RouteError),
    /// The store failed.
    #[error("the store cannot be read")]
    Store(#[from] StoreError),
    /// The archive cannot be written.
    #[error("the archive cannot be written")]
    Write(#[from] WriteError),
}

const PAGE: u16 = 256;
