//! One series after the other.
//!
//! Invariant: nothing is measured before everything that is asked for could be opened, and no
//! figure is written before every signature behind it was verified.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::HarnessError;
use super::document::{Role, Run, Series, Settings, Status};
use super::environment::{Build, Environment};
use super::load::{Load, Taken, capacity, load};
use super::number::count;
use super::output::Output;
use super::plan::{Loop, Plan};
use super::progress::Progress;
use super::provider::{Backends, Governed, Governor, Opened, Peer, Provider, Wanted};
use super::stage::Stages;
use super::summary::{Turns, summarise, verify};
use super::target::{SignerTarget, Target, new_signer};

/// What a program can measure.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Bench {
    /// The backends.
    pub backends: Backends,
    /// How they are put under governance.
    pub governor: Option<Arc<dyn Governor>>,
    /// Reads a file that describes a peer, such as an HTTP signer.
    pub peer_file: Option<ReadPeer>,
    /// How the program was built.
    pub build: Build,
}

/// Reads a file that describes a peer for this algorithm.
pub type ReadPeer = fn(&Path, custody_core::crypto::Algorithm) -> Result<Peer, String>;

impl Bench {
    /// A program that measures these backends.
    #[must_use]
    pub fn new(backends: Backends, build: Build) -> Self {
        Self { backends, governor: None, peer_file: None, build }
    }

    /// With a way to govern.
    #[must_use]
    pub fn with_governor(mut self, governor: impl Governor + 'static) -> Self {
        self.governor = Some(Arc::new(governor));
        self
    }

    /// With a reader of files that describe peers.
    #[must_use]
    pub fn with_peer_file(mut self, read: ReadPeer) -> Self {
        self.peer_file = Some(read);
        self
    }
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("backends", &self.backends).finish_non_exhaustive()
    }
}

/// Ends a run early; what was measured until then is kept.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends the run.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was ended.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Measures what the plan says, and writes it to the plan's folder: `run.json`, `samples.csv.gz`,
/// `latency.hlog`, `report.md` and `report.html`. What an earlier run left there goes when the
/// first series was measured.
///
/// # Errors
/// Those of [`HarnessError`]; a void run says so in `run.json` too.
///
/// # Cancel safety
/// What was measured by then is on the disk, as an interrupted run without a report.
pub async fn run(
    bench: &Bench,
    plan: Plan,
    more: Vec<Peer>,
    stop: &Stop,
) -> Result<Run, HarnessError> {
    let plan = plan.checked()?;
    let provider = bench.backends.find(&plan.backend)?;
    check_options(provider, &plan)?;
    let output = Output::create(&plan.out)?;
    let environment = Environment::read(&bench.build);
    let wanted = Wanted {
        algorithm: plan.algorithm,
        concurrency: plan.most_callers(),
        folder: output.scratch().to_owned(),
        options: plan.options.clone(),
    };
    let stages = Arc::new(Stages::default());
    let mut opened = open(provider, &wanted).await?;
    opened.peers.extend(more);
    let subjects = subjects(bench, &plan, &opened, (&wanted, &stages)).await?;
    check_names(&subjects)?;
    for subject in &subjects {
        check_rates(&plan, subject).await?;
    }
    let mut run = Run {
        v: 1,
        status: Status::Interrupted,
        started_ms: now_ms(),
        settings: settings(&plan, &opened),
        environment,
        series: Vec::new(),
    };
    let progress = Progress::new(&plan, subjects.len());
    let measured = measure(&plan, &subjects, (&mut run, &output), (stop, &progress)).await;
    progress.finish();
    run.environment.finish();
    match measured {
        Ok(()) if run.series.is_empty() => Err(HarnessError::Interrupted),
        Ok(()) => {
            run.status = if stop.is_stopped() { Status::Interrupted } else { Status::Complete };
            output.finish(&run)?;
            Ok(run)
        }
        Err(error) => {
            if let HarnessError::Void { .. } = error {
                run.status = Status::Void(error.to_string());
                run.series.clear();
                output.void(&run)?;
            }
            Err(error)
        }
    }
}

/// Who signs in a run.
struct Subject {
    role: Role,
    name: String,
    target: Arc<dyn Target>,
    stages: Option<Arc<Stages>>,
    turns: Turns,
}

async fn open(provider: &dyn Provider, wanted: &Wanted) -> Result<Opened, HarnessError> {
    let backend = provider.name().to_owned();
    let failed = |reason| HarnessError::Backend { backend: backend.clone(), reason };
    let opened = provider.open(wanted).await.map_err(failed)?;
    let has = opened.backend.algorithms();
    if has.contains(&wanted.algorithm) {
        return Ok(opened);
    }
    let names: Vec<_> = has.iter().map(ToString::to_string).collect();
    let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Err(HarnessError::Algorithm { backend, algorithm: wanted.algorithm, has })
}

fn check_options(provider: &dyn Provider, plan: &Plan) -> Result<(), HarnessError> {
    let known: Vec<_> = provider.options().iter().map(|option| option.name).collect();
    let Some(option) = plan.options.0.keys().find(|name| !known.contains(&name.as_str())) else {
        return Ok(());
    };
    let has = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(HarnessError::Option { backend: plan.backend.clone(), option: option.clone(), has })
}

