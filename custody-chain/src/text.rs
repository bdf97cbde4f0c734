//! How texts and bytes of a payload stand in an intent.
//!
//! Invariant: what people read and rules see says what it seems to say: no letter is hidden or turned
//! round, and no text passes for the digest of another.

use custody_core::digest::Digest;
use custody_core::effect::Arguments;

/// The text; the digest of one that is too long for an argument, has letters that are not seen, or
/// begins as a digest does.
pub(crate) fn shown(text: &str) -> String {
    let is_plain = !text.chars().any(is_hidden) && !text.starts_with(DIGEST);
    if is_plain && text.len() <= Arguments::VALUE_MAX {
        return text.to_owned();
    }
    digest_of(text.as_bytes())
}

/// What stands in the place of bytes that are not told.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    format!("{DIGEST}{}", Digest::of(bytes))
}

/// Control characters, and those that hide, join or turn round what stands beside them.
pub(crate) fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

const DIGEST: &str = "sha256:";
