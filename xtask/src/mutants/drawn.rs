//! Runs drawn mutants with cargo-mutants.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::MutantsError;
use super::draw::{Draw, Portion};
use super::tree::Tree;
use crate::machine;
use crate::process::cargo;
use crate::project::Project;

/// Sources whose mutants are drawn, and the tests that must notice them.
struct Group {
    files: &'static [&'static str],
    tests: Suite,
    /// Tests that are asked about what the others missed.
    besides: &'static [Suite],
}

/// Tests of a package.
#[derive(Clone, Copy)]
struct Suite {
    package: &'static str,
    /// The test binaries that have to do with the sources, as cargo is told of them.
    binaries: &'static [&'static str],
}

/// What became of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Caught,
    Missed,
    Timeout,
    Unviable,
}

/// The fates of mutants by name; kept in a file, so that a draw can be run in parts.
#[derive(Debug, Default)]
struct Fates(BTreeMap<String, Fate>);

/// Draws and runs mutants; whether enough of those that were run by now were caught.
pub(super) fn run(
    project: &Project,
    root: &Path,
    draw: Draw,
    portion: Portion,
) -> Result<bool, MutantsError> {
    install()?;
    let folder = project.target.join("mutants");
    let tree = Tree::copy(root, &folder.join("tree"), &project.packages)?;
    let names = list(&tree)?;
    let drawn = draw.of(&names);
    let Draw { seed, from, .. } = draw;
    println!(
        "seed {seed}: {} of {} mutants drawn, after the first {from}",
        drawn.len(),
        names.len()
    );
    // Kept beside the hand-made ones: a claim that can be read, and a run that can be gone on with
    // elsewhere.
    let record = root.join(super::patch::FOLDER).join(format!("drawn-{seed}.txt"));
    let mut fates = Fates::read(&record)?.only(&names);
    let mut spent = Duration::ZERO;
    let wanted: Vec<_> = drawn.iter().filter(|name| fates.wants(portion, name)).collect();
    for group in GROUPS {
        let mut mine: Vec<_> = wanted.iter().filter(|name| group.has(name)).collect();
        // Those of one file together.
        mine.sort();
        if !mine.is_empty() && portion.goes_on(spent) {
            check_fit(&tree, &group.tests)?;
        }
        for some in mine.chunks(AT_ONCE) {
            if !portion.goes_on(spent) {
                break;
            }
            let started = Instant::now();
            let some: Vec<String> = some.iter().map(|name| (**name).clone()).collect();
            let mut found = Fates::of(&tree, &folder, &some, &group.tests)?;
            for besides in group.besides {
                let missed = found.names(Fate::Missed);
                if !missed.is_empty() {
                    check_fit(&tree, besides)?;
                    found.0.extend(Fates::of(&tree, &folder, &missed, besides)?.0);
                }
            }
            fates.0.extend(found.0);
            fates.write(&record)?;
            spent = spent.saturating_add(started.elapsed());
        }
    }
    let mine = fates.only(&drawn);
    for (fate, word) in [(Fate::Missed, "MISSED"), (Fate::Timeout, "timeout")] {
        for name in mine.names(fate) {
            println!("{word:<9} {name}");
        }
    }
    println!(
        "xtask mutants: seed {seed}: {mine}; {} not run",
        drawn.len().saturating_sub(mine.0.len())
    );
    Ok(mine.is_good())
}

fn install() -> Result<(), MutantsError> {
    if cargo().args(["mutants", "--version"]).output().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    println!("cargo-mutants is missing: installing it");
    let status = cargo().args(["install", "cargo-mutants", "--locked"]).status()?;
    if status.success() { Ok(()) } else { Err(MutantsError::Failed("installing cargo-mutants")) }
}

/// The names of all mutants of the groups.
fn list(tree: &Tree) -> Result<Vec<String>, MutantsError> {
    let mut command = mutants(tree);
    command.args(["--list", "--line-col=true"]);
    for file in GROUPS.iter().flat_map(|group| group.files) {
        command.args(["--file", file]);
    }
    let output = command.output()?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        return Err(MutantsError::Failed("cargo mutants --list"));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter(|name| !name.contains(NOT_CHOSEN)).map(str::to_owned).collect())
}

