//! Proves keys: each signs a challenge that verifies under its recorded public key.
//!
//! Invariant: a key counts as proved only by a signature over bytes that were drawn for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use custody_core::crypto::SignInput;
use custody_core::digest::Digest;
use custody_core::id::{BackendId, KeyId};
use custody_core::seam::{
    BackendError, DerivationPath, Entropy, EntropyError, ErrorKind, KeyBackend, KeyRequest,
};

use super::keys::{ArchivedKey, ArchivedSeed, Keys};

/// What was proved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proved {
    /// Keys that signed.
    pub keys: u64,
    /// Seeds that gave the recorded public keys, or opened if none was derived from them.
    pub seeds: u64,
    /// Those that did not, with the reason. None of them can be relied on.
    pub failed: Vec<Unproved>,
}

/// A key or seed that was not proved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unproved {
    /// Which one.
    pub key: KeyId,
    /// Why.
    pub reason: ProofError,
}

/// Why a key or seed was not proved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The backend failed.
    #[error("the backend failed: {kind:?}")]
    Backend {
        /// How.
        kind: ErrorKind,
    },
    /// No backend is given for it.
    #[error("no backend is given for {backend}")]
    NoBackend {
        /// Which one.
        backend: BackendId,
    },
    /// It is another key than the recorded one.
    #[error("it is another key than the recorded one")]
    OtherKey,
    /// The signature does not verify.
    #[error("its signature does not verify")]
    Signature,
}

/// Has every key sign a challenge, and every seed derive again what was derived from it.
///
/// Suspended, deactivated and compromised keys are proved too: they may be needed for sweeps.
///
/// # Errors
/// Fails without entropy. What is not proved is in the answer.
///
/// # Cancel safety
/// Nothing changes if the future is dropped.
pub async fn prove(
    keys: &Keys,
    backends: &BTreeMap<BackendId, Arc<dyn KeyBackend>>,
    entropy: &dyn Entropy,
) -> Result<Proved, EntropyError> {
    let mut proved = Proved::default();
    for key in keys.keys() {
        match prove_key(key, backends, entropy).await? {
            Ok(()) => proved.keys = proved.keys.saturating_add(1),
            Err(reason) => {
                proved.failed.push(Unproved { key: key.record.key.clone(), reason });
            }
        }
    }
    for seed in keys.seeds() {
        match prove_seed(seed, keys, backends).await {
            Ok(()) => proved.seeds = proved.seeds.saturating_add(1),
            Err(reason) => {
                proved.failed.push(Unproved { key: seed.record.key.clone(), reason });
            }
        }
    }
    Ok(proved)
}

async fn prove_key(
    key: &ArchivedKey,
    backends: &BTreeMap<BackendId, Arc<dyn KeyBackend>>,
    entropy: &dyn Entropy,
) -> Result<Result<(), ProofError>, EntropyError> {
    let mut nonce = [0; 32];
    entropy.fill(&mut nonce)?;
    let record = &key.record;
    let custodian = record.custodian.digest().as_bytes();
    let fields: [&[u8]; 3] = [custodian, record.key.as_str().as_bytes(), &nonce];
    let challenge = Digest::tagged(CHALLENGE, &fields);
    let Some(backend) = backends.get(&key.backend) else {
        return Ok(Err(ProofError::NoBackend { backend: key.backend.clone() }));
    };
    Ok(sign(backend.as_ref(), key, &challenge).await)
}

async fn sign(
    backend: &dyn KeyBackend,
    key: &ArchivedKey,
    challenge: &Digest,
) -> Result<(), ProofError> {
    let recorded = &key.record.public_key;
    let signer = backend.signer(&key.record).await.map_err(failed)?;
    if signer.public_key() != recorded {
        return Err(ProofError::OtherKey);
    }
    let input = if recorded.algorithm().signs_prehash() {
        SignInput::Prehash(challenge.as_bytes())
    } else {
        SignInput::Message(challenge.as_bytes())
    };
    let signature = signer.sign(input).await.map_err(failed)?;
    signature.checked(recorded, input).map_err(|_| ProofError::Signature)?;
    Ok(())
}

async fn prove_seed(
    seed: &ArchivedSeed,
    keys: &Keys,
    backends: &BTreeMap<BackendId, Arc<dyn KeyBackend>>,
) -> Result<(), ProofError> {
    let no_backend = || ProofError::NoBackend { backend: seed.backend.clone() };
    let backend = backends.get(&seed.backend).ok_or_else(no_backend)?;
    let kind = ErrorKind::Unsupported;
    let derivation = backend.derivation().ok_or(ProofError::Backend { kind })?;
    let record = &seed.record;
    let of_seed = |key: &&ArchivedKey| key.record.wallet == record.wallet && key.path.is_some();
    let mut derived = keys.keys().iter().filter(of_seed).peekable();
    if derived.peek().is_none() {
        let root = DerivationPath::parse("m").map_err(|_| ProofError::OtherKey)?;
        derivation.extended_public_key(record, &root).await.map_err(failed)?;
    }
    for key in derived {
        let Some(path) = &key.path else { continue };
        let request = KeyRequest {
            custodian: key.record.custodian,
            wallet: key.record.wallet.clone(),
            key: key.record.key.clone(),
            algorithm: key.record.public_key.algorithm(),
            exportability: key.exportability,
        };
        let again = derivation.derive(record, path, &request).await.map_err(failed)?;
        if again.public_key != key.record.public_key {
            return Err(ProofError::OtherKey);
        }
    }
    Ok(())
}

fn failed(error: BackendError) -> ProofError {
    ProofError::Backend { kind: error.kind() }
}

const CHALLENGE: &str = "custody/recovery/challenge/v1";
