//! The SQLite store: one file, one writer thread, one that moves the write-ahead log, a few reader
//! threads.
//!
//! **Invariant:** no call waits for the disk on the caller's thread, except opening and closing,
//! and nothing is answered from a store whose last commit is undecided.

mod fault;
mod file;
mod journal;
mod limit;
mod moment;
mod mover;
mod query;
mod queue;
mod reads;
mod recent;
mod schema;
mod sum;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use custody_core::seam::{Batch, ErrorKind, Event, Position, Record, RecordKey, Store, StoreError};
use futures::channel::oneshot;

use self::file::StoreFile;
use self::journal::SqliteJournal;
pub use self::moment::SqliteMoment;
use self::mover::Mover;
use self::queue::Queue;
use self::reads::{Read, Reads};
use self::recent::Recent;
pub use self::schema::OpenError;
use self::writer::{Commit, Health, Writer};

/// A store in one SQLite file.
///
/// Cloning is not offered: share it as `Arc<SqliteStore>`. Only one open store has the file, in
/// this process or any other.
///
/// # Examples
/// ```
/// use custody_core::seam::{Batch, Position, Store};
/// use custody_store::SqliteStore;
///
/// # pollster::block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("custody.db");
/// let store = SqliteStore::open(&path)?;
/// let batch = Batch { events: vec![b"{}".to_vec()], ..Batch::default() };
/// let head = store.commit(Position::START, batch).await?;
/// assert_eq!(head, Position::new(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct SqliteStore {
    commits: Queue<Commit>,
    reads: Reads,
    health: Arc<Health>,
    recent: Arc<Recent>,
    workers: Mutex<Option<Workers>>,
}

/// The threads of an open store, and its hold on the file.
struct Workers {
    readers: Vec<JoinHandle<()>>,
    writer: Vec<JoinHandle<()>>,
    file: StoreFile,
}

impl SqliteStore {
    /// Opens the store in the file at `path`, and creates it if there is no such file or an empty
    /// one. Blocks on the disk: open before the runtime is busy.
    ///
    /// # Errors
    /// Fails if the file is open elsewhere, is something else, has another version of the format,
    /// is damaged, or cannot be read and written durably.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let file = StoreFile::claim(path.as_ref())?;
        let connection = schema::open_writer(file.path())?;
        let moving = schema::open_mover(file.path())?;
        let connections = (0..READERS)
            .map(|_| schema::open_reader(file.path()))
            .collect::<Result<Vec<_>, _>>()?;

