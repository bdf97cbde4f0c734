use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use custody_core::seam::{AnchorError, ErrorKind, Head};

use super::document::{self, AnchorFileError};
use super::{ADVANCE, DirectoryAnchorError, LOAD};
use crate::note::KeyName;
use crate::storage::file;

/// The claim on the directory of an anchor; dropping it gives the directory back.
pub(super) struct Keeper {
    directory: PathBuf,
    log: KeyName,
    /// Whether a crash could bring an older file back than the one that stands.
    is_unsettled: bool,
    _lock: File,
}

impl Keeper {
    /// Claims the directory and writes an anchor without a head.
    pub(super) fn create(
        directory: &Path,
        log: &KeyName,
        apart_from: &[&Path],
    ) -> Result<Self, DirectoryAnchorError> {
        file::create_directory(directory).map_err(DirectoryAnchorError::Io)?;
        let mut keeper = Self::claim(directory, log, apart_from)?;
        if stands(&keeper.path())? {
            return Err(DirectoryAnchorError::Exists);
        }
        keeper.write(None).map_err(DirectoryAnchorError::Io)?;
        Ok(keeper)
    }

    /// Claims the directory of an anchor that can be read.
    pub(super) fn open(
        directory: &Path,
        log: &KeyName,
        apart_from: &[&Path],
    ) -> Result<Self, DirectoryAnchorError> {
        if !stands(directory)? {
            return Err(DirectoryAnchorError::Missing);
        }
        let mut keeper = Self::claim(directory, log, apart_from)?;
        let found = keeper.read()?;
        keeper.settle(found).map_err(DirectoryAnchorError::Io)?;
        Ok(keeper)
    }

    fn claim(
        directory: &Path,
        log: &KeyName,
        apart_from: &[&Path],
    ) -> Result<Self, DirectoryAnchorError> {
        let directory = directory.canonicalize().map_err(DirectoryAnchorError::Io)?;
        for other in apart_from {
            let other = other.canonicalize().map_err(DirectoryAnchorError::Io)?;
            if directory.starts_with(other) {
                return Err(DirectoryAnchorError::Apart);
            }
        }
        check_contents(&directory)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let lock = options.open(directory.join(LOCK)).map_err(DirectoryAnchorError::Io)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => DirectoryAnchorError::InUse,
            TryLockError::Error(error) => DirectoryAnchorError::Io(error),
        })?;
        Ok(Self { directory, log: log.clone(), is_unsettled: true, _lock: lock })
    }

    /// The head that stands, and that a crash leaves.
    pub(super) fn load(&mut self) -> Result<Option<Head>, AnchorError> {
        let found = self.read().map_err(|error| failed(LOAD, error))?;
        self.settle(found)
            .map_err(|error| AnchorError::new(ErrorKind::Unavailable, LOAD).with_source(error))?;
        Ok(found)
    }

    /// Puts `new` in the place of `old`.
    pub(super) fn advance(&mut self, old: Option<Head>, new: Head) -> Result<(), AnchorError> {
        let found = self.read().map_err(|error| failed(ADVANCE, error))?;
        if found != old {
            return Err(AnchorError::new(ErrorKind::Conflict, ADVANCE));
        }
        if found.is_some_and(|found| new != found && new.size <= found.size) {
            return Err(AnchorError::new(ErrorKind::Refused, ADVANCE));
        }
        self.write(Some(new)).map_err(|error| {
            let stands = self.read().is_ok_and(|found| found == old);
            self.is_unsettled |= !stands;
            let kind = if stands { ErrorKind::Unavailable } else { ErrorKind::Indeterminate };
            AnchorError::new(kind, ADVANCE).with_source(error)
        })
    }

    /// Reads the file each time: one that was changed behind the keeper's back is noticed.
    fn read(&self) -> Result<Option<Head>, DirectoryAnchorError> {
        let bytes = file::read_whole(&self.path(), BYTES_MAX).map_err(|error| {
            let shape = [io::ErrorKind::FileTooLarge, io::ErrorKind::InvalidInput];
            if shape.contains(&error.kind()) {
                return DirectoryAnchorError::File(AnchorFileError::Shape);
            }
            DirectoryAnchorError::Io(error)
        })?;
        let bytes = bytes.ok_or(DirectoryAnchorError::Missing)?;
        Ok(document::parse(&bytes, &self.log)?)
    }

    /// Writes `head` and makes the file and its name durable.
    fn write(&mut self, head: Option<Head>) -> io::Result<()> {
        let text = document::to_text(&self.log, head);
        file::write_whole(&self.path(), text.as_bytes())?;
        self.is_unsettled = true;
        file::sync_directory(&self.directory)?;
        self.is_unsettled = false;
        Ok(())
    }

    /// Makes what stands durable, if that is not certain.
    ///
    /// It is written again: a sync that failed before may have left the file in the cache of the
    /// operating system only, marked as written, and then another sync would say nothing.
    fn settle(&mut self, found: Option<Head>) -> io::Result<()> {
        if self.is_unsettled { self.write(found) } else { Ok(()) }
    }

    fn path(&self) -> PathBuf {
        self.directory.join(HEAD)
    }
}

/// Whether there is anything under this name. What cannot be told is no answer.
fn stands(path: &Path) -> Result<bool, DirectoryAnchorError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(DirectoryAnchorError::Io(error)),
    }
}

/// Refuses a directory that holds anything but an anchor: it may be that of a store or a log.
fn check_contents(directory: &Path) -> Result<(), DirectoryAnchorError> {
    for entry in fs::read_dir(directory).map_err(DirectoryAnchorError::Io)? {
        let name = entry.map_err(DirectoryAnchorError::Io)?.file_name();
        if ![HEAD, DRAFT, LOCK].map(OsStr::new).contains(&name.as_os_str()) {
            return Err(DirectoryAnchorError::Foreign);
        }
    }
    Ok(())
}

fn failed(operation: &'static str, error: DirectoryAnchorError) -> AnchorError {
    let kind = match error {
        DirectoryAnchorError::File(_) | DirectoryAnchorError::Missing => ErrorKind::Corrupt,
        DirectoryAnchorError::Apart
        | DirectoryAnchorError::Exists
        | DirectoryAnchorError::Foreign
        | DirectoryAnchorError::InUse
        | DirectoryAnchorError::Io(_) => ErrorKind::Unavailable,
    };
    AnchorError::new(kind, operation).with_source(error)
}

const HEAD: &str = "head";
/// What [`file::write_whole`] writes before it has the name [`HEAD`].
const DRAFT: &str = "head.draft";
const LOCK: &str = "lock";
/// Three lines of at most 255 bytes each, and some.
const BYTES_MAX: u64 = 1_024;
