//! Secrets that stand in the output as a row of words or numbers, on one line or on many.

use crate::scan::encodings::{BYTES, WORDS};
use crate::scan::{Encoding, Secrets};

/// The last words and numbers of the output.
#[derive(Default)]
pub(super) struct Stream {
    words: Recent<u16, WORDS>,
    decimal: Recent<u8, BYTES>,
    hex: Recent<u8, BYTES>,
}

impl Stream {
    /// Takes the next line and says which encodings of a secret end in it.
    pub(super) fn read(&mut self, line: &[u8], secrets: &Secrets) -> Vec<Encoding> {
        let mut found = Vec::new();
        let tokens = line.split(|byte| !byte.is_ascii_alphanumeric());
        for token in tokens.filter(|token| !token.is_empty()) {
            let decimal = self.decimal.push(decimal_byte(token));
            let hex = self.hex.push(hex_byte(token));
            if decimal.is_some_and(|window| secrets.has_bytes(window))
                || hex.is_some_and(|window| secrets.has_bytes(window))
            {
                found.push(Encoding::ByteList);
            }
            // Numbers between the words are those of a numbered list.
            if !token.iter().all(u8::is_ascii_digit)
                && self.words.push(word_index(token)).is_some_and(|w| secrets.has_words(w))
            {
                found.push(Encoding::Words);
            }
        }
        found
    }
}

/// The last `N` items without an interruption.
struct Recent<T, const N: usize> {
    items: [T; N],
    length: usize,
}

impl<T: Copy + Default, const N: usize> Recent<T, N> {
    /// Takes the next item, or an interruption, and gives the window if it is full.
    fn push(&mut self, item: Option<T>) -> Option<&[T; N]> {
        let Some(item) = item else {
            self.length = 0;
            return None;
        };
        self.items.rotate_left(1);
        *self.items.last_mut()? = item;
        self.length = self.length.saturating_add(1);
        (self.length >= N).then_some(&self.items)
    }
}

impl<T: Copy + Default, const N: usize> Default for Recent<T, N> {
    fn default() -> Self {
        Self { items: [T::default(); N], length: 0 }
    }
}

fn decimal_byte(token: &[u8]) -> Option<u8> {
    let token = token.strip_suffix(b"u8").unwrap_or(token);
    std::str::from_utf8(token).ok()?.parse().ok()
}

fn hex_byte(token: &[u8]) -> Option<u8> {
    let token = token.strip_prefix(b"0x").unwrap_or(token);
    let text = std::str::from_utf8(token).ok()?;
    (token.len() <= 2).then(|| u8::from_str_radix(text, 16).ok()).flatten()
}

fn word_index(token: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(token).ok().filter(|text| text.len() <= WORD_LENGTH_MAX)?;
    bip39::Language::English.find_word(&text.to_ascii_lowercase())
}

/// No English word of BIP-39 is longer.
const WORD_LENGTH_MAX: usize = 8;
