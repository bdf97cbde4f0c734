use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{DocumentReference, V1};
use crate::caip::ChainId;
use crate::crypto::{Algorithm, PublicKey};
use crate::digest::Digest;
use crate::effect::{Action, DecodeFact, Effect};
use crate::id::{
    CustodianId, DecoderId, KeyId, OrderId, PayloadFormat, PrincipalId, RequestId, WalletId,
};
use crate::seam::TaskSignature;
use crate::time::Timestamp;

/// What a requester asks for, as it is signed and compared when a request id comes again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "requesters build it")]
pub struct SubmissionDocument {
    /// Version: 1.
    pub v: V1,
    /// Who asks.
    pub requester: PrincipalId,
    /// The requester's own id of the request.
    pub request: RequestId,
    /// The wallet, for a payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wallet: Option<WalletId>,
    /// The key that signs, where the payload does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// The payload's format, or `command`.
    pub format: PayloadFormat,
    /// SHA-256 of the payload or command.
    pub sha256: Digest,
    /// When the order expires; none for the custodian's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// An order: what approvers sign and the log commits to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "approvers read it")]
pub struct OrderDocument {
    /// Version: 1.
    pub v: V1,
    /// The custodian.
    pub custodian: CustodianId,
    /// The order's id.
    pub order: OrderId,
    /// Who asks.
    pub requester: PrincipalId,
    /// The requester's own id of the request.
    pub request: RequestId,
    /// The wallet, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wallet: Option<WalletId>,
    /// The wallet's chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainId>,
    /// When it was submitted.
    pub submitted: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
    /// What it carries.
    pub work: Work,
    /// What it does.
    pub effects: Vec<Effect>,
    /// What else rules may speak about.
    pub facts: BTreeSet<DecodeFact>,
    /// What gets signed.
    pub tasks: Vec<TaskReference>,
}

/// What an order carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "an order carries a payload or a command")]
pub enum Work {
    /// A command of the custodian.
    Command(CommandReference),
    /// A transaction or message.
    Payload(PayloadReference),
}

/// A command, named by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "approvers read it")]
pub struct CommandReference {
    /// Its action.
    pub action: Action,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256.
    pub sha256: Digest,
}

/// A payload and what it was decoded with, named by their digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "approvers read it")]
pub struct PayloadReference {
    /// The payload's format.
    pub format: PayloadFormat,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256.
    pub sha256: Digest,
    /// The decoder, with its version.
    pub decoder: DecoderId,
    /// The decode context.
    pub context: DocumentReference,
}

/// One byte string to sign, named by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "approvers read it")]
pub struct TaskReference {
    /// The key.
    pub key: KeyId,
    /// Its public key.
    pub public_key: PublicKey,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// SHA-256 of the exact signer input.
    pub input_sha256: Digest,
}

/// The signatures of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "verifiers read it")]
pub struct SignatureSet {
    /// Version: 1.
    pub v: V1,
    /// The order.
    pub order: OrderId,
    /// One for each task, in the order of the tasks.
    pub signatures: Vec<TaskSignature>,
}
