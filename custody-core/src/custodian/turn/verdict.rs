use std::sync::Arc;

use super::Standing;
use crate::command::{Command, CommandResult, Resolution};
use crate::custodian::draft::{After, Draft};
use crate::custodian::error::Error;
use crate::custodian::job;
use crate::custodian::message::{Carried, Ended, Finished};
use crate::custodian::prepare::{UNDECIDABLE, new_engine};
use crate::custodian::sequencer::Sequencer;
use crate::custodian::shared::lock;
use crate::document::{
    CloseReason, Conclusion, DocumentError, EventBody, Hold, OrderClosed, OrderConcluded,
    OrderDecided, OrderDocument, Verdict, Work,
};
use crate::id::OrderId;
use crate::ledger::{Attached, Decision, Key, OpenOrder};
use crate::order::OrderState;
use crate::seam::{Position, TaskSignature};

impl Sequencer {
    /// Judges a pending order and admits or denies it.
    pub(super) fn judge(
        &mut self,
        id: &OrderId,
        carried: Option<&Arc<Carried>>,
        draft: &mut Draft,
    ) -> Result<Standing, Error> {
        let decision = self.decide(id, draft)?;
        let is_denied = decision.is_final || !decision.errors.is_empty();
        if !decision.allowed && !is_denied {
            return Ok(Standing::Waiting);
        }
        let standing = self.write_decision(id, &decision, carried, draft)?;
        if carried.is_some() && matches!(standing, Standing::Waiting) {
            // A new order that cannot be decided is not taken in.
            return Err(UNDECIDABLE);
        }
        Ok(standing)
    }

    /// Admits or denies an order. If no event has place for the decision nothing is written, and
    /// the order waits: the sums of its windows have grown since it came in, and shrink again.
    pub(super) fn write_decision(
        &mut self,
        id: &OrderId,
        decision: &Decision,
        carried: Option<&Arc<Carried>>,
        draft: &mut Draft,
    ) -> Result<Standing, Error> {
        if !decision.allowed {
            return self.push_denial(id, decision, draft);
        }
        match self.push_decision(id, Verdict::Allowed, decision, draft)? {
            Some(_) => self.admit(id, carried, draft),
            None => Ok(Standing::Waiting),
        }
    }

    pub(super) fn decide(&self, id: &OrderId, draft: &Draft) -> Result<Decision, Error> {
        let order = self.ledger.order(id).ok_or(Error::NotFound { what: "open order" })?;
        Ok(self.ledger.decide(self.engine.as_ref(), order, draft.at))
    }

