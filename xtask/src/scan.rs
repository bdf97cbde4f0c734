//! Searches kept output for the secrets that tests were given. Opens secrets, of tests only.
//!
//! Each secret is cut, in each encoding, into windows of fixed length; the output is slid over by a
//! window of the same length. So a part of a secret is found too, and one pass is enough for any
//! number of secrets.
//!
//! **Invariant:** nothing here prints or returns a secret or a line of the output.

mod bytes;
mod encodings;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, BufRead};

use crate::scan::bytes::Stream;
use crate::scan::encodings::{BYTES, TEXT, WORDS};

/// The secrets to search for, in every encoding.
pub(crate) struct Secrets {
    count: usize,
    patterns: usize,
    text: HashMap<[u8; TEXT], Encoding>,
    words: HashSet<[u16; WORDS]>,
    bytes: HashSet<[u8; BYTES]>,
}

/// A place in the output that holds a secret or a part of one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Leak {
    /// The line in the kept output, from 1.
    pub(crate) line: u64,
    pub(crate) encoding: Encoding,
}

/// How a secret was written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Encoding {
    Base58,
    Base64,
    ByteList,
    Hex,
    Words,
}

/// A line of the tap that is no secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the secret tap is not at least 16 bytes of lower-case hex")]
pub(crate) struct TapError {
    line: usize,
}

impl Secrets {
    /// Reads a tap: one secret a line, as lower-case hex.
    pub(crate) fn parse(tap: &str) -> Result<Self, TapError> {
        let mut secrets = Self {
            count: 0,
            patterns: 0,
            text: HashMap::new(),
            words: HashSet::new(),
            bytes: HashSet::new(),
        };
        let mut seen = HashSet::new();
        for (number, line) in (1..).zip(tap.lines()) {
            let secret = parse_secret(line).ok_or(TapError { line: number })?;
            if seen.insert(line) {
                secrets.insert(&secret);
            }
        }
        Ok(secrets)
    }

    fn insert(&mut self, secret: &[u8]) {
        // A block of zeros or of one repeated word cannot be told from ordinary output.
        if secret.iter().collect::<HashSet<_>>().len() < DISTINCT_MIN {
            self.patterns = self.patterns.saturating_add(1);
            return;
        }
        self.count = self.count.saturating_add(1);
        self.text.extend(encodings::text_windows(secret));
        self.words.extend(encodings::word_windows(secret));
        self.bytes.extend(encodings::byte_windows(secret));
    }

    /// How many different secrets are searched for.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// How many entries of the tap were too regular to search for.
    pub(crate) fn patterns(&self) -> usize {
        self.patterns
    }

    /// Finds every line of `output` that holds a secret, once for each encoding in it.
    pub(crate) fn scan(&self, mut output: impl BufRead) -> io::Result<Vec<Leak>> {
        let mut leaks = Vec::new();
        let mut stream = Stream::default();
        let mut line = Vec::new();
        let mut number: u64 = 0;
        while output.read_until(b'\n', &mut line)? > 0 {
            number = number.saturating_add(1);
            let mut found = self.find_text(&line);
            found.extend(stream.read(&line, self));
            found.sort();
            found.dedup();
            leaks.extend(found.into_iter().map(|encoding| Leak { line: number, encoding }));
            line.clear();
        }
        Ok(leaks)
    }

    fn find_text(&self, line: &[u8]) -> Vec<Encoding> {
        line.split(|byte| !is_text(*byte))
            .flat_map(|run| run.windows(TEXT))
            .filter_map(|window| self.text.get(window).copied())
            .collect()
    }

    fn has_words(&self, window: &[u16; WORDS]) -> bool {
        self.words.contains(window)
    }

    fn has_bytes(&self, window: &[u8; BYTES]) -> bool {
        self.bytes.contains(window)
    }
}

fn parse_secret(line: &str) -> Option<Vec<u8>> {
    let lower = !line.bytes().any(|byte| byte.is_ascii_uppercase());
    let secret = hex::decode(line).ok()?;
    (lower && secret.len() >= SECRET_BYTES_MIN).then_some(secret)
}

/// The characters of hex, base58 and both base64 alphabets.
fn is_text(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base58 => "base58",
            Self::Base64 => "base64",
            Self::ByteList => "a list of bytes",
            Self::Hex => "hex",
            Self::Words => "BIP-39 words",
        })
    }
}

const SECRET_BYTES_MIN: usize = 16;
const DISTINCT_MIN: usize = 8;

#[cfg(test)]
mod tests;
