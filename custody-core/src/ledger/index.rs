//! What is looked up about keys and open orders.
//!
//! Invariant: everything here follows from keys, wallets and open orders; it is made from them when
//! a state is read, whatever their order.

use std::collections::{BTreeMap, BTreeSet};

use super::{Key, OpenOrder, Wallet};
use crate::caip::AccountId;
use crate::crypto::PublicKey;
use crate::digest::Digest;
use crate::document::OrderDocument;
use crate::id::{KeyId, OrderId, PrincipalId, RequestId, WalletId};
use crate::order::OrderState;
use crate::parted::{PartKey, Parted};
use crate::time::Timestamp;

/// What is looked up about open orders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OrderIndex {
    requests: BTreeMap<(PrincipalId, RequestId), OrderId>,
    by_requester: BTreeMap<PrincipalId, usize>,
    by_wallet: BTreeMap<WalletId, usize>,
    /// How many orders are reserved or unknown on a key.
    by_key: BTreeMap<KeyId, usize>,
    /// When pending orders expire.
    expiries: BTreeSet<(Timestamp, OrderId)>,
}

/// What is looked up about keys and seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyIndex {
    accounts: Parted<AccountId, KeyId>,
    marks: Parted<Mark, ()>,
    destructions: BTreeSet<(Timestamp, KeyId)>,
}

/// The first half of the SHA-256 of something that must not exist twice, or of how an address looks.
/// Where two things share one, the second is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark([u8; 16]);

impl OrderIndex {
    /// Takes an order in, in the state that it is in.
    pub(super) fn add(&mut self, order: &OpenOrder) {
        let document = order.document.as_ref();
        let request = (document.requester.clone(), document.request.clone());
        self.requests.insert(request, document.order.clone());
        increment(&mut self.by_requester, &document.requester);
        if let Some(wallet) = &document.wallet {
            increment(&mut self.by_wallet, wallet);
        }
        if order.state == OrderState::Pending {
            self.expiries.insert((document.expires, document.order.clone()));
        } else {
            // Reserved or unknown: its keys may be in use.
            self.occupy(document);
        }
    }

    /// A pending order was reserved.
    pub(super) fn reserve(&mut self, order: &OrderDocument) {
        self.expiries.remove(&(order.expires, order.order.clone()));
        self.occupy(order);
    }

    /// Takes an order out that was in `state` before it ended.
    pub(super) fn remove(&mut self, order: &OrderDocument, state: OrderState) {
        self.requests.remove(&(order.requester.clone(), order.request.clone()));
        decrement(&mut self.by_requester, &order.requester);
        if let Some(wallet) = &order.wallet {
            decrement(&mut self.by_wallet, wallet);
        }
        if state == OrderState::Pending {
            self.expiries.remove(&(order.expires, order.order.clone()));
        } else {
            for key in keys(order) {
                decrement(&mut self.by_key, key);
            }
        }
    }

    pub(super) fn request(&self, requester: &PrincipalId, request: &RequestId) -> Option<&OrderId> {
        self.requests.get(&(requester.clone(), request.clone()))
    }

    pub(super) fn of_requester(&self, requester: &PrincipalId) -> usize {
        self.by_requester.get(requester).copied().unwrap_or_default()
    }

    pub(super) fn of_wallet(&self, wallet: &WalletId) -> usize {
        self.by_wallet.get(wallet).copied().unwrap_or_default()
    }

    pub(super) fn of_key(&self, key: &KeyId) -> usize {
        self.by_key.get(key).copied().unwrap_or_default()
    }

    /// Pending orders that expired before `now`, the longest expired first.
    pub(super) fn expired(&self, now: Timestamp) -> impl Iterator<Item = &OrderId> {
        let expired = self.expiries.iter().take_while(move |(expires, _)| *expires < now);
        expired.map(|(_, order)| order)
    }

    fn occupy(&mut self, order: &OrderDocument) {
        for key in keys(order) {
            increment(&mut self.by_key, key);
        }
    }
}

impl KeyIndex {
    /// Takes a key in. Of two keys that are said to control one account, the one with the lesser id
    /// does.
    pub(super) fn add(&mut self, id: &KeyId, key: &Key) {
        if let Some(account) = &key.account
            && self.accounts.get(account).is_none_or(|other| id < other)
        {
            self.accounts.insert(account.clone(), id.clone());
        }
        self.marks.insert(Mark::of_key(&key.public_key), ());
        key.former.iter().chain([&key.handle]).for_each(|handle| self.add_handle(handle));
        self.schedule(id, key.destruction);
    }

    pub(super) fn add_wallet(&mut self, wallet: &Wallet) {
        if let Some(seed) = &wallet.seed {
            self.marks.insert(Mark::of_seed(&seed.id), ());
            seed.former.iter().chain([&seed.handle]).for_each(|handle| self.add_handle(handle));
        }
    }

    pub(super) fn add_handle(&mut self, handle: &Digest) {
        self.marks.insert(Mark::of_handle(handle), ());
    }

    pub(super) fn schedule(&mut self, id: &KeyId, due: Option<Timestamp>) {
        if let Some(due) = due {
            self.destructions.insert((due, id.clone()));
        }
    }

    pub(super) fn cancel(&mut self, id: &KeyId, due: Timestamp) {
        self.destructions.remove(&(due, id.clone()));
    }

    pub(super) fn key_of(&self, account: &AccountId) -> Option<&KeyId> {
        self.accounts.get(account)
    }

    pub(super) fn knows(&self, mark: Mark) -> bool {
        self.marks.contains_key(&mark)
    }

    /// Keys whose destruction is due at `now`, the longest due first.
    pub(super) fn due(&self, now: Timestamp) -> impl Iterator<Item = &KeyId> {
        let due = self.destructions.iter().take_while(move |(due, _)| *due <= now);
        due.map(|(_, key)| key)
    }
}

impl Mark {
    pub(super) fn of_key(key: &PublicKey) -> Self {
        Self::of("key", &[key.algorithm().as_str().as_bytes(), key.as_bytes()])
    }

    pub(super) fn of_seed(id: &KeyId) -> Self {
        Self::of("seed", &[id.as_str().as_bytes()])
    }

    pub(super) fn of_handle(handle: &Digest) -> Self {
        Self::of("handle", &[handle.as_bytes()])
    }

    pub(super) fn of_look(chain: &str, first: &str, last: &str) -> Self {
        Self::of("look", &[chain.as_bytes(), first.as_bytes(), last.as_bytes()])
    }

    fn of(what: &str, fields: &[&[u8]]) -> Self {
        let mut half = [0; 16];
        for (to, from) in half.iter_mut().zip(Digest::tagged(what, fields).as_bytes()) {
            *to = *from;
        }
        Self(half)
    }
}

impl PartKey for Mark {
    fn part(&self) -> u8 {
        let Self([first, ..]) = self;
        *first
    }
}

/// The keys of an order's tasks, each once.
fn keys(order: &OrderDocument) -> BTreeSet<&KeyId> {
    order.tasks.iter().map(|task| &task.key).collect()
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
