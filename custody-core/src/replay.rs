//! Replay: what a verifier does with a log, and a custodian with what it finds unsealed.
//!
//! Each event is checked against the state that the events before it make: submissions are decoded
//! again, approvals and signatures verified, decisions judged again. The same fold as the
//! sequencer's, nothing else.
//!
//! Invariant: nothing is believed because the log says so, but who the host authenticated, the
//! clock, and the public keys that backends made. What that leaves open is in ARCHITECTURE.md.

mod check;
mod conclusion;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::digest::Digest;
use crate::document::{
    Conclusion, DocumentError, DocumentReference, EventBody, EventDocument, OrderDocument, Work,
    parse, size_of_bytes,
};
use crate::id::{CustodianId, OrderId, PrincipalId, RequestId};
use crate::ledger::{Attached, Ledger, LedgerError, StateError, compile};
use crate::seam::{Decoder, PolicyCompiler, PolicyEngine, PolicyError, TaskInput};
use crate::tree::Tree;

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
    orders: BTreeSet<OrderId>,
    /// What is signed for the open orders, decoded again when they were submitted.
    inputs: BTreeMap<OrderId, Vec<TaskInput>>,
    /// The tree over all events; none if it did not begin with the genesis event, or only folds.
    tree: Option<Tree>,
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
            orders: BTreeSet::new(),
            inputs: BTreeMap::new(),
            tree: (depth != Depth::Fold).then(Tree::default),
            report: Report::default(),
        }
    }

    /// Goes on from a state that is believed already. The head that a recovery names is then compared in
    /// size only.
    #[must_use]
    pub fn from_state(mut self, state: Ledger) -> Self {
        self.state = Some(state);
        self.tree = None;
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
            self.grow(bytes);
            self.report.events = self.report.events.saturating_add(1);
            return Ok(());
        };
        let attached = attach(&event.event, documents)?;
        if self.depth != Depth::Fold {
            self.check(&ledger, &event, &attached, documents)?;
        }
        ledger.apply(&event, &attached)?;
        if let Some(id) = ended(&event.event)
            && ledger.order(id).is_none()
        {
            self.inputs.remove(id);
        }
        if let EventBody::OrderConcluded(concluded) = &event.event
            && matches!(concluded.outcome, Conclusion::Executed { .. })
        {
            self.engine_changed(&ledger)?;
        }
        self.state = Some(ledger);
        self.grow(bytes);
        self.report.events = self.report.events.saturating_add(1);
        Ok(())
    }

    fn grow(&mut self, event: &[u8]) {
        if let Some(tree) = &mut self.tree {
            tree.append(event);
        }
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
        let policy = sized(documents, &genesis.policy)?;
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
        let engine = compile(compiler.as_ref(), ledger.policy().document())?;
        self.engine = Some(Arc::clone(&engine));
        Ok(engine)
    }
}

/// The order that an event may have ended.
const fn ended(event: &EventBody) -> Option<&OrderId> {
    match event {
        EventBody::OrderClosed(closed) => Some(&closed.order),
        EventBody::OrderConcluded(concluded) => Some(&concluded.order),
        EventBody::OrderDecided(decided) => Some(&decided.order),
        EventBody::ApprovalAdded(_)
        | EventBody::Genesis(_)
        | EventBody::KeyDestroyed(_)
        | EventBody::OrderSubmitted(_)
        | EventBody::Recovered(_)
        | EventBody::Snapshot(_) => None,
    }
}

/// The documents that folding an event needs.
fn attach(event: &EventBody, documents: &dyn Documents) -> Result<Attached, ReplayError> {
    let EventBody::OrderSubmitted(submitted) = event else { return Ok(Attached::default()) };
    let order: OrderDocument = parse(&sized(documents, &submitted.document)?)?;
    let command = match &order.work {
        Work::Command(reference) => {
            Some(Arc::new(parse(&document(documents, &reference.sha256)?)?))
        }
        Work::Payload(_) => None,
    };
    Ok(Attached { order: Some(Arc::new(order)), command })
}

fn document(documents: &dyn Documents, sha256: &Digest) -> Result<Vec<u8>, ReplayError> {
    let bytes = documents.get(sha256).ok_or(ReplayError::Missing)?;
    if Digest::of(&bytes) == *sha256 { Ok(bytes) } else { Err(ReplayError::Digest) }
}

/// A document that must also have the size its reference states.
fn sized(documents: &dyn Documents, reference: &DocumentReference) -> Result<Vec<u8>, ReplayError> {
    let bytes = document(documents, &reference.sha256)?;
    if size_of_bytes(&bytes) == reference.size {
        Ok(bytes)
    } else {
        Err(wrong("a document has another size"))
    }
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
    /// What a snapshot names is no state.
    #[error("what a snapshot names is no state")]
    State(#[from] StateError),
    /// Something contradicts something else.
    #[error("{what}")]
    Wrong {
        /// What contradicts.
        what: &'static str,
    },
}
