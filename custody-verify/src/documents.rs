//! The documents beside the log, read when an entry names them.
//!
//! Invariant: at most a few documents are held at a time, whatever the size of the log. What is
//! handed out has not been checked: the replay hashes it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use custody_core::digest::Digest;
use custody_core::replay::Documents;

/// The folder of documents of a log directory.
#[derive(Debug)]
pub(crate) struct DocumentFolder {
    path: PathBuf,
    kept: RefCell<VecDeque<(Digest, Vec<u8>)>>,
    asked: Cell<Option<Digest>>,
    failed: Cell<Option<(Digest, io::ErrorKind)>>,
}

impl DocumentFolder {
    /// The documents of the log at `root`.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            path: root.join("documents"),
            kept: RefCell::default(),
            asked: Cell::new(None),
            failed: Cell::new(None),
        }
    }

    /// The document that was asked for last.
    pub(crate) const fn asked(&self) -> Option<Digest> {
        self.asked.get()
    }

    /// The document that is there and could not be read.
    pub(crate) const fn failed(&self) -> Option<(Digest, io::ErrorKind)> {
        self.failed.get()
    }

    fn kept(&self, digest: &Digest) -> Option<Vec<u8>> {
        let kept = self.kept.borrow();
        kept.iter().find(|(name, _)| name == digest).map(|(_, bytes)| bytes.clone())
    }

    fn keep(&self, digest: Digest, bytes: &[u8]) {
        if bytes.len() > KEPT_BYTES_MAX {
            return;
        }
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back((digest, bytes.to_vec()));
    }
}

impl Documents for DocumentFolder {
    fn get(&self, sha256: &Digest) -> Option<Vec<u8>> {
        self.asked.set(Some(*sha256));
        if let Some(bytes) = self.kept(sha256) {
            return Some(bytes);
        }
        match read_regular(&self.path.join(sha256.to_string()), DOCUMENT_BYTES_MAX) {
            Ok(bytes) => {
                self.keep(*sha256, &bytes);
                Some(bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.failed.set(Some((*sha256, error.kind())));
                None
            }
        }
    }
}

/// Reads a regular file of at most `bytes_max` bytes. A link is not followed: what belongs to the
/// log lies in its directory, and opening a pipe would wait for a writer.
fn read_regular(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    read_at_most(File::open(path)?, bytes_max)
}

/// Reads all of a file of at most `bytes_max` bytes.
pub(crate) fn read_at_most(file: File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    let fits = u64::try_from(bytes.len()).is_ok_and(|length| length <= bytes_max);
    if fits { Ok(bytes) } else { Err(io::ErrorKind::FileTooLarge.into()) }
}

/// Twice the largest payload that a custodian takes.
const DOCUMENT_BYTES_MAX: u64 = 16 * 1024 * 1024;
const KEPT_MAX: usize = 32;
const KEPT_BYTES_MAX: usize = 64 * 1024;
