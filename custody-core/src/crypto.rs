//! Algorithms, public keys, signatures and their verification.
//!
//! Invariant: no private-key arithmetic. What a signer answers becomes a trusted signature in one
//! place only, [`Signature::checked`]: normalised, verified under the recorded key, recovery id
//! derived.

mod algorithm;
mod public_key;
mod recover;
mod signature;

pub use algorithm::Algorithm;
pub use public_key::{PublicKey, PublicKeyError};
pub use signature::{RecoveryId, Signature, SignatureError};

/// What a signer signs, by type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an algorithm signs a digest or a message")]
pub enum SignInput<'a> {
    /// A message; the algorithm hashes it itself (Ed25519, BIP-340).
    Message(&'a [u8]),
    /// A 32-byte digest (ECDSA).
    Prehash(&'a [u8; 32]),
}

impl SignInput<'_> {
    /// The exact bytes handed to the signer.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Message(bytes) => bytes,
            Self::Prehash(digest) => digest.as_slice(),
        }
    }
}
