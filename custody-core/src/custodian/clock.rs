use crate::seam::{Clock, Monotonic};
use crate::time::Timestamp;

/// How far wall clock and monotonic clock may drift apart between two batches.
const DRIFT_MAX_MS: u64 = 5_000;

/// Whether the clock shows an earlier time than an event that there is.
pub(super) fn is_behind(clock: &dyn Clock, last: Timestamp) -> bool {
    last.since(clock.now()).as_millis() > u128::from(DRIFT_MAX_MS)
}

/// Ledger time, and whether the clock can be trusted.
#[derive(Debug)]
pub(super) struct ClockGuard {
    wall: Timestamp,
    monotonic: Monotonic,
    jumped: bool,
}

impl ClockGuard {
    /// A guard at the start of a process, over a ledger whose last event was at `last`.
    pub(super) fn new(clock: &dyn Clock, last: Timestamp) -> Self {
        let (wall, jumped) = (clock.now(), is_behind(clock, last));
        Self { wall: wall.max(last), monotonic: clock.monotonic(), jumped }
    }

    /// Ledger time of the next batch: never before `last`. After a jump it goes on with the
    /// monotonic clock until the clock is confirmed.
    pub(super) fn read(&mut self, clock: &dyn Clock, last: Timestamp) -> Timestamp {
        let (wall, monotonic) = (clock.now(), clock.monotonic());
        let expected = self.wall.after(monotonic.saturating_sub(self.monotonic));
        let drift = wall.as_millis().abs_diff(expected.as_millis());
        self.jumped |= drift > DRIFT_MAX_MS;
        if self.jumped {
            return expected.max(last);
        }
        self.wall = wall;
        self.monotonic = monotonic;
        wall.max(last)
    }

    /// The time at which a caller made an order ready, if it is not far from ledger time.
    pub(super) fn near(&self, at: Timestamp, submitted: Timestamp) -> Timestamp {
        let is_near = submitted.since(at).as_millis() <= u128::from(DRIFT_MAX_MS);
        if is_near && !self.jumped { submitted } else { at }
    }

    /// A quorum confirmed the clock as it is now.
    pub(super) fn confirm(&mut self, clock: &dyn Clock) {
        self.wall = clock.now();
        self.monotonic = clock.monotonic();
        self.jumped = false;
    }

    pub(super) const fn has_jumped(&self) -> bool {
        self.jumped
    }
}
