//! Writes a log as a directory that an outsider can verify.
//!
//! **Invariant:** the checkpoint is written last, once all else is durable, and only if the entries
//! and tiles beside it lead to its root. A directory without a checkpoint is an export that did not
//! finish.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;

use custody_core::digest::Digest;
use custody_core::seam::{Checkpoint, Position, Record, RecordKey, Store, StoreError};

use crate::storage::file;
use crate::tile::{BundleError, Edge, Tile, TileId, TilePath, push_entry};
use crate::tree::{TreeFull, TreeHash};

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// The entries of the log.
    pub entries: u64,
    /// The documents beside it; one that several orders share counts once.
    pub documents: u64,
}

/// Writes the events under `checkpoint` and all documents of `store` to the directory `target`,
/// which must be empty or not there yet.
///
/// The layout is that of C2SP `tlog-tiles`, with each document at `documents/<sha256>`. Each file
/// is synced, and all of them are before the checkpoint is written. The calling thread waits for
/// the disk, so an executor with other work should run this apart.
///
/// # Errors
/// Fails if the store or the disk fails, if the directory is not empty, if a document is not the
/// one its key names, and if the events do not lead to the root of the checkpoint.
///
/// # Cancel safety
/// Safe: a directory without a checkpoint is left.
pub async fn export(
    store: &dyn Store,
    checkpoint: &Checkpoint,
    target: &Path,
) -> Result<Exported, ExportError> {
    file::create_directory(target)?;
    if fs::read_dir(target)?.next().is_some() {
        return Err(ExportError::NotEmpty);
    }
    let mut export = Export { store, target, folders: BTreeSet::new() };
    let documents = export.documents().await?;
    let edge = export.entries(checkpoint.head.size.value()).await?;
    if edge.head().root.as_bytes() != checkpoint.head.root.as_bytes() {
        return Err(ExportError::WrongRoot { size: edge.size() });
    }
    export.folders.iter().try_for_each(|folder| file::sync_directory(folder))?;
    file::write_whole(&target.join("checkpoint"), checkpoint.note.as_bytes())?;
    file::sync_directory(target)?;
    Ok(Exported { entries: edge.size(), documents })
}

