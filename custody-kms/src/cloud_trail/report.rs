//! What was found.

use custody_core::digest::Digest;
use custody_core::document::V1;
use custody_core::id::{CustodianId, KeyId, OrderId, WalletId};
use custody_core::time::Timestamp;
use serde::{Serialize, Serializer};

use super::context::ContextFault;
use super::record::{CallerName, ErrorCode, EventId, EventName};
use crate::arn::KeyArn;

/// What one side has and the other has not. Times are milliseconds since 1970; those of CloudTrail are
/// the beginning of their second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reconciliation {
    /// Version: 1.
    pub v: V1,
    /// Whose keys and whose log.
    pub custodian: CustodianId,
    /// What became of the records.
    pub records: RecordCounts,
    /// What became of the signatures.
    pub signatures: SignatureCounts,
    /// Uses of the custodian's keys that nothing in the log explains: an alarm.
    pub unexplained: Vec<Unexplained>,
    /// Keys of the log that the file does not name, and that may be in KMS. What KMS signed with them
    /// is compared with nothing: an alarm.
    pub unlisted: Vec<OtherKey>,
    /// Signatures of the log that CloudTrail has no record of.
    pub missing: Vec<MissingSignature>,
    /// Calls that sealed or opened something under a context that is not the custodian's.
    pub contexts: Vec<ContextFinding>,
    /// Calls for the custodian's keys by others.
    pub strangers: Vec<StrangerCalls>,
    /// Calls for the custodian's keys that failed, whoever made them.
    pub failures: Vec<FailedCalls>,
    /// What KMS did to the custodian's keys by itself.
    pub service: Vec<Calls>,
    /// Keys that are not in KMS and that signed.
    pub elsewhere: Vec<OtherKey>,
}

/// What became of the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RecordCounts {
    /// All that were read.
    pub read: u64,
    /// There already, or a copy of one in the trail of another account.
    pub duplicates: u64,
    /// About other services than KMS.
    pub other_services: u64,
    /// Outside the period.
    pub outside: u64,
    /// About no key, or about one that is not the custodian's.
    pub other_keys: u64,
    /// About the custodian's keys.
    pub ours: u64,
}

/// What became of the signatures, and of what was sealed or opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SignatureCounts {
    /// In the log and in the trail.
    pub matched: u64,
    /// In the trail, of orders whose outcome the log does not know or that lie on the edge of the
    /// period.
    pub perhaps: u64,
    /// In the log, of keys that the file does not name as keys of KMS.
    pub elsewhere: u64,
    /// Sealed or opened for wallets of the custodian.
    pub sealed: u64,
    /// Sealed or opened for something else that is known.
    pub sealed_other: u64,
}

/// A key of the log that the file does not name as a key of KMS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OtherKey {
    /// The key.
    pub key: KeyId,
    /// Its wallet, if the log tells one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wallet: Option<WalletId>,
    /// Where it is.
    pub place: KeyPlace,
    /// Its signatures in the log.
    pub signatures: u64,
}

/// Where a key is that the file does not name as a key of KMS, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyPlace {
    /// Not in KMS, says the file.
    Elsewhere,
    /// In KMS, says the log: its wallet's backend is one of this crate.
    Kms,
    /// Not in KMS, says the log: its wallet's backend is another.
    OtherBackend,
    /// Neither tells.
    Unknown,
}

/// A use of a key that nothing in the log explains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Unexplained {
    /// When.
    pub at: Timestamp,
    /// Which call.
    pub event: EventId,
    /// The operation.
    pub name: EventName,
    /// The key that signs; none for one that encrypts data keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// The key of KMS.
    #[serde(serialize_with = "as_text")]
    pub arn: KeyArn,
    /// Who called.
    pub caller: CallerName,
    /// Why nothing explains it.
    pub reason: Reason,
    /// An order at this time that was to end without a signature of this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderId>,
}

/// Why nothing explains a use of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// There are more of them than orders ask for. It may be another of the same key at this time.
    NoOrder,
    /// It signed with another algorithm or form of message than orders ask for.
    OtherForm,
    /// The key is not used like this.
    OtherUse,
}

/// A signature of the log that CloudTrail has no record of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MissingSignature {
    /// The order. It may be another with the same key at this time.
    pub order: OrderId,
    /// The key.
    pub key: KeyId,
    /// When the order was allowed.
    pub from: Timestamp,
    /// When it ended.
    pub until: Timestamp,
}

/// A call under a context that is not the custodian's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ContextFinding {
    /// When.
    pub at: Timestamp,
    /// Which call.
    pub event: EventId,
    /// The operation.
    pub name: EventName,
    /// The key of KMS.
    #[serde(serialize_with = "as_text")]
    pub arn: KeyArn,
    /// Who called.
    pub caller: CallerName,
    /// What is wrong with the context.
    pub fault: ContextFault,
    /// The wallet that it names, if it has the form of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wallet: Option<WalletId>,
    /// The digest of something besides wallets that it names, if it has the form of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Digest>,
}

/// Calls of one operation, for one key, by somebody who is not known or who is known for something
/// else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StrangerCalls {
    /// Who called.
    pub caller: CallerName,
    /// The operation.
    pub name: EventName,
    /// The key of KMS.
    #[serde(serialize_with = "as_text")]
    pub arn: KeyArn,
    /// When first.
    pub first: Timestamp,
    /// How often with success.
    pub done: u64,
    /// How often without.
    pub failed: u64,
    /// Whether it only tells something about the key. Such calls are named and are no difference.
    pub reads: bool,
}

/// Calls of one operation that failed for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FailedCalls {
    /// The operation.
    pub name: EventName,
    /// Why.
    pub error: ErrorCode,
    /// How often.
    pub count: u64,
}

/// Calls of one operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Calls {
    /// The operation.
    pub name: EventName,
    /// How often.
    pub count: u64,
}

impl Reconciliation {
    /// Whether both sides say the same, nobody else used the keys, and no key of the log was left out.
    /// Calls that failed are no difference if they are the custodian's own.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.unexplained.is_empty()
            && self.unlisted.is_empty()
            && self.missing.is_empty()
            && self.contexts.is_empty()
            && self.strangers.iter().all(|calls| calls.reads)
    }
}

fn as_text<S: Serializer>(arn: &KeyArn, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(arn)
}
