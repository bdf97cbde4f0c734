use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::id::{BackendId, BackendIdentity};
use custody_core::seam::{
    Attestation, BackendError, Clock, Health, KeyBackend, KeyDerivation, KeyEncryption, KeyImport,
    KeyRecord, KeyRequest, KeySwitch, KeyWrapping, NewKey, Signer,
};

/// A backend whose own calls and signatures take time on a clock, or never return.
#[derive(Clone, Debug)]
pub struct SlowBackend {
    inner: Arc<dyn KeyBackend>,
    clock: Arc<dyn Clock>,
    delay: Option<Duration>,
}

impl SlowBackend {
    /// Waits `delay` on `clock` before each generation, opening and signature.
    #[must_use]
    pub fn new(inner: Arc<dyn KeyBackend>, clock: Arc<dyn Clock>, delay: Duration) -> Self {
        Self { inner, clock, delay: Some(delay) }
    }

    /// Opens and generates at once, and never answers a call to sign.
    #[must_use]
    pub fn hanging(inner: Arc<dyn KeyBackend>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, clock, delay: None }
    }

    async fn wait(&self) {
        if let Some(delay) = self.delay {
            self.clock.sleep_until(self.clock.monotonic() + delay).await;
        }
    }
}

#[async_trait]
impl KeyBackend for SlowBackend {
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
        self.wait().await;
        self.inner.generate(request).await
    }

    async fn signer(&self, key: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        self.wait().await;
        let inner = self.inner.signer(key).await?;
        Ok(Arc::new(SlowSigner { inner, backend: self.clone() }))
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

#[derive(Debug)]
struct SlowSigner {
    inner: Arc<dyn Signer>,
    backend: SlowBackend,
}

#[async_trait]
impl Signer for SlowSigner {
    fn algorithm(&self) -> Algorithm {
        self.inner.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        self.inner.public_key()
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        if self.backend.delay.is_none() {
            std::future::pending::<()>().await;
        }
        self.backend.wait().await;
        self.inner.sign(input).await
    }
}
