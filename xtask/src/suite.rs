//! `cargo xtask test`: every test, every doc test, then the search for secrets in all they printed.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::machine::{self, NotRun};
use crate::opencryptoki::System;
use crate::process::{Log, cargo};
use crate::project::{ENGINE, Project, ProjectError};
use crate::scan::{Leak, Secrets, TapError};
use crate::setup::{self, SetupError};
use crate::stand_in::{self, StandInError, StandIns};

/// What a run did and found.
pub(crate) struct Report {
    pub(crate) leaks: Vec<Leak>,
    pub(crate) log: PathBuf,
    tests: Stage,
    engines: Stage,
    opencryptoki: Stage,
    doc_tests: Stage,
    search: Search,
    not_run: Vec<NotRun>,
}

/// How much the search for secrets had to go by.
struct Search {
    secrets: usize,
    patterns: usize,
    /// A run of the whole workspace that gave out no secret did not test the search at all.
    proves_nothing: bool,
}

struct Stage {
    success: bool,
    passed: u64,
}

/// What every test is told.
struct Told<'a> {
    /// Where a copy of each secret that it is given goes.
    tap: &'a Path,
    stand_ins: Option<&'a StandIns>,
}

/// How much is asked of tests that draw what they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// What fits into the checks before a merge.
    Usual,
    /// Several times as much.
    Long,
}

