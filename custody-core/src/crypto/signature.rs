use std::fmt;

use k256::ecdsa::signature::hazmat::PrehashVerifier;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::public_key::Point;
use super::recover::recover;
use super::{Algorithm, PublicKey, SignInput};
use crate::bytes::HexBytes;

/// A signature in its fixed 64-byte form: `r ‖ s` for ECDSA, `R ‖ s` for BIP-340 and Ed25519.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    algorithm: Algorithm,
    bytes: [u8; 64],
    recovery: Option<RecoveryId>,
}

/// Which of the candidate points of an ECDSA signature was the nonce's (SEC 1, section 4.1.6):
/// bit 0 is the parity of y, bit 1 tells that x was reduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryId(u8);

impl RecoveryId {
    /// Accepts 0 to 3.
    #[must_use]
    pub const fn new(value: u8) -> Option<Self> {
        if value < 4 { Some(Self(value)) } else { None }
    }

    /// The value, 0 to 3.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }
}

impl Signature {
    /// Reads the fixed 64-byte form. ECDSA is normalised to low s.
    ///
    /// # Errors
    /// Fails on any other length and on scalars out of range.
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, SignatureError> {
        let fixed: [u8; 64] =
            bytes.try_into().map_err(|_| SignatureError::Length { length: bytes.len() })?;
        let bytes = match algorithm {
            Algorithm::Bip340 | Algorithm::Ed25519 => fixed,
            Algorithm::EcdsaP256 => p256::ecdsa::Signature::from_slice(&fixed)
                .map_err(|_| SignatureError::Malformed)?
                .normalize_s()
                .to_bytes()
                .into(),
            Algorithm::EcdsaSecp256k1 => k256::ecdsa::Signature::from_slice(&fixed)
                .map_err(|_| SignatureError::Malformed)?
                .normalize_s()
                .to_bytes()
                .into(),
        };
        Ok(Self { algorithm, bytes, recovery: None })
    }

    /// Reads the DER form of an ECDSA signature (RFC 3279, section 2.2.3), normalised to low s.
    ///
    /// # Errors
    /// Fails on other bytes and on algorithms without a DER form.
    pub fn from_der(algorithm: Algorithm, der: &[u8]) -> Result<Self, SignatureError> {
        let bytes: [u8; 64] = match algorithm {
            Algorithm::EcdsaP256 => p256::ecdsa::Signature::from_der(der)
                .map_err(|_| SignatureError::Malformed)?
                .to_bytes()
                .into(),
            Algorithm::EcdsaSecp256k1 => k256::ecdsa::Signature::from_der(der)
                .map_err(|_| SignatureError::Malformed)?
                .to_bytes()
                .into(),
            Algorithm::Bip340 | Algorithm::Ed25519 => return Err(SignatureError::Malformed),
        };
        Self::from_bytes(algorithm, &bytes)
    }

    /// Adds a signer's word about the recovery id. It only saves time: [`Self::checked`] derives
    /// the id and drops a wrong one. On a signature that was normalised here it would be wrong.
    #[must_use]
    pub fn with_recovery_hint(mut self, hint: RecoveryId) -> Self {
        self.recovery = Some(hint);
        self
    }

    /// The signature if it verifies under `key`; for ECDSA over secp256k1 with the recovery id
    /// derived.
    ///
    /// # Errors
    /// Fails with one opaque variant if it does not verify, and names an input that the algorithm
    /// does not sign.
    pub fn checked(self, key: &PublicKey, input: SignInput<'_>) -> Result<Self, SignatureError> {
        if let (Algorithm::EcdsaSecp256k1, SignInput::Prehash(digest)) = (key.algorithm(), input) {
            let recovery = self.derive_recovery(key, digest)?;
            return Ok(Self { recovery: Some(recovery), ..self });
        }
        self.verify(key, input)?;
        Ok(Self { recovery: None, ..self })
    }

