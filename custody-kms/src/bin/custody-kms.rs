//! The command `custody-kms`: least IAM policies, and the custodian's log against CloudTrail.
//!
//! It reads the files that it is given, calls nobody and changes nothing.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use custody_core::digest::Digest;
use custody_core::replay::Documents;
use custody_core::time::Timestamp;
use custody_kms::cloud_trail::{
    CustodianMismatch, Evidence, OrderLog, OrderLogError, Period, Reconciliation, Trail,
    TrailError, TrailKeys, TrailKeysError, parse_time, reconcile,
};
use custody_kms::iam::{IamError, IamScope, IamScopeError, Use, identity_policy, key_policy};

/// Policies for, and checks of, a custodian's keys in AWS KMS.
#[derive(Debug, Parser)]
#[command(name = "custody-kms", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints the least policy for what a role does, or of a key
    Iam(IamArguments),
    /// Compares CloudTrail with the custodian's log
    Reconcile(ReconcileArguments),
}

#[derive(Debug, Args)]
struct IamArguments {
    /// The scope: account, regions, custodian, keys (TOML)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// What is done: admin, audit, create, rotation, sealed, sign, switch
    #[arg(long = "use", value_name = "USE,…", value_delimiter = ',', required = true)]
    #[arg(value_parser = parse_use)]
    uses: Vec<Use>,

    /// Prints the policy of a role that does all of these (the default)
    #[arg(long, conflicts_with = "key_policy")]
    identity: bool,

    /// Prints the policy of a key that the scope's principals use like this
    #[arg(long)]
    key_policy: bool,
}

#[derive(Debug, Args)]
struct ReconcileArguments {
    /// Files of CloudTrail, as they come (.json.gz) or unpacked: log files, or a record on each line
    #[arg(long = "trail", value_name = "FILE", num_args = 1.., required = true)]
    trails: Vec<PathBuf>,

    /// The log's events from the first one on: a file with one on each line, or an exported log
    #[arg(long, value_name = "PATH")]
    events: PathBuf,

    /// The log's documents, each in a file whose name is its SHA-256. An exported log has its own
    #[arg(long, value_name = "DIR")]
    documents: Option<PathBuf>,

    /// Which key is which, and who may call (TOML)
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,

    /// How far clocks may be apart: a number and s, m or h
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration)]
    tolerance: Duration,

    /// When the trail begins, as 2026-03-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_timestamp)]
    from: Option<Timestamp>,

    /// When the trail ends. CloudTrail delivers up to a quarter of an hour late
    #[arg(long, value_name = "TIME", value_parser = parse_timestamp)]
    until: Option<Timestamp>,

    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Iam(arguments) => print_policy(&arguments),
        Command::Reconcile(arguments) => print_comparison(&arguments),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            // Nobody is left to tell if this fails too.
            drop(writeln!(io::stderr(), "custody-kms: {}", chain(&failure)));
            ExitCode::from(UNREADABLE)
        }
    }
}

fn print_policy(arguments: &IamArguments) -> Result<ExitCode, Failure> {
    let scope = IamScope::parse(&read_text(&arguments.config)?)?;
    let uses: BTreeSet<Use> = arguments.uses.iter().copied().collect();
    let is_of_key = arguments.key_policy && !arguments.identity;
    let write = if is_of_key { key_policy } else { identity_policy };
    let policy = write(&scope, &uses)?;
    writeln!(io::stdout().lock(), "{}", policy.to_json()).map_err(Failure::Print)?;
    Ok(ExitCode::SUCCESS)
}

fn print_comparison(arguments: &ReconcileArguments) -> Result<ExitCode, Failure> {
    let report = compare(arguments)?;
    let mut out = io::stdout().lock();
    let printed = if arguments.json {
        serde_json::to_writer(&mut out, &report)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        write!(out, "{report}")
    };
    // Whoever closed our output did not read the answer; then the answer is not "clean".
    printed.map_err(Failure::Print)?;
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn compare(arguments: &ReconcileArguments) -> Result<Reconciliation, Failure> {
    let keys = TrailKeys::parse(&read_text(&arguments.keys)?)?;
    let own = arguments.events.join("documents");
    let documents = DocumentFolder(arguments.documents.as_deref().unwrap_or(&own));
    let log = OrderLog::read(keys.custodian(), events(&arguments.events)?, &documents)?;
    let mut trail = Trail::default();
    for path in &arguments.trails {
        let failed = |source| Failure::Trail { path: path.clone(), source };
        trail.read(&read(path, INPUT_MAX)?).map_err(failed)?;
    }
    let from = arguments.from.unwrap_or_default();
    let period = Period::new(from, arguments.until.unwrap_or(Timestamp::MAX));
    let tolerance = arguments.tolerance;
    Ok(reconcile(&Evidence { trail: &trail, log: &log, keys: &keys, tolerance, period })?)
}

/// The events of a file with one on each line, or of an exported log.
fn events(path: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    if path.is_dir() {
        return exported(path);
    }
    let bytes = read(path, INPUT_MAX)?;
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Ok(lines.map(<[u8]>::to_vec).collect())
}

/// As many events as the checkpoint says, out of their bundles: each after its length as two
/// big-endian bytes (C2SP `tlog-tiles`).
fn exported(directory: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let wrong = || file(directory)(io::ErrorKind::InvalidData.into());
    let note = read_text(&directory.join("checkpoint"))?;
    let size: u64 = note.lines().nth(1).and_then(|line| line.parse().ok()).ok_or_else(wrong)?;
    let mut events = Vec::new();
    for index in 0..size.div_ceil(BUNDLE) {
        let left = size.saturating_sub(index.saturating_mul(BUNDLE));
        let bundle = read(&directory.join(bundle_path(index, left.min(BUNDLE))), INPUT_MAX)?;
        let mut rest = bundle.as_slice();
        while let Some((length, tail)) = rest.split_first_chunk::<2>() {
            let parts = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)));
            let (event, tail) = parts.ok_or_else(wrong)?;
            events.push(event.to_vec());
            rest = tail;
        }
        if !rest.is_empty() {
            return Err(wrong());
        }
    }
    let is_whole = u64::try_from(events.len()).is_ok_and(|count| count == size);
    if is_whole { Ok(events) } else { Err(wrong()) }
}

