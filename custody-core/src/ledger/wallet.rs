use serde::{Deserialize, Serialize};

use crate::caip::{AccountId, ChainId};
use crate::crypto::PublicKey;
use crate::digest::Digest;
use crate::id::{BackendId, KeyId, TierId, WalletId};
use crate::key::KeyState;
use crate::seam::{DerivationPath, Exportability, WalletDescriptor};
use crate::time::Timestamp;

/// A wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wallet {
    pub(super) chain: ChainId,
    pub(super) tier: TierId,
    pub(super) backend: BackendId,
    pub(super) seed: Option<SeedEntry>,
    pub(super) keys: Vec<KeyId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) descriptors: Vec<WalletDescriptor>,
    pub(super) frozen: bool,
}

/// A wallet's seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedEntry {
    pub(super) id: KeyId,
    pub(super) handle: Digest,
    /// The handles that it had before it was sealed anew, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) former: Vec<Digest>,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    pub(super) wallet: WalletId,
    #[serde(deserialize_with = "PublicKey::deserialize_recorded")]
    pub(super) public_key: PublicKey,
    pub(super) handle: Digest,
    /// The handles that it had before it was sealed anew, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) former: Vec<Digest>,
    pub(super) state: KeyState,
    pub(super) exportability: Exportability,
    pub(super) path: Option<DerivationPath>,
    pub(super) account: Option<AccountId>,
    pub(super) destruction: Option<Timestamp>,
}

impl Wallet {
    /// Its chain.
    #[must_use]
    pub const fn chain(&self) -> &ChainId {
        &self.chain
    }

    /// Its one tier.
    #[must_use]
    pub const fn tier(&self) -> &TierId {
        &self.tier
    }

    /// Where its keys live.
    #[must_use]
    pub const fn backend(&self) -> &BackendId {
        &self.backend
    }

    /// The id of the seed that its accounts are derived from.
    #[must_use]
    pub fn seed(&self) -> Option<&KeyId> {
        self.seed.as_ref().map(|seed| &seed.id)
    }

    /// SHA-256 of its seed's handle.
    #[must_use]
    pub fn seed_handle(&self) -> Option<&Digest> {
        self.seed.as_ref().map(|seed| &seed.handle)
    }

    /// Its keys, oldest first.
    #[must_use]
    pub fn keys(&self) -> &[KeyId] {
        &self.keys
    }

    /// How its addresses follow from extended public keys, in the order of recording.
    #[must_use]
    pub fn descriptors(&self) -> &[WalletDescriptor] {
        &self.descriptors
    }

    /// Whether it is frozen.
    #[must_use]
    pub const fn is_frozen(&self) -> bool {
        self.frozen
    }
}

impl Key {
    /// The wallet it belongs to.
    #[must_use]
    pub const fn wallet(&self) -> &WalletId {
        &self.wallet
    }

    /// Its recorded public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// SHA-256 of its handle.
    #[must_use]
    pub const fn handle(&self) -> &Digest {
        &self.handle
    }

    /// Where it stands in its life.
    #[must_use]
    pub const fn state(&self) -> KeyState {
        self.state
    }

    /// Whether it is to be off at its backend: it does not sign, or is about to be destroyed.
    pub(crate) const fn is_off(&self) -> bool {
        let signs = matches!(self.state, KeyState::PreActivation | KeyState::Active);
        !matches!(self.state, KeyState::Destroyed) && (!signs || self.destruction.is_some())
    }

    /// Whether it may ever leave its backend wrapped.
    #[must_use]
    pub const fn exportability(&self) -> Exportability {
        self.exportability
    }

    /// Its path below the wallet's seed, if it was derived.
    #[must_use]
    pub const fn path(&self) -> Option<&DerivationPath> {
        self.path.as_ref()
    }

    /// The account it controls by itself.
    #[must_use]
    pub const fn account(&self) -> Option<&AccountId> {
        self.account.as_ref()
    }

    /// When its scheduled destruction is due.
    #[must_use]
    pub const fn destruction(&self) -> Option<Timestamp> {
        self.destruction
    }
}
