use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use custody_core::seam::Spawner;

use super::TestClock;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The id of the future that [`TestExecutor::run`] was given.
const MAIN: u64 = 0;

/// Runs everything on the caller's thread in virtual time: when every task waits, the clock is
/// moved to the next deadline. Clones share one set of tasks.
///
/// The order in which ready tasks run is first come, first served, or drawn from a seed
/// ([`Self::shuffled`]); either way a run repeats exactly.
#[derive(Clone)]
pub struct TestExecutor {
    clock: TestClock,
    shared: Arc<Shared>,
}

struct Shared {
    tasks: Mutex<BTreeMap<u64, Task>>,
    ready: Mutex<VecDeque<u64>>,
    /// State of a xorshift generator; zero means first come, first served.
    order: Mutex<u64>,
    started: AtomicUsize,
    panicked: AtomicUsize,
}

struct TaskWaker {
    id: u64,
    shared: Arc<Shared>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut ready = self.shared.ready.lock().unwrap();
        if !ready.contains(&self.id) {
            ready.push_back(self.id);
        }
    }
}

impl TestExecutor {
    /// An executor in the time of `clock` that runs ready tasks first come, first served.
    #[must_use]
    pub fn new(clock: TestClock) -> Self {
        Self::shuffled(clock, 0)
    }

    /// An executor that draws from `seed` which ready task runs next; seed 0 is first come, first
    /// served.
    #[must_use]
    pub fn shuffled(clock: TestClock, seed: u64) -> Self {
        let shared = Shared {
            tasks: Mutex::default(),
            ready: Mutex::default(),
            order: Mutex::new(seed),
            started: AtomicUsize::new(0),
            panicked: AtomicUsize::new(0),
        };
        Self { clock, shared: Arc::new(shared) }
    }

    /// Runs `future` to its end, and the spawned tasks beside it. Spawned tasks that are open at
    /// the end stay open; a later call runs them on.
    ///
    /// # Panics
    /// If `future` waits and nothing could ever wake it.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        self.waker(MAIN).wake();
        loop {
            let Some(id) = self.next() else {
                assert!(self.clock.advance_to_next(), "every task waits and no deadline is set");
                continue;
            };
            let waker = self.waker(id);
            let mut context = Context::from_waker(&waker);
            if id != MAIN {
                self.poll_task(id, &mut context);
            } else if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
        }
    }

    /// Drops every spawned task wherever it is, as a dying process does.
    pub fn abandon(&self) {
        let tasks = std::mem::take(&mut *self.shared.tasks.lock().unwrap());
        drop(tasks);
        self.shared.ready.lock().unwrap().clear();
    }

    /// Spawned tasks that have not ended.
    #[must_use]
    pub fn open(&self) -> usize {
        self.shared.tasks.lock().unwrap().len()
    }

    /// Spawned tasks that panicked.
    #[must_use]
    pub fn panicked(&self) -> usize {
        self.shared.panicked.load(Ordering::SeqCst)
    }

    fn poll_task(&self, id: u64, context: &mut Context<'_>) {
        let Some(mut task) = self.shared.tasks.lock().unwrap().remove(&id) else { return };
        match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context))) {
            Ok(Poll::Pending) => drop(self.shared.tasks.lock().unwrap().insert(id, task)),
            Ok(Poll::Ready(())) => {}
            Err(_) => drop(self.shared.panicked.fetch_add(1, Ordering::SeqCst)),
        }
    }

    fn next(&self) -> Option<u64> {
        let mut ready = self.shared.ready.lock().unwrap();
        let mut order = self.shared.order.lock().unwrap();
        if *order == 0 || ready.is_empty() {
            return ready.pop_front();
        }
        *order ^= *order << 13;
        *order ^= *order >> 7;
        *order ^= *order << 17;
        let index = *order as usize % ready.len();
        ready.remove(index)
    }

    fn waker(&self, id: u64) -> Waker {
        Waker::from(Arc::new(TaskWaker { id, shared: Arc::clone(&self.shared) }))
    }
}

impl fmt::Debug for TestExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestExecutor").field("open", &self.open()).finish_non_exhaustive()
    }
}

impl Spawner for TestExecutor {
    fn spawn(&self, task: Task) {
        let id = self.shared.started.fetch_add(1, Ordering::SeqCst) as u64 + 1;
        self.shared.tasks.lock().unwrap().insert(id, task);
        self.waker(id).wake();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use custody_core::seam::Clock as _;

    use super::*;

    #[test]
    fn a_day_passes_in_virtual_time() {
        let clock = TestClock::new();
        let executor = TestExecutor::new(clock.clone());
        let day = Duration::from_secs(86_400);
        executor.run(clock.sleep_until(day));
        assert_eq!(clock.monotonic(), day);
    }

    #[test]
    fn a_seed_decides_the_order_and_repeats_it() {
        let order = |seed: u64| {
            let executor = TestExecutor::shuffled(TestClock::new(), seed);
            let seen = Arc::new(Mutex::new(Vec::new()));
            for task in 0..20 {
                let seen = Arc::clone(&seen);
                executor.spawn(Box::pin(async move { seen.lock().unwrap().push(task) }));
            }
            let clock = executor.clock.clone();
            executor.run(async move { clock.sleep_until(Duration::from_secs(1)).await });
            assert_eq!((executor.open(), executor.panicked()), (0, 0));
            Arc::try_unwrap(seen).unwrap().into_inner().unwrap()
        };
        assert_eq!(order(0), (0..20).collect::<Vec<_>>());
        assert_eq!(order(3), order(3));
        assert_ne!(order(3), order(4));
    }

    #[test]
    fn an_abandoned_task_is_dropped_and_runs_no_more() {
        let executor = TestExecutor::new(TestClock::new());
        let held = Arc::new(());
        let task = Arc::clone(&held);
        executor.spawn(Box::pin(async move {
            std::future::pending::<()>().await;
            drop(task);
        }));
        executor.run(async {});
        assert_eq!((executor.open(), Arc::strong_count(&held)), (1, 2));
        executor.abandon();
        assert_eq!((executor.open(), Arc::strong_count(&held)), (0, 1));
    }

    #[test]
    #[should_panic(expected = "no deadline is set")]
    fn a_deadlock_is_loud() {
        TestExecutor::new(TestClock::new()).run(std::future::pending::<()>());
    }
}
