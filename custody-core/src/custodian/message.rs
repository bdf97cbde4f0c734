use std::sync::Arc;

use futures::channel::oneshot;

use super::error::Error;
use crate::command::{Command, CommandResult};
use crate::digest::Digest;
use crate::document::{
    Conclusion, DocumentReference, Hold, OrderDocument, Stored, SubmissionDocument,
};
use crate::id::{KeyId, OrderId, RuleId};
use crate::order::OrderState;
use crate::principal::{Credential, SignedStatement, SubmissionSignature};
use crate::seam::{Authentication, DecodeContext, Payload, Position, Record, TaskSignature};

/// One call on the sequencer, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) message: Message,
    pub(crate) reply: Option<Reply>,
}

/// What reaches the sequencer.
#[derive(Debug)]
pub(crate) enum Message {
    /// No more calls; answer when everything under way has ended.
    Close,
    /// Approvals and time cannot release the order: deny it if it is still not allowed.
    Deny(OrderId),
    /// A job ended.
    Finished(Box<Finished>),
    /// Go on with the orders that a stopped process left behind.
    Resume,
    /// A signed word about an order.
    Statement(Box<SignedStatement>),
    /// A call that switches a key off has ended.
    Switched,
    /// A new order.
    Submit(Box<Prepared>),
    /// Judge a pending order again.
    Touch(OrderId),
    /// Tell when the order's job has ended.
    Wait(OrderId),
}

pub(crate) type Reply = oneshot::Sender<Result<Progress, Error>>;

/// What a caller hears from the sequencer.
#[derive(Debug)]
pub(crate) enum Progress {
    /// Everything under way has ended.
    Closed,
    /// The order is terminal or unknown.
    Ended(Arc<Ended>),
    /// The order exists and is read from the store.
    Known(OrderId),
    /// What is left behind is being gone on with.
    Resumed(Vec<OrderId>),
    /// The order waits.
    Waiting(OrderId),
}

/// An order made ready outside the sequencer.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) submission: Stored<SubmissionDocument>,
    pub(crate) order: DocumentReference,
    pub(crate) document: Arc<OrderDocument>,
    pub(crate) carried: Arc<Carried>,
    pub(crate) documents: Vec<Record>,
    pub(crate) authentication: Authentication,
    pub(crate) signature: Option<SubmissionSignature>,
    /// The credential that the signature was verified under.
    pub(crate) credential: Option<Credential>,
}

/// What an order carries, parsed.
#[derive(Debug)]
pub(crate) enum Carried {
    Command(Arc<Command>),
    Payload { payload: Payload, context: DecodeContext },
}

impl Carried {
    pub(crate) const fn command(&self) -> Option<&Arc<Command>> {
        match self {
            Self::Command(command) => Some(command),
            Self::Payload { .. } => None,
        }
    }
}

/// What a job brings back.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) order: OrderId,
    pub(crate) result: JobResult,
    pub(crate) carried: Option<Arc<Carried>>,
}

/// How a job ended.
#[derive(Debug)]
pub(crate) enum JobResult {
    Executed { result: CommandResult, records: Vec<Record> },
    Failed(Hold),
    Signed(Vec<TaskSignature>),
    Unknown { reason: Hold, suspends: Option<KeyId> },
}

/// An order whose last event is durable (or which is unknown), with what its answer is made of.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) order: OrderId,
    pub(crate) digest: Digest,
    pub(crate) state: OrderState,
    pub(crate) submitted: Position,
    pub(crate) index: Position,
    pub(crate) rules: Vec<RuleId>,
    pub(crate) conclusion: Option<Conclusion>,
    pub(crate) signatures: Vec<TaskSignature>,
    pub(crate) carried: Option<Arc<Carried>>,
    pub(crate) document: Option<Arc<OrderDocument>>,
}
