//! `cargo xtask fuzz`: every fuzz target, two at a time, until its time is up or it finds
//! something.
//!
//! **Invariant:** a run passes only if each of its targets ran inputs, came to its end by itself
//! and left no artifact.

mod arguments;
mod needs;
mod output;
mod run;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use arguments::Arguments;
use needs::NeedError;
use output::Statistics;
use run::Ended;

use crate::process::cargo;

/// What a run found.
pub(crate) struct Report {
    targets: Vec<Ended>,
}

/// Why nothing was run, or not to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FuzzError {
    #[error("{0}")]
    Need(#[from] NeedError),
    #[error("no fuzz target is called {0:?}; there are: {1}")]
    UnknownTarget(String, String),
    #[error("the fuzz targets do not build")]
    Build,
    #[error("rustc does not say for which machine it builds")]
    Host,
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Where the fuzz targets are, and where what they leave goes.
#[derive(Clone, Debug)]
struct Places {
    /// The package of the targets.
    package: PathBuf,
    /// The committed corpora.
    corpora: PathBuf,
    /// The programs.
    programs: PathBuf,
}

/// Builds the targets once and runs those that were asked for.
pub(crate) fn run(arguments: &Arguments) -> Result<Report, FuzzError> {
    let mut places = Places::new();
    let known = places.targets()?;
    let targets = chosen(&known, &arguments.targets)?;
    needs::prepare()?;
    places.build()?;
    places.programs = places.package.join("target").join(host()?).join("release");
    let targets = run::all(&places, &targets, arguments)?;
    Ok(Report { targets })
}

/// The targets that were asked for, or all.
fn chosen(known: &[String], asked: &[String]) -> Result<Vec<String>, FuzzError> {
    if let Some(name) = asked.iter().find(|name| !known.contains(name)) {
        return Err(FuzzError::UnknownTarget(name.clone(), known.join(", ")));
    }
    let is_asked = |name: &&String| asked.is_empty() || asked.contains(name);
    Ok(known.iter().filter(is_asked).cloned().collect())
}

impl Places {
    fn new() -> Self {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        let (package, corpora) = (fuzz.join("targets"), fuzz.join("corpus"));
        Self { package, corpora, programs: PathBuf::new() }
    }

    /// The names of all targets, in order.
    fn targets(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.package.join("fuzz_targets"))? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|name| name.to_str());
            names.extend(name.map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    fn build(&self) -> Result<(), FuzzError> {
        let mut command = cargo();
        command.args(["fuzz", "build", "--fuzz-dir"]).arg(&self.package);
        // What ships is what is fuzzed: no crate is told that it is.
        command.arg("--no-cfg-fuzzing");
        // Sanitizers and coverage are unstable flags of a stable compiler.
        command.env("RUSTC_BOOTSTRAP", "1");
        if command.status()?.success() { Ok(()) } else { Err(FuzzError::Build) }
    }
}

/// The machine for which `cargo fuzz` builds.
fn host() -> Result<String, FuzzError> {
    let output = Command::new("rustc").arg("-vV").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).ok_or(FuzzError::Host)
}

impl Report {
    /// Nothing was found.
    pub(crate) fn passed(&self) -> bool {
        !self.targets.is_empty() && self.targets.iter().all(|target| target.finding.is_none())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = self.targets.iter().map(|target| target.name.len()).max();
        let width = longest.unwrap_or_default().max("target".len());
        writeln!(
            f,
            "{:width$}  {:>12}  {:>8}  {:>10}  {:>8}  finding",
            "target", "executions", "a second", "coverage", "new"
        )?;
        for Ended { name, statistics, finding } in &self.targets {
            let Statistics { executions, a_second, coverage, new_inputs } = statistics;
            let finding = finding.as_deref().unwrap_or("none");
            writeln!(
                f,
                "{name:width$}  {executions:>12}  {a_second:>8}  {coverage:>10}  {new_inputs:>8}  \
                 {finding}"
            )?;
        }
        let found = self.targets.iter().filter(|target| target.finding.is_some()).count();
        let verdict = if self.passed() { "passed" } else { "FAILED" };
        write!(f, "xtask fuzz: {verdict}: {} targets, {found} findings", self.targets.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(finding: Option<&str>) -> Ended {
        let statistics =
            Statistics { executions: 1_234_567, a_second: 2_000, coverage: 345, new_inputs: 6 };
        Ended { name: "texts".to_owned(), statistics, finding: finding.map(str::to_owned) }
    }

    #[test]
    fn a_run_without_a_finding_passes_and_one_with_a_finding_names_it() {
        let good = Report { targets: vec![ended(None), ended(None)] };
        assert!(good.passed());
        assert!(good.to_string().ends_with("xtask fuzz: passed: 2 targets, 0 findings"));
        let bad = Report { targets: vec![ended(None), ended(Some("fuzz/crash-1"))] };
        assert!(!bad.passed());
        let text = bad.to_string();
        assert!(text.ends_with("xtask fuzz: FAILED: 2 targets, 1 findings"), "{text}");
        assert!(text.lines().any(|line| line.ends_with("  fuzz/crash-1")), "{text}");
    }

    #[test]
    fn a_run_of_nothing_does_not_pass() {
        assert!(!Report { targets: Vec::new() }.passed());
    }

    #[test]
    fn each_target_is_a_line_with_its_figures() {
        let text = Report { targets: vec![ended(None)] }.to_string();
        let line = text.lines().nth(1).unwrap();
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words, ["texts", "1234567", "2000", "345", "6", "none"]);
    }

    #[test]
    fn a_target_that_there_is_not_is_refused_before_anything_is_built() {
        let arguments = Arguments { targets: vec!["no-such-target".to_owned()], seconds: 1 };
        let refused = run(&arguments).err().unwrap();
        assert!(matches!(refused, FuzzError::UnknownTarget(..)), "{refused}");
    }

    #[test]
    fn all_targets_are_run_unless_some_are_asked_for() {
        let known = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(chosen(&known, &[]).unwrap(), known);
        assert_eq!(chosen(&known, &["c".to_owned(), "a".to_owned()]).unwrap(), ["a", "c"]);
    }

    #[test]
    fn the_targets_of_this_workspace_are_found() {
        let names = Places::new().targets().unwrap();
        assert!(names.len() >= 16 && names.contains(&"transactions".to_owned()), "{names:?}");
    }
}
