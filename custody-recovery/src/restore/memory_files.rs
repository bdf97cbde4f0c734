//! Files of an archive that are kept in memory. This file opens secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use async_trait::async_trait;

use custody_core::secret::Secret;

use super::{FileError, FileTarget};
use crate::archive::{EntryKind, EntryPath};

/// Keeps the files of some folders in memory, wiped when dropped; what an archive has besides them is
/// read, checked and let go.
#[derive(Default)]
pub struct MemoryFiles {
    folders: BTreeSet<String>,
    bytes_max: usize,
    held: usize,
    files: BTreeMap<EntryPath, Secret>,
    open: Option<Open>,
}

/// The file that is being read.
struct Open {
    path: EntryPath,
    /// None if it is let go.
    pieces: Option<Vec<Secret>>,
}

impl MemoryFiles {
    /// Keeps nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Keeps at most so many bytes of paths and contents.
    #[must_use]
    pub fn at_most(bytes_max: usize) -> Self {
        Self { bytes_max, ..Self::default() }
    }

    /// Keeps files whose paths begin with `name` as their first part.
    #[must_use]
    pub fn folder(mut self, name: &str) -> Self {
        self.folders.insert(name.to_owned());
        self
    }

    /// A file, by its whole path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Secret> {
        self.files.get(&EntryPath::parse(path).ok()?)
    }

    /// All that are kept, by their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&EntryPath, &Secret)> {
        self.files.iter()
    }

    fn hold(&mut self, bytes: usize) -> Result<(), FileError> {
        self.held = self.held.saturating_add(bytes);
        let bytes_max = self.bytes_max;
        if self.held > bytes_max { Err(FileError::TooMuch { bytes_max }) } else { Ok(()) }
    }
}

#[async_trait]
impl FileTarget for MemoryFiles {
    async fn begin(&mut self, path: &EntryPath) -> Result<(), FileError> {
        if self.open.is_some() {
            return Err(FileError::Order { kind: EntryKind::File });
        }
        let first = path.as_str().split('/').next().unwrap_or_default();
        let pieces = self.folders.contains(first).then(Vec::new);
        if pieces.is_some() {
            self.hold(path.as_str().len())?;
        }
        self.open = Some(Open { path: path.clone(), pieces });
        Ok(())
    }

    async fn write(&mut self, piece: &Secret) -> Result<(), FileError> {
        let missing = FileError::Order { kind: EntryKind::Piece };
        if self.open.as_ref().ok_or(missing)?.pieces.is_none() {
            return Ok(());
        }
        self.hold(piece.len())?;
        if let Some(Open { pieces: Some(pieces), .. }) = &mut self.open {
            pieces.push(Secret::new(piece.expose().to_vec()));
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), FileError> {
        let missing = FileError::Order { kind: EntryKind::FileEnd };
        let Open { path, pieces } = self.open.take().ok_or(missing)?;
        let Some(pieces) = pieces else { return Ok(()) };
        // One buffer of the right length: one that grows leaves copies behind.
        let mut whole = Vec::with_capacity(pieces.iter().map(Secret::len).sum());
        for piece in &pieces {
            whole.extend_from_slice(piece.expose());
        }
        self.files.insert(path, Secret::new(whole));
        Ok(())
    }
}

impl fmt::Debug for MemoryFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryFiles").field("files", &self.files.keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn put(files: &mut MemoryFiles, path: &str, pieces: &[&str]) -> Result<(), FileError> {
        files.begin(&EntryPath::parse(path).unwrap()).await?;
        for piece in pieces {
            files.write(&Secret::new(piece.as_bytes().to_vec())).await?;
        }
        files.finish().await
    }

    #[tokio::test]
    async fn the_files_of_the_named_folders_are_kept_and_no_others() {
        let mut files = MemoryFiles::at_most(20).folder("keys").folder("wrapped");
        put(&mut files, "keys/a", &["ab", "", "c"]).await.unwrap();
        put(&mut files, "log/tile/0/000", &["much more than is kept"]).await.unwrap();
        put(&mut files, "keysx/a", &["no such folder"]).await.unwrap();
        put(&mut files, "wrapped/k", &["de"]).await.unwrap();
        assert_eq!(files.get("keys/a").unwrap().expose(), b"abc");
        assert!(files.get("log/tile/0/000").is_none() && files.get("keysx/a").is_none());
        let paths: Vec<_> = files.iter().map(|(path, _)| path.as_str().to_owned()).collect();
        assert_eq!(paths, ["keys/a", "wrapped/k"]);
        assert!(!format!("{files:?}").contains("abc"));
    }

    #[tokio::test]
    async fn more_than_may_be_kept_is_refused() {
        // Two paths of six bytes, and five of contents.
        let mut files = MemoryFiles::at_most(17).folder("keys");
        put(&mut files, "keys/a", &["abc"]).await.unwrap();
        let error = put(&mut files, "keys/b", &["de", "f"]).await.unwrap_err();
        assert!(matches!(error, FileError::TooMuch { bytes_max: 17 }), "{error:?}");
        // Nor are there ever more files without contents.
        let mut files = MemoryFiles::at_most(12).folder("keys");
        put(&mut files, "keys/a", &[]).await.unwrap();
        put(&mut files, "keys/b", &[]).await.unwrap();
        let error = put(&mut files, "keys/c", &[]).await.unwrap_err();
        assert!(matches!(error, FileError::TooMuch { bytes_max: 12 }), "{error:?}");
        let error = put(&mut MemoryFiles::none().folder("a"), "a/b", &["x"]).await.unwrap_err();
        assert!(matches!(error, FileError::TooMuch { bytes_max: 0 }), "{error:?}");
    }

    #[tokio::test]
    async fn pieces_without_a_file_are_refused() {
        let mut files = MemoryFiles::none();
        let piece = Secret::new(vec![1]);
        assert!(matches!(files.write(&piece).await, Err(FileError::Order { .. })));
        assert!(matches!(files.finish().await, Err(FileError::Order { .. })));
        files.begin(&EntryPath::parse("log/a").unwrap()).await.unwrap();
        let second = files.begin(&EntryPath::parse("log/b").unwrap()).await;
        assert!(matches!(second, Err(FileError::Order { .. })));
    }
}
