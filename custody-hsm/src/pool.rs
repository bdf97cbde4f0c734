//! Threads that own sessions, and the one that watches them.
//!
//! Invariant: a caller's task never enters the module. A call that was begun and does not come back
//! in time is answered as what it is, "it may have happened" if it makes something, and its thread
//! is given up: nothing can take a thread out of a foreign library.
//!
//! Answers of quick calls are handed over a few at a time while others wait, for waking a caller
//! costs as much as a good part of a signature. If all threads hang, the watch hands them over.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use custody_core::seam::ErrorKind;
use futures::channel::oneshot;

use crate::answers::{Answer, HeldAnswers, answer, hand_over};
use crate::config::HsmLimits;
use crate::fault::{Effect, Fault};
use crate::observer::{HsmEvent, Observer};
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
    sessions: u8,
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
    running: BTreeMap<u64, Running>,
    held: HeldAnswers,
    /// How many threads wait for work.
    idle: usize,
    begun: u64,
    threads: u64,
    lost: u8,
    /// Threads that were given up and have not come back.
    gone: u16,
    paused_until: Option<Instant>,
    is_closed: bool,
}

struct Job {
    limit: Duration,
    run: Run,
    give_up: Box<dyn FnOnce(Begun) + Send>,
}

/// Does the work, and gives what hands its answer over.
type Run = Box<dyn FnOnce(&mut Seat) -> Answer + Send>;

/// A job that came back from the module.
struct Done {
    number: u64,
    /// None if it panicked: then nobody is left to be answered.
    answer: Option<Answer>,
    took: Duration,
}

struct Running {
    thread: u64,
    until: Instant,
    give_up: Box<dyn FnOnce(Begun) + Send>,
}

/// Whether a job that is given up had begun.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    No,
    Yes,
}

/// A call of a token: how long it may take, and whether it makes something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) limit: Duration,
    pub(crate) effect: Effect,
}

impl Pool {
    /// Starts so many threads, each with a session of its own, and one that watches them.
    pub(crate) fn start(
        token: Arc<Token>,
        sessions: u8,
        limits: HsmLimits,
        observer: Observer,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            token,
            sessions,
            limits,
            observer,
            state: Mutex::default(),
            threads: Mutex::default(),
            work: Condvar::new(),
            over: Condvar::new(),
        });
        let mut pool = Self { shared: Arc::clone(&shared), watch: None };
        for _ in 0..sessions {
            spawn(&shared)?;
        }
        let watch = thread::Builder::new().name("hsm-watch".into());
        pool.watch = Some(watch.spawn(move || self::watch(&shared))?);
        Ok(pool)
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
        work: impl FnOnce(&mut Seat) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (sender, receiver) = oneshot::channel();
        let here = Arc::new(Mutex::new(Some(sender)));
        let there = Arc::clone(&here);
        let job = Job {
            limit: call.limit,
            run: Box::new(move |seat| {
                let is_wanted = |sender: &oneshot::Sender<_>| !sender.is_canceled();
                if !lock(&here).as_ref().is_some_and(is_wanted) {
                    return Box::new(|| {});
                }
                let result = work(seat);
                Box::new(move || answer(&here, result))
            }),
            give_up: Box::new(move |begun| answer(&there, Err(given_up(begun, call.effect)))),
        };
        self.shared.add(job)?;
        // A sender that is gone is a panic on the way.
        receiver.await.unwrap_or_else(|_| Err(given_up(Begun::Yes, call.effect)))
    }
}