/// Why a run could not be brought to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SuiteError {
    #[error("{0}")]
    Project(#[from] ProjectError),
    #[error("{0}")]
    Setup(#[from] SetupError),
    #[error("{0}")]
    StandIn(#[from] StandInError),
    #[error("no package is called {0:?}")]
    UnknownPackage(String),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Tap(#[from] TapError),
}

/// Runs the tests of `packages`, or of the whole workspace when there are none.
pub(crate) fn run(packages: &[String], length: Length) -> Result<Report, SuiteError> {
    let project = Project::read()?;
    if let Some(name) = packages.iter().find(|name| project.package(name).is_none()) {
        return Err(SuiteError::UnknownPackage(name.clone()));
    }
    setup::prepare(packages)?;
    let folder = project.target.join("xtask");
    fs::create_dir_all(&folder)?;
    let tap = folder.join(format!("secrets-{}.txt", std::process::id()));
    let path = folder.join("test-output.log");
    // The file exists from the start, so that an empty one means that nothing was written to it.
    File::create(&tap)?;

    let empty = folder.join("probe");
    fs::create_dir_all(&empty)?;
    let mut not_run = machine::probe(packages, &empty);
    not_run.extend(machine::localstack(packages, stand_in::localstack_python().as_deref()));
    let opencryptoki = machine::opencryptoki(packages, &project.target);

    let stand_ins = StandIns::for_packages(&project, packages)?;
    let told = Told { tap: &tap, stand_ins: stand_ins.as_ref() };
    let mut log = Log::create(&path)?;
    let mut command = all_but(&project, packages, &not_run);
    if length == Length::Long {
        command.args(["--profile", "long"]).env(LONG, "1");
    }
    let tests = run_tests(&mut log, command, &told)?;
    let engines = run_engines(&mut log, &project, packages, &told)?;
    let opencryptoki = match opencryptoki {
        Some(Ok(system)) => run_opencryptoki(&mut log, (&project, packages), &system, &told)?,
        Some(Err(cannot)) => {
            not_run.push(cannot);
            Stage::NOTHING
        }
        None => Stage::NOTHING,
    };
    let doc_tests = run_doc_tests(&mut log, &project, packages, &told)?;
    let secrets = Secrets::parse(&fs::read_to_string(&tap)?)?;
    let leaks = secrets.scan(BufReader::new(File::open(&path)?))?;
    fs::remove_file(&tap)?;
    let search = Search::new(&secrets, packages.is_empty());
    Ok(Report { leaks, log: path, tests, engines, opencryptoki, doc_tests, search, not_run })
}

/// Runs the tests that measure speed, alone and with their output shown; whether all passed.
pub(crate) fn measure() -> Result<bool, SuiteError> {
    let project = Project::read()?;
    setup::prepare(&machine::measured())?;
    let mut command = cargo();
    command.args(["nextest", "run", "--cargo-profile", "ci"]);
    command.args(["--run-ignored", "all", "--no-capture"]);
    select(&mut command, &project, &machine::measured());
    command.args(["--filterset", &machine::measurements()]);
    let stand_ins = StandIns::for_packages(&project, &machine::measured())?;
    if let Some(stand_ins) = &stand_ins {
        stand_ins.tell(&mut command);
    }
    Ok(command.status()?.success())
}

/// Runs the tests of what can be built with another engine once more, with that engine.
fn run_engines(
    log: &mut Log,
    project: &Project,
    packages: &[String],
    told: &Told<'_>,
) -> io::Result<Stage> {
    const WITHOUT_TESTS_OF_IT: &str = "benches";
    let mut chosen = project.with_engine(packages);
    chosen.retain(|name| name != WITHOUT_TESTS_OF_IT);
    if chosen.is_empty() {
        return Ok(Stage::NOTHING);
    }
    let mut command = nextest();
    select(&mut command, project, &chosen);
    let engines: Vec<_> = chosen.iter().map(|name| format!("{name}/{ENGINE}")).collect();
    command.args(["--features", &engines.join(",")]);
    run_tests(log, command, told)
}

/// Runs the tests over openCryptoki, each in a system and with tokens of its own.
fn run_opencryptoki(
    log: &mut Log,
    (project, packages): (&Project, &[String]),
    system: &System,
    told: &Told<'_>,
) -> io::Result<Stage> {
    let (_package, binary) = machine::OPENCRYPTOKI;
    let mut command = nextest();
    command.args(["--run-ignored", "all", "--ignore-default-filter"]);
    // All that was built for the other tests is as it must be for these.
    select(&mut command, project, packages);
    command.args(["--test", binary, "--config", &system.configuration()]);
    run_tests(log, command, told)
}

fn run_tests(log: &mut Log, mut command: Command, told: &Told<'_>) -> io::Result<Stage> {
    watch(&mut command, told);
    let finished = log.run(command, |line| line.trim_start().starts_with("Summary ["))?;
    let passed = finished.kept.last().map_or(0, |line| number_before(line, "passed"));
    Ok(Stage { success: finished.status.success(), passed })
}

/// Runs every test, the ignored ones too, but those that this machine cannot run.
fn all_but(project: &Project, packages: &[String], not_run: &[NotRun]) -> Command {
    let mut command = nextest();
    command.args(["--run-ignored", "all"]);
    select(&mut command, project, packages);
    if let Some(filter) = machine::filter(not_run) {
        command.args(["--filterset", &filter]);
    }
    command
}

fn nextest() -> Command {
    let mut command = cargo();
    command.args(["nextest", "run", "--cargo-profile", "ci", "--color", "never"]);
    command.args(["--no-output-indent", "--success-output", "immediate"]);
    command.args(["--failure-output", "immediate"]);
    command
}

fn run_doc_tests(
    log: &mut Log,
    project: &Project,
    packages: &[String],
    told: &Told<'_>,
) -> io::Result<Stage> {
    let has_library = |name: &&String| project.package(name).is_some_and(|p| p.has_library);
    let libraries: Vec<_> = packages.iter().filter(has_library).cloned().collect();
    if libraries.is_empty() && !packages.is_empty() {
        return Ok(Stage::NOTHING);
    }
    let mut command = cargo();
    command.args(["test", "--doc", "--profile", "ci", "--no-fail-fast"]);
    select(&mut command, project, &libraries);
    command.args(["--", "--show-output"]);
    watch(&mut command, told);
    let finished = log.run(command, |line| line.starts_with("test result: "))?;
    let passed = finished.kept.iter().map(|line| number_before(line, "passed")).sum();
    Ok(Stage { success: finished.status.success(), passed })
}

/// These packages, or all, with all their features.
fn select(command: &mut Command, project: &Project, packages: &[String]) {
    command.args(["--features", &project.features(packages)]);
    if packages.is_empty() {
        command.arg("--workspace");
    }
    for package in packages {
        command.args(["-p", package]);
    }
}

/// Asks for everything that can be logged, and for a copy of every secret that a test was given.
fn watch(command: &mut Command, told: &Told<'_>) {
    command.env("RUST_LOG", "trace").env("CUSTODY_SECRET_TAP", told.tap);
    if let Some(stand_ins) = told.stand_ins {
        stand_ins.tell(command);
    }
}

/// The number in front of `word`, as in "3 tests run: 2 passed".
fn number_before(line: &str, word: &str) -> u64 {
    let mut words = line.split([' ', ',', ';']).filter(|part| !part.is_empty());
    let mut before = "";
    words
        .find_map(|part| {
            let number = (part == word).then(|| before.parse().ok()).flatten();
            before = part;
            number
        })
        .unwrap_or(0)
}

impl Stage {
    const NOTHING: Self = Self { success: true, passed: 0 };
}

impl Search {
    fn new(secrets: &Secrets, whole_workspace: bool) -> Self {
        let proves_nothing = whole_workspace && secrets.count() == 0;
        Self { secrets: secrets.count(), patterns: secrets.patterns(), proves_nothing }
    }
}

impl Report {
    /// Nothing failed, nothing leaked, and a leak would have been found.
    pub(crate) fn passed(&self) -> bool {
        let searched = self.leaks.is_empty() && !self.search.proves_nothing;
        let stages = [&self.tests, &self.engines, &self.opencryptoki, &self.doc_tests];
        stages.into_iter().all(|stage| stage.success) && searched
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed() { "passed" } else { "FAILED" };
        let note = |stage: &Stage| if stage.success { "" } else { " (and some failed)" };
        write!(
            f,
            "xtask test: {verdict}: {} tests passed{}, {} with the other engine{}, \
             {} over openCryptoki{}, {} doc tests passed{}, \
             {} secrets searched for{}, {} constant patterns skipped, {} leaks found; \
             not run here: ",
            self.tests.passed,
            note(&self.tests),
            self.engines.passed,
            note(&self.engines),
            self.opencryptoki.passed,
            note(&self.opencryptoki),
            self.doc_tests.passed,
            note(&self.doc_tests),
            self.search.secrets,
            if self.search.proves_nothing { " (so the search proves nothing)" } else { "" },
            self.search.patterns,
            self.leaks.len(),
        )?;
        if self.not_run.is_empty() {
            return f.write_str("nothing");
        }
        for (number, test) in self.not_run.iter().enumerate() {
            write!(f, "{}{test}", if number == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// Asks the tests of a run for more.
const LONG: &str = "CUSTODY_LONG";

#[cfg(test)]
mod tests {
    use super::*;

    fn search(tap: &str, whole_workspace: bool) -> Search {
        Search::new(&Secrets::parse(tap).unwrap(), whole_workspace)
    }

    /// A project without packages.
    fn nothing() -> Project {
        Project { packages: Vec::new(), target: PathBuf::new() }
    }

    fn report(tests: bool, doc_tests: bool, leaks: Vec<Leak>) -> Report {
        let stage = |success| Stage { success, passed: 7 };
        let (tests, doc_tests) = (stage(tests), stage(doc_tests));
        let (engines, opencryptoki) = (stage(true), stage(true));
        let (log, search) = (PathBuf::new(), search("", false));
        let not_run = Vec::new();
        Report { leaks, log, tests, engines, opencryptoki, doc_tests, search, not_run }
    }

    #[test]
    fn an_empty_tap_fails_a_run_of_the_whole_workspace() {
        let whole = Report { search: search("", true), ..report(true, true, Vec::new()) };
        assert!(!whole.passed());
        assert!(whole.to_string().contains("FAILED"));
        let one_secret = search("00112233445566778899aabbccddeeff\n", true);
        assert!(Report { search: one_secret, ..whole }.passed());
    }

    #[test]
    fn a_tap_of_constant_patterns_only_counts_as_empty() {
        assert!(search(&"00".repeat(32), true).proves_nothing);
    }

    #[test]
    fn an_unknown_package_is_refused_before_anything_runs() {
        let result = run(&["no-such-package".to_owned()], Length::Usual);
        assert!(matches!(result, Err(SuiteError::UnknownPackage(_))));
    }

    #[test]
    fn each_kind_of_failure_fails_the_run() {
        let leak = Leak { line: 1, encoding: crate::scan::Encoding::Hex };
        assert!(report(true, true, Vec::new()).passed());
        assert!(!report(false, true, Vec::new()).passed());
        assert!(!report(true, false, Vec::new()).passed());
        let failed = || Stage { success: false, passed: 7 };
        assert!(!Report { engines: failed(), ..report(true, true, Vec::new()) }.passed());
        assert!(!Report { opencryptoki: failed(), ..report(true, true, Vec::new()) }.passed());
        assert!(!report(true, true, vec![leak]).passed());
    }

    #[test]
    fn the_summary_is_one_line() {
        let text = report(true, true, Vec::new()).to_string();
        assert_eq!(text.lines().count(), 1);
        assert!(text.ends_with("; not run here: nothing"), "{text}");
    }

    #[test]
    fn what_this_machine_cannot_run_is_left_out_of_the_run_and_named_at_its_end() {
        let not_run = vec![NotRun::new("a", "b::c", "no right"), NotRun::new("d", "e", "no tool")];
        let command = all_but(&nothing(), &["a".to_owned()], &not_run);
        let arguments: Vec<_> = command.get_args().filter_map(|text| text.to_str()).collect();
        let filter = "not ((package(=a) & test(=b::c)) | (package(=d) & test(=e)))";
        assert_eq!(arguments[arguments.len() - 4..], ["-p", "a", "--filterset", filter]);
        let report = Report { not_run, ..report(true, true, Vec::new()) };
        assert!(report.passed());
        let text = report.to_string();
        assert!(text.ends_with("; not run here: a b::c (no right), d e (no tool)"), "{text}");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn nothing_is_left_out_on_a_machine_that_can_run_everything() {
        let command = all_but(&nothing(), &[], &[]);
        assert!(command.get_args().all(|text| text != "--filterset" && text != "-E"));
        assert!(command.get_args().any(|text| text == "--run-ignored"));
    }

    #[test]
    fn numbers_are_read_from_summary_lines() {
        let cases = [
            ("     Summary [   0.012s] 5 tests run: 4 passed (1 slow), 1 failed, 0 skipped", 4),
            ("test result: ok. 12 passed; 0 failed; 0 ignored", 12),
            ("nothing here", 0),
            ("passed", 0),
        ];
        for (line, expected) in cases {
            assert_eq!(number_before(line, "passed"), expected, "{line}");
        }
    }
}
