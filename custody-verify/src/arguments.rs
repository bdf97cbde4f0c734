//! The command line.

use std::path::PathBuf;

use clap::Parser;
use custody_audit::note::{KeyError, VerifierKey};
use custody_core::caip::{AccountId, CaipError};
use custody_core::digest::{Digest, DigestError};
use custody_core::id::CustodianId;

/// Verifies an exported custody log, offline: every leaf, document, signature and decision.
#[derive(Clone, Debug, Parser)]
#[command(name = "custody-verify", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The exported log directory
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,

    /// The custodian's id: SHA-256 of its genesis event, in hex
    #[arg(long, value_name = "ID", value_parser = parse_custodian)]
    pub(crate) genesis: CustodianId,

    /// The log key that you trust: the one in force now, or the one of the genesis event
    #[arg(long, value_name = "VKEY", value_parser = parse_key)]
    pub(crate) key: VerifierKey,

    /// A checkpoint that you kept: the log must contain what it covers
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,

    /// A receipt that you kept (repeatable): it must hold, and its entry must be in the log
    #[arg(long = "receipt", value_name = "FILE")]
    pub(crate) receipts: Vec<PathBuf>,

    /// The JSON ABI of a contract that the custodian's decoder knew (repeatable)
    #[arg(long = "abi", value_name = "ACCOUNT=FILE", value_parser = parse_abi)]
    pub(crate) abis: Vec<(AccountId, PathBuf)>,

    /// An ERC-7730 descriptor that the custodian's decoder knew (repeatable)
    #[arg(long = "erc7730", value_name = "FILE")]
    pub(crate) descriptors: Vec<PathBuf>,

    /// A wrapped coin that the custodian's decoder knew (repeatable)
    #[arg(long = "wrapped", value_name = "ACCOUNT")]
    pub(crate) wrapped: Vec<AccountId>,

    /// Where contracts are named, take what was decoded without names as well
    #[arg(long)]
    pub(crate) accept_plain: bool,

    /// Check everything but the judgement of the rules
    #[arg(long)]
    pub(crate) no_replay: bool,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

fn parse_custodian(text: &str) -> Result<CustodianId, DigestError> {
    Digest::parse(text).map(CustodianId::new)
}

/// An account, as `eip155:1:0x…`, and a file.
fn parse_abi(text: &str) -> Result<(AccountId, PathBuf), CaipError> {
    const FORM: CaipError = CaipError::Form { name: "ABI", form: "ACCOUNT=FILE" };
    let (account, file) = text.split_once('=').ok_or(FORM)?;
    Ok((AccountId::parse(account)?, file.into()))
}

fn parse_key(text: &str) -> Result<VerifierKey, KeyError> {
    VerifierKey::parse(text)
}

const EXIT_CODES: &str = "Exit codes:
  0  everything that was asked for was checked and holds
  1  verification failed, or decisions could not be replayed
  2  wrong usage, or something could not be read";
