//! The key of an archive, and what is derived from it. This file opens secrets.

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use custody_core::bytes::HexBytes;
use custody_core::digest::Digest;
use custody_core::seam::{Entropy, EntropyError};
use custody_core::secret::Secret;

/// Which archive: 32 random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ArchiveId(Digest);

impl ArchiveId {
    /// Draws the id of a new archive.
    ///
    /// # Errors
    /// Fails without entropy.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes)?;
        Ok(Self(Digest::new(bytes)))
    }

    /// The id with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(Digest::new(bytes))
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Display for ArchiveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The key of one archive: 32 random bytes, wrapped to the routes in the archive's header.
///
/// # Security
/// Whoever has it reads everything in the archive, the secrets included. It is made anew for each
/// archive and kept nowhere but in the routes.
pub struct ArchiveKey(Secret);

impl ArchiveKey {
    /// Draws the key of a new archive.
    ///
    /// # Errors
    /// Fails without entropy.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        Secret::try_fill(LENGTH, |bytes| entropy.fill(bytes)).map(Self)
    }

    /// Takes a key over.
    ///
    /// # Errors
    /// Fails on another length than 32 bytes.
    pub fn new(secret: Secret) -> Result<Self, ArchiveKeyError> {
        match secret.len() {
            LENGTH => Ok(Self(secret)),
            length => Err(ArchiveKeyError::Length { length }),
        }
    }

    /// The bytes, for what wraps them.
    pub(crate) const fn secret(&self) -> &Secret {
        &self.0
    }
}

impl fmt::Debug for ArchiveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchiveKey").finish_non_exhaustive()
    }
}

/// The keys that one archive is written and read with.
pub(super) struct Keys {
    header: Secret,
    pub(super) payload: Secret,
    pub(super) check: KeyCheck,
}

impl Keys {
    pub(super) fn derive(key: &ArchiveKey, archive: &ArchiveId) -> Result<Self, ArchiveKeyError> {
        let root = Hkdf::<Sha256>::new(Some(archive.as_bytes()), key.0.expose());
        let derive = |label: &str, length| {
            Secret::try_fill(length, |bytes| root.expand(label.as_bytes(), bytes))
                .map_err(|_| ArchiveKeyError::Derivation)
        };
        let check = derive("custody/archive/key-check/v1", CHECK)?;
        Ok(Self {
            header: derive("custody/archive/header/v1", LENGTH)?,
            payload: derive("custody/archive/payload/v1", LENGTH)?,
            // It is made to be seen: it says nothing about the other two.
            check: KeyCheck(HexBytes::new(check.expose().to_vec())),
        })
    }

    /// The HMAC of what stands before it in the file.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> Result<[u8; 32], ArchiveKeyError> {
        Ok(self.authenticator(parts)?.finalize().into_bytes().into())
    }

    /// Whether this is the HMAC of these bytes, told in constant time.
    pub(super) fn verifies(&self, parts: &[&[u8]], mac: &[u8]) -> Result<bool, ArchiveKeyError> {
        Ok(self.authenticator(parts)?.verify_slice(mac).is_ok())
    }

    fn authenticator(&self, parts: &[&[u8]]) -> Result<Hmac<Sha256>, ArchiveKeyError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.header.expose())
            .map_err(|_| ArchiveKeyError::Derivation)?;
        for part in parts {
            mac.update(part);
        }
        Ok(mac)
    }
}

/// What tells a wrong key from a changed archive: derived from the key, and of no other use.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct KeyCheck(HexBytes);

impl KeyCheck {
    /// Whether both are of one key, told in constant time.
    pub(super) fn matches(&self, other: &Self) -> bool {
        bool::from(self.0.as_bytes().ct_eq(other.0.as_bytes()))
    }

    pub(super) fn has_its_length(&self) -> bool {
        self.0.as_bytes().len() == CHECK
    }
}

/// Why bytes are no archive key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveKeyError {
    /// Nothing can be derived from it.
    #[error("nothing can be derived from the archive key")]
    Derivation,
    /// It has another length.
    #[error("an archive key has 32 bytes, not {length}")]
    Length {
        /// Length found, in bytes.
        length: usize,
    },
}

const LENGTH: usize = 32;
const CHECK: usize = 16;
