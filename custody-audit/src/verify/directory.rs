use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use custody_core::digest::Digest;

use super::VerifyError;
use crate::checkpoint::LogHead;
use crate::note::SignedNote;
use crate::storage::file;
use crate::tile::{ENTRY_BYTES_MAX, Tile, TileId, TilePath};
use crate::tree::{HashSource, Node, TreeHash};

/// A log directory whose checkpoint was read and not believed.
#[derive(Clone, Debug)]
pub struct LogDirectory {
    root: PathBuf,
    note: SignedNote,
    head: LogHead,
}

impl LogDirectory {
    /// Reads the checkpoint of a log directory.
    ///
    /// # Errors
    /// Fails if there is no checkpoint or it is malformed.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, VerifyError> {
        let root = root.into();
        let bytes = file::read_whole(&root.join(CHECKPOINT), CHECKPOINT_BYTES_MAX)?;
        let bytes = bytes.ok_or(VerifyError::NoCheckpoint)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| VerifyError::Read(std::io::ErrorKind::InvalidData))?;
        let note = SignedNote::parse(&text)?;
        let head = LogHead::parse(note.unverified_text())?;
        Ok(Self { root, note, head })
    }

    /// Returns what the checkpoint says, which nobody may believe yet.
    #[must_use]
    pub const fn unverified_head(&self) -> &LogHead {
        &self.head
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) const fn note(&self) -> &SignedNote {
        &self.note
    }

    pub(super) const fn size(&self) -> u64 {
        self.head.tree().size
    }

    /// Reads a tile of the log, full or partial.
    pub(super) fn tile(&self, id: TileId) -> Result<Tile, VerifyError> {
        let first_entry = id.first_entry();
        let path = TilePath::hashes(id, self.size());
        let (path, bytes) = self.covering(path, first_entry, TILE_BYTES_MAX)?;
        Tile::parse(&bytes, path.width()).map_err(|source| VerifyError::Tile {
            path,
            first_entry,
            source,
        })
    }

    /// Reads an entry bundle of the log, full or partial.
    pub(super) fn bundle(&self, index: u64) -> Result<Vec<u8>, VerifyError> {
        let first_entry = TileId { level: 0, index }.first_entry();
        let path = TilePath::entries(index, self.size());
        self.covering(path, first_entry, BUNDLE_BYTES_MAX).map(|(_, bytes)| bytes)
    }

    /// Reads a file that covers the entries from `first_entry` on.
    fn covering(
        &self,
        path: Option<TilePath>,
        first_entry: u64,
        bytes_max: u64,
    ) -> Result<(TilePath, Vec<u8>), VerifyError> {
        let path = path.ok_or(VerifyError::WrongRoot { size: self.size() })?;
        let bytes = file::read_whole(&self.root.join(path.to_string()), bytes_max);
        let bytes = bytes.map_err(|error| {
            let kind = error.kind();
            VerifyError::TileUnread { path, first_entry, kind }
        })?;
        bytes.map(|bytes| (path, bytes)).ok_or(VerifyError::NoTile { path, first_entry })
    }

    /// Reads a document and checks that it is the one with this digest.
    pub(super) fn document(&self, digest: Digest) -> Result<Vec<u8>, VerifyError> {
        let path = self.root.join(DOCUMENTS).join(digest.to_string());
        let bytes = file::read_whole(&path, DOCUMENT_BYTES_MAX)?;
        let bytes = bytes.ok_or(VerifyError::NoDocument { digest })?;
        let right = Digest::of(&bytes) == digest;
        if right { Ok(bytes) } else { Err(VerifyError::WrongDocument { digest }) }
    }
}

/// The hashes of a log directory, with the tiles that were read last.
#[derive(Debug)]
pub(super) struct DirectoryHashes<'a> {
    directory: &'a LogDirectory,
    tiles: VecDeque<(TileId, Rc<Tile>)>,
}

impl<'a> DirectoryHashes<'a> {
    pub(super) const fn new(directory: &'a LogDirectory) -> Self {
        Self { directory, tiles: VecDeque::new() }
    }

    fn tile(&mut self, id: TileId) -> Result<Rc<Tile>, VerifyError> {
        if let Some((_, tile)) = self.tiles.iter().find(|(kept, _)| *kept == id) {
            return Ok(Rc::clone(tile));
        }
        let tile = Rc::new(self.directory.tile(id)?);
        if self.tiles.len() >= KEPT_TILES {
            self.tiles.pop_front();
        }
        self.tiles.push_back((id, Rc::clone(&tile)));
        Ok(tile)
    }
}

impl HashSource for DirectoryHashes<'_> {
    type Error = VerifyError;

    fn hash(&mut self, node: Node) -> Result<TreeHash, VerifyError> {
        let tile = self.tile(TileId::of(node))?;
        tile.node(node).ok_or(VerifyError::WrongRoot { size: self.directory.size() })
    }
}

pub(super) const CHECKPOINT: &str = "checkpoint";
pub(super) const DOCUMENTS: &str = "documents";
const CHECKPOINT_BYTES_MAX: u64 = 256 * 1024;
const TILE_BYTES_MAX: u64 = 8_192;
const BUNDLE_BYTES_MAX: u64 = 256 * (2 + ENTRY_BYTES_MAX as u64);
/// Twice the largest payload that a custodian takes.
const DOCUMENT_BYTES_MAX: u64 = 16 * 1024 * 1024;
const KEPT_TILES: usize = 16;