/// Why a log cannot be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A document in the store is not the one its key names.
    #[error("a document of {bytes} bytes is not the one its key names")]
    Document {
        /// The bytes of the document.
        bytes: usize,
    },
    /// The store does not hold an event under the checkpoint.
    #[error("the store does not hold event {index}")]
    EventMissing {
        /// The index of the event.
        index: u64,
    },
    /// An event is longer than a bundle can hold.
    #[error(transparent)]
    EventTooLong(#[from] BundleError),
    /// A file could not be written.
    #[error("the export could not be written")]
    Io(#[from] io::Error),
    /// The directory is not empty.
    #[error("the directory is not empty")]
    NotEmpty,
    /// The store failed.
    #[error("the store could not be read")]
    Store(#[from] StoreError),
    /// The tree is full.
    #[error(transparent)]
    TreeFull(#[from] TreeFull),
    /// The events do not lead to the root of the checkpoint.
    #[error("the events do not lead to the root of the checkpoint of size {size}")]
    WrongRoot {
        /// The size of the checkpoint.
        size: u64,
    },
}

/// An export on its way.
struct Export<'a> {
    store: &'a dyn Store,
    target: &'a Path,
    /// Where files were written: their names are not durable yet.
    folders: BTreeSet<PathBuf>,
}

impl Export<'_> {
    /// Writes bundles and tiles, full and partial.
    async fn entries(&mut self, size: u64) -> Result<Edge, ExportError> {
        let mut edge = Edge::default();
        let mut bundle = Vec::new();
        while edge.size() < size {
            let full = self.page(&mut edge, &mut bundle, size).await?;
            for (id, tile) in full {
                self.tile(id, &tile, size)?;
            }
            if edge.size().is_multiple_of(Tile::WIDTH.into()) || edge.size() == size {
                let index = edge.size().saturating_sub(1) >> 8;
                self.file(TilePath::entries(index, size), &std::mem::take(&mut bundle))?;
            }
        }
        for (id, tile) in edge.partial_tiles() {
            self.tile(id, &tile, size)?;
        }
        Ok(edge)
    }

    /// Adds the next events, at most up to the end of their bundle.
    async fn page(
        &self,
        edge: &mut Edge,
        bundle: &mut Vec<u8>,
        size: u64,
    ) -> Result<Vec<(TileId, Tile)>, ExportError> {
        let index = edge.size();
        let in_bundle = u64::from(Tile::WIDTH).saturating_sub(index & 0xff);
        let wanted = size.saturating_sub(index).min(in_bundle);
        let limit = u16::try_from(wanted).unwrap_or(Tile::WIDTH);
        let events = self.store.events(Position::new(index), limit).await?;
        if events.is_empty() || events.len() > usize::from(limit) {
            return Err(ExportError::EventMissing { index });
        }
        let mut full = Vec::new();
        for event in events {
            let index = edge.size();
            if event.position.value() != index {
                return Err(ExportError::EventMissing { index });
            }
            push_entry(bundle, &event.bytes)?;
            full.extend(edge.append(TreeHash::leaf(&event.bytes))?);
        }
        Ok(full)
    }

    /// Writes every document once, under its digest.
    async fn documents(&mut self) -> Result<u64, ExportError> {
        let folder = self.target.join("documents");
        self.folder(&folder)?;
        let Ok(prefix) = RecordKey::parse("document/") else { return Ok(0) };
        let mut after = None;
        let mut written = 0_u64;
        loop {
            let records = self.store.scan(&prefix, after.as_ref(), DOCUMENTS_PAGE).await?;
            let Some(last) = records.last() else { return Ok(written) };
            after = Some(last.key.clone());
            let mut files = Vec::new();
            for record in &records {
                let path = document_path(&folder, record)?;
                if !path.exists() {
                    files.push(write(&path, &record.value)?);
                    written = written.saturating_add(1);
                }
            }
            sync_all(&files)?;
        }
    }

    fn tile(&mut self, id: TileId, tile: &Tile, size: u64) -> Result<(), ExportError> {
        self.file(TilePath::hashes(id, size), &tile.to_bytes())
    }

    fn file(&mut self, path: Option<TilePath>, bytes: &[u8]) -> Result<(), ExportError> {
        let path = path.ok_or(io::Error::from(io::ErrorKind::InvalidInput))?;
        let path = self.target.join(path.to_string());
        self.folder(path.parent().unwrap_or(self.target))?;
        Ok(write(&path, bytes)?.sync_all()?)
    }

    /// Makes a directory for files.
    fn folder(&mut self, path: &Path) -> io::Result<()> {
        if !self.folders.contains(path) {
            file::create_directory(path)?;
            self.folders.insert(path.to_owned());
        }
        Ok(())
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    Ok(file)
}

/// Makes a few files durable side by side: together they take a disk hardly longer than one.
fn sync_all(files: &[File]) -> io::Result<()> {
    thread::scope(|scope| {
        let syncs = files
            .iter()
            .map(|file| thread::Builder::new().spawn_scoped(scope, move || file.sync_all()))
            .collect::<io::Result<Vec<_>>>()?;
        let lost = |_| Err(io::ErrorKind::Other.into());
        syncs.into_iter().try_for_each(|sync| sync.join().unwrap_or_else(lost))
    })
}

/// Returns where a document belongs, if it is the one that its key names.
fn document_path(folder: &Path, record: &Record) -> Result<PathBuf, ExportError> {
    let digest = Digest::of(&record.value).to_string();
    let named = record.key.as_str().rsplit('/').next() == Some(digest.as_str());
    let bytes = record.value.len();
    if named { Ok(folder.join(digest)) } else { Err(ExportError::Document { bytes }) }
}

/// Documents may be large; only a few are held at a time.
const DOCUMENTS_PAGE: u16 = 16;
