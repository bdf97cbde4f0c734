use std::fs::{self, DirEntry};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use custody_core::digest::Digest;
use sha2::Digest as _;

use super::VerifyError;
use super::directory::{CHECKPOINT, DOCUMENTS};
use crate::storage::file;
use crate::tile::{Resource, TileId, TilePath};

/// What stands in a log directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inventory {
    /// The documents, each of which has the content that its name says.
    pub documents: u64,
    /// The number of files and links that do not belong to the log.
    pub foreign: u64,
    /// The paths of the first hundred of them, from the directory on.
    pub foreign_paths: Vec<PathBuf>,
}

impl Inventory {
    pub(super) fn take(root: &Path, size: u64) -> Result<Self, VerifyError> {
        let mut inventory = Self::default();
        // The open directories from the root down to where we are; names end a level.
        let mut open = vec![fs::read_dir(root)?];
        while let Some(folder) = open.last_mut() {
            let Some(entry) = folder.next() else {
                open.pop();
                continue;
            };
            let entry = entry?;
            // A link is not followed: what belongs to the log lies in the directory itself.
            if entry.file_type()?.is_dir() && open.len() < DEPTH_MAX {
                open.push(fs::read_dir(entry.path())?);
            } else {
                inventory.note(root, size, &entry)?;
            }
        }
        Ok(inventory)
    }

    fn note(&mut self, root: &Path, size: u64, entry: &DirEntry) -> Result<(), VerifyError> {
        let path = entry.path();
        let inside = path.strip_prefix(root).unwrap_or(&path);
        let regular = entry.file_type()?.is_file();
        if regular && inside.to_str().is_some_and(|path| is_own(path, size)) {
            return Ok(());
        }
        if let Some(digest) = document_digest(inside).filter(|_| regular) {
            check_document(&path, digest)?;
            self.documents = self.documents.saturating_add(1);
            return Ok(());
        }
        self.foreign = self.foreign.saturating_add(1);
        if self.foreign_paths.len() < FOREIGN_PATHS_MAX {
            self.foreign_paths.push(inside.to_owned());
        }
        Ok(())
    }
}

/// Whether a file is the checkpoint, a tile or a bundle of a log of this size.
fn is_own(path: &str, size: u64) -> bool {
    if path == CHECKPOINT {
        return true;
    }
    let Ok(path) = TilePath::parse(path) else { return false };
    let own = match path.resource() {
        Resource::Entries => TilePath::entries(path.index(), size),
        Resource::Hashes { level } => TilePath::hashes(TileId { level, index: path.index() }, size),
    };
    own == Some(path)
}

fn document_digest(path: &Path) -> Option<Digest> {
    let name = path.strip_prefix(DOCUMENTS).ok()?.to_str()?;
    Digest::parse(name).ok()
}

/// Hashes a document piece by piece, whatever its size.
fn check_document(path: &Path, digest: Digest) -> Result<(), VerifyError> {
    let mut file = file::open_regular(path)?.ok_or(VerifyError::NoDocument { digest })?;
    let mut hasher = sha2::Sha256::new();
    let mut piece = [0; 16 * 1024];
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => hasher.update(piece.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let right = Digest::new(hasher.finalize().into()) == digest;
    if right { Ok(()) } else { Err(VerifyError::WrongDocument { digest }) }
}

/// `tile`, a level, seven groups of the index, a width, and one more.
const DEPTH_MAX: usize = 12;
const FOREIGN_PATHS_MAX: usize = 100;
