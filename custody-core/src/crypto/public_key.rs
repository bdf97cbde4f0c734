use std::fmt;
use std::sync::OnceLock;

use ed25519_dalek::pkcs8::{DecodePublicKey, EncodePublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Algorithm;
use crate::bytes::HexBytes;

/// A public key, checked to be a point on its curve (and for Ed25519 not of small order).
///
/// A key of a state that is read again was checked when it was recorded. It is checked once more
/// when it is used first: nothing verifies under one that is no point.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    bytes: Box<[u8]>,
    point: OnceLock<Option<Point>>,
}

/// The decoded point, kept so that verification need not decompress it each time.
#[derive(Clone)]
pub(super) enum Point {
    Bip340(Box<k256::schnorr::VerifyingKey>),
    EcdsaP256(Box<p256::ecdsa::VerifyingKey>),
    EcdsaSecp256k1(Box<k256::ecdsa::VerifyingKey>),
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
}

impl PublicKey {
    /// Reads the raw form of an algorithm: SEC 1 compressed or uncompressed for ECDSA, 32 bytes
    /// x-only for BIP-340 (BIP-340, "Public key conversion"), 32 bytes for Ed25519.
    ///
    /// # Errors
    /// Fails on bytes that are not a public key of that algorithm.
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, PublicKeyError> {
        let fail = || PublicKeyError { algorithm };
        let (point, bytes): (_, Box<[u8]>) = match algorithm {
            Algorithm::Bip340 => {
                let key = k256::schnorr::VerifyingKey::from_slice(bytes).map_err(|_| fail())?;
                (Point::Bip340(Box::new(key)), bytes.into())
            }
            Algorithm::EcdsaP256 => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).map_err(|_| fail())?;
                let compressed = key.to_sec1_point(true);
                (Point::EcdsaP256(Box::new(key)), compressed.as_bytes().into())
            }
            Algorithm::EcdsaSecp256k1 => {
                let key = k256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).map_err(|_| fail())?;
                let compressed = key.to_sec1_point(true);
                (Point::EcdsaSecp256k1(Box::new(key)), compressed.as_bytes().into())
            }
            Algorithm::Ed25519 => {
                let key = ed25519_dalek::VerifyingKey::try_from(bytes).map_err(|_| fail())?;
                if key.is_weak() {
                    return Err(fail());
                }
                (Point::Ed25519(Box::new(key)), bytes.into())
            }
        };
        Ok(Self { algorithm, bytes, point: OnceLock::from(Some(point)) })
    }

    /// Reads a DER `SubjectPublicKeyInfo` (RFC 5280, section 4.1.2.7). BIP-340 has no such form.
    ///
    /// # Errors
    /// Fails on bytes that are not a public key of that algorithm.
    pub fn from_spki(algorithm: Algorithm, der: &[u8]) -> Result<Self, PublicKeyError> {
        let fail = || PublicKeyError { algorithm };
        match algorithm {
            Algorithm::Bip340 => Err(fail()),
            Algorithm::EcdsaP256 => {
                let key = p256::PublicKey::from_public_key_der(der).map_err(|_| fail())?;
                Self::from_bytes(algorithm, &key.to_sec1_bytes())
            }
            Algorithm::EcdsaSecp256k1 => {
                let key = k256::PublicKey::from_public_key_der(der).map_err(|_| fail())?;
                Self::from_bytes(algorithm, &key.to_sec1_bytes())
            }
            Algorithm::Ed25519 => {
                let key =
                    ed25519_dalek::VerifyingKey::from_public_key_der(der).map_err(|_| fail())?;
                Self::from_bytes(algorithm, key.as_bytes())
            }
        }
    }

    /// The DER `SubjectPublicKeyInfo`; none for BIP-340.
    #[must_use]
    pub fn to_spki(&self) -> Option<Vec<u8>> {
        let document = match self.point()? {
            Point::Bip340(_) => return None,
            Point::EcdsaP256(key) => p256::PublicKey::from(key.as_ref()).to_public_key_der(),
            Point::EcdsaSecp256k1(key) => k256::PublicKey::from(key.as_ref()).to_public_key_der(),
            Point::Ed25519(key) => key.to_public_key_der(),
        };
        document.ok().map(|document| document.as_bytes().to_vec())
    }

    /// The algorithm the key is for.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The canonical raw form: 33 bytes SEC 1 compressed for ECDSA, 32 bytes otherwise.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The 65-byte uncompressed SEC 1 form of an ECDSA key; none for the others.
    #[must_use]
    pub fn to_uncompressed(&self) -> Option<Vec<u8>> {
        match self.point()? {
            Point::EcdsaP256(key) => Some(key.to_sec1_point(false).as_bytes().to_vec()),
            Point::EcdsaSecp256k1(key) => Some(key.to_sec1_point(false).as_bytes().to_vec()),
            Point::Bip340(_) | Point::Ed25519(_) => None,
        }
    }

    /// The decoded point; none if the bytes, which were read unchecked, are no key.
    pub(super) fn point(&self) -> Option<&Point> {
        let decode = || Self::from_bytes(self.algorithm, &self.bytes).ok()?.point.into_inner()?;
        self.point.get_or_init(decode).as_ref()
    }

    /// Reads a key of a state whose documents are checked already, without decoding its point.
    pub(crate) fn deserialize_recorded<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Self, D::Error> {
        let PublicKeyDocument { algorithm, bytes } = PublicKeyDocument::deserialize(deserializer)?;
        let length = match algorithm {
            Algorithm::Bip340 | Algorithm::Ed25519 => 32,
            Algorithm::EcdsaP256 | Algorithm::EcdsaSecp256k1 => 33,
        };
        let bytes = bytes.into_bytes();
        if bytes.len() != length {
            return Err(serde::de::Error::custom("a public key is stored in its canonical form"));
        }
        Ok(Self { algorithm, bytes: bytes.into(), point: OnceLock::new() })
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.bytes == other.bytes
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}:{})", self.algorithm, hex::encode(&self.bytes))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicKeyDocument {
    algorithm: Algorithm,
    bytes: HexBytes,
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PublicKeyDocument { algorithm: self.algorithm, bytes: HexBytes::new(self.bytes.to_vec()) }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = PublicKeyDocument::deserialize(deserializer)?;
        let key = Self::from_bytes(document.algorithm, document.bytes.as_bytes())
            .map_err(serde::de::Error::custom)?;
        if key.as_bytes() != document.bytes.as_bytes() {
            return Err(serde::de::Error::custom("a public key is stored in its canonical form"));
        }
        Ok(key)
    }
}

/// The bytes are not a public key of the algorithm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not a public key for {algorithm}")]
#[non_exhaustive]
pub struct PublicKeyError {
    /// The algorithm that was asked for.
    pub algorithm: Algorithm,
}
