//! Two hot wallets on Ethereum under the rules of the treasury: the key of one was made in KMS and never
//! leaves it, the keys of the other are below a seed that is sealed under a key of KMS. Then the latter
//! moves to another key of KMS, and both go on paying. Nothing is sent to a network.
//!
//! ```text
//! cargo xtask with-kms cargo run --release --example hot_wallet_kms
//! ```
#![expect(clippy::print_stdout, reason = "a program that talks")]

mod payments;
mod resealing;
mod steps;
mod wallets;

use examples_kms::Failure;
use examples_kms::account::Account;

fn main() -> Result<(), Failure> {
    let account = Account::of_environment()?;
    let directory = tempfile::tempdir()?;
    for line in steps::run(&directory.path().join("house"), &account)? {
        println!("{line}");
    }
    Ok(())
}
