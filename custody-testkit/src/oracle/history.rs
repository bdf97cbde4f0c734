use std::collections::BTreeMap;
use std::time::Duration;

use custody_core::amount::Units;
use custody_core::caip::AssetId;
use custody_core::command::{Command, CommandResult, Resolution};
use custody_core::digest::Digest;
use custody_core::document::{
    CloseReason, Conclusion, EventBody, EventDocument, OrderConcluded, OrderDecided, OrderDocument,
    OrderSubmitted, SignatureSet, Verdict, Work, parse,
};
use custody_core::id::{OrderId, PrincipalId, RequestId, WalletId};
use custody_core::replay::Documents;
use custody_core::seam::TaskSignature;
use custody_core::time::Timestamp;

use super::charged::Charged;
use super::spent::Spent;
use super::{Breach, Invariant};

/// What the rules of a house promise about one asset, so that it can be counted without them.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "tests build it")]
pub struct Promises {
    /// The asset; none if nothing is promised.
    pub asset: Option<AssetId>,
    /// What may leave one wallet in a day; none if it is not limited.
    pub a_day: Option<Units>,
    /// What one order may cost without approvals, fee and all, and how many people it takes beyond.
    pub alone: Option<(Units, usize)>,
}

/// How an order ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "tests take it apart")]
pub enum End {
    /// Taken back.
    Cancelled,
    /// Denied or rejected.
    Denied,
    /// Its command is done.
    Executed {
        /// What it left behind.
        result: CommandResult,
    },
    /// Waited too long.
    Expired,
    /// Nothing was signed.
    Failed,
    /// Signed, by the custodian or by a resolution.
    Signed {
        /// The signatures.
        signatures: Vec<TaskSignature>,
        /// Whether people said so.
        resolved: bool,
    },
    /// A signature may exist.
    Unknown,
}

/// The story of each order, counted naively.
#[derive(Debug)]
pub(super) struct History {
    promises: Promises,
    orders: BTreeMap<OrderId, Known>,
    requests: BTreeMap<(PrincipalId, RequestId), OrderId>,
    spent: BTreeMap<WalletId, Spent>,
    last: Timestamp,
    /// When the custodian was recovered last.
    recovered: Option<Timestamp>,
    /// The orders that were open then and are to have ended before anything else happens.
    left: Vec<OrderId>,
}

/// What is known about one order.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) digest: Digest,
    pub(super) command: Option<Command>,
    pub(super) end: Option<End>,
    requester: PrincipalId,
    wallet: Option<WalletId>,
    /// What it takes from its wallet, in the asset that is promised something about.
    charged: Charged,
    approvals: BTreeMap<PrincipalId, Timestamp>,
    allowed: bool,
    /// The event that ended it.
    ended: Option<u64>,
}

