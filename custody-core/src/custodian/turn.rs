mod upkeep;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use super::draft::{After, Draft};
use super::error::Error;
use super::message::{Ended, Entry, Message, Prepared, Progress};
use super::prepare::is_alarm;
use super::record::RequestRecord;
use super::sequencer::Sequencer;
use crate::command::Command;
use crate::digest::Digest;
use crate::document::{CloseReason, EventBody, OrderSubmitted, V1};
use crate::id::{OrderId, PrincipalId, RequestId};
use crate::ledger::{Attached, OpenOrder};
use crate::order::OrderState;
use crate::principal::{SignedStatement, Verb};
use crate::time::Timestamp;

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
            Message::Touch(order) => self.touch(number, order, draft),
            Message::Wait(order) => {
                self.reply_later(number, order.clone(), draft);
                Ok(())
            }
            Message::Close | Message::Switched => Ok(()),
        }
    }

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
            self.reply_later(number, id, draft);
            return Ok(());
        }
        if let Some((order, digest)) = self.twin(requester, request, draft) {
            if digest != *prepared.submission.digest() {
                return Err(Error::RequestReused { order });
            }
            draft.after.push(After::Reply(number, Progress::Known(order)));
            return Ok(());
        }
        self.check_alarm(prepared)?;
        self.check_quotas(prepared, draft.at)?;
        self.check_signer(prepared)?;
        self.check_subject(prepared)?;
        self.record(prepared, draft)?;
        let id = document.order.clone();
        let standing = self.judge(&id, Some(&prepared.carried), draft)?;
        reply(number, id, standing, draft);
        Ok(())
    }

    /// The order of a request that the open turn, or the one that is being committed, has ended.
    fn twin(
        &self,
        requester: &PrincipalId,
        request: &RequestId,
        draft: &Draft,
    ) -> Option<(OrderId, Digest)> {
        let id = (requester.clone(), request.clone());
        [Some(draft), self.committed_next()]
            .into_iter()
            .flatten()
            .find_map(|draft| draft.requests.get(&id).cloned())
    }

    /// An alarm about what is so already changes nothing, and is no order. What is under way
    /// counts: behind a thaw that is being committed it is one.
    fn check_alarm(&self, prepared: &Prepared) -> Result<(), Error> {
        match prepared.carried.command() {
            Some(command) if is_alarm(command) => Ok(self.ledger.check(command)?),
            _ => Ok(()),
        }
    }

    fn check_quotas(&self, prepared: &Prepared, at: Timestamp) -> Result<(), Error> {
        let config = &self.shared.config;
        let document = &prepared.document;
        let is_judged = |command: &Arc<Command>| confirms(command) || command.is_urgent();
        let is_held = self.clock.has_jumped() && !prepared.carried.command().is_some_and(is_judged);
        if is_held || document.submitted > at {
            return Err(Error::ClockJump);
        }
        if at.since(document.submitted) > LAG_MAX {
            return Err(Error::Busy { what: "the request waited too long for its turn" });
        }
        // What a stopped process left takes its places until the clock is confirmed, so that this
        // must have one.
        let is_relief = prepared.carried.command().is_some_and(|command| {
            is_judged(command) || matches!(**command, Command::ResolveOrder { .. })
        });
        let more = if is_relief { RELIEF } else { 0 };
        let most = config.open_per_requester.saturating_add(more);
        if self.ledger.open_of_requester(&document.requester) >= most {
            return Err(Error::Busy { what: "the requester has too many open orders" });
        }
        let full = |wallet| self.ledger.open_of_wallet(wallet) >= config.open_per_wallet;
        if !is_relief && document.wallet.as_ref().is_some_and(full) {
            return Err(Error::Busy { what: "the wallet has too many open orders" });
        }
        Ok(())
    }

    /// The credential that signed a submission may have been removed since it was made ready: an
    /// event with a signature that no longer counts would never replay.
    fn check_signer(&self, prepared: &Prepared) -> Result<(), Error> {
        let Some(signature) = &prepared.signature else { return Ok(()) };
        let requester = self.ledger.principal(&prepared.document.requester);
        let enrolled = requester.and_then(|person| person.credentials.get(&signature.credential));
        if enrolled.is_some() && enrolled == prepared.credential.as_ref() {
            return Ok(());
        }
        Err(Error::Request { what: "no such credential of the requester" })
    }

    /// What a command is about may be gone since it was made ready: an order that contradicts its
    /// command would never replay.
    fn check_subject(&self, prepared: &Prepared) -> Result<(), Error> {
        let Some(command) = prepared.carried.command() else { return Ok(()) };
        if self.ledger.wallet_of(command) == prepared.document.wallet {
            return Ok(());
        }
        self.ledger.check(command)?;
        Err(Error::Request { what: "what the command is about has changed" })
    }

    fn record(&mut self, prepared: &Prepared, draft: &mut Draft) -> Result<(), Error> {
        let document = &prepared.document;
        let event = EventBody::OrderSubmitted(OrderSubmitted {
            order: document.order.clone(),
            document: prepared.order,
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

    fn statement(
        &mut self,
        number: usize,
        signed: &SignedStatement,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let id = signed.statement.order.clone();
        if self.ledger.order(&id).is_none() {
            self.reply_later(number, id, draft);
            return Ok(());
        }
        let order = self.ledger.check_statement(signed, signed.statement.verb)?;
        if order.state() != OrderState::Pending {
            self.reply_later(number, id, draft);
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
        if self.clock.has_jumped() && !order.command().is_some_and(|command| confirms(command)) {
            return Err(Error::ClockJump);
        }
        const APPROVALS_PER_PERSON: usize = 3;
        let person = &signed.statement.principal;
        let given = order.approvals().iter();
        let own = given.filter(|approval| approval.statement.principal == *person).count();
        let again = order.approvals().iter().any(|approval| approval == signed);
        if !again {
            if own >= APPROVALS_PER_PERSON {
                return Err(Error::Busy { what: "the person has approved the order too often" });
            }
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

    /// Judges a pending order again: time has passed, or something else may have changed.
    fn touch(&mut self, number: usize, id: &OrderId, draft: &mut Draft) -> Result<(), Error> {
        let order = self.ledger.order(id);
        let is_judged = order.and_then(OpenOrder::command).is_some_and(|command| confirms(command));
        match order.map(OpenOrder::state) {
            Some(OrderState::Pending) if self.clock.has_jumped() && !is_judged => {
                Err(Error::ClockJump)
            }
            Some(OrderState::Pending) => {
                let standing = self.judge(id, None, draft)?;
                reply(number, id.clone(), standing, draft);
                Ok(())
            }
            _ => {
                self.reply_later(number, id.clone(), draft);
                Ok(())
            }
        }
    }

    /// Answers when the order's job has ended if one is at work or starts in this turn, at once if
    /// it ends in this turn, else says how the order stands.
    fn reply_later(&self, number: usize, id: OrderId, draft: &mut Draft) {
        let ended = draft.after.iter().find_map(|after| match after {
            After::End(ended) if ended.order == id => Some(Arc::clone(ended)),
            After::End(_) | After::Reply(..) | After::ReplyAtEnd(..) | After::Start(..) => None,
        });
        let state = self.ledger.order(&id).map(OpenOrder::state);
        let is_running = self.running.contains(&id) && state == Some(OrderState::Reserved);
        draft.after.push(match ended {
            Some(ended) => After::Reply(number, Progress::Ended(ended)),
            None if is_running => After::ReplyAtEnd(number, id),
            None if state == Some(OrderState::Pending) => {
                After::Reply(number, Progress::Waiting(id))
            }
            None => After::Reply(number, Progress::Known(id)),
        });
    }

    /// Nothing would release the order: deny it, unless that has changed in between.
    fn deny(&mut self, number: usize, id: &OrderId, draft: &mut Draft) -> Result<(), Error> {
        let state = self.ledger.order(id).map(OpenOrder::state);
        if state != Some(OrderState::Pending) {
            draft.after.push(After::Reply(number, Progress::Known(id.clone())));
            return Ok(());
        }
        let decision = self.decide(id, draft)?;
        if decision.rules.iter().any(|rule| rule.as_str() == "frozen") {
            draft.after.push(After::Reply(number, Progress::Known(id.clone())));
            return Ok(());
        }
        let standing = self.write_decision(id, &decision, None, draft)?;
        reply(number, id.clone(), standing, draft);
        Ok(())
    }
}

/// Whether what a command's job asked of a backend counts for nothing until it is recorded, so that
/// the order has failed whatever became of the calls.
pub(super) fn is_repeatable(order: &OpenOrder) -> bool {
    let command = order.command().map(AsRef::as_ref);
    matches!(command, Some(Command::ResealKeys { .. } | Command::ResumeKey { .. }))
}

/// Whether a command is judged while the clock is not trusted, for it says that the clock is right.
fn confirms(command: &Command) -> bool {
    *command == Command::ConfirmClock {}
}

fn reply(number: usize, id: OrderId, standing: Standing, draft: &mut Draft) {
    draft.after.push(match standing {
        Standing::Ended(ended) => After::Reply(number, Progress::Ended(ended)),
        Standing::Started => After::ReplyAtEnd(number, id),
        Standing::Waiting => After::Reply(number, Progress::Waiting(id)),
    });
}

/// So many open orders more than others a requester may have of those that only take rights away,
/// settle an order of unknown outcome or confirm the clock: a full wallet can be frozen, and emptied.
const RELIEF: usize = 16;

/// How long a request may wait between being made ready and its turn: half of what the verifier
/// lets pass.
const LAG_MAX: Duration = Duration::from_secs(300);
