//! What is measured: anything that signs a job and can verify the answer.
//!
//! Invariant: what is signed follows from the seed of the run and the number of the job alone.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use custody_core::crypto::{Algorithm, SignInput, Signature};
use custody_core::digest::Digest;
use custody_core::id::{CustodianId, KeyId, WalletId};
use custody_core::seam::{BackendError, Exportability, KeyBackend, KeyRecord, KeyRequest, Signer};

/// Something that signs and is measured.
#[async_trait]
pub trait Target: Debug + Send + Sync {
    /// How its callers run.
    fn manner(&self) -> Manner;

    /// Signs; this is what is timed.
    ///
    /// # Errors
    /// In words. The harness counts each text, and goes on.
    async fn sign(&self, job: &Job) -> Result<Answer, String>;

    /// Whether the answer is a signature over what the job asked for. Called after the timed part,
    /// by several threads.
    ///
    /// # Errors
    /// Says why it is not; the run is then void.
    fn verify(&self, job: &Job, answer: &Answer) -> Result<(), Wrong>;
}

/// How the callers of a target run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Manner {
    /// Each is a task: calls wait without a thread.
    Tasks,
    /// Each is a thread: calls compute, or block.
    Threads,
}

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Job {
    /// Its number, of which each run has one.
    pub number: u64,
    /// What ECDSA signs as a digest, and the others as a message.
    pub digest: [u8; 32],
}

impl Job {
    /// The job with this number in a run with this seed.
    #[must_use]
    pub fn new(seed: u64, number: u64) -> Self {
        let mut bytes = *b"custody-bench/v1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        for (place, byte) in bytes
            .iter_mut()
            .skip(16)
            .zip(seed.to_be_bytes().into_iter().chain(number.to_be_bytes()))
        {
            *place = byte;
        }
        Self { number, digest: *Digest::of(&bytes).as_bytes() }
    }

    /// What a signer of this algorithm signs.
    #[must_use]
    pub const fn input(&self, algorithm: Algorithm) -> SignInput<'_> {
        if algorithm.signs_prehash() {
            SignInput::Prehash(&self.digest)
        } else {
            SignInput::Message(&self.digest)
        }
    }
}

/// What a target answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Answer {
    /// Bytes in a form that the target itself reads.
    Bytes(Vec<u8>),
    /// A signature of the seam.
    Signature(Signature),
}

/// An answer is no signature over what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
#[non_exhaustive]
pub struct Wrong(pub String);

impl Wrong {
    /// With this reason.
    pub fn new(reason: impl ToString) -> Self {
        Self(reason.to_string())
    }
}

/// A signer of the seam as a target: the raw backend.
#[derive(Debug)]
pub struct SignerTarget {
    signer: Arc<dyn Signer>,
    manner: Manner,
}

impl SignerTarget {
    /// Measures `signer`, called in this manner.
    #[must_use]
    pub fn new(signer: Arc<dyn Signer>, manner: Manner) -> Self {
        Self { signer, manner }
    }
}

#[async_trait]
impl Target for SignerTarget {
    fn manner(&self) -> Manner {
        self.manner
    }

    async fn sign(&self, job: &Job) -> Result<Answer, String> {
        let answer = self.signer.sign(job.input(self.signer.algorithm())).await;
        answer.map(Answer::Signature).map_err(|error| error.to_string())
    }

    fn verify(&self, job: &Job, answer: &Answer) -> Result<(), Wrong> {
        let Answer::Signature(signature) = answer else {
            return Err(Wrong::new("it is of another form"));
        };
        let input = job.input(self.signer.algorithm());
        let checked = signature.clone().checked(self.signer.public_key(), input);
        checked.map(drop).map_err(Wrong::new)
    }
}

/// The signer of a new key of the backend, in a wallet and a custodian that only benches have.
///
/// # Errors
/// Those of the backend.
pub async fn new_signer(
    backend: &dyn KeyBackend,
    algorithm: Algorithm,
    name: &str,
) -> Result<Arc<dyn Signer>, BackendError> {
    let id = |_| BackendError::new(custody_core::seam::ErrorKind::Refused, "name the bench's key");
    let request = KeyRequest {
        custodian: CustodianId::new(Digest::of(b"custody-bench")),
        wallet: WalletId::parse("bench").map_err(id)?,
        key: KeyId::parse(name).map_err(id)?,
        algorithm,
        exportability: Exportability::Never,
    };
    let made = backend.generate(&request).await?;
    let KeyRequest { custodian, wallet, key, .. } = request;
    let (public_key, handle) = (made.public_key, made.handle);
    backend.signer(&KeyRecord { custodian, wallet, key, public_key, handle }).await
}