        let (commits, commits_queued) = Queue::new(COMMITS_WAITING_MAX);
        let health = Arc::new(Health::default());
        let (reads, reads_queued) = Reads::new(Arc::clone(&health));
        let step = move || mover::move_log(&moving);
        let mover = Mover::start(Arc::clone(&health), step).map_err(OpenError::Io)?;
        let journal = SqliteJournal::new(connection, mover, Arc::clone(&health));
        let recent = Arc::new(Recent::default());
        let mut writer = Writer::new(journal, Arc::clone(&health), Arc::clone(&recent));
        let workers = Workers { readers: Vec::new(), writer: Vec::new(), file };
        // From here on a failure drops the store, which ends the threads that have begun.
        let store = Self { commits, reads, health, recent, workers: Mutex::new(Some(workers)) };
        if let Some(workers) = &mut *store.workers() {
            for connection in connections {
                let reader = reads_queued.clone().serve(move |read: Read| read(&connection));
                workers.readers.push(spawn("custody-store-reader", reader)?);
            }
            let writer = commits_queued.serve(move |commit| writer.serve(commit));
            workers.writer.push(spawn("custody-store-writer", writer)?);
        }
        Ok(store)
    }

    /// Finishes what is queued, ends the threads and gives the file back; later calls answer
    /// `Unavailable`. Blocks the calling thread until then. Dropping the store does the same.
    pub fn close(&self) {
        let (reads, commits) = (self.reads.close(), self.commits.close());
        let Some(workers) = self.workers().take() else { return };
        drop(reads);
        join(workers.readers);
        // SQLite moves the log into the database when the last connection closes, if that one may
        // write.
        drop(commits);
        join(workers.writer);
        self.recent.clear();
        drop(workers.file);
    }

    /// Reads everything that is stored and compares it: the trees of the database with each other,
    /// each record and event with its sum, each event with its place.
    ///
    /// A read answers `Corrupt` for what it finds damaged, but it does not look at what it does not
    /// need. Only this finds a record that the tree of the keys has lost. It takes about as long
    /// as reading the file, on one of the two reader threads: call it after a machine has failed,
    /// after a restore, and now and then.
    ///
    /// # Errors
    /// `Corrupt` if anything contradicts, `Unavailable` if it cannot be read.
    ///
    /// # Security
    /// It finds what broke by itself. What somebody changed on purpose is found by the log, of
    /// which the store knows nothing.
    ///
    /// # Cancel safety
    /// Nothing changes if the future is dropped.
    pub async fn verify(&self) -> Result<(), StoreError> {
        self.reads.verify().await
    }

    /// What is committed now, to be read while commits go on.
    ///
    /// # Errors
    /// `Unavailable` if the store is closed or cannot be read.
    ///
    /// # Cancel safety
    /// Nothing changes if the future is dropped.
    pub async fn moment(&self) -> Result<SqliteMoment, StoreError> {
        let path = self.workers().as_ref().map(|workers| workers.file.path().to_owned());
        let closed = || StoreError::new(ErrorKind::Unavailable, MOMENT);
        SqliteMoment::take(path.ok_or_else(closed)?, Arc::clone(&self.health)).await
    }

    fn workers(&self) -> MutexGuard<'_, Option<Workers>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn head(&self) -> Result<Position, StoreError> {
        self.reads.head().await
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.reads.get(key).await
    }

    async fn scan(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
        limit: u16,
    ) -> Result<Vec<Record>, StoreError> {
        self.reads.scan(prefix, after, limit).await
    }

    /// # Cancel safety
    /// A commit whose future is dropped may still happen: read the head before the next one.
    async fn commit(&self, expected: Position, batch: Batch) -> Result<Position, StoreError> {
        limit::check(&batch)
            .map_err(|error| StoreError::new(ErrorKind::Refused, COMMIT).with_source(error))?;
        let (reply, answer) = oneshot::channel();
        self.health.check(COMMIT)?;
        self.commits
            .push(Commit { expected, batch, reply })
            .await
            .map_err(|closed| unavailable(COMMIT, closed))?;
        answer.await.unwrap_or_else(|gone| {
            // The writer thread died with the batch in its hands.
            self.health.poison();
            Err(StoreError::new(ErrorKind::Indeterminate, COMMIT).with_source(gone))
        })
    }

    async fn events(&self, from: Position, limit: u16) -> Result<Vec<Event>, StoreError> {
        self.health.check(READ_EVENTS)?;
        if let Some(events) = self.recent.get(from, limit) {
            return Ok(events);
        }
        self.reads.events(from, limit).await
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("health", &self.health).finish_non_exhaustive()
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(OpenError::Io)
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a thread of the store panicked");
        }
    }
}

fn unavailable(
    operation: &'static str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> StoreError {
    StoreError::new(ErrorKind::Unavailable, operation).with_source(source)
}

const COMMIT: &str = "commit";
const READ_EVENTS: &str = "read events";
const MOMENT: &str = "keep a moment";

const READERS: usize = 2;
const COMMITS_WAITING_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// A store whose writer takes one commit and dies with it.
    fn dying(folder: &Path) -> SqliteStore {
        let (commits, commits_queued) = Queue::new(1);
        let health = Arc::<Health>::default();
        let (reads, _reads_queued) = Reads::new(Arc::clone(&health));
        let file = StoreFile::claim(&folder.join("custody.db")).unwrap();
        let writer = spawn("dying", move || {
            let die = commits_queued.serve(|commit: Commit| {
                drop(commit);
                panic!("a test of a writer that dies");
            });
            die();
        });
        let workers = Workers { readers: Vec::new(), writer: vec![writer.unwrap()], file };
        let workers = Mutex::new(Some(workers));
        SqliteStore { commits, reads, health, recent: Arc::default(), workers }
    }

    #[test]
    fn a_commit_whose_writer_dies_is_indeterminate_and_the_last_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = dying(folder.path());
        let commit = || {
            let batch = Batch { events: vec![b"1".to_vec()], ..Batch::default() };
            pollster::block_on(store.commit(Position::START, batch)).unwrap_err().kind()
        };
        assert_eq!(commit(), ErrorKind::Indeterminate);
        assert_eq!(commit(), ErrorKind::Unavailable);
        let head = pollster::block_on(store.head());
        assert_eq!(head.unwrap_err().kind(), ErrorKind::Unavailable);
    }
}