const fn given_up(begun: Begun, effect: Effect) -> Fault {
    let what = "the module did not answer in time";
    match (begun, effect) {
        (Begun::Yes, Effect::Some) => Fault::found(ErrorKind::Indeterminate, what),
        (Begun::Yes, Effect::None) => Fault::found(ErrorKind::Unavailable, what),
        (Begun::No, _) => Fault::found(ErrorKind::Unavailable, "no thread was free to ask it"),
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(|job| (job.give_up)(Begun::No));
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
    /// over, or if the thread was given up.
    fn turn(&self, thread: u64, done: Option<Done>) -> Option<(u64, Instant, Run)> {
        let mut state = self.lock();
        if let Some(Done { number, answer, took }) = done {
            // Whoever was given up came back after all, and another thread has its place.
            if state.running.remove(&number).is_none() {
                state.gone = state.gone.saturating_sub(1);
                return None;
            }
            state.lost = 0;
            let others = state.waiting.len();
            let answers = state.held.hold(answer, took, others);
            if !answers.is_empty() {
                drop(state);
                hand_over(answers);
                state = self.lock();
            }
        }
        loop {
            if state.is_closed {
                let answers = state.held.all();
                drop(state);
                hand_over(answers);
                return None;
            }
            if let Some(job) = state.waiting.pop_front() {
                state.begun = state.begun.wrapping_add(1);
                let number = state.begun;
                let now = Instant::now();
                let until = now.checked_add(job.limit).unwrap_or(now);
                state.running.insert(number, Running { thread, until, give_up: job.give_up });
                return Some((number, until, job.run));
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

    /// Takes out what should have come back by now: its threads are gone.
    fn overdue(&mut self, now: Instant) -> Vec<Running> {
        let late = self.running.iter().filter(|(_, job)| job.until <= now);
        let late: Vec<u64> = late.map(|(number, _)| *number).collect();
        self.gone = self.gone.saturating_add(u16::try_from(late.len()).unwrap_or(u16::MAX));
        late.into_iter().filter_map(|number| self.running.remove(&number)).collect()
    }
}

fn spawn(shared: &Arc<Shared>) -> std::io::Result<()> {
    let its = Arc::clone(shared);
    let number = {
        let mut state = shared.lock();
        state.threads = state.threads.wrapping_add(1);
        state.threads
    };
    let thread = thread::Builder::new().name("hsm".into()).spawn(move || serve(&its, number))?;
    lock(&shared.threads).insert(number, thread);
    Ok(())
}

fn serve(shared: &Arc<Shared>, thread: u64) {
    let mut seat = Seat::new(Arc::clone(&shared.token));
    let mut done = None;
    while let Some((number, until, run)) = shared.turn(thread, done) {
        let since = Instant::now();
        seat.set_until(until);
        let answer = catch_unwind(AssertUnwindSafe(|| run(&mut seat))).ok();
        if answer.is_none() {
            tracing::error!("a call of a token panicked");
            seat = Seat::new(Arc::clone(&shared.token));
        }
        done = Some(Done { number, answer, took: since.elapsed() });
    }
    seat.close();
}

fn watch(shared: &Arc<Shared>) {
    let tick = shared.limits.sign.checked_div(TICKS).unwrap_or(TICK_MIN);
    let tick = tick.clamp(TICK_MIN, TICK_MAX);
    loop {
        let mut state = shared.lock();
        if state.is_closed {
            return;
        }
        let (late, held) = (state.overdue(Instant::now()), state.held.all());
        drop(state);
        hand_over(held);
        if !late.is_empty() {
            lose(shared, late);
        }
        fill_up(shared);
        let state = shared.lock();
        if !state.is_closed {
            drop(shared.over.wait_timeout(state, tick));
        }
    }
}

/// Starts the threads that are missing. Without any, nobody who waits would be answered.
fn fill_up(shared: &Arc<Shared>) {
    let missing = || usize::from(shared.sessions) > lock(&shared.threads).len();
    let is_allowed = |state: MutexGuard<'_, State>| !state.is_closed && state.gone < GONE_MAX;
    while missing() && is_allowed(shared.lock()) {
        if let Err(error) = spawn(shared) {
            tracing::error!(%error, "a thread for a token could not be started");
            break;
        }
    }
    if lock(&shared.threads).is_empty() {
        let waiting = std::mem::take(&mut shared.lock().waiting);
        waiting.into_iter().for_each(|job| (job.give_up)(Begun::No));
    }
}

/// Answers for threads that do not come back, and after a few leaves the module alone.
fn lose(shared: &Arc<Shared>, late: Vec<Running>) {
    shared.token.module().set_stuck();
    let lost = u8::try_from(late.len()).unwrap_or(u8::MAX);
    for job in late {
        drop(lock(&shared.threads).remove(&job.thread));
        (job.give_up)(Begun::Yes);
    }
    let mut state = shared.lock();
    state.lost = state.lost.saturating_add(lost);
    if state.lost < shared.limits.lost_threads {
        return;
    }
    let lost = std::mem::take(&mut state.lost);
    state.paused_until = Instant::now().checked_add(shared.limits.pause);
    let waiting = std::mem::take(&mut state.waiting);
    drop(state);
    waiting.into_iter().for_each(|job| (job.give_up)(Begun::No));
    tracing::error!(lost, "calls of a module do not come back; it is left alone for a while");
    shared.observer.tell(&HsmEvent::ThreadsLost { lost });
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("token", &self.token).finish_non_exhaustive()
    }
}

/// So many threads may be lost in the module before it is left alone until some come back.
const GONE_MAX: u16 = 32;
/// How often in the time of a signature the watch looks.
const TICKS: u32 = 10;
/// How often it is looked whether a thread has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
const TICK_MIN: Duration = Duration::from_millis(10);
const TICK_MAX: Duration = Duration::from_millis(500);
