//! Replay: what a verifier does with a log, and a custodian with what it finds unsealed.
//!
//! Each event is checked against the state that the events before it make: submissions are decoded
//! again, approvals and signatures verified, decisions judged again. The same fold as the
//! sequencer's, nothing else.
//!
//! Invariant: nothing is believed because the log says so, but who the host authenticated, the
//! clock, and prices.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::command::{Command, Resolution};
use crate::digest::Digest;
use crate::document::{
    Conclusion, DocumentError, EventBody, EventDocument, OrderConcluded, OrderDecided,
    OrderDocument, OrderSubmitted, SignatureSet, SubmissionDocument, TaskReference, Verdict, Work,
    parse, size_of_bytes,
};
use crate::id::{CustodianId, OrderId, PrincipalId, RequestId};
use crate::ledger::{Attached, Ledger, LedgerError};
use crate::principal::submission_signing_digest;
use crate::seam::{
    DecodeContext, Decoder, Intent, Payload, PolicyCompiler, PolicyEngine, PolicyError, TaskInput,
};

/// Where a replay finds the documents that events name.
pub trait Documents {
    /// The document with this digest; it need not have been checked.
    fn get(&self, sha256: &Digest) -> Option<Vec<u8>>;
}

impl Documents for BTreeMap<Digest, Vec<u8>> {
    fn get(&self, sha256: &Digest) -> Option<Vec<u8>> {
        Self::get(self, sha256).cloned()
    }
}

/// How much a replay checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "these are the uses of a replay")]
pub enum Depth {
    /// Fold only: for events that are under a signed head.
    Fold,
    /// Everything but the judgement of the rules.
    WithoutDecisions,
    /// Everything.
    Full,
}

/// A replay under way.
pub struct Replay {
    custodian: CustodianId,
    depth: Depth,
    compiler: Option<Arc<dyn PolicyCompiler>>,
    decoders: Vec<Arc<dyn Decoder>>,
    state: Option<Ledger>,
    engine: Option<Arc<dyn PolicyEngine>>,
    requests: BTreeSet<(PrincipalId, RequestId)>,
    report: Report,
}

/// What a replay has checked so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Events folded.
    pub events: u64,
    /// Orders submitted.
    pub orders: u64,
    /// Approvals whose signatures verified.
    pub approvals: u64,
    /// Decisions judged again with the same answer.
    pub decisions: u64,
    /// Orders released with signatures.
    pub released: u64,
    /// Signatures verified over bytes decoded again.
    pub signatures: u64,
    /// Commands executed.
    pub commands: u64,
}

impl Replay {
    /// A replay from the genesis event of `custodian`.
    #[must_use]
    pub fn new(
        custodian: CustodianId,
        depth: Depth,
        compiler: Option<Arc<dyn PolicyCompiler>>,
        decoders: Vec<Arc<dyn Decoder>>,
    ) -> Self {
        Self {
            custodian,
            depth,
            compiler,
            decoders,
            state: None,
            engine: None,
            requests: BTreeSet::new(),
            report: Report::default(),
        }
    }

    /// Goes on from a state that is believed already.
    #[must_use]
    pub fn from_state(mut self, state: Ledger) -> Self {
        self.state = Some(state);
        self
    }

    /// Checks deeper, or less deep, from here on.
    pub const fn set_depth(&mut self, depth: Depth) {
        self.depth = depth;
    }

    /// Checks and folds the next event.
    ///
    /// # Errors
    /// Names what is wrong with it; the replay is of no use after that.
    pub fn event(&mut self, bytes: &[u8], documents: &dyn Documents) -> Result<(), ReplayError> {
        let event = EventDocument::read(bytes)?;
        let Some(mut ledger) = self.state.take() else {
            self.state = Some(self.genesis(bytes, &event, documents)?);
            self.report.events = self.report.events.saturating_add(1);
            return Ok(());
        };
        let attached = attach(&event.event, documents)?;
        if self.depth != Depth::Fold {
            self.check(&ledger, &event, &attached, documents)?;
        }
        ledger.apply(&event, &attached)?;
        if let EventBody::OrderConcluded(concluded) = &event.event
            && matches!(concluded.outcome, Conclusion::Executed { .. })
        {
            self.engine_changed(&ledger)?;
        }
        self.state = Some(ledger);
        self.report.events = self.report.events.saturating_add(1);
        Ok(())
    }

    /// The state after the last event; none before the genesis event.
    #[must_use]
    pub const fn state(&self) -> Option<&Ledger> {
        self.state.as_ref()
    }

