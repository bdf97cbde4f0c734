//! Keys that left a backend wrapped, and how they come back into another one.
//!
//! A key of a token has a handle that names the token. In another token it has another handle,
//! which the log must know: that is what `reseal_keys` orders are for. [`Unwrapping`] answers them
//! with the handles that the other token gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use custody_core::crypto::Algorithm;
use custody_core::id::{BackendId, BackendIdentity, KekId, KeyId};
use custody_core::seam::{
    Attestation, BackendError, ErrorKind, Exportability, Health, KeyBackend, KeyDerivation,
    KeyEncryption, KeyHandle, KeyImport, KeyRecord, KeyRequest, KeyResealing, KeySwitch,
    KeyWrapping, NewKey, SeedRecord, Signer,
};

use super::keys::Keys;

/// Keys, each encrypted under one key of a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wrapped {
    /// The encrypted keys. They are no secrets to whoever has not the key that they are under.
    pub keys: BTreeMap<KeyId, Vec<u8>>,
    /// Keys that their template keeps where they are: they are in no backup.
    pub kept: Vec<KeyId>,
}

/// Wraps every key of a backend that may leave it.
///
/// # Errors
/// Fails if the backend wraps nothing, or if it fails for a key that may leave.
///
/// # Security
/// Look at [`Wrapped::kept`]: those keys end with their token.
///
/// # Cancel safety
/// Nothing changes if the future is dropped.
pub async fn wrap_keys(
    keys: &Keys,
    backend: &dyn KeyBackend,
    under: &KekId,
) -> Result<Wrapped, WrapError> {
    let wrapping = backend.wrapping().ok_or(WrapError::Unsupported)?;
    let mut wrapped = Wrapped::default();
    for key in keys.keys().iter().filter(|key| key.backend == *backend.id()) {
        let id = key.record.key.clone();
        if key.exportability == Exportability::Never {
            wrapped.kept.push(id);
            continue;
        }
        let bytes = wrapping.wrap(&key.record, under).await;
        let failed = |source| WrapError::Backend { key: id.clone(), source };
        let bytes = bytes.map_err(failed)?;
        wrapped.keys.insert(id, bytes);
    }
    Ok(wrapped)
}

/// Why keys were not wrapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WrapError {
    /// The backend failed.
    #[error("the backend does not wrap {key}")]
    Backend {
        /// Which key.
        key: KeyId,
        /// Why.
        source: BackendError,
    },
    /// The backend wraps no keys.
    #[error("the backend wraps no keys")]
    Unsupported,
}

/// A backend into which wrapped keys come back. It is what it was, but that its resealing unwraps:
/// a `reseal_keys` order gives each key a handle here.
#[derive(Debug)]
pub struct Unwrapping {
    inner: Arc<dyn KeyBackend>,
    wrapped: BTreeMap<KeyId, Vec<u8>>,
    under: KekId,
}

impl Unwrapping {
    /// Keys that were wrapped under `under`, which the backend has as well.
    #[must_use]
    pub const fn new(
        inner: Arc<dyn KeyBackend>,
        wrapped: BTreeMap<KeyId, Vec<u8>>,
        under: KekId,
    ) -> Self {
        Self { inner, wrapped, under }
    }

    /// Brings one key back.
    ///
    /// # Errors
    /// `NotFound` for a key that was not wrapped, and those of the backend.
    ///
    /// # Cancel safety
    /// The key may be there if the future is dropped; another call finds it.
    pub async fn bring_back(&self, key: &KeyRecord) -> Result<KeyHandle, BackendError> {
        let missing = || BackendError::new(ErrorKind::NotFound, UNWRAP);
        let bytes = self.wrapped.get(&key.key).ok_or_else(missing)?;
        let unsupported = || BackendError::new(ErrorKind::Unsupported, UNWRAP);
        let wrapping = self.inner.wrapping().ok_or_else(unsupported)?;
        wrapping.unwrap(key, bytes, &self.under).await
    }
}

#[async_trait]
impl KeyResealing for Unwrapping {
    async fn reseal_key(&self, key: &KeyRecord) -> Result<KeyHandle, BackendError> {
        self.bring_back(key).await
    }

    async fn reseal_seed(&self, _seed: &SeedRecord) -> Result<KeyHandle, BackendError> {
        Err(BackendError::new(ErrorKind::Unsupported, UNWRAP))
    }
}

#[async_trait]
impl KeyBackend for Unwrapping {
    fn id(&self) -> &BackendId {
        self.inner.id()
    }

    fn identity(&self) -> &BackendIdentity {
        self.inner.identity()
    }

    fn algorithms(&self) -> &[Algorithm] {
        self.inner.algorithms()
    }

    fn in_process(&self) -> bool {
        self.inner.in_process()
    }

    async fn generate(&self, request: &KeyRequest) -> Result<NewKey, BackendError> {
        self.inner.generate(request).await
    }

    /// A key whose handle is not one of this backend is brought back first.
    async fn signer(&self, key: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        let opened = self.inner.signer(key).await;
        let is_elsewhere =
            |error: &BackendError| matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound);
        if !opened.as_ref().is_err_and(is_elsewhere) || !self.wrapped.contains_key(&key.key) {
            return opened;
        }
        let handle = self.bring_back(key).await?;
        self.inner.signer(&KeyRecord { handle, ..key.clone() }).await
    }

    async fn health(&self) -> Health {
        self.inner.health().await
    }

    fn derivation(&self) -> Option<&dyn KeyDerivation> {
        self.inner.derivation()
    }

    fn import(&self) -> Option<&dyn KeyImport> {
        self.inner.import()
    }

    fn wrapping(&self) -> Option<&dyn KeyWrapping> {
        self.inner.wrapping()
    }

    fn resealing(&self) -> Option<&dyn KeyResealing> {
        Some(self)
    }

    fn switch(&self) -> Option<&dyn KeySwitch> {
        self.inner.switch()
    }

    fn kek(&self) -> Option<Arc<dyn KeyEncryption>> {
        self.inner.kek()
    }

    fn attestation(&self) -> Option<&dyn Attestation> {
        self.inner.attestation()
    }
}

const UNWRAP: &str = "bring a wrapped key back";
