//! A wallet of a thousand addresses below one seed. The seed is sealed under a key that never leaves
//! its token, and opened in memory while signing. Nothing is sent to a network.
//!
//! No standard of PKCS#11 derives keys as BIP-32 does, and a token holds few keys. So the seed and the
//! keys below it are software keys here: protected at rest by the token, in memory by nothing but their
//! short stay. A key that must never be in memory is a native one, as in `cold_wallet`.
#![expect(clippy::print_stdout, reason = "a program that talks")]

mod accounts;
mod loss;
mod payment;
mod sealing;
mod steps;
mod witness;

use std::process::ExitCode;

use examples_hsm::{Failure, stage};

fn main() -> Result<ExitCode, Failure> {
    let labels = [steps::TOKEN, steps::OTHER];
    stage::run(&labels, async |directory, tokens| steps::run(directory, tokens, 1_000).await, tell)
}

fn tell(line: &str) {
    println!("{line}");
}