    /// Gives the state away.
    #[must_use]
    pub fn into_state(self) -> Option<Ledger> {
        self.state
    }

    /// What was checked so far.
    #[must_use]
    pub const fn report(&self) -> &Report {
        &self.report
    }

    fn genesis(
        &self,
        bytes: &[u8],
        event: &EventDocument,
        documents: &dyn Documents,
    ) -> Result<Ledger, ReplayError> {
        if CustodianId::new(Digest::of(bytes)) != self.custodian {
            return Err(ReplayError::Genesis);
        }
        let EventBody::Genesis(genesis) = &event.event else { return Err(ReplayError::Genesis) };
        let policy = document(documents, &genesis.policy.sha256)?;
        Ok(Ledger::genesis(self.custodian, event, &policy)?)
    }

    /// Drops the compiled engine if another rule set came into force.
    fn engine_changed(&mut self, ledger: &Ledger) -> Result<(), ReplayError> {
        if self.engine.as_ref().is_some_and(|engine| engine.id() != ledger.policy().id()) {
            self.engine = None;
        }
        if self.depth == Depth::Full {
            self.compiled(ledger)?;
        }
        Ok(())
    }

    fn compiled(&mut self, ledger: &Ledger) -> Result<Arc<dyn PolicyEngine>, ReplayError> {
        if let Some(engine) = &self.engine
            && engine.id() == ledger.policy().id()
        {
            return Ok(Arc::clone(engine));
        }
        let compiler = self.compiler.as_ref().ok_or(ReplayError::Engine)?;
        if compiler.engine() != ledger.engine() {
            return Err(ReplayError::Engine);
        }
        let engine = compiler.compile(ledger.policy().document())?;
        self.engine = Some(Arc::clone(&engine));
        Ok(engine)
    }

    fn check(
        &mut self,
        ledger: &Ledger,
        event: &EventDocument,
        attached: &Attached,
        documents: &dyn Documents,
    ) -> Result<(), ReplayError> {
        let report = &mut self.report;
        match &event.event {
            EventBody::OrderSubmitted(submitted) => {
                report.orders = report.orders.saturating_add(1);
                let order = attached.order.as_ref().ok_or(ReplayError::Missing)?;
                self.check_submission(ledger, submitted, order, documents)?;
                if order.submitted > event.at {
                    return Err(wrong("the order was submitted after its event"));
                }
                Ok(())
            }
            EventBody::ApprovalAdded(_) => {
                report.approvals = report.approvals.saturating_add(1);
                Ok(())
            }
            EventBody::OrderDecided(decided) => self.check_decision(ledger, decided, event),
            EventBody::OrderConcluded(concluded) => {
                self.check_conclusion(ledger, concluded, documents)
            }
            EventBody::Snapshot(reference) => {
                let bytes = document(documents, &reference.sha256)?;
                if Ledger::read(&bytes)? == *ledger {
                    Ok(())
                } else {
                    Err(wrong("the snapshot is of another state"))
                }
            }
            EventBody::Genesis(_) | EventBody::KeyDestroyed(_) | EventBody::OrderClosed(_) => {
                Ok(())
            }
        }
    }

    fn check_submission(
        &mut self,
        ledger: &Ledger,
        submitted: &OrderSubmitted,
        order: &OrderDocument,
        documents: &dyn Documents,
    ) -> Result<(), ReplayError> {
        let named = order.order == submitted.order
            && order.requester == submitted.requester
            && order.request == submitted.request
            && order.custodian == self.custodian;
        if !named {
            return Err(wrong("the order document is of another order"));
        }
        if !self.requests.insert((order.requester.clone(), order.request.clone())) {
            return Err(wrong("the request id was used before"));
        }
        if order.expires < order.submitted {
            return Err(wrong("the order expired before it was submitted"));
        }
        check_signature(ledger, submitted, order, documents)?;
        match &order.work {
            Work::Payload(_) => self.check_payload(ledger, order, documents).map(drop),
            Work::Command(reference) => {
                let bytes = document(documents, &reference.sha256)?;
                let command: Command = parse(&bytes)?;
                let wallet = ledger.wallet_of(&command);
                let same = reference.size == size_of_bytes(&bytes)
                    && reference.action == command.action()
                    && order.wallet == wallet
                    && order.effects == [command.effect(wallet.as_ref())]
                    && order.facts.is_empty()
                    && order.tasks.is_empty();
                if same { Ok(()) } else { Err(wrong("the order contradicts its command")) }
            }
        }
    }

