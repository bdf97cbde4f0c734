//! Prints what a payload does and what would be signed for it, as JSON.
//!
//! ```text
//! cargo run --release --example inspect -- --chain eip155:1 0x02f0…
//! cargo run --release --example inspect -- --chain eip155:1 --typed-data permit.json
//! cargo run --release --example inspect -- --chain bip122:000000000019d6689c085ae165831e93 cHNidP8B…
//! cargo run --release --example inspect -- --chain solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp --file message.txt
//! ```
//!
//! Exits with 2 and a line of reason if the payload is refused.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks")]

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use custody_core::caip::ChainId;
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::id::PayloadFormat;
use custody_core::seam::WalletDescriptor;
use examples_chains::{Failure, default_format, inspect, named_keys, read_payload, reason};

/// Tells what a payload does.
#[derive(Debug, Parser)]
struct Arguments {
    /// The chain, as CAIP-2 names it.
    #[arg(long)]
    chain: String,
    /// The payload: hex with 0x, or base64; `-` reads it from standard input.
    #[arg(required_unless_present_any = ["file", "typed_data"], conflicts_with_all = ["file", "typed_data"])]
    payload: Option<String>,
    /// A file with the payload.
    #[arg(long, conflicts_with = "typed_data")]
    file: Option<PathBuf>,
    /// A file with typed data (EIP-712), as JSON.
    #[arg(long)]
    typed_data: Option<PathBuf>,
    /// The format, if it is not a transaction: `evm/message`, `evm/authorization`, `opaque` …
    #[arg(long)]
    format: Option<String>,
    /// A public key of the wallet, in hex. Without one, those that the payload itself names count as
    /// the wallet's; a payload that names none is told for the key whose secret is 1.
    #[arg(long = "public-key")]
    public_keys: Vec<String>,
    /// A descriptor of the wallet.
    #[arg(long = "descriptor")]
    descriptors: Vec<String>,
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

fn run(arguments: &Arguments) -> Result<String, Failure> {
    let chain = ChainId::parse(&arguments.chain)?;
    let format = match (&arguments.format, &arguments.typed_data) {
        (_, Some(_)) => PayloadFormat::parse("evm/typed-data")?,
        (Some(format), None) => PayloadFormat::parse(format)?,
        (None, None) => default_format(&chain)?,
    };
    let payload = read_payload(format, &text(arguments)?)?;
    let keys = if arguments.public_keys.is_empty() {
        named_keys(&chain, &payload)?
    } else {
        let keys = arguments.public_keys.iter();
        keys.map(|key| public_key(&chain, key)).collect::<Result<_, _>>()?
    };
    let descriptors = arguments.descriptors.iter();
    let descriptors = descriptors.map(|text| WalletDescriptor::parse(text));
    let report = inspect(&chain, &payload, &keys, descriptors.collect::<Result<_, _>>()?)?;
    Ok(serde_json::to_string_pretty(&report)?)
}

fn text(arguments: &Arguments) -> Result<String, Failure> {
    let file = arguments.file.as_ref().or(arguments.typed_data.as_ref());
    match (file, arguments.payload.as_deref()) {
        (Some(file), _) => Ok(std::fs::read_to_string(file)?),
        (None, Some("-")) => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            Ok(text)
        }
        (None, Some(text)) => Ok(text.to_owned()),
        (None, None) => Err("there is no payload".into()),
    }
}

/// A key of the algorithm that its chain and its length ask for.
fn public_key(chain: &ChainId, text: &str) -> Result<PublicKey, Failure> {
    let bytes = hex::decode(text.strip_prefix("0x").unwrap_or(text))?;
    let algorithm = match (chain.namespace(), bytes.len()) {
        ("solana", _) => Algorithm::Ed25519,
        (_, 32) => Algorithm::Bip340,
        _ => Algorithm::EcdsaSecp256k1,
    };
    Ok(PublicKey::from_bytes(algorithm, &bytes)?)
}
