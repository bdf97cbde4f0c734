//! A key-encrypting key that comes from a passphrase. This file opens secrets.
//!
//! Invariant: the passphrase is not kept; the key derived from it lives in a [`Secret`], never on
//! disk, and the memory of Argon2id is wiped. A wrong passphrase is told by the key-check value in
//! constant time, before anything is decrypted.

use std::fmt;
use std::sync::Arc;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tracing::{debug, instrument};
use zeroize::{Zeroize, Zeroizing};

use custody_core::envelope;
use custody_core::id::KekId;
use custody_core::seam::{BackendError, Entropy, ErrorKind, KeyEncryption};
use custody_core::secret::Secret;

use crate::document::{KdfParameters, KekDocument};

/// Encrypts data keys under a key derived from a passphrase with Argon2id (RFC 9106).
///
/// Its id covers the salt, the cost and the derived key: it changes with each of them.
///
/// # Security
/// A data key is encrypted with a random 96-bit nonce: one passphrase and salt must not encrypt
/// more than 2^31 data keys.
pub struct PassphraseKek {
    id: KekId,
    key: Secret,
    entropy: Arc<dyn Entropy>,
}

impl PassphraseKek {
    /// Shortest passphrase for a new key, in bytes.
    pub const PASSPHRASE_MIN: usize = 8;
    /// Longest passphrase, in bytes.
    pub const PASSPHRASE_MAX: usize = 1024;

    /// Makes a key from a passphrase of 8 to 1,024 bytes and a new salt. The document must be kept:
    /// without it the passphrase is worth nothing.
    ///
    /// The call computes for as long as the parameters ask, with the default about a third of a
    /// second: call it where blocking is allowed. The passphrase is used byte by byte; whoever
    /// reads it from a keyboard should normalise it.
    ///
    /// # Errors
    /// `Refused` for a passphrase of another length, `Unavailable` without entropy or memory.
    #[instrument(level = "debug", skip_all, err(level = "debug"))]
    pub fn create(
        passphrase: Secret,
        parameters: KdfParameters,
        entropy: Arc<dyn Entropy>,
    ) -> Result<(Self, KekDocument), BackendError> {
        if passphrase.len() < Self::PASSPHRASE_MIN {
            return Err(failed(ErrorKind::Refused));
        }
        let mut salt = [0; SALT];
        entropy
            .fill(&mut salt)
            .map_err(|error| failed(ErrorKind::Unavailable).with_source(error))?;
        let root = stretch(&passphrase, &salt, parameters)?;
        let check = expand(&root, CHECK)?.finalize().into_bytes().into();
        let document = KekDocument::new(parameters, &salt, check);
        Ok((Self::under(&root, &document, entropy)?, document))
    }

    /// Gets the key back. Blocks like [`Self::create`].
    ///
    /// # Errors
    /// `Refused` for a wrong passphrase, with no reason given; `Unavailable` without memory.
    #[instrument(level = "debug", skip_all, err(level = "debug"))]
    pub fn open(
        passphrase: Secret,
        document: &KekDocument,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, BackendError> {
        let root = stretch(&passphrase, document.salt(), *document.parameters())?;
        expand(&root, CHECK)?
            .verify_slice(document.check())
            .map_err(|_| failed(ErrorKind::Refused))?;
        Self::under(&root, document, entropy)
    }

    fn under(
        root: &Secret,
        document: &KekDocument,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, BackendError> {
        let id = KekId::parse(&format!("passphrase:{}", document.fingerprint()))
            .map_err(|error| failed(ErrorKind::Refused).with_source(error))?;
        let mut bytes = expand(root, WRAP)?.finalize().into_bytes();
        let key = Secret::new(bytes.to_vec());
        bytes.as_mut_slice().zeroize();
        debug!(kek = %id, "the key of a passphrase is open");
        Ok(Self { id, key, entropy })
    }
}

#[async_trait]
impl KeyEncryption for PassphraseKek {
    fn id(&self) -> &KekId {
        &self.id
    }

    fn in_process(&self) -> bool {
        true
    }

    async fn wrap(&self, data_key: &Secret, context: &[&[u8]]) -> Result<Vec<u8>, BackendError> {
        if data_key.len() != DATA_KEY {
            return Err(BackendError::new(ErrorKind::Refused, "wrap a data key"));
        }
        envelope::seal(&self.key, context, data_key, self.entropy.as_ref()).map_err(|error| {
            BackendError::new(ErrorKind::Unavailable, "wrap a data key").with_source(error)
        })
    }

    async fn unwrap(&self, wrapped: &[u8], context: &[&[u8]]) -> Result<Secret, BackendError> {
        envelope::open(&self.key, context, wrapped).map_err(|error| {
            BackendError::new(ErrorKind::Corrupt, "unwrap a data key").with_source(error)
        })
    }
}

impl fmt::Debug for PassphraseKek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassphraseKek").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Argon2id in memory that is wiped afterwards.
fn stretch(
    passphrase: &Secret,
    salt: &[u8],
    parameters: KdfParameters,
) -> Result<Secret, BackendError> {
    if passphrase.len() > PassphraseKek::PASSPHRASE_MAX {
        return Err(failed(ErrorKind::Refused));
    }
    let (memory_kib, passes, lanes) =
        (parameters.memory_kib(), parameters.passes(), parameters.lanes());
    let parameters = Params::new(memory_kib, passes, lanes, Some(ROOT))
        .map_err(|_| failed(ErrorKind::Refused))?;
    let mut blocks = Zeroizing::new(Vec::new());
    blocks
        .try_reserve_exact(parameters.block_count())
        .map_err(|error| failed(ErrorKind::Unavailable).with_source(error))?;
    blocks.resize(parameters.block_count(), Block::new());
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    Secret::try_fill(ROOT, |root| {
        argon.hash_password_into_with_memory(passphrase.expose(), salt, root, blocks.as_mut_slice())
    })
    .map_err(|_| failed(ErrorKind::Refused))
}

/// One of the independent values below the root (NIST SP 800-108, HMAC as the function).
fn expand(root: &Secret, label: &[u8]) -> Result<Hmac<Sha256>, BackendError> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(root.expose())
        .map_err(|_| failed(ErrorKind::Refused))?;
    mac.update(label);
    Ok(mac)
}

const fn failed(kind: ErrorKind) -> BackendError {
    BackendError::new(kind, "open the key of a passphrase")
}

const ROOT: usize = 32;
const SALT: usize = 32;
const DATA_KEY: usize = 32;
const CHECK: &[u8] = b"custody/soft/passphrase/check/v1";
const WRAP: &[u8] = b"custody/soft/passphrase/wrap/v1";
