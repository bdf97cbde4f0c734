//! The transcript of ceremonies, read from a log.
//!
//! Invariant: who signed what is verified here, under the credentials that the log had at the time.
//! That the events are those under a signed head is for whoever gives them to check before.

use std::collections::BTreeMap;
use std::fmt;

use custody_core::command::{Command, CommandResult};
use custody_core::digest::Digest;
use custody_core::document::{
    Conclusion, DocumentError, EventBody, EventDocument, OrderConcluded, OrderDocument,
    OrderSubmitted, SubmissionDocument, Verdict, Work, parse,
};
use custody_core::id::{CredentialId, CustodianId, OrderId};
use custody_core::ledger::Ledger;
use custody_core::principal::{Verb, submission_signing_digest};
use custody_core::replay::{Depth, Documents, Replay, ReplayError};

use super::{Confirm, Recover, Refusal, Replace, Rotate, Sets, Split, Step, StepApproval};

/// What ceremonies there were: who asked, who approved, with which credentials, and what counted.
///
/// It follows a log from its genesis event on, with the documents that the events name: command and
/// order documents, submissions, and the answers of handlers.
#[derive(Debug)]
pub struct Transcript {
    custodian: CustodianId,
    replay: Replay,
    open: BTreeMap<OrderId, Step>,
    sets: Sets,
    entries: Vec<TranscriptEntry>,
    stray: Vec<OrderId>,
}

/// A step, and whether it counted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TranscriptEntry {
    /// The step.
    pub step: Step,
    /// The rule that it breaks; none if it counted.
    pub refusal: Option<Refusal>,
}

impl Transcript {
    /// The transcript of a custodian's log, from its genesis event on.
    #[must_use]
    pub fn new(custodian: CustodianId) -> Self {
        Self {
            custodian,
            replay: Replay::new(custodian, Depth::Fold, None, Vec::new()),
            open: BTreeMap::new(),
            sets: Sets::new(custodian),
            entries: Vec::new(),
            stray: Vec::new(),
        }
    }

    /// Reads the next event.
    ///
    /// # Errors
    /// Names what is wrong with it. The transcript is of no use after that.
    pub fn event(
        &mut self,
        bytes: &[u8],
        documents: &dyn Documents,
    ) -> Result<(), TranscriptError> {
        let event = EventDocument::read(bytes)?;
        self.look(&event.event, documents)?;
        Ok(self.replay.event(bytes, documents)?)
    }

    /// The sets after the last event.
    #[must_use]
    pub const fn sets(&self) -> &Sets {
        &self.sets
    }

    /// The steps that were executed, in the order of the log.
    #[must_use]
    pub fn entries(&self) -> &[TranscriptEntry] {
        &self.entries
    }

    /// Orders that were to make a set which does not exist, though shares of it may be out: it is
    /// not known how far they came, or they broke a rule that only the log could tell.
    ///
    /// # Security
    /// If one was to make new shares of a secret, enough of its shares give that secret. Have them
    /// destroyed.
    #[must_use]
    pub fn stray(&self) -> &[OrderId] {
        &self.stray
    }

    fn look(
        &mut self,
        event: &EventBody,
        documents: &dyn Documents,
    ) -> Result<(), TranscriptError> {
        let Some(ledger) = self.replay.state() else { return Ok(()) };
        if let EventBody::OrderSubmitted(submitted) = event {
            if let Some(step) = submission(&self.custodian, ledger, submitted, documents)? {
                self.open.insert(step.order.clone(), step);
            }
        } else if let EventBody::ApprovalAdded(signed) = event {
            let statement = &signed.statement;
            let Some(step) = self.open.get_mut(&statement.order) else { return Ok(()) };
            let wrong = |_| TranscriptError::Approval { order: statement.order.clone() };
            ledger.check_statement(signed, Verb::Approve).map_err(wrong)?;
            step.approvals.push(StepApproval {
                principal: statement.principal.clone(),
                credential: statement.credential.clone(),
                role: statement.role.clone(),
            });
        } else if let EventBody::OrderConcluded(concluded) = event
            && let Some(step) = self.open.remove(&concluded.order)
        {
            self.conclude(step, concluded, documents)?;
        } else if let EventBody::OrderClosed(closed) = event {
            self.open.remove(&closed.order);
        } else if let EventBody::OrderDecided(decided) = event
            && decided.verdict == Verdict::Denied
        {
            self.open.remove(&decided.order);
        }
        Ok(())
    }

    fn conclude(
        &mut self,
        mut step: Step,
        concluded: &OrderConcluded,
        documents: &dyn Documents,
    ) -> Result<(), TranscriptError> {
        match &concluded.outcome {
            Conclusion::Executed { result: CommandResult::Extension { sha256, .. } } => {
                step.answer = document(documents, sha256, &step.order)?;
                let refusal = self.sets.apply(&step).err();
                if refusal.is_some() && makes_a_set(&step) {
                    self.stray.push(step.order.clone());
                }
                self.entries.push(TranscriptEntry { step, refusal });
            }
            Conclusion::Unknown { .. } if makes_a_set(&step) => self.stray.push(step.order),
            Conclusion::Executed { .. }
            | Conclusion::Failed { .. }
            | Conclusion::Signed { .. }
            | Conclusion::Unknown { .. } => {}
        }
        Ok(())
    }
}

