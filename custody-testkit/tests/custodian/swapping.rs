//! A backend that gives what is sealed anew the handle of something else, made for the same owner.

use std::sync::Arc;

use async_trait::async_trait;
use custody_core::crypto::Algorithm;
use custody_core::id::{BackendId, BackendIdentity};
use custody_core::seam::{
    BackendError, DerivationPath, ErrorKind, Exportability, ExtendedPublicKey, Health, KeyBackend,
    KeyDerivation, KeyHandle, KeyRecord, KeyRequest, KeyResealing, NewKey, NewSeed, SeedRecord,
    SeedRequest, Signer,
};
use custody_testkit::backend::MemoryBackend;

/// What it gives another handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Swap {
    Keys,
    Seeds,
}

/// The backend. It opens what it is said to have, and what it gives in its place.
#[derive(Debug)]
pub(crate) struct Swapping {
    inner: MemoryBackend,
    other: MemoryBackend,
    swap: Swap,
}

impl Swapping {
    pub(crate) fn new(inner: MemoryBackend, swap: Swap) -> Self {
        Self { inner, other: MemoryBackend::seeded("other", 8), swap }
    }
}

/// The answer of one backend, or of the other if the first has no such handle.
async fn either<T>(
    one: impl Future<Output = Result<T, BackendError>>,
    other: impl Future<Output = Result<T, BackendError>>,
) -> Result<T, BackendError> {
    match one.await {
        Err(error) if error.kind() == ErrorKind::NotFound => other.await,
        answer => answer,
    }
}

#[async_trait]
impl KeyBackend for Swapping {
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

    async fn signer(&self, key: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        either(self.inner.signer(key), self.other.signer(key)).await
    }

    async fn health(&self) -> Health {
        self.inner.health().await
    }

    fn derivation(&self) -> Option<&dyn KeyDerivation> {
        Some(self)
    }

    fn resealing(&self) -> Option<&dyn KeyResealing> {
        Some(self)
    }
}

#[async_trait]
impl KeyDerivation for Swapping {
    async fn generate_seed(&self, request: &SeedRequest) -> Result<NewSeed, BackendError> {
        self.inner.generate_seed(request).await
    }

    async fn derive(
        &self,
        seed: &SeedRecord,
        path: &DerivationPath,
        request: &KeyRequest,
    ) -> Result<NewKey, BackendError> {
        let other = self.other.derive(seed, path, request);
        either(self.inner.derive(seed, path, request), other).await
    }

    async fn extended_public_key(
        &self,
        seed: &SeedRecord,
        path: &DerivationPath,
    ) -> Result<ExtendedPublicKey, BackendError> {
        let other = self.other.extended_public_key(seed, path);
        either(self.inner.extended_public_key(seed, path), other).await
    }
}

#[async_trait]
impl KeyResealing for Swapping {
    async fn reseal_key(&self, key: &KeyRecord) -> Result<KeyHandle, BackendError> {
        if self.swap == Swap::Seeds {
            return self.inner.reseal_key(key).await;
        }
        let request = KeyRequest {
            custodian: key.custodian,
            wallet: key.wallet.clone(),
            key: key.key.clone(),
            algorithm: key.public_key.algorithm(),
            exportability: Exportability::Never,
        };
        Ok(self.other.generate(&request).await?.handle)
    }

    async fn reseal_seed(&self, seed: &SeedRecord) -> Result<KeyHandle, BackendError> {
        if self.swap == Swap::Keys {
            return self.inner.reseal_seed(seed).await;
        }
        let request = SeedRequest {
            custodian: seed.custodian,
            wallet: seed.wallet.clone(),
            key: seed.key.clone(),
        };
        Ok(self.other.generate_seed(&request).await?.handle)
    }
}
