use crate::command::{Command, CommandResult};
use crate::digest::Digest;
use crate::document::Hold;
use crate::id::{KeyId, OrderId, PrincipalId, RequestId, RuleId, WalletId};
use crate::order::OrderState;
use crate::principal::SubmissionSignature;
use crate::seam::{Authentication, Payload, Receipt, Requirement, TaskSignature};
use crate::time::Timestamp;

/// A request to sign a payload or to do a command.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it")]
pub struct Request {
    /// Who asks; the host has authenticated this principal.
    pub requester: PrincipalId,
    /// The requester's own id: the same id and the same submission give the same order.
    pub id: RequestId,
    /// What is asked.
    pub work: RequestedWork,
    /// When the order expires; none for the custodian's default.
    pub expires: Option<Timestamp>,
    /// How the host authenticated the requester.
    pub authentication: Authentication,
    /// The requester's own signature over the submission.
    pub signature: Option<SubmissionSignature>,
}

/// What is asked.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "an order carries a payload or a command")]
pub enum RequestedWork {
    /// A command of the custodian.
    Command(Box<Command>),
    /// A transaction or message.
    Payload {
        /// The wallet that signs.
        wallet: WalletId,
        /// The key that signs, where the payload does not say; none for the wallet's first.
        key: Option<KeyId>,
        /// What is signed.
        payload: Payload,
    },
}

impl Request {
    /// A request to sign a payload with a wallet's first key.
    #[must_use]
    pub fn payload(
        requester: PrincipalId,
        id: RequestId,
        wallet: WalletId,
        payload: Payload,
    ) -> Self {
        Self::new(requester, id, RequestedWork::Payload { wallet, key: None, payload })
    }

    /// A request to do a command.
    #[must_use]
    pub fn command(requester: PrincipalId, id: RequestId, command: Command) -> Self {
        Self::new(requester, id, RequestedWork::Command(Box::new(command)))
    }

    /// The request, with what the host knows about the requester's login.
    #[must_use]
    pub fn authenticated(mut self, authentication: Authentication) -> Self {
        self.authentication = authentication;
        self
    }

    /// The request, expiring at `time`.
    #[must_use]
    pub const fn expiring(mut self, time: Timestamp) -> Self {
        self.expires = Some(time);
        self
    }

    fn new(requester: PrincipalId, id: RequestId, work: RequestedWork) -> Self {
        let authentication = Authentication::default();
        Self { requester, id, work, expires: None, authentication, signature: None }
    }
}

/// What became of an order so far.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[expect(clippy::exhaustive_structs, reason = "hosts take it apart")]
pub struct Answer {
    /// The order.
    pub order: OrderId,
    /// SHA-256 of its document: what approvers sign.
    pub digest: Digest,
    /// How it stands.
    pub outcome: Outcome,
}

/// How an order stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Taken back by its requester.
    Cancelled,
    /// Not allowed, for good.
    Denied {
        /// The rules that denied it; empty if a person rejected it.
        rules: Vec<RuleId>,
    },
    /// Waited too long.
    Expired,
    /// Nothing was signed and nothing can be.
    Failed {
        /// Why.
        reason: Hold,
    },
    /// Waits for approvals or time.
    Pending {
        /// What would release it; each alone would.
        missing: Vec<Requirement>,
    },
    /// Signed or done, and durable.
    Released(Box<Release>),
    /// A signature may exist; stays spent until resolved.
    Unknown {
        /// Why it is not known.
        reason: Hold,
    },
}

/// What leaves the library.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts take it apart")]
pub struct Release {
    /// The payload with its signatures, as a network accepts it; none for a command.
    pub signed: Option<Vec<u8>>,
    /// The signatures, in the order of the tasks.
    pub signatures: Vec<TaskSignature>,
    /// What a command left behind.
    pub result: Option<CommandResult>,
    /// What the handler of an extension command answered.
    pub extension: Option<Vec<u8>>,
    /// Proof that the outcome is under the log's head.
    pub receipt: Receipt,
}

/// Why an order stands as it does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts take it apart")]
pub struct Explanation {
    /// How it stands.
    pub state: OrderState,
    /// Whether the rules allow it now.
    pub allowed: bool,
    /// The rules that make the verdict now.
    pub rules: Vec<RuleId>,
    /// The rules that fail.
    pub errors: Vec<RuleId>,
    /// What would release it; each alone would. Empty if nothing would.
    pub missing: Vec<Requirement>,
    /// Its effects in words.
    pub summary: Vec<String>,
}
