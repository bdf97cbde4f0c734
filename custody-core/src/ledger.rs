//! The ledger: the state of a custodian as a fold over its events.
//!
//! Invariant: the state is a pure function of the events and the documents they name. The
//! sequencer, the opening of a store and the verifier all use this one fold. Nothing here reads a
//! clock, a store or a random source.

mod apply;
mod check;
mod decide;
mod execute;
mod facts;
mod succession;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use apply::{Attached, LedgerError};
pub use check::CommandRefusal;
pub(crate) use check::check_signatures;
pub use decide::Decision;
pub use facts::charges;

use crate::amount::Asset;
use crate::caip::{AccountId, AssetId, ChainId};
use crate::command::Command;
use crate::crypto::PublicKey;
use crate::digest::Digest;
use crate::document::{DocumentError, OrderDocument, parse};
use crate::id::{
    BackendId, BackendIdentity, BookId, CustodianId, EngineId, KeyId, OrderId, OrganisationId,
    PolicyId, PrincipalId, RequestId, RoleId, TierId, WalletId,
};
use crate::key::KeyState;
use crate::order::OrderState;
use crate::principal::{Principal, SignedStatement};
use crate::seam::{
    Authentication, DerivationPath, Exportability, PolicyDocument, Position, Requester,
};
use crate::time::Timestamp;
use crate::window::Windows;

/// The state of a custodian after some of its events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    custodian: CustodianId,
    position: Position,
    time: Timestamp,
    engine: EngineId,
    log_key: PublicKey,
    policy: Arc<PolicyInForce>,
    members: BTreeMap<PrincipalId, Member>,
    roles: BTreeMap<RoleId, BTreeMap<OrganisationId, u32>>,
    wallets: BTreeMap<WalletId, Wallet>,
    keys: BTreeMap<KeyId, Key>,
    accounts: BTreeMap<AccountId, KeyId>,
    assets: BTreeMap<AssetId, Asset>,
    backends: BTreeMap<BackendId, BackendIdentity>,
    books: BTreeMap<BookId, BTreeMap<AccountId, Timestamp>>,
    frozen: bool,
    windows: Windows,
    orders: BTreeMap<OrderId, OpenOrder>,
    #[serde(skip)]
    open: OpenIndex,
}

/// What is looked up about open orders; made from them when a state is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OpenIndex {
    requests: BTreeMap<(PrincipalId, RequestId), OrderId>,
    by_requester: BTreeMap<PrincipalId, usize>,
    by_wallet: BTreeMap<WalletId, usize>,
}

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

/// A wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wallet {
    chain: ChainId,
    tier: TierId,
    backend: BackendId,
    seed: Option<SeedEntry>,
    keys: Vec<KeyId>,
    frozen: bool,
}

/// A wallet's seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedEntry {
    id: KeyId,
    handle: Digest,
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    wallet: WalletId,
    public_key: PublicKey,
    handle: Digest,
    state: KeyState,
    exportability: Exportability,
    path: Option<DerivationPath>,
    account: Option<AccountId>,
    destruction: Option<Timestamp>,
}