/// Runs these tests without a mutant, unless it is known that they pass.
fn check_fit(tree: &Tree, suite: &Suite) -> Result<(), MutantsError> {
    if tree.is_fit(suite.package) {
        return Ok(());
    }
    let mut command = tree.cargo();
    command.args(["nextest", "run", "--cargo-profile", "ci", "--status-level", "fail"]);
    command.args(["-p", suite.package]).args(suite.binaries);
    command.args(["--filterset", &timeless()]);
    if !command.status()?.success() {
        return Err(MutantsError::Unfit(suite.package.to_owned()));
    }
    Ok(tree.set_fit(suite.package)?)
}

fn mutants(tree: &Tree) -> Command {
    let mut command = tree.cargo();
    command.args(["mutants", "--no-shuffle", "--colors", "never", "--dir"]).arg(tree.folder());
    command.env("NEXTEST_PROFILE", "mutants");
    command
}

/// Leaves out tests that say something about a quiet machine only: a failure of theirs would catch
/// anything.
fn timeless() -> String {
    let timed = TIMED.map(|test| format!("test(={test})")).join(" | ");
    format!("not ({timed} | {})", machine::measurements())
}

impl Portion {
    fn goes_on(self, elapsed: Duration) -> bool {
        match self {
            Self::Missed | Self::Whole => true,
            Self::New(seconds) => elapsed < seconds,
        }
    }
}

impl Group {
    fn has(&self, name: &str) -> bool {
        let file = file(name);
        self.files.iter().any(|pattern| match pattern.strip_suffix("**") {
            Some(folder) => file.starts_with(folder),
            None => file == *pattern,
        })
    }
}

impl Fates {
    /// Runs these mutants against these tests.
    fn of(
        tree: &Tree,
        folder: &Path,
        names: &[String],
        suite: &Suite,
    ) -> Result<Self, MutantsError> {
        let mut command = mutants(tree);
        command.args(["--in-place", "--baseline", "skip", "--timeout", "90"]);
        command.args(["--build-timeout", "300", "--test-tool", "nextest", "--profile", "ci"]);
        command.args(["--test-package", suite.package]).arg("--output").arg(folder);
        command.args(suite.binaries.iter().map(|binary| format!("--cargo-arg={binary}")));
        for name in names {
            command.args(["--file", file(name), "--re", &format!("^{}$", escaped(name))]);
        }
        command.args(["--", "--max-fail", "1:immediate", "--filterset", &timeless()]);
        // Fails when a mutant is missed; whether it ran is seen in what it wrote.
        command.status()?;
        let fates = Self::written(&folder.join("mutants.out"))?;
        let ran = names.iter().all(|name| fates.0.contains_key(name));
        if ran { Ok(fates) } else { Err(MutantsError::Failed("cargo mutants")) }
    }

    /// What cargo-mutants has left in its folder.
    fn written(folder: &Path) -> io::Result<Self> {
        let mut fates = BTreeMap::new();
        for (fate, word) in Fate::ALL {
            let text = fs::read_to_string(folder.join(format!("{word}.txt")))?;
            fates.extend(text.lines().map(|name| (name.to_owned(), fate)));
        }
        Ok(Self(fates))
    }

