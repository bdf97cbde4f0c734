//! The state as documents: a head, and parts that it names.
//!
//! Invariant: what is read is checked against the digests that the head names, each part holds the
//! keys that belong into it and no others, and a part that was written or read is not written again
//! until it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

use super::{Ledger, Member, PolicyInForce};
use crate::amount::Asset;
use crate::caip::AssetId;
use crate::crypto::PublicKey;
use crate::digest::Digest;
use crate::document::{DocumentError, DocumentReference, Stored, V1, parse, size_of_bytes};
use crate::id::{
    BackendId, BackendIdentity, CustodianId, EngineId, OrganisationId, PrincipalId, RoleId,
};
use crate::parted::{Part, PartKey, Parted};
use crate::seam::Position;
use crate::time::Timestamp;

/// A state as documents.
#[derive(Clone, Debug)]
pub struct StateDocuments {
    head: Stored<Head>,
    parts: Vec<(Digest, Vec<u8>)>,
    names: BTreeSet<Digest>,
}

/// Reads a state from its documents: first the head, then each part that it names.
#[derive(Debug)]
pub struct StateReader {
    head: Head,
    missing: BTreeMap<Digest, PartReference>,
    ledger: Ledger,
}

/// Why documents are not a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A document is malformed.
    #[error("a document of the state is malformed")]
    Document(#[from] DocumentError),
    /// The head names its parts twice or out of order.
    #[error("the head of the state does not name its parts one after the other")]
    Names,
    /// A part is not there.
    #[error("a part of the state is missing")]
    Missing,
    /// A document is none of the parts that are still missing.
    #[error("a document is not a part of the state, or was read before")]
    Stranger,
    /// A part holds what does not belong into it.
    #[error("a part of the state holds what does not belong into it")]
    Part,
}

/// What a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PartKind {
    Addresses,
    Keys,
    Orders,
    Wallets,
    Windows,
}

/// How the head names a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartReference {
    kind: PartKind,
    number: u8,
    sha256: Digest,
    size: u64,
}

/// What is not in parts, and the names of the parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    v: V1,
    custodian: CustodianId,
    position: Position,
    time: Timestamp,
    engine: EngineId,
    log_key: PublicKey,
    policy: Arc<PolicyInForce>,
    members: BTreeMap<PrincipalId, Member>,
    roles: BTreeMap<RoleId, BTreeMap<OrganisationId, u32>>,
    assets: BTreeMap<AssetId, Asset>,
    backends: BTreeMap<BackendId, BackendIdentity>,
    frozen: bool,
    parts: Vec<PartReference>,
}

/// A part as it is written; `entries` are pairs, by key.
#[derive(Serialize)]
#[serde(bound(serialize = "K: Serialize, V: Serialize"))]
struct PartWritten<'a, K, V> {
    v: V1,
    kind: PartKind,
    number: u8,
    #[serde(serialize_with = "pairs")]
    entries: &'a BTreeMap<K, V>,
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

impl StateDocuments {
    /// The head's bytes.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        self.head.bytes()
    }

    /// How an event names the head.
    #[must_use]
    pub fn reference(&self) -> DocumentReference {
        self.head.reference()
    }

    /// The parts that had to be written, each with its SHA-256.
    #[must_use]
    pub fn parts(&self) -> &[(Digest, Vec<u8>)] {
        &self.parts
    }

    /// SHA-256 of every part that the head names.
    #[must_use]
    pub const fn names(&self) -> &BTreeSet<Digest> {
        &self.names
    }
}

impl Ledger {
    /// The state as documents. Parts in `known` are only named.
    ///
    /// # Errors
    /// Fails if a document cannot be written.
    pub fn documents(&self, known: &BTreeSet<Digest>) -> Result<StateDocuments, DocumentError> {
        let mut written = Written { known, names: Vec::new(), parts: Vec::new() };
        written.all(PartKind::Addresses, &self.addresses)?;
        written.all(PartKind::Keys, &self.keys)?;
        written.all(PartKind::Orders, &self.parted_orders())?;
        written.all(PartKind::Wallets, &self.wallets)?;
        written.all(PartKind::Windows, self.windows.rings())?;
        let Written { names, parts, .. } = written;
        let all = names.iter().map(|name| name.sha256).collect();
        Ok(StateDocuments { head: Stored::write(self.head(names))?, parts, names: all })
    }

