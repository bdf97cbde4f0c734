//! The load: callers of a target, in a closed or an open loop.
//!
//! Invariant: in an open loop the time of a call begins when it is due, whoever is ready to make
//! it. What waits behind a stall is timed with the stall.

mod arrivals;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::number::{count, float};
use super::plan::Loop;
use super::target::{Answer, Job, Manner, Target};
use arrivals::{Arrivals, arrivals, due_after};

/// How a target is loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) concurrency: usize,
    pub(crate) way: Loop,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
    pub(crate) seed: u64,
    /// The number of the first job.
    pub(crate) first: u64,
    /// So many calls, warm-up included, and a closed loop is over before its time.
    pub(crate) calls_most: u64,
}

/// When a call was due, was made and was answered, from the beginning of the timed part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a line of samples.csv.gz")]
pub struct Sample {
    /// The number of its job.
    pub number: u64,
    /// When it was due; in a closed loop, when it was made.
    pub intended_ns: u64,
    /// When it was made.
    pub started_ns: u64,
    /// When it was answered.
    pub ended_ns: u64,
}

impl Sample {
    /// How long it took, from when it was due.
    #[must_use]
    pub const fn latency_ns(&self) -> u64 {
        self.ended_ns.saturating_sub(self.intended_ns)
    }
}

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) samples: Vec<Sample>,
    pub(crate) answers: Vec<(Job, Answer)>,
    pub(crate) errors: BTreeMap<String, u64>,
    /// Calls that were made, or due in the timed part, and have no answer.
    pub(crate) unanswered: u64,
    /// Whether a closed loop was over before its time.
    pub(crate) is_cut: bool,
    /// Of an open loop: how late calls were handed to whoever makes them.
    pub(crate) lateness: Vec<u64>,
}

/// Loads a target; `timing` is told when the timed part begins.
pub(crate) async fn load(
    target: &Arc<dyn Target>,
    load: Load,
    stop: &Arc<AtomicBool>,
    timing: impl FnOnce() + Send,
) -> Taken {
    let shared = Arc::new(Shared::new(Arc::clone(target), load, Arc::clone(stop)));
    let callers: Vec<_> = (0..load.concurrency)
        .map(|number| {
            let caller = Arc::clone(&shared);
            match target.manner() {
                Manner::Tasks => tokio::spawn(async move { caller.call(number).await }),
                Manner::Threads => {
                    let handle = Handle::current();
                    tokio::task::spawn_blocking(move || handle.block_on(caller.call(number)))
                }
            }
        })
        .collect();
    let arrivals = match load.way {
        Loop::Closed => None,
        Loop::Open { rate } => Some(Arrivals::start(&shared, rate)),
    };
    while !shared.is_stopped() && Instant::now() < shared.begin {
        // A stop is noticed soon.
        let soon = Instant::now() + Duration::from_millis(50);
        tokio::time::sleep_until(shared.begin.min(soon).into()).await;
    }
    timing();
    wait_for(callers, &shared).await;
    shared.is_over.store(true, Ordering::Relaxed);
    let lateness = arrivals.map(Arrivals::stop).unwrap_or_default();
    shared.take(lateness)
}

/// Waits for the callers' last answers, but not for ever. One that panics or never returns has no
/// more of them.
async fn wait_for(callers: Vec<JoinHandle<()>>, shared: &Shared) {
    let mut limit = shared.end + patience(shared.load.duration);
    let mut is_stopped = false;
    for mut caller in callers {
        while Instant::now() < limit {
            if shared.is_stopped() && !is_stopped {
                is_stopped = true;
                limit = limit.min(Instant::now() + GRACE);
            }
            let soon = limit.min(Instant::now() + Duration::from_millis(50));
            if tokio::time::timeout_at(soon.into(), &mut caller).await.is_ok() {
                break;
            }
        }
    }
}

/// How many empty calls a second these callers make: more cannot be offered.
pub(crate) async fn capacity(target: &Arc<dyn Target>, concurrency: usize) -> f64 {
    let duration = Duration::from_millis(100);
    let trial = Load {
        concurrency,
        way: Loop::Closed,
        warm_up: Duration::from_millis(10),
        duration,
        seed: 0,
        first: 0,
        calls_most: u64::MAX,
    };
    let idle: Arc<dyn Target> = Arc::new(Idle(target.manner()));
    let taken = load(&idle, trial, &Arc::default(), || {}).await;
    float(count(taken.samples.len())) / duration.as_secs_f64()
}

/// How long calls are waited for after the end: as long again, and at least ten seconds.
fn patience(duration: Duration) -> Duration {
    duration.max(Duration::from_secs(10))
}

#[derive(Debug)]
struct Shared {
    target: Arc<dyn Target>,
    load: Load,
    origin: Instant,
    begin: Instant,
    end: Instant,
    next: AtomicU64,
    /// Open loop: calls that are due.
    due: Semaphore,
    is_over: AtomicBool,
    stop: Arc<AtomicBool>,
    is_cut: AtomicBool,
    /// What each caller has, so that none waits for another.
    callers: Vec<Caller>,
}

#[derive(Debug, Default)]
struct Caller {
    taken: Mutex<Taken>,
    /// Calls of a closed loop that it has made and that are not answered.
    waiting: AtomicU64,
}

