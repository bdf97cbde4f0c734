//! The entries of one stretch, one after the other: what each does to the custodian.
//!
//! Invariant: an entry is taken only if the replay took it; a change of the log key is taken from
//! the replayed state, never from the text of an entry.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use custody_core::crypto::PublicKey;
use custody_core::digest::Digest;
use custody_core::document::{EventBody, EventDocument, Work};
use custody_core::id::{CustodianId, EngineId, OrderId};
use custody_core::ledger::{Ledger, StateError};
use custody_core::order::OrderState;
use custody_core::replay::{Depth, Documents as _, Replay, ReplayError, Report};
use custody_core::seam::{Head, PolicyCompiler};
use custody_policy::CedarCompiler;

use crate::decoders::Decoders;
use crate::documents::DocumentFolder;
use crate::failure::{EntryError, Failure};
use crate::findings::{DecodedFound, DecodersFound, LeftFound};
use crate::stretch::Start;

/// The entries of a stretch so far.
#[derive(Debug)]
pub(crate) struct Trail {
    replay: Replay,
    documents: DocumentFolder,
    own_engine: EngineId,
    asked: Depth,
    found: TrailFound,
}

/// What the entries of a stretch say besides what the replay reports.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrailFound {
    /// The log key at the beginning.
    pub(crate) first_key: Option<PublicKey>,
    /// The entries that changed it, with the new key.
    pub(crate) changes: Vec<(u64, PublicKey)>,
    /// Which decoders the payloads of the orders were read with.
    pub(crate) decoders: DecodersFound,
    /// The decisions that were to be judged again and were not.
    pub(crate) foreign: Option<ForeignDecisions>,
    /// Who asked for what, each with its entry: the replay of one stretch does not know the
    /// requests of another.
    pub(crate) requests: Vec<(Digest, u64)>,
    /// The entries that say that the custodian was restored, with the head that each names.
    pub(crate) recoveries: Vec<(u64, Head)>,
}

/// Decisions by engines that this verifier does not have.
#[derive(Clone, Debug)]
pub(crate) struct ForeignDecisions {
    /// How many there are.
    pub(crate) count: u64,
    /// The entry of the first one.
    pub(crate) first: u64,
    /// Who made that one.
    pub(crate) engine: EngineId,
}

impl Trail {
    /// No entries yet of the custodian `genesis`.
    pub(crate) fn new(
        genesis: CustodianId,
        documents: DocumentFolder,
        asked: Depth,
        decoders: &Decoders,
    ) -> Result<Self, Failure> {
        let compiler = Arc::new(CedarCompiler::new().map_err(|_| Failure::Engine)?);
        let own_engine = compiler.engine().clone();
        let replay = Replay::new(genesis, asked, Some(compiler), decoders.all());
        Ok(Self { replay, documents, own_engine, asked, found: TrailFound::default() })
    }

    /// Goes on from the state in this document, which the stretch before this one must reach.
    pub(crate) fn starting_at(mut self, start: Start) -> Result<Self, EntryError> {
        let Start { state, began } = start;
        let bytes = self.documents.get(&state).ok_or(ReplayError::Missing);
        let bytes = bytes.map_err(|error| self.explain(error))?;
        if Digest::of(&bytes) != state {
            return Err(EntryError::WrongDocument { digest: state });
        }
        let read = Ledger::read(&bytes, began, |part| self.documents.get(part));
        let state = read.map_err(|error| {
            let is_missing = error == StateError::Missing;
            self.explain(if is_missing { ReplayError::Missing } else { error.into() })
        })?;
        self.found.first_key = Some(state.log_key().clone());
        self.replay = self.replay.from_state(state);
        Ok(self)
    }

    /// Checks and takes the next entry. A decision of an engine that is not here is noted, and not
    /// judged again.
    pub(crate) fn take(&mut self, index: u64, entry: &[u8]) -> Result<(), EntryError> {
        let foreign = self.foreign_engine(entry);
        self.replay.set_depth(match foreign {
            Some(_) => Depth::WithoutDecisions,
            None => self.asked,
        });
        let orders = self.report().orders;
        let replay = AssertUnwindSafe(|| self.replay.event(entry, &self.documents));
        // After a panic the replay is not used again.
        let taken = catch_unwind(replay).map_err(|_| EntryError::Panicked)?;
        taken.map_err(|error| self.explain(error))?;
        if let Some(engine) = foreign {
            let none = ForeignDecisions { count: 0, first: index, engine };
            let foreign = self.found.foreign.get_or_insert(none);
            foreign.count = foreign.count.saturating_add(1);
        }
        if self.report().orders != orders {
            self.note_order(index, entry)?;
        }
        self.note_recovery(index, entry)?;
        self.follow_key(index);
        Ok(())
    }

