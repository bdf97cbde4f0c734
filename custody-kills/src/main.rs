//! The process that is killed: `custody-kills DIRECTORY SEED LIFE [hasty]`; and the one that ends
//! itself at a failpoint: `custody-kills abort DIRECTORY ID WORKLOAD [FAILPOINT NTH]`.
#![expect(clippy::print_stderr, reason = "its driver reads why it ended by itself")]

use std::path::PathBuf;
use std::process::ExitCode;

use custody_kills::Failure;
use custody_kills::failpoints::abort;
use custody_kills::life::{Manner, live};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|word| word == "abort").is_some() {
        return match abort::live(arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}: {error:?}");
                ExitCode::FAILURE
            }
        };
    }
    match run(arguments) {
        Ok(()) => eprintln!("the callers went home"),
        Err(error) => eprintln!("{error}: {error:?}"),
    }
    // A life ends by being killed, and in no other way.
    ExitCode::FAILURE
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Failure> {
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
