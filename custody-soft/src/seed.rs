//! Seeds: what is sealed of them and what derivation starts from. This file opens secrets.
//!
//! Stored form: kind (1 byte) ‖ bytes. Kind 1 is the entropy of a mnemonic with an empty
//! passphrase (16 to 32 bytes), from which the words can be written again; kind 2 is a seed as
//! BIP-32 reads it (16 to 64 bytes), from which no words come back; kind 3 is an extended private
//! key (chain code, key: 64 bytes).
//!
//! Invariant: a seed that exists has a length that its standard allows.

use custody_core::seam::{Entropy, EntropyError};
use custody_core::secret::Secret;

use crate::derive::Start;
use crate::mnemonic::{self, MnemonicError};

/// A seed.
pub(crate) enum Seed {
    /// The entropy of a mnemonic whose passphrase is empty.
    Entropy(Secret),
    /// Chain code and key of an extended private key.
    Extended(Secret),
    /// A seed.
    Root(Secret),
}

impl Seed {
    /// Draws the entropy of a mnemonic of 24 words.
    pub(crate) fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        Secret::try_fill(ENTROPY_MAX, |bytes| entropy.fill(bytes)).map(Self::Entropy)
    }

    /// Takes entropy of 16, 20, 24, 28 or 32 bytes (BIP-39, "Generating the mnemonic").
    pub(crate) fn of_entropy(entropy: Secret) -> Result<Self, SeedError> {
        let length = entropy.len();
        if !(ENTROPY_MIN..=ENTROPY_MAX).contains(&length) || !length.is_multiple_of(4) {
            return Err(SeedError::Entropy { length });
        }
        Ok(Self::Entropy(entropy))
    }

    /// Takes chain code and key of an extended private key.
    pub(crate) fn of_extended(node: Secret) -> Result<Self, SeedError> {
        let length = node.len();
        if length != EXTENDED_LENGTH {
            return Err(SeedError::Extended { length });
        }
        Ok(Self::Extended(node))
    }

    /// Takes a seed of 16 to 64 bytes (BIP-32, "Master key generation").
    pub(crate) fn of_root(root: Secret) -> Result<Self, SeedError> {
        let length = root.len();
        if !(ROOT_MIN..=ROOT_MAX).contains(&length) {
            return Err(SeedError::Root { length });
        }
        Ok(Self::Root(root))
    }

    /// Reads the stored form.
    pub(crate) fn read(stored: &Secret) -> Result<Self, SeedError> {
        let (kind, bytes) = stored.expose().split_first().ok_or(SeedError::Empty)?;
        let bytes = Secret::new(bytes.to_vec());
        match *kind {
            ENTROPY => Self::of_entropy(bytes),
            ROOT => Self::of_root(bytes),
            EXTENDED => Self::of_extended(bytes),
            kind => Err(SeedError::Kind { kind }),
        }
    }

    /// The stored form.
    pub(crate) fn to_stored(&self) -> Secret {
        let (kind, secret) = match self {
            Self::Entropy(secret) => (ENTROPY, secret),
            Self::Root(secret) => (ROOT, secret),
            Self::Extended(secret) => (EXTENDED, secret),
        };
        let mut stored = Vec::with_capacity(secret.len().saturating_add(1));
        stored.push(kind);
        stored.extend_from_slice(secret.expose());
        Secret::new(stored)
    }

    /// What derivation starts from.
    pub(crate) fn into_start(self) -> Result<Start, SeedError> {
        match self {
            Self::Entropy(entropy) => Ok(Start::Root(mnemonic::root_of_entropy(&entropy)?)),
            Self::Root(root) => Ok(Start::Root(root)),
            Self::Extended(node) => Ok(Start::Extended(node)),
        }
    }
}

/// Why bytes are not a seed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SeedError {
    /// There are no bytes.
    #[error("the seed is empty")]
    Empty,
    /// The entropy has a wrong length.
    #[error("the entropy of a mnemonic has 16, 20, 24, 28 or 32 bytes, not {length}")]
    Entropy {
        /// Length found, in bytes.
        length: usize,
    },
    /// The extended private key has a wrong length.
    #[error("chain code and key have 64 bytes, not {length}")]
    Extended {
        /// Length found, in bytes.
        length: usize,
    },
    /// The kind is unknown.
    #[error("the seed is of the unknown kind {kind}")]
    Kind {
        /// Kind found.
        kind: u8,
    },
    /// The entropy gives no mnemonic.
    #[error("the entropy gives no mnemonic")]
    Mnemonic(#[from] MnemonicError),
    /// The seed has a wrong length.
    #[error("a seed has 16 to 64 bytes, not {length}")]
    Root {
        /// Length found, in bytes.
        length: usize,
    },
}

const ENTROPY: u8 = 1;
const ROOT: u8 = 2;
const EXTENDED: u8 = 3;
const ENTROPY_MIN: usize = 16;
const ENTROPY_MAX: usize = 32;
const EXTENDED_LENGTH: usize = 64;
const ROOT_MIN: usize = 16;
const ROOT_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: u8, length: usize) -> Option<SeedError> {
        let stored = [vec![kind], vec![7; length]].concat();
        Seed::read(&Secret::new(stored)).err()
    }

    #[test]
    fn stored_seeds_of_an_unknown_kind_or_a_wrong_length_are_refused() {
        assert_eq!(Seed::read(&Secret::new(Vec::new())).err(), Some(SeedError::Empty));
        for kind in [0, 4, 255] {
            assert_eq!(read(kind, 32), Some(SeedError::Kind { kind }));
        }
        for length in [0, 12, 15, 17, 18, 31, 33, 36, 64] {
            assert_eq!(read(ENTROPY, length), Some(SeedError::Entropy { length }));
        }
        for length in [0, 15, 65] {
            assert_eq!(read(ROOT, length), Some(SeedError::Root { length }));
        }
        for length in [0, 32, 63, 65] {
            assert_eq!(read(EXTENDED, length), Some(SeedError::Extended { length }));
        }
    }

    #[test]
    fn a_stored_seed_is_read_back_byte_by_byte() {
        for (kind, lengths) in
            [(ENTROPY, vec![16, 20, 24, 28, 32]), (ROOT, vec![16, 17, 64]), (EXTENDED, vec![64])]
        {
            for length in lengths {
                let stored = [vec![kind], vec![7; length]].concat();
                let seed = Seed::read(&Secret::new(stored.clone())).ok().unwrap();
                assert!(seed.to_stored().expose() == stored, "{kind}, {length}");
            }
        }
    }
}