    /// Decodes the payload again and compares it with the order: chain, effects, facts and tasks.
    fn check_payload(
        &self,
        ledger: &Ledger,
        order: &OrderDocument,
        documents: &dyn Documents,
    ) -> Result<Intent, ReplayError> {
        let Work::Payload(reference) = &order.work else {
            return Err(wrong("the order carries no payload"));
        };
        let bytes = document(documents, &reference.sha256)?;
        let context: DecodeContext = parse(&document(documents, &reference.context.sha256)?)?;
        let wallet = order.wallet.as_ref().and_then(|id| Some((id, ledger.wallet(id)?)));
        let (id, wallet) = wallet.ok_or(wrong("the order's wallet does not exist"))?;
        let same_accounts = context.accounts.iter().all(|account| {
            ledger
                .key(&account.key)
                .is_some_and(|key| key.wallet() == id && *key.public_key() == account.public_key)
        });
        let fits = reference.size == size_of_bytes(&bytes)
            && context.wallet == *id
            && context.chain == *wallet.chain()
            && order.chain.as_ref() == Some(wallet.chain())
            && same_accounts;
        if !fits {
            return Err(wrong("the order contradicts its wallet"));
        }
        let decoder = self
            .decoders
            .iter()
            .find(|decoder| {
                *decoder.id() == reference.decoder
                    && decoder.reads(&reference.format, &context.chain)
            })
            .ok_or(ReplayError::Decoder)?;
        let payload = Payload { format: reference.format.clone(), bytes };
        let intent = decoder.decode(&payload, &context).map_err(|_| ReplayError::Decode)?;
        let same = intent.chain == context.chain
            && intent.effects == order.effects
            && intent.facts == order.facts
            && intent.tasks.len() == order.tasks.len()
            && intent.tasks.iter().zip(&order.tasks).all(|(task, named)| {
                task.key == named.key
                    && task.algorithm == named.algorithm
                    && task.input.digest() == named.input_sha256
                    && ledger.key(&named.key).is_some_and(|key| {
                        *key.public_key() == named.public_key && key.wallet() == id
                    })
            });
        if same { Ok(intent) } else { Err(wrong("the order contradicts its payload")) }
    }

