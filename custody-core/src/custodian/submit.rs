use std::sync::Arc;

use futures::channel::oneshot;

use super::deliver::{deliver, load_carried, load_ended};
use super::error::Error;
use super::job::same_decoder;
use super::message::{Carried, Entry, Message, Prepared, Progress};
use super::prepare::{prepare, submission};
use super::record::{RequestRecord, request_key};
use super::request::{Answer, Explanation, Outcome, Request, RequestedWork};
use super::shared::{Published, Shared, lock};
use crate::command::{Command, Resolution};
use crate::document::{Hold, OrderDocument, Stored, SubmissionDocument, parse};
use crate::id::{OrderId, RoleId};
use crate::ledger::{CommandRefusal, LedgerError, OTHER_ORDER, OpenOrder};
use crate::order::OrderState;
use crate::principal::{SignedStatement, Verb};
use crate::seam::{Missing, Requirement};
use crate::time::Timestamp;

/// The order of a request that was made before: one point read.
pub(super) async fn known(
    shared: &Shared,
    submission: &SubmissionDocument,
) -> Result<Option<RequestRecord>, Error> {
    let key = request_key(&submission.requester, &submission.request)?;
    match shared.store.get(&key).await? {
        Some(record) => Ok(Some(parse(&record.value)?)),
        None => Ok(None),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
pub(super) async fn submit(shared: &Arc<Shared>, request: Request) -> Result<Answer, Error> {
    if let Err(busy) = shared.has_place(is_urgent(&request)) {
        return if shared.was_recent(&request.requester, &request.id) {
            // What was answered once is answered again.
            made_before(shared, &submission(&request)?).await?.ok_or(busy)
        } else {
            Err(busy)
        };
    }
    let submission = submission(&request)?;
    let is_recent = shared.is_recent(submission.value());
    if is_recent && let Some(answer) = made_before(shared, &submission).await? {
        return Ok(answer);
    }
    let (prepared, urgent) = match make_ready(shared, request, submission.clone()).await {
        Ok(ready) => ready,
        // What was answered once is answered again, whatever has changed since.
        Err(error) => return made_before(shared, &submission).await?.ok_or(error),
    };
    let own = prepared.document.order.clone();
    let progress = match call(shared, Message::Submit(Box::new(prepared)), urgent).await {
        Err(refused @ Error::Command(_)) => {
            return made_before(shared, &submission).await?.ok_or(refused);
        }
        called => called?,
    };
    match &progress {
        Progress::Ended(ended) if ended.order != own => {
            again(shared, submission.value(), &ended.order).await
        }
        Progress::Known(id) | Progress::Waiting(id) if *id != own => {
            again(shared, submission.value(), id).await
        }
        _ => settle(shared, progress).await,
    }
}

fn is_urgent(request: &Request) -> bool {
    matches!(&request.work, RequestedWork::Command(command) if command.is_urgent())
}

/// The answer to a request that was made before. Requests of this process are looked up at once;
/// an older one shows when its record is inserted again.
async fn made_before(
    shared: &Arc<Shared>,
    submission: &Stored<SubmissionDocument>,
) -> Result<Option<Answer>, Error> {
    let Some(record) = known(shared, submission.value()).await? else { return Ok(None) };
    if record.submission != *submission.digest() {
        return Err(Error::RequestReused { order: record.order });
    }
    again(shared, submission.value(), &record.order).await.map(Some)
}

/// An order ready for its turn, and whether it may go first.
async fn make_ready(
    shared: &Shared,
    request: Request,
    submission: Stored<SubmissionDocument>,
) -> Result<(Prepared, bool), Error> {
    let prepared = prepare(shared, request, submission)?;
    let Carried::Command(command) = prepared.carried.as_ref() else {
        return Ok((prepared, false));
    };
    check_resolution(shared, command).await?;
    check_rotation(shared, command).await?;
    let urgent = command.is_urgent();
    Ok((prepared, urgent))
}

/// The answer to a request that was made before. The order that its record names is believed only
/// if it is the order of this request.
async fn again(
    shared: &Arc<Shared>,
    submission: &SubmissionDocument,
    id: &OrderId,
) -> Result<Answer, Error> {
    const WRONG: Error = Error::Request { what: "the request's record contradicts its order" };
    let is_same = |order: &OrderDocument| {
        order.requester == submission.requester && order.request == submission.request
    };
    let open = shared.read().ledger.order(id).map(|order| Arc::clone(order.document()));
    if let Some(document) = open {
        return if is_same(&document) { touch(shared, id).await } else { Err(WRONG) };
    }
    match load_ended(shared, id).await {
        Ok(ended) if ended.document.as_deref().is_some_and(is_same) => {
            deliver(shared, &ended).await.map_err(|error| named(id, error))
        }
        Ok(_) => Err(WRONG),
        // Its batch is not published or not sealed yet: the sequencer answers after that.
        Err(Error::NotFound { what: "order" } | Error::Unavailable { .. }) => {
            touch(shared, id).await
        }
        Err(error) => Err(error),
    }
}

/// A resolution that brings signatures must bring the right ones.
async fn check_resolution(shared: &Shared, command: &Command) -> Result<(), Error> {
    let Command::ResolveOrder { order, resolution: Resolution::Signed { signatures } } = command
    else {
        return Ok(());
    };
    let document = shared.read().ledger.order(order).map(|order| Arc::clone(order.document()));
    let document = document.ok_or(CommandRefusal::NotFound { what: "order" })?;
    let Carried::Payload { payload, context } = load_carried(shared, &document).await? else {
        return Err(CommandRefusal::State { what: "order" }.into());
    };
    let decoder = shared.decoder(&payload.format, &context.chain)?;
    if !same_decoder(&document.work, decoder.as_ref()) {
        return Err(Error::Decoder { what: "the order was decoded by another version" });
    }
    let intent = shared.decode(decoder.as_ref(), &payload, &context)?;
    let inputs = intent.tasks.into_iter().map(|task| task.input);
    let tasks: Vec<_> = document.tasks.iter().cloned().zip(inputs).collect();
    Ok(crate::ledger::check_signatures(signatures, &tasks)?)
}

/// A log key can only be rotated to one that the host gave to the log: what is found is noted.
async fn check_rotation(shared: &Shared, command: &Command) -> Result<(), Error> {
    let Command::RotateLogKey { next, .. } = command else { return Ok(()) };
    if !shared.audit.has_signer(next).await {
        return Err(CommandRefusal::NotFound { what: "signer of the new log key" }.into());
    }
    let mut known = lock(&shared.log_signers);
    if !known.contains(next) {
        known.push(next.clone());
    }
    Ok(())
}

/// Asks for the key of a rotation that waits: the host may have given the log other keys since it
/// was submitted. If it is not found, the order fails once it is allowed.
async fn find_signer(shared: &Shared, id: &OrderId) {
    let command = shared.read().ledger.order(id).and_then(|order| order.command().cloned());
    if let Some(command) = command {
        drop(check_rotation(shared, &command).await);
    }
}

/// How an order stands, judged again if it is pending.
pub(super) async fn touch(shared: &Arc<Shared>, id: &OrderId) -> Result<Answer, Error> {
    let open = shared.read().ledger.order(id).is_some();
    if !open {
        match load_ended(shared, id).await {
            // Its batch is not published or not sealed yet: the sequencer answers after that.
            Err(Error::NotFound { what: "order" } | Error::Unavailable { .. }) => {}
            ended => {
                let answer = deliver(shared, &ended?).await;
                return answer.map_err(|error| named(id, error));
            }
        }
    }
    find_signer(shared, id).await;
    let progress = call(shared, Message::Touch(id.clone()), false).await?;
    settle(shared, progress).await
}

pub(super) async fn statement(
    shared: &Arc<Shared>,
    signed: SignedStatement,
) -> Result<Answer, Error> {
    let id = signed.statement.order.clone();
    let open = shared.read().ledger.order(&id).cloned();
    let Some(order) = open else { return statement_of_ended(shared, &signed).await };
    let urgent = signed.statement.verb != Verb::Approve;
    shared.has_place(urgent)?;
    shared.read().ledger.check_statement(&signed, signed.statement.verb)?;
    let rejects = signed.statement.verb == Verb::Reject;
    if rejects && !is_awaited(shared, &order, &signed.statement.role) {
        return Err(Error::Request { what: "the order does not wait for this role" });
    }
    if !urgent {
        find_signer(shared, &id).await;
    }
    let progress = call(shared, Message::Statement(Box::new(signed)), urgent).await?;
    settle(shared, progress).await
}

/// A statement about an order that is not open: whoever could have decided about it hears how it ended.
async fn statement_of_ended(
    shared: &Arc<Shared>,
    signed: &SignedStatement,
) -> Result<Answer, Error> {
    shared.read().ledger.check_signer(signed)?;
    let answer = touch(shared, &signed.statement.order).await?;
    if answer.digest == signed.statement.digest {
        Ok(answer)
    } else {
        Err(LedgerError::Statement { what: OTHER_ORDER }.into())
    }
}

/// Whether approvals of a role could release the order.
fn is_awaited(shared: &Shared, order: &OpenOrder, role: &RoleId) -> bool {
    missing(shared, order).iter().any(|option| {
        option.approvals.contains_key(role) || option.organisations.contains_key(role)
    }) || order.approvals().iter().any(|approval| approval.statement.role == *role)
}

/// What the answer to a call becomes for its caller.
async fn settle(shared: &Arc<Shared>, progress: Progress) -> Result<Answer, Error> {
    match progress {
        Progress::Ended(ended) => {
            deliver(shared, &ended).await.map_err(|error| named(&ended.order, error))
        }
        Progress::Known(id) => current(shared, &id).await.map_err(|error| named(&id, error)),
        Progress::Waiting(id) => waiting(shared, &id).await.map_err(|error| named(&id, error)),
        Progress::Closed | Progress::Resumed(_) => Err(Error::Closed),
    }
}

/// A waiting order: what it waits for, or its end if nothing would release it.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
async fn waiting(shared: &Arc<Shared>, id: &OrderId) -> Result<Answer, Error> {
    let open = shared.read().ledger.order(id).cloned();
    let Some(order) = open else { return current(shared, id).await };
    let options = missing(shared, &order);
    if !options.is_empty() || order.state() != OrderState::Pending || is_frozen(shared, &order) {
        let outcome = standing(&order, options);
        return Ok(Answer { order: id.clone(), digest: *order.digest(), outcome });
    }
    match deny(shared, id).await? {
        Progress::Ended(ended) => deliver(shared, &ended).await,
        _ => Box::pin(current(shared, id)).await,
    }
}

/// The order is durable: an error that may pass names it.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others do not pass, or name it")]
fn named(id: &OrderId, error: Error) -> Error {
    let order = Some(id.clone());
    match error {
        Error::Audit(_) | Error::Busy { .. } | Error::Store(_) => Error::Unavailable { order },
        Error::Unavailable { order: None } => Error::Unavailable { order },
        Error::Indeterminate { order: None } => Error::Indeterminate { order },
        other => other,
    }
}

/// Whether the order was pending already when its wallet was frozen: it waits for the thaw.
fn is_frozen(shared: &Shared, order: &OpenOrder) -> bool {
    shared.read().ledger.hold(order.document(), order.document().submitted) == Some("frozen")
}

/// Waits until an order that was resumed has ended.
pub(super) async fn wait(shared: &Arc<Shared>, id: &OrderId) -> Result<Answer, Error> {
    let progress = call(shared, Message::Wait(id.clone()), false).await?;
    settle(shared, progress).await
}

/// How an order stands now, open or ended.
pub(super) async fn current(shared: &Arc<Shared>, id: &OrderId) -> Result<Answer, Error> {
    let open = shared.read().ledger.order(id).cloned();
    match open {
        None => deliver(shared, &load_ended(shared, id).await?).await,
        Some(order) => {
            let options = missing(shared, &order);
            let outcome = standing(&order, options);
            Ok(Answer { order: id.clone(), digest: *order.digest(), outcome })
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
fn standing(order: &OpenOrder, missing: Vec<Requirement>) -> Outcome {
    match order.state() {
        OrderState::Reserved => Outcome::Pending { missing: Vec::new() },
        OrderState::Pending => Outcome::Pending { missing },
        _ => Outcome::Unknown { reason: order.lost().unwrap_or(Hold::Interrupted) },
    }
}

/// What would release a pending order; empty if nothing would.
fn missing(shared: &Shared, order: &OpenOrder) -> Vec<Requirement> {
    let now = shared.now();
    options(&shared.snapshot(), order, now)
}

/// What would release an order that is not allowed. The search may be long: no lock is held in it.
fn options(published: &Published, order: &OpenOrder, now: Timestamp) -> Vec<Requirement> {
    match published.ledger.missing(published.engine.as_ref(), order, now) {
        Missing::Await { options, .. } => options,
        Missing::Never => Vec::new(),
    }
}

/// Judges without changing anything.
pub(super) fn explain_open(
    shared: &Shared,
    order: &OpenOrder,
    summary: Vec<String>,
) -> Explanation {
    let now = shared.now();
    let published = shared.snapshot();
    let decision = published.ledger.decide(published.engine.as_ref(), order, now);
    let allowed = decision.allowed;
    let can_wait = !allowed && !decision.is_final;
    Explanation {
        state: order.state(),
        allowed,
        missing: if can_wait { options(&published, order, now) } else { Vec::new() },
        rules: decision.rules,
        errors: decision.errors,
        summary,
    }
}

pub(super) async fn explain(shared: &Shared, id: &OrderId) -> Result<Explanation, Error> {
    let open = shared.read().ledger.order(id).cloned();
    let order = open.ok_or(Error::NotFound { what: "open order" })?;
    let summary = match load_carried(shared, order.document()).await? {
        Carried::Command(command) => vec![command.action().to_string()],
        Carried::Payload { payload, context } => {
            let decoder = shared.decoder(&payload.format, &context.chain)?;
            shared.decode(decoder.as_ref(), &payload, &context)?.summary
        }
    };
    Ok(explain_open(shared, &order, summary))
}

/// What the rules would say about a request, without making an order of it.
pub(super) fn simulate(shared: &Shared, request: Request) -> Result<Explanation, Error> {
    let submission = submission(&request)?;
    let prepared = prepare(shared, request, submission)?;
    let summary = match prepared.carried.as_ref() {
        Carried::Command(command) => {
            shared.read().ledger.check(command)?;
            vec![command.action().to_string()]
        }
        Carried::Payload { payload, context } => {
            let decoder = shared.decoder(&payload.format, &context.chain)?;
            shared.decode(decoder.as_ref(), payload, context)?.summary
        }
    };
    let order = OpenOrder::simulated(
        Arc::clone(&prepared.document),
        prepared.order.sha256,
        prepared.authentication,
        prepared.carried.command().cloned(),
    );
    Ok(explain_open(shared, &order, summary))
}

/// Asks for a hopeless order to be denied. Its caller had a place in the queue and waits, so that
/// this needs none: there are never more of these than calls that were taken in.
async fn deny(shared: &Shared, id: &OrderId) -> Result<Progress, Error> {
    let (reply, answer) = oneshot::channel();
    let entry = Entry { message: Message::Deny(id.clone()), reply: Some(reply) };
    shared.finished.unbounded_send(entry).map_err(|_| Error::Closed)?;
    answer.await.map_err(|_| Error::Closed)?
}

/// Sends a message to the sequencer and waits for its answer.
pub(super) async fn call(
    shared: &Shared,
    message: Message,
    urgent: bool,
) -> Result<Progress, Error> {
    let (reply, answer) = oneshot::channel();
    shared.send(Entry { message, reply: Some(reply) }, urgent)?;
    answer.await.map_err(|_| Error::Closed)?
}
