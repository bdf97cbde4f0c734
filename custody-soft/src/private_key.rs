//! Private keys of all four algorithms: made, read, used. This file opens secrets.
//!
//! Invariant: a private key sits on the heap behind one owner and is wiped where it is dropped; it
//! is never printed and leaves this file only inside a [`Secret`].

use std::fmt;

use ed25519_dalek::Signer as _;

use custody_core::crypto::{Algorithm, PublicKey, RecoveryId, SignInput, Signature};
use custody_core::seam::{BackendError, Entropy, ErrorKind};
use custody_core::secret::Secret;
use zeroize::Zeroizing;

/// A private key, ready to sign.
pub(crate) enum PrivateKey {
    /// BIP-340.
    Bip340(Box<k256::schnorr::SigningKey>),
    /// ECDSA over P-256.
    EcdsaP256(Box<p256::ecdsa::SigningKey>),
    /// ECDSA over secp256k1.
    EcdsaSecp256k1(Box<k256::ecdsa::SigningKey>),
    /// Ed25519.
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

impl PrivateKey {
    /// Length of every private key, in bytes: a big-endian scalar or an Ed25519 seed.
    pub(crate) const LENGTH: usize = 32;

    /// The algorithms of this backend.
    pub(crate) const ALGORITHMS: [Algorithm; 4] = Algorithm::ALL;

    /// Reads the 32 bytes of a private key.
    pub(crate) fn read(algorithm: Algorithm, secret: &Secret) -> Result<Self, PrivateKeyError> {
        let bytes = secret.expose();
        if bytes.len() != Self::LENGTH {
            return Err(PrivateKeyError::Length { length: bytes.len() });
        }
        let refused = PrivateKeyError::Range;
        match algorithm {
            Algorithm::Bip340 => k256::schnorr::SigningKey::from_slice(bytes)
                .map(|key| Self::Bip340(Box::new(key)))
                .map_err(|_| refused),
            Algorithm::EcdsaP256 => p256::ecdsa::SigningKey::from_slice(bytes)
                .map(|key| Self::EcdsaP256(Box::new(key)))
                .map_err(|_| refused),
            Algorithm::EcdsaSecp256k1 => k256::ecdsa::SigningKey::from_slice(bytes)
                .map(|key| Self::EcdsaSecp256k1(Box::new(key)))
                .map_err(|_| refused),
            Algorithm::Ed25519 => ed25519_dalek::SigningKey::try_from(bytes)
                .map(|key| Self::Ed25519(Box::new(key)))
                .map_err(|_| refused),
            _ => Err(PrivateKeyError::Algorithm { algorithm }),
        }
    }

    /// Draws a new private key: uniform bytes, drawn again while they are no scalar of the curve
    /// (FIPS 186-5, appendix A.2.2).
    pub(crate) fn generate(
        algorithm: Algorithm,
        entropy: &dyn Entropy,
    ) -> Result<(Secret, Self), BackendError> {
        for _ in 0..DRAWS_MAX {
            let secret = Secret::try_fill(Self::LENGTH, |bytes| entropy.fill(bytes))
                .map_err(|error| failed(ErrorKind::Unavailable, error))?;
            match Self::read(algorithm, &secret) {
                Ok(key) => return Ok((secret, key)),
                Err(PrivateKeyError::Range) => {}
                Err(error) => return Err(failed(ErrorKind::Unsupported, error)),
            }
        }
        Err(failed(ErrorKind::Unavailable, PrivateKeyError::Range))
    }

