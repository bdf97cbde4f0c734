use crate::document::DocumentError;
use crate::id::{IdError, OrderId};
use crate::ledger::{CommandRefusal, LedgerError, StateError};
use crate::seam::{
    AnchorError, AuditError, BackendError, DecodeError, DescriptorError, EntropyError, PolicyError,
    RecordKeyError, StoreError,
};

/// Why a call on a custodian failed. No order changed, or the error names the order to ask for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The backend failed, did not answer in time, or is not what was registered.
    #[error("the backend failed")]
    Backend(#[from] BackendError),
    /// Too many orders are open or waiting. Nothing was written.
    #[error("busy: {what}")]
    Busy {
        /// Which quota is exhausted.
        what: &'static str,
    },
    /// Wall clock and monotonic clock drifted apart; only `confirm_clock` is judged, and nothing
    /// goes on that an earlier process left.
    #[error("the clock jumped; a confirm_clock order is needed")]
    ClockJump,
    /// The custodian is closed or its sequencer stopped.
    #[error("the custodian is closed")]
    Closed,
    /// The command cannot be done.
    #[error("the command cannot be done")]
    Command(#[from] CommandRefusal),
    /// The payload was not decoded.
    #[error("the payload was not decoded")]
    Decode(#[from] DecodeError),
    /// No decoder reads the payload, or the decoder broke its contract or panicked.
    #[error("the payload cannot be decoded: {what}")]
    Decoder {
        /// What happened.
        what: &'static str,
    },
    /// The descriptor was not understood, or is not the wallet's.
    #[error("the descriptor is refused")]
    Descriptor(#[from] DescriptorError),
    /// A document could not be read or written.
    #[error("a document is malformed")]
    Document(#[from] DocumentError),
    /// There is no entropy.
    #[error("there is no entropy")]
    Entropy(#[from] EntropyError),
    /// An internal id could not be made.
    #[error("an id could not be made")]
    Id(#[from] IdError),
    /// The batch may have been written; ask for the order.
    #[error("the commit may have happened")]
    Indeterminate {
        /// The order to ask for.
        order: Option<OrderId>,
    },
    /// The events do not fold.
    #[error("the ledger refuses the event")]
    Ledger(#[from] LedgerError),
    /// The thing does not exist.
    #[error("the {what} does not exist")]
    NotFound {
        /// What does not exist.
        what: &'static str,
    },
    /// The rule set was refused.
    #[error("the rule set is refused")]
    Policy(#[from] PolicyError),
    /// An internal record key could not be made.
    #[error("a record key could not be made")]
    RecordKey(#[from] RecordKeyError),
    /// The request is malformed or not allowed to anyone.
    #[error("the request is refused: {what}")]
    Request {
        /// What is wrong.
        what: &'static str,
    },
    /// The request id was used for another submission.
    #[error("the request id was used for another submission")]
    RequestReused {
        /// The order it belongs to.
        order: OrderId,
    },
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The order is durable, but its outcome cannot leave yet; ask for the order again.
    #[error("the order is not released yet")]
    Unavailable {
        /// The order to ask for.
        order: Option<OrderId>,
    },
    /// The log failed.
    #[error("the log failed")]
    Audit(#[from] AuditError),
}

/// Why a custodian was not created or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The anchor failed.
    #[error("the head anchor failed")]
    Anchor(#[from] AnchorError),
    /// The anchor keeps a head that what was restored does not lead to. An anchor never goes back: a
    /// recovery that accepts the loss needs a fresh one, and that head as a vouched one.
    #[error(
        "the anchor keeps a head over {anchored} events that the restored log does not lead to"
    )]
    AnchorAhead {
        /// Events under the anchored head.
        anchored: u64,
    },
    /// The clock shows an earlier time than the restored events.
    #[error("the clock is behind the restored events: limits would not be exhausted long enough")]
    ClockBehind,
    /// The log failed.
    #[error("the log failed")]
    Audit(#[from] AuditError),
    /// The configuration is refused.
    #[error("the configuration is refused: {what}")]
    Config {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A call failed.
    #[error("the custodian cannot start")]
    Custodian(#[from] Error),
    /// What is stored is not what was signed.
    #[error("the store is refused: {what}")]
    Corrupt {
        /// What contradicts.
        what: &'static str,
    },
    /// A seam was not given.
    #[error("the builder needs a {what}")]
    Incomplete {
        /// Which one.
        what: &'static str,
    },
    /// The store is older than a head that was signed, anchored or witnessed, or does not lead to it.
    #[error("the store was rolled back: it has {stored} events, a signed head has {signed}")]
    RolledBack {
        /// Events in the store.
        stored: u64,
        /// Events under the newest head.
        signed: u64,
    },
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl From<DocumentError> for OpenError {
    fn from(error: DocumentError) -> Self {
        Self::Custodian(error.into())
    }
}

impl From<StateError> for OpenError {
    fn from(error: StateError) -> Self {
        tracing::error!(%error, "a snapshot is no state");
        Self::Corrupt { what: "the snapshot contradicts the log" }
    }
}

impl From<LedgerError> for OpenError {
    fn from(error: LedgerError) -> Self {
        Self::Custodian(error.into())
    }
}

impl From<PolicyError> for OpenError {
    fn from(error: PolicyError) -> Self {
        Self::Custodian(error.into())
    }
}

impl From<RecordKeyError> for OpenError {
    fn from(error: RecordKeyError) -> Self {
        Self::Custodian(error.into())
    }
}
