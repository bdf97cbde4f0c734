//! Hand-made mutants: a unified diff with a few lines before it that say what it breaks and which
//! test notices.
//!
//! A change is looked for by its lines, not by their numbers, so that a patch still applies when
//! other parts of the file have changed. The lines must stand in the file exactly once.

use std::fs;
use std::path::{Path, PathBuf};

use crate::project::Project;

/// A mutant as its file says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mutant {
    pub(crate) name: String,
    /// What it breaks.
    pub(crate) about: String,
    /// The package of the test that must fail.
    pub(crate) package: String,
    /// The name of that test's function.
    pub(crate) test: String,
    pub(crate) changes: Vec<Change>,
}

/// What changes in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) path: PathBuf,
    hunks: Vec<Hunk>,
}

/// Lines that other lines take the place of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Hunk {
    old: Vec<String>,
    new: Vec<String>,
    /// How many lines the header promises on each side.
    promised: (usize, usize),
}

/// The binary of a package that holds a test.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// The unit tests of the package.
    Unit,
    /// An integration test.
    Test(String),
}

/// What is wrong with a mutant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PatchError {
    #[error("{0} cannot be read")]
    Unreadable(PathBuf),
    #[error("no line before the diff says what it breaks")]
    NoText,
    #[error("no line `test: PACKAGE NAME` before the diff")]
    NoTest,
    #[error("line {0} is no part of a unified diff")]
    Line(usize),
    #[error("a hunk of {0} has other numbers of lines than its header says")]
    Count(PathBuf),
    #[error("the lines of a hunk stand {found} times in {path}, not once")]
    DoesNotApply { path: PathBuf, found: usize },
    #[error("a change of {0} changes nothing")]
    Nothing(PathBuf),
    #[error("no package is called {0:?}")]
    Package(String),
    #[error("the test {test} stands {found} times in {package}, not once")]
    Test { package: String, test: String, found: usize },
}

/// The hand-made mutants of the workspace at `root`, by name.
pub(crate) fn all(root: &Path) -> std::io::Result<Vec<(String, Result<Mutant, PatchError>)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(FOLDER))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "patch") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mutant = Mutant::parse(&name, &fs::read_to_string(&path)?);
        found.push((name, mutant));
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

impl Mutant {
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, PatchError> {
        let lines: Vec<&str> = text.lines().collect();
        let is_diff = |line: &&str| line.starts_with("diff ") || line.starts_with("--- ");
        let start = lines.iter().position(is_diff).unwrap_or(lines.len());
        let (header, diff) = lines.split_at(start);
        let named = header.iter().find_map(|line| line.strip_prefix("test: "));
        let (package, test) =
            named.and_then(|test| test.trim().split_once(' ')).ok_or(PatchError::NoTest)?;
        let about = header.iter().filter(|line| !line.starts_with("test: "));
        let about = about.map(|line| line.trim()).collect::<Vec<_>>().join(" ").trim().to_owned();
        if about.is_empty() {
            return Err(PatchError::NoText);
        }
        let changes = parse_diff(diff, start)?;
        if changes.is_empty() {
            return Err(PatchError::Line(lines.len()));
        }
        let (package, test) = (package.to_owned(), test.trim().to_owned());
        Ok(Self { name: name.to_owned(), about, package, test, changes })
    }

    /// Every file that changes, as it is at `root` and as it becomes.
    pub(crate) fn files(&self, root: &Path) -> Result<Vec<(PathBuf, String)>, PatchError> {
        self.changes
            .iter()
            .map(|change| {
                let unreadable = |_| PatchError::Unreadable(change.path.clone());
                let text = fs::read_to_string(root.join(&change.path)).map_err(unreadable)?;
                Ok((change.path.clone(), change.apply(&text)?))
            })
            .collect()
    }

    /// Where its test is; there must be exactly one of that name in the package.
    pub(crate) fn place(&self, project: &Project) -> Result<Place, PatchError> {
        let unknown = || PatchError::Package(self.package.clone());
        let package = project.package(&self.package).ok_or_else(unknown)?;
        let mut places = Vec::new();
        for folder in ["src", "tests"] {
            find(&package.folder.join(folder), &self.test, &mut places);
        }
        let [path] = places.as_slice() else {
            let (package, test) = (self.package.clone(), self.test.clone());
            return Err(PatchError::Test { package, test, found: places.len() });
        };
        let tests = package.folder.join("tests");
        let binary = path.strip_prefix(tests).ok().and_then(|path| path.iter().next());
        Ok(binary.map_or(Place::Unit, |first| {
            let first = first.to_string_lossy();
            Place::Test(first.strip_suffix(".rs").unwrap_or(&first).to_owned())
        }))
    }
}

impl Change {
    fn apply(&self, text: &str) -> Result<String, PatchError> {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for hunk in &self.hunks {
            let length = hunk.old.len();
            let places: Vec<usize> = lines
                .windows(length.max(1))
                .enumerate()
                .filter(|(_, window)| *window == hunk.old.as_slice())
                .map(|(position, _)| position)
                .collect();
            let [place] = *places.as_slice() else {
                let path = self.path.clone();
                return Err(PatchError::DoesNotApply { path, found: places.len() });
            };
            lines.splice(place..place.saturating_add(length), hunk.new.iter().cloned());
        }
        let mut changed = lines.join("\n");
        changed.push('\n');
        if changed == text { Err(PatchError::Nothing(self.path.clone())) } else { Ok(changed) }
    }
}

