//! BIP-39: words to seeds, and entropy to words. This file opens secrets.
//!
//! Words are read in every language of the standard, and words and passphrase are normalised
//! (NFKD). They are written in English only. English entropy with an empty passphrase is kept as
//! entropy, anything else as the seed it stands for.
//!
//! Invariant: words with a wrong checksum give nothing, and no error names a word. Words are written
//! only from entropy that a caller hands in: a sealed seed never comes back as words.

use bip39::{Language, Mnemonic};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use custody_core::seam::{Entropy, EntropyError};
use custody_core::secret::Secret;

use crate::seed::{Seed, SeedError};

/// How many words a mnemonic has (BIP-39, "Generating the mnemonic").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the standard has five lengths")]
pub enum MnemonicLength {
    /// 12 words, from 16 bytes of entropy.
    Words12,
    /// 15 words, from 20 bytes of entropy.
    Words15,
    /// 18 words, from 24 bytes of entropy.
    Words18,
    /// 21 words, from 28 bytes of entropy.
    Words21,
    /// 24 words, from 32 bytes of entropy.
    Words24,
}

impl MnemonicLength {
    /// Every length, shortest first.
    pub const ALL: [Self; 5] =
        [Self::Words12, Self::Words15, Self::Words18, Self::Words21, Self::Words24];

    /// Number of words.
    #[must_use]
    pub const fn words(self) -> usize {
        match self {
            Self::Words12 => 12,
            Self::Words15 => 15,
            Self::Words18 => 18,
            Self::Words21 => 21,
            Self::Words24 => 24,
        }
    }

    /// Number of bytes of entropy that the words stand for.
    #[must_use]
    pub const fn entropy_bytes(self) -> usize {
        match self {
            Self::Words12 => 16,
            Self::Words15 => 20,
            Self::Words18 => 24,
            Self::Words21 => 28,
            Self::Words24 => 32,
        }
    }
}

/// Writes a new mnemonic: English words from fresh entropy, as UTF-8 with one space between two
/// words.
///
/// [`SoftBackend::import_mnemonic`](crate::SoftBackend::import_mnemonic) makes a seed of them. The
/// passphrase is chosen there; it is not part of the words.
///
/// # Examples
/// ```
/// # use std::sync::Arc;
/// # use custody_core::crypto::Algorithm;
/// # use custody_core::digest::Digest;
/// # use custody_core::id::{BackendId, CustodianId, KeyId, WalletId};
/// # use custody_core::seam::{
/// #     DerivationPath, Entropy, EntropyError, Exportability, KeyDerivation, KeyRequest, SeedRecord,
/// #     SeedRequest,
/// # };
/// # use custody_core::secret::Secret;
/// # use custody_core::tokio::TokioClock;
/// # use custody_soft::{KdfParameters, PassphraseKek, SoftBackend};
/// use custody_soft::{MnemonicLength, generate_mnemonic};
///
/// # #[derive(Debug)]
/// # struct SystemEntropy;
/// # impl Entropy for SystemEntropy {
/// #     fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
/// #         getrandom::fill(bytes).map_err(|_| EntropyError::new())
/// #     }
/// # }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> { pollster::block_on(async {
/// # let entropy = Arc::new(SystemEntropy);
/// # let passphrase = Secret::new(b"correct horse battery staple".to_vec());
/// # let (kek, _) =
/// #     PassphraseKek::create(passphrase, KdfParameters::MINIMUM, entropy.clone())?;
/// # let clock = Arc::new(TokioClock::new());
/// # let id = BackendId::parse("soft")?;
/// # let backend = SoftBackend::new(id, Arc::new(kek), entropy.clone(), clock)?;
/// let words = generate_mnemonic(MnemonicLength::Words24, entropy.as_ref())?;
/// // Here `words.expose()` goes to the one person who copies them onto paper or steel.
///
/// let request = SeedRequest {
///     custodian: CustodianId::new(Digest::of(b"genesis")),
///     wallet: WalletId::parse("treasury")?,
///     key: KeyId::parse("treasury.seed")?,
/// };
/// let no_passphrase = Secret::new(Vec::new());
/// let seed = backend.import_mnemonic(&request, words, no_passphrase).await?;
///
/// // The words are wiped; the sealed seed derives the accounts.
/// let seed = SeedRecord {
///     custodian: request.custodian,
///     wallet: request.wallet.clone(),
///     key: request.key,
///     handle: seed.handle,
/// };
/// let account = KeyRequest {
///     custodian: request.custodian,
///     wallet: request.wallet,
///     key: KeyId::parse("treasury.0")?,
///     algorithm: Algorithm::EcdsaSecp256k1,
///     exportability: Exportability::Never,
/// };
/// let path = DerivationPath::parse("m/44'/60'/0'/0/0")?;
/// let key = backend.derive(&seed, &path, &account).await?;
/// # assert_eq!(key.public_key.algorithm(), Algorithm::EcdsaSecp256k1);
/// # Ok(()) }) }
/// ```
///
/// # Errors
/// [`WriteMnemonicError::Entropy`] if the source of randomness fails.
///
/// # Security
/// Whoever reads the words has every key below them, without any approval. Show them once, to
/// people; never store, send or log them.
pub fn generate_mnemonic(
    length: MnemonicLength,
    entropy: &dyn Entropy,
) -> Result<Secret, WriteMnemonicError> {
    let drawn = Secret::try_fill(length.entropy_bytes(), |bytes| entropy.fill(bytes))?;
    write_mnemonic(&drawn)
}

/// Writes the English words that stand for `entropy` of 16, 20, 24, 28 or 32 bytes, as UTF-8 with
/// one space between two words.
///
/// # Examples
/// ```
/// use custody_core::secret::Secret;
/// use custody_soft::write_mnemonic;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Dice, thrown by people who trust no machine: never a constant like this one.
/// let words = write_mnemonic(&Secret::new(vec![0x7f; 16]))?;
/// assert!(words.expose() == b"legal winner thank year wave sausage worth useful legal winner thank yellow");
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`WriteMnemonicError::Length`] for entropy of another length.
///
/// # Security
/// As [`generate_mnemonic`]. The words are as hard to guess as the entropy: it must be uniform.
pub fn write_mnemonic(entropy: &Secret) -> Result<Secret, WriteMnemonicError> {
    let mnemonic = Mnemonic::from_entropy(entropy.expose())
        .map_err(|_| WriteMnemonicError::Length { length: entropy.len() })?;
    // The length is known before the words are written: a buffer that grows leaves copies behind.
    let length = mnemonic.words().map(|word| word.len().saturating_add(1)).sum();
    let mut words = Vec::with_capacity(length);
    for word in mnemonic.words() {
        if !words.is_empty() {
            words.push(b' ');
        }
        words.extend_from_slice(word.as_bytes());
    }
    Ok(Secret::new(words))
}

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

/// Why no words are written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteMnemonicError {
    /// The source of randomness failed.
    #[error("there is no entropy for a mnemonic")]
    Entropy(#[from] EntropyError),
    /// The entropy has a wrong length.
    #[error("the entropy of a mnemonic has 16, 20, 24, 28 or 32 bytes, not {length}")]
    Length {
        /// Length found, in bytes.
        length: usize,
    },
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