    /// Reads a state from its head and from the parts that `find` has.
    ///
    /// # Errors
    /// Fails on malformed or missing documents.
    pub fn read(
        head: &[u8],
        mut find: impl FnMut(&Digest) -> Option<Vec<u8>>,
    ) -> Result<Self, StateError> {
        let mut reader = StateReader::new(head)?;
        for sha256 in reader.missing() {
            reader.part(&find(&sha256).ok_or(StateError::Missing)?)?;
        }
        reader.finish()
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

    fn head(&self, parts: Vec<PartReference>) -> Head {
        Head {
            v: V1,
            custodian: self.custodian,
            position: self.position,
            time: self.time,
            engine: self.engine.clone(),
            log_key: self.log_key.clone(),
            policy: Arc::clone(&self.policy),
            members: self.members.clone(),
            roles: self.roles.clone(),
            assets: self.assets.clone(),
            backends: self.backends.clone(),
            frozen: self.frozen,
            parts,
        }
    }

    fn of_head(head: &Head) -> Self {
        Self {
            custodian: head.custodian,
            position: head.position,
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
            windows: crate::window::Windows::default(),
            orders: BTreeMap::new(),
            open: super::OrderIndex::default(),
            index: super::KeyIndex::default(),
        }
    }

    /// The open orders, which change too often to be kept in parts.
    fn parted_orders(&self) -> Parted<crate::id::OrderId, super::OpenOrder> {
        let mut parted = Parted::default();
        for (id, order) in &self.orders {
            parted.insert(id.clone(), order.clone());
        }
        parted
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

    /// The state, once every part was read.
    ///
    /// # Errors
    /// Fails if a part is missing.
    pub fn finish(self) -> Result<Ledger, StateError> {
        if !self.missing.is_empty() {
            return Err(StateError::Missing);
        }
        let mut ledger = self.ledger;
        ledger.orders.values().for_each(|order| ledger.open.add(order));
        ledger.keys.iter().for_each(|(id, key)| ledger.index.add(id, key));
        ledger.wallets.iter().for_each(|(_, wallet)| ledger.index.add_wallet(wallet));
        Ok(ledger)
    }
}

/// What is written of a state so far.
struct Written<'a> {
    known: &'a BTreeSet<Digest>,
    names: Vec<PartReference>,
    parts: Vec<(Digest, Vec<u8>)>,
}

impl Written<'_> {
    fn all<K, V>(&mut self, kind: PartKind, map: &Parted<K, V>) -> Result<(), DocumentError>
    where
        K: PartKey + Serialize,
        V: Clone + Serialize,
    {
        for (number, part) in map.parts() {
            let document = match part.kept().filter(|kept| self.known.contains(&kept.sha256)) {
                Some(kept) => *kept,
                None => self.one(kind, number, part)?,
            };
            let DocumentReference { sha256, size } = document;
            self.names.push(PartReference { kind, number, sha256, size });
        }
        Ok(())
    }

    fn one<K: Serialize, V: Serialize>(
        &mut self,
        kind: PartKind,
        number: u8,
        part: &Part<K, V>,
    ) -> Result<DocumentReference, DocumentError> {
        let written = PartWritten { v: V1, kind, number, entries: part.entries() };
        let bytes = serde_json::to_vec(&written).map_err(|_| DocumentError::Write)?;
        let sha256 = Digest::of(&bytes);
        let document = DocumentReference { sha256, size: size_of_bytes(&bytes) };
        part.keep(document);
        if !self.known.contains(&sha256) {
            self.parts.push((sha256, bytes));
        }
        Ok(document)
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

fn pairs<K: Serialize, V: Serialize, S: Serializer>(
    entries: &&BTreeMap<K, V>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(entries.iter())
}
