use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::error::Error;
use super::message::{Carried, Ended, Entry, Progress};
use super::record::{OrderRecord, RequestRecord, order_key, request_key};
use crate::digest::Digest;
use crate::document::{EventBody, EventDocument, V1, to_bytes};
use crate::id::{KeyId, OrderId, PrincipalId, RequestId};
use crate::ledger::{Attached, Ledger};
use crate::order::OrderState;
use crate::seam::{Batch, Monotonic, PolicyEngine, Position, Record};
use crate::time::Timestamp;

/// What one turn of the sequencer will commit, and what follows once it is durable and sealed.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) at: Timestamp,
    pub(super) expected: Position,
    pub(super) events: Vec<(EventDocument, Attached)>,
    pub(super) batch: Batch,
    pub(super) after: Vec<After>,
    pub(super) refused: Vec<(usize, Error)>,
    pub(super) requests: BTreeMap<(PrincipalId, RequestId), (OrderId, Digest)>,
    pub(super) commands: Vec<Arc<crate::command::Command>>,
    /// Keys that may have to be switched off once it is durable.
    pub(super) off: Vec<KeyId>,
    /// Orders that end although their job is at work.
    pub(super) called_off: BTreeSet<OrderId>,
    /// Orders that had ended before their job did.
    pub(super) over: Vec<OrderId>,
    /// Orders whose job was started before the draft is durable.
    pub(super) started: BTreeSet<OrderId>,
    /// How many of those are still at work.
    pub(super) at_work: usize,
    /// Where the state was kept, if it was.
    pub(super) snapshot: Option<Kept>,
    /// The engine of the rules that it puts in force, if it does.
    pub(super) engine: Option<Arc<dyn PolicyEngine>>,
}

/// When and where the state was kept last.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    /// The next one is due an interval after this position.
    pub(super) since: Position,
    /// The index of its event, if there is one.
    pub(super) index: Option<Position>,
    /// SHA-256 of the parts that are in the store with it.
    pub(super) parts: Arc<BTreeSet<Digest>>,
}

/// A draft with the entries that it answers.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) draft: Draft,
    pub(super) entries: Vec<Option<Entry>>,
    /// Something came in, or it is time to look.
    pub(super) is_due: bool,
    /// Until when jobs that were started for its orders may keep it open.
    pub(super) kept_until: Option<Monotonic>,
}

impl Turn {
    /// An empty turn upon the working state.
    pub(super) fn new(ledger: &Ledger) -> Self {
        Self { draft: Draft::new(ledger), entries: Vec::new(), is_due: false, kept_until: None }
    }
}

/// What follows a durable, sealed batch.
#[derive(Debug)]
pub(super) enum After {
    /// Tell everybody who waits for the order.
    End(Arc<Ended>),
    /// Answer the entry with this number.
    Reply(usize, Progress),
    /// Answer the entry with this number once the order's job has ended.
    ReplyAtEnd(usize, OrderId),
    /// Start the order's job.
    Start(OrderId, Option<Arc<Carried>>),
}

impl Draft {
    pub(super) fn new(ledger: &Ledger) -> Self {
        Self {
            at: ledger.time(),
            expected: ledger.position(),
            events: Vec::new(),
            batch: Batch::default(),
            after: Vec::new(),
            refused: Vec::new(),
            requests: BTreeMap::new(),
            commands: Vec::new(),
            off: Vec::new(),
            called_off: BTreeSet::new(),
            over: Vec::new(),
            started: BTreeSet::new(),
            at_work: 0,
            snapshot: None,
            engine: None,
        }
    }

    /// A job that was started for an order of this draft has ended.
    pub(super) fn ended(&mut self, order: &OrderId) {
        if self.started.contains(order) {
            self.at_work = self.at_work.saturating_sub(1);
        }
    }

    /// The number of events once it is durable.
    pub(super) fn end(&self) -> Position {
        self.expected.plus(u64::try_from(self.events.len()).unwrap_or(u64::MAX))
    }

    /// Writes the next event and folds it into the working state. Returns the event's index.
    pub(super) fn push(
        &mut self,
        ledger: &mut Ledger,
        event: EventBody,
        attached: Attached,
    ) -> Result<Position, Error> {
        let index = ledger.position();
        let document = EventDocument { v: V1, at: self.at, event };
        self.batch.events.push(document.to_bytes()?);
        ledger.apply(&document, &attached)?;
        self.events.push((document, attached));
        Ok(index)
    }

    /// Remembers which order a request became.
    pub(super) fn insert_request(
        &mut self,
        requester: &PrincipalId,
        request: &RequestId,
        record: RequestRecord,
    ) -> Result<(), Error> {
        let key = request_key(requester, request)?;
        self.requests.insert(
            (requester.clone(), request.clone()),
            (record.order.clone(), record.submission),
        );
        self.batch.inserts.push(Record { key, value: to_bytes(&record)? });
        Ok(())
    }

    /// Remembers where the events of a terminal order are.
    pub(super) fn put_order(
        &mut self,
        order: &OrderId,
        state: OrderState,
        submitted: Position,
        ended: Position,
    ) -> Result<(), Error> {
        let record = OrderRecord { v: V1, order: order.clone(), state, submitted, ended };
        self.batch.puts.push(Record { key: order_key(order)?, value: to_bytes(&record)? });
        Ok(())
    }
}
