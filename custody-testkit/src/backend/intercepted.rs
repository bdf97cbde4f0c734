mod abilities;
mod key_encryption;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::id::{BackendId, BackendIdentity};
use custody_core::seam::{
    Attestation, BackendError, Clock, Health, KeyBackend, KeyDerivation, KeyEncryption, KeyImport,
    KeyRecord, KeyRequest, KeyResealing, KeySwitch, KeyWrapping, NewKey, Signer,
};

use crate::fault::{Delay, Denial, FaultPlan, Intercept};

pub use key_encryption::{
    DenyingKeyEncryption, FailingKeyEncryption, InterceptedKeyEncryption, SlowKeyEncryption,
};

/// The calls of a backend, its signers, its abilities and its key encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the calls of the seam")]
pub enum BackendCall {
    /// [`Attestation::attest`].
    Attest,
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
    /// [`KeyDerivation::extended_public_key`].
    ExtendedPublicKey,
    /// [`KeyBackend::generate`].
    Generate,
    /// [`KeyDerivation::generate_seed`].
    GenerateSeed,
    /// [`KeyImport::import_key`].
    ImportKey,
    /// [`KeyImport::import_seed`].
    ImportSeed,
    /// [`KeyResealing::reseal_key`].
    ResealKey,
    /// [`KeyResealing::reseal_seed`].
    ResealSeed,
    /// [`Signer::sign`].
    Sign,
    /// [`KeyBackend::signer`].
    Signer,
    /// [`KeyEncryption::unwrap`].
    UnwrapDataKey,
    /// [`KeyWrapping::unwrap`].
    UnwrapKey,
    /// [`KeyEncryption::wrap`].
    WrapDataKey,
    /// [`KeyWrapping::wrap`].
    WrapKey,
}

/// A backend with something before each of its calls, and before those of its signers, abilities
/// and key encryption. What it says about itself is what the inner backend says.
#[derive(Clone, Debug)]
pub struct InterceptedBackend<I> {
    inner: Arc<dyn KeyBackend>,
    before: I,
}

/// A backend that refuses every call, until a test allows it, and logs what it refused.
pub type DenyingBackend = InterceptedBackend<Denial<BackendCall>>;

/// A backend that fails at chosen calls, before or after the inner call, and logs all of them.
pub type FailingBackend = InterceptedBackend<FaultPlan<BackendCall>>;

/// A backend whose calls take time on a clock, or never return.
pub type SlowBackend = InterceptedBackend<Delay<BackendCall>>;

impl DenyingBackend {
    /// Denies every call until [`Self::denial`] is told otherwise.
    #[must_use]
    pub fn new(inner: Arc<dyn KeyBackend>) -> Self {
        Self { inner, before: Denial::new() }
    }

    /// What is denied, and the log of what was.
    #[must_use]
    pub const fn denial(&self) -> &Denial<BackendCall> {
        &self.before
    }
}

impl FailingBackend {
    /// Passes every call on to `inner` until a fault is planned.
    #[must_use]
    pub fn new(inner: Arc<dyn KeyBackend>) -> Self {
        Self { inner, before: FaultPlan::new() }
    }

    /// The plan and the log of calls.
    #[must_use]
    pub const fn plan(&self) -> &FaultPlan<BackendCall> {
        &self.before
    }
}

impl SlowBackend {
    /// Waits `delay` on `clock` before each call.
    #[must_use]
    pub fn new(inner: Arc<dyn KeyBackend>, clock: Arc<dyn Clock>, delay: Duration) -> Self {
        Self { inner, before: Delay::new(clock, delay) }
    }

    /// Never answers a call to sign, and all others at once.
    #[must_use]
    pub const fn hanging(inner: Arc<dyn KeyBackend>) -> Self {
        Self { inner, before: Delay::never(BackendCall::Sign) }
    }
}

impl<I: Intercept<BackendCall>> InterceptedBackend<I> {
    async fn call<T: Send>(
        &self,
        call: BackendCall,
        operation: &'static str,
        inner: impl Future<Output = Result<T, BackendError>> + Send,
    ) -> Result<T, BackendError> {
        self.before.intercept(call, |kind| BackendError::new(kind, operation), inner).await
    }
}

#[async_trait]
impl<I: Intercept<BackendCall>> KeyBackend for InterceptedBackend<I> {
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
        Ok(Arc::new(InterceptedSigner { inner, before: self.before.clone() }))
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
        self.inner.wrapping().map(|_| self as _)
    }

    fn resealing(&self) -> Option<&dyn KeyResealing> {
        self.inner.resealing().map(|_| self as _)
    }

    fn switch(&self) -> Option<&dyn KeySwitch> {
        self.inner.switch().map(|_| self as _)
    }

    fn kek(&self) -> Option<Arc<dyn KeyEncryption>> {
        let inner = self.inner.kek()?;
        Some(Arc::new(InterceptedKeyEncryption::of(inner, self.before.clone())))
    }

    fn attestation(&self) -> Option<&dyn Attestation> {
        self.inner.attestation().map(|_| self as _)
    }
}

/// A signer with before its calls what is before its backend's.
#[derive(Debug)]
struct InterceptedSigner<I> {
    inner: Arc<dyn Signer>,
    before: I,
}

#[async_trait]
impl<I: Intercept<BackendCall>> Signer for InterceptedSigner<I> {
    fn algorithm(&self) -> Algorithm {
        self.inner.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        self.inner.public_key()
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        let error = |kind| BackendError::new(kind, "sign");
        self.before.intercept(BackendCall::Sign, error, self.inner.sign(input)).await
    }
}
