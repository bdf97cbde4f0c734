use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use async_trait::async_trait;
use custody_core::seam::{AuditError, ErrorKind};
use futures::channel::oneshot;

use super::{TileStorage, file};
use crate::tile::{Tile, TileId, TilePath};

/// Keeps tiles and the checkpoint as files, at the paths of C2SP `tlog-tiles`.
///
/// Files are written and synced behind the caller, on a thread of its own: first the tiles, then
/// the newest checkpoint, so that a checkpoint on the disk never covers a tile that is not. What a
/// crash loses is made again from the events. While a log grows, they are written twenty times a
/// second at most; dropping the storage writes the rest. A write that failed is reported by the
/// next call and tried again, then or when the storage is dropped. One directory belongs to one log
/// and one process.
pub struct DirectoryTiles {
    root: PathBuf,
    behind: Arc<Behind>,
    writer: Option<JoinHandle<()>>,
}

/// What is not on the disk yet.
#[derive(Default)]
struct Behind {
    state: Mutex<State>,
    /// Something is to be written, or nothing will ever be again.
    work: Condvar,
}

#[derive(Default)]
struct State {
    tiles: BTreeMap<TileId, Tile>,
    checkpoint: Option<String>,
    failed: Option<AuditError>,
    is_due: bool,
    is_closed: bool,
    /// How long the files rest between the beginnings of two writes.
    pace: Duration,
    waiting: Vec<oneshot::Sender<()>>,
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
        let behind = Arc::new(Behind::default());
        behind.lock().pace = PACE;
        let (folder, shared) = (root.clone(), Arc::clone(&behind));
        let writer = thread::Builder::new()
            .name("custody-audit".to_owned())
            .spawn(move || shared.run(&folder))
            .map_err(|error| nothing("open the tiles", error))?;
        Ok(Self { root, behind, writer: Some(writer) })
    }

    /// How long the files rest between two writes; 50 ms unless told otherwise. With none, they are
    /// written as soon as the disk has written what came before.
    #[must_use]
    pub fn with_pace(self, pace: Duration) -> Self {
        self.behind.lock().pace = pace;
        self
    }

    /// Hands work to the writer; waits only if too much is waiting already.
    async fn hand_over(&self, add: impl FnOnce(&mut State)) -> Result<(), AuditError> {
        let waits = {
            let mut state = self.behind.lock();
            let failed = state.failed.take();
            add(&mut state);
            let was_due = std::mem::replace(&mut state.is_due, true);
            let is_full = state.tiles.len() > BEHIND_MAX;
            if !was_due || is_full {
                self.behind.work.notify_one();
            }
            if let Some(error) = failed {
                return Err(error);
            }
            is_full.then(|| {
                let (done, wait) = oneshot::channel();
                state.waiting.push(done);
                wait
            })
        };
        if let Some(wait) = waits {
            let gone = |_| AuditError::new(ErrorKind::Unavailable, "reach the writer of tiles");
            wait.await.map_err(gone)?;
        }
        Ok(())
    }
}

impl Behind {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something is to be written, and since `begun` the files have had their rest.
    /// Who closes the storage or waits for room is not kept waiting. None if nothing is left.
    fn next(&self, begun: Option<Instant>) -> Option<MutexGuard<'_, State>> {
        let has_nothing = |state: &mut State| !state.is_due && !state.is_closed;
        let state = self.work.wait_while(self.lock(), has_nothing);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let rest = begun.map_or(Duration::ZERO, |begun| state.pace.saturating_sub(begun.elapsed()));
        let is_patient = |state: &mut State| !state.is_closed && state.waiting.is_empty();
        let state = self.work.wait_timeout_while(state, rest, is_patient);
        let (state, _) = state.unwrap_or_else(PoisonError::into_inner);
        state.is_due.then_some(state)
    }

    /// Writes what is due until the storage is closed and everything was tried.
    fn run(&self, root: &Path) {
        let (mut begun, mut durable) = (None, BTreeSet::new());
        while let Some(mut state) = self.next(begun) {
            begun = Some(Instant::now());
            state.is_due = false;
            let tiles: Vec<_> = state.tiles.iter().map(|(id, tile)| (*id, tile.clone())).collect();
            let checkpoint = state.checkpoint.clone();
            drop(state);
            let written = write_behind(root, &tiles, checkpoint.as_deref(), &mut durable);
            state = self.lock();
            match written {
                Ok(()) => {
                    for (id, tile) in &tiles {
                        if state.tiles.get(id) == Some(tile) {
                            state.tiles.remove(id);
                        }
                    }
                    if state.checkpoint == checkpoint {
                        state.checkpoint = None;
                    }
                }
                Err(error) => {
                    tracing::error!(kind = ?error.kind(), "the log's files were not written");
                    state.failed = Some(error);
                }
            }
            for waiting in state.waiting.drain(..) {
                let _ = waiting.send(());
            }
        }
    }
}

