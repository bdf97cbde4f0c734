//! The command line: `run`, `report`, `check`, `compare` and `backends`.
#![expect(clippy::print_stderr, reason = "a command line")]

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use custody_core::crypto::Algorithm;

use super::compare::{Machines, Verdict, compare};
use super::document::Status;
use super::plan::{Loop, Plan, parse_algorithm, parse_duration};
use super::run::{Bench, Stop, run};
use super::{HarnessError, check, write_report};

/// Runs the command line of this process over what `bench` can measure.
#[must_use]
pub fn main(bench: &Bench) -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Backends => backends(bench),
        Command::Check { folder } => check(&folder).map(|()| {
            say(format_args!("the histograms of {} are those of its samples", folder.display()));
            ExitCode::SUCCESS
        }),
        Command::Compare { before, after, force } => {
            compare(&before, &after, machines(force)).map(|found| {
                say(found.to_string().trim_end());
                match found.verdict() {
                    Verdict::Slower => ExitCode::from(3),
                    Verdict::Faster | Verdict::Same => ExitCode::SUCCESS,
                }
            })
        }
        Command::Report { folder } => write_report(&folder).map(|()| ExitCode::SUCCESS),
        Command::Run(arguments) => measure(bench, arguments),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("custody-bench: {error}");
        ExitCode::FAILURE
    })
}

const fn machines(force: bool) -> Machines {
    if force { Machines::Any } else { Machines::Same }
}

/// Writes a line. Whoever has hung up wants no more.
fn say(line: impl Display) {
    let _written = writeln!(std::io::stdout(), "{line}");
}

fn backends(bench: &Bench) -> Result<ExitCode, HarnessError> {
    for backend in bench.backends.all() {
        say(format_args!("{}: {}", backend.name(), backend.about()));
        for option in backend.options() {
            say(format_args!("    --option {}=…  {}", option.name, option.about));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(bench: &Bench, arguments: RunArguments) -> Result<ExitCode, HarnessError> {
    let peer_file = arguments.http_signer.clone();
    let plan = arguments.plan()?;
    let failed = |reason: String| HarnessError::Bounds { option: "--http-signer", reason };
    let more = match (peer_file, bench.peer_file) {
        (None, _) => Vec::new(),
        (Some(_), None) => return Err(failed("is not known to this program".to_owned())),
        (Some(path), Some(read)) => vec![read(&path, plan.algorithm).map_err(failed)?],
    };
    let (out, stop) = (plan.out.clone(), Stop::default());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(2_048)
        .build()
        .map_err(|error| HarnessError::Machine { reason: error.to_string() })?;
    let listener = stop.clone();
    let outcome = runtime.block_on(async {
        // The second Ctrl-C ends the process at once.
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                eprintln!("custody-bench: interrupted; what was measured is kept");
                listener.stop();
                if tokio::signal::ctrl_c().await.is_ok() {
                    std::process::exit(INTERRUPTED.into());
                }
            }
        });
        run(bench, plan, more, &stop).await
    });
    // A call that never returns holds nobody up.
    runtime.shutdown_timeout(Duration::from_secs(1));
    let measured = match outcome {
        Err(HarnessError::Interrupted) => {
            eprintln!("custody-bench: {}", HarnessError::Interrupted);
            return Ok(ExitCode::from(INTERRUPTED));
        }
        outcome => outcome?,
    };
    say(out.join("report.html").display());
    match measured.status {
        Status::Interrupted => {
            say(format_args!("interrupted: {} series were measured", measured.series.len()));
            Ok(ExitCode::from(INTERRUPTED))
        }
        Status::Complete | Status::Void(_) => Ok(ExitCode::SUCCESS),
    }
}

/// Measures signing backends.
#[derive(Debug, Parser)]
#[command(name = "custody-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the backends and their options.
    Backends,
    /// Counts the histograms of a run again from its samples.
    Check {
        /// The folder of the run.
        folder: PathBuf,
    },
    /// Compares two runs; ends with 3 if the second is slower.
    Compare {
        /// The folder of the run before.
        before: PathBuf,
        /// The folder of the run after.
        after: PathBuf,
        /// Compares runs of different machines too.
        #[arg(long)]
        force: bool,
    },
    /// Writes the report of a run anew, from its run.json alone.
    Report {
        /// The folder of the run.
        folder: PathBuf,
    },
    /// Measures a backend.
    Run(RunArguments),
}

#[derive(Debug, Args)]
struct RunArguments {
    /// The backend; `backends` lists them.
    #[arg(long)]
    backend: String,
    /// secp256k1, p256, bip340 or ed25519.
    #[arg(long, value_parser = parse_algorithm, default_value = "secp256k1")]
    algorithm: Algorithm,
    /// Callers at once, one series each.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    concurrency: Vec<usize>,
    /// How long each series is timed.
    #[arg(long, value_parser = parse_duration, default_value = "5s")]
    duration: Duration,
    /// How long each series runs before it is timed.
    #[arg(long, value_parser = parse_duration, default_value = "1s")]
    warm_up: Duration,
    /// An open loop: so many calls a second are due, one series a rate.
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    rate: Vec<f64>,
    /// With --rate: a closed loop before it.
    #[arg(long)]
    also_closed: bool,
    /// Measures the governed path too.
    #[arg(long)]
    governed: bool,
    /// Measures no peers.
    #[arg(long)]
    no_peers: bool,
    /// A template of an HTTP signer that is measured as a peer.
    #[arg(long)]
    http_signer: Option<PathBuf>,
    /// What is signed follows from it.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// An option of the backend.
    #[arg(long = "option", short = 'o', value_name = "NAME=VALUE", value_parser = parse_option)]
    options: Vec<(String, String)>,
    /// Where the results go.
    #[arg(long)]
    out: PathBuf,
}

impl RunArguments {
    fn plan(self) -> Result<Plan, HarnessError> {
        let mut plan = Plan::new(&self.backend, self.algorithm, self.out);
        plan.concurrency = self.concurrency;
        plan.duration = self.duration;
        plan.warm_up = self.warm_up;
        plan.governed = self.governed;
        plan.peers = !self.no_peers;
        plan.seed = self.seed;
        let closed = self.also_closed || self.rate.is_empty();
        let closed = closed.then_some(Loop::Closed);
        let open = self.rate.into_iter().map(|rate| Loop::Open { rate });
        plan.loops = closed.into_iter().chain(open).collect();
        let given = self.options.len();
        let options: BTreeMap<_, _> = self.options.into_iter().collect();
        if options.len() < given {
            let reason = "is given twice with one name".to_owned();
            return Err(HarnessError::Bounds { option: "--option", reason });
        }
        plan.with_options(options).checked()
    }
}

fn parse_option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("an option has the form NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What shells call the end of a process by Ctrl-C.
const INTERRUPTED: u8 = 130;
