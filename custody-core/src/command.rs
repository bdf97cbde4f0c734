//! Commands: what an order changes about the custodian itself.
//!
//! Invariant: a command is one effect whose action is its governance action; it changes nothing
//! until its order was allowed and its outcome is durable.

mod result;

use serde::{Deserialize, Serialize};

pub use self::result::{CommandResult, ResealedKey};
use crate::amount::Asset;
use crate::bytes::HexBytes;
use crate::caip::{AccountId, ChainId};
use crate::crypto::{Algorithm, PublicKey, Signature};
use crate::effect::{Action, Effect, GovernanceTarget};
use crate::id::{
    BackendId, BackendIdentity, BookId, CredentialId, ExtensionName, KeyId, OrderId, PrincipalId,
    TierId, WalletId,
};
use crate::principal::{Credential, Principal};
use crate::seam::{DerivationPath, Exportability, TaskSignature, WalletDescriptor};

/// The name of the extension command whose execution is a recovery drill: rules see as
/// `context.drilled` how long ago its last order was executed.
///
/// # Security
/// Core does not know what the handler proves. A host registers one under this name that fails
/// unless everything was recovered and proved, and its rules give the command to people.
pub const DRILL: &str = "recovery/drill";

/// A command, as it is stored and hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Command {
    /// Makes a pre-active key active.
    ActivateKey {
        /// The key.
        key: KeyId,
    },
    /// Puts an address into a book.
    AddAddress {
        /// The book, made if it does not exist.
        book: BookId,
        /// The address.
        account: AccountId,
    },
    /// Takes a scheduled destruction back.
    CancelDestroy {
        /// The key.
        key: KeyId,
    },
    /// Marks a key as compromised, for good.
    CompromiseKey {
        /// The key.
        key: KeyId,
    },
    /// Confirms the clock after a jump.
    ConfirmClock {},
    /// Makes a key in a wallet's backend.
    CreateKey {
        /// The wallet.
        wallet: WalletId,
        /// The new key's id.
        key: KeyId,
        /// Its algorithm.
        algorithm: Algorithm,
        /// Whether it may ever leave wrapped.
        exportability: Exportability,
        /// The state it starts in.
        start: KeyStart,
    },
    /// Makes a wallet.
    CreateWallet {
        /// The new wallet's id.
        wallet: WalletId,
        /// Its chain.
        chain: ChainId,
        /// Its one tier.
        tier: TierId,
        /// Where its keys live.
        backend: BackendId,
        /// The id of a new seed that its accounts are derived from; none for a wallet of
        /// separately made keys.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seed: Option<KeyId>,
    },
    /// Takes a key out of use for good.
    DeactivateKey {
        /// The key.
        key: KeyId,
    },
    /// Derives a key from a wallet's seed.
    DeriveAccount {
        /// The wallet.
        wallet: WalletId,
        /// The new key's id.
        key: KeyId,
        /// Its path below the wallet's seed.
        path: DerivationPath,
        /// Its algorithm.
        algorithm: Algorithm,
        /// The state it starts in.
        start: KeyStart,
    },
    /// Schedules a key's destruction.
    DestroyKey {
        /// The key.
        key: KeyId,
        /// How long the destruction can be taken back, in milliseconds; at most 30 days.
        wait_ms: u64,
    },
    /// Enrols a credential.
    EnrollCredential {
        /// Whose.
        principal: PrincipalId,
        /// Its id.
        credential: CredentialId,
        /// Its public key.
        key: Credential,
    },
    /// Enrols a principal.
    EnrollPrincipal {
        /// The principal.
        principal: Principal,
    },
    /// A command of another crate or of the host.
    Extension {
        /// Its name; a handler must be registered for it.
        name: ExtensionName,
        /// Its document.
        document: HexBytes,
    },
    /// Stops a wallet or the whole custodian.
    Freeze {
        /// What to stop.
        scope: FreezeScope,
    },
    /// Records a backend's identity.
    RegisterBackend {
        /// The host's name for it.
        backend: BackendId,
        /// What it says it is.
        identity: BackendIdentity,
    },
    /// Records an asset's decimals.
    RegisterAsset {
        /// The asset.
        asset: Asset,
    },
    /// Records how a wallet's addresses follow from extended public keys.
    RegisterDescriptor {
        /// The wallet.
        wallet: WalletId,
        /// The descriptor; the decoder of the wallet's chain must read it.
        descriptor: WalletDescriptor,
    },
    /// Takes an address out of a book.
    RemoveAddress {
        /// The book.
        book: BookId,
        /// The address.
        account: AccountId,
    },
    /// Revokes a credential.
    RemoveCredential {
        /// Whose.
        principal: PrincipalId,
        /// Its id.
        credential: CredentialId,
    },
    /// Removes a principal.
    RemovePrincipal {
        /// The principal.
        principal: PrincipalId,
    },
    /// Seals a page of a wallet's keys anew, under what its backend seals under now: its seed first,
    /// then its keys in the order of their recording, without those that are destroyed. No address
    /// changes. The old handles count until the order is done, and never again after it.
    ///
    /// A whole wallet is sealed anew page by page, each page an order of its own: the `next` of one
    /// order's [`CommandResult::Resealed`] is the `after` of the following one, until there is none.
    /// A page that fails has changed nothing and can be asked for again.
    ResealKeys {
        /// The wallet.
        wallet: WalletId,
        /// The seed or key behind which the page begins; none for the first page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<KeyId>,
        /// How many are sealed anew at most: 1 to [`Self::RESEAL_MAX`].
        limit: u16,
    },
    /// Settles an order of unknown outcome.
    ResolveOrder {
        /// The order.
        order: OrderId,
        /// How it ended.
        resolution: Resolution,
    },
    /// Makes a suspended key active again.
    ResumeKey {
        /// The key.
        key: KeyId,
    },
    /// Replaces the key that signs log heads.
    RotateLogKey {
        /// The new key.
        next: PublicKey,
        /// The old key's signature over the rotation.
        old_signature: Signature,
        /// The new key's signature over the rotation.
        new_signature: Signature,
    },
    /// Takes a key out of use for a while.
    SuspendKey {
        /// The key.
        key: KeyId,
    },
    /// Lets a frozen wallet or the whole custodian go on.
    Thaw {
        /// What to let go on.
        scope: FreezeScope,
    },
    /// Replaces the rules.
    UpdatePolicy {
        /// The new rule set's document, verbatim; its SHA-256 is the rule set's id.
        policy: String,
    },
}

