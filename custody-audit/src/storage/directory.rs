use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::{fmt, io, thread};

use async_trait::async_trait;
use custody_core::seam::{AuditError, ErrorKind};
use futures::channel::oneshot;

use super::{TileStorage, file};
use crate::tile::{Tile, TileId, TilePath};

/// Keeps tiles and the checkpoint as files, at the paths of C2SP `tlog-tiles`.
///
/// Files are written and synced on a thread of its own, so that no executor waits for a disk; what
/// is read is one tile of 8 KiB at a time. One directory belongs to one log and one process.
pub struct DirectoryTiles {
    root: PathBuf,
    writer: mpsc::Sender<Job>,
}

impl DirectoryTiles {
    /// Opens a directory, and makes it if it does not exist.
    ///
    /// # Errors
    /// `Unavailable` if there is no such directory and it cannot be made, or if no thread can be
    /// started.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, AuditError> {
        let root = root.into();
        file::create_directory(&root).map_err(|error| nothing("open the tiles", error))?;
        let (writer, jobs) = mpsc::channel::<Job>();
        // The thread ends when the sender is dropped, after the jobs that were sent.
        thread::Builder::new()
            .name("custody-audit".to_owned())
            .spawn(move || jobs.into_iter().for_each(|job| job()))
            .map_err(|error| nothing("open the tiles", error))?;
        Ok(Self { root, writer })
    }

    async fn write(
        &self,
        job: impl FnOnce() -> Result<(), AuditError> + Send + 'static,
    ) -> Result<(), AuditError> {
        let (done, answer) = oneshot::channel();
        // If the caller has gone, nobody is there to be told.
        let job: Job = Box::new(move || drop(done.send(job())));
        let gone = |kind| AuditError::new(kind, "reach the writer of tiles");
        self.writer.send(job).map_err(|_| gone(ErrorKind::Unavailable))?;
        answer.await.map_err(|_| gone(ErrorKind::Indeterminate))?
    }
}

#[async_trait]
impl TileStorage for DirectoryTiles {
    async fn tile(&self, id: TileId) -> Result<Option<Tile>, AuditError> {
        let Some(path) = full_path(&self.root, id) else { return Ok(None) };
        let bytes = read(&path, TILE_BYTES)?;
        let corrupt = |error| AuditError::new(ErrorKind::Corrupt, "read a tile").with_source(error);
        bytes.map(|bytes| Tile::parse(&bytes, Tile::WIDTH).map_err(corrupt)).transpose()
    }

    async fn put_tiles(&self, tiles: Vec<(TileId, Tile)>) -> Result<(), AuditError> {
        let root = self.root.clone();
        let job = move || write_tiles(&root, &tiles).map_err(|error| nothing("keep tiles", error));
        self.write(job).await
    }

    async fn checkpoint(&self) -> Result<Option<String>, AuditError> {
        let bytes = read(&self.root.join(CHECKPOINT), CHECKPOINT_BYTES_MAX)?;
        let corrupt = |error: std::string::FromUtf8Error| {
            let error = error.utf8_error();
            AuditError::new(ErrorKind::Corrupt, "read the checkpoint").with_source(error)
        };
        bytes.map(|bytes| String::from_utf8(bytes).map_err(corrupt)).transpose()
    }

    async fn put_checkpoint(&self, note: String) -> Result<(), AuditError> {
        let root = self.root.clone();
        self.write(move || write_checkpoint(&root, &note)).await
    }
}

impl fmt::Debug for DirectoryTiles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DirectoryTiles").field("root", &self.root).finish_non_exhaustive()
    }
}

type Job = Box<dyn FnOnce() + Send>;

fn write_tiles(root: &Path, tiles: &[(TileId, Tile)]) -> io::Result<()> {
    let mut folders = BTreeSet::new();
    for (id, tile) in tiles {
        let path = full_path(root, *id).ok_or(io::ErrorKind::InvalidInput)?;
        let folder = path.parent().unwrap_or(root).to_owned();
        file::create_directory(&folder)?;
        file::write_whole(&path, &tile.to_bytes())?;
        folders.insert(folder);
    }
    folders.iter().try_for_each(|folder| file::sync_directory(folder))
}

fn write_checkpoint(root: &Path, note: &str) -> Result<(), AuditError> {
    file::write_whole(&root.join(CHECKPOINT), note.as_bytes())
        .map_err(|error| nothing("keep the checkpoint", error))?;
    // The new checkpoint stands, but a crash could bring the old one back.
    file::sync_directory(root).map_err(|error| {
        AuditError::new(ErrorKind::Indeterminate, "keep the checkpoint").with_source(error)
    })
}

