//! One asks and the others take the answer.
//!
//! Invariant: of those who want the same thing at once one asks; a failure is shared as well, so that
//! nobody waits for several in a row. If whoever asks goes away, one of the others asks instead.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use async_lock::OnceCell;

use crate::kms::lock;

/// What is being asked for, by what it is.
pub(crate) struct Sharing<K, T> {
    open: Mutex<HashMap<K, Question<T>>>,
}

struct Question<T> {
    answer: Arc<OnceCell<T>>,
    /// How many wait for it.
    seats: usize,
}

impl<K: Clone + Eq + Hash, T: Clone> Sharing<K, T> {
    pub(crate) fn new() -> Self {
        Self { open: Mutex::default() }
    }

    /// The answer of whoever asks for this already, or else that of `ask`.
    pub(crate) async fn of(&self, key: K, ask: impl Future<Output = T>) -> T {
        let seat = self.sit(key);
        seat.answer.get_or_init(|| ask).await.clone()
    }

    fn sit(&self, key: K) -> Seat<'_, K, T> {
        let mut open = lock(&self.open);
        let new = || Question { answer: Arc::default(), seats: 0 };
        let question = open.entry(key.clone()).or_insert_with(new);
        question.seats = question.seats.saturating_add(1);
        Seat { sharing: self, key, answer: Arc::clone(&question.answer) }
    }
}

impl<K, T> fmt::Debug for Sharing<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sharing").finish_non_exhaustive()
    }
}

/// One who waits for an answer.
struct Seat<'a, K: Eq + Hash, T> {
    sharing: &'a Sharing<K, T>,
    key: K,
    answer: Arc<OnceCell<T>>,
}

impl<K: Eq + Hash, T> Drop for Seat<'_, K, T> {
    fn drop(&mut self) {
        let mut open = lock(&self.sharing.open);
        let Some(question) = open.get_mut(&self.key) else { return };
        if !Arc::ptr_eq(&question.answer, &self.answer) {
            return;
        }
        question.seats = question.seats.saturating_sub(1);
        // Who comes later asks anew.
        if question.seats == 0 || question.answer.is_initialized() {
            open.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::task::{Context, Poll, Waker};

    use futures::future::join_all;

    use super::*;

    type Answers = Sharing<u8, Result<u8, u8>>;

    fn poll<F: Future>(future: &mut std::pin::Pin<Box<F>>) -> Poll<F::Output> {
        future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn a_failure_is_asked_for_once_and_shared() {
        let (sharing, asked) = (Answers::new(), Mutex::new(0_u8));
        let ask = || async {
            *lock(&asked) += 1;
            tokio::task::yield_now().await;
            Err(7)
        };
        let answers = join_all((0..20).map(|_| sharing.of(1, ask()))).await;
        assert_eq!((answers, *lock(&asked)), (vec![Err(7); 20], 1));
        assert!(lock(&sharing.open).is_empty());
        // Later it is asked for anew, and other things at any time.
        assert_eq!(sharing.of(1, ready(Ok(8))).await, Ok(8));
        assert_eq!(sharing.of(2, ready(Ok(9))).await, Ok(9));
    }

    #[tokio::test]
    async fn different_things_do_not_wait_for_each_other() {
        let sharing = Answers::new();
        let mut hanging = Box::pin(sharing.of(1, pending()));
        assert!(poll(&mut hanging).is_pending());
        assert_eq!(sharing.of(2, ready(Ok(9))).await, Ok(9));
    }

    #[tokio::test]
    async fn if_whoever_asks_goes_away_another_asks() {
        let sharing = Answers::new();
        let mut hanging = Box::pin(sharing.of(1, pending()));
        let mut waiting = Box::pin(sharing.of(1, ready(Ok(3))));
        assert!(poll(&mut hanging).is_pending() && poll(&mut waiting).is_pending());
        drop(hanging);
        assert_eq!(waiting.await, Ok(3));
        assert!(lock(&sharing.open).is_empty());
    }
}