/// The state that a new key starts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a new key is in use or it is not yet")]
pub enum KeyStart {
    /// In use at once.
    Active,
    /// Not in use until an `activate_key` order.
    PreActivation,
}

/// What is frozen or thawed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a wallet or everything")]
pub enum FreezeScope {
    /// The whole custodian.
    House,
    /// One wallet.
    Wallet(WalletId),
}

/// How an order of unknown outcome ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::exhaustive_enums, reason = "a signature exists or it does not")]
pub enum Resolution {
    /// No signature can exist.
    Failed {
        /// Why not; kept in the log, 1 to 500 bytes of visible ASCII and spaces.
        reason: String,
    },
    /// These are the signatures, as a backend's are released: they verify, and those of ECDSA over
    /// secp256k1 have their recovery id ([`Signature::checked`](crate::crypto::Signature::checked)).
    Signed {
        /// One for each task, in the order of the tasks.
        signatures: Vec<TaskSignature>,
    },
}

impl Command {
    /// Most keys that one `reseal_keys` command seals anew: their digests stand in one event.
    pub const RESEAL_MAX: u16 = 128;

    /// The command's governance action.
    #[must_use]
    pub const fn action(&self) -> Action {
        match self {
            Self::ActivateKey { .. } => Action::ActivateKey,
            Self::AddAddress { .. } => Action::AddAddress,
            Self::CancelDestroy { .. } => Action::CancelDestroy,
            Self::CompromiseKey { .. } => Action::CompromiseKey,
            Self::ConfirmClock {} => Action::ConfirmClock,
            Self::CreateKey { .. } => Action::CreateKey,
            Self::CreateWallet { .. } => Action::CreateWallet,
            Self::DeactivateKey { .. } => Action::DeactivateKey,
            Self::DeriveAccount { .. } => Action::DeriveAccount,
            Self::DestroyKey { .. } => Action::DestroyKey,
            Self::EnrollCredential { .. } => Action::EnrollCredential,
            Self::EnrollPrincipal { .. } => Action::EnrollPrincipal,
            Self::Extension { .. } => Action::Extension,
            Self::Freeze { .. } => Action::Freeze,
            Self::RegisterAsset { .. } => Action::RegisterAsset,
            Self::RegisterBackend { .. } => Action::RegisterBackend,
            Self::RegisterDescriptor { .. } => Action::RegisterDescriptor,
            Self::RemoveAddress { .. } => Action::RemoveAddress,
            Self::RemoveCredential { .. } => Action::RemoveCredential,
            Self::RemovePrincipal { .. } => Action::RemovePrincipal,
            Self::ResealKeys { .. } => Action::ResealKeys,
            Self::ResolveOrder { .. } => Action::ResolveOrder,
            Self::ResumeKey { .. } => Action::ResumeKey,
            Self::RotateLogKey { .. } => Action::RotateLogKey,
            Self::SuspendKey { .. } => Action::SuspendKey,
            Self::Thaw { .. } => Action::Thaw,
            Self::UpdatePolicy { .. } => Action::UpdatePolicy,
        }
    }