fn full_path(root: &Path, id: TileId) -> Option<PathBuf> {
    TilePath::full(id).map(|path| root.join(path.to_string()))
}

fn read(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, AuditError> {
    file::read_whole(path, bytes_max).map_err(|error| {
        let damaged =
            matches!(error.kind(), io::ErrorKind::FileTooLarge | io::ErrorKind::InvalidInput);
        let kind = if damaged { ErrorKind::Corrupt } else { ErrorKind::Unavailable };
        AuditError::new(kind, "read a file of the log").with_source(error)
    })
}

fn nothing(operation: &'static str, error: io::Error) -> AuditError {
    AuditError::new(ErrorKind::Unavailable, operation).with_source(error)
}

const CHECKPOINT: &str = "checkpoint";
const CHECKPOINT_BYTES_MAX: u64 = 256 * 1024;
const TILE_BYTES: u64 = 8_192;

#[cfg(test)]
mod tests {
    use std::fs;

    use pollster::block_on;

    use super::*;
    use crate::tree::tests::Leaves;

    fn tile() -> Tile {
        Tile::new(Leaves::counted(256).0).unwrap()
    }

    #[test]
    fn tiles_and_checkpoint_stand_at_the_paths_of_the_standard() {
        let folder = tempfile::tempdir().unwrap();
        let tiles = DirectoryTiles::open(folder.path().join("new/log")).unwrap();
        let id = TileId { level: 1, index: 1_234_067 };
        block_on(tiles.put_tiles(vec![(id, tile())])).unwrap();
        block_on(tiles.put_checkpoint("note\n".into())).unwrap();
        let root = folder.path().join("new/log");
        assert_eq!(fs::read(root.join("tile/1/x001/x234/067")).unwrap(), tile().to_bytes());
        assert_eq!(fs::read(root.join("checkpoint")).unwrap(), b"note\n");
        let again = DirectoryTiles::open(root).unwrap();
        assert_eq!(block_on(again.tile(id)).unwrap(), Some(tile()));
        assert_eq!(block_on(again.checkpoint()).unwrap(), Some("note\n".into()));
    }

    #[test]
    fn what_was_never_put_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let tiles = DirectoryTiles::open(folder.path()).unwrap();
        assert_eq!(block_on(tiles.tile(TileId { level: 0, index: 0 })).unwrap(), None);
        assert_eq!(block_on(tiles.checkpoint()).unwrap(), None);
    }

    #[test]
    fn damaged_files_are_corrupt_and_not_missing() {
        let folder = tempfile::tempdir().unwrap();
        let tiles = DirectoryTiles::open(folder.path()).unwrap();
        let id = TileId { level: 0, index: 0 };
        fs::create_dir_all(folder.path().join("tile/0")).unwrap();
        for length in [0, 32, 8_191, 8_193] {
            fs::write(folder.path().join("tile/0/000"), vec![0; length]).unwrap();
            let error = block_on(tiles.tile(id)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{length}");
        }
        for bytes in [b"\xff".to_vec(), vec![b'a'; 256 * 1024 + 1]] {
            fs::write(folder.path().join("checkpoint"), bytes).unwrap();
            let error = block_on(tiles.checkpoint()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn a_checkpoint_that_cannot_be_written_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let tiles = DirectoryTiles::open(folder.path()).unwrap();
        block_on(tiles.put_checkpoint("old\n".into())).unwrap();
        // A directory under the name of the draft makes writing it fail, for root too.
        fs::create_dir(folder.path().join("checkpoint.draft")).unwrap();
        let error = block_on(tiles.put_checkpoint("new\n".into())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(block_on(tiles.checkpoint()).unwrap(), Some("old\n".into()));
    }

    #[test]
    fn a_caller_that_goes_away_does_not_stop_the_write() {
        let folder = tempfile::tempdir().unwrap();
        let tiles = DirectoryTiles::open(folder.path()).unwrap();
        let mut write = Box::pin(tiles.put_checkpoint("first\n".into()));
        let waker = std::task::Waker::noop();
        let _ = write.as_mut().poll(&mut std::task::Context::from_waker(waker));
        drop(write);
        // Writes happen in their order, so the second one waits for the first.
        let id = TileId { level: 0, index: 0 };
        block_on(tiles.put_tiles(vec![(id, tile())])).unwrap();
        assert_eq!(block_on(tiles.checkpoint()).unwrap(), Some("first\n".into()));
    }
}
