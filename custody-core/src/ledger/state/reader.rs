//! Reads a state from its documents, and compares one with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Head, PartKind, PartReference, StateError};
use crate::digest::Digest;
use crate::document::{DocumentReference, V1, parse, size_of_bytes};
use crate::ledger::{KeyIndex, Ledger, Looks, OrderIndex};
use crate::parted::{PartKey, Parted};
use crate::time::Timestamp;
use crate::window::Windows;

/// Reads a state from its documents: first the head, then each part that it names.
#[derive(Debug)]
pub struct StateReader {
    head: Head,
    missing: BTreeMap<Digest, PartReference>,
    ledger: Ledger,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartRead<K, V> {
    #[expect(dead_code, reason = "reading it is the check")]
    v: V1,
    kind: PartKind,
    number: u8,
    entries: Vec<(K, V)>,
}

impl Ledger {
    /// Reads a state from its head and from the parts that `find` has, of a custodian whose genesis
    /// event was written at `began`; see [`StateReader::finish`].
    ///
    /// # Errors
    /// Fails on malformed or missing documents.
    pub fn read(
        head: &[u8],
        began: Timestamp,
        mut find: impl FnMut(&Digest) -> Option<Vec<u8>>,
    ) -> Result<Self, StateError> {
        let mut reader = StateReader::new(head)?;
        for sha256 in reader.missing() {
            reader.part(&find(&sha256).ok_or(StateError::Missing)?)?;
        }
        reader.finish(began)
    }

