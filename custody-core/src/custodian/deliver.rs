use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::error::Error;
use super::message::{Carried, Ended};
use super::record::{OrderRecord, order_key};
use super::request::{Answer, Outcome, Release};
use super::shared::Shared;
use crate::command::{Command, CommandResult, Resolution};
use crate::document::{
    CloseReason, Conclusion, EventBody, EventDocument, Hold, OrderDocument, OrderSubmitted,
    SignatureSet, Verdict, Work, parse,
};
use crate::id::{OrderId, RuleId};
use crate::order::OrderState;
use crate::seam::{ErrorKind, Payload, Position, TaskSignature};

/// The answer about an order that ended: what leaves the library is made here, from what is
/// durable and sealed.
pub(super) async fn deliver(shared: &Shared, ended: &Ended) -> Result<Answer, Error> {
    let outcome = match (&ended.conclusion, ended.state) {
        (Some(Conclusion::Failed { reason }), _) => Outcome::Failed { reason: *reason },
        (Some(Conclusion::Unknown { reason, .. }), _) => Outcome::Unknown { reason: *reason },
        (_, OrderState::Denied) => Outcome::Denied { rules: ended.rules.clone() },
        (_, OrderState::Expired) => Outcome::Expired,
        (_, OrderState::Cancelled) => Outcome::Cancelled,
        (conclusion, OrderState::Executed | OrderState::Signed) => {
            if is_held(shared, ended) {
                Outcome::Unknown { reason: Hold::Frozen }
            } else {
                Outcome::Released(Box::new(release(shared, ended, conclusion.as_ref()).await?))
            }
        }
        (_, OrderState::Failed) => Outcome::Failed { reason: Hold::Resolved },
        (_, _) => Outcome::Unknown { reason: Hold::Interrupted },
    };
    Ok(Answer { order: ended.order.clone(), digest: ended.digest, outcome })
}

