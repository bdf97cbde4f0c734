use std::fmt;

use serde::{Deserialize, Serialize};

/// A signature algorithm together with its curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Algorithm {
    /// BIP-340 Schnorr over secp256k1, signing a message.
    #[serde(rename = "bip340")]
    Bip340,
    /// ECDSA over P-256 (FIPS 186-5), signing a 32-byte digest.
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// ECDSA over secp256k1 (SEC 1, SEC 2), signing a 32-byte digest.
    #[serde(rename = "ecdsa-secp256k1")]
    EcdsaSecp256k1,
    /// Ed25519 (RFC 8032, section 5.1), signing a message.
    #[serde(rename = "ed25519")]
    Ed25519,
}

impl Algorithm {
    /// All algorithms.
    pub const ALL: [Self; 4] = [Self::Bip340, Self::EcdsaP256, Self::EcdsaSecp256k1, Self::Ed25519];

    /// The name that stands in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bip340 => "bip340",
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaSecp256k1 => "ecdsa-secp256k1",
            Self::Ed25519 => "ed25519",
        }
    }

    /// Whether the algorithm signs a 32-byte digest (ECDSA) rather than a message.
    #[must_use]
    pub const fn signs_prehash(self) -> bool {
        matches!(self, Self::EcdsaP256 | Self::EcdsaSecp256k1)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
