//! What callers heard, held against what is durable and against what they heard before.

use std::collections::BTreeMap;

use custody_core::command::Command;
use custody_core::custodian::{Answer, Error, Outcome, Release};
use custody_core::digest::Digest;
use custody_core::document::Hold;
use custody_core::id::{OrderId, PrincipalId, RequestId};
use custody_core::order::OrderState;
use custody_testkit::oracle::Given;

use super::{Check, Referee, State, Story, Tale, broken};
use crate::house::short;

/// A call that waits for its answer.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) stamp: u64,
    pub(crate) what: String,
    /// Who asks, under which request id, and the digest of the submission.
    request: Option<((PrincipalId, RequestId), Digest)>,
    order: Option<OrderId>,
}

/// What callers heard so far.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// How often each request was submitted.
    asked: BTreeMap<(PrincipalId, RequestId), u64>,
    /// The first final word about each order, and when it was heard.
    last_words: BTreeMap<OrderId, (String, u64)>,
    heard: BTreeMap<OrderId, OrderState>,
}

impl Referee {
    /// A request is submitted.
    pub(crate) fn submits(
        &self,
        request: (PrincipalId, RequestId),
        submission: Digest,
        what: &str,
    ) -> Asked {
        let stamp = self.stamp();
        let what = format!("{} {}: {what}", request.0, request.1);
        *self.state().answers.asked.entry(request.clone()).or_default() += 1;
        self.trace.note(format_args!("call {stamp}: {what}"));
        Asked { stamp, what, request: Some((request, submission)), order: None }
    }

    /// Somebody asks about an order.
    pub(crate) fn asks(&self, order: &OrderId, what: &str) -> Asked {
        let stamp = self.stamp();
        let what = format!("{what} {}", short(order));
        self.trace.note(format_args!("call {stamp}: {what}"));
        Asked { stamp, what, request: None, order: Some(order.clone()) }
    }

    /// The answer came.
    pub(crate) fn answered(&self, asked: &Asked, answer: &Result<Answer, Error>) {
        self.trace.note(format_args!("answer {}: {}", asked.stamp, in_words(answer)));
        self.trace.count(kind(answer));
        let now = self.stamp();
        let checked = match answer {
            Ok(answer) => self.state().answered(asked, answer, now),
            Err(error) => self.state().refused(asked, error),
        };
        self.note(checked);
    }
}

impl State {
    fn answered(&mut self, asked: &Asked, answer: &Answer, now: u64) -> Check {
        const RULE: &str = "an answer says what is durable and sealed";
        let name = short(&answer.order);
        let Some(tale) = self.story.tale(&answer.order) else {
            return broken(RULE, format_args!("{name} is not durable"));
        };
        if !self.heads.covers(tale.submitted) {
            return broken(RULE, format_args!("{name} is not sealed"));
        }
        if answer.digest != tale.digest || asked.order.as_ref().is_some_and(|o| *o != answer.order)
        {
            return broken(RULE, format_args!("{name} has another digest or id"));
        }
        if let Some((request, submission)) = &asked.request {
            let same = *submission == tale.submission
                && (&request.0, &request.1) == (&tale.document.requester, &tale.document.request);
            if !same {
                return broken("one request id is one submission", &asked.what);
            }
        }
        if let Outcome::Released(release) = &answer.outcome {
            self.check_release(tale, release)?;
        }
        self.answers.hear(asked, answer, tale, now)?;
        let sealed = |index: Option<u64>| index.is_some_and(|index| self.heads.covers(index));
        if !fits(tale, &answer.outcome) || (is_final(&answer.outcome) && !sealed(tale.ended)) {
            let heard = outcome_in_words(answer);
            return broken(RULE, format_args!("{name} is {}, heard {heard}", tale.state));
        }
        self.oracle.hear(asked.given(answer))?;
        match (&answer.outcome, &tale.command) {
            (Outcome::Released(_), Some(Command::Freeze { scope })) => {
                let asker = (tale.document.requester.clone(), tale.document.request.clone());
                self.oracle.frozen(&asker, scope)
            }
            _ => Ok(()),
        }
    }

    /// What is released has a durable and sealed reservation and outcome, and is what was signed.
    fn check_release(&self, tale: &Tale, release: &Release) -> Check {
        const RULE: &str = "what is released has a durable and sealed outcome";
        let name = short(&tale.document.order);
        let index = release.receipt.index.value();
        let covered = tale.ended == Some(index)
            && self.heads.covers(index)
            && tale.decided.is_some_and(|decided| decided < index);
        if !covered {
            return broken(RULE, format_args!("{name}: its receipt is of event {index}"));
        }
        self.heads.check_receipt(&release.receipt)?;
        if tale.command.is_some() {
            return Ok(());
        }
        let mut signed = tale.payload.clone().unwrap_or_default();
        for signature in &tale.signatures {
            signed.extend_from_slice(signature.signature.as_bytes());
        }
        if release.signatures == tale.signatures && release.signed.as_ref() == Some(&signed) {
            return Ok(());
        }
        broken("one order has one set of signatures", name)
    }

