//! The software keys of the house: a passphrase, and what is derived from it. This file opens secrets.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use custody_core::bytes::HexBytes;
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::digest::Digest;
use custody_core::id::{BackendId, CustodianId, KeyId, WalletId};
use custody_core::seam::{
    BackendError, Clock, Entropy, Exportability, KeyBackend, KeyHandle, KeyRecord, KeyRequest,
    SeedRecord, Signer,
};
use custody_core::secret::Secret;
use custody_core::tokio::TokioClock;
use custody_recovery::restore::SeedWords;
use custody_soft::{KdfParameters, KekDocument, PassphraseKek, SoftBackend};
use examples_start::entropy::OsEntropy;
use examples_start::people::write_private;
use serde::{Deserialize, Serialize};

use crate::Failure;

/// The host's name for software keys.
pub const BACKEND: &str = "software";
/// What the passphrase is called in an archive.
pub const PASSPHRASE: &str = "kek/passphrase";

/// What is in `keys.json`: nothing of it is secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysFile {
    kek: String,
    log_public_key: PublicKey,
    log_handle: HexBytes,
}

/// The software backend of a house, and the key that signs the heads of its log.
#[derive(Clone, Debug)]
pub struct SoftKeys {
    /// The backend.
    pub backend: Arc<SoftBackend>,
    /// The log's key.
    pub log: Arc<dyn Signer>,
}

impl SoftKeys {
    /// Makes keys under a passphrase, and writes down how they are found again.
    pub async fn create(folder: &Path, passphrase: Secret) -> Result<Self, Failure> {
        fs::create_dir_all(folder)?;
        let parameters = KdfParameters::default();
        let (kek, document) = PassphraseKek::create(passphrase, parameters, Arc::new(OsEntropy))?;
        let backend = backend(kek)?;
        let made = backend.generate(&log_request()?).await?;
        let file = KeysFile {
            kek: document.to_json(),
            log_public_key: made.public_key,
            log_handle: HexBytes::new(made.handle.as_bytes().to_vec()),
        };
        write_private(&folder.join(FILE), &serde_json::to_vec_pretty(&file)?)?;
        Self::of(backend, &file).await
    }

    /// Finds the keys of a folder again.
    pub async fn open(folder: &Path, passphrase: Secret) -> Result<Self, Failure> {
        Self::read(&fs::read(folder.join(FILE))?, passphrase).await
    }

    /// Finds the keys again that a file `keys.json` tells of.
    pub async fn read(file: &[u8], passphrase: Secret) -> Result<Self, Failure> {
        let file: KeysFile = serde_json::from_slice(file)?;
        let document = KekDocument::parse(file.kek.as_bytes())?;
        let kek = PassphraseKek::open(passphrase, &document, Arc::new(OsEntropy))?;
        Self::of(backend(kek)?, &file).await
    }

    async fn of(backend: Arc<SoftBackend>, file: &KeysFile) -> Result<Self, Failure> {
        let KeyRequest { custodian, wallet, key, .. } = log_request()?;
        let record = KeyRecord {
            custodian,
            wallet,
            key,
            public_key: file.log_public_key.clone(),
            handle: KeyHandle::new(file.log_handle.as_bytes().to_vec()),
        };
        let log = backend.signer(&record).await?;
        Ok(Self { backend, log })
    }
}

fn backend(kek: PassphraseKek) -> Result<Arc<SoftBackend>, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    let id = BackendId::parse(BACKEND)?;
    Ok(Arc::new(SoftBackend::new(id, Arc::new(kek), Arc::new(OsEntropy), clock)?))
}

/// The log's key is older than the custodian, whose id covers it.
fn log_request() -> Result<KeyRequest, Failure> {
    Ok(KeyRequest {
        custodian: CustodianId::new(Digest::of(b"example-recovery/log-key")),
        wallet: WalletId::parse("log")?,
        key: KeyId::parse("log")?,
        algorithm: Algorithm::Ed25519,
        exportability: Exportability::Never,
    })
}

/// Software seeds in words.
#[derive(Debug)]
pub struct Words<'a>(pub &'a SoftBackend);

#[async_trait]
impl SeedWords for Words<'_> {
    async fn words(&self, seed: &SeedRecord) -> Result<Secret, BackendError> {
        self.0.mnemonic(seed).await
    }
}

/// A passphrase that was drawn.
pub fn drawn() -> Result<Secret, Failure> {
    Ok(Secret::try_fill(32, |bytes| OsEntropy.fill(bytes))?)
}

/// The same secret once more, for whoever takes one over.
#[must_use]
pub fn copy(secret: &Secret) -> Secret {
    Secret::new(secret.expose().to_vec())
}

/// The file, in a folder of keys.
pub const FILE: &str = "keys.json";
