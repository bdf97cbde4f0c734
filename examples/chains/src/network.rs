//! A program that plays the network: one question a line, one answer a line, in JSON.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::Failure;

/// A running program; it ends with this.
#[derive(Debug)]
pub struct Network {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Network {
    /// Starts a script with the Python of the examples.
    pub fn start(script: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(python());
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            format!("{}: {error}; `cargo xtask test` sets it up", python().display())
        })?;
        let questions = child.stdin.take().ok_or("the program takes no questions")?;
        let answers = child.stdout.take().ok_or("the program gives no answers")?;
        Ok(Self { child, questions, answers: BufReader::new(answers) })
    }

    /// Asks, and waits for the answer.
    pub fn ask(&mut self, question: &Value) -> Result<Value, Failure> {
        writeln!(self.questions, "{question}")?;
        self.questions.flush()?;
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err("the program that plays the network is gone".into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The Python of the environment that `cargo xtask test` makes, or that of `CUSTODY_PYTHON`.
fn python() -> PathBuf {
    std::env::var_os("CUSTODY_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin/python"),
        PathBuf::from,
    )
}
