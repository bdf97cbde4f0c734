//! Private keys of tests. Opens secrets, of tests only.
//!
//! Invariant: a key signs deterministically; the same bytes are the same key.

use std::fmt;

use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature, SignatureError};
use custody_core::digest::Digest;
use custody_core::seam::{Entropy, EntropyError};
use custody_core::secret::Secret;
use ed25519_dalek::Signer as _;
use k256::ecdsa::signature::hazmat::PrehashSigner as _;

/// A private key that a test signs with: wallets, people, log heads.
#[derive(Clone)]
pub struct TestKey {
    public_key: PublicKey,
    private: Private,
}

#[derive(Clone)]
enum Private {
    Bip340(k256::schnorr::SigningKey),
    EcdsaP256(p256::ecdsa::SigningKey),
    EcdsaSecp256k1(k256::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

impl TestKey {
    /// The key of this algorithm and seed.
    #[must_use]
    pub fn seeded(algorithm: Algorithm, seed: u64) -> Self {
        let fields: [&[u8]; 2] = [algorithm.as_str().as_bytes(), &seed.to_be_bytes()];
        let bytes = Digest::tagged("custody-testkit/key", &fields);
        Self::from_bytes(algorithm, bytes.as_bytes()).expect("a digest is a private key")
    }

    /// A fresh key out of `entropy`.
    ///
    /// # Errors
    /// Fails if the source fails.
    pub fn generate(
        algorithm: Algorithm,
        entropy: &dyn Entropy,
    ) -> Result<(Self, Secret), EntropyError> {
        loop {
            let secret = Secret::try_fill(32, |bytes| entropy.fill(bytes))?;
            if let Some(key) = Self::from_bytes(algorithm, secret.expose()) {
                return Ok((key, secret));
            }
        }
    }

    /// Reads 32 bytes: a big-endian scalar, or an Ed25519 seed. None if they are no private key.
    #[must_use]
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 32] = bytes.try_into().ok()?;
        let (private, public) = match algorithm {
            Algorithm::Bip340 => {
                let key = k256::schnorr::SigningKey::from_slice(bytes).ok()?;
                let public = key.verifying_key().to_bytes().to_vec();
                (Private::Bip340(key), public)
            }
            Algorithm::EcdsaP256 => {
                let key = p256::ecdsa::SigningKey::from_slice(bytes).ok()?;
                let public = key.verifying_key().to_sec1_point(true).as_bytes().to_vec();
                (Private::EcdsaP256(key), public)
            }
            Algorithm::EcdsaSecp256k1 => {
                let key = k256::ecdsa::SigningKey::from_slice(bytes).ok()?;
                let public = key.verifying_key().to_sec1_point(true).as_bytes().to_vec();
                (Private::EcdsaSecp256k1(key), public)
            }
            Algorithm::Ed25519 => {
                let key = ed25519_dalek::SigningKey::from_bytes(bytes);
                let public = key.verifying_key().as_bytes().to_vec();
                (Private::Ed25519(key), public)
            }
            other => panic!("the testkit has no keys for {other}"),
        };
        let public_key = PublicKey::from_bytes(algorithm, &public).ok()?;
        Some(Self { public_key, private })
    }

    /// Its public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Its algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.public_key.algorithm()
    }

    /// Signs deterministically.
    ///
    /// # Errors
    /// Fails on an input that the algorithm does not sign.
    pub fn sign(&self, input: SignInput<'_>) -> Result<Signature, SignatureError> {
        self.sign_with(input, &[0; 32])
    }

    /// Signs, BIP-340 with these auxiliary bytes.
    pub(crate) fn sign_with(
        &self,
        input: SignInput<'_>,
        auxiliary: &[u8; 32],
    ) -> Result<Signature, SignatureError> {
        let invalid = |_| SignatureError::Invalid;
        let bytes: Vec<u8> = match (&self.private, input) {
            (Private::Bip340(key), SignInput::Message(message)) => {
                key.sign_raw(message, auxiliary).map_err(invalid)?.to_bytes().to_vec()
            }
            (Private::EcdsaP256(key), SignInput::Prehash(digest)) => {
                let signed: p256::ecdsa::Signature = key.sign_prehash(digest).map_err(invalid)?;
                signed.to_bytes().to_vec()
            }
            (Private::EcdsaSecp256k1(key), SignInput::Prehash(digest)) => {
                let signed: k256::ecdsa::Signature = key.sign_prehash(digest).map_err(invalid)?;
                signed.to_bytes().to_vec()
            }
            (Private::Ed25519(key), SignInput::Message(message)) => {
                key.sign(message).to_bytes().to_vec()
            }
            (Private::Bip340(_) | Private::Ed25519(_), SignInput::Prehash(_))
            | (Private::EcdsaP256(_) | Private::EcdsaSecp256k1(_), SignInput::Message(_)) => {
                return Err(SignatureError::Input);
            }
        };
        Signature::from_bytes(self.algorithm(), &bytes)
    }
}

impl fmt::Debug for TestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestKey").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_signs_what_verifies_under_its_public_key() {
        for algorithm in Algorithm::ALL {
            let key = TestKey::seeded(algorithm, 1);
            let input = match algorithm.signs_prehash() {
                true => SignInput::Prehash(&[7; 32]),
                false => SignInput::Message(b"seven"),
            };
            key.sign(input).unwrap().verify(key.public_key(), input).unwrap();
            assert_ne!(key.public_key(), TestKey::seeded(algorithm, 2).public_key());
        }
    }

    #[test]
    fn bytes_that_are_no_scalar_are_no_key() {
        for algorithm in [Algorithm::Bip340, Algorithm::EcdsaP256, Algorithm::EcdsaSecp256k1] {
            for bytes in [[0; 32], [0xff; 32]] {
                assert!(TestKey::from_bytes(algorithm, &bytes).is_none(), "{algorithm}");
            }
        }
        assert!(TestKey::from_bytes(Algorithm::Ed25519, &[0; 31]).is_none());
    }
}