impl Drop for DirectoryTiles {
    /// Waits until what was handed over is written. What an earlier write has left is tried again.
    fn drop(&mut self) {
        let mut state = self.behind.lock();
        let is_left = !state.tiles.is_empty() || state.checkpoint.is_some();
        state.is_due |= is_left;
        state.is_closed = true;
        drop(state);
        self.behind.work.notify_one();
        if let Some(writer) = self.writer.take() {
            drop(writer.join());
        }
    }
}

#[async_trait]
impl TileStorage for DirectoryTiles {
    async fn tile(&self, id: TileId) -> Result<Option<Tile>, AuditError> {
        if let Some(tile) = self.behind.lock().tiles.get(&id) {
            return Ok(Some(tile.clone()));
        }
        let Some(path) = full_path(&self.root, id) else { return Ok(None) };
        let bytes = read(&path, TILE_BYTES)?;
        let corrupt = |error| AuditError::new(ErrorKind::Corrupt, "read a tile").with_source(error);
        bytes.map(|bytes| Tile::parse(&bytes, Tile::WIDTH).map_err(corrupt)).transpose()
    }

    async fn put_tiles(&self, tiles: Vec<(TileId, Tile)>) -> Result<(), AuditError> {
        self.hand_over(|state| state.tiles.extend(tiles)).await
    }

    async fn checkpoint(&self) -> Result<Option<String>, AuditError> {
        if let Some(note) = &self.behind.lock().checkpoint {
            return Ok(Some(note.clone()));
        }
        let bytes = read(&self.root.join(CHECKPOINT), CHECKPOINT_BYTES_MAX)?;
        let corrupt = |error: std::string::FromUtf8Error| {
            let error = error.utf8_error();
            AuditError::new(ErrorKind::Corrupt, "read the checkpoint").with_source(error)
        };
        bytes.map(|bytes| String::from_utf8(bytes).map_err(corrupt)).transpose()
    }

    async fn put_checkpoint(&self, note: String) -> Result<(), AuditError> {
        self.hand_over(|state| state.checkpoint = Some(note)).await
    }
}

impl fmt::Debug for DirectoryTiles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DirectoryTiles").field("root", &self.root).finish_non_exhaustive()
    }
}

fn write_behind(
    root: &Path,
    tiles: &[(TileId, Tile)],
    checkpoint: Option<&str>,
    durable: &mut BTreeSet<PathBuf>,
) -> Result<(), AuditError> {
    write_tiles(root, tiles, durable).map_err(|error| nothing("keep tiles", error))?;
    checkpoint.map_or(Ok(()), |note| write_checkpoint(root, note))
}

