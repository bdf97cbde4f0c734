//! Named failpoints, such as `store.commit.after`: one before and one after each call of each seam
//! and of each handler that a custodian makes, where the call fails, panics, hangs, or ends the
//! process. What a seam is only asked about itself, such as its id, is no call.
//!
//! Invariant: a failpoint that is not armed changes nothing but its count.

mod handler;
mod keys;
mod point;
mod records;
mod runtime;
mod sense;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use custody_core::custodian::CommandHandler;
use custody_core::seam::{
    AuditLog, Clock, Decoder, Entropy, ErrorKind, HeadAnchor, KeyBackend, KeyEncryption,
    PolicyCompiler, Spawner, Store,
};

pub use point::{Action, Failpoint, Side};

use crate::runtime::TestClock;

/// All failpoints of one world, and what wraps its seams. Clones are one.
#[derive(Clone, Debug)]
pub struct Failpoints {
    state: Arc<Mutex<State>>,
    time: TestClock,
}

#[derive(Debug, Default)]
struct State {
    armed: Option<Armed>,
    reached: BTreeMap<Failpoint, u64>,
    struck: u64,
}

#[derive(Debug)]
struct Armed {
    point: Failpoint,
    nth: u64,
    action: Action,
    lasting: bool,
}

/// A seam with failpoints around its calls.
#[derive(Debug)]
struct Pointed<T: ?Sized> {
    inner: Arc<T>,
    points: Failpoints,
}

impl Failpoints {
    /// Failpoints of which none is armed. A call that blocks its thread passes [`STALL`] on `time`.
    #[must_use]
    pub fn new(time: TestClock) -> Self {
        Self { state: Arc::default(), time }
    }

    /// Arms one failpoint and disarms every other: it strikes when it is reached for the `nth`
    /// time from now, counted from 0, and every time after that if it is `lasting`.
    ///
    /// # Panics
    /// If the call knows no such action.
    pub fn arm(&self, point: Failpoint, nth: u64, action: Action, lasting: bool) {
        assert!(point.knows(action), "{point} cannot {action:?}");
        let mut state = self.state();
        state.reached.clear();
        state.struck = 0;
        state.armed = Some(Armed { point, nth, action, lasting });
    }

    /// Disarms every failpoint; how often each was reached stays.
    pub fn disarm(&self) {
        self.state().armed = None;
    }

    /// How often each failpoint was reached since one was armed, or since the beginning.
    #[must_use]
    pub fn reached(&self) -> BTreeMap<Failpoint, u64> {
        self.state().reached.clone()
    }

