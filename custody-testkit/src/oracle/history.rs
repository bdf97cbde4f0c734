mod end;
mod enrolled;
mod known;
mod standing;

use std::collections::BTreeMap;
use std::time::Duration;

pub use end::{End, Promises};

use custody_core::command::{Command, CommandResult, Resolution};
use custody_core::digest::Digest;
use custody_core::document::{
    CloseReason, Conclusion, DocumentReference, EventBody, EventDocument, OrderConcluded,
    OrderDecided, OrderDocument, OrderSubmitted, RecoveredEvent, SignatureSet, Verdict, Work,
    parse,
};
use custody_core::id::{CustodianId, OrderId, PrincipalId, RequestId, WalletId};
use custody_core::principal::SignedStatement;
use custody_core::replay::Documents;
use custody_core::time::Timestamp;

use super::charged::Charged;
use super::spent::Spent;
use super::{Breach, Invariant};
use enrolled::Enrolled;
use known::Known;
use standing::{Signing, Standing};

/// The story of each order, counted naively.
#[derive(Debug)]
pub(super) struct History {
    custodian: CustodianId,
    promises: Promises,
    enrolled: Enrolled,
    standing: Standing,
    orders: BTreeMap<OrderId, Known>,
    requests: BTreeMap<(PrincipalId, RequestId), OrderId>,
    spent: BTreeMap<WalletId, Spent>,
    last: Timestamp,
    /// When the custodian was recovered last.
    recovered: Option<Timestamp>,
    /// The orders that were open then and are to have ended before anything else happens.
    left: Vec<OrderId>,
}

impl History {
    pub(super) fn new(custodian: CustodianId, promises: Promises) -> Self {
        Self {
            custodian,
            promises,
            enrolled: Enrolled::default(),
            standing: Standing::default(),
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
            EventBody::ApprovalAdded(approval) => self.approve(approval, event.at),
            EventBody::Genesis(genesis) => {
                genesis.principals.iter().for_each(|person| self.enrolled.enroll(person));
                Ok(())
            }
            EventBody::KeyDestroyed(key) => {
                self.standing.destroy(key);
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
            EventBody::Recovered(recovered) => {
                self.recover(recovered, event.at);
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

    /// Whether the event `index` is the one that ended the order, which is what its receipt proves.
    /// Of an order that people resolved it is the event of their command.
    pub(super) fn concludes(&self, id: &OrderId, index: u64) -> bool {
        self.orders.get(id).is_some_and(|order| order.ended == Some(index))
    }

    /// No order is reserved that has not ended.
    pub(super) fn settled(&self) -> Result<(), Breach> {
        let mut reserved = self.orders.iter().filter(|(_, order)| order.is_reserved());
        match reserved.next() {
            None => Ok(()),
            Some((id, _)) => Err(Invariant::Durable.broken(format!("{id} is reserved for good"))),
        }
    }

    /// An approval that is written is by somebody who may say so, about this very order.
    fn approve(&mut self, approval: &SignedStatement, at: Timestamp) -> Result<(), Breach> {
        let id = &approval.statement.order;
        let broken = |what| Invariant::Approvals.broken(format!("an approval of {id}: {what}"));
        self.enrolled.check(approval, &self.custodian, at).map_err(broken)?;
        self.open(id)?.approve(&approval.statement).map_err(broken)
    }

    /// What is open has to end; a house that lacks what a known head is over starts frozen.
    fn recover(&mut self, recovered: &RecoveredEvent, at: Timestamp) {
        if recovered.behind.is_some() {
            self.standing.freeze_house();
        }
        self.recovered = Some(at);
        let open = self.orders.iter().filter(|(_, order)| order.end.is_none());
        self.left = open.map(|(id, _)| id.clone()).collect();
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
            signing: Signing::of(&order),
            wallet: order.wallet,
            approvals: Vec::new(),
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
        self.check_standing(id)?;
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
        let id = &concluded.order;
        if !self.open(id)?.allowed {
            return Err(Invariant::Durable.broken(format!("{id} ended without a reservation")));
        }
        let end = match &concluded.outcome {
            Conclusion::Executed { result } => {
                self.execute(index, id, result)?;
                End::Executed { result: result.clone() }
            }
            Conclusion::Failed { .. } => {
                self.give_back(id);
                End::Failed
            }
            Conclusion::Signed { signatures } => self.release(id, signatures, at, found)?,
            Conclusion::Unknown { suspends, .. } => {
                suspends.iter().for_each(|key| self.standing.suspend(key));
                End::Unknown
            }
        };
        self.finish(index, id, end)
    }

    fn release(
        &mut self,
        id: &OrderId,
        signatures: &DocumentReference,
        at: Timestamp,
        found: &dyn Documents,
    ) -> Result<End, Breach> {
        self.check_standing(id)?;
        let alone = self.promises.alone;
        let order = self.open(id)?;
        if let Some(approvals) = order.lacks(alone, at) {
            let what = format!("{id} was released with {approvals} approvals");
            return Err(Invariant::Approvals.broken(what));
        }
        let SignatureSet { signatures, .. } = document(found, &signatures.sha256)?;
        // What was found of the keys holds for those that signed only if they are the same.
        let named = order.signing.as_ref().map_or(&[][..], Signing::keys);
        if !signatures.iter().map(|signed| &signed.key).eq(named) {
            let what = format!("{id} was signed by other keys than its document names");
            return Err(Invariant::Signatures.broken(what));
        }
        Ok(End::Signed { signatures, resolved: false })
    }

    /// Nothing stands against a payload that is allowed or released. Of a command this is not
    /// asked, since no freeze stops it; nor of a payload that people resolve: its signatures exist,
    /// and what they say of it is a command.
    fn check_standing(&self, id: &OrderId) -> Result<(), Breach> {
        let signing = self.orders.get(id).and_then(|order| order.signing.as_ref());
        signing.map_or(Ok(()), |signing| self.standing.check(id, signing))
    }

    fn execute(&mut self, index: u64, id: &OrderId, result: &CommandResult) -> Result<(), Breach> {
        let command = self.open(id)?.command.clone();
        let command = command.ok_or_else(|| Invariant::Replay.broken("a payload was executed"))?;
        self.enrolled.execute(&command);
        self.standing.execute(&command, result);
        if let Command::RemovePrincipal { principal } = &command {
            self.open_orders().for_each(|order| order.forget(principal));
        } else if let Command::RemoveCredential { principal, credential } = &command {
            self.open_orders().for_each(|order| order.forget_credential(principal, credential));
        } else if let Command::ResolveOrder { order, resolution } = command {
            self.resolve(index, &order, resolution)?;
        }
        Ok(())
    }

    fn resolve(&mut self, index: u64, id: &OrderId, resolution: Resolution) -> Result<(), Breach> {
        let order = self.orders.get_mut(id).ok_or_else(|| unknown(id))?;
        // One that a stopped process left reserved is unknown first, or goes on.
        if order.end != Some(End::Unknown) {
            let what = format!("{id} was resolved and is {:?}", order.end);
            return Err(Invariant::OneRequest.broken(what));
        }
        order.ended = Some(index);
        order.end = Some(match resolution {
            Resolution::Failed { .. } => End::Failed,
            Resolution::Signed { signatures } => End::Signed { signatures, resolved: true },
        });
        if order.end == Some(End::Failed) {
            self.give_back(id);
        }
        Ok(())
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

    fn open_orders(&mut self) -> impl Iterator<Item = &mut Known> {
        self.orders.values_mut().filter(|order| order.end.is_none())
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

#[cfg(test)]
mod tests;
