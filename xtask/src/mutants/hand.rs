//! Runs the hand-made mutants, each with the one test that must notice it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use super::MutantsError;
use super::patch::{self, Mutant, Place};
use super::tree::Tree;
use crate::project::Project;
use crate::stand_in::StandIns;

/// What became of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Its test failed by an assertion.
    Caught,
    /// Its test did not come to an end, or ended in another way.
    Ended,
    /// It does not compile, so that it says nothing about the test.
    NotBuilt,
    /// Its test passed.
    Survived,
    /// Its test does not pass without it either.
    Unfit,
}

/// The binary that a test is in.
type Binary = (String, Place);

/// Runs these mutants, or all; whether each was caught.
pub(super) fn run(project: &Project, root: &Path, names: &[String]) -> Result<bool, MutantsError> {
    let mutants = chosen(project, root, names)?;
    let folder = project.target.join("mutants");
    let packages: Vec<_> = mutants.iter().map(|(_, mutant)| mutant.package.clone()).collect();
    let stand_ins = StandIns::for_packages(project, &packages)?;
    let tree = Tree::copy(root, &folder.join("tree"), &project.packages)?.beside(stand_ins);
    let started = Instant::now();
    let unfit = find_unfit(project, &tree, &mutants)?;
    println!("looked for tests that fail without a mutant ({})", Seconds(started.elapsed()));
    let mut caught = 0_usize;
    for (binary, mutant) in &mutants {
        let started = Instant::now();
        let fate = if unfit.contains(binary) {
            Fate::Unfit
        } else {
            let output = with(&tree, mutant, || test_one(project, &tree, binary, &mutant.test))?;
            keep(&folder, &mutant.name, &output)?;
            Fate::of(&output)
        };
        caught = caught.saturating_add(usize::from(fate == Fate::Caught));
        let (name, took) = (&mutant.name, Seconds(started.elapsed()));
        println!("{fate:<9} {name:<40} {took:>7}  {} {}", mutant.package, mutant.test);
        if fate != Fate::Caught {
            println!("          {}", mutant.about);
        }
    }
    let is_good = caught == mutants.len();
    let verdict = if is_good { "passed" } else { "FAILED" };
    println!("xtask mutants: {verdict}: {caught} of {} caught", mutants.len());
    Ok(is_good)
}

/// The mutants of these names, or all, with the binary of each test; those that change the same
/// package are together, so that less is built.
fn chosen(
    project: &Project,
    root: &Path,
    names: &[String],
) -> Result<Vec<(Binary, Mutant)>, MutantsError> {
    let found = patch::all(root)?;
    if let Some(name) = names.iter().find(|name| !found.iter().any(|(known, _)| known == *name)) {
        return Err(MutantsError::NoSuchMutant(name.clone()));
    }
    let mut mutants = Vec::new();
    for (name, mutant) in found {
        if !names.is_empty() && !names.contains(&name) {
            continue;
        }
        let failed = |error| MutantsError::Patch { name: name.clone(), error };
        let mutant = mutant.map_err(failed)?;
        let place = mutant.place(project).map_err(failed)?;
        mutants.push(((mutant.package.clone(), place), mutant));
    }
    mutants.sort_by_cached_key(|(binary, mutant)| {
        (mutant.changes.first().map(|change| change.path.clone()), binary.clone())
    });
    Ok(mutants)
}

/// Runs every test that is named, without a mutant; the binaries in which one fails.
fn find_unfit<'a>(
    project: &Project,
    tree: &Tree,
    mutants: &'a [(Binary, Mutant)],
) -> Result<BTreeSet<&'a Binary>, MutantsError> {
    let mut tests: BTreeMap<&Binary, BTreeSet<&str>> = BTreeMap::new();
    for (binary, mutant) in mutants {
        tests.entry(binary).or_default().insert(&mutant.test);
    }
    let mut unfit = BTreeSet::new();
    for (binary, names) in tests {
        let output = test(project, tree, binary, &names)?;
        if !output.status.success() {
            print!("{}", text(&output));
            unfit.insert(binary);
        }
    }
    Ok(unfit)
}

