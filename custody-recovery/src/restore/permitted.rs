//! Less than a whole custodian: one wallet, or one seed in words.
//!
//! Invariant: nothing is given out here without a permit for just that, whose time is not up. It is
//! the host's check: whoever has opened an archive has all that is in it.

use async_trait::async_trait;

use custody_core::id::{KeyId, WalletId};
use custody_core::seam::{BackendError, SeedRecord};
use custody_core::secret::Secret;
use custody_core::time::Timestamp;

use super::Restored;
use super::keys::Keys;
use crate::ceremony::{Permit, Purpose};

/// A backend that writes a seed in words.
#[async_trait]
pub trait SeedWords: Send + Sync {
    /// The words of a seed.
    ///
    /// # Errors
    /// `Unsupported` for a seed from which no words come back, and the other kinds.
    async fn words(&self, seed: &SeedRecord) -> Result<Secret, BackendError>;
}

impl Keys {
    /// The keys and the seed of one wallet; none if there is no such wallet, or nothing in it.
    fn of_wallet(&self, wallet: &WalletId) -> Option<Self> {
        let keys = self.keys.iter().filter(|key| key.record.wallet == *wallet).cloned();
        let seeds = self.seeds.iter().filter(|seed| seed.record.wallet == *wallet).cloned();
        let (keys, seeds): (Vec<_>, Vec<_>) = (keys.collect(), seeds.collect());
        let ids = keys.iter().map(|key| &key.backend).chain(seeds.iter().map(|seed| &seed.backend));
        let found = ids.filter_map(|id| self.backends.get_key_value(id));
        let backends = found.map(|(id, identity)| (id.clone(), identity.clone())).collect();
        let is_empty = keys.is_empty() && seeds.is_empty();
        (!is_empty).then_some(Self { keys, seeds, backends })
    }
}

impl Restored {
    /// The keys of the wallet that a permit names.
    ///
    /// # Errors
    /// Fails for a permit of another custodian, for another purpose or whose time is up, and for a
    /// wallet that is not in the archive.
    ///
    /// # Security
    /// Take the permit from [`Sets::permits`](crate::ceremony::Sets::permits) over the verified log,
    /// not from whoever asks.
    pub fn permitted_wallet(&self, permit: &Permit, now: Timestamp) -> Result<Keys, PermitError> {
        self.check(permit, now)?;
        let Purpose::Wallet { wallet } = &permit.purpose else { return Err(PermitError::Purpose) };
        let missing = || PermitError::NoWallet { wallet: wallet.clone() };
        self.keys().of_wallet(wallet).ok_or_else(missing)
    }

    /// The words of the seed that a permit names.
    ///
    /// # Errors
    /// As for [`Self::permitted_wallet`], and if the backend fails.
    ///
    /// # Security
    /// Whoever sees the words has the money.
    ///
    /// # Cancel safety
    /// Nothing changes if the future is dropped.
    pub async fn permitted_words(
        &self,
        permit: &Permit,
        now: Timestamp,
        backend: &dyn SeedWords,
    ) -> Result<Secret, PermitError> {
        self.check(permit, now)?;
        let Purpose::Words { wallet, seed } = &permit.purpose else {
            return Err(PermitError::Purpose);
        };
        let found = self.keys().seed(wallet).filter(|found| found.record.key == *seed);
        let found = found.ok_or_else(|| PermitError::NoSeed { seed: seed.clone() })?;
        Ok(backend.words(&found.record).await?)
    }

    fn check(&self, permit: &Permit, now: Timestamp) -> Result<(), PermitError> {
        if permit.custodian != *self.header().custodian() {
            return Err(PermitError::Custodian);
        }
        if now > permit.until {
            return Err(PermitError::Late);
        }
        Ok(())
    }
}

/// Why nothing is given out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PermitError {
    /// The backend failed.
    #[error("the backend does not write the seed in words")]
    Backend(#[from] BackendError),
    /// The permit is another custodian's.
    #[error("the permit is another custodian's")]
    Custodian,
    /// Its time is up.
    #[error("the permit's time is up")]
    Late,
    /// There is no such seed.
    #[error("the archive has no seed {seed} in that wallet")]
    NoSeed {
        /// Which one.
        seed: KeyId,
    },
    /// There is no such wallet, or nothing in it.
    #[error("the archive has no keys of the wallet {wallet}")]
    NoWallet {
        /// Which one.
        wallet: WalletId,
    },
    /// The permit is for something else.
    #[error("the permit is for something else")]
    Purpose,
}