    fn read(path: &PathBuf) -> io::Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(path)?;
        let fates = text.lines().filter_map(|line| {
            let (word, name) = line.split_once(' ')?;
            let (fate, _) = Fate::ALL.into_iter().find(|(_, known)| *known == word)?;
            Some((name.to_owned(), fate))
        });
        Ok(Self(fates.collect()))
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let lines: Vec<_> = self.0.iter().map(|(name, fate)| format!("{fate} {name}\n")).collect();
        fs::write(path, lines.concat())
    }

    fn wants(&self, portion: Portion, name: &str) -> bool {
        let fate = self.0.get(name);
        match portion {
            Portion::Missed => matches!(fate, Some(Fate::Missed | Fate::Timeout)),
            Portion::New(_) => fate.is_none(),
            Portion::Whole => true,
        }
    }

    fn only(&self, names: &[String]) -> Self {
        let known = names.iter().filter_map(|name| Some((name.clone(), *self.0.get(name)?)));
        Self(known.collect())
    }

    fn names(&self, fate: Fate) -> Vec<String> {
        let of = self.0.iter().filter(|(_, found)| **found == fate);
        of.map(|(name, _)| name.clone()).collect()
    }

    fn count(&self, fate: Fate) -> usize {
        self.0.values().filter(|found| **found == fate).count()
    }

    /// Those that compile. One that makes a test hang is noticed by nobody but the clock, and
    /// counts against the tests.
    fn viable(&self) -> usize {
        self.0.len().saturating_sub(self.count(Fate::Unviable))
    }

    fn per_mille(&self) -> usize {
        let caught = self.count(Fate::Caught).saturating_mul(1_000);
        caught.checked_div(self.viable()).unwrap_or_default()
    }

    fn is_good(&self) -> bool {
        self.per_mille() >= CAUGHT_PER_MILLE
    }
}

impl fmt::Display for Fates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (fate, word) in Fate::ALL {
            write!(f, "{} {word}, ", self.count(fate))?;
        }
        let (whole, rest) = (self.per_mille().checked_div(10), self.per_mille().checked_rem(10));
        let (whole, rest) = (whole.unwrap_or_default(), rest.unwrap_or_default());
        write!(f, "{whole}.{rest} % of {} viable ones caught", self.viable())
    }
}

impl Fate {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Caught, "caught"),
        (Self::Missed, "missed"),
        (Self::Timeout, "timeout"),
        (Self::Unviable, "unviable"),
    ];
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::ALL.iter().find(|(fate, _)| fate == self).map(|(_, word)| *word);
        f.write_str(word.unwrap_or_default())
    }
}

/// The file that a mutant is in.
fn file(name: &str) -> &str {
    name.split(':').next().unwrap_or_default()
}

