//! The process that is killed: `custody-kills DIRECTORY SEED LIFE [hasty]`.
#![expect(clippy::print_stderr, reason = "its driver reads why it ended by itself")]

use std::path::PathBuf;
use std::process::ExitCode;

use custody_kills::Failure;
use custody_kills::life::{Manner, live};

fn main() -> ExitCode {
    match run() {
        Ok(()) => eprintln!("the callers went home"),
        Err(error) => eprintln!("{error}: {error:?}"),
    }
    // A life ends by being killed, and in no other way.
    ExitCode::FAILURE
}

fn run() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: custody-kills DIRECTORY SEED LIFE [hasty]");
    let (directory, seed, life) = (PathBuf::from(next()?), next()?.parse()?, next()?.parse()?);
    let manner = match next() {
        Ok(word) if word == "hasty" => Manner::Hasty,
        Ok(word) => return Err(format!("no manner is called {word:?}").into()),
        Err(_) => Manner::Honest,
    };
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_time().build()?;
    runtime.block_on(live(&directory, seed, life, manner))
}
