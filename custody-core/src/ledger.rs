//! The ledger: the state of a custodian as a fold over its events.
//!
//! Invariant: the state is a pure function of the events and the documents they name. The
//! sequencer, the opening of a store and the verifier all use this one fold. Nothing here reads a
//! clock, a store or a random source.

mod apply;
mod check;
mod decide;
mod described;
mod execute;
mod facts;
mod index;
mod looks;
mod open_order;
mod recovered;
mod reseal;
mod state;
mod statement;
mod succession;
mod wallet;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use apply::{Attached, LedgerError};
pub use check::CommandRefusal;
pub(crate) use check::check_signatures;
pub use decide::Decision;
pub(crate) use described::DescriptorRefusal;
pub use facts::charges;
use index::{KeyIndex, OrderIndex};
use looks::Looks;
pub use open_order::OpenOrder;
pub use recovered::Recovered;
pub use state::{StateDocuments, StateError, StateReader};
pub(crate) use statement::OTHER_ORDER;
pub(crate) use succession::compile;
use wallet::SeedEntry;
pub use wallet::{Key, Wallet};

use crate::amount::Asset;
use crate::caip::{AccountId, AssetId};
use crate::command::Command;
use crate::crypto::PublicKey;
use crate::document::unique_keys;
use crate::id::{
    BackendId, BackendIdentity, BookId, CustodianId, EngineId, KeyId, OrderId, OrganisationId,
    PolicyId, PrincipalId, RequestId, RoleId, WalletId,
};
use crate::order::OrderState;
use crate::parted::Parted;
use crate::principal::Principal;
use crate::seam::{PolicyDocument, Position, Requester};
use crate::time::Timestamp;
use crate::window::Windows;

/// The state of a custodian after some of its events.
///
/// Copies share what has not changed since: wallets, keys, addresses and windows are kept in parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger {
    custodian: CustodianId,
    position: Position,
    /// When its genesis event was written; no document of the state holds it.
    began: Timestamp,
    time: Timestamp,
    engine: EngineId,
    log_key: PublicKey,
    policy: Arc<PolicyInForce>,
    members: BTreeMap<PrincipalId, Member>,
    roles: BTreeMap<RoleId, BTreeMap<OrganisationId, u32>>,
    wallets: Parted<WalletId, Wallet>,
    keys: Parted<KeyId, Key>,
    assets: BTreeMap<AssetId, Asset>,
    backends: BTreeMap<BackendId, BackendIdentity>,
    /// Since when an address stands in which book.
    addresses: Parted<AccountId, Books>,
    frozen: bool,
    /// When a drill was executed last.
    drilled: Option<Timestamp>,
    /// The last recovery from an archive.
    recovered: Option<Recovered>,
    /// How many of the orders that it found waiting or reserved are still to be ended.
    unsettled: usize,
    windows: Windows,
    orders: BTreeMap<OrderId, OpenOrder>,
    open: OrderIndex,
    index: KeyIndex,
    looks: Looks,
}

/// Since when an address stands in which book.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Books(#[serde(deserialize_with = "unique_keys")] BTreeMap<BookId, Timestamp>);

/// The rule set in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyInForce {
    id: PolicyId,
    document: PolicyDocument,
}

/// An enrolled principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    principal: Principal,
    requester: RequesterDocument,
}

/// A principal as rules see it, ready made.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RequesterDocument(Requester);

impl Ledger {
    /// The custodian's id.
    #[must_use]
    pub const fn custodian(&self) -> &CustodianId {
        &self.custodian
    }

    /// The number of events so far.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// The time of the genesis event.
    #[must_use]
    pub const fn began(&self) -> Timestamp {
        self.began
    }

    /// The time of the last event.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// The policy engine that the custodian began with; each decision names its own.
    #[must_use]
    pub const fn engine(&self) -> &EngineId {
        &self.engine
    }

    /// The key that signs log heads.
    #[must_use]
    pub const fn log_key(&self) -> &PublicKey {
        &self.log_key
    }

    /// The rule set in force.
    #[must_use]
    pub fn policy(&self) -> &PolicyInForce {
        &self.policy
    }

    /// A principal that is enrolled.
    #[must_use]
    pub fn principal(&self, id: &PrincipalId) -> Option<&Principal> {
        self.members.get(id).map(|member| &member.principal)
    }

    /// Every enrolled principal.
    pub fn principals(&self) -> impl Iterator<Item = &Principal> {
        self.members.values().map(|member| &member.principal)
    }

    /// A wallet.
    #[must_use]
    pub fn wallet(&self, id: &WalletId) -> Option<&Wallet> {
        self.wallets.get(id)
    }

    /// Every wallet.
    pub fn wallets(&self) -> impl Iterator<Item = (&WalletId, &Wallet)> {
        self.wallets.iter()
    }

    /// A key.
    #[must_use]
    pub fn key(&self, id: &KeyId) -> Option<&Key> {
        self.keys.get(id)
    }

    /// The key that controls an account by itself.
    #[must_use]
    pub fn key_of(&self, account: &AccountId) -> Option<&KeyId> {
        self.index.key_of(account)
    }

