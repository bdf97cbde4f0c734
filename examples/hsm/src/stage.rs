//! How an example gets tokens of its own: it makes them in a temporary directory and starts itself
//! again. SoftHSM reads from the environment where its tokens are, and a program cannot safely change
//! its own environment; that of a child it can choose.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::Failure;
use crate::tokens::{self, Tokens};

/// Runs steps with tokens of these labels, in a directory that is gone afterwards, and gives what
/// they told to `tell`.
pub fn run<F>(labels: &[&str], steps: F, tell: fn(&str)) -> Result<ExitCode, Failure>
where
    F: AsyncFnOnce(&Path, &Tokens) -> Result<Vec<String>, Failure>,
{
    match env::args_os().nth(1) {
        None => start_again(labels),
        Some(directory) => play(&PathBuf::from(directory).canonicalize()?, steps, tell),
    }
}

/// Makes the tokens and starts this program again.
fn start_again(labels: &[&str]) -> Result<ExitCode, Failure> {
    let directory = tempfile::tempdir()?;
    let tokens = Tokens::create(&directory.path().join(TOKENS))?;
    for label in labels {
        tokens.add(label)?;
    }
    let mut again = Command::new(env::current_exe()?);
    again.arg(directory.path()).env(tokens::VARIABLE, tokens.configuration());
    let status = again.status()?;
    directory.close()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn play<F>(directory: &Path, steps: F, tell: fn(&str)) -> Result<ExitCode, Failure>
where
    F: AsyncFnOnce(&Path, &Tokens) -> Result<Vec<String>, Failure>,
{
    let tokens = Tokens::of(directory.join(TOKENS));
    if env::var_os(tokens::VARIABLE).is_none_or(|path| *path != *tokens.configuration()) {
        return Err("this program takes no arguments: it starts itself again with one".into());
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let told = runtime.block_on(steps(&directory.join("house"), &tokens));
    // Whatever still held the store is gone with the runtime, and nothing is written any more.
    drop(runtime);
    for line in told? {
        tell(&line);
    }
    Ok(ExitCode::SUCCESS)
}

const TOKENS: &str = "softhsm";
