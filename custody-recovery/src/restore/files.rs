//! Where the files of an archive go. This file opens secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use custody_core::secret::Secret;

use super::FileError;
use crate::archive::{EntryKind, EntryPath};

/// Where files go. They come one after the other, each in pieces.
#[async_trait]
pub trait FileTarget: Send {
    /// A file begins.
    ///
    /// # Errors
    /// Fails if it cannot be written there.
    async fn begin(&mut self, path: &EntryPath) -> Result<(), FileError>;

    /// The next bytes of it.
    ///
    /// # Errors
    /// As above.
    async fn write(&mut self, piece: &Secret) -> Result<(), FileError>;

    /// The file is whole; it must be durable on return.
    ///
    /// # Errors
    /// As above.
    async fn finish(&mut self) -> Result<(), FileError>;
}

/// Takes no files: what an archive has of them is read, checked and let go.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing in it")]
pub struct NoFiles;

#[async_trait]
impl FileTarget for NoFiles {
    async fn begin(&mut self, _path: &EntryPath) -> Result<(), FileError> {
        Ok(())
    }

    async fn write(&mut self, _piece: &Secret) -> Result<(), FileError> {
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), FileError> {
        Ok(())
    }
}

/// Writes files into folders that were empty: the first part of a path says into which.
///
/// Files are made for their owner only. It blocks for as long as the disk takes.
#[derive(Debug, Default)]
pub struct FolderTarget {
    folders: BTreeMap<String, PathBuf>,
    /// Folders that were seen to be durable in the ones above.
    durable: BTreeSet<PathBuf>,
    open: Option<(PathBuf, File)>,
}

impl FolderTarget {
    /// A target without folders, which takes no file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Files whose paths begin with `name` go into `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// Fails if the folder is not empty or cannot be made.
    pub fn folder(mut self, name: &str, folder: &Path) -> Result<Self, FileError> {
        make_folder(folder).map_err(FileError::Folder)?;
        if fs::read_dir(folder).map_err(FileError::Folder)?.next().is_some() {
            return Err(FileError::Folder(io::ErrorKind::DirectoryNotEmpty.into()));
        }
        self.durable.insert(folder.to_owned());
        self.folders.insert(name.to_owned(), folder.to_owned());
        Ok(self)
    }
}

#[async_trait]
impl FileTarget for FolderTarget {
    async fn begin(&mut self, path: &EntryPath) -> Result<(), FileError> {
        if self.open.is_some() {
            return Err(FileError::Order { kind: EntryKind::File });
        }
        let first = path.as_str().split('/').next().unwrap_or_default();
        let no_folder = || FileError::NoFolder { first: first.to_owned() };
        let folder = self.folders.get(first).ok_or_else(no_folder)?;
        // A path's parts lead nowhere but down (`EntryPath`).
        let rest = path.as_str().split('/').skip(1);
        let place = rest.fold(folder.clone(), |place, part| place.join(part));
        if place == *folder {
            return Err(no_folder());
        }
        if let Some(parent) = place.parent()
            && !self.durable.contains(parent)
        {
            make_folder(parent)?;
            self.durable.insert(parent.to_owned());
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&place)?;
        self.open = Some((place, file));
        Ok(())
    }

    async fn write(&mut self, piece: &Secret) -> Result<(), FileError> {
        let missing = FileError::Order { kind: EntryKind::Piece };
        let (_, file) = self.open.as_mut().ok_or(missing)?;
        Ok(file.write_all(piece.expose())?)
    }

    async fn finish(&mut self) -> Result<(), FileError> {
        let missing = FileError::Order { kind: EntryKind::FileEnd };
        let (place, file) = self.open.take().ok_or(missing)?;
        file.sync_all()?;
        #[cfg(unix)]
        if let Some(parent) = place.parent() {
            File::open(parent)?.sync_all()?;
        }
        Ok(())
    }
}

/// Makes a folder that is not there, and those above it, each durable in the one above.
///
/// One that is there is made durable too: a sync of the one above may have failed since it was
/// made, or never have been done.
fn make_folder(folder: &Path) -> io::Result<()> {
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
    let above = above.unwrap_or_else(|| Path::new("."));
    if folder.is_dir() {
        return sync_found(above);
    }
    if !above.is_dir() {
        make_folder(above)?;
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    // Whoever tries again makes it anew, and does not take it for durable.
    sync_names(above).inspect_err(|_| drop(fs::remove_dir(folder)))
}

/// Makes the names in a folder durable.
fn sync_names(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The same above a folder that was found: where nothing can be made, there is nothing to do.
fn sync_found(above: &Path) -> io::Result<()> {
    match sync_names(above) {
        Err(error) if NOTHING_MADE.contains(&error.kind()) => Ok(()),
        synced => synced,
    }
}

/// What a folder answers that may not be written, or that lies where nothing is synced.
const NOTHING_MADE: [io::ErrorKind; 4] = [
    io::ErrorKind::InvalidInput,
    io::ErrorKind::PermissionDenied,
    io::ErrorKind::ReadOnlyFilesystem,
    io::ErrorKind::Unsupported,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::parse(text).unwrap()
    }

    #[tokio::test]
    async fn files_go_into_their_folders_and_nowhere_else() {
        let place = tempfile::tempdir().unwrap();
        let log = place.path().join("log");
        let mut target = FolderTarget::new().folder("log", &log).unwrap();
        target.begin(&path("log/tile/0/000")).await.unwrap();
        target.write(&Secret::new(b"ab".to_vec())).await.unwrap();
        target.write(&Secret::new(b"c".to_vec())).await.unwrap();
        target.finish().await.unwrap();
        assert_eq!(fs::read(log.join("tile/0/000")).unwrap(), b"abc");
        for refused in ["other/file", "log"] {
            let error = target.begin(&path(refused)).await.unwrap_err();
            assert!(matches!(error, FileError::NoFolder { .. }), "{refused}: {error:?}");
        }
        let twice = target.begin(&path("log/tile/0/000")).await.unwrap_err();
        assert!(matches!(twice, FileError::Io(_)), "{twice:?}");
        assert!(FolderTarget::new().folder("log", &log).is_err(), "it is not empty");
    }

    #[tokio::test]
    async fn pieces_without_a_file_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let mut target = FolderTarget::new().folder("log", &place.path().join("log")).unwrap();
        let piece = Secret::new(vec![1]);
        assert!(matches!(target.write(&piece).await, Err(FileError::Order { .. })));
        assert!(matches!(target.finish().await, Err(FileError::Order { .. })));
        target.begin(&path("log/a")).await.unwrap();
        assert!(matches!(target.begin(&path("log/b")).await, Err(FileError::Order { .. })));
    }
}
