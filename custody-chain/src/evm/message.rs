//! Messages of people (EIP-191, version `E`): text that a wallet signs.
//!
//! Invariant: what may be the hash of anything is opaque: what is not plain text, and whatever is as
//! long as a digest. Somebody who tries often enough finds a digest that is text.

use alloy_primitives::eip191_hash_message;

use super::EvmError;
use super::abi::Named;
use super::story::Story;
use crate::text::{digest_of, is_hidden};

/// Tells what a message says, and which digest is signed.
pub(super) fn describe(story: &mut Story<'_>, message: &[u8]) -> Result<[u8; 32], EvmError> {
    let length = message.len();
    if length > LIMIT {
        return Err(EvmError::TooLong { length, limit: LIMIT });
    }
    let digest = eip191_hash_message(message).0;
    let is_plain = |text: &&str| {
        length != DIGEST && text.chars().all(|letter| !is_hidden(letter) || letter == '\n')
    };
    let Some(text) = std::str::from_utf8(message).ok().filter(is_plain) else {
        let line = format!("sign {length} eip191 bytes, {}", digest_of(message));
        story.sign_opaque("eip191", line)?;
        return Ok(digest);
    };
    let mut named = Named::default();
    named.insert("message", text);
    let beginning = shown(text);
    let mut line = format!("sign the message {beginning:?}");
    if beginning.len() < length {
        line.push_str(&format!(" and more, {length} bytes in all, {}", digest_of(message)));
    }
    story.sign_message("eip191", named.end(message), line)?;
    Ok(digest)
}

/// The beginning of a text.
fn shown(text: &str) -> &str {
    let end = text.char_indices().nth(SHOWN_MAX).map_or(text.len(), |(end, _)| end);
    text.get(..end).unwrap_or(text)
}

const LIMIT: usize = 256 * 1024;
/// What contracts verify a signature over (EIP-191, `\n32`) is as long as this.
const DIGEST: usize = 32;
/// So many letters of a message stand in the summary.
const SHOWN_MAX: usize = 1_000;
