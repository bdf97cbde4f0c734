use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::draft::{After, Draft};
use super::error::Error;
use super::message::{Carried, Ended, Entry, Finished, JobResult, Message, Prepared, Progress};
use super::record::{RequestRecord, document_key, snapshot_key};
use super::sequencer::Sequencer;
use crate::command::{Command, CommandResult};
use crate::document::{
    CloseReason, Conclusion, EventBody, Hold, OrderClosed, OrderConcluded, OrderDecided,
    OrderSubmitted, SignatureSet, Stored, V1, Verdict,
};
use crate::id::{OrderId, RuleId};
use crate::ledger::{Attached, Decision, OpenOrder};
use crate::order::OrderState;
use crate::principal::{SignedStatement, Verb};
use crate::seam::{Position, Record, TaskSignature};

/// How an order stands after it was judged in a turn.
enum Standing {
    Ended(Arc<Ended>),
    Started,
    Waiting,
}

impl Sequencer {
    /// Handles one entry: changes the working state and the draft, nothing else. On an error the
    /// working state must be thrown away.
    pub(super) fn handle(
        &mut self,
        number: usize,
        entry: &Entry,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        match &entry.message {
            Message::Submit(prepared) => self.submit(number, prepared, draft),
            Message::Statement(signed) => self.statement(number, signed, draft),
            Message::Deny(order) => self.deny(number, order, draft),
            Message::Finished(finished) => self.finish(finished, draft),
            Message::Resume => self.resume(number, draft),
            Message::Wait(order) => {
                let state = self.ledger.order(order).map(OpenOrder::state);
                draft.after.push(match state {
                    Some(OrderState::Reserved) => After::ReplyAtEnd(number, order.clone()),
                    _ => After::Reply(number, Progress::Known(order.clone())),
                });
                Ok(())
            }
            Message::Close => Ok(()),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
    fn submit(
        &mut self,
        number: usize,
        prepared: &Prepared,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let document = &prepared.document;
        let (requester, request) = (&document.requester, &document.request);
        if let Some(order) = self.ledger.open_request(requester, request) {
            if order.submission() != prepared.submission.digest() {
                return Err(Error::RequestReused { order: order.document().order.clone() });
            }
            let id = order.document().order.clone();
            draft.after.push(match order.state() {
                OrderState::Reserved => After::ReplyAtEnd(number, id),
                _ => After::Reply(number, Progress::Waiting(id)),
            });
            return Ok(());
        }
        let twin = draft.requests.get(&(requester.clone(), request.clone()));
        if let Some(order) = twin.cloned() {
            draft.after.push(After::Reply(number, Progress::Known(order)));
            return Ok(());
        }
        self.check_quotas(prepared)?;
        self.record(prepared, draft)?;
        let id = document.order.clone();
        let standing = self.judge(&id, Some(&prepared.carried), draft)?;
        reply(number, id, standing, draft);
        Ok(())
    }

    fn check_quotas(&self, prepared: &Prepared) -> Result<(), Error> {
        let config = &self.shared.config;
        let document = &prepared.document;
        let confirms =
            prepared.carried.command().is_some_and(|command| **command == Command::ConfirmClock {});
        if self.clock.has_jumped() && !confirms {
            return Err(Error::ClockJump);
        }
        if self.ledger.open_of_requester(&document.requester) >= config.open_per_requester {
            return Err(Error::Busy { what: "the requester has too many open orders" });
        }
        let full = |wallet| self.ledger.open_of_wallet(wallet) >= config.open_per_wallet;
        if document.wallet.as_ref().is_some_and(full) {
            return Err(Error::Busy { what: "the wallet has too many open orders" });
        }
        Ok(())
    }

    fn record(&mut self, prepared: &Prepared, draft: &mut Draft) -> Result<(), Error> {
        let document = &prepared.document;
        let event = EventBody::OrderSubmitted(OrderSubmitted {
            order: document.order.clone(),
            document: prepared.order.reference(),
            requester: document.requester.clone(),
            request: document.request.clone(),
            submission: *prepared.submission.digest(),
            authentication: prepared.authentication.clone(),
            signature: prepared.signature.clone(),
        });
        let attached = Attached {
            order: Some(Arc::clone(document)),
            command: prepared.carried.command().cloned(),
        };
        draft.push(&mut self.ledger, event, attached)?;
        let record = RequestRecord {
            v: V1,
            order: document.order.clone(),
            submission: *prepared.submission.digest(),
        };
        draft.insert_request(&document.requester, &document.request, record)?;
        draft.batch.puts.extend(prepared.documents.iter().cloned());
        Ok(())
    }

    /// Judges a pending order and admits or denies it.
    fn judge(
        &mut self,
        id: &OrderId,
        carried: Option<&Arc<Carried>>,
        draft: &mut Draft,
    ) -> Result<Standing, Error> {
        let decision = self.decide(id, draft)?;
        if decision.allowed {
            self.push_decision(id, Verdict::Allowed, &decision, draft)?;
            return self.admit(id, carried, draft);
        }
        if decision.is_final || !decision.errors.is_empty() {
            return self.push_denial(id, &decision, draft);
        }
        Ok(Standing::Waiting)
    }

    /// What the rules say now; an engine that panics denies for good.
    fn decide(&self, id: &OrderId, draft: &Draft) -> Result<Decision, Error> {
        let order = self.ledger.order(id).ok_or(Error::NotFound { what: "open order" })?;
        let engine = self.engine.as_ref();
        let judge = || self.ledger.decide(engine, order, draft.at);
        Ok(catch_unwind(AssertUnwindSafe(judge)).unwrap_or_else(|_| Decision {
            allowed: false,
            is_final: true,
            rules: RuleId::parse("engine-panic").into_iter().collect(),
            errors: Vec::new(),
            windows: Vec::new(),
        }))
    }

    fn push_decision(
        &mut self,
        id: &OrderId,
        verdict: Verdict,
        decision: &Decision,
        draft: &mut Draft,
    ) -> Result<Position, Error> {
        let event = EventBody::OrderDecided(OrderDecided {
            order: id.clone(),
            verdict,
            engine: self.ledger.engine().clone(),
            policy: self.ledger.policy().id(),
            rules: decision.rules.clone(),
            errors: decision.errors.clone(),
            windows: decision.windows.clone(),
        });
        draft.push(&mut self.ledger, event, Attached::default())
    }

    fn push_denial(
        &mut self,
        id: &OrderId,
        decision: &Decision,
        draft: &mut Draft,
    ) -> Result<Standing, Error> {
        let ended = self.end(id, OrderState::Denied)?;
        let index = self.push_decision(id, Verdict::Denied, decision, draft)?;
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
            Some(command) if !needs_job(&command) => self.execute(id, &command, draft),
            _ => {
                draft.after.push(After::Start(id.clone(), carried.cloned()));
                Ok(Standing::Started)
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
    fn execute(
        &mut self,
        id: &OrderId,
        command: &Arc<Command>,
        draft: &mut Draft,
    ) -> Result<Standing, Error> {
        let engine = super::prepare::new_engine(&self.shared, command);
        if self.ledger.check(command).is_err() || engine.is_err() {
            return self.conclude(id, Conclusion::Failed { reason: Hold::Conflict }, None, draft);
        }
        if command.is_urgent() {
            self.shared.holds_mut().add(command);
        }
        if let Some(engine) = engine.ok().flatten() {
            self.engine = engine;
        }
        let resolved = match command.as_ref() {
            Command::ResolveOrder { order, resolution } => {
                let state = match resolution {
                    crate::command::Resolution::Failed { .. } => OrderState::Failed,
                    crate::command::Resolution::Signed { .. } => OrderState::Signed,
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
        if let Some((order, state, submitted)) = resolved {
            draft.put_order(&order, state, submitted, index)?;
        }
        Ok(standing)
    }

    /// Writes the outcome of an allowed order.
    fn conclude(
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
    fn end(&self, id: &OrderId, state: OrderState) -> Result<Ended, Error> {
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

    fn close_order(&self, ended: &Arc<Ended>, draft: &mut Draft) -> Result<Standing, Error> {
        if ended.state.is_terminal() {
            draft.put_order(&ended.order, ended.state, ended.submitted, ended.index)?;
        }
        draft.after.push(After::End(Arc::clone(ended)));
        Ok(Standing::Ended(Arc::clone(ended)))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
    fn statement(
        &mut self,
        number: usize,
        signed: &SignedStatement,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let id = signed.statement.order.clone();
        let order = self.ledger.check_statement(signed, signed.statement.verb)?;
        if order.state() != OrderState::Pending {
            draft.after.push(match order.state() {
                OrderState::Reserved => After::ReplyAtEnd(number, id),
                _ => After::Reply(number, Progress::Known(id)),
            });
            return Ok(());
        }
        let reason = match signed.statement.verb {
            Verb::Approve => return self.approve(number, signed, draft),
            Verb::Cancel => CloseReason::Cancelled(signed.clone()),
            Verb::Reject => CloseReason::Rejected(signed.clone()),
        };
        let standing = self.close_early(&id, reason, draft)?;
        reply(number, id, standing, draft);
        Ok(())
    }

    fn approve(
        &mut self,
        number: usize,
        signed: &SignedStatement,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let id = signed.statement.order.clone();
        let order = self.ledger.order(&id).ok_or(Error::NotFound { what: "open order" })?;
        let confirms = order.command().is_some_and(|command| **command == Command::ConfirmClock {});
        if self.clock.has_jumped() && !confirms {
            return Err(Error::ClockJump);
        }
        let again = order.approvals().iter().any(|approval| approval == signed);
        if !again {
            if order.approvals().len() >= self.shared.config.approvals_per_order {
                return Err(Error::Busy { what: "the order has too many approvals" });
            }
            let event = EventBody::ApprovalAdded(signed.clone());
            draft.push(&mut self.ledger, event, Attached::default())?;
        }
        let standing = self.judge(&id, None, draft)?;
        reply(number, id, standing, draft);
        Ok(())
    }

    fn close_early(
        &mut self,
        id: &OrderId,
        reason: CloseReason,
        draft: &mut Draft,
    ) -> Result<Standing, Error> {
        let state = match &reason {
            CloseReason::Cancelled(_) => OrderState::Cancelled,
            CloseReason::Expired {} => OrderState::Expired,
            CloseReason::Rejected(_) => OrderState::Denied,
        };
        let mut ended = self.end(id, state)?;
        let event = EventBody::OrderClosed(OrderClosed { order: id.clone(), reason });
        ended.index = draft.push(&mut self.ledger, event, Attached::default())?;
        self.close_order(&Arc::new(ended), draft)
    }

    /// Nothing would release the order: deny it, unless that has changed in between.
    fn deny(&mut self, number: usize, id: &OrderId, draft: &mut Draft) -> Result<(), Error> {
        let state = self.ledger.order(id).map(OpenOrder::state);
        if state != Some(OrderState::Pending) {
            draft.after.push(After::Reply(number, Progress::Known(id.clone())));
            return Ok(());
        }
        let decision = self.decide(id, draft)?;
        let standing = if decision.allowed {
            self.push_decision(id, Verdict::Allowed, &decision, draft)?;
            self.admit(id, None, draft)?
        } else {
            self.push_denial(id, &decision, draft)?
        };
        reply(number, id.clone(), standing, draft);
        Ok(())
    }

    /// A job's answer. What was called while a hold came in between is unknown, not released.
    fn finish(&mut self, finished: &Finished, draft: &mut Draft) -> Result<(), Error> {
        let id = &finished.order;
        let Some(order) = self.ledger.order(id) else { return Ok(()) };
        if order.state() != OrderState::Reserved {
            return Ok(());
        }
        let stop = self.stop(order);
        let (outcome, signatures) = match (&finished.result, stop) {
            (JobResult::Signed(_), Some(reason)) => {
                (Conclusion::Unknown { reason, suspends: None }, Vec::new())
            }
            (JobResult::Signed(signatures), None) => {
                let set = Stored::write(SignatureSet {
                    v: V1,
                    order: id.clone(),
                    signatures: signatures.clone(),
                })?;
                let key = document_key(id.as_str(), set.digest())?;
                draft.batch.puts.push(Record { key, value: set.bytes().to_vec() });
                (Conclusion::Signed { signatures: set.reference() }, signatures.clone())
            }
            (JobResult::Executed { result, handle }, _) => {
                let command = order.command().cloned();
                if command.is_none_or(|command| self.ledger.check(&command).is_err()) {
                    (Conclusion::Failed { reason: Hold::Conflict }, Vec::new())
                } else {
                    draft.batch.puts.extend(handle.iter().cloned());
                    (Conclusion::Executed { result: result.clone() }, Vec::new())
                }
            }
            (JobResult::Failed(reason), _) => (Conclusion::Failed { reason: *reason }, Vec::new()),
            (JobResult::Unknown { reason, suspends }, _) => {
                let outcome = Conclusion::Unknown { reason: *reason, suspends: suspends.clone() };
                (outcome, Vec::new())
            }
        };
        self.conclude(id, outcome, Some((finished, signatures)), draft)?;
        Ok(())
    }

    /// What was allowed before the process stopped: its job starts again if nothing stands
    /// against it, else its outcome is unknown.
    fn resume(&mut self, number: usize, draft: &mut Draft) -> Result<(), Error> {
        let left: Vec<_> = self
            .ledger
            .orders()
            .filter(|order| order.state() == OrderState::Reserved)
            .filter(|order| !self.running.contains(&order.document().order))
            .map(|order| {
                let expired = order.document().expires < draft.at;
                (order.document().order.clone(), expired || self.stop(order).is_some())
            })
            .collect();
        for (id, stopped) in &left {
            if *stopped {
                let outcome = Conclusion::Unknown { reason: Hold::Interrupted, suspends: None };
                self.conclude(id, outcome, None, draft)?;
            } else {
                draft.after.push(After::Start(id.clone(), None));
            }
        }
        let ids = left.into_iter().map(|(id, _)| id).collect();
        draft.after.push(After::Reply(number, Progress::Resumed(ids)));
        Ok(())
    }

    /// What time brings: orders expire, keys whose destruction is due are gone, and now and then
    /// the state is kept as a document.
    pub(super) fn tick(&mut self, draft: &mut Draft) -> Result<(), Error> {
        const MANY: usize = 64;
        if !self.clock.has_jumped() {
            let expired: Vec<_> = self
                .ledger
                .orders()
                .filter(|order| order.state() == OrderState::Pending)
                .filter(|order| order.document().expires < draft.at)
                .map(|order| order.document().order.clone())
                .take(MANY)
                .collect();
            for id in expired {
                self.close_early(&id, CloseReason::Expired {}, draft)?;
            }
            for key in self.ledger.due_destructions(draft.at).into_iter().take(MANY) {
                let record = Record { key: super::record::handle_key(&key)?, value: Vec::new() };
                draft.batch.puts.push(record);
                draft.push(&mut self.ledger, EventBody::KeyDestroyed(key), Attached::default())?;
            }
        }
        let since = self.ledger.position().value().saturating_sub(self.snapshot.value());
        if since >= self.shared.config.snapshot_interval {
            self.keep_snapshot(draft)?;
        }
        Ok(())
    }

    fn keep_snapshot(&mut self, draft: &mut Draft) -> Result<(), Error> {
        let state = Stored::write(self.ledger.clone())?;
        let key = document_key("snapshot", state.digest())?;
        draft.batch.puts.push(Record { key, value: state.bytes().to_vec() });
        let event = EventBody::Snapshot(state.reference());
        let index = draft.push(&mut self.ledger, event, Attached::default())?;
        let pointer = index.value().to_string().into_bytes();
        draft.batch.puts.push(Record { key: snapshot_key()?, value: pointer });
        self.snapshot = index;
        Ok(())
    }

    fn stop(&self, order: &OpenOrder) -> Option<Hold> {
        let holds = self.shared.holds();
        if holds.stops(order.document()) {
            return Some(Hold::Frozen);
        }
        if order.counted().iter().any(|id| holds.has_removed(id)) {
            return Some(Hold::ApproverRemoved);
        }
        drop(holds);
        self.ledger.stop(order)
    }
}

/// Whether a command calls a backend or a handler.
pub(super) const fn needs_job(command: &Command) -> bool {
    matches!(
        command,
        Command::CreateKey { .. }
            | Command::CreateWallet { seed: Some(_), .. }
            | Command::DeriveAccount { .. }
            | Command::Extension { .. }
    )
}

fn reply(number: usize, id: OrderId, standing: Standing, draft: &mut Draft) {
    draft.after.push(match standing {
        Standing::Ended(ended) => After::Reply(number, Progress::Ended(ended)),
        Standing::Started => After::ReplyAtEnd(number, id),
        Standing::Waiting => After::Reply(number, Progress::Waiting(id)),
    });
}