    /// An error means that no order changed, or names the order to ask for.
    fn refused(&self, asked: &Asked, error: &Error) -> Check {
        let known = asked.order.as_ref().is_some_and(|id| self.answers.heard.contains_key(id));
        if known && matches!(error, Error::NotFound { .. }) {
            return broken("what was answered once is known", &asked.what);
        }
        let Some((request, submission)) = &asked.request else { return Ok(()) };
        let durable = self.story.order_of_request(request);
        if let Error::RequestReused { order } = error {
            let tale = self.story.tale(order);
            let reused = tale.is_some_and(|tale| tale.submission != *submission);
            let rule = "only another submission is a reused request id";
            return if reused { Ok(()) } else { broken(rule, &asked.what) };
        }
        let names = matches!(
            error,
            Error::Indeterminate { order: Some(_) }
                | Error::Unavailable { order: Some(_) }
                | Error::Closed
        );
        let alone = self.answers.asked.get(request) == Some(&1);
        if alone && durable.is_some() && !names {
            let detail = format_args!("{}: {error}", asked.what);
            return broken("an error means that no order changed, or names the order", detail);
        }
        Ok(())
    }
}

impl Asked {
    /// What the caller was given.
    fn given(&self, answer: &Answer) -> Given {
        match &self.request {
            None => Given::answer(answer),
            Some(((requester, id), _)) => Given::answer_to(requester.clone(), id.clone(), answer),
        }
    }
}

impl Answers {
    /// No answer contradicts an earlier one.
    fn hear(&mut self, asked: &Asked, answer: &Answer, tale: &Tale, now: u64) -> Check {
        const RULE: &str = "no answer contradicts an earlier one";
        self.heard.insert(answer.order.clone(), tale.state);
        let word = outcome_in_words(answer);
        if let Some((said, when)) = self.last_words.get(&answer.order) {
            let waits = !is_final(&answer.outcome) && asked.stamp < *when;
            let held = matches!(answer.outcome, Outcome::Unknown { reason: Hold::Frozen });
            if *said == word || waits || held {
                return Ok(());
            }
            let detail = format_args!("{}: first {said}, then {word}", short(&answer.order));
            return broken(RULE, detail);
        }
        if is_final(&answer.outcome) {
            self.last_words.insert(answer.order.clone(), (word, now));
        }
        Ok(())
    }

    /// Forgets what was heard and is lost.
    pub(super) fn forget(&mut self, story: &Story) {
        let state = |order: &OrderId| story.tale(order).map(|tale| tale.state);
        self.last_words.retain(|order, _| state(order).is_some_and(OrderState::is_terminal));
        self.heard.retain(|order, _| state(order).is_some());
    }

    /// What was heard is still durable.
    pub(super) fn still_hold(&self, story: &Story) -> Check {
        const RULE: &str = "what was answered stays";
        for (order, (said, _)) in &self.last_words {
            if !story.tale(order).is_some_and(|tale| tale.state.is_terminal()) {
                return broken(RULE, format_args!("{} was {said}", short(order)));
            }
        }
        Ok(())
    }
}

/// Whether an outcome can be heard of an order of which this is durable.
fn fits(tale: &Tale, outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Cancelled => tale.state == OrderState::Cancelled,
        Outcome::Denied { rules } => {
            let rules: Vec<_> = rules.iter().map(ToString::to_string).collect();
            tale.state == OrderState::Denied && tale.rules == rules
        }
        Outcome::Expired => tale.state == OrderState::Expired,
        Outcome::Failed { .. } => tale.state == OrderState::Failed,
        Outcome::Pending { .. } => true,
        Outcome::Released(_) => matches!(tale.state, OrderState::Executed | OrderState::Signed),
        Outcome::Unknown { reason: Hold::Frozen } => {
            tale.was_unknown || tale.state == OrderState::Signed
        }
        Outcome::Unknown { .. } => tale.was_unknown,
        _ => false,
    }
}

const fn is_final(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Pending { .. } | Outcome::Unknown { .. })
}

fn outcome_in_words(answer: &Answer) -> String {
    match &answer.outcome {
        Outcome::Released(release) => {
            let signatures = release.signatures.iter();
            let signatures: Vec<_> = signatures
                .map(|signed| Digest::of(signed.signature.as_bytes()).to_string())
                .map(|digest| digest.get(..8).unwrap_or_default().to_owned())
                .collect();
            format!("released {}", signatures.join(" "))
        }
        Outcome::Denied { rules } => {
            let rules: Vec<_> = rules.iter().map(ToString::to_string).collect();
            format!("denied {}", rules.join(" "))
        }
        other => format!("{other:?}"),
    }
}

fn kind(answer: &Result<Answer, Error>) -> &'static str {
    match answer {
        Ok(answer) => match &answer.outcome {
            Outcome::Pending { .. } => "answers: pending",
            Outcome::Released(_) => "answers: released",
            Outcome::Unknown { .. } => "answers: unknown",
            _ => "answers: ended without a release",
        },
        Err(Error::Busy { .. }) => "errors: busy",
        Err(Error::ClockJump) => "errors: the clock jumped",
        Err(Error::Closed) => "errors: closed",
        Err(Error::Indeterminate { .. }) => "errors: it may have happened",
        Err(Error::Unavailable { .. }) => "errors: not released yet",
        Err(Error::Audit(_) | Error::Store(_)) => "errors: of store or log",
        Err(_) => "errors: refused",
    }
}

fn in_words(answer: &Result<Answer, Error>) -> String {
    match answer {
        Ok(answer) => format!("{} {}", short(&answer.order), outcome_in_words(answer)),
        Err(error @ (Error::Store(_) | Error::Audit(_) | Error::Command(_))) => {
            let source = std::error::Error::source(error).map(ToString::to_string);
            format!("error: {error}: {}", source.unwrap_or_default())
        }
        Err(error) => format!("error: {error}"),
    }
}
