//! When calls are due in an open loop.
//!
//! Invariant: whether a call is due depends on the clock alone, never on an answer.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::Shared;
use crate::harness::number::{float, whole};

/// Calls that are due in the first `time`: those of an index that is due before its end.
pub(super) fn arrivals(time: Duration, rate: f64) -> u64 {
    let mut index = whole(time.as_secs_f64() * rate);
    while due_after(index, rate) < time {
        index += 1;
    }
    while index > 0 && due_after(index - 1, rate) >= time {
        index -= 1;
    }
    index
}

/// When the call with this index is due.
pub(super) fn due_after(index: u64, rate: f64) -> Duration {
    Duration::from_nanos(whole(float(index) * 1e9 / rate))
}

/// The thread that lets calls be due. It does nothing else, so that no answer delays it.
#[derive(Debug)]
pub(super) struct Arrivals {
    thread: thread::JoinHandle<Vec<u64>>,
}

impl Arrivals {
    pub(super) fn start(shared: &Arc<Shared>, rate: f64) -> Self {
        let shared = Arc::clone(shared);
        Self { thread: thread::spawn(move || arrive(&shared, rate)) }
    }

    pub(super) fn stop(self) -> Vec<u64> {
        self.thread.join().unwrap_or_default()
    }
}

fn arrive(shared: &Shared, rate: f64) -> Vec<u64> {
    let total = arrivals(shared.load.warm_up + shared.load.duration, rate);
    let (mut released, mut lateness) = (0_u64, Vec::new());
    be_woken_in_time();
    while released < total && !shared.is_stopped() {
        let next = shared.origin + due_after(released, rate);
        let wait = next.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            // A stop is noticed soon.
            thread::sleep(wait.min(Duration::from_millis(50)));
            continue;
        }
        let now = Instant::now();
        let passed = now.saturating_duration_since(shared.origin);
        let due = arrivals(passed, rate).clamp(released + 1, total);
        for index in released..due {
            let late = passed.saturating_sub(due_after(index, rate));
            if shared.origin + due_after(index, rate) >= shared.begin {
                lateness.push(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX));
            }
        }
        shared.due.add_permits(usize::try_from(due - released).unwrap_or(0));
        released = due;
    }
    // Whoever still waits is woken, and sees that nothing is left.
    shared.due.add_permits(shared.load.concurrency);
    lateness
}

/// Asks Linux to end the sleeps of this thread when they end, and not up to 50 us later. Where that
/// is not possible the lateness of arrivals says so.
fn be_woken_in_time() {
    let own = fs::read_link("/proc/thread-self").ok();
    if let Some(number) = own.as_ref().and_then(|path| path.file_name()) {
        let path = Path::new("/proc").join(number).join("timerslack_ns");
        // Not all kernels let it.
        let _asked = fs::write(path, "1");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_due_at_a_constant_rate() {
        assert_eq!(due_after(0, 1_000.0), Duration::ZERO);
        assert_eq!(due_after(1, 1_000.0), Duration::from_millis(1));
        assert_eq!(due_after(1_500, 1_000.0), Duration::from_millis(1_500));
        for (milliseconds, rate, expected) in
            [(0, 10.0, 0), (1, 10.0, 1), (100, 10.0, 1), (101, 10.0, 2), (1_000, 3.0, 3)]
        {
            let time = Duration::from_millis(milliseconds);
            assert_eq!(arrivals(time, rate), expected, "{milliseconds} ms at {rate}");
        }
    }
}
