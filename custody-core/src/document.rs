//! What is stored, hashed and signed: events, order documents and submissions.
//!
//! Invariant: a document is written once and kept verbatim; its digest is over the stored bytes,
//! never over bytes made anew. Unknown versions, unknown fields and duplicate keys are errors.

mod event;
mod order;

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use event::{
    CloseReason, Conclusion, DocumentReference, EventBody, EventDocument, GenesisEvent,
    HeadReference, Hold, OrderClosed, OrderConcluded, OrderDecided, OrderSubmitted, RecoveredEvent,
    Verdict, WindowUse,
};
pub use order::{
    CommandReference, OrderDocument, PayloadReference, SignatureSet, SubmissionDocument,
    TaskReference, Work,
};

use crate::digest::Digest;

/// Largest event, in bytes.
pub const EVENT_MAX: usize = 32 * 1024;

/// Longest answer of the handler of an extension command, in bytes.
pub const ANSWER_MAX: usize = 256 * 1024;

/// A document with the bytes that are stored and hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<T> {
    value: T,
    bytes: Vec<u8>,
    digest: Digest,
}

impl<T: Serialize + DeserializeOwned> Stored<T> {
    /// Writes a document once.
    ///
    /// # Errors
    /// Fails if the document cannot be written.
    pub fn write(value: T) -> Result<Self, DocumentError> {
        let bytes = to_bytes(&value)?;
        let digest = Digest::of(&bytes);
        Ok(Self { value, bytes, digest })
    }

    /// Reads a document from its stored bytes.
    ///
    /// # Errors
    /// Fails on malformed JSON, unknown fields and versions, and duplicate keys.
    pub fn read(bytes: Vec<u8>) -> Result<Self, DocumentError> {
        let value = parse(&bytes)?;
        let digest = Digest::of(&bytes);
        Ok(Self { value, bytes, digest })
    }
}

/// A document's bytes. Most documents fit into the room that is made for them at once.
pub(crate) fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>, DocumentError> {
    let mut bytes = Vec::with_capacity(1_024);
    serde_json::to_writer(&mut bytes, value).map_err(|_| DocumentError::Write)?;
    Ok(bytes)
}

impl<T> Stored<T> {
    /// The document.
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// The stored bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the stored bytes.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The document and its stored bytes.
    pub(crate) fn into_parts(self) -> (T, Vec<u8>) {
        (self.value, self.bytes)
    }

    /// How events name the document.
    #[must_use]
    pub fn reference(&self) -> DocumentReference {
        DocumentReference { sha256: self.digest, size: size_of_bytes(&self.bytes) }
    }
}

/// Parses a JSON document strictly.
///
/// # Errors
/// Fails on malformed JSON, unknown fields and versions, and duplicate keys.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DocumentError> {
    serde_json::from_slice(bytes)
        .map_err(|error| DocumentError::Malformed { line: error.line(), column: error.column() })
}

/// Reads a map in which no key stands twice, for `#[serde(deserialize_with)]`: readers differ in
/// which of the two they take (RFC 8259, section 4).
///
/// # Errors
/// Fails if one does.
pub fn unique_keys<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    struct UniqueKeys<K, V>(PhantomData<(K, V)>);

    impl<'de, K, V> Visitor<'de> for UniqueKeys<K, V>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
    {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object in which no key stands twice")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = access.next_entry()? {
                if map.insert(key, value).is_some() {
                    return Err(serde::de::Error::custom("a key stands twice"));
                }
            }
            Ok(map)
        }
    }

    deserializer.deserialize_map(UniqueKeys(PhantomData))
}

/// Reads a map of maps, in each of which no key stands twice.
pub(crate) fn unique_maps<'de, D, K, L, V>(
    deserializer: D,
) -> Result<BTreeMap<K, BTreeMap<L, V>>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord,
    L: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    #[derive(Deserialize)]
    #[serde(transparent, bound(deserialize = "L: Deserialize<'de> + Ord, V: Deserialize<'de>"))]
    struct Inner<L: Ord, V>(#[serde(deserialize_with = "unique_keys")] BTreeMap<L, V>);

    let maps: BTreeMap<K, Inner<L, V>> = unique_keys(deserializer)?;
    Ok(maps.into_iter().map(|(key, Inner(map))| (key, map)).collect())
}

/// The length of bytes as documents state it.
#[must_use]
pub fn size_of_bytes(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// The version of a document; the only one there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there is one value")]
pub struct V1;

impl Serialize for V1 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(1)
    }
}

impl<'de> Deserialize<'de> for V1 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self),
            _ => Err(serde::de::Error::custom("the version is unknown")),
        }
    }
}

/// Why a document was not read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The bytes are not such a document.
    #[error("the document is malformed at line {line}, column {column}")]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// The document cannot be written.
    #[error("the document cannot be written")]
    Write,
}
