use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use custody_core::seam::{Clock, Monotonic};
use custody_core::time::Timestamp;

/// A clock that moves only when a test moves it. Clones share one time.
///
/// The wall clock and the monotonic clock are moved together by [`Self::advance`] and apart by
/// [`Self::set_wall`] and [`Self::drift`].
#[derive(Clone, Debug)]
pub struct TestClock {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    wall: Timestamp,
    monotonic: Monotonic,
    next: u64,
    sleepers: BTreeMap<u64, (Monotonic, Option<Waker>)>,
}

impl TestClock {
    /// The time at which a clock of [`Self::new`] stands: 2026-01-01T00:00:00Z.
    pub const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    /// A clock that stands at [`Self::START`].
    #[must_use]
    pub fn new() -> Self {
        Self::at(Self::START)
    }

    /// A clock whose wall clock stands at `now`, and whose monotonic clock stands at zero.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        let state =
            State { wall: now, monotonic: Monotonic::ZERO, next: 0, sleepers: BTreeMap::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Lets `duration` pass on both clocks and wakes whoever waited for it.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.state.lock().unwrap();
        state.wall = state.wall.after(duration);
        drop(state);
        self.drift(duration);
    }

    /// Lets `duration` pass on the monotonic clock alone: the wall clock stood still.
    pub fn drift(&self, duration: Duration) {
        let mut state = self.state.lock().unwrap();
        state.monotonic += duration;
        let now = state.monotonic;
        let due = state.sleepers.values_mut().filter(|(deadline, _)| *deadline <= now);
        let wakers: Vec<Waker> = due.filter_map(|(_, waker)| waker.take()).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Makes the wall clock jump to `now`, forwards or back; the monotonic clock stands still.
    pub fn set_wall(&self, now: Timestamp) {
        self.state.lock().unwrap().wall = now;
    }

    /// Advances both clocks to the next deadline that somebody waits for; tells whether there was
    /// one.
    #[must_use]
    pub fn advance_to_next(&self) -> bool {
        let Some(deadline) = self.next_deadline() else { return false };
        self.advance(deadline.saturating_sub(self.monotonic()));
        true
    }

    /// The earliest deadline that somebody waits for.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        let state = self.state.lock().unwrap();
        let waiting = state.sleepers.values().map(|(deadline, _)| *deadline);
        waiting.filter(|deadline| *deadline > state.monotonic).min()
    }

    /// How many wait.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.state.lock().unwrap().sleepers.len()
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.state.lock().unwrap().wall
    }

    fn monotonic(&self) -> Monotonic {
        self.state.lock().unwrap().monotonic
    }

    async fn sleep_until(&self, deadline: Monotonic) {
        Sleep { clock: self.clone(), deadline, id: None }.await;
    }
}

/// Waits for the monotonic clock.
struct Sleep {
    clock: TestClock,
    deadline: Monotonic,
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut state = clock.state.lock().unwrap();
        if state.monotonic >= self.deadline {
            return Poll::Ready(());
        }
        let id = *self.id.get_or_insert_with(|| {
            state.next += 1;
            state.next
        });
        state.sleepers.insert(id, (self.deadline, Some(context.waker().clone())));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let (Some(id), Ok(mut state)) = (self.id, self.clock.state.lock()) {
            state.sleepers.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::poll;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_sleeper_wakes_when_its_deadline_is_reached_and_not_before() {
        pollster::block_on(async {
            let clock = TestClock::new();
            let mut sleep = pin!(clock.sleep_until(SECOND));
            assert!(poll!(&mut sleep).is_pending());
            clock.advance(SECOND / 2);
            assert!(poll!(&mut sleep).is_pending());
            assert_eq!((clock.sleepers(), clock.next_deadline()), (1, Some(SECOND)));
            assert!(clock.advance_to_next());
            assert!(poll!(&mut sleep).is_ready());
            assert_eq!(clock.now(), TestClock::START.after(SECOND));
        });
    }

    #[test]
    fn the_wall_clock_jumps_without_the_monotonic_one() {
        let clock = TestClock::new();
        clock.set_wall(Timestamp::from_millis(5));
        assert_eq!((clock.now().as_millis(), clock.monotonic()), (5, Duration::ZERO));
        clock.drift(SECOND);
        assert_eq!((clock.now().as_millis(), clock.monotonic()), (5, SECOND));
        assert!(!clock.advance_to_next());
    }

    #[test]
    fn a_dropped_sleeper_waits_no_more() {
        pollster::block_on(async {
            let clock = TestClock::new();
            {
                let mut sleep = pin!(clock.sleep_until(SECOND));
                assert!(poll!(&mut sleep).is_pending());
            }
            assert_eq!(clock.sleepers(), 0);
        });
    }
}
