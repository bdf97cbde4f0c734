//! Opens no secrets: they pass through.

use std::sync::Arc;

use async_trait::async_trait;
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::id::{BackendId, BackendIdentity, KekId};
use custody_core::seam::{
    BackendError, DerivationPath, ExtendedPublicKey, Health, KeyBackend, KeyDerivation,
    KeyEncryption, KeyHandle, KeyRecord, KeyRequest, KeyResealing, KeySwitch, NewKey, NewSeed,
    SeedRecord, SeedRequest, Signer,
};
use custody_core::secret::Secret;

use super::Pointed;

/// The abilities that a custodian does not use are not there.
#[async_trait]
impl KeyBackend for Pointed<dyn KeyBackend> {
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
        let error = |kind| BackendError::new(kind, "generate");
        self.points.call("backend.generate", error, self.inner.generate(request)).await
    }

    async fn signer(&self, key: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        let error = |kind| BackendError::new(kind, "open");
        let inner = self.points.call("backend.signer", error, self.inner.signer(key)).await?;
        Ok(self.points.around(inner))
    }

    async fn health(&self) -> Health {
        self.inner.health().await
    }

    fn derivation(&self) -> Option<&dyn KeyDerivation> {
        self.inner.derivation().map(|_| self as _)
    }

    fn resealing(&self) -> Option<&dyn KeyResealing> {
        self.inner.resealing().map(|_| self as _)
    }

    fn switch(&self) -> Option<&dyn KeySwitch> {
        self.inner.switch().map(|_| self as _)
    }
}

#[async_trait]
impl KeyDerivation for Pointed<dyn KeyBackend> {
    async fn generate_seed(&self, request: &SeedRequest) -> Result<NewSeed, BackendError> {
        let error = |kind| BackendError::new(kind, "generate seed");
        let inner = self.inner.derivation().unwrap().generate_seed(request);
        self.points.call("backend.generate_seed", error, inner).await
    }

    async fn derive(
        &self,
        seed: &SeedRecord,
        path: &DerivationPath,
        request: &KeyRequest,
    ) -> Result<NewKey, BackendError> {
        let error = |kind| BackendError::new(kind, "derive");
        let inner = self.inner.derivation().unwrap().derive(seed, path, request);
        self.points.call("backend.derive", error, inner).await
    }

    async fn extended_public_key(
        &self,
        seed: &SeedRecord,
        path: &DerivationPath,
    ) -> Result<ExtendedPublicKey, BackendError> {
        let error = |kind| BackendError::new(kind, "extended public key");
        let inner = self.inner.derivation().unwrap().extended_public_key(seed, path);
        self.points.call("backend.extended_public_key", error, inner).await
    }
}

#[async_trait]
impl KeyResealing for Pointed<dyn KeyBackend> {
    async fn reseal_key(&self, key: &KeyRecord) -> Result<KeyHandle, BackendError> {
        let error = |kind| BackendError::new(kind, "reseal key");
        let inner = self.inner.resealing().unwrap().reseal_key(key);
        self.points.call("backend.reseal_key", error, inner).await
    }

    async fn reseal_seed(&self, seed: &SeedRecord) -> Result<KeyHandle, BackendError> {
        let error = |kind| BackendError::new(kind, "reseal seed");
        let inner = self.inner.resealing().unwrap().reseal_seed(seed);
        self.points.call("backend.reseal_seed", error, inner).await
    }
}

#[async_trait]
impl KeySwitch for Pointed<dyn KeyBackend> {
    async fn disable(&self, key: &KeyRecord) -> Result<(), BackendError> {
        let error = |kind| BackendError::new(kind, "disable");
        let inner = self.inner.switch().unwrap().disable(key);
        self.points.call("switch.disable", error, inner).await
    }

    async fn enable(&self, key: &KeyRecord) -> Result<(), BackendError> {
        let error = |kind| BackendError::new(kind, "enable");
        let inner = self.inner.switch().unwrap().enable(key);
        self.points.call("switch.enable", error, inner).await
    }

    async fn destroy(&self, key: &KeyRecord) -> Result<(), BackendError> {
        let error = |kind| BackendError::new(kind, "destroy");
        let inner = self.inner.switch().unwrap().destroy(key);
        self.points.call("switch.destroy", error, inner).await
    }

    async fn cancel_destroy(&self, key: &KeyRecord) -> Result<(), BackendError> {
        let error = |kind| BackendError::new(kind, "cancel destroy");
        let inner = self.inner.switch().unwrap().cancel_destroy(key);
        self.points.call("switch.cancel_destroy", error, inner).await
    }
}

#[async_trait]
impl Signer for Pointed<dyn Signer> {
    fn algorithm(&self) -> Algorithm {
        self.inner.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        self.inner.public_key()
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        let error = |kind| BackendError::new(kind, "sign");
        self.points.call("signer.sign", error, self.inner.sign(input)).await
    }
}

#[async_trait]
impl KeyEncryption for Pointed<dyn KeyEncryption> {
    fn id(&self) -> &KekId {
        self.inner.id()
    }

    fn in_process(&self) -> bool {
        self.inner.in_process()
    }

    async fn wrap(&self, data_key: &Secret, context: &[&[u8]]) -> Result<Vec<u8>, BackendError> {
        let error = |kind| BackendError::new(kind, "wrap");
        self.points.call("kek.wrap", error, self.inner.wrap(data_key, context)).await
    }

    async fn unwrap(&self, wrapped: &[u8], context: &[&[u8]]) -> Result<Secret, BackendError> {
        let error = |kind| BackendError::new(kind, "unwrap");
        self.points.call("kek.unwrap", error, self.inner.unwrap(wrapped, context)).await
    }
}
