//! Splits a secret into shares of SLIP-39, combines shares, and says how many are missing. This
//! file opens secrets.
//!
//! ```text
//! cargo run --release --example slip39 -- split --groups 2of3,3of5 --group-threshold 2 > all.txt
//! cargo run --release --example slip39 -- verify all.txt
//! cargo run --release --example slip39 -- combine one.txt two.txt --passphrase-file passphrase.txt
//! ```
//!
//! Shares are read from files or from standard input, one a line; what is in arguments stays in the
//! history of a terminal, and is seen by whoever lists processes. Empty lines and lines that begin
//! with `#` are left out. What `split` writes can be read again as it is: cut it apart, and give
//! each member theirs.
//!
//! Exits with 2 and a line of reason if there is nothing to answer.
#![expect(clippy::print_stderr, reason = "a program that talks")]

mod groups;
mod input;
mod report;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use custody_core::seam::Entropy as _;
use custody_core::secret::Secret;
use custody_recovery::slip39::{self, Progress, Scheme};
use examples_start::entropy::OsEntropy;
use zeroize::Zeroizing;

use crate::groups::Groups;

/// Anything that ends the program.
type Failure = Box<dyn std::error::Error>;

/// Shares of SLIP-39.
#[derive(Debug, Parser)]
enum Arguments {
    /// Splits a secret, a new one if none is given, and prints the shares.
    Split(Split),
    /// Combines shares and prints the secret in hex.
    Combine {
        #[command(flatten)]
        shares: Shares,
        /// A file with the passphrase; its last line break is left out.
        #[arg(long)]
        passphrase_file: Option<PathBuf>,
    },
    /// Says whether shares belong together and how many are missing. It prints no secret.
    Verify {
        #[command(flatten)]
        shares: Shares,
    },
}

#[derive(Debug, clap::Args)]
struct Split {
    /// The groups, each as needed members of all members: 2of3,3of5.
    #[arg(long)]
    groups: Groups,
    /// How many groups are needed.
    #[arg(long)]
    group_threshold: u8,
    /// The length of a new secret: 128 or 256.
    #[arg(long, default_value_t = 256, value_parser = bits, conflicts_with = "secret_file")]
    bits: u16,
    /// A file with the secret in hex.
    #[arg(long)]
    secret_file: Option<PathBuf>,
    /// A file with the passphrase; its last line break is left out.
    #[arg(long)]
    passphrase_file: Option<PathBuf>,
    /// How often the work of the passphrase is doubled, 0 to 15.
    #[arg(long, default_value_t = 1)]
    iteration_exponent: u8,
    /// Makes a set that old wallets can read.
    #[arg(long)]
    no_extendable: bool,
}

#[derive(Debug, clap::Args)]
struct Shares {
    /// Files with shares; standard input if there are none.
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let answer = run(&Arguments::parse());
    match answer.and_then(|text| Ok(std::io::stdout().write_all(&text)?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("refused: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<Zeroizing<Vec<u8>>, Failure> {
    match arguments {
        Arguments::Split(options) => split(options),
        Arguments::Combine { shares, passphrase_file } => {
            let shares = input::shares(&shares.files)?;
            let passphrase = input::passphrase(passphrase_file.as_deref())?;
            let secret = slip39::combine(&shares, &passphrase)?;
            Ok(report::secret(&secret))
        }
        Arguments::Verify { shares } => {
            let shares = input::shares(&shares.files)?;
            let progress = Progress::of(&shares)?;
            if progress.is_complete() {
                slip39::check(&shares)?;
            }
            Ok(Zeroizing::new(report::progress(&progress).into_bytes()))
        }
    }
}

fn split(options: &Split) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let scheme = Scheme::new(options.group_threshold, options.groups.to_vec())?
        .iteration_exponent(options.iteration_exponent)?
        .extendable(!options.no_extendable);
    let passphrase = input::passphrase(options.passphrase_file.as_deref())?;
    let secret = match &options.secret_file {
        Some(file) => input::secret(file)?,
        None => Secret::try_fill(usize::from(options.bits / 8), |bytes| OsEntropy.fill(bytes))?,
    };
    let shares = slip39::split(&secret, &passphrase, &scheme, &OsEntropy)?;
    Ok(report::shares(&scheme, &shares))
}

fn bits(text: &str) -> Result<u16, String> {
    match text {
        "128" => Ok(128),
        "256" => Ok(256),
        _ => Err("a new secret has 128 or 256 bits".to_owned()),
    }
}
