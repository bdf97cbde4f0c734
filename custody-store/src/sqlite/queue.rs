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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Poll;
    use std::thread;

    use futures::poll;
    use pollster::block_on;

    use super::*;

    #[test]
    fn a_caller_waits_while_the_queue_is_full() {
        let (queue, works) = Queue::new(2);
        block_on(async {
            queue.push(1).await.unwrap();
            queue.push(2).await.unwrap();
            let mut third = pin!(queue.push(3));
            assert!(poll!(&mut third).is_pending());
            assert_eq!(works.next(), Some(1));
            assert!(matches!(poll!(&mut third), Poll::Ready(Ok(()))));
        });
        drop(queue);
        assert_eq!((works.next(), works.next(), works.next()), (Some(2), Some(3), None));
    }

    #[test]
    fn a_caller_who_gives_up_leaves_no_hole() {
        let (queue, works) = Queue::new(1);
        block_on(async {
            queue.push(1).await.unwrap();
            {
                let mut second = pin!(queue.push(2));
                assert!(poll!(&mut second).is_pending());
            }
            assert_eq!(works.next(), Some(1));
            queue.push(3).await.unwrap();
        });
        assert_eq!(works.next(), Some(3));
    }

    #[test]
    fn nothing_is_taken_after_closing_and_what_is_queued_stays() {
        let (queue, works) = Queue::new(4);
        block_on(queue.push(1)).unwrap();
        let open = queue.close();
        assert!(block_on(queue.push(2)).is_err());
        drop(open);
        assert_eq!((works.next(), works.next()), (Some(1), None));
    }

    #[test]
    fn a_caller_who_waits_while_the_queue_closes_is_refused() {
        let (queue, works) = Queue::new(1);
        block_on(async {
            queue.push(1).await.unwrap();
            let mut second = pin!(queue.push(2));
            assert!(poll!(&mut second).is_pending());
            drop(queue.close());
            assert_eq!(works.next(), Some(1));
            assert!(second.await.is_err());
        });
    }

    #[test]
    fn the_threads_of_a_closed_queue_wait_until_they_are_let_go() {
        let (queue, works) = Queue::<u8>::new(1);
        let open = queue.close();
        let thread = thread::spawn(works.serve(|_work| ()));
        thread::sleep(std::time::Duration::from_millis(20));
        assert!(!thread.is_finished());
        drop(open);
        thread.join().unwrap();
    }

    #[test]
    fn a_queue_without_threads_is_closed() {
        let (queue, works) = Queue::new(1);
        drop(works);
        assert!(block_on(queue.push(1)).is_err());
    }
}
