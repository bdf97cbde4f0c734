//! Reads a mnemonic from standard input and prints address, public key and account descriptor of a
//! path below it, as JSON. Private keys are never printed. This file opens secrets.
//!
//! ```text
//! cargo run --release --example derive -- --chain eip155:1 --path "m/44'/60'/0'/0/0" < words.txt
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks")]

mod keys;

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use custody_chain::BitcoinAddress;
use custody_core::caip::{AccountId, ChainId};
use custody_core::crypto::PublicKey;
use custody_core::seam::DerivationPath;
use examples_chains::{Failure, decoders, reason};
use serde_json::json;
use zeroize::Zeroizing;

use keys::{Keys, address_kind};

/// Derives an account.
#[derive(Debug, Parser)]
struct Arguments {
    /// The chain, as CAIP-2 names it.
    #[arg(long)]
    chain: String,
    /// The path below the mnemonic's seed, such as m/84'/0'/0'/0/0.
    #[arg(long)]
    path: String,
    /// A file with the mnemonic's passphrase (BIP-39); its last line break is left out.
    #[arg(long)]
    passphrase_file: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("refused: {}", reason(error.as_ref()));
            ExitCode::from(2)
        }
    }
}

/// The account of a key: on Bitcoin of the kind that its path is for.
fn account(chain: &ChainId, path: &DerivationPath, key: &PublicKey) -> Result<AccountId, Failure> {
    if let Some(kind) = address_kind(chain, path) {
        return Ok(BitcoinAddress::of_key(chain, key, kind)?.account().clone());
    }
    if chain.namespace() == "bip122" {
        return Err("a path on Bitcoin begins with 44', 49', 84' or 86'".into());
    }
    let decoders = decoders();
    let account = decoders.iter().find_map(|decoder| decoder.account(chain, key));
    account.ok_or_else(|| "no address is known for this key on this chain".into())
}

fn run(arguments: &Arguments) -> Result<String, Failure> {
    let (chain, path) =
        (ChainId::parse(&arguments.chain)?, DerivationPath::parse(&arguments.path)?);
    let passphrase = match &arguments.passphrase_file {
        Some(file) => Zeroizing::new(std::fs::read_to_string(file)?),
        None => Zeroizing::new(String::new()),
    };
    let passphrase = passphrase.strip_suffix('\n').unwrap_or(&passphrase);
    let passphrase = passphrase.strip_suffix('\r').unwrap_or(passphrase);
    let mut words = Zeroizing::new(String::with_capacity(1_024));
    std::io::stdin().read_to_string(&mut words)?;
    let keys = Keys::of(&words, passphrase)?;
    let public_key = keys.public_key(&chain, &path)?;
    let account = account(&chain, &path, &public_key)?;
    Ok(serde_json::to_string_pretty(&json!({
        "chain": chain.as_str(),
        "path": path.to_string(),
        "algorithm": public_key.algorithm().as_str(),
        "account": account.as_str(),
        "address": account.address(),
        "public_key": hex::encode(public_key.as_bytes()),
        "descriptor": keys.descriptor(&chain, &path)?,
    }))?)
}