    fn check_decision(
        &mut self,
        ledger: &Ledger,
        decided: &OrderDecided,
        event: &EventDocument,
    ) -> Result<(), ReplayError> {
        if decided.policy != ledger.policy().id() || decided.engine != *ledger.engine() {
            return Err(wrong("the decision names another rule set or engine"));
        }
        if self.depth != Depth::Full {
            return Ok(());
        }
        let engine = self.compiled(ledger)?;
        let order = open_order(ledger, &decided.order)?;
        let decision = ledger.decide(engine.as_ref(), order, event.at);
        let same = decision.allowed == (decided.verdict == Verdict::Allowed)
            && decision.rules == decided.rules
            && decision.errors == decided.errors
            && decision.windows == decided.windows;
        if !same {
            return Err(ReplayError::Decision { order: decided.order.clone() });
        }
        self.report.decisions = self.report.decisions.saturating_add(1);
        Ok(())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
    fn check_conclusion(
        &mut self,
        ledger: &Ledger,
        concluded: &OrderConcluded,
        documents: &dyn Documents,
    ) -> Result<(), ReplayError> {
        let order = open_order(ledger, &concluded.order)?;
        match &concluded.outcome {
            Conclusion::Signed { signatures } => {
                let set: SignatureSet = parse(&document(documents, &signatures.sha256)?)?;
                if set.order != concluded.order {
                    return Err(wrong("the signatures are of another order"));
                }
                self.check_signatures(ledger, order.document(), &set.signatures, documents)
            }
            Conclusion::Executed { .. } => {
                self.report.commands = self.report.commands.saturating_add(1);
                let command = order.command().ok_or(wrong("a payload was executed"))?;
                match command.as_ref() {
                    Command::ResolveOrder {
                        order,
                        resolution: Resolution::Signed { signatures },
                    } => {
                        let resolved = open_order(ledger, order)?;
                        self.check_signatures(ledger, resolved.document(), signatures, documents)
                    }
                    _ => Ok(()),
                }
            }
            Conclusion::Failed { .. } | Conclusion::Unknown { .. } => Ok(()),
        }
    }

    fn check_signatures(
        &mut self,
        ledger: &Ledger,
        order: &OrderDocument,
        signatures: &[crate::seam::TaskSignature],
        documents: &dyn Documents,
    ) -> Result<(), ReplayError> {
        let intent = self.check_payload(ledger, order, documents)?;
        let tasks: Vec<(TaskReference, TaskInput)> = order
            .tasks
            .iter()
            .cloned()
            .zip(intent.tasks.into_iter().map(|task| task.input))
            .collect();
        crate::ledger::check_signatures(signatures, &tasks)
            .map_err(|_| ReplayError::Signature { order: order.order.clone() })?;
        self.report.released = self.report.released.saturating_add(1);
        let count = u64::try_from(signatures.len()).unwrap_or(u64::MAX);
        self.report.signatures = self.report.signatures.saturating_add(count);
        Ok(())
    }
}

/// The documents that folding an event needs.
fn attach(event: &EventBody, documents: &dyn Documents) -> Result<Attached, ReplayError> {
    let EventBody::OrderSubmitted(submitted) = event else { return Ok(Attached::default()) };
    let bytes = document(documents, &submitted.document.sha256)?;
    let order: OrderDocument = parse(&bytes)?;
    if submitted.document.size != size_of_bytes(&bytes) {
        return Err(wrong("a document has another size"));
    }
    let command = match &order.work {
        Work::Command(reference) => {
            Some(Arc::new(parse(&document(documents, &reference.sha256)?)?))
        }
        Work::Payload(_) => None,
    };
    Ok(Attached { order: Some(Arc::new(order)), command })
}

/// A submission that claims to be signed must be, by the requester, over this very request.
fn check_signature(
    ledger: &Ledger,
    submitted: &OrderSubmitted,
    order: &OrderDocument,
    documents: &dyn Documents,
) -> Result<(), ReplayError> {
    const WRONG: ReplayError = wrong("the submission's signature does not count");
    let Some(signature) = &submitted.signature else {
        return if submitted.authentication.signed { Err(WRONG) } else { Ok(()) };
    };
    let document: SubmissionDocument = parse(&document(documents, &submitted.submission)?)?;
    let sha256 = match &order.work {
        Work::Command(reference) => &reference.sha256,
        Work::Payload(reference) => &reference.sha256,
    };
    let same = document.requester == order.requester
        && document.request == order.request
        && document.sha256 == *sha256
        && submitted.authentication.signed;
    let credential = ledger
        .principal(&order.requester)
        .and_then(|principal| principal.credentials.get(&signature.credential));
    let digest = submission_signing_digest(ledger.custodian(), &submitted.submission);
    let verifies = credential
        .is_some_and(|credential| credential.verify(&digest, &signature.signature).is_ok());
    if same && verifies { Ok(()) } else { Err(WRONG) }
}

fn open_order<'a>(
    ledger: &'a Ledger,
    id: &OrderId,
) -> Result<&'a crate::ledger::OpenOrder, ReplayError> {
    ledger.order(id).ok_or(wrong("the order is not open"))
}

fn document(documents: &dyn Documents, sha256: &Digest) -> Result<Vec<u8>, ReplayError> {
    let bytes = documents.get(sha256).ok_or(ReplayError::Missing)?;
    if Digest::of(&bytes) == *sha256 { Ok(bytes) } else { Err(ReplayError::Digest) }
}

const fn wrong(what: &'static str) -> ReplayError {
    ReplayError::Wrong { what }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("report", &self.report).finish_non_exhaustive()
    }
}

/// What is wrong with an event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A decision comes out otherwise when it is judged again.
    #[error("the decision about {order} comes out otherwise when it is judged again")]
    Decision {
        /// The order.
        order: OrderId,
    },
    /// A payload does not decode.
    #[error("a payload does not decode")]
    Decode,
    /// There is no such decoder here.
    #[error("the payload was decoded by a decoder that is not here")]
    Decoder,
    /// A document contradicts its digest.
    #[error("a document contradicts its digest")]
    Digest,
    /// A document or event is malformed.
    #[error("a document or event is malformed")]
    Document(#[from] DocumentError),
    /// There is no such engine here.
    #[error("the decisions were made by an engine that is not here")]
    Engine,
    /// The first event is not the genesis event of this custodian.
    #[error("the first event is not the genesis event of this custodian")]
    Genesis,
    /// The event cannot follow the events before it.
    #[error("the event cannot follow the events before it")]
    Ledger(#[from] LedgerError),
    /// A document that the event names is missing.
    #[error("a document that the event names is missing")]
    Missing,
    /// A rule set does not compile.
    #[error("the rule set does not compile")]
    Policy(#[from] PolicyError),
    /// A signature does not verify over what was decoded again.
    #[error("a signature of {order} does not verify over what was decoded again")]
    Signature {
        /// The order.
        order: OrderId,
    },
    /// Something contradicts something else.
    #[error("{what}")]
    Wrong {
        /// What contradicts.
        what: &'static str,
    },
}
