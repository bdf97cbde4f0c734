//! A message together with the accounts that it loads from lookup tables.
//!
//! Invariant: a document has one form. What is not written back as the same bytes is refused, and
//! so are tables that the message does not use, and messages whose tables are missing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use solana_address::Address;

use super::SolanaError;
use super::message::Message;

/// The accounts that a message loads from one table.
pub(super) struct Table {
    /// The table.
    pub(super) address: Address,
    /// What stands at the message's indexes: writable ones first, in the message's order.
    pub(super) accounts: Vec<Address>,
}

/// Reads the document: the message and its bytes.
pub(super) fn read(bytes: &[u8]) -> Result<(Message, Vec<u8>), SolanaError> {
    let length = bytes.len();
    if length > LIMIT {
        return Err(SolanaError::TooLong { length, limit: LIMIT });
    }
    let document: Document = serde_json::from_slice(bytes).map_err(|_| SolanaError::Document)?;
    let written = serde_json::to_vec(&document).map_err(|_| SolanaError::Document)?;
    if document.v != 1 || written != bytes {
        return Err(SolanaError::Document);
    }
    let message = STANDARD.decode(&document.message).map_err(|_| SolanaError::Document)?;
    let tables = document.tables.iter().map(TableText::parse).collect::<Result<Vec<_>, _>>()?;
    Ok((Message::read(&message)?.resolve(&tables)?, message))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    v: u8,
    message: String,
    tables: Vec<TableText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableText {
    address: String,
    accounts: Vec<String>,
}

impl TableText {
    fn parse(&self) -> Result<Table, SolanaError> {
        let accounts = self.accounts.iter().map(|text| address(text)).collect::<Result<_, _>>()?;
        Ok(Table { address: address(&self.address)?, accounts })
    }
}

/// An address in its one form: base58 of 32 bytes.
pub(super) fn address(text: &str) -> Result<Address, SolanaError> {
    let mut bytes = [0; 32];
    match bs58::decode(text).onto(&mut bytes) {
        Ok(32) if text.len() <= ADDRESS_MAX => Ok(Address::new_from_array(bytes)),
        Ok(_) | Err(_) => Err(SolanaError::Document),
    }
}

/// Above any document of a message of 1,232 bytes that loads all its 256 accounts from tables.
pub(super) const LIMIT: usize = 16 * 1024;
const ADDRESS_MAX: usize = 44;