    /// An asset that is registered.
    #[must_use]
    pub fn asset(&self, id: &AssetId) -> Option<&Asset> {
        self.assets.get(id)
    }

    /// What a backend said it is when it was registered.
    #[must_use]
    pub fn backend(&self, id: &BackendId) -> Option<&BackendIdentity> {
        self.backends.get(id)
    }

    /// When an order named [`DRILL`](crate::command::DRILL) was executed last; none if there was none.
    #[must_use]
    pub const fn drilled(&self) -> Option<Timestamp> {
        self.drilled
    }

    /// Whether the whole custodian is frozen.
    #[must_use]
    pub const fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// An order that is not terminal.
    #[must_use]
    pub fn order(&self, id: &OrderId) -> Option<&OpenOrder> {
        self.orders.get(id)
    }

    /// All orders that are not terminal, oldest first.
    pub fn orders(&self) -> impl Iterator<Item = &OpenOrder> {
        self.orders.values()
    }

    /// The open order of this request, if it is still open.
    #[must_use]
    pub fn open_request(&self, requester: &PrincipalId, request: &RequestId) -> Option<&OpenOrder> {
        self.orders.get(self.open.request(requester, request)?)
    }

    /// How many orders of a requester are open.
    #[must_use]
    pub fn open_of_requester(&self, requester: &PrincipalId) -> usize {
        self.open.of_requester(requester)
    }

    /// How many orders about a wallet are open.
    #[must_use]
    pub fn open_of_wallet(&self, wallet: &WalletId) -> usize {
        self.open.of_wallet(wallet)
    }

    /// Keys whose scheduled destruction is due at `now`, and on which no order is under way, the
    /// longest due first.
    pub fn due_destructions(&self, now: Timestamp) -> impl Iterator<Item = &KeyId> {
        self.index.due(now).filter(|id| self.check_free(id).is_ok())
    }

    /// Whether nothing is under way that a key's destruction waits for when it is due.
    fn check_free(&self, id: &KeyId) -> Result<(), CommandRefusal> {
        self.check_no_orders(id)?;
        if self.may_be_kept(id) {
            return Err(CommandRefusal::State { what: "order that may keep the key" });
        }
        Ok(())
    }

    /// Whether the backend may have been told to keep a key that is to be destroyed, by an order of
    /// which nothing is known yet.
    fn may_be_kept(&self, key: &KeyId) -> bool {
        self.orders.values().any(|order| {
            let is_open = matches!(order.state, OrderState::Reserved | OrderState::Unknown);
            let command = order.command.as_deref();
            is_open && matches!(command, Some(Command::CancelDestroy { key: its }) if its == key)
        })
    }

    /// Keys that are to be off at their backends.
    pub(crate) fn off_keys(&self) -> impl Iterator<Item = &KeyId> {
        self.keys.iter().filter(|(_, key)| key.is_off()).map(|(id, _)| id)
    }

    /// Allowed orders whose job may switch the key on.
    pub(crate) fn switching_on<'a>(&'a self, key: &'a KeyId) -> impl Iterator<Item = &'a OrderId> {
        self.reserved(move |command| {
            let (Command::CancelDestroy { key: its } | Command::ResumeKey { key: its }) = command
            else {
                return false;
            };
            its == key
        })
    }

    /// Allowed orders that are to make a suspended key active.
    pub(crate) fn resuming<'a>(&'a self, key: &'a KeyId) -> impl Iterator<Item = &'a OrderId> {
        self.reserved(
            move |command| matches!(command, Command::ResumeKey { key: its } if its == key),
        )
    }

    fn reserved(&self, is_meant: impl Fn(&Command) -> bool) -> impl Iterator<Item = &OrderId> {
        let reserved = self.orders.iter().filter(|(_, order)| order.state == OrderState::Reserved);
        let meant =
            reserved.filter(move |(_, order)| order.command.as_deref().is_some_and(&is_meant));
        meant.map(|(id, _)| id)
    }

    /// Pending orders that expired before `now`, the longest expired first.
    pub fn expired(&self, now: Timestamp) -> impl Iterator<Item = &OrderId> {
        self.open.expired(now)
    }
}

impl PolicyInForce {
    /// SHA-256 of its document.
    #[must_use]
    pub const fn id(&self) -> PolicyId {
        self.id
    }

    /// The rules and what their schema is made from.
    #[must_use]
    pub const fn document(&self) -> &PolicyDocument {
        &self.document
    }
}

impl Member {
    fn new(principal: Principal) -> Self {
        let requester = Requester {
            id: principal.id.clone(),
            roles: principal.roles.iter().cloned().collect(),
            organisation: principal.organisation.clone(),
            service: principal.service,
        };
        Self { principal, requester: RequesterDocument(requester) }
    }
}

impl Serialize for RequesterDocument {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Requester { id, roles, organisation, service } = &self.0;
        (id, roles, organisation, service).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RequesterDocument {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (id, roles, organisation, service) = Deserialize::deserialize(deserializer)?;
        Ok(Self(Requester { id, roles, organisation, service }))
    }
}