/// Writes tiles; `durable` are the directories that were seen to be.
fn write_tiles(
    root: &Path,
    tiles: &[(TileId, Tile)],
    durable: &mut BTreeSet<PathBuf>,
) -> io::Result<()> {
    let mut folders = BTreeSet::new();
    for (id, tile) in tiles {
        let path = full_path(root, *id).ok_or(io::ErrorKind::InvalidInput)?;
        let folder = path.parent().unwrap_or(root).to_owned();
        file::create_below(root, &folder, durable)?;
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
/// How often the files of a busy log are written costs the disk, and saves a crash little.
const PACE: Duration = Duration::from_millis(50);
/// Tiles that may wait for the disk: eight mebibytes.
const BEHIND_MAX: usize = 1_024;

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
        drop(tiles);
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
    fn a_write_that_failed_is_reported_by_the_next_call_and_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let tiles = DirectoryTiles::open(folder.path()).unwrap();
        block_on(tiles.put_checkpoint("old\n".into())).unwrap();
        settle(&tiles);
        // A directory under the name of the draft makes writing it fail, for root too.
        fs::create_dir(folder.path().join("checkpoint.draft")).unwrap();
        block_on(tiles.put_checkpoint("new\n".into())).unwrap();
        settle(&tiles);
        assert_eq!(fs::read(folder.path().join("checkpoint")).unwrap(), b"old\n");
        fs::remove_dir(folder.path().join("checkpoint.draft")).unwrap();
        let error = block_on(tiles.put_checkpoint("newer\n".into())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        settle(&tiles);
        assert_eq!(fs::read(folder.path().join("checkpoint")).unwrap(), b"newer\n");
        block_on(tiles.put_checkpoint("newest\n".into())).unwrap();
    }

    #[test]
    fn what_a_write_that_failed_has_left_is_written_when_the_storage_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let tiles = DirectoryTiles::open(folder.path()).unwrap();
        // As above.
        fs::create_dir(folder.path().join("checkpoint.draft")).unwrap();
        block_on(tiles.put_checkpoint("new\n".into())).unwrap();
        settle(&tiles);
        fs::remove_dir(folder.path().join("checkpoint.draft")).unwrap();
        assert!(!folder.path().join("checkpoint").exists());
        drop(tiles);
        assert_eq!(fs::read(folder.path().join("checkpoint")).unwrap(), b"new\n");
    }

    #[test]
    fn a_storage_that_cannot_be_written_is_dropped_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let tiles = DirectoryTiles::open(folder.path()).unwrap();
        fs::create_dir(folder.path().join("checkpoint.draft")).unwrap();
        block_on(tiles.put_checkpoint("new\n".into())).unwrap();
        settle(&tiles);
        drop(tiles);
        assert!(!folder.path().join("checkpoint").exists());
    }

    #[test]
    fn what_waits_for_the_disk_is_read_back_and_written_when_the_storage_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let tiles = DirectoryTiles::open(folder.path()).unwrap();
        for index in 0..3_000 {
            let id = TileId { level: 0, index };
            block_on(tiles.put_tiles(vec![(id, tile())])).unwrap();
            assert_eq!(block_on(tiles.tile(id)).unwrap(), Some(tile()));
        }
        block_on(tiles.put_checkpoint("last\n".into())).unwrap();
        assert_eq!(block_on(tiles.checkpoint()).unwrap(), Some("last\n".into()));
        drop(tiles);
        assert_eq!(fs::read(folder.path().join("checkpoint")).unwrap(), b"last\n");
        assert_eq!(fs::read_dir(folder.path().join("tile/0/x002")).unwrap().count(), 1_000);
    }

    #[test]
    fn a_busy_log_is_written_once_for_each_pace_and_the_rest_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let pace = Duration::from_secs(3_600);
        let tiles = DirectoryTiles::open(folder.path()).unwrap().with_pace(pace);
        let written = || fs::read_to_string(folder.path().join("checkpoint")).unwrap();
        block_on(tiles.put_checkpoint("first\n".into())).unwrap();
        settle(&tiles);
        for note in ["second\n", "third\n"] {
            block_on(tiles.put_checkpoint(note.into())).unwrap();
            thread::sleep(Duration::from_millis(20));
            assert_eq!(written(), "first\n");
            assert_eq!(block_on(tiles.checkpoint()).unwrap().as_deref(), Some(note));
        }
        drop(tiles);
        assert_eq!(written(), "third\n");
    }

    #[test]
    fn files_are_written_once_their_rest_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let pace = Duration::from_millis(30);
        let tiles = DirectoryTiles::open(folder.path()).unwrap().with_pace(pace);
        block_on(tiles.put_checkpoint("first\n".into())).unwrap();
        settle(&tiles);
        block_on(tiles.put_checkpoint("second\n".into())).unwrap();
        settle(&tiles);
        assert_eq!(fs::read(folder.path().join("checkpoint")).unwrap(), b"second\n");
    }

    #[test]
    fn too_many_tiles_are_written_before_their_rest_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let pace = Duration::from_secs(3_600);
        let tiles = DirectoryTiles::open(folder.path()).unwrap().with_pace(pace);
        for index in 0..3 * BEHIND_MAX as u64 {
            block_on(tiles.put_tiles(vec![(TileId { level: 0, index }, tile())])).unwrap();
        }
        assert!(tiles.behind.lock().tiles.len() <= BEHIND_MAX + 1);
    }

    fn settle(tiles: &DirectoryTiles) {
        loop {
            let state = tiles.behind.lock();
            if !state.is_due && (state.checkpoint.is_none() || state.failed.is_some()) {
                return;
            }
            drop(state);
            std::thread::yield_now();
        }
    }
}