/// Where a bundle of so many events is, such as `tile/entries/x001/x234/067`.
fn bundle_path(index: u64, width: u64) -> String {
    let mut path = format!("{:03}", index % 1_000);
    let mut rest = index / 1_000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1_000);
        rest /= 1_000;
    }
    let part = if width < BUNDLE { format!(".p/{width}") } else { String::new() };
    format!("tile/entries/{path}{part}")
}

/// The documents of an exported log. Whoever asks checks their digests.
struct DocumentFolder<'a>(&'a Path);

impl Documents for DocumentFolder<'_> {
    fn get(&self, sha256: &Digest) -> Option<Vec<u8>> {
        read(&self.0.join(sha256.to_string()), DOCUMENT_MAX).ok()
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Custodian(#[from] CustodianMismatch),
    #[error("the file {path} cannot be read", path = path.display())]
    File { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Iam(#[from] IamError),
    #[error(transparent)]
    Keys(#[from] TrailKeysError),
    #[error(transparent)]
    Log(#[from] OrderLogError),
    #[error("the answer cannot be printed")]
    Print(#[source] io::Error),
    #[error(transparent)]
    Scope(#[from] IamScopeError),
    #[error("the file {path} is not taken", path = path.display())]
    Trail { path: PathBuf, source: TrailError },
}

/// An error with what lies behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let bytes = read(path, TEXT_MAX)?;
    String::from_utf8(bytes).map_err(|_| file(path)(io::ErrorKind::InvalidData.into()))
}

/// All of a file of at most so many bytes.
fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let opened = File::open(path).map_err(file(path))?;
    opened.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(file(path))?;
    let fits = u64::try_from(bytes.len()).is_ok_and(|length| length <= bytes_max);
    if fits { Ok(bytes) } else { Err(file(path)(io::ErrorKind::FileTooLarge.into())) }
}

fn file(path: &Path) -> impl Fn(io::Error) -> Failure {
    let path = path.to_owned();
    move |source| Failure::File { path: path.clone(), source }
}

fn parse_use(text: &str) -> Result<Use, &'static str> {
    Use::parse(text).ok_or("one of admin, audit, create, rotation, sealed, sign, switch")
}

/// `90s`, `5m` or `1h`.
fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str = "a number and s, m or h, such as 5m";
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(FORM)?;
    let seconds_in = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(FORM),
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let count: u32 = digits.parse().ok().filter(|_| is_number).ok_or(FORM)?;
    Ok(Duration::from_secs(u64::from(count).saturating_mul(seconds_in)))
}

fn parse_timestamp(text: &str) -> Result<Timestamp, &'static str> {
    parse_time(text).ok_or("a time in UTC, such as 2026-03-01T00:00:00Z")
}

const EXIT_CODES: &str = "Exit codes:
  0  the policy was printed, or both sides say the same
  1  both sides differ, somebody else used the keys, or a key of the log is not listed
  2  wrong usage, or something could not be read";
/// The exit code if something could not be read.
const UNREADABLE: u8 = 2;
/// Largest file of events or records, in bytes.
const INPUT_MAX: u64 = 1 << 32;
/// Twice the largest payload that a custodian takes.
const DOCUMENT_MAX: u64 = 16 * 1024 * 1024;
/// Events in a full bundle.
const BUNDLE: u64 = 256;
const TEXT_MAX: u64 = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tolerance_is_a_number_with_its_unit() {
        for (text, seconds) in [("0s", 0), ("90s", 90), ("5m", 300), ("24h", 86_400)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "5", "m", "-5m", "+5m", "5 m", "5d", "1.5h", "5mm", "99999999999s", "5µ"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_bundle_is_where_the_log_has_it() {
        for (index, width, path) in [
            (0, 256, "tile/entries/000"),
            (0, 7, "tile/entries/000.p/7"),
            (999, 256, "tile/entries/999"),
            (1_000, 255, "tile/entries/x001/000.p/255"),
            (1_234_067, 256, "tile/entries/x001/x234/067"),
        ] {
            assert_eq!(bundle_path(index, width), path);
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }
}