/// An order that is not terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenOrder {
    document: Arc<OrderDocument>,
    digest: Digest,
    submission: Digest,
    authentication: Authentication,
    command: Option<Arc<Command>>,
    state: OrderState,
    submitted: Position,
    decided: Option<Position>,
    reserved: Option<Timestamp>,
    approvals: Vec<SignedStatement>,
    counted: Vec<PrincipalId>,
}

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

    /// The time of the last event.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// The policy engine that decisions are made with.
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

    /// A key.
    #[must_use]
    pub fn key(&self, id: &KeyId) -> Option<&Key> {
        self.keys.get(id)
    }

    /// The key that controls an account by itself.
    #[must_use]
    pub fn key_of(&self, account: &AccountId) -> Option<&KeyId> {
        self.accounts.get(account)
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
        let id = self.open.requests.get(&(requester.clone(), request.clone()))?;
        self.orders.get(id)
    }

    /// How many orders of a requester are open.
    #[must_use]
    pub fn open_of_requester(&self, requester: &PrincipalId) -> usize {
        self.open.by_requester.get(requester).copied().unwrap_or_default()
    }

    /// How many orders about a wallet are open.
    #[must_use]
    pub fn open_of_wallet(&self, wallet: &WalletId) -> usize {
        self.open.by_wallet.get(wallet).copied().unwrap_or_default()
    }

    /// Reads a state that was kept as a document.
    ///
    /// # Errors
    /// Fails on malformed bytes.
    pub fn read(bytes: &[u8]) -> Result<Self, DocumentError> {
        let mut ledger: Self = parse(bytes)?;
        let documents: Vec<_> =
            ledger.orders.values().map(|order| Arc::clone(&order.document)).collect();
        for document in documents {
            ledger.open.add(&document);
        }
        Ok(ledger)
    }

    /// Keys whose scheduled destruction is due at `now`.
    #[must_use]
    pub fn due_destructions(&self, now: Timestamp) -> Vec<KeyId> {
        self.keys
            .iter()
            .filter(|(_, key)| key.destruction.is_some_and(|due| due <= now))
            .map(|(id, _)| id.clone())
            .collect()
    }
}

impl OpenIndex {
    fn add(&mut self, order: &OrderDocument) {
        let request = (order.requester.clone(), order.request.clone());
        self.requests.insert(request, order.order.clone());
        increment(&mut self.by_requester, &order.requester);
        if let Some(wallet) = &order.wallet {
            increment(&mut self.by_wallet, wallet);
        }
    }

    fn remove(&mut self, order: &OrderDocument) {
        self.requests.remove(&(order.requester.clone(), order.request.clone()));
        decrement(&mut self.by_requester, &order.requester);
        if let Some(wallet) = &order.wallet {
            decrement(&mut self.by_wallet, wallet);
        }
    }
}

fn increment<K: Ord + Clone>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_add(1);
    } else {
        counts.insert(key.clone(), 1);
    }
}

fn decrement<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    match counts.get_mut(key) {
        Some(count) if *count > 1 => *count = count.saturating_sub(1),
        _ => drop(counts.remove(key)),
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

impl OpenOrder {
    /// An order that was never submitted, to ask what the rules would say about it.
    pub(crate) const fn simulated(
        document: Arc<OrderDocument>,
        digest: Digest,
        authentication: Authentication,
        command: Option<Arc<Command>>,
    ) -> Self {
        Self {
            document,
            digest,
            submission: digest,
            authentication,
            command,
            state: OrderState::Pending,
            submitted: Position::START,
            decided: None,
            reserved: None,
            approvals: Vec::new(),
            counted: Vec::new(),
        }
    }

    /// Its document.
    #[must_use]
    pub const fn document(&self) -> &Arc<OrderDocument> {
        &self.document
    }

    /// SHA-256 of its document.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// SHA-256 of its submission.
    #[must_use]
    pub const fn submission(&self) -> &Digest {
        &self.submission
    }

    /// Its command, if it carries one.
    #[must_use]
    pub const fn command(&self) -> Option<&Arc<Command>> {
        self.command.as_ref()
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> OrderState {
        self.state
    }

    /// The index of the event that submitted it.
    #[must_use]
    pub const fn submitted(&self) -> Position {
        self.submitted
    }

    /// The index of the event that allowed it.
    #[must_use]
    pub const fn decided(&self) -> Option<Position> {
        self.decided
    }

    /// The people whose approvals counted when it was allowed.
    #[must_use]
    pub fn counted(&self) -> &[PrincipalId] {
        &self.counted
    }

    /// Its approvals, oldest first; some may have expired or been revoked.
    #[must_use]
    pub fn approvals(&self) -> &[SignedStatement] {
        &self.approvals
    }
}
