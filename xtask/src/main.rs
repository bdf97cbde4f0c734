//! Development tasks.
//!
//! `cargo xtask test [--long] [PACKAGE…]` runs every test and searches what they printed for
//! secrets; with `--long`, tests that draw do so more often.
//! `cargo xtask fuzz [TARGET…] [--seconds N]` runs the fuzz targets, two at a time.
//! `cargo xtask speed` runs the tests that measure, one after the other: for a quiet machine.
//! `cargo xtask opencryptoki PROGRAM [ARGUMENT…]` runs a program where openCryptoki has two new tokens.
//! `cargo xtask with-kms PROGRAM [ARGUMENT…]` runs a program beside what stands in for AWS KMS.
//! `cargo xtask bench-results` makes the example results of `custody-bench` anew.
//! `cargo xtask features` prints the features that the tests are built with: what is run with them is not
//! built again.
//! `cargo xtask mutants` puts faults into a copy of the code and sees whether the tests notice.
//!
//! **Invariant:** nothing here is linked into a crate that ships.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool talks to its terminal"
)]

mod fuzz;
mod machine;
mod mutants;
mod opencryptoki;
mod process;
mod project;
mod python;
mod results;
mod scan;
mod screen;
mod setup;
mod stand_in;
mod suite;

use std::process::ExitCode;

use suite::Length;

const USAGE: &str = "usage: cargo xtask test [--long] [PACKAGE…]\n       \
                     cargo xtask fuzz [--seconds N] [TARGET…]\n       cargo xtask speed\n       \
                     cargo xtask opencryptoki PROGRAM [ARGUMENT…]\n       \
                     cargo xtask with-kms PROGRAM [ARGUMENT…]\n       cargo xtask features";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("test") => test(&arguments.collect::<Vec<_>>()),
        Some("fuzz") => fuzz(&arguments.collect::<Vec<_>>()),
        Some("speed") => speed(),
        Some("opencryptoki") => opencryptoki(&arguments.collect::<Vec<_>>()),
        Some("with-kms") => with_kms(&arguments.collect::<Vec<_>>()),
        Some("features") => features(),
        Some("bench-results") => bench_results(&arguments.collect::<Vec<_>>()),
        Some("mutants") => mutants(&arguments.collect::<Vec<_>>()),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}\n       {}\n       {}", results::USAGE, mutants::USAGE);
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}\n       {}\n       {}", results::USAGE, mutants::USAGE);
            ExitCode::from(2)
        }
    }
}

fn test(arguments: &[String]) -> ExitCode {
    let (long, packages): (Vec<_>, Vec<_>) =
        arguments.iter().cloned().partition(|argument| argument == "--long");
    let length = if long.is_empty() { Length::Usual } else { Length::Long };
    match suite::run(&packages, length) {
        Ok(report) => {
            for leak in &report.leaks {
                eprintln!("{}:{}: a secret as {}", report.log.display(), leak.line, leak.encoding);
            }
            println!("{report}");
            if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("xtask test: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn fuzz(arguments: &[String]) -> ExitCode {
    let arguments = match fuzz::Arguments::parse(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("xtask fuzz: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match fuzz::run(&arguments) {
        Ok(report) => {
            println!("{report}");
            if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("xtask fuzz: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn speed() -> ExitCode {
    match suite::measure() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask speed: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn features() -> ExitCode {
    match project::Project::read() {
        Ok(project) => {
            println!("{}", project.features(&[]));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("xtask features: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn opencryptoki(words: &[String]) -> ExitCode {
    if words.is_empty() {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    match opencryptoki::run(words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask opencryptoki: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn with_kms(words: &[String]) -> ExitCode {
    if words.is_empty() {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    match stand_in::run(words) {
        // A program that a signal ended has no code.
        Ok(status) => {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            code.map_or(ExitCode::FAILURE, ExitCode::from)
        }
        Err(error) => {
            eprintln!("xtask with-kms: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench_results(arguments: &[String]) -> ExitCode {
    let asked = match results::Asked::parse(arguments) {
        Ok(asked) => asked,
        Err(error) => {
            eprintln!("xtask bench-results: {error}\nusage: {}", results::USAGE);
            return ExitCode::from(2);
        }
    };
    match results::run(&asked) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask bench-results: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn mutants(arguments: &[String]) -> ExitCode {
    match mutants::run(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask mutants: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}
