//! Files that belong into an archive: those of the log, and others that the host names.
//!
//! Invariant: no link is followed, so that nothing outside the named folder is read.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::name::{EntryPath, EntryPathError};

/// Where files come from.
pub trait FileSource: Debug + Send + Sync {
    /// Every file there is.
    ///
    /// # Errors
    /// Fails on what cannot be read, and on what is neither file nor folder.
    fn list(&self) -> Result<BTreeSet<EntryPath>, FileSourceError>;

    /// Opens one of them.
    ///
    /// # Errors
    /// Fails on what cannot be read or is no file any more.
    fn open(&self, path: &EntryPath) -> Result<Box<dyn Read + Send>, FileSourceError>;
}

/// A folder of the local disk, with everything below it.
#[derive(Clone, Debug)]
pub struct Folder {
    name: Box<str>,
    path: PathBuf,
}

impl Folder {
    /// The folder at `path`; its files are under `name` in the archive.
    ///
    /// # Errors
    /// Fails if `name` is no path of an archive.
    pub fn new(name: &str, path: impl Into<PathBuf>) -> Result<Self, EntryPathError> {
        Ok(Self { name: EntryPath::parse(name)?.as_str().into(), path: path.into() })
    }

    fn walk(
        &self,
        folder: &Path,
        inside: &str,
        found: &mut BTreeSet<EntryPath>,
    ) -> Result<(), FileSourceError> {
        if inside.split('/').count() > DEPTH_MAX {
            return Err(FileSourceError::TooDeep);
        }
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().ok_or(FileSourceError::Name)?;
            let inside = [inside, "/", name].concat();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.walk(&entry.path(), &inside, found)?;
            } else if kind.is_file() {
                let path = EntryPath::parse(&inside).map_err(|_| FileSourceError::Name)?;
                found.insert(path);
            } else {
                return Err(FileSourceError::NoFile);
            }
            if found.len() > FILES_MAX {
                return Err(FileSourceError::TooMany);
            }
        }
        Ok(())
    }
}

impl FileSource for Folder {
    fn list(&self) -> Result<BTreeSet<EntryPath>, FileSourceError> {
        let mut found = BTreeSet::new();
        if !fs::symlink_metadata(&self.path)?.is_dir() {
            return Err(FileSourceError::NoFile);
        }
        self.walk(&self.path, &self.name, &mut found)?;
        Ok(found)
    }

    fn open(&self, path: &EntryPath) -> Result<Box<dyn Read + Send>, FileSourceError> {
        let inside = path.as_str().strip_prefix(&*self.name);
        let inside = inside.and_then(|inside| inside.strip_prefix('/'));
        let inside = inside.ok_or(FileSourceError::Name)?;
        let mut place = self.path.clone();
        for part in inside.split('/') {
            if !fs::symlink_metadata(&place)?.is_dir() {
                return Err(FileSourceError::NoFile);
            }
            place.push(part);
        }
        let before = fs::symlink_metadata(&place)?;
        if !before.is_file() {
            return Err(FileSourceError::NoFile);
        }
        let file = File::open(&place)?;
        // A link that was put there between the two looks leads to another file.
        if !is_same(&before, &file.metadata()?) {
            return Err(FileSourceError::NoFile);
        }
        Ok(Box::new(file))
    }
}

#[cfg(unix)]
fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    one.file_type() == other.file_type()
}

/// Why files for an archive cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileSourceError {
    /// The file cannot be read.
    #[error("a file or folder cannot be read")]
    Io(#[from] io::Error),
    /// The name cannot stand in an archive.
    #[error("a file has a name that cannot stand in an archive")]
    Name,
    /// It is a link or something else that is neither file nor folder.
    #[error("a link, or something else that is neither file nor folder, stands among the files")]
    NoFile,
    /// The folders are too deep.
    #[error("the folders are too deep")]
    TooDeep,
    /// There are too many files.
    #[error("there are too many files")]
    TooMany,
}

const DEPTH_MAX: usize = 16;
const FILES_MAX: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::parse(text).unwrap()
    }

    #[test]
    fn a_folder_lists_what_is_below_it_under_its_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("tile/0")).unwrap();
        fs::write(folder.path().join("checkpoint"), b"note").unwrap();
        fs::write(folder.path().join("tile/0/000"), b"hashes").unwrap();
        let source = Folder::new("log", folder.path()).unwrap();
        let expected = BTreeSet::from([path("log/checkpoint"), path("log/tile/0/000")]);
        assert_eq!(source.list().unwrap(), expected);
        let mut bytes = Vec::new();
        source.open(&path("log/tile/0/000")).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"hashes");
    }

    #[test]
    fn a_file_of_another_folder_and_a_missing_one_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("checkpoint"), b"note").unwrap();
        let source = Folder::new("log", folder.path()).unwrap();
        for other in ["checkpoint", "logs/checkpoint", "log"] {
            let opened = source.open(&path(other));
            assert!(matches!(opened, Err(FileSourceError::Name)), "{other}");
        }
        assert!(matches!(source.open(&path("log/missing")), Err(FileSourceError::Io(_))));
        assert!(Folder::new("../log", folder.path()).is_err());
        let missing = Folder::new("log", folder.path().join("missing")).unwrap();
        assert!(matches!(missing.list(), Err(FileSourceError::Io(_))));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_refused_wherever_they_stand() {
        use std::os::unix::fs::symlink;
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(elsewhere.path().join("secret"), b"secret").unwrap();
        let source = Folder::new("log", folder.path()).unwrap();
        symlink(elsewhere.path().join("secret"), folder.path().join("file")).unwrap();
        assert!(matches!(source.list(), Err(FileSourceError::NoFile)));
        assert!(matches!(source.open(&path("log/file")), Err(FileSourceError::NoFile)));
        fs::remove_file(folder.path().join("file")).unwrap();
        symlink(elsewhere.path(), folder.path().join("folder")).unwrap();
        assert!(matches!(source.list(), Err(FileSourceError::NoFile)));
        assert!(matches!(source.open(&path("log/folder/secret")), Err(FileSourceError::NoFile)));
        let linked = Folder::new("log", folder.path().join("folder")).unwrap();
        assert!(matches!(linked.list(), Err(FileSourceError::NoFile)));
    }
}
