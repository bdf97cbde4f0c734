//! The newest head of a log, kept in another directory than the log and its store.
//!
//! **Invariant:** the head that is kept never gets smaller, and a file that is missing, damaged or
//! of another log is an error, never an empty anchor.

mod document;
mod error;
mod keeper;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use async_lock::{Semaphore, SemaphoreGuardArc};
use async_trait::async_trait;
use custody_core::seam::{AnchorError, ErrorKind, Head, HeadAnchor};
use futures::channel::oneshot;

use self::keeper::Keeper;
use crate::note::KeyName;

pub use document::AnchorFileError;
pub use error::DirectoryAnchorError;

/// Keeps the newest head of one log in a directory of its own.
///
/// Put the directory where whoever copies or restores store and log does not copy or restore it
/// too: on another disk, or under another account. The head is written to a file of its own, which
/// is synced and renamed; a lock keeps other processes out. All of this happens on a thread of the
/// anchor.
///
/// # Security
/// An anchor that is lost or put back together with the store notices nothing. One that is made
/// anew beside a store that is not empty takes that store as it is: look at the store first, and
/// compare it with a checkpoint that somebody kept.
///
/// # Examples
/// ```
/// use custody_audit::anchor::DirectoryAnchor;
/// use custody_audit::note::KeyName;
/// use custody_core::seam::HeadAnchor;
///
/// # let folder = tempfile::tempdir()?;
/// # let (data, elsewhere) = (folder.path().join("data"), folder.path().join("elsewhere"));
/// # std::fs::create_dir(&data)?;
/// # pollster::block_on(async {
/// let log = KeyName::parse("custody.example/log")?;
/// // Once, when the custodian is made.
/// let anchor = DirectoryAnchor::create(&elsewhere, &log, &[&data])?;
/// assert_eq!(anchor.load().await?, None);
/// drop(anchor);
/// // At each later start.
/// let anchor = DirectoryAnchor::open(&elsewhere, &log, &[&data])?;
/// # assert_eq!(anchor.load().await?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct DirectoryAnchor {
    jobs: Option<mpsc::Sender<Job>>,
    /// One call at a time is under way.
    turn: Arc<Semaphore>,
    thread: Option<JoinHandle<()>>,
}

/// One call, made on the thread of the anchor.
type Job = Box<dyn FnOnce(&mut Keeper) + Send>;

impl DirectoryAnchor {
    /// Makes the anchor of a new log in `directory`, which is made too if it does not exist. It
    /// must lie in none of the directories `apart_from`: those of the store and of the log.
    ///
    /// Blocks on the disk: call it before the runtime is busy.
    ///
    /// # Errors
    /// Fails if there is an anchor already, if another one has the directory, if the directory
    /// lies in one of `apart_from` or holds anything else, or if the disk fails.
    pub fn create(
        directory: impl AsRef<Path>,
        log: &KeyName,
        apart_from: &[&Path],
    ) -> Result<Self, DirectoryAnchorError> {
        Self::run(Keeper::create(directory.as_ref(), log, apart_from)?)
    }

    /// Opens the anchor that [`Self::create`] made. Whoever finds it gone decides what that means:
    /// it is never made here.
    ///
    /// Blocks on the disk: call it before the runtime is busy.
    ///
    /// # Errors
    /// Fails if there is no anchor, if it is damaged or of another log, if another one has the
    /// directory, if the directory lies in one of `apart_from` or holds anything else, or if the
    /// disk fails.
    pub fn open(
        directory: impl AsRef<Path>,
        log: &KeyName,
        apart_from: &[&Path],
    ) -> Result<Self, DirectoryAnchorError> {
        Self::run(Keeper::open(directory.as_ref(), log, apart_from)?)
    }

    fn run(mut keeper: Keeper) -> Result<Self, DirectoryAnchorError> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let serve = move || queue.into_iter().for_each(|job| job(&mut keeper));
        let thread = thread::Builder::new()
            .name("custody-anchor".to_owned())
            .spawn(serve)
            .map_err(DirectoryAnchorError::Io)?;
        Ok(Self { jobs: Some(jobs), turn: Arc::new(Semaphore::new(1)), thread: Some(thread) })
    }

    /// Makes a call on the thread of the anchor, after the calls before it.
    async fn call<T: Send + 'static>(
        &self,
        operation: &'static str,
        lost: ErrorKind,
        work: impl FnOnce(&mut Keeper) -> Result<T, AnchorError> + Send + 'static,
    ) -> Result<T, AnchorError> {
        let turn: SemaphoreGuardArc = self.turn.acquire_arc().await;
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |keeper| {
            let done = work(keeper);
            drop(turn);
            // A caller who left needs no answer.
            let _ = reply.send(done);
        });
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if !sent {
            return Err(AnchorError::new(ErrorKind::Unavailable, operation));
        }
        answer.await.unwrap_or_else(|gone| Err(AnchorError::new(lost, operation).with_source(gone)))
    }
}

#[async_trait]
impl HeadAnchor for DirectoryAnchor {
    /// # Cancel safety
    /// Nothing changes if the future is dropped.
    async fn load(&self) -> Result<Option<Head>, AnchorError> {
        self.call(LOAD, ErrorKind::Unavailable, Keeper::load).await
    }

    /// # Cancel safety
    /// An advance whose future is dropped may still happen: load before the next one.
    async fn advance(&self, old: Option<Head>, new: Head) -> Result<(), AnchorError> {
        let advance = move |keeper: &mut Keeper| keeper.advance(old, new);
        self.call(ADVANCE, ErrorKind::Indeterminate, advance).await
    }
}

impl Drop for DirectoryAnchor {
    /// Waits until the call that is under way has ended.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl fmt::Debug for DirectoryAnchor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DirectoryAnchor").finish_non_exhaustive()
    }
}

const LOAD: &str = "load the anchored head";
const ADVANCE: &str = "advance the anchored head";
