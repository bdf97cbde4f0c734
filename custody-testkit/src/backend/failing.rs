use std::sync::Arc;

use async_trait::async_trait;
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::id::{BackendId, BackendIdentity};
use custody_core::seam::{
    Attestation, BackendError, DerivationPath, Health, KeyBackend, KeyDerivation, KeyEncryption,
    KeyImport, KeyRecord, KeyRequest, KeySwitch, KeyWrapping, NewKey, NewSeed, SeedRecord,
    SeedRequest, Signer,
};
use custody_core::secret::Secret;

use crate::fault::FaultPlan;

/// The calls of a backend, its signers and its abilities, as [`FailingBackend`] plans and logs
/// them. Wrapping, key encryption and attestation are passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the calls of the seam")]
pub enum BackendCall {
    /// [`KeySwitch::cancel_destroy`].
    CancelDestroy,
    /// [`KeyDerivation::derive`].
    Derive,
    /// [`KeySwitch::destroy`].
    Destroy,
    /// [`KeySwitch::disable`].
    Disable,
    /// [`KeySwitch::enable`].
    Enable,
    /// [`KeyBackend::generate`].
    Generate,
    /// [`KeyDerivation::generate_seed`].
    GenerateSeed,
    /// [`KeyImport::import_key`].
    ImportKey,
    /// [`KeyImport::import_seed`].
    ImportSeed,
    /// [`Signer::sign`].
    Sign,
    /// [`KeyBackend::signer`].
    Signer,
}

/// A backend that fails at chosen calls, before or after the inner call, and logs all of them.
#[derive(Debug)]
pub struct FailingBackend {
    inner: Arc<dyn KeyBackend>,
    plan: FaultPlan<BackendCall>,
}

impl FailingBackend {
    /// Passes every call on to `inner` until a fault is planned.
    #[must_use]
    pub fn new(inner: Arc<dyn KeyBackend>) -> Self {
        Self { inner, plan: FaultPlan::new() }
    }

    /// The plan and the log of calls.
    #[must_use]
    pub const fn plan(&self) -> &FaultPlan<BackendCall> {
        &self.plan
    }

    async fn call<T>(
        &self,
        call: BackendCall,
        operation: &'static str,
        inner: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        self.plan.call(call, |kind| BackendError::new(kind, operation), inner).await
    }
}

#[async_trait]
impl KeyBackend for FailingBackend {
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
        self.call(BackendCall::Generate, "generate", self.inner.generate(request)).await
    }

    async fn signer(&self, key: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        let inner = self.call(BackendCall::Signer, "open", self.inner.signer(key)).await?;
        Ok(Arc::new(FailingSigner { inner, plan: self.plan.clone() }))
    }

    async fn health(&self) -> Health {
        self.inner.health().await
    }

    fn derivation(&self) -> Option<&dyn KeyDerivation> {
        self.inner.derivation().map(|_| self as _)
    }

    fn import(&self) -> Option<&dyn KeyImport> {
        self.inner.import().map(|_| self as _)
    }

    fn wrapping(&self) -> Option<&dyn KeyWrapping> {
        self.inner.wrapping()
    }

    fn switch(&self) -> Option<&dyn KeySwitch> {
        self.inner.switch().map(|_| self as _)
    }

    fn kek(&self) -> Option<Arc<dyn KeyEncryption>> {
        self.inner.kek()
    }

    fn attestation(&self) -> Option<&dyn Attestation> {
        self.inner.attestation()
    }
}

#[async_trait]
impl KeyDerivation for FailingBackend {
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
}

#[async_trait]
impl KeyImport for FailingBackend {
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
impl KeySwitch for FailingBackend {
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

/// A signer whose calls follow its backend's plan.
#[derive(Debug)]
struct FailingSigner {
    inner: Arc<dyn Signer>,
    plan: FaultPlan<BackendCall>,
}

#[async_trait]
impl Signer for FailingSigner {
    fn algorithm(&self) -> Algorithm {
        self.inner.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        self.inner.public_key()
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        let error = |kind| BackendError::new(kind, "sign");
        self.plan.call(BackendCall::Sign, error, self.inner.sign(input)).await
    }
}
