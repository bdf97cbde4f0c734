//! The built programs, as a user runs them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// One run with a temporary directory of its own.
pub(crate) struct Run {
    pub(crate) output: Output,
    pub(crate) temporary: TempDir,
}

impl Run {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        Self::of("quickstart", arguments)
    }

    pub(crate) fn of(example: &str, arguments: &[&str]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut command = Command::new(program(example));
        command.args(arguments).env("TMPDIR", temporary.path()).current_dir(temporary.path());
        Self { output: command.output().unwrap(), temporary }
    }

    /// What was printed by a run that must succeed.
    pub(crate) fn succeeds(&self) -> String {
        let (text, errors) = (&self.output.stdout, &self.output.stderr);
        let (text, errors) = (String::from_utf8_lossy(text), String::from_utf8_lossy(errors));
        assert!(self.output.status.success(), "{text}\n{errors}");
        assert_eq!(errors, "", "a good run complains");
        text.into_owned()
    }

    /// The complaint of a run that must fail.
    pub(crate) fn fails(&self) -> String {
        assert!(!self.output.status.success(), "{}", String::from_utf8_lossy(&self.output.stdout));
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

/// A place for a house that is kept, and for passphrase files beside it.
pub(crate) struct Kept(TempDir);

impl Kept {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn house(&self) -> PathBuf {
        self.0.path().join("house")
    }

    pub(crate) fn run(&self, passphrase: &str, more: &[&str]) -> Run {
        fs::write(self.0.path().join("passphrase.txt"), passphrase).unwrap();
        self.example("quickstart", more)
    }

    pub(crate) fn nightly(&self) -> Run {
        self.example("custody_verify_log", &[])
    }

    fn example(&self, example: &str, more: &[&str]) -> Run {
        let (house, file) = (self.house(), self.0.path().join("passphrase.txt"));
        let (house, file) = (house.to_str().unwrap(), file.to_str().unwrap());
        Run::of(example, &[&["--dir", house, "--passphrase-file", file], more].concat())
    }
}

/// The example of this name, as it was built with this test.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).expect("tests lie in <profile>/deps");
    let program = profile.join("examples").join(name);
    assert!(
        program.exists(),
        "{} is missing: build it with `cargo build -p examples-start --examples` and the profile \
         of this test; a run of all targets does so by itself",
        program.display()
    );
    program
}

/// Every file below a directory with its content.
pub(crate) fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let bytes = fs::read(&path).unwrap();
                found.insert(path.strip_prefix(root).unwrap().to_owned(), bytes);
            }
        }
    }
    found
}

/// The passphrase of the houses that are kept, as its file has it.
pub(crate) const PASSPHRASE: &str = "a passphrase that is long enough\n";
