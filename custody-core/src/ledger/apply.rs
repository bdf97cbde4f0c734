use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    CommandRefusal, KeyIndex, Ledger, Looks, OpenOrder, OrderIndex, PolicyInForce, charges,
};
use crate::command::{Command, Resolution};
use crate::document::{
    CloseReason, Conclusion, DocumentError, EventBody, EventDocument, GenesisEvent, OrderClosed,
    OrderConcluded, OrderDecided, OrderDocument, OrderSubmitted, Verdict, parse,
};
use crate::id::{CustodianId, KeyId, OrderId};
use crate::key::KeyState;
use crate::order::{Impossible, OrderState, OrderStep};
use crate::parted::Parted;
use crate::principal::{SignedStatement, Verb};
use crate::seam::{PolicyDocument, Position};
use crate::window::{WindowOverflow, Windows};

/// The documents that an event needs to be folded, checked against the digests it names.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "the sequencer and the verifier build it")]
pub struct Attached {
    /// The order document of a submission.
    pub order: Option<Arc<OrderDocument>>,
    /// The command of a submission.
    pub command: Option<Arc<Command>>,
}

/// Why an event cannot follow the events before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// A statement does not count.
    #[error("the statement does not count: {what}")]
    Statement {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A command cannot be done.
    #[error("the command cannot be done")]
    Command(#[from] CommandRefusal),
    /// A document is malformed.
    #[error("a document is malformed")]
    Document(#[from] DocumentError),
    /// An order exists already.
    #[error("the order exists already")]
    Exists,
    /// An order cannot take this step.
    #[error("an order cannot take this step")]
    Impossible(#[from] Impossible),
    /// A key cannot move between these states.
    #[error("a key cannot move from {from} to {to}")]
    KeyState {
        /// The state it is in.
        from: KeyState,
        /// The state it should move to.
        to: KeyState,
    },
    /// A document that the event needs is not there.
    #[error("a document of the event is missing")]
    Missing,
    /// A window's sum passes 2^256 - 1.
    #[error("a spending window overflows")]
    Overflow(#[from] WindowOverflow),
    /// A recovery contradicts the events before it, or is not settled.
    #[error("the recovery does not fit: {what}")]
    Recovery {
        /// What does not fit.
        what: &'static str,
    },
    /// A command's result does not fit the command.
    #[error("the result does not fit the command")]
    Result,
    /// Ledger time went back.
    #[error("ledger time went back")]
    Time,
    /// The thing an event names does not exist.
    #[error("the {what} of the event does not exist")]
    Unknown {
        /// What does not exist.
        what: &'static str,
    },
}

impl Ledger {
    /// The state after the genesis event, whose policy document is `policy`.
    ///
    /// # Errors
    /// Fails on a malformed rule set, and on principals with unknown roles or shared credentials.
    pub fn genesis(
        custodian: CustodianId,
        event: &EventDocument,
        policy: &[u8],
    ) -> Result<Self, LedgerError> {
        let EventBody::Genesis(genesis) = &event.event else {
            return Err(LedgerError::Unknown { what: "genesis" });
        };
        let document: PolicyDocument = parse(policy)?;
        let id = PolicyDocument::id_of(policy);
        if *id.digest() != genesis.policy.sha256 {
            return Err(LedgerError::Missing);
        }
        if document.v != 1 {
            return Err(CommandRefusal::Malformed { what: "rule set" }.into());
        }
        let mut ledger = Self::empty(custodian, event, genesis, PolicyInForce { id, document });
        for principal in &genesis.principals {
            if ledger.members.contains_key(&principal.id) {
                return Err(CommandRefusal::Exists { what: "principal" }.into());
            }
            ledger.check_principal(principal)?;
            ledger.enroll(principal.clone());
        }
        Ok(ledger)
    }

    fn empty(
        custodian: CustodianId,
        event: &EventDocument,
        genesis: &GenesisEvent,
        policy: PolicyInForce,
    ) -> Self {
        Self {
            custodian,
            position: Position::new(1),
            began: event.at,
            time: event.at,
            engine: genesis.engine.clone(),
            log_key: genesis.log_key.clone(),
            policy: Arc::new(policy),
            members: BTreeMap::new(),
            roles: BTreeMap::new(),
            wallets: Parted::default(),
            keys: Parted::default(),
            assets: genesis
                .assets
                .iter()
                .map(|asset| (asset.id().clone(), asset.clone()))
                .collect(),
            backends: genesis.backends.clone(),
            addresses: Parted::default(),
            frozen: false,
            drilled: None,
            recovered: None,
            unsettled: 0,
            windows: Windows::default(),
            orders: BTreeMap::new(),
            open: OrderIndex::default(),
            index: KeyIndex::default(),
            looks: Looks::default(),
        }
    }

    /// Folds the next event. On an error the state must be thrown away.
    ///
    /// # Errors
    /// Fails if the event cannot follow the events before it.
    pub fn apply(&mut self, event: &EventDocument, attached: &Attached) -> Result<(), LedgerError> {
        if event.at < self.time {
            return Err(LedgerError::Time);
        }
        self.time = event.at;
        self.check_settling(&event.event)?;
        match &event.event {
            EventBody::Genesis(_) => return Err(LedgerError::Exists),
            EventBody::OrderSubmitted(submitted) => self.submitted(submitted, attached)?,
            EventBody::ApprovalAdded(approval) => self.approved(approval)?,
            EventBody::OrderDecided(decided) => self.decided(decided)?,
            EventBody::OrderConcluded(concluded) => self.concluded(concluded)?,
            EventBody::OrderClosed(closed) => self.closed(closed)?,
            EventBody::KeyDestroyed(key) => self.destroyed(key)?,
            EventBody::Recovered(recovered) => self.recover(recovered)?,
            EventBody::Snapshot(_) => self.windows.prune(event.at),
        }
        self.position = self.position.plus(1);
        Ok(())
    }

    fn submitted(
        &mut self,
        submitted: &OrderSubmitted,
        attached: &Attached,
    ) -> Result<(), LedgerError> {
        let document = attached.order.clone().ok_or(LedgerError::Missing)?;
        if self.orders.contains_key(&submitted.order) {
            return Err(LedgerError::Exists);
        }
        let order = OpenOrder {
            document,
            digest: submitted.document.sha256,
            submission: submitted.submission,
            authentication: submitted.authentication.clone(),
            command: attached.command.clone(),
            state: OrderState::Pending,
            submitted: self.position,
            decided: None,
            reserved: None,
            approvals: Vec::new(),
            counted: Vec::new(),
            lost: None,
            removed: false,
            called_off: false,
        };
        self.open.add(&order);
        self.orders.insert(submitted.order.clone(), order);
        Ok(())
    }

    fn approved(&mut self, approval: &SignedStatement) -> Result<(), LedgerError> {
        self.check_statement(approval, Verb::Approve)?;
        let order = self.open_order(&approval.statement.order)?;
        if order.state != OrderState::Pending {
            return Err(LedgerError::Statement { what: "the order does not wait" });
        }
        order.approvals.push(approval.clone());
        Ok(())
    }

    fn decided(&mut self, decided: &OrderDecided) -> Result<(), LedgerError> {
        let (position, time) = (self.position, self.time);
        match decided.verdict {
            Verdict::Denied => self.end(&decided.order, OrderStep::Deny),
            Verdict::Allowed => {
                let counted = self.orders.get(&decided.order).map(|order| {
                    self.counting_approvals(order, time)
                        .map(|approval| approval.statement.principal.clone())
                        .collect()
                });
                let order = self.open_order(&decided.order)?;
                order.state = order.state.apply(OrderStep::Allow)?;
                order.decided = Some(position);
                order.reserved = Some(time);
                order.counted = counted.unwrap_or_default();
                let document = Arc::clone(&order.document);
                self.open.reserve(&document);
                self.windows.reserve(&charges(&document)?, time)?;
                Ok(())
            }
        }
    }

    fn concluded(&mut self, concluded: &OrderConcluded) -> Result<(), LedgerError> {
        let id = &concluded.order;
        match &concluded.outcome {
            Conclusion::Signed { .. } => self.end(id, OrderStep::Sign),
            Conclusion::Failed { .. } => {
                self.give_back(id)?;
                self.end(id, OrderStep::Fail)
            }
            Conclusion::Unknown { reason, suspends } => {
                let order = self.open_order(id)?;
                order.state = order.state.apply(OrderStep::Lose)?;
                order.lost = Some(*reason);
                self.settled();
                suspends.iter().for_each(|key| self.call_off(key));
                match suspends {
                    Some(key) if self.find_key(key)?.state == KeyState::Active => {
                        self.move_key(key, KeyState::Suspended)
                    }
                    _ => Ok(()),
                }
            }
            Conclusion::Executed { result } => {
                let time = self.time;
                let command = self.executable(id)?;
                self.execute(&command, result, time)?;
                if let Command::ResolveOrder { order, resolution } = command.as_ref() {
                    self.resolve(order, resolution)?;
                }
                self.end(id, OrderStep::Execute)
            }
        }
    }

    fn resolve(&mut self, id: &OrderId, resolution: &Resolution) -> Result<(), LedgerError> {
        match resolution {
            Resolution::Signed { .. } => self.end(id, OrderStep::ResolveSigned),
            Resolution::Failed { .. } => {
                self.give_back(id)?;
                self.end(id, OrderStep::ResolveFailed)
            }
        }
    }

    fn closed(&mut self, closed: &OrderClosed) -> Result<(), LedgerError> {
        match &closed.reason {
            CloseReason::Expired {} => {
                let time = self.time;
                if self.open_order(&closed.order)?.document.expires >= time {
                    return Err(LedgerError::Time);
                }
                self.end(&closed.order, OrderStep::Expire)
            }
            CloseReason::Recovered {} => {
                self.end(&closed.order, OrderStep::Cancel)?;
                self.settled();
                Ok(())
            }
            CloseReason::Cancelled(statement) => {
                self.check_closing(closed, statement, Verb::Cancel)?;
                self.end(&closed.order, OrderStep::Cancel)
            }
            CloseReason::Rejected(statement) => {
                self.check_closing(closed, statement, Verb::Reject)?;
                self.end(&closed.order, OrderStep::Deny)
            }
        }
    }

    fn check_closing(
        &self,
        closed: &OrderClosed,
        statement: &SignedStatement,
        verb: Verb,
    ) -> Result<(), LedgerError> {
        self.check_statement(statement, verb)?;
        if statement.statement.order == closed.order {
            Ok(())
        } else {
            Err(LedgerError::Statement { what: "another order" })
        }
    }

    fn destroyed(&mut self, id: &KeyId) -> Result<(), LedgerError> {
        let time = self.time;
        if self.find_key(id)?.destruction.is_none_or(|due| due > time) {
            return Err(LedgerError::Time);
        }
        self.check_free(id)?;
        self.move_key(id, KeyState::Destroyed)?;
        self.schedule(id, None)
    }

    fn give_back(&mut self, id: &OrderId) -> Result<(), LedgerError> {
        let order = self.open_order(id)?;
        let Some(reserved) = order.reserved.take() else { return Ok(()) };
        let charges = charges(&order.document)?;
        self.windows.release(&charges, reserved);
        Ok(())
    }

    /// Takes an order's last step and forgets it: what is terminal is read from its events.
    fn end(&mut self, id: &OrderId, step: OrderStep) -> Result<(), LedgerError> {
        self.open_order(id)?.state.apply(step)?;
        if let Some(order) = self.orders.remove(id) {
            self.open.remove(&order.document, order.state);
        }
        Ok(())
    }

    fn open_order(&mut self, id: &OrderId) -> Result<&mut OpenOrder, LedgerError> {
        self.orders.get_mut(id).ok_or(LedgerError::Unknown { what: "order" })
    }
}
