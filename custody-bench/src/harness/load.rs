//! The load: callers of a target, in a closed or an open loop.
//!
//! Invariant: in an open loop the time of a call begins when it is due, whoever is ready to make
//! it. What waits behind a stall is timed with the stall.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::number::{count, float, whole};
use super::plan::Loop;
use super::target::{Answer, Job, Manner, Target};

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
    pub(crate) unanswered: u64,
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
    let limit = shared.end + patience(load.duration);
    for caller in callers {
        // One that panics or never returns has no more answers.
        let _ended = tokio::time::timeout_at(limit.into(), caller).await;
    }
    shared.is_over.store(true, Ordering::Relaxed);
    let lateness = arrivals.map(Arrivals::stop).unwrap_or_default();
    shared.take(lateness)
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
    /// What each caller has, so that none waits for another.
    taken: Vec<Mutex<Taken>>,
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
            taken: (0..load.concurrency).map(|_| Mutex::default()).collect(),
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.is_over.load(Ordering::Relaxed)
    }

    async fn call(&self, caller: usize) {
        let Some(own) = self.taken.get(caller) else { return };
        match self.load.way {
            Loop::Closed => self.call_closed(own).await,
            Loop::Open { rate } => self.call_open(own, rate).await,
        }
    }

    async fn call_closed(&self, own: &Mutex<Taken>) {
        while !self.is_stopped() && Instant::now() < self.end {
            let job = self.job(self.next.fetch_add(1, Ordering::Relaxed));
            let started = Instant::now();
            let answer = self.target.sign(&job).await;
            self.keep(own, job, (started, started, Instant::now()), answer);
        }
    }

    async fn call_open(&self, own: &Mutex<Taken>, rate: f64) {
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

    /// Keeps what belongs to the timed part.
    fn keep(
        &self,
        own: &Mutex<Taken>,
        job: Job,
        (intended, started, ended): (Instant, Instant, Instant),
        answer: Result<Answer, String>,
    ) {
        if intended < self.begin || intended >= self.end {
            return;
        }
        let since = |time: Instant| {
            u64::try_from(time.saturating_duration_since(self.begin).as_nanos()).unwrap_or(u64::MAX)
        };
        let mut taken = own.lock().unwrap_or_else(PoisonError::into_inner);
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
            Err(error) => {
                let known = taken.errors.len() < ERRORS || taken.errors.contains_key(&error);
                let text = if known { error } else { "others".to_owned() };
                *taken.errors.entry(text).or_default() += 1;
            }
        }
    }

    fn take(&self, lateness: Vec<u64>) -> Taken {
        let mut taken = Taken::default();
        for own in &self.taken {
            let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
            taken.samples.append(&mut own.samples);
            taken.answers.append(&mut own.answers);
            for (error, calls) in std::mem::take(&mut own.errors) {
                *taken.errors.entry(error).or_default() += calls;
            }
        }
        taken.samples.sort_unstable_by_key(|sample| sample.number);
        taken.answers.sort_unstable_by_key(|(job, _)| job.number);
        let answered = count(taken.samples.len()) + taken.errors.values().sum::<u64>();
        if let (Loop::Open { rate }, false) = (self.load.way, self.stop.load(Ordering::Relaxed)) {
            let before = arrivals(self.load.warm_up, rate);
            let all = arrivals(self.load.warm_up + self.load.duration, rate);
            taken.unanswered = (all - before).saturating_sub(answered);
        }
        taken.lateness = lateness;
        taken
    }
}

/// Calls that are due in the first `time`: those of an index that is due before its end.
fn arrivals(time: Duration, rate: f64) -> u64 {
    let mut index = whole(time.as_secs_f64() * rate);
    while due_after(index, rate) < time {
        index += 1;
    }
    while index > 0 && due_after(index - 1, rate) >= time {
        index -= 1;
    }
    index
}

/// When the call with this index is due.
fn due_after(index: u64, rate: f64) -> Duration {
    Duration::from_nanos(whole(float(index) * 1e9 / rate))
}

/// The thread that lets calls be due. It does nothing else, so that no answer delays it.
#[derive(Debug)]
struct Arrivals {
    thread: std::thread::JoinHandle<Vec<u64>>,
}

impl Arrivals {
    fn start(shared: &Arc<Shared>, rate: f64) -> Self {
        let shared = Arc::clone(shared);
        Self { thread: std::thread::spawn(move || arrive(&shared, rate)) }
    }

    fn stop(self) -> Vec<u64> {
        self.thread.join().unwrap_or_default()
    }
}

fn arrive(shared: &Shared, rate: f64) -> Vec<u64> {
    let total = arrivals(shared.load.warm_up + shared.load.duration, rate);
    let (mut released, mut lateness) = (0_u64, Vec::new());
    be_woken_in_time();
    while released < total && !shared.is_stopped() {
        let next = shared.origin + due_after(released, rate);
        let wait = next.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            // A stop is noticed soon.
            std::thread::sleep(wait.min(Duration::from_millis(50)));
            continue;
        }
        let now = Instant::now();
        let passed = now.saturating_duration_since(shared.origin);
        let due = arrivals(passed, rate).clamp(released + 1, total);
        for index in released..due {
            let late = passed.saturating_sub(due_after(index, rate));
            if shared.origin + due_after(index, rate) >= shared.begin {
                lateness.push(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX));
            }
        }
        shared.due.add_permits(usize::try_from(due - released).unwrap_or(0));
        released = due;
    }
    // Whoever still waits is woken, and sees that nothing is left.
    shared.due.add_permits(shared.load.concurrency);
    lateness
}

/// Asks Linux to end the sleeps of this thread when they end, and not up to 50 us later. Where that
/// is not possible the lateness of arrivals says so.
fn be_woken_in_time() {
    let own = std::fs::read_link("/proc/thread-self").ok();
    if let Some(number) = own.as_ref().and_then(|path| path.file_name()) {
        let path = std::path::Path::new("/proc").join(number).join("timerslack_ns");
        // Not all kernels let it.
        let _asked = std::fs::write(path, "1");
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_due_at_a_constant_rate() {
        assert_eq!(due_after(0, 1_000.0), Duration::ZERO);
        assert_eq!(due_after(1, 1_000.0), Duration::from_millis(1));
        assert_eq!(due_after(1_500, 1_000.0), Duration::from_millis(1_500));
        for (milliseconds, rate, expected) in
            [(0, 10.0, 0), (1, 10.0, 1), (100, 10.0, 1), (101, 10.0, 2), (1_000, 3.0, 3)]
        {
            let time = Duration::from_millis(milliseconds);
            assert_eq!(arrivals(time, rate), expected, "{milliseconds} ms at {rate}");
        }
    }
}
