//! A backend whose first seed is that of a mnemonic, for a host that knows the mnemonic's account.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use custody_core::crypto::Algorithm;
use custody_core::id::{BackendId, BackendIdentity};
use custody_core::seam::{
    BackendError, DerivationPath, Health, KeyBackend, KeyDerivation, KeyRecord, KeyRequest, NewKey,
    NewSeed, SeedRecord, SeedRequest, Signer,
};
use custody_core::secret::Secret;
use custody_soft::SoftBackend;

/// Software keys; the first seed that is asked for is a mnemonic's, all others are new.
pub struct MnemonicBackend {
    keys: SoftBackend,
    words: Mutex<Option<Secret>>,
}

impl MnemonicBackend {
    /// With the words of a mnemonic that has no passphrase.
    #[must_use]
    pub const fn new(keys: SoftBackend, words: Secret) -> Self {
        Self { keys, words: Mutex::new(Some(words)) }
    }

    fn take(&self) -> Option<Secret> {
        self.words.lock().ok()?.take()
    }
}

#[async_trait]
impl KeyBackend for MnemonicBackend {
    fn id(&self) -> &BackendId {
        self.keys.id()
    }

    fn identity(&self) -> &BackendIdentity {
        self.keys.identity()
    }

    fn algorithms(&self) -> &[Algorithm] {
        self.keys.algorithms()
    }

    fn in_process(&self) -> bool {
        self.keys.in_process()
    }

    async fn generate(&self, request: &KeyRequest) -> Result<NewKey, BackendError> {
        self.keys.generate(request).await
    }

    async fn signer(&self, key: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        self.keys.signer(key).await
    }

    async fn health(&self) -> Health {
        self.keys.health().await
    }

    fn derivation(&self) -> Option<&dyn KeyDerivation> {
        Some(self)
    }
}

#[async_trait]
impl KeyDerivation for MnemonicBackend {
    async fn generate_seed(&self, request: &SeedRequest) -> Result<NewSeed, BackendError> {
        match self.take() {
            Some(words) => self.keys.import_mnemonic(request, words, Secret::new(vec![])).await,
            None => self.keys.generate_seed(request).await,
        }
    }

    async fn derive(
        &self,
        seed: &SeedRecord,
        path: &DerivationPath,
        request: &KeyRequest,
    ) -> Result<NewKey, BackendError> {
        self.keys.derive(seed, path, request).await
    }
}

impl fmt::Debug for MnemonicBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MnemonicBackend").field("keys", &self.keys).finish_non_exhaustive()
    }
}
