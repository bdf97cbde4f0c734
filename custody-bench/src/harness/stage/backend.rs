//! The backend, timed.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::id::{BackendId, BackendIdentity};
use custody_core::seam::{
    Attestation, BackendError, Health, KeyBackend, KeyDerivation, KeyEncryption, KeyImport,
    KeyRecord, KeyRequest, KeyResealing, KeySwitch, KeyWrapping, NewKey, Signer,
};

use super::{Stage, Stages};

/// A backend whose signers are timed.
#[derive(Debug)]
pub struct TimedBackend {
    backend: Arc<dyn KeyBackend>,
    stages: Arc<Stages>,
}

impl TimedBackend {
    /// Times the signers of `backend`.
    #[must_use]
    pub fn new(backend: Arc<dyn KeyBackend>, stages: Arc<Stages>) -> Self {
        Self { backend, stages }
    }
}

#[async_trait]
impl KeyBackend for TimedBackend {
    fn id(&self) -> &BackendId {
        self.backend.id()
    }

    fn identity(&self) -> &BackendIdentity {
        self.backend.identity()
    }

    fn algorithms(&self) -> &[Algorithm] {
        self.backend.algorithms()
    }

    fn in_process(&self) -> bool {
        self.backend.in_process()
    }

    async fn generate(&self, request: &KeyRequest) -> Result<NewKey, BackendError> {
        self.backend.generate(request).await
    }

    async fn signer(&self, key: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        let signer = self.backend.signer(key).await?;
        Ok(Arc::new(TimedSigner { signer, stages: Arc::clone(&self.stages) }))
    }

    async fn health(&self) -> Health {
        self.backend.health().await
    }

    fn derivation(&self) -> Option<&dyn KeyDerivation> {
        self.backend.derivation()
    }

    fn import(&self) -> Option<&dyn KeyImport> {
        self.backend.import()
    }

    fn wrapping(&self) -> Option<&dyn KeyWrapping> {
        self.backend.wrapping()
    }

    fn resealing(&self) -> Option<&dyn KeyResealing> {
        self.backend.resealing()
    }

    fn switch(&self) -> Option<&dyn KeySwitch> {
        self.backend.switch()
    }

    fn kek(&self) -> Option<Arc<dyn KeyEncryption>> {
        self.backend.kek()
    }

    fn attestation(&self) -> Option<&dyn Attestation> {
        self.backend.attestation()
    }
}

#[derive(Debug)]
struct TimedSigner {
    signer: Arc<dyn Signer>,
    stages: Arc<Stages>,
}

#[async_trait]
impl Signer for TimedSigner {
    fn algorithm(&self) -> Algorithm {
        self.signer.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        let since = Instant::now();
        let answer = self.signer.sign(input).await;
        self.stages.record(Stage::Sign, since.elapsed());
        answer
    }
}
