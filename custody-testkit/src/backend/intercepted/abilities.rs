use async_trait::async_trait;
use custody_core::id::KekId;
use custody_core::seam::{
    Attestation, BackendError, DerivationPath, ExtendedPublicKey, KeyDerivation, KeyHandle,
    KeyImport, KeyRecord, KeyRequest, KeyResealing, KeySwitch, KeyWrapping, NewKey, NewSeed,
    SeedRecord, SeedRequest,
};
use custody_core::secret::Secret;

use super::{BackendCall, InterceptedBackend};
use crate::fault::Intercept;

#[async_trait]
impl<I: Intercept<BackendCall>> Attestation for InterceptedBackend<I> {
    async fn attest(&self, key: &KeyRecord, nonce: &[u8]) -> Result<Vec<u8>, BackendError> {
        let inner = self.inner.attestation().unwrap().attest(key, nonce);
        self.call(BackendCall::Attest, "attest", inner).await
    }
}

#[async_trait]
impl<I: Intercept<BackendCall>> KeyDerivation for InterceptedBackend<I> {
    async fn generate_seed(&self, request: &SeedRequest) -> Result<NewSeed, BackendError> {
        let inner = self.inner.derivation().unwrap().generate_seed(request);
        self.call(BackendCall::GenerateSeed, "generate seed", inner).await
    }

    async fn derive(
        &self,
        seed: &SeedRecord,
        path: &DerivationPath,
        request: &KeyRequest,
    ) -> Result<NewKey, BackendError> {
        let inner = self.inner.derivation().unwrap().derive(seed, path, request);
        self.call(BackendCall::Derive, "derive", inner).await
    }

    async fn extended_public_key(
        &self,
        seed: &SeedRecord,
        path: &DerivationPath,
    ) -> Result<ExtendedPublicKey, BackendError> {
        let inner = self.inner.derivation().unwrap().extended_public_key(seed, path);
        self.call(BackendCall::ExtendedPublicKey, "extended public key", inner).await
    }
}

#[async_trait]
impl<I: Intercept<BackendCall>> KeyImport for InterceptedBackend<I> {
    async fn import_key(&self, request: &KeyRequest, key: Secret) -> Result<NewKey, BackendError> {
        let inner = self.inner.import().unwrap().import_key(request, key);
        self.call(BackendCall::ImportKey, "import key", inner).await
    }

    async fn import_seed(
        &self,
        request: &SeedRequest,
        seed: Secret,
    ) -> Result<NewSeed, BackendError> {
        let inner = self.inner.import().unwrap().import_seed(request, seed);
        self.call(BackendCall::ImportSeed, "import seed", inner).await
    }
}

#[async_trait]
impl<I: Intercept<BackendCall>> KeyResealing for InterceptedBackend<I> {
    async fn reseal_key(&self, key: &KeyRecord) -> Result<KeyHandle, BackendError> {
        let inner = self.inner.resealing().unwrap().reseal_key(key);
        self.call(BackendCall::ResealKey, "reseal key", inner).await
    }

    async fn reseal_seed(&self, seed: &SeedRecord) -> Result<KeyHandle, BackendError> {
        let inner = self.inner.resealing().unwrap().reseal_seed(seed);
        self.call(BackendCall::ResealSeed, "reseal seed", inner).await
    }
}

#[async_trait]
impl<I: Intercept<BackendCall>> KeySwitch for InterceptedBackend<I> {
    async fn disable(&self, key: &KeyRecord) -> Result<(), BackendError> {
        let inner = self.inner.switch().unwrap().disable(key);
        self.call(BackendCall::Disable, "disable", inner).await
    }

    async fn enable(&self, key: &KeyRecord) -> Result<(), BackendError> {
        let inner = self.inner.switch().unwrap().enable(key);
        self.call(BackendCall::Enable, "enable", inner).await
    }

    async fn destroy(&self, key: &KeyRecord) -> Result<(), BackendError> {
        let inner = self.inner.switch().unwrap().destroy(key);
        self.call(BackendCall::Destroy, "destroy", inner).await
    }

    async fn cancel_destroy(&self, key: &KeyRecord) -> Result<(), BackendError> {
        let inner = self.inner.switch().unwrap().cancel_destroy(key);
        self.call(BackendCall::CancelDestroy, "cancel destroy", inner).await
    }
}

#[async_trait]
impl<I: Intercept<BackendCall>> KeyWrapping for InterceptedBackend<I> {
    async fn wrap(&self, key: &KeyRecord, under: &KekId) -> Result<Vec<u8>, BackendError> {
        let inner = self.inner.wrapping().unwrap().wrap(key, under);
        self.call(BackendCall::WrapKey, "wrap", inner).await
    }

    async fn unwrap(
        &self,
        key: &KeyRecord,
        wrapped: &[u8],
        under: &KekId,
    ) -> Result<KeyHandle, BackendError> {
        let inner = self.inner.wrapping().unwrap().unwrap(key, wrapped, under);
        self.call(BackendCall::UnwrapKey, "unwrap", inner).await
    }
}