impl History {
    pub(super) const fn new(promises: Promises) -> Self {
        Self {
            promises,
            orders: BTreeMap::new(),
            requests: BTreeMap::new(),
            spent: BTreeMap::new(),
            last: Timestamp::from_millis(0),
            recovered: None,
            left: Vec::new(),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "an event of a new kind does not replay")]
    pub(super) fn event(
        &mut self,
        index: u64,
        event: &EventDocument,
        documents: &dyn Documents,
    ) -> Result<(), Breach> {
        if event.at < self.last {
            return Err(Invariant::Log.broken("ledger time went back"));
        }
        self.last = event.at;
        let ends = matches!(
            event.event,
            EventBody::OrderClosed(_) | EventBody::OrderConcluded(_) | EventBody::Recovered(_)
        );
        if !ends {
            self.check_left()?;
        }
        match &event.event {
            EventBody::ApprovalAdded(approval) => {
                let said = &approval.statement;
                let order = self.open(&said.order)?;
                let until =
                    order.approvals.entry(said.principal.clone()).or_insert(said.valid_until);
                *until = said.valid_until.max(*until);
                Ok(())
            }
            EventBody::OrderClosed(closed) => {
                let end = match closed.reason {
                    CloseReason::Cancelled(_) | CloseReason::Recovered {} => End::Cancelled,
                    CloseReason::Expired {} => End::Expired,
                    CloseReason::Rejected(_) => End::Denied,
                };
                self.finish(index, &closed.order, end)
            }
            EventBody::OrderConcluded(concluded) => {
                self.conclude(index, concluded, event.at, documents)
            }
            EventBody::OrderDecided(decided) => self.decide(index, decided, event.at),
            EventBody::OrderSubmitted(submitted) => self.submit(submitted, documents),
            EventBody::Recovered(_) => {
                self.recovered = Some(event.at);
                let open = self.orders.iter().filter(|(_, order)| order.end.is_none());
                self.left = open.map(|(id, _)| id.clone()).collect();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn order(&self, id: &OrderId) -> Option<&Known> {
        self.orders.get(id)
    }

    pub(super) fn orders(&self) -> impl Iterator<Item = &OrderId> {
        self.orders.keys()
    }

    pub(super) fn request(&self, request: &(PrincipalId, RequestId)) -> Option<&OrderId> {
        self.requests.get(request)
    }

    /// Whether the event `index` is the one that ended the order.
    pub(super) fn concludes(&self, id: &OrderId, index: u64) -> bool {
        self.orders.get(id).is_some_and(|order| {
            order.ended == Some(index)
                || matches!(order.end, Some(End::Signed { resolved: true, .. }))
        })
    }

    /// Nothing that waited or was reserved outlives a recovery.
    fn check_left(&mut self) -> Result<(), Breach> {
        for id in self.left.drain(..) {
            match self.orders.get(&id).and_then(|order| order.end.as_ref()) {
                Some(End::Cancelled | End::Unknown) => {}
                other => {
                    let what = format!("{id} outlived a recovery: {other:?}");
                    return Err(Invariant::Durable.broken(what));
                }
            }
        }
        Ok(())
    }

    fn submit(&mut self, submitted: &OrderSubmitted, found: &dyn Documents) -> Result<(), Breach> {
        let digest = submitted.document.sha256;
        let order: OrderDocument = document(found, &digest)?;
        let command = match &order.work {
            Work::Command(reference) => Some(document(found, &reference.sha256)?),
            Work::Payload(_) => None,
        };
        let request = (submitted.requester.clone(), submitted.request.clone());
        if let Some(first) = self.requests.insert(request, submitted.order.clone()) {
            let what = format!("one request became {first} and {}", submitted.order);
            return Err(Invariant::OneRequest.broken(what));
        }
        let known = Known {
            digest,
            command,
            end: None,
            requester: submitted.requester.clone(),
            charged: self.charged(&order),
            wallet: order.wallet,
            approvals: BTreeMap::new(),
            allowed: false,
            ended: None,
        };
        match self.orders.insert(submitted.order.clone(), known) {
            None => Ok(()),
            Some(_) => Err(Invariant::OneRequest.broken("an order was submitted twice")),
        }
    }

    fn charged(&self, order: &OrderDocument) -> Charged {
        match (&self.promises.asset, &order.wallet) {
            (Some(asset), Some(_)) => Charged::of(asset, &order.effects),
            (None, _) | (_, None) => Charged::Nothing,
        }
    }

    fn decide(&mut self, index: u64, decided: &OrderDecided, at: Timestamp) -> Result<(), Breach> {
        let id = &decided.order;
        if decided.verdict == Verdict::Denied {
            return self.finish(index, id, End::Denied);
        }
        let (a_day, alone) = (self.promises.a_day, self.promises.alone);
        let order = self.open(id)?;
        if std::mem::replace(&mut order.allowed, true) {
            return Err(Invariant::Durable.broken(format!("{id} was allowed twice")));
        }
        let (units, wallet) = match (order.charged, order.wallet.clone()) {
            (Charged::Units(units), Some(wallet)) => (units, wallet),
            (Charged::TooMuch, _) => {
                return Err(Invariant::Limits.broken(format!("{id} overflows and was allowed")));
            }
            (Charged::Nothing | Charged::Units(_), _) => return Ok(()),
        };
        if let Some(approvals) = order.lacks(alone, at) {
            let what = format!("{id} was allowed with {approvals} approvals");
            return Err(Invariant::Approvals.broken(what));
        }
        if a_day.is_some() && self.recovered.is_some_and(|since| at.since(since) < DAY) {
            let what = format!("{id} was allowed within a day after a recovery");
            return Err(Invariant::Limits.broken(what));
        }
        let sum = self.spent.entry(wallet.clone()).or_default().reserve(at, id, units);
        match a_day {
            Some(limit) if sum > limit => {
                Err(Invariant::Limits.broken(format!("{sum} left {wallet} in a day")))
            }
            _ => Ok(()),
        }
    }

    fn conclude(
        &mut self,
        index: u64,
        concluded: &OrderConcluded,
        at: Timestamp,
        found: &dyn Documents,
    ) -> Result<(), Breach> {
        let (id, alone) = (&concluded.order, self.promises.alone);
        let order = self.open(id)?;
        if !order.allowed {
            return Err(Invariant::Durable.broken(format!("{id} ended without a reservation")));
        }
        let end = match &concluded.outcome {
            Conclusion::Executed { result } => {
                let command = order.command.clone();
                if let Some(Command::RemovePrincipal { principal }) = &command {
                    self.remove(principal);
                }
                if let Some(Command::ResolveOrder { order, resolution }) = command {
                    self.resolve(&order, resolution)?;
                }
                End::Executed { result: result.clone() }
            }
            Conclusion::Failed { .. } => {
                self.give_back(id);
                End::Failed
            }
            Conclusion::Signed { signatures } => {
                if let Some(approvals) = order.lacks(alone, at) {
                    let what = format!("{id} was released with {approvals} approvals");
                    return Err(Invariant::Approvals.broken(what));
                }
                let set: SignatureSet = document(found, &signatures.sha256)?;
                End::Signed { signatures: set.signatures, resolved: false }
            }
            Conclusion::Unknown { .. } => End::Unknown,
        };
        self.finish(index, id, end)
    }

    fn resolve(&mut self, id: &OrderId, resolution: Resolution) -> Result<(), Breach> {
        let order = self.orders.get_mut(id).ok_or_else(|| unknown(id))?;
        // An order that a stopped process left reserved may be resolved as well.
        if !matches!(order.end, None | Some(End::Unknown)) {
            return Err(Invariant::OneRequest.broken(format!("{id} had ended and was resolved")));
        }
        order.end = Some(match resolution {
            Resolution::Failed { .. } => End::Failed,
            Resolution::Signed { signatures } => End::Signed { signatures, resolved: true },
        });
        if order.end == Some(End::Failed) {
            self.give_back(id);
        }
        Ok(())
    }

    /// What a person has said of orders that have not ended is gone with them.
    fn remove(&mut self, person: &PrincipalId) {
        for order in self.orders.values_mut().filter(|order| order.end.is_none()) {
            order.approvals.remove(person);
        }
    }

    fn finish(&mut self, index: u64, id: &OrderId, end: End) -> Result<(), Breach> {
        let order = self.open(id)?;
        order.end = Some(end);
        order.ended = Some(index);
        Ok(())
    }

    fn give_back(&mut self, id: &OrderId) {
        let wallet = self.orders.get(id).and_then(|order| order.wallet.as_ref());
        if let Some(spent) = wallet.and_then(|wallet| self.spent.get_mut(wallet)) {
            spent.give_back(id);
        }
    }

    /// An order that has not ended.
    fn open(&mut self, id: &OrderId) -> Result<&mut Known, Breach> {
        let order = self.orders.get_mut(id).ok_or_else(|| unknown(id))?;
        match order.end {
            None => Ok(order),
            Some(_) => Err(Invariant::OneRequest.broken(format!("{id} goes on after its end"))),
        }
    }
}

impl Known {
    /// How many approvals it has at this time, if it takes more.
    fn lacks(&self, alone: Option<(Units, usize)>, at: Timestamp) -> Option<usize> {
        let (Charged::Units(units), Some((most, people))) = (self.charged, alone) else {
            return None;
        };
        let approvals = self.approvers(at);
        (units > most && approvals < people).then_some(approvals)
    }

    /// How many people but the requester have approved it and still do.
    fn approvers(&self, at: Timestamp) -> usize {
        let counts = |(person, until): &(&PrincipalId, &Timestamp)| {
            **person != self.requester && **until >= at
        };
        self.approvals.iter().filter(counts).count()
    }
}

fn document<T: serde::de::DeserializeOwned>(
    documents: &dyn Documents,
    sha256: &Digest,
) -> Result<T, Breach> {
    let bytes = documents.get(sha256);
    let bytes = bytes.ok_or_else(|| Invariant::Durable.broken("a document is missing"))?;
    parse(&bytes).map_err(|error| Invariant::Replay.broken(format!("a document: {error}")))
}

fn unknown(id: &OrderId) -> Breach {
    Invariant::Durable.broken(format!("{id} was never submitted"))
}

const DAY: Duration = Duration::from_secs(86_400);
