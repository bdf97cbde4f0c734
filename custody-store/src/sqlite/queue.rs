//! A bounded queue from async callers to threads.
//!
//! **Invariant:** at most the given number of works are queued; whoever comes after waits without
//! holding a thread, and nothing is accepted after `close`.

use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};

use async_lock::{Semaphore, SemaphoreGuardArc};

/// The callers' end.
pub(super) struct Queue<T> {
    slots: Arc<Semaphore>,
    sender: Mutex<Option<SyncSender<Ticket<T>>>>,
}

/// The threads' end.
pub(super) struct Works<T>(Arc<Mutex<Receiver<Ticket<T>>>>);

/// Keeps the threads of a closed queue waiting.
pub(super) struct Open<T>(
    #[expect(dead_code, reason = "it acts by being there")] SyncSender<Ticket<T>>,
);

/// The queue takes no more.
#[derive(Debug, thiserror::Error)]
#[error("the store is closed")]
pub(super) struct Closed;

struct Ticket<T> {
    work: T,
    _slot: SemaphoreGuardArc,
}

impl<T> Queue<T> {
    /// A queue of at most `waiting_max` works.
    pub(super) fn new(waiting_max: usize) -> (Self, Works<T>) {
        let (sender, receiver) = mpsc::sync_channel(waiting_max);
        let slots = Arc::new(Semaphore::new(waiting_max));
        let queue = Self { slots, sender: Mutex::new(Some(sender)) };
        (queue, Works(Arc::new(Mutex::new(receiver))))
    }

    /// Waits for a free slot and queues `work`.
    pub(super) async fn push(&self, work: T) -> Result<(), Closed> {
        let slot = self.slots.acquire_arc().await;
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        // A slot is a place in the channel, so that this is full only when nobody listens.
        sender
            .as_ref()
            .ok_or(Closed)?
            .try_send(Ticket { work, _slot: slot })
            .map_err(|_refused| Closed)
    }

    /// Takes no more works; those that are queued stay. The threads end when they have done them
    /// and what is returned is dropped.
    #[must_use]
    pub(super) fn close(&self) -> Option<Open<T>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take().map(Open)
    }
}

impl<T> Works<T> {
    /// The body of a thread: does each work until the queue is closed and empty.
    pub(super) fn serve(self, mut run: impl FnMut(T)) -> impl FnOnce() {
        move || {
            while let Some(work) = self.next() {
                run(work);
            }
        }
    }

    fn next(&self) -> Option<T> {
        let ticket = self.0.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()?;
        Some(ticket.work)
    }
}

impl<T> Clone for Works<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
