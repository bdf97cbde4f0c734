//! A signer that does not hold its key.
//!
//! Invariant: a signer holds a handle, never a key. Each signature takes the key from the cache or,
//! when its time or its uses are over, opens the handle again through the key-encrypting key: a
//! signer kept for years keeps no key for longer than the cache allows.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tracing::{debug, instrument, trace};

use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::digest::Digest;
use custody_core::seam::{BackendError, Clock, ErrorKind, KeyRecord, Signer};
use custody_core::secret::Secret;

use crate::cache::{OpenKeys, Slot};
use crate::private_key::{self, PrivateKey};
use crate::sealed::{Binding, Sealer};

/// What a backend and its signers share.
#[derive(Debug)]
pub(crate) struct Vault {
    pub(crate) sealer: Sealer,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) open_keys: OpenKeys,
}

impl Vault {
    /// Opens the key of a record and keeps it open, unless it is open already.
    pub(crate) async fn ensure_open(
        &self,
        slot: Slot,
        record: &KeyRecord,
    ) -> Result<(), BackendError> {
        if self.open_keys.contains(slot, self.clock.monotonic()) {
            return Ok(());
        }
        let wipes = self.open_keys.wipes();
        let key = self.open(record).await?;
        self.open_keys.insert(slot, key, (0, wipes), self.clock.monotonic());
        Ok(())
    }

    /// The key of a record for one signature.
    async fn take_use(
        &self,
        slot: Slot,
        record: &KeyRecord,
    ) -> Result<Arc<PrivateKey>, BackendError> {
        if let Some(key) = self.open_keys.take_use(slot, self.clock.monotonic()) {
            return Ok(key);
        }
        let wipes = self.open_keys.wipes();
        let key = self.open(record).await?;
        self.open_keys.insert(slot, Arc::clone(&key), (1, wipes), self.clock.monotonic());
        Ok(key)
    }

    async fn open(&self, record: &KeyRecord) -> Result<Arc<PrivateKey>, BackendError> {
        let secret = self.sealer.open(&Binding::of_record(record), &record.handle).await?;
        let key = recorded_key(record, &secret)?;
        debug!(wallet = %record.wallet, key = %record.key, slot = %slot(record), "opened a key");
        Ok(Arc::new(key))
    }
}

/// The key in a secret, which must be the recorded one.
pub(crate) fn recorded_key(
    record: &KeyRecord,
    secret: &Secret,
) -> Result<PrivateKey, BackendError> {
    let corrupt = || BackendError::new(ErrorKind::Corrupt, "open a key");
    let key = PrivateKey::read(record.public_key.algorithm(), secret)
        .map_err(|error| corrupt().with_source(error))?;
    if key.public_key()? == record.public_key { Ok(key) } else { Err(corrupt()) }
}

/// The slot of a record: any other record, even for the same key, has another one.
pub(crate) fn slot(record: &KeyRecord) -> Slot {
    Slot(Digest::tagged(
        "custody/soft/slot/v1",
        &[
            record.custodian.digest().as_bytes(),
            record.wallet.as_str().as_bytes(),
            record.key.as_str().as_bytes(),
            record.public_key.algorithm().as_str().as_bytes(),
            record.public_key.as_bytes(),
            record.handle.as_bytes(),
        ],
    ))
}

/// Signs with one sealed key.
pub(crate) struct SoftSigner {
    vault: Arc<Vault>,
    record: KeyRecord,
    slot: Slot,
}

impl SoftSigner {
    pub(crate) const fn new(vault: Arc<Vault>, record: KeyRecord, slot: Slot) -> Self {
        Self { vault, record, slot }
    }
}

#[async_trait]
impl Signer for SoftSigner {
    fn algorithm(&self) -> Algorithm {
        self.record.public_key.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        &self.record.public_key
    }

    #[instrument(
        level = "trace",
        skip_all,
        fields(wallet = %self.record.wallet, key = %self.record.key),
        err(level = "debug")
    )]
    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        if !private_key::signs(self.algorithm(), input) {
            return Err(private_key::not_signed(ErrorKind::Unsupported));
        }
        let key = self.vault.take_use(self.slot, &self.record).await?;
        let signature = key.sign(input, self.vault.sealer.entropy.as_ref())?;
        trace!(algorithm = %self.algorithm(), "signed");
        Ok(signature)
    }
}

impl fmt::Debug for SoftSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftSigner")
            .field("key", &self.record.key)
            .field("public_key", &self.record.public_key)
            .finish_non_exhaustive()
    }
}
