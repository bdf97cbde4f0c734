//! The examples `inspect` and `derive` as their users run them: the programs themselves.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]
#![expect(clippy::indexing_slicing, reason = "helpers of tests fail by panicking")]

mod derive;
mod inspect;

use std::env;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

/// What a program answered.
#[derive(Debug)]
struct Answer {
    code: i32,
    out: String,
    errors: String,
}

/// Runs an example; it is built beside these tests.
fn run(name: &str, arguments: &[&str], input: &str) -> Answer {
    let tests = env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples").join(name);
    let mut command = Command::new(&program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program:?}: {error}"));
    // Whoever is refused for its arguments does not read.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    Answer {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!((self.code, self.errors.as_str()), (0, ""), "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }

    /// It says so in one line, prints nothing else and ends with 2.
    #[track_caller]
    fn assert_refused(&self, name: &str, reason: &str) {
        assert_eq!((self.code, self.out.as_str()), (2, ""), "{name}: {self:?}");
        assert_eq!(self.errors.lines().count(), 1, "{name}: {self:?}");
        assert!(self.errors.starts_with("refused: "), "{name}: {self:?}");
        assert!(self.errors.contains(reason), "{name}: {self:?}");
    }
}