/// What `run` says while the mutant is in the copy.
fn with(
    tree: &Tree,
    mutant: &Mutant,
    run: impl FnOnce() -> Result<Output, MutantsError>,
) -> Result<Output, MutantsError> {
    tree.apply(mutant)?;
    let output = run();
    tree.restore(mutant)?;
    output
}

fn test_one(
    project: &Project,
    tree: &Tree,
    binary: &Binary,
    name: &str,
) -> Result<Output, MutantsError> {
    test(project, tree, binary, &BTreeSet::from([name]))
}

/// Builds one test binary and runs these tests of it.
fn test(
    project: &Project,
    tree: &Tree,
    (package, place): &Binary,
    names: &BTreeSet<&str>,
) -> Result<Output, MutantsError> {
    let mut command: Command = tree.cargo();
    command.args(["nextest", "run", "--cargo-profile", "ci", "--run-ignored", "all"]);
    command.args(["-p", package]);
    let features = project.features(std::slice::from_ref(package));
    if !features.is_empty() {
        command.args(["--features", &features]);
    }
    match place {
        Place::Unit if project.package(package).is_some_and(|package| package.has_library) => {
            command.arg("--lib");
        }
        Place::Unit => {
            command.arg("--bins");
        }
        Place::Test(name) => {
            command.args(["--test", name]);
        }
    }
    let names: Vec<_> = names.iter().map(|name| format!("test(/(^|::){name}$/)")).collect();
    command.args(["--filterset", &names.join(" | ")]);
    Ok(command.output()?)
}

fn keep(folder: &Path, name: &str, output: &Output) -> Result<PathBuf, MutantsError> {
    let folder = folder.join("output");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}.txt"));
    fs::write(&path, text(output))?;
    Ok(path)
}

fn text(output: &Output) -> String {
    let parts = [&output.stdout, &output.stderr].map(|part| String::from_utf8_lossy(part));
    parts.concat()
}

impl Fate {
    fn of(output: &Output) -> Self {
        Self::told(output.status.code(), &text(output))
    }

    /// By what nextest exits with, and what the test printed.
    fn told(code: Option<i32>, text: &str) -> Self {
        match code {
            Some(0) => Self::Survived,
            Some(TESTS_FAILED) if text.contains("panicked at") || text.contains("Error: ") => {
                Self::Caught
            }
            Some(BUILD_FAILED) => Self::NotBuilt,
            _ => Self::Ended,
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Caught => "caught",
            Self::Ended => "ENDED",
            Self::NotBuilt => "NOT BUILT",
            Self::Survived => "SURVIVED",
            Self::Unfit => "UNFIT",
        })
    }
}

/// A time in seconds, with a tenth.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.as_millis().checked_div(100).unwrap_or_default();
        let (whole, rest) = (tenths.checked_div(10), tenths.checked_rem(10));
        f.pad(&format!("{}.{} s", whole.unwrap_or_default(), rest.unwrap_or_default()))
    }
}

/// What nextest exits with when a test failed, and when nothing could be built.
const TESTS_FAILED: i32 = 100;
const BUILD_FAILED: i32 = 101;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_assertion_of_a_test_that_ran_catches_a_mutant() {
        let assertion = "thread 'a_test' panicked at src/lib.rs:1:1:\nassertion failed";
        for (code, text, fate) in [
            (Some(100), assertion, Fate::Caught),
            (Some(100), "Error: Unavailable", Fate::Caught),
            (Some(100), "TERMINATING [> 60.000s] a_test", Fate::Ended),
            (Some(0), "1 test run: 1 passed", Fate::Survived),
            (Some(101), "error[E0425]: cannot find value", Fate::NotBuilt),
            (Some(4), "error: no tests to run", Fate::Ended),
            (None, assertion, Fate::Ended),
        ] {
            assert_eq!(Fate::told(code, text), fate, "{text}");
        }
    }

    #[test]
    fn a_mutant_that_is_not_there_is_named() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let project = Project::read().unwrap();
        let refused = chosen(&project, root, &["no-such-mutant".to_owned()]);
        assert!(matches!(refused, Err(MutantsError::NoSuchMutant(_))));
    }
}
