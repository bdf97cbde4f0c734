//! The committed corpora: `fuzz/corpus/<target>/`.
//!
//! A file whose name begins with `seed-` was written by the generator, any other was found by a
//! fuzzer or by a person and is kept.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Target;

/// What the names of the generator's files begin with.
pub const SEED: &str = "seed-";
/// Longest file of a corpus, in bytes.
pub const FILE_MAX: usize = 8 * 1024;
/// All corpora together, in bytes.
pub const TOTAL_MAX: u64 = 1_500_000;

/// The folder of a target's corpus.
#[must_use]
pub fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// Every file of a target's corpus, by name.
///
/// # Errors
/// Fails if there is no corpus, or it cannot be read.
pub fn files(target: &Target) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder(target))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.push((name, fs::read(entry.path())?));
    }
    files.sort();
    Ok(files)
}

/// Writes a target's seeds anew, and leaves what was found by others.
///
/// # Errors
/// Fails if the corpus cannot be written.
///
/// # Panics
/// If two seeds have one name, or one is too long.
pub fn write_seeds(target: &Target) -> io::Result<usize> {
    let folder = folder(target);
    fs::create_dir_all(&folder)?;
    for (name, _) in files(target)? {
        if name.starts_with(SEED) {
            fs::remove_file(folder.join(name))?;
        }
    }
    let seeds = (target.seeds)();
    for (name, bytes) in &seeds {
        assert!(bytes.len() <= FILE_MAX, "{}: {name} has {} bytes", target.name, bytes.len());
        let path = folder.join(format!("{SEED}{name}"));
        assert!(!path.exists(), "{}: two seeds are called {name}", target.name);
        fs::write(path, bytes)?;
    }
    Ok(seeds.len())
}
