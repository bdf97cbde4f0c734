//! Answers and events in a word or two, so that tables of tests can be read.

use custody_core::custodian::{Answer, Error, Outcome};
use custody_core::document::{CloseReason, Conclusion, EventBody, Verdict};
use custody_core::id::OrderId;

/// What a caller heard.
pub(crate) fn of(answer: &Result<Answer, Error>) -> String {
    match answer {
        Ok(answer) => of_outcome(&answer.outcome),
        Err(error) => of_error(error),
    }
}

/// What an answer says, but for the receipt, which is under a newer head each time.
pub(crate) fn in_full(answer: &Result<Answer, Error>) -> String {
    let Ok(Answer { order, digest, outcome }) = answer else { return of(answer) };
    match outcome {
        Outcome::Released(release) => {
            format!("{order} {digest} released {:?} {:?}", release.signed, release.signatures)
        }
        other => format!("{order} {digest} {other:?}"),
    }
}

/// How an order stands.
pub(crate) fn of_outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Cancelled => "cancelled".to_owned(),
        Outcome::Denied { rules } => {
            let rules: Vec<_> = rules.iter().map(ToString::to_string).collect();
            format!("denied {}", rules.join(" "))
        }
        Outcome::Expired => "expired".to_owned(),
        Outcome::Failed { reason } => format!("failed {reason:?}"),
        Outcome::Pending { .. } => "pending".to_owned(),
        Outcome::Released(_) => "released".to_owned(),
        Outcome::Unknown { reason } => format!("unknown {reason:?}"),
        other => format!("{other:?}"),
    }
}

/// Why a call failed.
pub(crate) fn of_error(error: &Error) -> String {
    match error {
        Error::Busy { what } => format!("busy: {what}"),
        Error::ClockJump => "clock jump".to_owned(),
        Error::Closed => "closed".to_owned(),
        Error::Indeterminate { .. } => "indeterminate".to_owned(),
        Error::RequestReused { .. } => "reused".to_owned(),
        Error::Store(error) => format!("store {:?}", error.kind()),
        Error::Unavailable { order: None } => "unavailable".to_owned(),
        Error::Unavailable { order: Some(_) } => "unavailable, ask later".to_owned(),
        other => other.to_string(),
    }
}

/// What an event says about an order; nothing if it is about another.
pub(crate) fn of_event(event: &EventBody, id: &OrderId) -> Option<String> {
    let (order, word) = match event {
        EventBody::OrderSubmitted(submitted) => (&submitted.order, "submitted".to_owned()),
        EventBody::ApprovalAdded(approval) => (&approval.statement.order, "approved".to_owned()),
        EventBody::OrderDecided(decided) => {
            let rules: Vec<_> = decided.rules.iter().map(ToString::to_string).collect();
            let word = match decided.verdict {
                Verdict::Allowed => "allowed".to_owned(),
                Verdict::Denied => format!("denied {}", rules.join(" ")),
            };
            (&decided.order, word)
        }
        EventBody::OrderConcluded(concluded) => {
            let word = match &concluded.outcome {
                Conclusion::Executed { .. } => "executed".to_owned(),
                Conclusion::Failed { reason } => format!("failed {reason:?}"),
                Conclusion::Signed { .. } => "signed".to_owned(),
                Conclusion::Unknown { reason, suspends: None } => format!("unknown {reason:?}"),
                Conclusion::Unknown { reason, suspends: Some(key) } => {
                    format!("unknown {reason:?} suspends {key}")
                }
            };
            (&concluded.order, word)
        }
        EventBody::OrderClosed(closed) => {
            let word = match &closed.reason {
                CloseReason::Cancelled(_) => "cancelled",
                CloseReason::Expired {} => "expired",
                CloseReason::Recovered {} => "cancelled by a recovery",
                CloseReason::Rejected(_) => "rejected",
            };
            (&closed.order, word.to_owned())
        }
        _ => return None,
    };
    (order == id).then_some(word)
}