/// The step that an order of a ceremony begins; none for other orders.
fn submission(
    custodian: &CustodianId,
    ledger: &Ledger,
    submitted: &OrderSubmitted,
    documents: &dyn Documents,
) -> Result<Option<Step>, TranscriptError> {
    let id = &submitted.order;
    let order: OrderDocument = parse(&document(documents, &submitted.document.sha256, id)?)?;
    let Work::Command(reference) = &order.work else { return Ok(None) };
    let command: Command = parse(&document(documents, &reference.sha256, id)?)?;
    let Command::Extension { name, document: bytes } = command else { return Ok(None) };
    if !NAMES.contains(&name.as_str()) {
        return Ok(None);
    }
    let signature = || TranscriptError::Signature { order: id.clone() };
    if order.order != *id || order.requester != submitted.requester || order.custodian != *custodian
    {
        return Err(TranscriptError::Order { order: id.clone() });
    }
    let principal = ledger.principal(&submitted.requester).ok_or_else(signature)?;
    Ok(Some(Step {
        order: id.clone(),
        requester: submitted.requester.clone(),
        organisation: principal.organisation.clone(),
        signed: signed(ledger, submitted, &order, documents)?,
        approvals: Vec::new(),
        submitted: order.submitted,
        command: name,
        document: bytes.into_bytes(),
        answer: Vec::new(),
    }))
}

/// The credential that signed the submission. A signature that does not count is an error.
fn signed(
    ledger: &Ledger,
    submitted: &OrderSubmitted,
    order: &OrderDocument,
    documents: &dyn Documents,
) -> Result<Option<CredentialId>, TranscriptError> {
    let Some(signature) = &submitted.signature else { return Ok(None) };
    let wrong = || TranscriptError::Signature { order: order.order.clone() };
    let Work::Command(command) = &order.work else { return Err(wrong()) };
    let asked: SubmissionDocument =
        parse(&document(documents, &submitted.submission, &order.order)?)?;
    let is_same = asked.requester == order.requester
        && asked.request == order.request
        && asked.sha256 == command.sha256
        && asked.format.as_str() == "command"
        && asked.wallet.is_none()
        && asked.expires.is_none_or(|expires| expires == order.expires);
    let credential = ledger
        .principal(&order.requester)
        .and_then(|principal| principal.credentials.get(&signature.credential))
        .filter(|_| is_same)
        .ok_or_else(wrong)?;
    let digest = submission_signing_digest(ledger.custodian(), &submitted.submission);
    credential.verify(&digest, &signature.signature).map_err(|_| wrong())?;
    Ok(Some(signature.credential.clone()))
}

fn document(
    documents: &dyn Documents,
    sha256: &Digest,
    order: &OrderId,
) -> Result<Vec<u8>, TranscriptError> {
    let missing = || TranscriptError::Missing { order: order.clone() };
    let bytes = documents.get(sha256).ok_or_else(missing)?;
    if Digest::of(&bytes) == *sha256 {
        Ok(bytes)
    } else {
        Err(TranscriptError::Digest { order: order.clone() })
    }
}

fn makes_a_set(step: &Step) -> bool {
    [Replace::NAME, Rotate::NAME, Split::NAME].contains(&step.command.as_str())
}

impl fmt::Display for TranscriptEntry {
    /// Writes one line: when, who, with which credential, what, approved by whom, and whether it
    /// counted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step { order, requester, submitted, command, .. } = &self.step;
        write!(f, "{submitted} {command} by {requester}")?;
        match &self.step.signed {
            Some(credential) => write!(f, " (signed with {credential})")?,
            None => f.write_str(" (not signed)")?,
        }
        for (number, approval) in self.step.approvals.iter().enumerate() {
            let joint = if number == 0 { ", approved by" } else { "," };
            let StepApproval { principal, credential, role } = approval;
            write!(f, "{joint} {principal} as {role} (signed with {credential})")?;
        }
        write!(f, ", order {order}")?;
        match &self.refusal {
            Some(refusal) if makes_a_set(&self.step) => {
                write!(f, ": does not count, {refusal}; its shares may be out")
            }
            Some(refusal) => write!(f, ": does not count, {refusal}"),
            None => f.write_str(": counts"),
        }
    }
}

/// What is wrong with a log of ceremonies.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TranscriptError {
    /// An approval does not count.
    #[error("an approval of {order} does not count")]
    Approval {
        /// The order.
        order: OrderId,
    },
    /// A document contradicts its digest.
    #[error("a document of {order} contradicts its digest")]
    Digest {
        /// The order.
        order: OrderId,
    },
    /// An event or document is malformed.
    #[error("an event or document is malformed")]
    Document(#[from] DocumentError),
    /// A document is missing.
    #[error("a document of {order} is missing")]
    Missing {
        /// The order.
        order: OrderId,
    },
    /// The order document is of another order.
    #[error("the document of {order} is of another order")]
    Order {
        /// The order.
        order: OrderId,
    },
    /// The event cannot follow the events before it.
    #[error("the event cannot follow the events before it")]
    Replay(#[from] ReplayError),
    /// The signature of a submission does not count.
    #[error("the signature of {order} does not count")]
    Signature {
        /// The order.
        order: OrderId,
    },
}

const NAMES: [&str; 5] = [Confirm::NAME, Recover::NAME, Replace::NAME, Rotate::NAME, Split::NAME];
