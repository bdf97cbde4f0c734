//! What the custodian's log says that orders asked KMS for.

use std::collections::HashMap;

use custody_core::command::{Command, Resolution};
use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::document::{
    Conclusion, DocumentError, DocumentReference, EventBody, EventDocument, OrderConcluded,
    OrderDecided, OrderDocument, Verdict, Work, parse,
};
use custody_core::effect::Action;
use custody_core::id::{CustodianId, KeyId, OrderId, WalletId};
use custody_core::replay::Documents;
use custody_core::time::Timestamp;

use super::homes::{Home, Homes};

/// The orders of a log that were allowed to sign, and the wallets and keys that orders made.
#[derive(Clone, Debug)]
pub struct OrderLog {
    custodian: CustodianId,
    homes: Homes,
    orders: Vec<LoggedOrder>,
    /// Orders that wait for their decision.
    submitted: HashMap<OrderId, DocumentReference>,
    /// Orders that were allowed and are not at their end.
    allowed: HashMap<OrderId, Allowed>,
}

/// An order that was allowed to sign.
#[derive(Clone, Debug)]
pub(super) struct LoggedOrder {
    pub(super) order: OrderId,
    pub(super) tasks: Vec<LoggedTask>,
    pub(super) allowed: Timestamp,
    /// None if the log does not tell its end.
    pub(super) ended: Option<Timestamp>,
    pub(super) claim: Claim,
}

/// One signature that an order asked for.
#[derive(Clone, Debug)]
pub(super) struct LoggedTask {
    pub(super) key: KeyId,
    pub(super) algorithm: Algorithm,
}

/// What the log says about the signatures of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// There is none.
    Nothing,
    /// There may be some.
    Perhaps,
    /// There is one for each task.
    Signed,
}

#[derive(Clone, Debug)]
struct Allowed {
    /// Where it is, if it signs something.
    place: Option<usize>,
    work: Work,
}

impl OrderLog {
    /// Reads all events of a log, in their order and from the first one on, with the order documents
    /// that allowed orders name and the commands that made wallets or keys, registered backends or
    /// settled orders.
    ///
    /// # Errors
    /// Names the first event that is malformed, does not follow from those before it, or whose
    /// document is missing or another one, counted from 0 as in the log.
    pub fn read<E: AsRef<[u8]>>(
        custodian: CustodianId,
        events: impl IntoIterator<Item = E>,
        documents: &dyn Documents,
    ) -> Result<Self, OrderLogError> {
        let mut log = Self::empty(custodian);
        let mut count = 0_u64;
        for bytes in events {
            let index = count;
            log.event(index, bytes.as_ref(), documents)
                .map_err(|source| OrderLogError::Event { index, source })?;
            count = count.saturating_add(1);
        }
        if count == 0 { Err(OrderLogError::Empty) } else { Ok(log) }
    }

    /// The log of a custodian that signed nothing and has no wallets.
    #[must_use]
    pub fn empty(custodian: CustodianId) -> Self {
        Self {
            custodian,
            homes: Homes::default(),
            orders: Vec::new(),
            submitted: HashMap::new(),
            allowed: HashMap::new(),
        }
    }

    fn event(
        &mut self,
        index: u64,
        bytes: &[u8],
        documents: &dyn Documents,
    ) -> Result<(), EventFault> {
        let EventDocument { at, event, .. } = EventDocument::read(bytes)?;
        let is_genesis = matches!(event, EventBody::Genesis(_));
        if is_genesis != (index == 0) || is_genesis && Digest::of(bytes) != *self.custodian.digest()
        {
            return Err(EventFault::Genesis);
        }
        match event {
            EventBody::OrderSubmitted(submitted) => {
                let known = self.submitted.insert(submitted.order, submitted.document);
                known.map_or(Ok(()), |_| Err(EventFault::Order))
            }
            EventBody::OrderDecided(decided) => self.decided(at, decided, documents),
            EventBody::OrderClosed(closed) => {
                self.submitted.remove(&closed.order).map(drop).ok_or(EventFault::Order)
            }
            EventBody::OrderConcluded(concluded) => self.concluded(at, concluded, documents),
            EventBody::Genesis(genesis) => {
                for (backend, identity) in genesis.backends {
                    self.homes.add_backend(backend, &identity);
                }
                Ok(())
            }
            EventBody::ApprovalAdded(_)
            | EventBody::KeyDestroyed(_)
            | EventBody::Recovered(_)
            | EventBody::Snapshot(_) => Ok(()),
            _ => Err(EventFault::Unknown),
        }
    }

    fn decided(
        &mut self,
        at: Timestamp,
        decided: OrderDecided,
        documents: &dyn Documents,
    ) -> Result<(), EventFault> {
        let reference = self.submitted.remove(&decided.order).ok_or(EventFault::Order)?;
        if decided.verdict == Verdict::Denied {
            return Ok(());
        }
        let document: OrderDocument = parse(&document(documents, &reference.sha256)?)?;
        let OrderDocument { custodian, order, wallet, work, tasks, .. } = document;
        if custodian != self.custodian || order != decided.order {
            return Err(EventFault::Other);
        }
        for task in &tasks {
            self.homes.add_key(task.key.clone(), wallet.clone());
        }
        let tasks: Vec<LoggedTask> = tasks
            .into_iter()
            .map(|task| LoggedTask { key: task.key, algorithm: task.algorithm })
            .collect();
        let place = (!tasks.is_empty()).then_some(self.orders.len());
        if place.is_some() {
            let (order, claim) = (order.clone(), Claim::Perhaps);
            self.orders.push(LoggedOrder { order, tasks, allowed: at, ended: None, claim });
        }
        self.allowed.insert(order, Allowed { place, work });
        Ok(())
    }

