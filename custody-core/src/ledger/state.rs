//! The state as documents: a head, and parts that it names.
//!
//! Invariant: what is read is checked against the digests that the head names, each part holds the
//! keys that belong into it and no others, and a part that was written or read is not written again
//! until it changes.

mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

pub use reader::StateReader;

use super::{Ledger, Member, OpenOrder, PolicyInForce, Recovered};
use crate::amount::Asset;
use crate::caip::AssetId;
use crate::crypto::PublicKey;
use crate::digest::Digest;
use crate::document::{
    DocumentError, DocumentReference, Stored, V1, size_of_bytes, unique_keys, unique_maps,
};
use crate::id::{
    BackendId, BackendIdentity, CustodianId, EngineId, OrderId, OrganisationId, PrincipalId, RoleId,
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
    #[serde(deserialize_with = "unique_keys")]
    members: BTreeMap<PrincipalId, Member>,
    #[serde(deserialize_with = "unique_maps")]
    roles: BTreeMap<RoleId, BTreeMap<OrganisationId, u32>>,
    #[serde(deserialize_with = "unique_keys")]
    assets: BTreeMap<AssetId, Asset>,
    #[serde(deserialize_with = "unique_keys")]
    backends: BTreeMap<BackendId, BackendIdentity>,
    frozen: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drilled: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recovered: Option<Recovered>,
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

    /// The documents that have to be kept, head and parts, each with its SHA-256 and in the order
    /// of these: a store that keeps them by name goes through its names once.
    #[must_use]
    pub fn into_documents(self) -> Vec<(Digest, Vec<u8>)> {
        let mut documents = self.parts;
        documents.push((*self.head.digest(), self.head.bytes().to_vec()));
        documents.sort_unstable_by_key(|(digest, _)| *digest);
        documents
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
            drilled: self.drilled,
            recovered: self.recovered.clone(),
            parts,
        }
    }

    /// The open orders, which change too often to be kept in parts.
    fn parted_orders(&self) -> Parted<OrderId, OpenOrder> {
        let mut parted = Parted::default();
        for (id, order) in &self.orders {
            parted.insert(id.clone(), order.clone());
        }
        parted
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

fn pairs<K: Serialize, V: Serialize, S: Serializer>(
    entries: &&BTreeMap<K, V>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(entries.iter())
}
