//! Locks: one whose waiters give up, for whoever has it may be in a module that hangs, and the usual
//! one for what is done in a moment.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use custody_core::seam::ErrorKind;

use crate::fault::Fault;

/// Something that one at a time has.
#[derive(Debug, Default)]
pub(crate) struct Turn<T> {
    is_taken: Mutex<bool>,
    is_free: Condvar,
    what: Mutex<T>,
}

/// Gives it back when it is dropped.
#[derive(Debug)]
pub(crate) struct Taken<'a, T> {
    turn: &'a Turn<T>,
    what: MutexGuard<'a, T>,
}

impl<T> Turn<T> {
    /// Waits for the turn, not for ever. The fault says what it was waited for: nothing has happened.
    pub(crate) fn take(&self, reason: &'static str) -> Result<Taken<'_, T>, Fault> {
        let waited =
            self.is_free.wait_timeout_while(lock(&self.is_taken), TURN_MAX, |is_taken| *is_taken);
        let (mut is_taken, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *is_taken {
            return Err(Fault::found(ErrorKind::Unavailable, reason));
        }
        *is_taken = true;
        drop(is_taken);
        Ok(Taken { turn: self, what: lock(&self.what) })
    }
}

impl<T> Deref for Taken<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.what
    }
}

impl<T> DerefMut for Taken<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.what
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        *lock(&self.turn.is_taken) = false;
        self.turn.is_free.notify_one();
    }
}

/// For what nobody holds across a call of a module. A panic in it does no harm.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const TURN_MAX: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn whoever_waits_in_vain_gives_up() {
        let turn = Turn::<()>::default();
        let taken = turn.take("it").unwrap();
        let since = Instant::now();
        assert_eq!(turn.take("it").unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(since.elapsed() >= TURN_MAX);
        drop(taken);
        assert!(turn.take("it").is_ok());
    }

    #[test]
    fn one_at_a_time_has_it() {
        let count = Turn::<u32>::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        *count.take("it").unwrap() += 1;
                    }
                });
            }
        });
        assert_eq!(*count.take("it").unwrap(), 800);
    }
}
