//! Entropy that remembers what it gave, so that somebody can look for it. Opens secrets.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use custody_core::seam::{Entropy, EntropyError};
use custody_core::secret::Secret;
use examples_hsm::Failure;
use examples_start::entropy::OsEntropy;

/// The operating system's entropy, of which seeds and data keys are remembered: whatever is drawn in
/// 32 bytes. It is for this example; nothing else may remember secrets.
#[derive(Default)]
pub(crate) struct Witness(Mutex<Vec<Secret>>);

impl Witness {
    /// How many secrets were given.
    pub(crate) fn given(&self) -> usize {
        self.secrets().len()
    }

    /// The files below a directory that hold one of the secrets, as bytes or in hex. Each half of one
    /// is enough: a database may break a value over two pages.
    pub(crate) fn lies_in(&self, directory: &Path) -> Result<Vec<PathBuf>, Failure> {
        let mut wanted = HashSet::new();
        for secret in self.secrets().iter() {
            for half in secret.expose().chunks_exact(HALF) {
                let text = hex::encode(half);
                wanted.insert(half.to_vec());
                wanted.extend(text.as_bytes().chunks_exact(HALF).map(<[u8]>::to_vec));
            }
        }
        let mut found = Vec::new();
        for path in files(directory)? {
            let bytes = fs::read(&path)?;
            if bytes.windows(HALF).any(|window| wanted.contains(window)) {
                found.push(path);
            }
        }
        Ok(found)
    }

    fn secrets(&self) -> MutexGuard<'_, Vec<Secret>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entropy for Witness {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        OsEntropy.fill(bytes)?;
        if bytes.len() == SECRET {
            self.secrets().push(Secret::new(bytes.to_vec()));
        }
        Ok(())
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness").finish_non_exhaustive()
    }
}

/// All files below a directory.
fn files(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

const SECRET: usize = 32;
const HALF: usize = 16;