    /// Whether this state is the one whose head is `head`. Parts are looked up with `find` only if
    /// they are not known to be the same.
    ///
    /// # Errors
    /// Fails on malformed documents, and where `find` does.
    pub(crate) fn is<E: From<StateError>>(
        &self,
        head: &[u8],
        mut find: impl FnMut(&DocumentReference) -> Result<Vec<u8>, E>,
    ) -> Result<bool, E> {
        let head: Head = parse(head).map_err(StateError::from)?;
        check_names(&head.parts)?;
        let own = self.head(head.parts.clone());
        let orders = self.parted_orders();
        let counts = [
            self.addresses.parts().count(),
            self.keys.parts().count(),
            orders.parts().count(),
            self.wallets.parts().count(),
            self.windows.rings().parts().count(),
        ];
        if own != head || head.parts.len() != counts.into_iter().sum::<usize>() {
            return Ok(false);
        }
        for name in &head.parts {
            let same = match name.kind {
                PartKind::Addresses => is_part(&self.addresses, name, &mut find)?,
                PartKind::Keys => is_part(&self.keys, name, &mut find)?,
                PartKind::Orders => is_part(&orders, name, &mut find)?,
                PartKind::Wallets => is_part(&self.wallets, name, &mut find)?,
                PartKind::Windows => is_part(self.windows.rings(), name, &mut find)?,
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn of_head(head: &Head) -> Self {
        Self {
            custodian: head.custodian,
            position: head.position,
            began: Timestamp::default(),
            time: head.time,
            engine: head.engine.clone(),
            log_key: head.log_key.clone(),
            policy: Arc::clone(&head.policy),
            members: head.members.clone(),
            roles: head.roles.clone(),
            wallets: Parted::default(),
            keys: Parted::default(),
            assets: head.assets.clone(),
            backends: head.backends.clone(),
            addresses: Parted::default(),
            frozen: head.frozen,
            drilled: head.drilled,
            recovered: head.recovered.clone(),
            unsettled: 0,
            windows: Windows::default(),
            orders: BTreeMap::new(),
            open: OrderIndex::default(),
            index: KeyIndex::default(),
            looks: Looks::default(),
        }
    }
}

impl StateReader {
    /// Reads the head.
    ///
    /// # Errors
    /// Fails on a malformed head.
    pub fn new(head: &[u8]) -> Result<Self, StateError> {
        let head: Head = parse(head)?;
        check_names(&head.parts)?;
        let missing: BTreeMap<_, _> = head.parts.iter().map(|name| (name.sha256, *name)).collect();
        if missing.len() != head.parts.len() {
            return Err(StateError::Names);
        }
        let ledger = Ledger::of_head(&head);
        Ok(Self { head, missing, ledger })
    }

    /// SHA-256 of each part that was not read yet.
    #[must_use]
    pub fn missing(&self) -> Vec<Digest> {
        self.missing.keys().copied().collect()
    }

    /// SHA-256 of each part that the head names.
    #[must_use]
    pub fn names(&self) -> BTreeSet<Digest> {
        self.head.parts.iter().map(|name| name.sha256).collect()
    }

    /// Reads a part.
    ///
    /// # Errors
    /// Fails on a document that is not one of the missing parts, and on one that holds what does
    /// not belong into it.
    pub fn part(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let sha256 = Digest::of(bytes);
        let name = self.missing.remove(&sha256).ok_or(StateError::Stranger)?;
        if size_of_bytes(bytes) != name.size {
            return Err(StateError::Part);
        }
        let document = DocumentReference { sha256, size: name.size };
        let ledger = &mut self.ledger;
        match name.kind {
            PartKind::Addresses => {
                ledger.addresses.place(name.number, read_part(bytes, &name)?, document);
            }
            PartKind::Keys => ledger.keys.place(name.number, read_part(bytes, &name)?, document),
            PartKind::Orders => ledger.orders.extend(read_part(bytes, &name)?),
            PartKind::Wallets => {
                ledger.wallets.place(name.number, read_part(bytes, &name)?, document);
            }
            PartKind::Windows => {
                let entries = read_part(bytes, &name)?;
                ledger.windows.rings_mut().place(name.number, entries, document);
            }
        }
        Ok(())
    }

    /// The state, once every part was read, of a custodian whose genesis event was written at
    /// `began`.
    ///
    /// No document of the state holds that time: the custodian's id is the hash of the event that
    /// does. Until the first drill rules see how long ago it was, so under another time than the
    /// event's the state judges otherwise than the one that was written.
    ///
    /// # Errors
    /// Fails if a part is missing.
    pub fn finish(self, began: Timestamp) -> Result<Ledger, StateError> {
        if !self.missing.is_empty() {
            return Err(StateError::Missing);
        }
        let mut ledger = self.ledger;
        ledger.began = began;
        ledger.orders.values().for_each(|order| ledger.open.add(order));
        ledger.take_up_recovery();
        for (id, key) in ledger.keys.iter() {
            ledger.index.add(id, key);
            key.account.iter().for_each(|account| ledger.looks.add(account));
        }
        ledger.addresses.iter().for_each(|(account, _)| ledger.looks.add(account));
        ledger.wallets.iter().for_each(|(_, wallet)| ledger.index.add_wallet(wallet));
        Ok(ledger)
    }
}

/// Each part is named once, by kind and number.
fn check_names(names: &[PartReference]) -> Result<(), StateError> {
    let place = |name: &PartReference| (name.kind, name.number);
    if names.is_sorted_by(|one, next| place(one) < place(next)) {
        Ok(())
    } else {
        Err(StateError::Names)
    }
}

fn read_part<K, V>(bytes: &[u8], name: &PartReference) -> Result<BTreeMap<K, V>, StateError>
where
    K: PartKey + DeserializeOwned,
    V: DeserializeOwned,
{
    let PartRead { kind, number, entries, .. } = parse::<PartRead<K, V>>(bytes)?;
    let belongs = kind == name.kind
        && number == name.number
        && !entries.is_empty()
        && entries.iter().all(|(key, _)| key.part() == number)
        && entries.is_sorted_by(|(one, _), (next, _)| one < next);
    if belongs { Ok(entries.into_iter().collect()) } else { Err(StateError::Part) }
}

/// Whether a part of `map` is the one with this name.
fn is_part<K, V, E>(
    map: &Parted<K, V>,
    name: &PartReference,
    find: &mut impl FnMut(&DocumentReference) -> Result<Vec<u8>, E>,
) -> Result<bool, E>
where
    K: PartKey + DeserializeOwned,
    V: Clone + PartialEq + DeserializeOwned,
    E: From<StateError>,
{
    let part = map.part(name.number);
    let document = DocumentReference { sha256: name.sha256, size: name.size };
    if part.kept() == Some(&document) {
        return Ok(true);
    }
    let entries = read_part(&find(&document)?, name)?;
    let same = *part.entries() == entries;
    if same {
        part.keep(document);
    }
    Ok(same)
}
