//! BIP-39: words to seeds. This file opens secrets.
//!
//! Words are read in every language of the standard, and words and passphrase are normalised
//! (NFKD). Words are never written here: only English entropy with an empty passphrase is kept as
//! entropy, anything else as the seed it stands for.
//!
//! Invariant: words with a wrong checksum give nothing, and no error names a word.

use bip39::{Language, Mnemonic};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use custody_core::secret::Secret;

use crate::seed::{Seed, SeedError};

/// Reads a mnemonic of 12 to 24 words and its passphrase.
pub(crate) fn read(words: &Secret, passphrase: &Secret) -> Result<Seed, MnemonicError> {
    let words = normalised(words)?;
    let passphrase = normalised(passphrase)?;
    let mnemonic = parse(&words)?;
    let seed = if mnemonic.language() == Language::English && passphrase.is_empty() {
        let (bytes, length) = mnemonic.to_entropy_array();
        let bytes = Zeroizing::new(bytes);
        Seed::of_entropy(Secret::new(bytes.iter().take(length).copied().collect()))
    } else {
        Seed::of_root(root(&mnemonic, &passphrase))
    };
    seed.map_err(|_: SeedError| MnemonicError::Length)
}

/// The seed that the English words of `entropy` stand for, with an empty passphrase.
pub(crate) fn root_of_entropy(entropy: &Secret) -> Result<Secret, MnemonicError> {
    let mnemonic = Mnemonic::from_entropy(entropy.expose()).map_err(|_| MnemonicError::Length)?;
    Ok(root(&mnemonic, ""))
}

fn root(mnemonic: &Mnemonic, passphrase: &str) -> Secret {
    let root = Zeroizing::new(mnemonic.to_seed_normalized(passphrase));
    Secret::new(root.to_vec())
}

/// The words in the language whose checksum they meet. The word lists overlap; where two languages
/// fit, the words and with them the seed are the same.
fn parse(words: &str) -> Result<Mnemonic, MnemonicError> {
    let mut best = MnemonicError::Word { position: 0 };
    for language in Language::ALL {
        match Mnemonic::parse_in_normalized(*language, words) {
            Ok(mnemonic) => return Ok(mnemonic),
            Err(bip39::Error::BadWordCount(count)) => return Err(MnemonicError::Count { count }),
            Err(bip39::Error::InvalidChecksum) => best = MnemonicError::Checksum,
            Err(bip39::Error::UnknownWord(position)) => best = best.or_word(position),
            Err(_) => {}
        }
    }
    Err(best)
}

/// The text in the normal form of BIP-39, "From mnemonic to seed".
fn normalised(text: &Secret) -> Result<Zeroizing<String>, MnemonicError> {
    if text.len() > TEXT_MAX {
        return Err(MnemonicError::Length);
    }
    let text = std::str::from_utf8(text.expose()).map_err(|_| MnemonicError::Encoding)?;
    // The length is known before the text is written: a string that grows leaves copies behind.
    let length = text.nfkd().map(char::len_utf8).fold(0, usize::saturating_add);
    let mut normal = Zeroizing::new(String::with_capacity(length));
    normal.extend(text.nfkd());
    Ok(normal)
}

/// Why words are not a mnemonic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MnemonicError {
    /// The checksum is wrong.
    #[error("the words have a wrong checksum")]
    Checksum,
    /// The number of words is wrong.
    #[error("a mnemonic has 12, 15, 18, 21 or 24 words, not {count}")]
    Count {
        /// Number of words found.
        count: usize,
    },
    /// The text is not UTF-8.
    #[error("the text is not UTF-8")]
    Encoding,
    /// The text is too long, or the entropy has a wrong length.
    #[error("the text or its entropy has a wrong length")]
    Length,
    /// A word is in no list.
    #[error("word {position} is in no list, counted from 0")]
    Word {
        /// Position of the word in the language that fits best.
        position: usize,
    },
}

impl MnemonicError {
    /// The error of the language that fits better.
    fn or_word(self, position: usize) -> Self {
        if matches!(self, Self::Word { position: other } if position > other) {
            return Self::Word { position };
        }
        self
    }
}

/// Longest words or passphrase, in bytes.
const TEXT_MAX: usize = 1024;