    /// The wallet that the command names itself; key commands name theirs by the key.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others name none")]
    pub const fn wallet(&self) -> Option<&WalletId> {
        match self {
            Self::CreateKey { wallet, .. }
            | Self::CreateWallet { wallet, .. }
            | Self::DeriveAccount { wallet, .. }
            | Self::Freeze { scope: FreezeScope::Wallet(wallet) }
            | Self::RegisterDescriptor { wallet, .. }
            | Self::ResealKeys { wallet, .. }
            | Self::Thaw { scope: FreezeScope::Wallet(wallet) } => Some(wallet),
            _ => None,
        }
    }

    /// The existing key that the command is about.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others name none")]
    pub const fn key(&self) -> Option<&KeyId> {
        match self {
            Self::ActivateKey { key }
            | Self::CancelDestroy { key }
            | Self::CompromiseKey { key }
            | Self::DeactivateKey { key }
            | Self::DestroyKey { key, .. }
            | Self::ResumeKey { key }
            | Self::SuspendKey { key } => Some(key),
            _ => None,
        }
    }

    /// The one effect of the command, about `wallet` if it names one.
    #[must_use]
    pub fn effect(&self, wallet: Option<&WalletId>) -> Effect {
        let target = match (self, wallet) {
            (Self::AddAddress { book, .. } | Self::RemoveAddress { book, .. }, _) => {
                GovernanceTarget::Book(book.clone())
            }
            (_, Some(wallet)) => GovernanceTarget::Wallet(wallet.clone()),
            (_, None) => GovernanceTarget::House,
        };
        let extension =
            if let Self::Extension { name, .. } = self { Some(name.clone()) } else { None };
        Effect::Govern { action: self.action(), target, loosens: None, extension }
    }

    /// Whether a backend or a handler may be called for it, so that it may be done long after it was
    /// allowed. Every other command is done with its decision, or not at all.
    #[must_use]
    pub const fn may_take_time(&self) -> bool {
        matches!(
            self,
            Self::CancelDestroy { .. }
                | Self::CreateKey { .. }
                | Self::CreateWallet { seed: Some(_), .. }
                | Self::DeriveAccount { .. }
                | Self::DestroyKey { .. }
                | Self::Extension { .. }
                | Self::ResealKeys { .. }
                | Self::ResumeKey { .. }
        )
    }

    /// Whether the command only takes rights away, so that it holds before it is durable and is
    /// drained first.
    #[must_use]
    pub const fn is_urgent(&self) -> bool {
        matches!(
            self,
            Self::CompromiseKey { .. }
                | Self::Freeze { .. }
                | Self::RemoveCredential { .. }
                | Self::RemovePrincipal { .. }
                | Self::SuspendKey { .. }
        )
    }
}
