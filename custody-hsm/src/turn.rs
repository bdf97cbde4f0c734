//! A lock whose waiters give up: whoever has it may be in a module that hangs.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use custody_core::seam::ErrorKind;

use crate::fault::Fault;

/// Taken by one at a time.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    is_taken: Mutex<bool>,
    is_free: Condvar,
}

/// Gives the turn back when it is dropped.
#[derive(Debug)]
pub(crate) struct Taken<'a>(&'a Turn);

impl Turn {
    /// Waits for the turn, not for ever. The fault says what it was waited for: nothing has happened.
    pub(crate) fn take(&self, what: &'static str) -> Result<Taken<'_>, Fault> {
        let is_taken = self.is_taken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.is_free.wait_timeout_while(is_taken, TURN_MAX, |is_taken| *is_taken);
        let (mut is_taken, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *is_taken {
            return Err(Fault::found(ErrorKind::Unavailable, what));
        }
        *is_taken = true;
        Ok(Taken(self))
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *self.0.is_taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.is_free.notify_one();
    }
}

const TURN_MAX: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn whoever_waits_in_vain_gives_up() {
        let turn = Turn::default();
        let taken = turn.take("it").unwrap();
        let since = Instant::now();
        assert_eq!(turn.take("it").unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(since.elapsed() >= TURN_MAX);
        drop(taken);
        assert!(turn.take("it").is_ok());
    }

    #[test]
    fn one_at_a_time_has_it() {
        let (turn, count) = (Turn::default(), Mutex::new(0_u32));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _taken = turn.take("it").unwrap();
                        let mut count = count.try_lock().unwrap();
                        *count += 1;
                    }
                });
            }
        });
        assert_eq!(*count.lock().unwrap(), 800);
    }
}
