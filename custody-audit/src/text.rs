//! The two encodings that all texts of a log share: decimal numbers and base64.
//!
//! **Invariant:** each value has exactly one text, so that what was parsed and written again has
//! the same bytes.

use std::fmt;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;

use crate::tree::TreeHash;

/// Reads an ASCII decimal number without sign and without leading zeros.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = text == "0" || !text.starts_with('0');
    if digits && canonical { text.parse().ok() } else { None }
}

/// Reads standard base64 with its padding (RFC 4648, section 4).
pub(crate) fn parse_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Writes standard base64 with its padding.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Standard base64 with its padding, to be written into a text.
pub(crate) fn as_base64(bytes: &[u8]) -> impl fmt::Display + '_ {
    Base64Display::new(bytes, &STANDARD)
}

/// Reads the base64 of a hash.
pub(crate) fn parse_hash(text: &str) -> Option<TreeHash> {
    let bytes: [u8; TreeHash::LENGTH] = parse_base64(text)?.try_into().ok()?;
    Some(TreeHash::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_text() {
        for (text, number) in [("0", 0), ("7", 7), ("18446744073709551615", u64::MAX)] {
            assert_eq!(parse_decimal(text), Some(number));
        }
        for text in [
            "",
            "00",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1_0",
            "0x1",
            "\u{661}",
            "18446744073709551616",
        ] {
            assert_eq!(parse_decimal(text), None, "{text:?}");
        }
    }

    #[test]
    fn bytes_have_one_base64() {
        assert_eq!(parse_base64("YQ=="), Some(b"a".to_vec()));
        for text in ["YQ", "YQ=", "YR==", "YQ===", "YQ==\n", " YQ==", "Y-__", "Y Q="] {
            assert_eq!(parse_base64(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_hash_of_another_length_is_refused() {
        for length in [0, 31, 33, 64] {
            assert_eq!(parse_hash(&to_base64(&vec![0; length])), None, "{length}");
        }
        assert!(parse_hash(&to_base64(&[0; 32])).is_some());
    }
}
