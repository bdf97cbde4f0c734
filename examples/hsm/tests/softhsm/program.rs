//! The examples as their users run them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::env;
use std::path::Path;
use std::process::{Command, Output};

/// Runs an example with these variables; it is built beside these tests.
pub(crate) fn run(name: &str, arguments: &[&str], variables: &[(&str, &Path)]) -> Output {
    let tests = env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples").join(name);
    let mut command = Command::new(&program);
    command.args(arguments).env_remove("CUSTODY_HSM_PIN").envs(variables.iter().copied());
    command.output().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}
