//! How long the stages of a governed signature take, seen at the seams.
//!
//! Nothing in the custodian is changed for it: a governor hands in its decoder, rules, store, log
//! and backend in the wrappers of this module, which do what they wrap and time it.
//!
//! Invariant: a wrapper answers what the wrapped one answers.

mod audit;
mod backend;
mod decoder;
mod policy;
mod store;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

pub use audit::TimedLog;
pub use backend::TimedBackend;
pub use decoder::TimedDecoder;
pub use policy::TimedCompiler;
pub use store::TimedStore;

use super::HarnessError;
use crate::recorder::Recorder;

/// A stage of a governed signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// A commit of the store: one for many orders.
    Commit,
    /// Reading a payload, once when it is submitted and once before it is signed.
    Decode,
    /// One judgement of an order.
    Judge,
    /// Signing a head: one for many orders.
    Seal,
    /// A call of the key.
    Sign,
    /// The verification of a signature, which the harness asks for after the timed part.
    Verify,
}

impl Stage {
    /// All that are timed at seams.
    pub const ALL: [Self; 6] =
        [Self::Commit, Self::Decode, Self::Judge, Self::Seal, Self::Sign, Self::Verify];

    /// Its name in `run.json`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Decode => "decode",
            Self::Judge => "judge",
            Self::Seal => "seal",
            Self::Sign => "sign",
            Self::Verify => "verify",
        }
    }
}

/// Histograms of the stages, while a series is timed.
#[derive(Debug)]
pub struct Stages {
    is_timing: AtomicBool,
    recorders: [Recorder; 6],
    // Sums are exact, histograms have three digits.
    sums: Mutex<[Sum; 6]>,
}

/// How often a stage was passed and how long that took in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sum {
    /// How often.
    pub count: u64,
    /// In nanoseconds.
    pub total_ns: u64,
}

/// A stage as it was timed.
pub(crate) type Timed = (Stage, Sum, Histogram<u64>);

impl Default for Stages {
    fn default() -> Self {
        let recorders = std::array::from_fn(|_| Recorder::new());
        Self { is_timing: AtomicBool::new(false), recorders, sums: Mutex::default() }
    }
}

impl Stages {
    /// Times a call.
    pub fn time<T>(&self, stage: Stage, call: impl FnOnce() -> T) -> T {
        let since = Instant::now();
        let answer = call();
        self.record(stage, since.elapsed());
        answer
    }

    /// Adds what was timed.
    pub fn record(&self, stage: Stage, time: Duration) {
        if !self.is_timing.load(Ordering::Relaxed) {
            return;
        }
        let place = stage as usize;
        if let Some(recorder) = self.recorders.get(place) {
            recorder.record(time);
        }
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sum) = sums.get_mut(place) {
            sum.count += 1;
            sum.total_ns += crate::recorder::nanoseconds(time);
        }
    }

    /// Begins anew.
    pub(crate) fn start(&self) {
        self.recorders.iter().for_each(|recorder| drop(recorder.take()));
        *self.sums.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
        self.is_timing.store(true, Ordering::Relaxed);
    }

    /// Ends; what was timed.
    pub(crate) fn stop(&self) -> Result<Vec<Timed>, HarnessError> {
        self.is_timing.store(false, Ordering::Relaxed);
        let sums = *self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let stages = Stage::ALL.into_iter().zip(sums).zip(&self.recorders);
        stages
            .map(|((stage, sum), recorder)| {
                let total = recorder.total().ok_or(HarnessError::Machine {
                    reason: "the histograms of the stages cannot be added".to_owned(),
                })?;
                Ok((stage, sum, total))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happens_while_a_series_is_timed_counts() {
        let stages = Stages::default();
        stages.record(Stage::Judge, Duration::from_micros(5));
        stages.start();
        stages.record(Stage::Judge, Duration::from_micros(7));
        stages.record(Stage::Seal, Duration::from_micros(9));
        let seen = stages.stop().unwrap();
        stages.record(Stage::Judge, Duration::from_micros(5));
        let counts: Vec<_> =
            seen.iter().map(|(stage, sum, h)| (stage.as_str(), sum.count, h.len())).collect();
        let none = |stage| (stage, 0, 0);
        let timed = |stage| (stage, 1, 1);
        let expected = [
            none("commit"),
            none("decode"),
            timed("judge"),
            timed("seal"),
            none("sign"),
            none("verify"),
        ];
        assert_eq!(counts, expected);
        assert_eq!(seen[2].1.total_ns, 7_000);
    }
}
