//! Has keys of a wallet sealed anew.
//!
//! Invariant: a new handle is brought back only if it opens the recorded key or the same seed, and
//! counts for nothing until its digest is in the log. Whatever fails leaves the old handles as they
//! are.

use super::command::handle_record;
use super::{Stop, answered, load_handle, may_use, place, wallet_backend};
use crate::command::{Command, CommandResult, ResealedKey};
use crate::crypto::PublicKey;
use crate::custodian::message::JobResult;
use crate::custodian::shared::{Backend, Shared};
use crate::digest::Digest;
use crate::document::Hold;
use crate::id::{CustodianId, KeyId, WalletId};
use crate::key::KeyState;
use crate::ledger::OpenOrder;
use crate::seam::{
    DerivationPath, ErrorKind, Exportability, ExtendedPublicKey, KeyDerivation, KeyHandle,
    KeyRecord, KeyRequest, KeyResealing, SeedRecord,
};

pub(super) async fn reseal(
    shared: &Shared,
    order: &OpenOrder,
    command: &Command,
) -> Result<JobResult, Stop> {
    let Command::ResealKeys { wallet, after, limit } = command else {
        return Err(Stop::before(Hold::Conflict));
    };
    let backend = wallet_backend(shared, wallet)?;
    let _place = place(shared, order, backend).await?;
    let resealing = backend.backend.resealing().ok_or(Stop::before(Hold::BackendRefused))?;
    let custodian = order.document().custodian;
    let page = Page { shared, order, backend, resealing, custodian, wallet };
    let keys: Vec<KeyId> = {
        let published = shared.read();
        let keys = published.ledger.sealed_after(wallet, after.as_ref());
        keys.take(usize::from(*limit)).cloned().collect()
    };
    let mut handles = Vec::with_capacity(keys.len());
    let mut records = Vec::with_capacity(keys.len());
    for key in keys {
        let record = handle_record(&key, &page.sealed_anew(&key).await?)?;
        handles.push(ResealedKey { key, handle: Digest::of(&record.value) });
        records.push(record);
    }
    let result = CommandResult::Resealed { handles, next: None };
    Ok(JobResult::Executed { result, records })
}

/// Keys of one wallet that an order has sealed anew, one after the other.
struct Page<'a> {
    shared: &'a Shared,
    order: &'a OpenOrder,
    backend: &'a Backend,
    resealing: &'a dyn KeyResealing,
    custodian: CustodianId,
    wallet: &'a WalletId,
}

impl Page<'_> {
    async fn sealed_anew(&self, id: &KeyId) -> Result<KeyHandle, Stop> {
        let public_key = self.shared.read().ledger.key(id).map(|key| key.public_key().clone());
        let (_, handle) = load_handle(self.shared, self.wallet, id).await?;
        may_use(self.shared, self.order, self.backend)?;
        let (custodian, wallet, key) = (self.custodian, self.wallet.clone(), id.clone());
        let handle = match public_key {
            Some(public_key) => {
                self.key(KeyRecord { custodian, wallet, key, public_key, handle }).await?
            }
            None => self.seed(SeedRecord { custodian, wallet, key, handle }).await?,
        };
        let is_new = !self.shared.read().ledger.knows_handle(&Digest::of(handle.as_bytes()));
        if is_new { Ok(handle) } else { Err(Stop::before(Hold::Corrupt)) }
    }

    async fn key(&self, key: KeyRecord) -> Result<KeyHandle, Stop> {
        let handle = answered(self.shared, self.resealing.reseal_key(&key)).await?;
        let key = KeyRecord { handle, ..key };
        let signer = answered(self.shared, self.backend.backend.signer(&key)).await?;
        let is_same = *signer.public_key() == key.public_key;
        if is_same { Ok(key.handle) } else { Err(Stop::before(Hold::Corrupt)) }
    }

    async fn seed(&self, old: SeedRecord) -> Result<KeyHandle, Stop> {
        let derivation = self.backend.backend.derivation();
        let derivation = derivation.ok_or(Stop::before(Hold::BackendRefused))?;
        let handle = answered(self.shared, self.resealing.reseal_seed(&old)).await?;
        let new = SeedRecord { handle, ..old.clone() };
        let is_same = match self.derived() {
            Some(derived) => derived.comes_out_of(self.shared, derivation, &new).await?,
            None => {
                let before = self.account(derivation, &old).await?;
                self.account(derivation, &new).await? == before
            }
        };
        if is_same { Ok(new.handle) } else { Err(Stop::before(Hold::Corrupt)) }
    }

    /// A key that was derived from the wallet's seed and still exists.
    fn derived(&self) -> Option<Derived> {
        let published = self.shared.read();
        let keys = published.ledger.wallet(self.wallet)?.keys();
        keys.iter().find_map(|id| {
            let key = published.ledger.key(id)?;
            let path = key.path().filter(|_| key.state() != KeyState::Destroyed)?.clone();
            let request = KeyRequest {
                custodian: self.custodian,
                wallet: self.wallet.clone(),
                key: id.clone(),
                algorithm: key.public_key().algorithm(),
                exportability: Exportability::Never,
            };
            Some(Derived { path, request, public_key: key.public_key().clone() })
        })
    }

    /// The key of a seed's first account; none if the backend tells no such keys.
    async fn account(
        &self,
        derivation: &dyn KeyDerivation,
        seed: &SeedRecord,
    ) -> Result<Option<ExtendedPublicKey>, Stop> {
        let path = DerivationPath::parse("m/0'").map_err(|_| Stop::before(Hold::Corrupt))?;
        let told = self.shared.calls.of(derivation.extended_public_key(seed, &path)).await;
        match told.ok_or(Stop::before(Hold::BackendUnavailable))? {
            Ok(key) => Ok(Some(key)),
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
            Err(error) => Err(Stop::of(&error)),
        }
    }
}

/// A key below a seed, and how it was asked for.
struct Derived {
    path: DerivationPath,
    request: KeyRequest,
    public_key: PublicKey,
}

impl Derived {
    async fn comes_out_of(
        &self,
        shared: &Shared,
        derivation: &dyn KeyDerivation,
        seed: &SeedRecord,
    ) -> Result<bool, Stop> {
        let again = answered(shared, derivation.derive(seed, &self.path, &self.request)).await?;
        Ok(again.public_key == self.public_key)
    }
}