    /// The public key.
    pub(crate) fn public_key(&self) -> Result<PublicKey, BackendError> {
        let key = match self {
            Self::Bip340(key) => {
                PublicKey::from_bytes(Algorithm::Bip340, &key.verifying_key().to_bytes())
            }
            Self::EcdsaP256(key) => PublicKey::from_bytes(
                Algorithm::EcdsaP256,
                key.verifying_key().to_sec1_point(true).as_bytes(),
            ),
            Self::EcdsaSecp256k1(key) => PublicKey::from_bytes(
                Algorithm::EcdsaSecp256k1,
                key.verifying_key().to_sec1_point(true).as_bytes(),
            ),
            Self::Ed25519(key) => {
                PublicKey::from_bytes(Algorithm::Ed25519, key.verifying_key().as_bytes())
            }
        };
        key.map_err(|error| failed(ErrorKind::Refused, error))
    }

    /// Signs: ECDSA with the nonce of RFC 6979, BIP-340 with fresh auxiliary randomness, Ed25519 as
    /// in RFC 8032.
    pub(crate) fn sign(
        &self,
        input: SignInput<'_>,
        entropy: &dyn Entropy,
    ) -> Result<Signature, BackendError> {
        match (self, input) {
            (Self::Bip340(key), SignInput::Message(message)) => {
                let mut auxiliary = Zeroizing::new([0; 32]);
                entropy
                    .fill(auxiliary.as_mut_slice())
                    .map_err(|error| not_signed(ErrorKind::Unavailable).with_source(error))?;
                let signature = key
                    .sign_raw(message, &auxiliary)
                    .map_err(|_| not_signed(ErrorKind::Unavailable))?;
                fixed(Algorithm::Bip340, &signature.to_bytes())
            }
            (Self::EcdsaP256(key), SignInput::Prehash(digest)) => {
                let (signature, _) = key.sign_prehash_recoverable(digest);
                fixed(Algorithm::EcdsaP256, &signature.to_bytes())
            }
            (Self::EcdsaSecp256k1(key), SignInput::Prehash(digest)) => {
                let (raw, recovery) = crate::recoverable::sign(key, digest)?;
                let signature = fixed(Algorithm::EcdsaSecp256k1, &raw)?;
                let flipped = signature.as_bytes() != &raw;
                Ok(match RecoveryId::new(recovery) {
                    Some(hint) if !flipped => signature.with_recovery_hint(hint),
                    _ => signature,
                })
            }
            (Self::Ed25519(key), SignInput::Message(message)) => {
                fixed(Algorithm::Ed25519, &key.sign(message).to_bytes())
            }
            (Self::Bip340(_) | Self::Ed25519(_), SignInput::Prehash(_))
            | (Self::EcdsaP256(_) | Self::EcdsaSecp256k1(_), SignInput::Message(_)) => {
                Err(not_signed(ErrorKind::Unsupported))
            }
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").finish_non_exhaustive()
    }
}

/// Why bytes are not a private key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PrivateKeyError {
    /// There are no such keys here.
    #[error("there are no software keys for {algorithm}")]
    Algorithm {
        /// The algorithm that was asked for.
        algorithm: Algorithm,
    },
    /// The length is wrong.
    #[error("a private key has 32 bytes, not {length}")]
    Length {
        /// Length found, in bytes.
        length: usize,
    },
    /// The bytes are no scalar of the curve.
    #[error("the bytes are not a private key of the algorithm")]
    Range,
}

/// Whether `algorithm` signs this kind of input.
pub(crate) const fn signs(algorithm: Algorithm, input: SignInput<'_>) -> bool {
    matches!(input, SignInput::Prehash(_)) == algorithm.signs_prehash()
}

/// The error of a call that made no signature.
pub(crate) const fn not_signed(kind: ErrorKind) -> BackendError {
    BackendError::new(kind, "sign")
}

fn fixed(algorithm: Algorithm, bytes: &[u8]) -> Result<Signature, BackendError> {
    Signature::from_bytes(algorithm, bytes)
        .map_err(|error| not_signed(ErrorKind::Unavailable).with_source(error))
}

fn failed(
    kind: ErrorKind,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> BackendError {
    BackendError::new(kind, "make a key").with_source(error)
}

/// Of 64 uniform draws, all fail with a probability below 2^-2000: then the source is broken.
const DRAWS_MAX: usize = 64;
