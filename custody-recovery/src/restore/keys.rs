//! The keys and seeds of a custodian, as an archive has them.
//!
//! Invariant: a handle is the one whose digest the log has.

use std::collections::BTreeMap;

use custody_core::custodian::Custodian;
use custody_core::digest::Digest;
use custody_core::id::{BackendId, BackendIdentity, CustodianId, KeyId, WalletId};
use custody_core::key::KeyState;
use custody_core::ledger::{Key, Ledger};
use custody_core::seam::{
    DerivationPath, Exportability, KeyHandle, KeyRecord, RecordKey, SeedRecord, Store,
};

use super::RestoreError;

/// Every key and seed of a custodian that is not destroyed.
#[derive(Clone, Debug)]
pub struct Keys {
    pub(super) keys: Vec<ArchivedKey>,
    pub(super) seeds: Vec<ArchivedSeed>,
    pub(super) backends: BTreeMap<BackendId, Option<BackendIdentity>>,
}

/// A key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ArchivedKey {
    /// The key with its handle.
    pub record: KeyRecord,
    /// Where it lives.
    pub backend: BackendId,
    /// Its state.
    pub state: KeyState,
    /// Its path, if it is derived from its wallet's seed.
    pub path: Option<DerivationPath>,
    /// Whether it may leave wrapped.
    pub exportability: Exportability,
}

/// A seed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ArchivedSeed {
    /// The seed with its handle.
    pub record: SeedRecord,
    /// Where it lives.
    pub backend: BackendId,
}

impl Keys {
    /// Every key, wallet by wallet.
    #[must_use]
    pub fn keys(&self) -> &[ArchivedKey] {
        &self.keys
    }

    /// Every seed.
    #[must_use]
    pub fn seeds(&self) -> &[ArchivedSeed] {
        &self.seeds
    }

    /// The backends that they live in, with the identities that were registered.
    #[must_use]
    pub const fn backends(&self) -> &BTreeMap<BackendId, Option<BackendIdentity>> {
        &self.backends
    }

    /// The seed of a wallet.
    #[must_use]
    pub fn seed(&self, wallet: &WalletId) -> Option<&ArchivedSeed> {
        self.seeds.iter().find(|seed| seed.record.wallet == *wallet)
    }

    /// The keys and seeds of some wallets of a custodian that runs, with their handles from its store:
    /// for what is wrapped before an archive is made.
    ///
    /// # Errors
    /// Fails if the store fails, and if a handle is not the recorded one.
    ///
    /// # Cancel safety
    /// Nothing changes if the future is dropped.
    pub async fn in_use(
        custodian: &Custodian,
        store: &dyn Store,
        wallets: &[WalletId],
    ) -> Result<Self, RestoreError> {
        let id = custodian.id();
        let mut this = Self { keys: Vec::new(), seeds: Vec::new(), backends: BTreeMap::new() };
        for wallet in wallets {
            let Some(kept) = custodian.wallet(wallet) else { continue };
            let backend = kept.backend();
            let identity = || custodian.registered(backend);
            this.backends.entry(backend.clone()).or_insert_with(identity);
            if let (Some(seed), Some(digest)) = (kept.seed(), kept.seed_handle()) {
                let handle = checked(stored(store, seed).await?, seed, digest)?;
                this.add_seed(id, (wallet, backend), seed, handle);
            }
            for key_id in kept.keys() {
                let Some(key) = custodian.key(key_id) else { continue };
                if key.state() != KeyState::Destroyed {
                    let handle = checked(stored(store, key_id).await?, key_id, key.handle())?;
                    this.add_key(id, backend, (key_id, &key), handle);
                }
            }
        }
        Ok(this)
    }

    pub(super) fn of(
        ledger: &Ledger,
        mut handles: BTreeMap<KeyId, KeyHandle>,
    ) -> Result<Self, RestoreError> {
        let custodian = *ledger.custodian();
        let mut this = Self { keys: Vec::new(), seeds: Vec::new(), backends: BTreeMap::new() };
        for (wallet, kept) in ledger.wallets() {
            let backend = kept.backend();
            let identity = || ledger.backend(backend).cloned();
            this.backends.entry(backend.clone()).or_insert_with(identity);
            if let (Some(seed), Some(digest)) = (kept.seed(), kept.seed_handle()) {
                let handle = checked(handles.remove(seed), seed, digest)?;
                this.add_seed(custodian, (wallet, backend), seed, handle);
            }
            for id in kept.keys() {
                let Some(key) = ledger.key(id) else { continue };
                if key.state() != KeyState::Destroyed {
                    let handle = checked(handles.remove(id), id, key.handle())?;
                    this.add_key(custodian, backend, (id, key), handle);
                }
            }
        }
        Ok(this)
    }

    fn add_seed(
        &mut self,
        custodian: CustodianId,
        (wallet, backend): (&WalletId, &BackendId),
        seed: &KeyId,
        handle: KeyHandle,
    ) {
        let record = SeedRecord { custodian, wallet: wallet.clone(), key: seed.clone(), handle };
        self.seeds.push(ArchivedSeed { record, backend: backend.clone() });
    }

    fn add_key(
        &mut self,
        custodian: CustodianId,
        backend: &BackendId,
        (id, key): (&KeyId, &Key),
        handle: KeyHandle,
    ) {
        let record = KeyRecord {
            custodian,
            wallet: key.wallet().clone(),
            key: id.clone(),
            public_key: key.public_key().clone(),
            handle,
        };
        self.keys.push(ArchivedKey {
            record,
            backend: backend.clone(),
            state: key.state(),
            path: key.path().cloned(),
            exportability: key.exportability(),
        });
    }
}

/// The handle that a store has of a key.
async fn stored(store: &dyn Store, key: &KeyId) -> Result<Option<KeyHandle>, RestoreError> {
    let missing = |_| RestoreError::Handle { key: key.clone() };
    let record = store.get(&RecordKey::parse(&format!("handle/{key}")).map_err(missing)?).await?;
    Ok(record.map(|record| KeyHandle::new(record.value)))
}

fn checked(
    handle: Option<KeyHandle>,
    key: &KeyId,
    digest: &Digest,
) -> Result<KeyHandle, RestoreError> {
    let is_recorded = |handle: &KeyHandle| Digest::of(handle.as_bytes()) == *digest;
    handle.filter(is_recorded).ok_or_else(|| RestoreError::Handle { key: key.clone() })
}
