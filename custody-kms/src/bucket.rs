//! How many calls a second leave: a bucket of tokens that is kept as a point in time.
//!
//! Invariant: over any span of time no more calls are let through than the rate allows in it, plus
//! one second's worth at once.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use custody_core::seam::Monotonic;

use crate::kms::lock;

/// A limit of calls per second.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// The time between two calls at the full rate.
    interval: Duration,
    /// When the bucket will be full again.
    full_at: Mutex<Monotonic>,
}

impl Bucket {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        let interval = SECOND.checked_div(per_second.get()).unwrap_or(SECOND);
        Self { interval, full_at: Mutex::default() }
    }

    /// Takes a token. The answer is when the call may leave, or, if that is more than `patience`
    /// away, how long it would have been; then nothing is taken.
    pub(crate) fn take(&self, now: Monotonic, patience: Duration) -> Result<Monotonic, Duration> {
        let mut full_at = lock(&self.full_at);
        let next = (*full_at).max(now).saturating_add(self.interval);
        let leaves = next.saturating_sub(SECOND).max(now);
        let wait = leaves.saturating_sub(now);
        if wait > patience {
            return Err(wait);
        }
        *full_at = next;
        Ok(leaves)
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bucket(per_second: u32) -> Bucket {
        Bucket::new(NonZeroU32::new(per_second).unwrap())
    }

    #[test]
    fn a_second_is_let_through_at_once_and_then_the_rate() {
        let bucket = bucket(10);
        for _ in 0..10 {
            assert_eq!(bucket.take(Duration::ZERO, Duration::ZERO), Ok(Duration::ZERO));
        }
        let tenth = Duration::from_millis(100);
        assert_eq!(bucket.take(Duration::ZERO, Duration::ZERO), Err(tenth));
        assert_eq!(bucket.take(Duration::ZERO, SECOND), Ok(tenth));
        assert_eq!(bucket.take(Duration::ZERO, SECOND), Ok(tenth * 2));
        assert_eq!(bucket.take(tenth * 3, Duration::ZERO), Ok(tenth * 3));
    }

    #[test]
    fn whoever_is_turned_away_takes_nothing() {
        let bucket = bucket(1);
        assert!(bucket.take(Duration::ZERO, Duration::ZERO).is_ok());
        for _ in 0..100 {
            assert_eq!(bucket.take(Duration::ZERO, Duration::ZERO), Err(SECOND));
        }
        assert!(bucket.take(SECOND, Duration::ZERO).is_ok());
    }

    proptest! {
        #[test]
        fn no_second_lets_more_through_than_two_seconds_worth(
            rate in 1_u32..50,
            steps in proptest::collection::vec(0_u64..200, 1..200),
        ) {
            let bucket = bucket(rate);
            let mut now = Duration::ZERO;
            let mut leaves = Vec::new();
            for step in steps {
                now = now.saturating_add(Duration::from_millis(step));
                leaves.extend(bucket.take(now, SECOND));
            }
            let most = usize::try_from(rate).unwrap().saturating_mul(2);
            for (first, from) in leaves.iter().enumerate() {
                let until = from.saturating_add(SECOND);
                let within = leaves[first..].iter().filter(|at| **at < until).count();
                prop_assert!(within <= most, "{within} in a second at {rate}");
            }
        }
    }
}
