//! Simulates worlds, seed after seed, and stops at the first in which something is wrong.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to its terminal"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use clap::Parser;
use custody_sim::{Outcome, Sabotage};

/// The whole custodian, simulated on a seed.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Replays one seed and prints everything that happens.
    #[arg(long, conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
    /// Goes on after a failure, and names every seed that fails.
    #[arg(long)]
    keep_going: bool,
    /// Puts a part in each world that breaks its contract.
    #[arg(long, value_name = "NAME", value_parser = sabotage)]
    sabotage: Option<Sabotage>,
    /// Worlds at once; as many as there are processors if it is not given.
    #[arg(long)]
    threads: Option<usize>,
}

#[derive(Debug, Default)]
struct Sums {
    worlds: AtomicU64,
    lives: AtomicU64,
    events: AtomicU64,
    orders: AtomicU64,
    released: AtomicU64,
    counts: Mutex<BTreeMap<&'static str, u64>>,
    failures: Mutex<Vec<Outcome>>,
}

impl Sums {
    fn add(&self, outcome: Outcome) {
        for (sum, number) in [
            (&self.worlds, 1),
            (&self.lives, outcome.lives),
            (&self.events, outcome.events),
            (&self.orders, outcome.orders),
            (&self.released, outcome.released),
        ] {
            sum.fetch_add(number, Ordering::Relaxed);
        }
        if let Ok(mut counts) = self.counts.lock() {
            for (what, number) in &outcome.counts {
                let sum = counts.entry(what).or_default();
                *sum = sum.saturating_add(*number);
            }
        }
        if outcome.violation.is_some()
            && let Ok(mut failures) = self.failures.lock()
        {
            failures.push(outcome);
        }
    }

    fn has_failed(&self) -> bool {
        self.failures.lock().is_ok_and(|failures| !failures.is_empty())
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => replay(&simulate(seed, &arguments)),
        None => search(&arguments),
    }
}

fn sabotage(name: &str) -> Result<Sabotage, String> {
    let names = || Sabotage::ALL.map(|sabotage| format!("{sabotage:?}"));
    let known = Sabotage::ALL.into_iter().zip(names()).find(|(_, known)| known == name);
    known.map(|(sabotage, _)| sabotage).ok_or_else(|| format!("one of {}", names().join(", ")))
}

fn simulate(seed: u64, arguments: &Arguments) -> Outcome {
    match arguments.sabotage {
        None => custody_sim::simulate(seed),
        Some(sabotage) => custody_sim::simulate_with(seed, sabotage),
    }
}

fn replay(outcome: &Outcome) -> ExitCode {
    for line in &outcome.trace {
        println!("{line}");
    }
    match &outcome.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            eprintln!("seed {}: {violation}", outcome.seed);
            ExitCode::FAILURE
        }
    }
}

fn search(arguments: &Arguments) -> ExitCode {
    let start = Instant::now();
    let (sums, next) = (Sums::default(), AtomicU64::new(0));
    let processors = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..arguments.threads.unwrap_or(processors) {
            scope.spawn(|| {
                while arguments.keep_going || !sums.has_failed() {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= arguments.seeds {
                        return;
                    }
                    sums.add(simulate(arguments.first.saturating_add(number), arguments));
                }
            });
        }
    });
    let sum = |sum: &AtomicU64| sum.load(Ordering::Relaxed);
    println!(
        "{} seeds from {}: {} lives, {} events, {} orders, {} released with signatures, {:.1} s",
        sum(&sums.worlds),
        arguments.first,
        sum(&sums.lives),
        sum(&sums.events),
        sum(&sums.orders),
        sum(&sums.released),
        start.elapsed().as_secs_f64(),
    );
    for (what, number) in sums.counts.into_inner().unwrap_or_default() {
        println!("{number:>12} {what}");
    }
    let mut failures = sums.failures.into_inner().unwrap_or_default();
    failures.sort_by_key(|outcome| outcome.seed);
    for outcome in failures.iter().skip(1) {
        if let Some(violation) = &outcome.violation {
            eprintln!("seed {}: {violation}", outcome.seed);
        }
    }
    match failures.first() {
        None => ExitCode::SUCCESS,
        Some(outcome) => {
            eprintln!("{outcome}");
            ExitCode::FAILURE
        }
    }
}