/// Whether the signed payload stays here while its wallet is frozen.
fn is_held(shared: &Shared, ended: &Ended) -> bool {
    let Some(document) = &ended.document else { return true };
    if matches!(document.work, Work::Command(_)) {
        return false;
    }
    let ledger_holds = {
        let published = shared.read();
        let wallet = document.wallet.as_ref().and_then(|id| published.ledger.wallet(id));
        published.ledger.is_frozen() || wallet.is_none_or(crate::ledger::Wallet::is_frozen)
    };
    ledger_holds || shared.holds().stops_wallet(document)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
async fn release(
    shared: &Shared,
    ended: &Ended,
    conclusion: Option<&Conclusion>,
) -> Result<Release, Error> {
    let receipt = shared.audit.receipt(ended.index).await?;
    if let Some(Conclusion::Executed { result }) = conclusion {
        let extension = match result {
            CommandResult::Extension { sha256 } => {
                Some(shared.document(ended.order.as_str(), sha256).await?)
            }
            _ => None,
        };
        let result = Some(result.clone());
        return Ok(Release { signed: None, signatures: Vec::new(), result, extension, receipt });
    }
    let document = ended.document.as_ref().ok_or(Error::NotFound { what: "order document" })?;
    let loaded;
    let carried = match &ended.carried {
        Some(carried) => carried.as_ref(),
        None => {
            loaded = load_carried(shared, document).await?;
            &loaded
        }
    };
    let Carried::Payload { payload, context } = carried else {
        return Err(Error::NotFound { what: "payload" });
    };
    let decoder = shared.decoder(&payload.format, &context.chain)?;
    if !super::job::same_decoder(&document.work, decoder.as_ref()) {
        return Err(Error::Decoder { what: "the order was decoded by another version" });
    }
    let assemble = || decoder.assemble(payload, context, &ended.signatures);
    let signed = catch_unwind(AssertUnwindSafe(assemble))
        .map_err(|_| Error::Decoder { what: "the decoder panicked" })??;
    let signatures = ended.signatures.clone();
    Ok(Release { signed: Some(signed), signatures, result: None, extension: None, receipt })
}

/// What an order carries, read from the store and checked against the order document.
pub(super) async fn load_carried(
    shared: &Shared,
    document: &OrderDocument,
) -> Result<Carried, Error> {
    let owner = document.order.as_str();
    match &document.work {
        Work::Command(reference) => {
            let bytes = shared.document(owner, &reference.sha256).await?;
            let command: Command = parse(&bytes)?;
            Ok(Carried::Command(Arc::new(command)))
        }
        Work::Payload(reference) => {
            let context = shared.document(owner, &reference.context.sha256).await?;
            let bytes = shared.document(owner, &reference.sha256).await?;
            let payload = Payload { format: reference.format.clone(), bytes };
            Ok(Carried::Payload { payload, context: parse(&context)? })
        }
    }
}

/// A terminal order, read from its events, which must be under the log's head.
pub(super) async fn load_ended(shared: &Shared, id: &OrderId) -> Result<Ended, Error> {
    const WRONG: Error = Error::Request { what: "the order's record contradicts the log" };
    let record = shared.store.get(&order_key(id)?).await?;
    let record = record.ok_or(Error::NotFound { what: "order" })?;
    let record: OrderRecord = parse(&record.value)?;
    if record.order != *id || !record.state.is_terminal() {
        return Err(WRONG);
    }
    let EventBody::OrderSubmitted(submitted) = event(shared, id, record.submitted).await? else {
        return Err(WRONG);
    };
    let last = event(shared, id, record.ended).await?;
    let document = order_document(shared, &submitted).await?;
    if submitted.order != *id || document.order != *id {
        return Err(WRONG);
    }
    let mut ended = Ended {
        order: id.clone(),
        digest: submitted.document.sha256,
        state: record.state,
        submitted: record.submitted,
        index: record.ended,
        rules: Vec::new(),
        conclusion: None,
        signatures: Vec::new(),
        carried: None,
        document: Some(Arc::new(document)),
    };
    let state = read_end(shared, id, &last, &mut ended).await?;
    if state == record.state { Ok(ended) } else { Err(WRONG) }
}

/// What the last event of an order says about it.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
async fn read_end(
    shared: &Shared,
    id: &OrderId,
    last: &EventBody,
    ended: &mut Ended,
) -> Result<OrderState, Error> {
    const WRONG: Error = Error::Request { what: "the order's record contradicts the log" };
    match last {
        EventBody::OrderDecided(decided)
            if decided.order == *id && decided.verdict == Verdict::Denied =>
        {
            ended.rules =
                decided.rules.iter().chain(&decided.errors).cloned().collect::<Vec<RuleId>>();
            Ok(OrderState::Denied)
        }
        EventBody::OrderClosed(closed) if closed.order == *id => Ok(match closed.reason {
            CloseReason::Cancelled(_) | CloseReason::Recovered {} => OrderState::Cancelled,
            CloseReason::Expired {} => OrderState::Expired,
            CloseReason::Rejected(_) => OrderState::Denied,
        }),
        EventBody::OrderConcluded(concluded) if concluded.order == *id => {
            ended.conclusion = Some(concluded.outcome.clone());
            match &concluded.outcome {
                Conclusion::Executed { .. } => Ok(OrderState::Executed),
                Conclusion::Failed { .. } => Ok(OrderState::Failed),
                Conclusion::Signed { signatures } => {
                    let bytes = shared.document(id.as_str(), &signatures.sha256).await?;
                    let set: SignatureSet = parse(&bytes)?;
                    ended.signatures = set.signatures;
                    Ok(OrderState::Signed)
                }
                Conclusion::Unknown { .. } => Err(WRONG),
            }
        }
        EventBody::OrderConcluded(resolver)
            if matches!(resolver.outcome, Conclusion::Executed { .. }) =>
        {
            let (state, signatures) = resolution(shared, id, &resolver.order).await?;
            ended.signatures = signatures;
            Ok(state)
        }
        _ => Err(WRONG),
    }
}

/// How a `resolve_order` command settled an order.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
async fn resolution(
    shared: &Shared,
    id: &OrderId,
    resolver: &OrderId,
) -> Result<(OrderState, Vec<TaskSignature>), Error> {
    const WRONG: Error = Error::Request { what: "the order's record contradicts the log" };
    let record = shared.store.get(&order_key(resolver)?).await?;
    let record: OrderRecord = parse(&record.ok_or(WRONG)?.value)?;
    let EventBody::OrderSubmitted(submitted) = event(shared, id, record.submitted).await? else {
        return Err(WRONG);
    };
    let document = order_document(shared, &submitted).await?;
    if submitted.order != *resolver || document.order != *resolver {
        return Err(WRONG);
    }
    let Carried::Command(command) = load_carried(shared, &document).await? else {
        return Err(WRONG);
    };
    match command.as_ref() {
        Command::ResolveOrder { order, resolution } if order == id => Ok(match resolution {
            Resolution::Failed { .. } => (OrderState::Failed, Vec::new()),
            Resolution::Signed { signatures } => (OrderState::Signed, signatures.clone()),
        }),
        _ => Err(WRONG),
    }
}

/// An event of an order under the log's head. One that is not yet under it, or whose head is not
/// anchored yet, may be later.
async fn event(shared: &Shared, id: &OrderId, index: Position) -> Result<EventBody, Error> {
    if !shared.is_sealed(index) {
        return Err(Error::Unavailable { order: Some(id.clone()) });
    }
    let events = shared.store.events(index, 1).await?;
    match shared.audit.includes(&events).await {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Error::Unavailable { order: Some(id.clone()) });
        }
        included => included?,
    }
    let event = events.first().ok_or(Error::NotFound { what: "event" })?;
    Ok(EventDocument::read(&event.bytes)?.event)
}

async fn order_document(
    shared: &Shared,
    submitted: &OrderSubmitted,
) -> Result<OrderDocument, Error> {
    let owner = submitted.order.as_str();
    Ok(parse(&shared.document(owner, &submitted.document.sha256).await?)?)
}
