//! Histograms that many threads record into.
//!
//! Invariant: recording waits for whoever reads at most as long as one histogram is copied, and a
//! value that does not fit is counted as the largest one, never dropped.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

/// One histogram, in parts that different threads record into.
#[derive(Debug)]
pub(crate) struct Recorder {
    parts: [Part; PARTS],
}

/// Empty until something is recorded, and on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part(Mutex<Option<Histogram<u64>>>);

impl Recorder {
    pub(crate) fn new() -> Self {
        Self { parts: Default::default() }
    }

    pub(crate) fn record(&self, time: Duration) {
        let Some(part) = self.parts.get(own_part()) else { return };
        let mut part = part.0.lock().unwrap_or_else(PoisonError::into_inner);
        if part.is_none() {
            *part = new_histogram();
        }
        if let Some(histogram) = part.as_mut() {
            histogram.saturating_record(nanoseconds(time));
        }
    }

    /// All that was recorded so far.
    pub(crate) fn total(&self) -> Option<Histogram<u64>> {
        self.sum(|part| part.clone())
    }

    /// All that was recorded since this was called before.
    pub(crate) fn take(&self) -> Option<Histogram<u64>> {
        self.sum(Option::take)
    }

    /// Adds what `read` gives of each part, when nobody waits for the part any more.
    fn sum(
        &self,
        read: impl Fn(&mut Option<Histogram<u64>>) -> Option<Histogram<u64>>,
    ) -> Option<Histogram<u64>> {
        let mut total = new_histogram()?;
        for part in &self.parts {
            let recorded = read(&mut part.0.lock().unwrap_or_else(PoisonError::into_inner));
            if let Some(recorded) = recorded {
                total.add(recorded).ok()?;
            }
        }
        Some(total)
    }
}

/// A histogram from one nanosecond to an hour with three significant digits.
pub(crate) fn new_histogram() -> Option<Histogram<u64>> {
    Histogram::new_with_bounds(1, LONGEST, DIGITS).ok()
}

/// What is recorded for a time: at least one nanosecond, at most an hour.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(LONGEST).clamp(1, LONGEST)
}

/// Each thread gets the next part: numbers of threads, of which nobody can hand in any.
fn own_part() -> usize {
    thread_local! {
        static PART: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    PART.with(|part| {
        if part.get() == usize::MAX {
            part.set(NEXT.fetch_add(1, Ordering::Relaxed) % PARTS);
        }
        part.get()
    })
}

const PARTS: usize = 8;
const DIGITS: u8 = 3;
/// An hour, in nanoseconds.
pub(crate) const LONGEST: u64 = 3_600_000_000_000;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_all_threads_record_is_in_the_total() {
        let recorder = Arc::new(Recorder::new());
        let threads: Vec<_> = (1..=20)
            .map(|thread: u64| {
                let recorder = Arc::clone(&recorder);
                std::thread::spawn(move || {
                    (0..100).for_each(|_| recorder.record(Duration::from_micros(thread)));
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let total = recorder.total().unwrap();
        assert_eq!(total.len(), 2_000);
        assert!((9_990..=10_010).contains(&total.value_at_quantile(0.5)));
        assert_eq!(recorder.take().unwrap().len(), 2_000);
        assert_eq!(recorder.total().unwrap().len(), 0);
    }

    #[test]
    fn a_time_that_does_not_fit_is_counted_as_the_longest() {
        let recorder = Recorder::new();
        recorder.record(Duration::ZERO);
        recorder.record(Duration::from_secs(86_400));
        let total = recorder.total().unwrap();
        assert_eq!((total.len(), total.min()), (2, 1));
        assert!(total.max() >= LONGEST);
    }
}
