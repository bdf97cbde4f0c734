//! A house is lost and rebuilt: it pays, hands out the shares of a recovery secret, archives itself
//! and shows in a drill that the archive restores. Then everything is deleted. Three of five holders
//! of each of two organisations bring their shares; the house pays again, from the same addresses, and
//! its log goes on across the break.
//!
//! Where SoftHSM 2 is, the house has a cold wallet in a token as well. The token is lost with it, and the
//! key comes back into another one.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks")]

mod steps;

use std::process::ExitCode;

use examples_hsm::{stage, tokens};
use examples_recovery::Failure;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
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

fn run() -> Result<ExitCode, Failure> {
    let tell = |line: &str| println!("{line}");
    if tokens::module().is_ok() {
        let steps = async |world: &std::path::Path, tokens: &tokens::Tokens| {
            std::fs::create_dir_all(world)?;
            steps::run(world, Some(tokens)).await
        };
        return stage::run(&steps::TOKENS, steps, tell);
    }
    println!("SoftHSM is not here: the house has no cold wallet");
    let world = tempfile::tempdir()?;
    let told = tokio::runtime::Runtime::new()?.block_on(steps::run(world.path(), None))?;
    told.iter().for_each(|line| tell(line));
    Ok(ExitCode::SUCCESS)
}
