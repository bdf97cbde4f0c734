//! Threads that own sessions, and the one that watches them.
//!
//! Invariant: a caller's task never enters the module. A call that was begun and does not come back
//! in time is answered as what it is, "it may have happened" if it makes something, and its thread
//! is given up: nothing can take a thread out of a foreign library.
//!
//! Answers of quick calls are handed over a few at a time while others wait, for waking a caller
//! costs as much as a good part of a signature. If all threads hang, the watch hands them over.
//!
//! What a module keeps for all threads is made when it is used first, and lies beside what that
//! thread writes while it signs: its core and the others' would take these lines from each other
//! (measured with openCryptoki: up to a third of a signature). So the thread that tries a token
//! signs nothing afterwards.

mod threads;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use custody_core::seam::ErrorKind;

use crate::answers::{Asked, Begun, HeldAnswers, Question, hand_over};
use crate::config::HsmLimits;
use crate::fault::{Effect, Fault};
use crate::observer::Observer;
use crate::report::Usage;
use crate::seat::Seat;
use crate::token::Token;
use crate::turn::lock;

/// The threads of a token.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
    watch: Option<JoinHandle<()>>,
}

struct Shared {
    token: Arc<Token>,
    limits: HsmLimits,
    observer: Observer,
    state: Mutex<State>,
    /// Those that are not lost, by number.
    threads: Mutex<BTreeMap<u64, JoinHandle<()>>>,
    /// Something waits, or all is over.
    work: Condvar,
    /// All is over.
    over: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    /// As many as there are threads, so that they are looked for one by one.
    running: Vec<Running>,
    held: HeldAnswers,
    /// How many threads wait for work.
    idle: usize,
    begun: u64,
    threads: u64,
    /// Threads up to this one hand their seats to others.
    succeeded: u64,
    /// How many threads there should be.
    sessions: u8,
    lost: u8,
    /// Threads that were given up and have not come back.
    gone: u16,
    paused_until: Option<Instant>,
    is_closed: bool,
}

struct Job {
    limit: Duration,
    asked: Arc<dyn Asked>,
}

/// A job that a thread has taken.
struct Taken {
    number: u64,
    until: Instant,
    asked: Arc<dyn Asked>,
}

/// A job that came back from the module.
struct Done {
    number: u64,
    /// None if it panicked: then it is given up already.
    answer: Option<Arc<dyn Asked>>,
    took: Duration,
}

struct Running {
    number: u64,
    thread: u64,
    until: Instant,
    asked: Arc<dyn Asked>,
}

/// A call of a token: how long it may take, and whether it makes something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) limit: Duration,
    pub(crate) effect: Effect,
}

