//! What a house whose log key lives in a backend has in its directory, and how it lets go of it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use custody_audit::TileLog;
use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::id::{CustodianId, KeyId, WalletId};
use custody_core::seam::{
    Exportability, KeyBackend, KeyEncryption, KeyRecord, KeyRequest, Signer, Store,
};
use custody_store::{SealedStore, SqliteStore};

use crate::Failure;
use crate::entropy::OsEntropy;

/// A store and a log that a custodian writes to.
#[derive(Debug)]
pub struct InUse {
    file: Arc<SqliteStore>,
    log: Weak<TileLog>,
}

impl InUse {
    /// The store's file, and the log.
    #[must_use]
    pub fn new(file: Arc<SqliteStore>, log: &Arc<TileLog>) -> Self {
        Self { file, log: Arc::downgrade(log) }
    }

    /// Waits until nobody writes any more; the custodian must be closed and dropped.
    pub async fn end(self) -> Result<(), Failure> {
        for _ in 0..LOOKS_MAX {
            if self.log.strong_count() == 0 {
                self.file.close();
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Err("the custodian is closed, and its log is still in use".into())
    }
}

/// The store over a file, sealed by a key if there is one.
pub async fn store(
    file: &Arc<SqliteStore>,
    sealed_by: Option<Arc<dyn KeyEncryption>>,
) -> Result<Arc<dyn Store>, Failure> {
    let file = Arc::<SqliteStore>::clone(file);
    match sealed_by {
        None => Ok(file),
        Some(kek) => Ok(Arc::new(SealedStore::open(file, kek, Arc::new(OsEntropy)).await?)),
    }
}

/// The key that signs the heads of a log. It is older than the custodian, whose id covers it, and so is
/// made for a house that is called `owner`. A backend that has it already finds it again.
pub async fn log_signer(backend: &dyn KeyBackend, owner: &str) -> Result<Arc<dyn Signer>, Failure> {
    let request = KeyRequest {
        custodian: CustodianId::new(Digest::of(owner.as_bytes())),
        wallet: WalletId::parse("log")?,
        key: KeyId::parse("log")?,
        algorithm: Algorithm::Ed25519,
        exportability: Exportability::Never,
    };
    let made = backend.generate(&request).await?;
    let KeyRequest { custodian, wallet, key, .. } = request;
    let (public_key, handle) = (made.public_key, made.handle);
    Ok(backend.signer(&KeyRecord { custodian, wallet, key, public_key, handle }).await?)
}

/// How often it is looked whether somebody still writes, and how long apart.
const LOOKS_MAX: u32 = 10_000;
const LOOK_AGAIN: Duration = Duration::from_millis(1);
