//! The process that is killed: `custody-kills DIRECTORY SEED LIFE [hasty]`; and the one that ends
//! itself at a failpoint: `custody-kills abort DIRECTORY ID WORKLOAD [FAILPOINT NTH]`; and the one
//! whose disk fails: `custody-kills below DIRECTORY ID WORKLOAD MILLISECONDS`; and the one that
//! works on for long: `custody-kills soak DIRECTORY SEED SECONDS REST`.
#![expect(clippy::print_stderr, reason = "its driver reads why it ended by itself")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use custody_kills::Failure;
use custody_kills::failpoints::{abort, below};
use custody_kills::life::{Manner, live};
use custody_kills::soak;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|word| word == "abort").is_some() {
        return ended(abort::live(arguments));
    }
    if arguments.next_if(|word| word == "below").is_some() {
        return ended(below::live(arguments));
    }
    if arguments.next_if(|word| word == "soak").is_some() {
        return ended(work_on(arguments));
    }
    match run(arguments) {
        Ok(()) => eprintln!("the callers went home"),
        Err(error) => eprintln!("{error}: {error:?}"),
    }
    // A life ends by being killed, and in no other way.
    ExitCode::FAILURE
}

/// The end of a process that ends by itself.
fn ended(run: Result<(), Failure>) -> ExitCode {
    match run {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}: {error:?}");
            ExitCode::FAILURE
        }
    }
}

fn work_on(mut arguments: impl Iterator<Item = String>) -> Result<(), Failure> {
    let mut next =
        || arguments.next().ok_or("usage: custody-kills soak DIRECTORY SEED SECONDS REST");
    let (directory, seed) = (PathBuf::from(next()?), next()?.parse()?);
    let (length, rest) = (Duration::from_secs(next()?.parse()?), next()?.parse()?);
    soak::log_in_vain();
    runtime()?.block_on(soak::soak(&directory, seed, length, rest))
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Failure> {
    let mut next = || arguments.next().ok_or("usage: custody-kills DIRECTORY SEED LIFE [hasty]");
    let (directory, seed, life) = (PathBuf::from(next()?), next()?.parse()?, next()?.parse()?);
    let manner = match next() {
        Ok(word) if word == "hasty" => Manner::Hasty,
        Ok(word) => return Err(format!("no manner is called {word:?}").into()),
        Err(_) => Manner::Honest,
    };
    runtime()?.block_on(live(&directory, seed, life, manner))
}

fn runtime() -> Result<Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(2).enable_time().build()?)
}