impl Pool {
    /// Starts one thread with a session of its own, which tries the token, and one that watches it.
    pub(crate) fn start(
        token: Arc<Token>,
        limits: HsmLimits,
        observer: Observer,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            token,
            limits,
            observer,
            state: Mutex::new(State { sessions: 1, ..State::default() }),
            threads: Mutex::default(),
            work: Condvar::new(),
            over: Condvar::new(),
        });
        let mut pool = Self { shared: Arc::clone(&shared), watch: None };
        threads::fill_up(&shared)?;
        let watch = thread::Builder::new().name("hsm-watch".into());
        pool.watch = Some(watch.spawn(move || threads::watch(&shared))?);
        Ok(pool)
    }

    /// Has so many other threads sign from now on.
    pub(crate) fn settle(&self, sessions: u8) -> std::io::Result<()> {
        let mut state = self.shared.lock();
        state.sessions = sessions;
        state.succeeded = state.threads;
        drop(state);
        self.shared.work.notify_all();
        threads::fill_up(&self.shared)
    }

    pub(crate) fn token(&self) -> &Arc<Token> {
        &self.shared.token
    }

    pub(crate) fn limits(&self) -> HsmLimits {
        self.shared.limits
    }

    /// How the sessions are used.
    pub(crate) fn usage(&self) -> Usage {
        let count = |length| u64::try_from(length).unwrap_or(u64::MAX);
        let sessions = count(lock(&self.shared.threads).len());
        let state = self.shared.lock();
        let (running, waiting) = (count(state.running.len()), count(state.waiting.len()));
        Usage { sessions, running, waiting }
    }

    /// Whether calls are tried, or refused because threads were lost.
    pub(crate) fn is_open(&self) -> bool {
        !self.shared.lock().is_paused()
    }

    /// Does something with a seat.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        call: Call,
        work: impl FnMut(&mut Seat) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (asked, awaited) = Question::new(work, call.effect);
        self.shared.add(Job { limit: call.limit, asked })?;
        awaited.await
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(|job| job.asked.give_up(Begun::No));
        self.shared.work.notify_all();
        self.shared.over.notify_all();
        // Whoever ends the process next must not find threads inside of the module; those that are
        // lost stay there whatever is done. Closing may hang too, so it is waited for and no more.
        let until = Instant::now().checked_add(self.shared.limits.sign);
        let (shared, watch) = (Arc::clone(&self.shared), self.watch.take());
        let closing = thread::Builder::new().name("hsm-close".into()).spawn(move || {
            let threads = std::mem::take(&mut *lock(&shared.threads));
            for thread in threads.into_values().chain(watch) {
                // What panicked in it was told.
                let _panicked = thread.join();
            }
            shared.token.close();
        });
        let Ok(closing) = closing else { return };
        while !closing.is_finished() && until.is_some_and(|until| Instant::now() < until) {
            thread::sleep(LOOK_AGAIN);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn add(&self, job: Job) -> Result<(), Fault> {
        // A process that was forked has none of the threads.
        self.token.module().check_process()?;
        let mut state = self.lock();
        if state.is_paused() {
            let what = "the module lost threads; it is left alone for a while";
            return Err(Fault::found(ErrorKind::Unavailable, what));
        }
        if state.waiting.len() >= usize::from(self.limits.waiting) {
            let kind = ErrorKind::Throttled { retry_after: None };
            return Err(Fault::found(kind, "too many calls wait for the token"));
        }
        state.waiting.push_back(job);
        let is_awaited = state.idle > 0;
        drop(state);
        if is_awaited {
            self.work.notify_one();
        }
        Ok(())
    }

    /// Takes what a thread has done, and gives it the next job, noted as running; none once all is
    /// over, or if the thread was given up or has a successor. `ready` is empty, and the thread's
    /// own.
    fn turn(
        &self,
        thread: u64,
        done: Option<Done>,
        ready: &mut Vec<Arc<dyn Asked>>,
    ) -> Option<Taken> {
        let mut state = self.lock();
        if let Some(Done { number, answer, took }) = done {
            // Whoever was given up came back after all, and another thread has its place.
            if state.end(number).is_none() {
                state.gone = state.gone.saturating_sub(1);
                return None;
            }
            state.lost = 0;
            let others = state.waiting.len();
            state.held.hold(answer, took, others, ready);
            if !ready.is_empty() {
                drop(state);
                hand_over(ready);
                state = self.lock();
            }
        }
        loop {
            if state.is_closed {
                state.held.all(ready);
                drop(state);
                hand_over(ready);
                return None;
            }
            if thread <= state.succeeded {
                return None;
            }
            if let Some(job) = state.waiting.pop_front() {
                return Some(state.begin(job, thread));
            }
            state.idle = state.idle.saturating_add(1);
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle = state.idle.saturating_sub(1);
        }
    }
}

impl State {
    fn is_paused(&self) -> bool {
        self.gone >= GONE_MAX || self.paused_until.is_some_and(|until| Instant::now() < until)
    }

    fn begin(&mut self, Job { limit, asked }: Job, thread: u64) -> Taken {
        self.begun = self.begun.wrapping_add(1);
        let (number, now) = (self.begun, Instant::now());
        let until = now.checked_add(limit).unwrap_or(now);
        self.running.push(Running { number, thread, until, asked: Arc::clone(&asked) });
        Taken { number, until, asked }
    }

    fn end(&mut self, number: u64) -> Option<Running> {
        let at = self.running.iter().position(|running| running.number == number)?;
        Some(self.running.swap_remove(at))
    }

    /// Takes out what should have come back by now: its threads are gone.
    fn overdue(&mut self, now: Instant) -> Vec<Running> {
        let late: Vec<Running> = self.running.extract_if(.., |job| job.until <= now).collect();
        self.gone = self.gone.saturating_add(u16::try_from(late.len()).unwrap_or(u16::MAX));
        late
    }
}

/// Nobody waits for ever, whatever became of the threads.
impl Drop for Shared {
    fn drop(&mut self) {
        let (mut state, mut held) = (self.lock(), Vec::new());
        state.held.all(&mut held);
        hand_over(&mut held);
        state.running.drain(..).for_each(|job| job.asked.give_up(Begun::Yes));
        state.waiting.drain(..).for_each(|job| job.asked.give_up(Begun::No));
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("token", &self.token).finish_non_exhaustive()
    }
}

/// So many threads may be lost in the module before it is left alone until some come back.
const GONE_MAX: u16 = 32;
/// How often it is looked whether a thread has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
