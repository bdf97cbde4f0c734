//! A world on a disk: SQLite, the log in files, the newest head in a file beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use custody_audit::TileLog;
use custody_audit::note::KeyName;
use custody_audit::storage::DirectoryTiles;
use custody_core::custodian::Config;
use custody_core::digest::Digest;
use custody_core::seam::{
    AnchorError, Entropy, ErrorKind, Head, HeadAnchor, Position, Signer, Store,
};
use custody_core::tokio::{TokioClock, TokioSpawner};
use custody_store::SqliteStore;

use super::panics::Panics;
use super::seams::{Seams, World, log_keys};
use super::switches::Switches;
use crate::Failure;
use crate::house::{LogKey, SystemEntropy};

/// The world in a directory.
#[derive(Clone, Debug)]
pub struct Disk {
    directory: PathBuf,
    store_timeout: Duration,
}

impl Disk {
    /// The world in this directory, which may be empty.
    #[must_use]
    pub fn at(directory: &Path) -> Self {
        let store_timeout = Config::default().store_timeout;
        Self { directory: directory.to_owned(), store_timeout }
    }

    /// The same world, in which the store, the log and the anchor may take so long for one call.
    #[must_use]
    pub const fn with_store_timeout(mut self, limit: Duration) -> Self {
        self.store_timeout = limit;
        self
    }
}

impl World for Disk {
    fn live<T>(
        &mut self,
        life: impl AsyncFnOnce(Seams) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let kept = Arc::new(SqliteStore::open(self.directory.join("custody.sqlite"))?);
        let store: Arc<dyn Store> = Arc::<SqliteStore>::clone(&kept);
        let lived = runtime.block_on(async {
            let tiles = Arc::new(DirectoryTiles::open(self.directory.join("log"))?);
            let signers =
                log_keys().into_iter().map(|key| Arc::new(LogKey(key)) as Arc<dyn Signer>);
            let origin = KeyName::parse("example-treasury/custody")?;
            let log = TileLog::open(origin, Arc::clone(&store), tiles, signers.collect()).await?;
            let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
            let spawner = Arc::new(TokioSpawner::new(tokio::runtime::Handle::current()));
            let panics = Panics::default();
            life(Seams {
                store: Arc::clone(&store),
                log: Arc::new(log),
                anchor: Arc::new(FileAnchor(self.directory.join("anchor"))),
                clock: Arc::new(TokioClock::new()),
                entropy,
                spawner: panics.watch(spawner),
                panics,
                switches: Switches::in_folder(&self.directory.join("switches")),
                store_timeout: self.store_timeout,
            })
            .await
        });
        // Ends the tasks before the store that they use.
        drop(runtime);
        kept.close();
        lived
    }

    fn verify(&self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let store = SqliteStore::open(self.directory.join("custody.sqlite"))?;
        let verified = runtime.block_on(store.verify());
        store.close();
        Ok(verified?)
    }
}

/// The newest head in a file, written whole or not at all.
#[derive(Debug)]
struct FileAnchor(PathBuf);

impl FileAnchor {
    fn read(&self) -> io::Result<Option<Head>> {
        let text = match fs::read_to_string(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let head = text.split_once(' ').and_then(|(size, root)| {
            let size = Position::new(size.parse().ok()?);
            Some(Head { size, root: Digest::parse(root).ok()? })
        });
        head.map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn write(&self, head: Head) -> io::Result<()> {
        write_whole(&self.0, &format!("{} {}", head.size.value(), head.root))
    }
}

#[async_trait]
impl HeadAnchor for FileAnchor {
    async fn load(&self) -> Result<Option<Head>, AnchorError> {
        self.read().map_err(|_| AnchorError::new(ErrorKind::Unavailable, "load"))
    }

    async fn advance(&self, old: Option<Head>, new: Head) -> Result<(), AnchorError> {
        if self.load().await? != old {
            return Err(AnchorError::new(ErrorKind::Conflict, "advance"));
        }
        self.write(new).map_err(|_| AnchorError::new(ErrorKind::Indeterminate, "advance"))
    }
}

/// Writes a file whole or not at all.
pub(super) fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let unfinished = path.with_added_extension("unfinished");
    fs::write(&unfinished, text)?;
    fs::rename(unfinished, path)
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use custody_testkit::failpoint::Failpoints;
    use custody_testkit::runtime::TestClock;

    use super::*;
    use crate::failpoints::workload::Workload;

    #[test]
    fn a_record_that_was_changed_on_the_disk_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let mut world = Disk::at(directory.path());
        let points = Failpoints::new(TestClock::new());
        Workload::Payment.prepare(&mut world, &points).unwrap();
        world.verify().unwrap();
        let file = directory.path().join("custody.sqlite");
        let (mut bytes, word) = (fs::read(&file).unwrap(), b"furnish-1");
        let places: Vec<_> =
            (0..bytes.len() - word.len()).filter(|at| bytes[*at..].starts_with(word)).collect();
        assert!(!places.is_empty(), "nothing is changed");
        for place in places {
            bytes[place + word.len() - 1] = b'9';
        }
        fs::write(&file, bytes).unwrap();
        assert!(world.verify().is_err());
    }
}