/// The name as a regular expression that matches it alone.
fn escaped(name: &str) -> String {
    let is_special = |letter| r"\.+*?()|[]{}^$#&-~".contains(letter);
    let mut text = String::with_capacity(name.len());
    for letter in name.chars() {
        if is_special(letter) {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

const CAUGHT_PER_MILLE: usize = 900;
/// After so many mutants what became of them is written down.
const AT_ONCE: usize = 8;

/// Mutants that cargo-mutants does not choose by name: it runs all of a file. They are not drawn.
const NOT_CHOSEN: &str = ": delete field ";

/// Tests that fail on a busy machine.
const TIMED: [&str; 2] = [
    "a_judgement_and_a_search_take_less_than_a_millisecond",
    "speed::a_hundred_thousand_entries_are_verified_in_seconds",
];

const AUDIT: Suite = Suite { package: "custody-audit", binaries: &["--lib", "--test=audit"] };
const CORE: Suite = Suite { package: "custody-core", binaries: &["--lib", "--test=ledger"] };
const CUSTODIAN: Suite = Suite { package: "custody-testkit", binaries: &["--test=custodian"] };
const HOUSE: Suite = Suite { package: "examples-start", binaries: &["--test=guard"] };
const POLICY: Suite = Suite { package: "custody-policy", binaries: &["--lib", "--tests"] };
const VERIFY: Suite = Suite { package: "custody-verify", binaries: &["--bins", "--test=verify"] };

const GROUPS: [Group; 5] = [
    Group { files: &["custody-policy/src/**"], tests: POLICY, besides: &[] },
    Group {
        files: &[
            "custody-core/src/order.rs",
            "custody-core/src/window.rs",
            "custody-core/src/key.rs",
            "custody-core/src/ledger.rs",
            "custody-core/src/ledger/**",
        ],
        tests: CORE,
        besides: &[CUSTODIAN, VERIFY, HOUSE],
    },
    Group {
        files: &["custody-core/src/replay.rs", "custody-core/src/replay/**"],
        tests: VERIFY,
        besides: &[HOUSE],
    },
    Group { files: &["custody-verify/src/**"], tests: VERIFY, besides: &[] },
    Group {
        files: &[
            "custody-audit/src/checkpoint.rs",
            "custody-audit/src/note.rs",
            "custody-audit/src/note/**",
            "custody-audit/src/proof.rs",
            "custody-audit/src/tree/verify.rs",
            "custody-audit/src/verify.rs",
            "custody-audit/src/verify/**",
        ],
        tests: AUDIT,
        besides: &[VERIFY],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_matched_as_it_is_written() {
        let name = "a-b/src/c.rs:1:2: replace f -> Vec<[u8; 32]> with vec![*x, (y)?]";
        let expected =
            r"a\-b/src/c\.rs:1:2: replace f \-> Vec<\[u8; 32\]> with vec!\[\*x, \(y\)\?\]";
        assert_eq!(escaped(name), expected);
    }

    #[test]
    fn a_mutant_belongs_to_the_group_of_its_file() {
        let group = |file: &str| {
            GROUPS.iter().position(|group| group.has(&format!("{file}:1:1: replace < with ==")))
        };
        for (file, expected) in [
            ("custody-policy/src/missing/points.rs", Some(0)),
            ("custody-core/src/ledger.rs", Some(1)),
            ("custody-core/src/ledger/facts.rs", Some(1)),
            ("custody-core/src/replay/check.rs", Some(2)),
            ("custody-verify/src/main.rs", Some(3)),
            ("custody-audit/src/note.rs", Some(4)),
            ("custody-audit/src/log.rs", None),
            ("custody-core/src/order.rs.bak", None),
        ] {
            assert_eq!(group(file), expected, "{file}");
        }
    }

    #[test]
    fn the_rate_counts_what_compiles_and_hanging_counts_as_missed() {
        let of = |caught: usize, missed, timeout, unviable| {
            let fates = [
                (Fate::Caught, caught),
                (Fate::Missed, missed),
                (Fate::Timeout, timeout),
                (Fate::Unviable, unviable),
            ];
            let each = fates.into_iter().flat_map(|(fate, count)| {
                (0..count).map(move |number| (format!("{fate} {number}"), fate))
            });
            Fates(each.collect())
        };
        for (fates, per_mille, is_good) in [
            (of(9, 1, 0, 0), 900, true),
            (of(9, 0, 1, 5), 900, true),
            (of(899, 101, 0, 0), 899, false),
            (of(8, 1, 1, 9), 800, false),
            (of(0, 0, 0, 1), 0, false),
        ] {
            assert_eq!((fates.per_mille(), fates.is_good()), (per_mille, is_good), "{fates}");
        }
        let text = of(9, 1, 0, 2).to_string();
        assert_eq!(
            text,
            "9 caught, 1 missed, 0 timeout, 2 unviable, 90.0 % of 10 viable ones caught"
        );
    }

    #[test]
    fn what_was_run_is_run_again_only_if_it_is_asked_for() {
        let fates = Fates(BTreeMap::from(Fate::ALL.map(|(fate, word)| (word.to_owned(), fate))));
        let new = Portion::New(Duration::from_secs(1));
        let wanted = |portion| {
            ["caught", "missed", "timeout", "unviable", "unknown"]
                .map(|name| fates.wants(portion, name))
        };
        assert_eq!(wanted(Portion::Whole), [true; 5]);
        assert_eq!(wanted(Portion::Missed), [false, true, true, false, false]);
        assert_eq!(wanted(new), [false, false, false, false, true]);
        assert!(new.goes_on(Duration::ZERO) && !new.goes_on(Duration::from_secs(1)));
        assert!(Portion::Whole.goes_on(Duration::MAX));
    }

    #[test]
    fn fates_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        assert!(Fates::read(&path).unwrap().0.is_empty());
        let all = Fate::ALL.map(|(fate, word)| (format!("a {word} one"), fate));
        let fates = Fates(BTreeMap::from(all));
        fates.write(&path).unwrap();
        assert_eq!(Fates::read(&path).unwrap().0, fates.0);
    }
}
