//! Development tasks.
//!
//! `cargo xtask test [--long] [PACKAGE…]` runs every test and searches what they printed for
//! secrets; with `--long`, tests that draw do so more often.
//! `cargo xtask fuzz [TARGET…] [--seconds N]` runs the fuzz targets, two at a time.
//! `cargo xtask speed` runs the tests that measure, one after the other: for a quiet machine.
//! `cargo xtask opencryptoki PROGRAM [ARGUMENT…]` runs a program where openCryptoki has two new tokens.
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
mod scan;
mod screen;
mod setup;
mod suite;

use std::process::ExitCode;

use suite::Length;

const USAGE: &str = "usage: cargo xtask test [--long] [PACKAGE…]\n       \
                     cargo xtask fuzz [--seconds N] [TARGET…]\n       cargo xtask speed\n       \
                     cargo xtask opencryptoki PROGRAM [ARGUMENT…]";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("test") => test(&arguments.collect::<Vec<_>>()),
        Some("fuzz") => fuzz(&arguments.collect::<Vec<_>>()),
        Some("speed") => speed(),
        Some("opencryptoki") => opencryptoki(&arguments.collect::<Vec<_>>()),
        Some("mutants") => mutants(&arguments.collect::<Vec<_>>()),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}\n       {}", mutants::USAGE);
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}\n       {}", mutants::USAGE);
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