async fn subjects(
    bench: &Bench,
    plan: &Plan,
    opened: &Opened,
    (wanted, stages): (&Wanted, &Arc<Stages>),
) -> Result<Vec<Subject>, HarnessError> {
    let failed = |reason| HarnessError::Backend { backend: plan.backend.clone(), reason };
    let turns = if opened.backend.in_process() { Turns::One } else { Turns::Two };
    let mut subjects = Vec::new();
    for peer in opened.peers.iter().filter(|_| plan.peers) {
        let role = if peer.is_primitive { Role::Primitive } else { Role::Peer };
        let (name, target) = (peer.name.clone(), Arc::clone(&peer.target));
        subjects.push(Subject { role, name, target, stages: None, turns });
    }
    let signer = new_signer(opened.backend.as_ref(), plan.algorithm, "key").await;
    let signer = signer.map_err(|error| failed(error.to_string()))?;
    let target = Arc::new(SignerTarget::new(signer, opened.manner));
    let name = plan.backend.clone();
    subjects.push(Subject { role: Role::Raw, name, target, stages: None, turns });
    if plan.governed {
        let governor = bench.governor.as_ref().ok_or(HarnessError::NoGovernor)?;
        let governed = Governed::new(opened, wanted, stages);
        let target = governor.govern(governed).await.map_err(failed)?;
        let (name, stages) = (plan.backend.clone(), Some(Arc::clone(stages)));
        subjects.push(Subject { role: Role::Governed, name, target, stages, turns });
    }
    Ok(subjects)
}

/// Refuses peers that files and reports could not tell apart.
fn check_names(subjects: &[Subject]) -> Result<(), HarnessError> {
    for (number, subject) in subjects.iter().enumerate() {
        let own = who(subject);
        if subjects.iter().take(number).any(|other| who(other) == own) {
            return Err(HarnessError::SameName { name: subject.name.clone() });
        }
    }
    Ok(())
}

/// Refuses arrivals that the harness itself could not make, whatever signs.
async fn check_rates(plan: &Plan, subject: &Subject) -> Result<(), HarnessError> {
    let most = plan.rates().fold(0.0, f64::max);
    let Some(callers) = plan.concurrency.iter().min().copied().filter(|_| most > 0.0) else {
        return Ok(());
    };
    let capacity = capacity(&subject.target, callers).await;
    if most <= capacity {
        return Ok(());
    }
    let reason = format!(
        "of {most}/s cannot be offered: {callers} callers on this machine make at most \
         {capacity:.0} empty calls a second"
    );
    Err(HarnessError::Bounds { option: "--rate", reason })
}

async fn measure(
    plan: &Plan,
    subjects: &[Subject],
    (run, output): (&mut Run, &Output),
    (stop, progress): (&Stop, &Progress),
) -> Result<(), HarnessError> {
    let mut number = 0_u64;
    for way in &plan.loops {
        for concurrency in &plan.concurrency {
            for subject in subjects {
                if stop.is_stopped() {
                    return Ok(());
                }
                let load = Load {
                    concurrency: *concurrency,
                    way: *way,
                    warm_up: plan.warm_up,
                    duration: plan.duration,
                    seed: plan.seed,
                    first: number << 32,
                    calls_most: plan.calls_most,
                };
                number += 1;
                let name = id(subject, &load);
                let _bar = progress.series(&name, plan.warm_up + plan.duration);
                let (series, taken) = one(subject, load, name, stop).await?;
                if stop.is_stopped() && series.count == 0 {
                    return Ok(());
                }
                if run.series.is_empty() {
                    output.begin()?;
                }
                output.series(&series, &taken.samples)?;
                run.series.push(series);
                output.run(run)?;
            }
        }
    }
    Ok(())
}

async fn one(
    subject: &Subject,
    load: Load,
    id: String,
    stop: &Stop,
) -> Result<(Series, Taken), HarnessError> {
    let stages = subject.stages.clone();
    let timing = || {
        if let Some(stages) = &stages {
            stages.start();
        }
    };
    let taken = self::load(&subject.target, load, &stop.0, timing).await;
    let verify_mean_ns = verify(&id, &subject.target, &taken.answers)?;
    let timed = match &stages {
        Some(stages) => stages.stop()?,
        None => Vec::new(),
    };
    let (who, figures) = ((subject.role, subject.name.as_str()), (&taken, &*timed, subject.turns));
    let series = summarise(who, load, (id, verify_mean_ns), figures)?;
    Ok((series, taken))
}

fn settings(plan: &Plan, opened: &Opened) -> Settings {
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Settings {
        backend: plan.backend.clone(),
        backend_facts: opened.facts.clone(),
        algorithm: plan.algorithm.to_string(),
        concurrency: plan.concurrency.iter().map(|callers| count(*callers)).collect(),
        loops: plan.loops.clone(),
        duration_ms: milliseconds(plan.duration),
        warm_up_ms: milliseconds(plan.warm_up),
        governed: plan.governed,
        peers: plan.peers,
        seed: plan.seed,
    }
}

fn who(subject: &Subject) -> String {
    match subject.role {
        Role::Governed => "governed".to_owned(),
        Role::Raw => "raw".to_owned(),
        Role::Peer | Role::Primitive => {
            let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
            format!("peer-{}", subject.name.chars().map(plain).collect::<String>())
        }
    }
}

fn id(subject: &Subject, load: &Load) -> String {
    let who = who(subject);
    let callers = load.concurrency;
    match load.way {
        Loop::Closed => format!("{who}-closed-c{callers}"),
        Loop::Open { rate } => format!("{who}-open-c{callers}-r{rate}"),
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
