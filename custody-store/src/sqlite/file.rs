//! The claim on a store's file.
//!
//! **Invariant:** while a claim lives, nobody else who asks for one on the same file gets it, in
//! this process or another. The lock is on a file beside the store, because SQLite's own locks on
//! the store would be lost when the process closes any other descriptor of it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::schema::OpenError;

/// The one claim on a file; dropping it gives the file back.
pub(super) struct StoreFile {
    path: PathBuf,
    _lock: File,
}

impl StoreFile {
    /// Claims the file at `path` and creates an empty one if there is none.
    pub(super) fn claim(path: &Path) -> Result<Self, OpenError> {
        let path = resolve(path).map_err(OpenError::Io)?;
        let lock =
            create(OpenOptions::new().read(true).write(true).create(true), &lock_path(&path))
                .map_err(OpenError::Io)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::InUse,
            TryLockError::Error(error) => OpenError::Io(error),
        })?;
        match create(OpenOptions::new().write(true).create_new(true), &path) {
            Ok(_empty) => sync_folder(&path).map_err(OpenError::Io)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => (),
            Err(error) => return Err(OpenError::Io(error)),
        }
        Ok(Self { path, _lock: lock })
    }

    /// The file, by a path without links.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// One path for one file, whatever links lead to it.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let name = path.file_name().ok_or(error)?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            Ok(folder.unwrap_or_else(|| Path::new(".")).canonicalize()?.join(name))
        }
        found => found,
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".lock");
    PathBuf::from(name)
}

/// Opens a file that only its owner may read once it is created.
fn create(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}

/// Makes the entry of a new file durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}
