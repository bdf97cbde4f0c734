use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DocumentError, EVENT_MAX, V1, parse, unique_keys};
use crate::amount::Asset;
use crate::bytes::HexBytes;
use crate::command::CommandResult;
use crate::crypto::PublicKey;
use crate::digest::Digest;
use crate::id::{
    BackendId, BackendIdentity, EngineId, KeyId, OrderId, PolicyId, PrincipalId, RequestId, RuleId,
};
use crate::principal::{Principal, SignedStatement, SubmissionSignature};
use crate::seam::{Authentication, Head, Position, WindowSums};
use crate::time::Timestamp;
use crate::window::WindowKey;

/// An event as it is stored, hashed and put under the log's head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "verifiers read it")]
pub struct EventDocument {
    /// Version: 1.
    pub v: V1,
    /// Ledger time of its batch.
    pub at: Timestamp,
    /// What happened.
    pub event: EventBody,
}

impl EventDocument {
    /// The bytes that are stored and hashed.
    ///
    /// # Errors
    /// Fails if the event is larger than 32 KiB.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DocumentError> {
        let bytes = super::to_bytes(self)?;
        if bytes.len() > EVENT_MAX { Err(DocumentError::Write) } else { Ok(bytes) }
    }

    /// Reads an event from its stored bytes.
    ///
    /// # Errors
    /// Fails on malformed JSON, unknown fields and versions, and duplicate keys.
    pub fn read(bytes: &[u8]) -> Result<Self, DocumentError> {
        parse(bytes)
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventBody {
    /// Somebody approved an order.
    ApprovalAdded(SignedStatement),
    /// The custodian began.
    Genesis(Box<GenesisEvent>),
    /// A key whose destruction was scheduled is gone.
    KeyDestroyed(KeyId),
    /// An order ended without a decision of the rules.
    OrderClosed(OrderClosed),
    /// An allowed order ended, or its outcome was lost.
    OrderConcluded(OrderConcluded),
    /// The rules decided.
    OrderDecided(OrderDecided),
    /// An order was submitted.
    OrderSubmitted(OrderSubmitted),
    /// The custodian goes on from a state that was restored from an archive.
    Recovered(RecoveredEvent),
    /// The state so far was kept as a document.
    Snapshot(DocumentReference),
}

/// A document, named by its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "verifiers read it")]
pub struct DocumentReference {
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// Size in bytes.
    pub size: u64,
}

/// Size and root of the log, as a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "verifiers read it")]
pub struct HeadReference {
    /// Number of events.
    pub size: Position,
    /// Root over them (RFC 6962, section 2.1).
    pub root: Digest,
}

impl From<Head> for HeadReference {
    fn from(Head { size, root }: Head) -> Self {
        Self { size, root }
    }
}

impl From<HeadReference> for Head {
    fn from(HeadReference { size, root }: HeadReference) -> Self {
        Self { size, root }
    }
}

/// The custodian goes on from a state that was restored from an archive.
///
/// All spending windows are exhausted from its time on, and until each order that waited or was
/// reserved has ended nothing else happens. If a newer head is known than the restored one, the
/// house is frozen: whoever may thaw it accepts what is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "verifiers read it")]
pub struct RecoveredEvent {
    /// The id of the archive.
    pub archive: Digest,
    /// The head of what was restored: all events before this one.
    pub restored: HeadReference,
    /// A head that was anchored or witnessed and that what was restored does not lead to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<HeadReference>,
}

/// The first event: who may do what, from the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "verifiers read it")]
pub struct GenesisEvent {
    /// 32 random bytes, so that no two custodians have one id.
    pub nonce: HexBytes,
    /// The key that signs log heads.
    pub log_key: PublicKey,
    /// The policy engine.
    pub engine: EngineId,
    /// The first rule set.
    pub policy: DocumentReference,
    /// The first principals with their credentials.
    pub principals: Vec<Principal>,
    /// The first assets.
    pub assets: Vec<Asset>,
    /// The first backends.
    #[serde(deserialize_with = "unique_keys")]
    pub backends: BTreeMap<BackendId, BackendIdentity>,
}

/// An order was submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "verifiers read it")]
pub struct OrderSubmitted {
    /// The order.
    pub order: OrderId,
    /// The order document.
    pub document: DocumentReference,
    /// Who asks.
    pub requester: PrincipalId,
    /// The requester's own id of the request.
    pub request: RequestId,
    /// SHA-256 of the submission document.
    pub submission: Digest,
    /// How the host authenticated the requester.
    pub authentication: Authentication,
    /// The requester's signature over the submission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<SubmissionSignature>,
}

/// The rules decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "verifiers read it")]
pub struct OrderDecided {
    /// The order.
    pub order: OrderId,
    /// What was decided.
    pub verdict: Verdict,
    /// The engine that judged.
    pub engine: EngineId,
    /// The rule set in force.
    pub policy: PolicyId,
    /// The rules that made the verdict.
    pub rules: Vec<RuleId>,
    /// The rules that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<RuleId>,
    /// The window sums as used, this order included.
    pub windows: Vec<WindowUse>,
}

/// What the rules decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "waiting is not decided, it is derived")]
pub enum Verdict {
    /// Its limits are reserved.
    Allowed,
    /// It is denied for good.
    Denied,
}

/// The sums of one window as used in a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "verifiers read it")]
pub struct WindowUse {
    /// The window.
    pub window: WindowKey,
    /// Its sums, this order included; none if a sum passes 2^256 - 1, which denies.
    #[serde(deserialize_with = "Option::deserialize")]
    pub sums: Option<WindowSums>,
}

/// An allowed order ended, or its outcome was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "verifiers read it")]
pub struct OrderConcluded {
    /// The order.
    pub order: OrderId,
    /// How it ended.
    pub outcome: Conclusion,
}

/// How an allowed order ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::exhaustive_enums, reason = "the state machine is complete")]
pub enum Conclusion {
    /// Its command is done.
    Executed {
        /// What it left behind.
        result: CommandResult,
    },
    /// Nothing was signed and nothing can be.
    Failed {
        /// Why.
        reason: Hold,
    },
    /// Its signatures are durable.
    Signed {
        /// The signature set.
        signatures: DocumentReference,
    },
    /// A signature may exist.
    Unknown {
        /// Why it is not known.
        reason: Hold,
        /// The key that is suspended because of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        suspends: Option<KeyId>,
    },
}

/// Why an allowed order was not released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Hold {
    /// An approver or the requester was removed in between.
    ApproverRemoved,
    /// The backend answered that it may have signed.
    BackendIndeterminate,
    /// The backend answered that it did not sign.
    BackendRefused,
    /// The backend is not there or is not the registered one.
    BackendUnavailable,
    /// The backend's answer does not verify under the recorded key.
    BadSignature,
    /// The command's preconditions no longer hold.
    Conflict,
    /// A record contradicts its digest.
    Corrupt,
    /// The order expired in between, or an approval that counted in it.
    Expired,
    /// The custodian or the wallet is frozen.
    Frozen,
    /// The process stopped in between.
    Interrupted,
    /// The key's state does not allow it.
    KeyState,
    /// A resolution states that no signature can exist.
    Resolved,
    /// The backend did not answer in time.
    TimedOut,
}

/// An order ended without a decision of the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "verifiers read it")]
pub struct OrderClosed {
    /// The order.
    pub order: OrderId,
    /// Why.
    pub reason: CloseReason,
}

/// Why an order ended without a decision of the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::exhaustive_enums, reason = "the state machine is complete")]
pub enum CloseReason {
    /// Its requester took it back.
    Cancelled(SignedStatement),
    /// Its time was up.
    Expired {},
    /// It waited when the custodian was restored from an archive.
    Recovered {},
    /// Somebody entitled to rejected it.
    Rejected(SignedStatement),
}