impl Shared {
    fn new(target: Arc<dyn Target>, load: Load, stop: Arc<AtomicBool>) -> Self {
        // Callers need a moment to start.
        let origin = Instant::now() + Duration::from_millis(2);
        let begin = origin + load.warm_up;
        Self {
            target,
            load,
            origin,
            begin,
            end: begin + load.duration,
            next: AtomicU64::new(0),
            due: Semaphore::new(0),
            is_over: AtomicBool::new(false),
            stop,
            is_cut: AtomicBool::new(false),
            callers: (0..load.concurrency).map(|_| Caller::default()).collect(),
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.is_over.load(Ordering::Relaxed)
    }

    async fn call(&self, caller: usize) {
        let Some(own) = self.callers.get(caller) else { return };
        match self.load.way {
            Loop::Closed => self.call_closed(own).await,
            Loop::Open { rate } => self.call_open(own, rate).await,
        }
    }

    async fn call_closed(&self, own: &Caller) {
        while !self.is_stopped() && Instant::now() < self.end {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.load.calls_most {
                self.is_cut.store(true, Ordering::Relaxed);
                return;
            }
            let job = self.job(index);
            let started = Instant::now();
            own.waiting.fetch_add(1, Ordering::Relaxed);
            let answer = self.target.sign(&job).await;
            own.waiting.fetch_sub(1, Ordering::Relaxed);
            self.keep(own, job, (started, started, Instant::now()), answer);
        }
    }

    async fn call_open(&self, own: &Caller, rate: f64) {
        let total = arrivals(self.load.warm_up + self.load.duration, rate);
        loop {
            let Ok(permit) = self.due.acquire().await else { return };
            permit.forget();
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= total || self.is_stopped() {
                return;
            }
            let job = self.job(index);
            let intended = self.origin + due_after(index, rate);
            let started = Instant::now();
            let answer = self.target.sign(&job).await;
            self.keep(own, job, (intended, started, Instant::now()), answer);
        }
    }

    fn job(&self, index: u64) -> Job {
        Job::new(self.load.seed, self.load.first.wrapping_add(index))
    }

    fn is_timed(&self, intended: Instant) -> bool {
        (self.begin..self.end).contains(&intended)
    }

    /// Keeps what belongs to the timed part.
    fn keep(
        &self,
        own: &Caller,
        job: Job,
        (intended, started, ended): (Instant, Instant, Instant),
        answer: Result<Answer, String>,
    ) {
        if !self.is_timed(intended) {
            return;
        }
        let since = |time: Instant| {
            u64::try_from(time.saturating_duration_since(self.begin).as_nanos()).unwrap_or(u64::MAX)
        };
        let mut taken = own.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(answer) => {
                taken.samples.push(Sample {
                    number: job.number,
                    intended_ns: since(intended),
                    started_ns: since(started),
                    ended_ns: since(ended),
                });
                taken.answers.push((job, answer));
            }
            Err(error) => add_failed(&mut taken.errors, error, 1),
        }
    }

    fn take(&self, lateness: Vec<u64>) -> Taken {
        let mut taken = Taken::default();
        let mut waiting = 0;
        for own in &self.callers {
            waiting += own.waiting.load(Ordering::Relaxed);
            let mut own = own.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.samples.append(&mut own.samples);
            taken.answers.append(&mut own.answers);
            for (error, calls) in std::mem::take(&mut own.errors) {
                add_failed(&mut taken.errors, error, calls);
            }
        }
        taken.samples.sort_unstable_by_key(|sample| sample.number);
        taken.answers.sort_unstable_by_key(|(job, _)| job.number);
        let answered = count(taken.samples.len()) + taken.errors.values().sum::<u64>();
        taken.unanswered = match self.load.way {
            Loop::Closed => waiting,
            // One that was let go and that nobody has made was due all the same.
            Loop::Open { .. } => count(lateness.len()).saturating_sub(answered),
        };
        taken.is_cut = self.is_cut.load(Ordering::Relaxed);
        taken.lateness = lateness;
        taken
    }
}

/// Counts calls that failed by what was said; if there are too many texts, as others.
fn add_failed(errors: &mut BTreeMap<String, u64>, error: String, calls: u64) {
    let is_known = errors.len() < ERRORS || errors.contains_key(&error);
    let text = if is_known { error } else { "others".to_owned() };
    *errors.entry(text).or_default() += calls;
}

/// Answers nothing, at once.
#[derive(Debug)]
struct Idle(Manner);

#[async_trait::async_trait]
impl Target for Idle {
    fn manner(&self) -> Manner {
        self.0
    }

    async fn sign(&self, _job: &Job) -> Result<Answer, String> {
        if self.0 == Manner::Tasks {
            tokio::task::yield_now().await;
        }
        Ok(Answer::Bytes(Vec::new()))
    }

    fn verify(&self, _job: &Job, _answer: &Answer) -> Result<(), super::target::Wrong> {
        Ok(())
    }
}

const ERRORS: usize = 20;
/// How long answers are waited for when a run is stopped.
const GRACE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_all_counted_and_few_of_their_texts_kept() {
        let mut errors = BTreeMap::new();
        for number in 0..100 {
            add_failed(&mut errors, format!("order {number}"), 2);
            add_failed(&mut errors, "order 0".to_owned(), 1);
        }
        assert_eq!(errors.len(), ERRORS + 1);
        assert_eq!((errors["order 0"], errors["others"]), (102, 160));
    }
}