    /// Verifies under `key`: ECDSA with low s only, Ed25519 strictly (no small-order points).
    ///
    /// # Errors
    /// Fails with one opaque variant if it does not verify, and names an input that the algorithm
    /// does not sign.
    pub fn verify(&self, key: &PublicKey, input: SignInput<'_>) -> Result<(), SignatureError> {
        if key.algorithm() != self.algorithm {
            return Err(SignatureError::Algorithm);
        }
        let point = key.point().ok_or(SignatureError::Invalid)?;
        let verified = match (point, input) {
            (Point::Bip340(key), SignInput::Message(message)) => {
                k256::schnorr::Signature::try_from(self.bytes.as_slice())
                    .and_then(|signature| key.verify_raw(message, &signature))
                    .is_ok()
            }
            (Point::EcdsaP256(key), SignInput::Prehash(digest)) => {
                p256::ecdsa::Signature::from_slice(&self.bytes)
                    .and_then(|signature| key.verify_prehash(digest, &signature))
                    .is_ok()
            }
            (Point::EcdsaSecp256k1(key), SignInput::Prehash(digest)) => {
                k256::ecdsa::Signature::from_slice(&self.bytes)
                    .and_then(|signature| key.verify_prehash(digest, &signature))
                    .is_ok()
            }
            (Point::Ed25519(key), SignInput::Message(message)) => {
                let signature = ed25519_dalek::Signature::from_bytes(&self.bytes);
                key.verify_strict(message, &signature).is_ok()
            }
            (Point::Bip340(_) | Point::Ed25519(_), SignInput::Prehash(_))
            | (Point::EcdsaP256(_) | Point::EcdsaSecp256k1(_), SignInput::Message(_)) => {
                return Err(SignatureError::Input);
            }
        };
        if verified { Ok(()) } else { Err(SignatureError::Invalid) }
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The fixed 64-byte form.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.bytes
    }

    /// The DER form of an ECDSA signature; none for the others.
    #[must_use]
    pub fn to_der(&self) -> Option<Vec<u8>> {
        match self.algorithm {
            Algorithm::EcdsaP256 => p256::ecdsa::Signature::from_slice(&self.bytes)
                .ok()
                .map(|signature| signature.to_der().as_bytes().to_vec()),
            Algorithm::EcdsaSecp256k1 => k256::ecdsa::Signature::from_slice(&self.bytes)
                .ok()
                .map(|signature| signature.to_der().as_bytes().to_vec()),
            Algorithm::Bip340 | Algorithm::Ed25519 => None,
        }
    }

    /// The recovery id that [`Self::checked`] derived.
    #[must_use]
    pub const fn recovery_id(&self) -> Option<RecoveryId> {
        self.recovery
    }

    /// The point that recovers from a signature and a digest verifies that signature
    /// (SEC 1, section 4.1.6), so recovering the recorded key is the verification.
    fn derive_recovery(
        &self,
        key: &PublicKey,
        digest: &[u8; 32],
    ) -> Result<RecoveryId, SignatureError> {
        if self.algorithm != Algorithm::EcdsaSecp256k1 {
            return Err(SignatureError::Algorithm);
        }
        let signature = k256::ecdsa::Signature::from_slice(&self.bytes)
            .map_err(|_| SignatureError::Malformed)?;
        if signature.normalize_s() != signature {
            return Err(SignatureError::Invalid);
        }
        let hint = self.recovery.map(RecoveryId::value);
        hint.into_iter()
            .chain((0..4).filter(|candidate| Some(*candidate) != hint))
            .find(|id| {
                recover(digest, &self.bytes, *id).is_some_and(|found| found == key.as_bytes())
            })
            .map(RecoveryId)
            .ok_or(SignatureError::Invalid)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({}:{})", self.algorithm, hex::encode(self.bytes))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureDocument {
    algorithm: Algorithm,
    bytes: HexBytes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recovery: Option<u8>,
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SignatureDocument {
            algorithm: self.algorithm,
            bytes: HexBytes::new(self.bytes.to_vec()),
            recovery: self.recovery.map(RecoveryId::value),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = SignatureDocument::deserialize(deserializer)?;
        let mut signature = Self::from_bytes(document.algorithm, document.bytes.as_bytes())
            .map_err(serde::de::Error::custom)?;
        if signature.bytes.as_slice() != document.bytes.as_bytes() {
            return Err(serde::de::Error::custom("an ECDSA signature is stored with low s"));
        }
        signature.recovery = match document.recovery {
            None => None,
            Some(value) => Some(
                RecoveryId::new(value)
                    .ok_or_else(|| serde::de::Error::custom("a recovery id is 0 to 3"))?,
            ),
        };
        Ok(signature)
    }
}

/// Why bytes are not a signature, or a signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The signature is of another algorithm than the key.
    #[error("the signature is of another algorithm than the key")]
    Algorithm,
    /// The algorithm signs a digest and was given a message, or the other way round.
    #[error("the algorithm does not sign this kind of input")]
    Input,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Invalid,
    /// The fixed form has another length.
    #[error("a signature has 64 bytes, not {length}")]
    Length {
        /// Length found, in bytes.
        length: usize,
    },
    /// The bytes are not a signature of the algorithm.
    #[error("the bytes are not a signature of the algorithm")]
    Malformed,
}