    /// How often the armed failpoint struck.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.state().struck
    }

    /// The store with failpoints.
    #[must_use]
    pub fn store(&self, inner: Arc<dyn Store>) -> Arc<dyn Store> {
        self.around(inner)
    }

    /// The log with failpoints.
    #[must_use]
    pub fn log(&self, inner: Arc<dyn AuditLog>) -> Arc<dyn AuditLog> {
        self.around(inner)
    }

    /// The anchor with failpoints.
    #[must_use]
    pub fn anchor(&self, inner: Arc<dyn HeadAnchor>) -> Arc<dyn HeadAnchor> {
        self.around(inner)
    }

    /// The backend with failpoints, and so are its signers and its switch.
    #[must_use]
    pub fn backend(&self, inner: Arc<dyn KeyBackend>) -> Arc<dyn KeyBackend> {
        self.around(inner)
    }

    /// The key encryption with failpoints.
    #[must_use]
    pub fn kek(&self, inner: Arc<dyn KeyEncryption>) -> Arc<dyn KeyEncryption> {
        self.around(inner)
    }

    /// The decoder with failpoints, and so is its reader of descriptors.
    #[must_use]
    pub fn decoder(&self, inner: Arc<dyn Decoder>) -> Arc<dyn Decoder> {
        self.around(inner)
    }

    /// The compiler with failpoints, and so are its engines.
    #[must_use]
    pub fn compiler(&self, inner: Arc<dyn PolicyCompiler>) -> Arc<dyn PolicyCompiler> {
        self.around(inner)
    }

    /// The handler of an extension command with failpoints.
    #[must_use]
    pub fn handler(&self, inner: Arc<dyn CommandHandler>) -> Arc<dyn CommandHandler> {
        self.around(inner)
    }

    /// The clock with failpoints.
    #[must_use]
    pub fn clock(&self, inner: Arc<dyn Clock>) -> Arc<dyn Clock> {
        self.around(inner)
    }

    /// The source of randomness with failpoints.
    #[must_use]
    pub fn entropy(&self, inner: Arc<dyn Entropy>) -> Arc<dyn Entropy> {
        self.around(inner)
    }

    /// The spawner with failpoints.
    #[must_use]
    pub fn spawner(&self, inner: Arc<dyn Spawner>) -> Arc<dyn Spawner> {
        self.around(inner)
    }

    fn around<T: ?Sized>(&self, inner: Arc<T>) -> Arc<Pointed<T>> {
        Arc::new(Pointed { inner, points: self.clone() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Counts that a failpoint was reached; what it does, if it strikes.
    fn meet(&self, call: &'static str, side: Side) -> Option<Action> {
        let point = Failpoint::of(call, side);
        let mut state = self.state();
        let count = state.reached.entry(point).or_default();
        let nth = *count;
        *count += 1;
        let armed = state.armed.as_ref().filter(|armed| armed.point == point)?;
        let strikes = if armed.lasting { nth >= armed.nth } else { nth == armed.nth };
        let action = strikes.then_some(armed.action)?;
        state.struck += 1;
        drop(state);
        match action {
            Action::Abort => std::process::abort(),
            // The hook would print every one of thousands.
            Action::Panic => std::panic::resume_unwind(Box::new(point.to_string())),
            Action::Error | Action::Hang => Some(action),
        }
    }

    /// A call that may fail, between its two failpoints.
    async fn call<T, E>(
        &self,
        call: &'static str,
        error: impl Fn(ErrorKind) -> E,
        inner: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match self.meet(call, Side::Before) {
            Some(Action::Error) => return Err(error(ErrorKind::Unavailable)),
            Some(_) => std::future::pending().await,
            None => {}
        }
        let answer = inner.await?;
        match self.meet(call, Side::After) {
            Some(Action::Error) => Err(error(ErrorKind::Indeterminate)),
            Some(_) => std::future::pending().await,
            None => Ok(answer),
        }
    }

    /// A call that has no way to say that it failed.
    async fn plain<T>(&self, call: &'static str, inner: impl Future<Output = T>) -> T {
        if self.meet(call, Side::Before).is_some() {
            std::future::pending::<()>().await;
        }
        let answer = inner.await;
        if self.meet(call, Side::After).is_some() {
            std::future::pending::<()>().await;
        }
        answer
    }

    /// A call that blocks its thread until it is answered.
    fn now<T>(&self, call: &'static str, failed: impl Fn() -> T, inner: impl FnOnce() -> T) -> T {
        match self.meet(call, Side::Before) {
            Some(Action::Error) => return failed(),
            Some(_) => self.time.advance(STALL),
            None => {}
        }
        let answer = inner();
        match self.meet(call, Side::After) {
            Some(Action::Error) => failed(),
            Some(_) => {
                self.time.advance(STALL);
                answer
            }
            None => answer,
        }
    }

    /// As [`Self::now`], for a call that has no way to say that it failed.
    fn plain_now<T>(&self, call: &'static str, inner: impl FnOnce() -> T) -> T {
        self.now(call, || panic!("{call} is never armed to fail"), inner)
    }
}

/// How long a call hangs that blocks its thread: longer than any time-out.
pub const STALL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use custody_core::seam::{Clock as _, Position};
    use futures::poll;

    use super::*;
    use crate::backend::MemoryBackend;
    use crate::decoder::TestDecoder;
    use crate::runtime::TestEntropy;
    use crate::store::MemoryStore;
    use crate::suite::key_backend::Ability;

    fn point(name: &str) -> Failpoint {
        Failpoint::all().find(|point| point.to_string() == name).unwrap()
    }

    #[test]
    fn an_armed_failpoint_strikes_at_its_call_and_no_other() {
        pollster::block_on(async {
            let points = Failpoints::new(TestClock::new());
            let store = points.store(Arc::new(MemoryStore::new()));
            points.arm(point("store.head.before"), 1, Action::Error, false);
            assert_eq!(store.head().await.unwrap(), Position::START);
            assert_eq!(store.head().await.unwrap_err().kind(), ErrorKind::Unavailable);
            assert_eq!(store.head().await.unwrap(), Position::START);
            points.arm(point("store.head.after"), 0, Action::Error, true);
            for _ in 0..2 {
                assert_eq!(store.head().await.unwrap_err().kind(), ErrorKind::Indeterminate);
            }
            assert_eq!((points.struck(), points.reached()[&point("store.head.before")]), (2, 2));
            points.arm(point("store.head.before"), 0, Action::Hang, false);
            assert!(poll!(&mut store.head()).is_pending());
            points.disarm();
            assert!(store.head().await.is_ok());
        });
    }

    #[test]
    fn a_call_that_blocks_panics_fails_or_takes_its_time() {
        let clock = TestClock::new();
        let points = Failpoints::new(clock.clone());
        let entropy = points.entropy(Arc::new(TestEntropy::seeded(1)));
        points.arm(point("entropy.fill.before"), 0, Action::Hang, false);
        assert!(entropy.fill(&mut [0; 4]).is_ok());
        assert_eq!(clock.monotonic(), STALL);
        points.arm(point("entropy.fill.after"), 0, Action::Error, false);
        assert!(entropy.fill(&mut [0; 4]).is_err());
        points.arm(point("entropy.fill.after"), 0, Action::Panic, false);
        assert!(catch_unwind(AssertUnwindSafe(|| entropy.fill(&mut [0; 4]))).is_err());
    }

    #[test]
    fn what_a_seam_cannot_do_it_cannot_do_with_failpoints_either() {
        let points = Failpoints::new(TestClock::new());
        let able = MemoryBackend::seeded("able", 1);
        let unable = able.clone().with_abilities(&[Ability::Derivation]);
        assert!(points.backend(Arc::new(able)).switch().is_some());
        assert!(points.backend(Arc::new(unable)).switch().is_none());
        assert!(points.decoder(Arc::new(TestDecoder::new())).descriptors().is_none());
    }

    #[test]
    #[should_panic(expected = "clock.now.before cannot Error")]
    fn a_call_that_cannot_fail_is_not_armed_to() {
        let points = Failpoints::new(TestClock::new());
        points.arm(point("clock.now.before"), 0, Action::Error, false);
    }
}
