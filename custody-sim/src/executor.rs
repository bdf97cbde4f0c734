use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use custody_core::seam::Spawner;
use custody_testkit::runtime::TestClock;

use crate::dice::Dice;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The id of the future that [`Executor::run`] was given.
const MAIN: u64 = 0;

/// Runs one life of a process on the caller's thread in virtual time: the dice say which ready task
/// is polled next, and when every task waits, the clock moves to the next deadline. Clones are one
/// executor.
#[derive(Clone)]
pub(crate) struct Executor {
    clock: TestClock,
    dice: Dice,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    tasks: Mutex<BTreeMap<u64, Task>>,
    ready: Mutex<Vec<u64>>,
    started: Mutex<u64>,
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending<T> {
    /// The future has ended.
    Done(T),
    /// The steps were used up.
    Cut,
    /// The future has panicked.
    Panicked,
    /// Somebody asked to stop.
    Stopped,
    /// Every task waits, and no deadline is set.
    Stuck,
}

struct TaskWaker {
    id: u64,
    shared: Arc<Shared>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut ready = self.shared.ready.lock().unwrap();
        if !ready.contains(&self.id) {
            ready.push(self.id);
        }
    }
}

impl Executor {
    pub(crate) fn new(clock: TestClock, dice: Dice) -> Self {
        Self { clock, dice, shared: Arc::default() }
    }

    /// The dice of this life.
    pub(crate) fn dice(&self) -> Dice {
        self.dice.clone()
    }

    /// Runs `future` and the spawned tasks beside it, for at most `steps` polls and until `stop`
    /// says so.
    pub(crate) fn run<F: Future>(
        &self,
        future: F,
        steps: u64,
        stop: impl Fn() -> bool,
    ) -> Ending<F::Output> {
        let mut future = pin!(future);
        self.waker(MAIN).wake();
        let mut left = steps;
        loop {
            if stop() {
                return Ending::Stopped;
            }
            let Some(id) = self.next() else {
                if !self.clock.advance_to_next() {
                    return Ending::Stuck;
                }
                continue;
            };
            if left == 0 {
                return Ending::Cut;
            }
            left -= 1;
            let waker = self.waker(id);
            let mut context = Context::from_waker(&waker);
            if id != MAIN {
                self.poll_task(id, &mut context);
            } else {
                let polled = AssertUnwindSafe(|| future.as_mut().poll(&mut context));
                match catch_unwind(polled) {
                    Ok(Poll::Ready(output)) => return Ending::Done(output),
                    Ok(Poll::Pending) => {}
                    Err(_) => return Ending::Panicked,
                }
            }
        }
    }

    /// Ends every task wherever it is, as a dying process does.
    pub(crate) fn kill(&self) {
        loop {
            let tasks = std::mem::take(&mut *self.shared.tasks.lock().unwrap());
            if tasks.is_empty() {
                break;
            }
            drop(tasks);
        }
        self.shared.ready.lock().unwrap().clear();
    }

    /// Tasks that have not ended.
    pub(crate) fn open(&self) -> usize {
        self.shared.tasks.lock().unwrap().len()
    }

    /// A task that panics is gone, as it is with every executor; what it held is dropped.
    fn poll_task(&self, id: u64, context: &mut Context<'_>) {
        let Some(mut task) = self.shared.tasks.lock().unwrap().remove(&id) else { return };
        if let Ok(Poll::Pending) = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context))) {
            self.shared.tasks.lock().unwrap().insert(id, task);
        }
    }

    fn next(&self) -> Option<u64> {
        let mut ready = self.shared.ready.lock().unwrap();
        if ready.is_empty() {
            return None;
        }
        let index = self.dice.below(ready.len() as u64) as usize;
        Some(ready.remove(index))
    }

    fn waker(&self, id: u64) -> Waker {
        Waker::from(Arc::new(TaskWaker { id, shared: Arc::clone(&self.shared) }))
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("open", &self.open()).finish_non_exhaustive()
    }
}

impl Spawner for Executor {
    fn spawn(&self, task: Task) {
        let id = {
            let mut started = self.shared.started.lock().unwrap();
            *started += 1;
            *started
        };
        self.shared.tasks.lock().unwrap().insert(id, task);
        self.waker(id).wake();
    }
}
