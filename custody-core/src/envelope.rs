//! The one versioned AEAD envelope: AES-256-GCM (NIST SP 800-38D). This file opens secrets.
//!
//! Layout: version (1 byte, 1) ‖ nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes). Associated data:
//! `custody/envelope/v1` ‖ 0 ‖ each context field prefixed by its length as eight big-endian bytes.
//!
//! Invariant: a nonce is fresh from the host's entropy for each seal. A data key must be replaced
//! before 2^31 seals (random 96-bit nonces; SP 800-38D, section 8.3 allows 2^32).

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};

use crate::seam::{Entropy, EntropyError};
use crate::secret::Secret;

const VERSION: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;

/// How many bytes an envelope is longer than what it holds.
pub const OVERHEAD: usize = 1 + NONCE + TAG;

/// Seals `plaintext` under the 32-byte `key`, bound to the fields of `context`.
///
/// # Errors
/// Fails on a key of another length, without entropy, and on a plaintext above 64 GiB.
pub fn seal(
    key: &Secret,
    context: &[&[u8]],
    plaintext: &Secret,
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, EnvelopeError> {
    let cipher = cipher(key)?;
    let mut nonce = [0; NONCE];
    entropy.fill(&mut nonce)?;
    let payload = Payload { msg: plaintext.expose(), aad: &associated(context) };
    let nonce_value = Nonce::try_from(nonce.as_slice()).map_err(|_| EnvelopeError::Seal)?;
    let sealed = cipher.encrypt(&nonce_value, payload).map_err(|_| EnvelopeError::Seal)?;
    let mut envelope = Vec::with_capacity(sealed.len().saturating_add(1 + NONCE));
    envelope.push(VERSION);
    envelope.extend_from_slice(&nonce);
    envelope.extend_from_slice(&sealed);
    Ok(envelope)
}

/// Opens an envelope sealed under `key` and `context`.
///
/// # Errors
/// Fails on a key of another length, an unknown version, and with one opaque variant on everything
/// else.
pub fn open(key: &Secret, context: &[&[u8]], envelope: &[u8]) -> Result<Secret, EnvelopeError> {
    let cipher = cipher(key)?;
    let (version, rest) = envelope.split_first().ok_or(EnvelopeError::Open)?;
    if *version != VERSION {
        return Err(EnvelopeError::Version { version: *version });
    }
    let (nonce, sealed) = rest.split_at_checked(NONCE).ok_or(EnvelopeError::Open)?;
    let nonce = Nonce::try_from(nonce).map_err(|_| EnvelopeError::Open)?;
    let payload = Payload { msg: sealed, aad: &associated(context) };
    cipher.decrypt(&nonce, payload).map(Secret::new).map_err(|_| EnvelopeError::Open)
}

fn cipher(key: &Secret) -> Result<Aes256Gcm, EnvelopeError> {
    let length = key.len();
    let key = <&Key<Aes256Gcm>>::try_from(key.expose())
        .map_err(|_| EnvelopeError::KeyLength { length })?;
    Ok(Aes256Gcm::new(key))
}

/// What a cipher keeps of its key is wiped with it.
const _: () = {
    const fn is_wiped<T: zeroize::ZeroizeOnDrop>() {}
    is_wiped::<Aes256Gcm>();
};

fn associated(context: &[&[u8]]) -> Vec<u8> {
    let mut data = b"custody/envelope/v1\0".to_vec();
    for field in context {
        data.extend_from_slice(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        data.extend_from_slice(field);
    }
    data
}

/// Why an envelope was not sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// There was no entropy for a nonce.
    #[error("no entropy for a nonce")]
    Entropy(#[from] EntropyError),
    /// The key is not 32 bytes long.
    #[error("an envelope key has 32 bytes, not {length}")]
    KeyLength {
        /// Length found, in bytes.
        length: usize,
    },
    /// The envelope does not open.
    #[error("the envelope does not open")]
    Open,
    /// The plaintext cannot be sealed.
    #[error("the plaintext cannot be sealed")]
    Seal,
    /// The version is unknown.
    #[error("the envelope has the unknown version {version}")]
    Version {
        /// Version found.
        version: u8,
    },
}
