//! A store as it was at one moment, while commits go on.
//!
//! **Invariant:** every answer is of one and the same state, and nothing is written.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use custody_core::seam::{Batch, ErrorKind, Event, Position, Record, RecordKey, Store, StoreError};
use futures::channel::oneshot;
use rusqlite::Connection;

use super::reads::{Read, Reads};
use super::schema::OpenError;
use super::writer::Health;
use super::{COMMIT, MOMENT, query, schema, spawn, unavailable};

/// What an [`SqliteStore`](super::SqliteStore) held at one moment: for archives, which need all
/// records and events of one state while the custodian goes on.
///
/// It has a thread and a connection of its own. As long as it is there, the write-ahead log keeps
/// everything that was committed after it and grows, beyond 160 MiB with pauses of up to a second: let
/// it go when it was read, and before the store is closed and opened again. Dropping it blocks until
/// what was asked of it is answered.
pub struct SqliteMoment {
    reads: Reads,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteMoment {
    /// The state that is committed now.
    pub(super) async fn take(path: PathBuf, health: Arc<Health>) -> Result<Self, StoreError> {
        health.check(MOMENT)?;
        let (reads, queued) = Reads::new(Arc::clone(&health));
        let (begun, beginning) = oneshot::channel();
        let serve = move || {
            let connection = match begin(&path) {
                Ok(connection) => connection,
                Err(error) => {
                    // Whoever asked may have gone.
                    let _gone = begun.send(Err(error));
                    return;
                }
            };
            if begun.send(Ok(())).is_ok() {
                queued.serve(move |read: Read| read(&connection))();
            }
        };
        let thread = spawn("custody-store-moment", serve);
        let thread = thread.map_err(|error| unavailable(MOMENT, error))?;
        let moment = Self { reads, thread: Mutex::new(Some(thread)) };
        let began = beginning.await.map_err(|gone| unavailable(MOMENT, gone))?;
        began.map_err(|error| unavailable(MOMENT, error))?;
        // What was committed around an undecided commit could be taken for its outcome.
        health.check(MOMENT)?;
        Ok(moment)
    }
}

/// A connection that sees what is committed now, for as long as it is there.
fn begin(path: &Path) -> Result<Connection, OpenError> {
    let connection = schema::open_reader(path)?;
    connection.execute_batch("BEGIN")?;
    // The first read chooses the state.
    query::head(&connection)?;
    Ok(connection)
}

#[async_trait]
impl Store for SqliteMoment {
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

    /// Always refused: the past is not written.
    async fn commit(&self, _expected: Position, _batch: Batch) -> Result<Position, StoreError> {
        Err(StoreError::new(ErrorKind::Refused, COMMIT))
    }

    async fn events(&self, from: Position, limit: u16) -> Result<Vec<Event>, StoreError> {
        self.reads.events(from, limit).await
    }
}

impl Drop for SqliteMoment {
    fn drop(&mut self) {
        drop(self.reads.close());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a thread of the store panicked");
        }
    }
}

impl fmt::Debug for SqliteMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteMoment").finish_non_exhaustive()
    }
}