    fn concluded(
        &mut self,
        at: Timestamp,
        concluded: OrderConcluded,
        documents: &dyn Documents,
    ) -> Result<(), EventFault> {
        let OrderConcluded { order, outcome } = concluded;
        match outcome {
            Conclusion::Executed { .. } => {
                let allowed = self.allowed.remove(&order).ok_or(EventFault::Order)?;
                self.executed(at, allowed, documents)
            }
            Conclusion::Failed { .. } => self.settle(&order, at, Claim::Nothing),
            Conclusion::Signed { .. } => self.settle(&order, at, Claim::Signed),
            // It can be resolved later.
            Conclusion::Unknown { .. } => {
                let allowed = self.allowed.get(&order).ok_or(EventFault::Order)?;
                let place = allowed.place;
                if let Some(order) = place.and_then(|place| self.orders.get_mut(place)) {
                    order.ended = Some(at);
                }
                Ok(())
            }
        }
    }

    /// An order that changed the custodian itself: it may have made a wallet or a key, registered a
    /// backend or settled another order.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are not looked into")]
    fn executed(
        &mut self,
        at: Timestamp,
        allowed: Allowed,
        documents: &dyn Documents,
    ) -> Result<(), EventFault> {
        let Work::Command(reference) = allowed.work else { return Err(EventFault::Order) };
        if !TOLD.contains(&reference.action) {
            return Ok(());
        }
        let command: Command = parse(&document(documents, &reference.sha256)?)?;
        if command.action() != reference.action {
            return Err(EventFault::Other);
        }
        match command {
            Command::CreateKey { wallet, key, .. } => self.homes.add_key(key, Some(wallet)),
            Command::CreateWallet { wallet, backend, .. } => self.homes.add_wallet(wallet, backend),
            Command::RegisterBackend { backend, identity } => {
                self.homes.add_backend(backend, &identity);
            }
            Command::ResolveOrder { order, resolution } => {
                let claim = match resolution {
                    Resolution::Failed { .. } => Claim::Nothing,
                    Resolution::Signed { .. } => Claim::Signed,
                };
                return self.settle(&order, at, claim);
            }
            _ => return Err(EventFault::Other),
        }
        Ok(())
    }

    fn settle(&mut self, order: &OrderId, at: Timestamp, claim: Claim) -> Result<(), EventFault> {
        let allowed = self.allowed.remove(order).ok_or(EventFault::Order)?;
        if let Some(order) = allowed.place.and_then(|place| self.orders.get_mut(place)) {
            order.ended = Some(at);
            order.claim = claim;
        }
        Ok(())
    }

    pub(super) fn orders(&self) -> &[LoggedOrder] {
        &self.orders
    }

    pub(super) fn has_wallet(&self, wallet: &WalletId) -> bool {
        self.homes.has_wallet(wallet)
    }

    /// Every key that an order made or was allowed to sign with, its wallet, and where it is.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&KeyId, Option<&WalletId>, Home)> {
        self.homes.keys()
    }

    /// Whose log it is.
    #[must_use]
    pub const fn custodian(&self) -> CustodianId {
        self.custodian
    }
}

fn document(documents: &dyn Documents, sha256: &Digest) -> Result<Vec<u8>, EventFault> {
    let bytes = documents.get(sha256).ok_or(EventFault::Missing)?;
    if Digest::of(&bytes) == *sha256 { Ok(bytes) } else { Err(EventFault::Digest) }
}

/// Why a log was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderLogError {
    /// There is no event.
    #[error("the log has no events")]
    Empty,
    /// Something is wrong with an event.
    #[error("event {index} is not taken")]
    Event {
        /// The event, counted from 0.
        index: u64,
        /// What is wrong with it.
        source: EventFault,
    },
}

/// What is wrong with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventFault {
    /// A document that it names has another digest.
    #[error("a document contradicts its digest")]
    Digest,
    /// It, or a document that it names, is malformed.
    #[error("the event or its document is malformed")]
    Document(#[from] DocumentError),
    /// The first event is not the custodian's genesis event, or it is not the only one.
    #[error("a log begins with the genesis event of its custodian, and has no other")]
    Genesis,
    /// A document that it names is missing.
    #[error("a document that the event names is missing")]
    Missing,
    /// It is about an order that is not open.
    #[error("the order is not open at this event")]
    Order,
    /// A document that it names is of another order, custodian or command.
    #[error("a document is not what the event says it is")]
    Other,
    /// It is of a kind that is not known.
    #[error("the kind of the event is not known")]
    Unknown,
}

/// The commands that are looked into.
const TOLD: [Action; 4] =
    [Action::CreateKey, Action::CreateWallet, Action::RegisterBackend, Action::ResolveOrder];
