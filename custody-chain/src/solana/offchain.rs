//! Messages that are signed off the chain.
//!
//! Invariant: they begin with a byte with which no transaction begins, so that a signature over one
//! is never a signature over a transaction.

use custody_core::effect::{Arguments, Effect, MessageKind};
use solana_offchain_message::OffchainMessage;

use super::SolanaError;
use crate::text::shown;

/// What the message says, and a line for people.
pub(super) fn describe(bytes: &[u8]) -> Result<(Effect, String), SolanaError> {
    let length = bytes.len();
    if length > LIMIT {
        return Err(SolanaError::TooLong { length, limit: LIMIT });
    }
    let message = OffchainMessage::deserialize(bytes).map_err(|_| SolanaError::Offchain)?;
    let written = message.serialize().map_err(|_| SolanaError::Offchain)?;
    let text = std::str::from_utf8(message.get_message()).map_err(|_| SolanaError::Offchain)?;
    if written != bytes {
        return Err(SolanaError::Offchain);
    }
    let text = shown(text);
    let line = format!("sign the message {text}");
    let mut arguments = Arguments::new();
    arguments.insert("message", &text)?;
    let kind = MessageKind::parse("solana/offchain")?;
    Ok((Effect::SignMessage { kind, arguments }, line))
}

/// What the format can hold: a header of 20 bytes, and 65,515 of text.
const LIMIT: usize = 65_535;
