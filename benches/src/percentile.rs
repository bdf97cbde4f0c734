//! Percentiles of what was measured.

use std::time::{Duration, Instant};

/// How long calls took.
#[derive(Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Measures one call.
    pub fn measure<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let answer = call();
        self.0.push(started.elapsed());
        answer
    }

    /// Adds what was measured elsewhere.
    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The smallest time that at least `percent` of a hundred calls did not exceed; none if nothing
    /// was measured.
    #[must_use]
    pub fn percentile(&mut self, percent: usize) -> Option<Duration> {
        self.0.sort_unstable();
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied()
    }
}

/// In microseconds.
#[must_use]
pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_ranks() {
        let mut times = Times::default();
        assert_eq!(times.percentile(50), None);
        (1..=10).rev().for_each(|number| times.push(Duration::from_millis(number)));
        let ranks = [(0, 1), (1, 1), (10, 1), (11, 2), (50, 5), (99, 10), (100, 10)];
        for (percent, expected) in ranks {
            assert_eq!(times.percentile(percent), Some(Duration::from_millis(expected)));
        }
    }
}
