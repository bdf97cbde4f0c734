//! The binary as a user runs it.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use custody_audit::note::VerifierKey;
use custody_core::id::CustodianId;
use serde_json::Value;

/// A run of the verifier that is being put together.
#[derive(Clone, Debug)]
pub(crate) struct Verifier {
    arguments: Vec<OsString>,
}

impl Verifier {
    pub(crate) fn new(directory: &Path, genesis: &CustodianId, key: &VerifierKey) -> Self {
        let arguments = vec![directory.into()];
        Self { arguments }.with("--genesis", genesis.to_string()).with("--key", key.to_string())
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.arguments.extend([name.into(), value.into()]);
        self
    }

    pub(crate) fn flag(mut self, name: &str) -> Self {
        self.arguments.push(name.into());
        self
    }

    pub(crate) fn run(&self) -> Answer {
        Answer::of(&self.arguments)
    }
}

/// What the verifier answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) text: String,
    pub(crate) errors: String,
}

impl Answer {
    pub(crate) fn of(arguments: &[OsString]) -> Self {
        let run = Command::new(env!("CARGO_BIN_EXE_custody-verify")).args(arguments).output();
        let Output { status, stdout, stderr } = run.unwrap();
        Self {
            code: status.code().expect("an exit code"),
            text: String::from_utf8(stdout).unwrap(),
            errors: String::from_utf8(stderr).unwrap(),
        }
    }

    /// The last line.
    pub(crate) fn result(&self) -> &str {
        self.text.lines().last().unwrap_or_default()
    }

    /// The line that begins so.
    pub(crate) fn line(&self, start: &str) -> &str {
        self.text.lines().find(|line| line.starts_with(start)).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    #[track_caller]
    pub(crate) fn assert_verified(&self) {
        assert_eq!((self.code, self.result()), (0, "result: verified"), "{self:?}");
        assert_eq!(self.errors, "");
    }

    #[track_caller]
    pub(crate) fn assert_failed(&self, reason: &str) {
        assert_eq!(self.code, 1, "{self:?}");
        assert!(self.result().starts_with("result: FAILED"), "{self:?}");
        assert!(self.result().contains(reason), "{reason:?} in {:?}", self.result());
    }

    #[track_caller]
    pub(crate) fn assert_failed_at(&self, index: u64, reason: &str) {
        self.assert_failed(reason);
        let start = format!("result: FAILED at entry {index}: ");
        assert!(self.result().starts_with(&start), "{start:?} in {:?}", self.result());
    }
}

/// Copies a folder with all that is in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
