use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::document::V1;
use crate::id::{KeyId, OrderId, PrincipalId, RequestId};
use crate::order::OrderState;
use crate::seam::{Position, RecordKey, RecordKeyError};

/// Which order a request became. Inserted once, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestRecord {
    pub(crate) v: V1,
    pub(crate) order: OrderId,
    pub(crate) submission: Digest,
}

/// Where the events of a terminal order are. It is only a pointer: what became of the order is
/// read from the events themselves, which must be under the log's head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderRecord {
    pub(crate) v: V1,
    pub(crate) order: OrderId,
    pub(crate) state: OrderState,
    pub(crate) submitted: Position,
    pub(crate) ended: Position,
}

pub(crate) fn request_key(
    requester: &PrincipalId,
    request: &RequestId,
) -> Result<RecordKey, RecordKeyError> {
    RecordKey::parse(&["request/", requester.as_str(), "/", request.as_str()].concat())
}

pub(crate) fn order_key(order: &OrderId) -> Result<RecordKey, RecordKeyError> {
    RecordKey::parse(&["order/", order.as_str()].concat())
}

pub(crate) fn handle_key(key: &KeyId) -> Result<RecordKey, RecordKeyError> {
    RecordKey::parse(&format!("handle/{key}"))
}

/// The key of a document: under its order's time-ordered id, or under `genesis` or `snapshot`.
pub(crate) fn document_key(owner: &str, sha256: &Digest) -> Result<RecordKey, RecordKeyError> {
    let mut key = String::with_capacity(128);
    // Writing to a string cannot fail.
    let _ = write!(key, "document/{owner}/{sha256}");
    RecordKey::parse(&key)
}

/// The key of a snapshot's pointer: the newest, and the one before it, which the log has under its
/// head should the newest not be.
pub(crate) fn snapshot_keys() -> Result<[RecordKey; 2], RecordKeyError> {
    Ok([RecordKey::parse("snapshot")?, RecordKey::parse("snapshot-before")?])
}