    /// Writes the event of a decision; none if it is too large for one.
    fn push_decision(
        &mut self,
        id: &OrderId,
        verdict: Verdict,
        decision: &Decision,
        draft: &mut Draft,
    ) -> Result<Option<Position>, Error> {
        let event = EventBody::OrderDecided(OrderDecided {
            order: id.clone(),
            verdict,
            engine: self.shared.compiler.engine().clone(),
            policy: self.ledger.policy().id(),
            rules: decision.rules.clone(),
            errors: decision.errors.clone(),
            windows: decision.windows.clone(),
        });
        match draft.push(&mut self.ledger, event, Attached::default()) {
            Ok(index) => Ok(Some(index)),
            Err(Error::Document(DocumentError::Write)) => {
                tracing::warn!(order = id.as_str(), "no event has place for the decision");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn push_denial(
        &mut self,
        id: &OrderId,
        decision: &Decision,
        draft: &mut Draft,
    ) -> Result<Standing, Error> {
        let ended = self.end(id, OrderState::Denied)?;
        let Some(index) = self.push_decision(id, Verdict::Denied, decision, draft)? else {
            return Ok(Standing::Waiting);
        };
        let rules = decision.rules.iter().chain(&decision.errors).cloned().collect();
        let ended = Arc::new(Ended { index, rules, ..ended });
        self.close_order(&ended, draft)
    }

    /// An allowed order: a command that needs no backend is done at once; everything else gets a
    /// job once the reservation is durable.
    fn admit(
        &mut self,
        id: &OrderId,
        carried: Option<&Arc<Carried>>,
        draft: &mut Draft,
    ) -> Result<Standing, Error> {
        let command = self.ledger.order(id).and_then(|order| order.command().cloned());
        match command {
            Some(command) if !self.needs_job(&command) => self.execute(id, &command, draft),
            _ => {
                self.running.insert(id.clone());
                match carried {
                    Some(carried) if self.can_start(id) => self.start_early(id, carried, draft),
                    _ => draft.after.push(After::Start(id.clone(), carried.cloned())),
                }
                Ok(Standing::Started)
            }
        }
    }

    /// Whether a command calls a backend or a handler. A backend that is not there is told nothing.
    fn needs_job(&self, command: &Command) -> bool {
        if let Command::CancelDestroy { key }
        | Command::DestroyKey { key, .. }
        | Command::ResumeKey { key } = command
        {
            return self.has_switch(key);
        }
        command.may_take_time()
    }

    /// Whether nobody outside this process can see the order's job: a payload whose keys are open
    /// and in this process. What such a job signs exists nowhere before the turn of its outcome is
    /// durable and sealed, so that it need not wait for its reservation. What allows it may not be
    /// durable yet, as a thaw that is being committed: a job asks what is durable, and would fail.
    fn can_start(&self, id: &OrderId) -> bool {
        let Some(order) = self.ledger.order(id) else { return false };
        let document = order.document();
        let wallet = document.wallet.as_ref().and_then(|id| self.ledger.wallet(id));
        let backend = wallet.and_then(|wallet| self.shared.backends.get(wallet.backend()));
        let Some(backend) = backend.filter(|backend| backend.backend.in_process()) else {
            return false;
        };
        let is_open = {
            let signers = lock(&self.shared.signers);
            document.tasks.iter().all(|task| {
                let recorded = self.ledger.key(&task.key).map(Key::handle);
                signers.get(&task.key).is_some_and(|(handle, _)| recorded == Some(handle))
            })
        };
        let has_tasks = !document.tasks.is_empty();
        has_tasks && is_open && job::may_use(&self.shared, order, backend).is_ok()
    }

    fn start_early(&self, id: &OrderId, carried: &Arc<Carried>, draft: &mut Draft) {
        let Some(order) = self.ledger.order(id).cloned() else { return };
        draft.started.insert(id.clone());
        draft.at_work = draft.at_work.saturating_add(1);
        let job = job::run(Arc::clone(&self.shared), order, Some(Arc::clone(carried)));
        self.shared.spawner.spawn(Box::pin(job));
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
    pub(super) fn execute(
        &mut self,
        id: &OrderId,
        command: &Arc<Command>,
        draft: &mut Draft,
    ) -> Result<Standing, Error> {
        let engine = new_engine(&self.shared, command);
        if engine.is_err() || !self.can_do(command) {
            return self.conclude(id, Conclusion::Failed { reason: Hold::Conflict }, None, draft);
        }
        if command.is_urgent() {
            self.shared.holds_mut().add(command);
        }
        if let Some(engine) = engine.ok().flatten() {
            self.engine = Arc::clone(&engine);
            draft.engine = Some(engine);
        }
        let resolved = match command.as_ref() {
            Command::ResolveOrder { order, resolution } => {
                let state = match resolution {
                    Resolution::Failed { .. } => OrderState::Failed,
                    Resolution::Signed { .. } => OrderState::Signed,
                };
                let found = self.ledger.order(order).map(OpenOrder::submitted);
                found.map(|submitted| (order.clone(), state, submitted))
            }
            _ => None,
        };
        let result = CommandResult::Done {};
        let index = self.ledger.position();
        let standing = self.conclude(id, Conclusion::Executed { result }, None, draft)?;
        draft.commands.push(Arc::clone(command));
        if let Command::CompromiseKey { key }
        | Command::DeactivateKey { key }
        | Command::SuspendKey { key } = command.as_ref()
        {
            draft.off.push(key.clone());
        }
        if let Command::SuspendKey { key } = command.as_ref() {
            self.call_off(key, draft)?;
        }
        if let Some((order, state, submitted)) = resolved {
            draft.put_order(&order, state, submitted, index)?;
        }
        Ok(standing)
    }

    /// Whether a command can still be done. Since it was submitted a key may have been made that a
    /// descriptor does not describe, and the process may be another one, with other decoders and a
    /// log with other keys.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others ask for nothing besides")]
    fn can_do(&self, command: &Command) -> bool {
        let is_there = match command {
            Command::ResolveOrder { order, resolution: Resolution::Signed { .. } } => {
                self.ledger.order(order).is_some_and(|lost| self.still_reads(lost.document()))
            }
            Command::RotateLogKey { next, .. } => lock(&self.shared.log_signers).contains(next),
            _ => true,
        };
        is_there
            && self.ledger.check(command).is_ok()
            && self.ledger.check_described(command, &self.shared.decoders).is_ok()
    }

    /// Whether the payload of an order is read by the version of the decoder that read it first: no
    /// other can show that signatures are of it.
    fn still_reads(&self, order: &OrderDocument) -> bool {
        let (Work::Payload(payload), Some(chain)) = (&order.work, &order.chain) else {
            return false;
        };
        let decoder = self.shared.decoder(&payload.format, chain);
        decoder.is_ok_and(|decoder| job::same_decoder(&order.work, decoder.as_ref()))
    }

    /// Writes the outcome of an allowed order.
    pub(super) fn conclude(
        &mut self,
        id: &OrderId,
        outcome: Conclusion,
        finished: Option<(&Finished, Vec<TaskSignature>)>,
        draft: &mut Draft,
    ) -> Result<Standing, Error> {
        let state = match &outcome {
            Conclusion::Executed { .. } => OrderState::Executed,
            Conclusion::Failed { .. } => OrderState::Failed,
            Conclusion::Signed { .. } => OrderState::Signed,
            Conclusion::Unknown { .. } => OrderState::Unknown,
        };
        let mut ended = self.end(id, state)?;
        if let Some((finished, signatures)) = finished {
            ended.carried = finished.carried.clone();
            ended.signatures = signatures;
        }
        ended.conclusion = Some(outcome.clone());
        let event = EventBody::OrderConcluded(OrderConcluded { order: id.clone(), outcome });
        ended.index = draft.push(&mut self.ledger, event, Attached::default())?;
        self.close_order(&Arc::new(ended), draft)
    }

    /// What an order's answer is made of, before its last event.
    pub(super) fn end(&self, id: &OrderId, state: OrderState) -> Result<Ended, Error> {
        let order = self.ledger.order(id).ok_or(Error::NotFound { what: "open order" })?;
        Ok(Ended {
            order: id.clone(),
            digest: *order.digest(),
            state,
            submitted: order.submitted(),
            index: Position::START,
            rules: Vec::new(),
            conclusion: None,
            signatures: Vec::new(),
            carried: None,
            document: Some(Arc::clone(order.document())),
        })
    }

    pub(super) fn close_order(
        &self,
        ended: &Arc<Ended>,
        draft: &mut Draft,
    ) -> Result<Standing, Error> {
        if ended.state.is_terminal() {
            draft.put_order(&ended.order, ended.state, ended.submitted, ended.index)?;
        }
        draft.after.push(After::End(Arc::clone(ended)));
        Ok(Standing::Ended(Arc::clone(ended)))
    }

    pub(super) fn close_early(
        &mut self,
        id: &OrderId,
        reason: CloseReason,
        draft: &mut Draft,
    ) -> Result<Standing, Error> {
        let state = match &reason {
            CloseReason::Cancelled(_) | CloseReason::Recovered {} => OrderState::Cancelled,
            CloseReason::Expired {} => OrderState::Expired,
            CloseReason::Rejected(_) => OrderState::Denied,
        };
        let mut ended = self.end(id, state)?;
        let event = EventBody::OrderClosed(OrderClosed { order: id.clone(), reason });
        ended.index = draft.push(&mut self.ledger, event, Attached::default())?;
        self.close_order(&Arc::new(ended), draft)
    }
}
