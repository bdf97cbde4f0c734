use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use custody_core::seam::Clock as _;
use custody_testkit::runtime::TestClock;

/// What happened in a world, line by line, and how often. Clones write into one trace.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    clock: TestClock,
    lines: Arc<Mutex<Vec<String>>>,
    counts: Arc<Mutex<Counts>>,
}

/// How often each of the things happened that are counted.
pub(crate) type Counts = BTreeMap<&'static str, u64>;

impl Trace {
    pub(crate) fn new(clock: TestClock) -> Self {
        Self { clock, lines: Arc::default(), counts: Arc::default() }
    }

    /// Adds a line with the time at which it happened.
    pub(crate) fn note(&self, what: impl fmt::Display) {
        let at = self.clock.monotonic();
        self.lines.lock().unwrap().push(format!("{:>12.3} {what}", at.as_secs_f64()));
    }

    /// Counts one more of these.
    pub(crate) fn count(&self, what: &'static str) {
        *self.counts.lock().unwrap().entry(what).or_default() += 1;
    }

    /// All lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// All counts so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counts.lock().unwrap().clone()
    }
}
