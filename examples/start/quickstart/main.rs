//! The main job: unsigned transactions go in; what they do is decoded, the rules and the approvers
//! decide, a key signs, everything is recorded, and signatures with receipts come out.
//! This file opens secrets.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks")]

mod output;
mod steps;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use custody_core::seam::Entropy as _;
use custody_core::secret::Secret;
use examples_start::Failure;
use examples_start::entropy::OsEntropy;
use examples_start::house::House;

use output::Output;
use steps::Steps;

/// A governed signature, end to end.
#[derive(Debug, Parser)]
struct Arguments {
    /// Keeps the house here and opens it again next time; without it, everything is deleted.
    #[arg(long, requires = "passphrase_file")]
    dir: Option<PathBuf>,
    /// The file with the passphrase that the keys are sealed under.
    #[arg(long, requires = "dir")]
    passphrase_file: Option<PathBuf>,
    /// An unsigned transaction that replaces the first one.
    #[arg(long, value_name = "0xHEX")]
    tx: Option<String>,
    /// Prints one JSON object for each answer.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::new(arguments.json);
    match run(&arguments, &output).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("a step did not end as it should");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("failed: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

/// Runs all steps; whether each ended as it should.
async fn run(arguments: &Arguments, output: &Output) -> Result<bool, Failure> {
    let temporary;
    let (directory, passphrase) = match (&arguments.dir, &arguments.passphrase_file) {
        (Some(directory), Some(file)) => {
            let text = Secret::new(std::fs::read(file)?);
            (directory.clone(), Secret::new(text.expose().trim_ascii_end().to_vec()))
        }
        _ => {
            temporary = tempfile::tempdir()?;
            let passphrase = Secret::try_fill(32, |bytes| OsEntropy.fill(bytes))?;
            (temporary.path().join("house"), passphrase)
        }
    };
    let house = House::open(&directory, passphrase).await?;
    let first = arguments.tx.as_deref();
    let ended = Steps::new(&house, output).run(first).await;
    house.custodian.close().await?;
    ended
}