fn parse_diff(lines: &[&str], start: usize) -> Result<Vec<Change>, PatchError> {
    let mut changes: Vec<Change> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let wrong = PatchError::Line(start.saturating_add(number).saturating_add(1));
        let hunk = changes.last_mut().and_then(|change| change.hunks.last_mut());
        let hunk = hunk.filter(|hunk| !hunk.is_full());
        if let Some(hunk) = hunk {
            hunk.push(line).ok_or(wrong)?;
        } else if let Some(path) = line.strip_prefix("+++ b/") {
            changes.push(Change { path: path.into(), hunks: Vec::new() });
        } else if let Some(header) = line.strip_prefix("@@ ") {
            let promised = promised(header).ok_or(wrong.clone())?;
            let change = changes.last_mut().ok_or(wrong)?;
            change.hunks.push(Hunk { promised, ..Hunk::default() });
        } else if !["diff --git ", "index ", "--- a/"].iter().any(|start| line.starts_with(start)) {
            return Err(wrong);
        }
    }
    for change in &changes {
        if change.hunks.is_empty() || !change.hunks.iter().all(Hunk::is_full) {
            return Err(PatchError::Count(change.path.clone()));
        }
    }
    Ok(changes)
}

/// The two numbers of lines in `-1,2 +3,4 @@`.
fn promised(header: &str) -> Option<(usize, usize)> {
    let mut words = header.split(' ');
    let mut length = |sign| {
        let range = words.next()?.strip_prefix(sign)?;
        let length = range.split_once(',').map_or("1", |(_, length)| length);
        length.parse().ok()
    };
    Some((length('-')?, length('+')?))
}

impl Hunk {
    const fn is_full(&self) -> bool {
        self.old.len() == self.promised.0 && self.new.len() == self.promised.1
    }

    fn push(&mut self, line: &str) -> Option<()> {
        let (mark, rest) = line.split_at_checked(1).unwrap_or((" ", ""));
        match mark {
            " " => {
                self.old.push(rest.to_owned());
                self.new.push(rest.to_owned());
            }
            "-" => self.old.push(rest.to_owned()),
            "+" => self.new.push(rest.to_owned()),
            _ => return None,
        }
        (self.old.len() <= self.promised.0 && self.new.len() <= self.promised.1).then_some(())
    }
}

/// Every source file under `folder` in which a function of this name stands, once for each.
fn find(folder: &Path, test: &str, places: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.is_dir() {
            find(&path, test, places);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let found = text.matches(&format!("fn {test}(")).count();
            places.extend(std::iter::repeat_n(path, found));
        }
    }
}

/// Where the hand-made mutants are.
pub(crate) const FOLDER: &str = "custody-testkit/mutants";

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Breaks it.\n\ntest: xtask a_test\n\n--- a/src/lib.rs\n+++ b/src/lib.rs\n\
                        @@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n";

    fn applied(patch: &str, text: &str) -> Result<String, PatchError> {
        Mutant::parse("name", patch)?.changes[0].apply(text)
    }

    #[test]
    fn a_patch_says_what_it_breaks_and_which_test_notices() {
        let mutant = Mutant::parse("name", GOOD).unwrap();
        assert_eq!((mutant.about.as_str(), mutant.package.as_str()), ("Breaks it.", "xtask"));
        assert_eq!(mutant.test, "a_test");
        assert_eq!(mutant.changes[0].path, Path::new("src/lib.rs"));
    }

    #[test]
    fn a_change_is_found_by_its_lines_wherever_they_stand() {
        let text = "zero\none\ntwo\nthree\n";
        assert_eq!(applied(GOOD, text).unwrap(), "zero\none\n2\nthree\n");
    }

    #[test]
    fn lines_that_are_not_there_or_there_twice_do_not_apply() {
        let path = PathBuf::from("src/lib.rs");
        for (text, found) in [("one\n2\nthree\n", 0), ("one\ntwo\nthree\none\ntwo\nthree\n", 2)] {
            let path = path.clone();
            assert_eq!(applied(GOOD, text), Err(PatchError::DoesNotApply { path, found }));
        }
    }

    #[test]
    fn what_is_no_mutant_is_refused() {
        let path = || PathBuf::from("src/lib.rs");
        for (patch, error) in [
            (GOOD.replace("Breaks it.", ""), PatchError::NoText),
            (GOOD.replace("test: xtask a_test", ""), PatchError::NoTest),
            (GOOD.replace("test: xtask a_test", "test: xtask"), PatchError::NoTest),
            (GOOD.replace("1,3 +1,3", "1,4 +1,4"), PatchError::Count(path())),
            (GOOD.replace("1,3 +1,3", "1,2 +1,2"), PatchError::Line(11)),
            (GOOD.replace("-two\n", "*two\n"), PatchError::Line(9)),
            (GOOD.replace("+2\n", "+two\n"), PatchError::Nothing(path())),
            (GOOD.split("---").next().unwrap().to_owned(), PatchError::Line(4)),
        ] {
            assert_eq!(applied(&patch, "one\ntwo\nthree\n"), Err(error), "{patch}");
        }
    }

    #[test]
    fn every_mutant_applies_to_these_sources_and_names_a_test_of_theirs() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let project = Project::read().unwrap();
        let mutants = all(root).unwrap();
        assert!(mutants.len() >= 20, "{} mutants", mutants.len());
        for (name, mutant) in mutants {
            let mutant = mutant.unwrap_or_else(|error| panic!("{name}: {error}"));
            let files = mutant.files(root).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(!files.is_empty(), "{name} changes no file");
            mutant.place(&project).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn no_two_mutants_make_the_same_change() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mutants: Vec<_> = all(root).unwrap();
        let mutants: Vec<_> = mutants.into_iter().filter_map(|(_, mutant)| mutant.ok()).collect();
        for (index, one) in mutants.iter().enumerate() {
            for other in &mutants[index + 1..] {
                assert_ne!(one.changes, other.changes, "{} and {}", one.name, other.name);
            }
        }
    }
}
