//! The queries of a store, asked of the threads that have a connection to it.
//!
//! **Invariant:** nothing is answered once a commit is undecided.

use std::sync::Arc;

use custody_core::seam::{Event, Position, Record, RecordKey, StoreError};
use futures::channel::oneshot;
use rusqlite::Connection;

use super::fault::Fault;
use super::queue::{Open, Queue, Works};
use super::writer::Health;
use super::{query, unavailable};

/// One query, run on a reader's connection.
pub(super) type Read = Box<dyn FnOnce(&Connection) + Send>;

/// The callers' end of some readers.
pub(super) struct Reads {
    queue: Queue<Read>,
    health: Arc<Health>,
}

impl Reads {
    pub(super) fn new(health: Arc<Health>) -> (Self, Works<Read>) {
        let (queue, works) = Queue::new(WAITING_MAX);
        (Self { queue, health }, works)
    }

    /// Takes no more queries.
    #[must_use]
    pub(super) fn close(&self) -> Option<Open<Read>> {
        self.queue.close()
    }

    pub(super) async fn head(&self) -> Result<Position, StoreError> {
        self.ask("read the head", query::head).await
    }

    pub(super) async fn get(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        let key = key.clone();
        self.ask("read a record", move |connection| query::record(connection, key)).await
    }

    pub(super) async fn scan(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
        limit: u16,
    ) -> Result<Vec<Record>, StoreError> {
        let (prefix, after) = (prefix.clone(), after.cloned());
        let scan = move |connection: &Connection| {
            query::records(connection, &prefix, after.as_ref(), limit)
        };
        self.ask("scan records", scan).await
    }

    pub(super) async fn events(
        &self,
        from: Position,
        limit: u16,
    ) -> Result<Vec<Event>, StoreError> {
        let events = move |connection: &Connection| query::events(connection, from, limit);
        self.ask(super::READ_EVENTS, events).await
    }

    pub(super) async fn verify(&self) -> Result<(), StoreError> {
        self.ask("verify what is stored", query::verify).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        operation: &'static str,
        query: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let read: Read = Box::new(move |connection| {
            if !reply.is_canceled() {
                // A caller who left needs no answer.
                let _ = reply.send(query(connection));
            }
        });
        self.health.check(operation)?;
        self.queue.push(read).await.map_err(|closed| unavailable(operation, closed))?;
        let found = answer.await.map_err(|gone| unavailable(operation, gone))?;
        // What was read around an undecided commit could be taken for its outcome.
        self.health.check(operation)?;
        found.map_err(|fault| fault.in_read(operation))
    }
}

const WAITING_MAX: usize = 1_024;
