//! Cold wallets whose keys were made in a token and never leave it: two people approve, the token
//! signs, and lets nobody take a key out. Nothing is sent to a network.
#![expect(clippy::print_stdout, reason = "a program that talks")]

mod bitcoin_payment;
mod ethereum_payment;
mod export;
mod steps;
mod wallets;

use std::process::ExitCode;

use examples_hsm::{Failure, stage};

fn main() -> Result<ExitCode, Failure> {
    stage::run(&[steps::TOKEN], steps::run, |line| println!("{line}"))
}