    /// What was checked so far.
    pub(crate) const fn report(&self) -> &Report {
        self.replay.report()
    }

    /// The orders that have not ended so far, and spend; none before the genesis event.
    pub(crate) fn left(&self) -> Option<LeftFound> {
        let state = self.replay.state()?;
        let count = |wanted: OrderState| {
            let those = state.orders().filter(|order| order.state() == wanted);
            u64::try_from(those.count()).unwrap_or(u64::MAX)
        };
        let (reserved, unknown) = (count(OrderState::Reserved), count(OrderState::Unknown));
        Some(LeftFound { reserved, unknown })
    }

    /// The engine of this verifier.
    pub(crate) const fn own_engine(&self) -> &EngineId {
        &self.own_engine
    }

    /// What else the entries say.
    pub(crate) const fn found(&self) -> &TrailFound {
        &self.found
    }

    /// The engine of a decision that was to be judged again, if it is not here.
    fn foreign_engine(&self, entry: &[u8]) -> Option<EngineId> {
        // Most entries are no decisions; those need not be read twice. A decision that hides from
        // this look is refused by the replay.
        let marked = || entry.windows(DECIDED.len()).any(|window| window == DECIDED);
        if self.asked != Depth::Full || !marked() {
            return None;
        }
        let EventBody::OrderDecided(decided) = EventDocument::read(entry).ok()?.event else {
            return None;
        };
        (decided.engine != self.own_engine).then_some(decided.engine)
    }

    fn note_order(&mut self, index: u64, entry: &[u8]) -> Result<(), EntryError> {
        let event = EventDocument::read(entry).map_err(|error| EntryError::Replay(error.into()))?;
        if let EventBody::OrderSubmitted(submitted) = event.event {
            let names =
                [submitted.requester.as_str().as_bytes(), submitted.request.as_str().as_bytes()];
            self.found.requests.push((Digest::tagged(REQUEST, &names), index));
            let order = [submitted.order.as_str().as_bytes()];
            self.found.requests.push((Digest::tagged(ORDER, &order), index));
            self.note_decoder(index, &submitted.order);
        }
        Ok(())
    }

    fn note_decoder(&mut self, index: u64, order: &OrderId) {
        let order = self.replay.state().and_then(|state| state.order(order));
        if let Some(Work::Payload(payload)) = order.map(|order| &order.document().work) {
            let one = DecodedFound { orders: 1, first: index, last: index };
            self.found.decoders.add(&payload.decoder, one);
        }
    }

    fn note_recovery(&mut self, index: u64, entry: &[u8]) -> Result<(), EntryError> {
        let recovered = self.replay.state().and_then(Ledger::recovered);
        if recovered.is_none_or(|recovered| recovered.index().value() != index) {
            return Ok(());
        }
        let event = EventDocument::read(entry).map_err(|error| EntryError::Replay(error.into()))?;
        if let EventBody::Recovered(recovered) = event.event {
            self.found.recoveries.push((index, recovered.restored.into()));
        }
        Ok(())
    }

    fn follow_key(&mut self, index: u64) {
        let Some(state) = self.replay.state() else { return };
        let key = state.log_key();
        let found = &mut self.found;
        let Some(first) = &found.first_key else {
            found.first_key = Some(key.clone());
            return;
        };
        if found.changes.last().map_or(first, |(_, key)| key) != key {
            found.changes.push((index, key.clone()));
        }
    }

    /// Names the document where the replay only says that one is at fault.
    fn explain(&self, error: ReplayError) -> EntryError {
        let unreadable = self.documents.failed();
        match (&error, unreadable, self.documents.asked()) {
            (ReplayError::Missing, Some((digest, kind)), _) => {
                EntryError::Unreadable { digest, kind }
            }
            (ReplayError::Missing, None, Some(digest)) => EntryError::NoDocument { digest },
            (ReplayError::Digest, _, Some(digest)) => EntryError::WrongDocument { digest },
            _ => EntryError::Replay(error),
        }
    }
}

const DECIDED: &[u8] = b"\"order_decided\"";
const REQUEST: &str = "custody-verify/request";
const ORDER: &str = "custody-verify/order";
