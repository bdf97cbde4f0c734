use custody_core::document::{CloseReason, Conclusion, EventBody, Verdict};

use crate::house::short;

/// What is counted of an event.
pub(crate) const fn kind(event: &EventBody) -> &'static str {
    match event {
        EventBody::ApprovalAdded(_) => "events: approvals",
        EventBody::Genesis(_) => "events: genesis",
        EventBody::KeyDestroyed(_) => "events: keys destroyed",
        EventBody::OrderClosed(closed) => match &closed.reason {
            CloseReason::Cancelled(_) => "events: cancelled",
            CloseReason::Expired {} => "events: expired",
            CloseReason::Recovered {} => "events: cancelled by a recovery",
            CloseReason::Rejected(_) => "events: rejected",
        },
        EventBody::OrderConcluded(concluded) => match &concluded.outcome {
            Conclusion::Executed { .. } => "events: executed",
            Conclusion::Failed { .. } => "events: failed",
            Conclusion::Signed { .. } => "events: signed",
            Conclusion::Unknown { .. } => "events: unknown",
        },
        EventBody::OrderDecided(decided) => match decided.verdict {
            Verdict::Allowed => "events: allowed",
            Verdict::Denied => "events: denied",
        },
        EventBody::OrderSubmitted(_) => "events: submitted",
        EventBody::Recovered(_) => "events: recoveries",
        EventBody::Snapshot(_) => "events: snapshots",
        _ => "events of other kinds",
    }
}

/// An event in a few words.
pub(crate) fn in_words(event: &EventBody) -> String {
    match event {
        EventBody::ApprovalAdded(signed) => {
            let statement = &signed.statement;
            format!("{} approved by {}", short(&statement.order), statement.principal)
        }
        EventBody::Genesis(_) => "genesis".to_owned(),
        EventBody::KeyDestroyed(key) => format!("{key} destroyed"),
        EventBody::OrderClosed(closed) => {
            let word = match &closed.reason {
                CloseReason::Cancelled(_) => "cancelled",
                CloseReason::Expired {} => "expired",
                CloseReason::Recovered {} => "cancelled by a recovery",
                CloseReason::Rejected(_) => "rejected",
            };
            format!("{} {word}", short(&closed.order))
        }
        EventBody::OrderConcluded(concluded) => {
            let word = match &concluded.outcome {
                Conclusion::Executed { .. } => "executed".to_owned(),
                Conclusion::Failed { reason } => format!("failed {reason:?}"),
                Conclusion::Signed { .. } => "signed".to_owned(),
                Conclusion::Unknown { reason, suspends: None } => format!("unknown {reason:?}"),
                Conclusion::Unknown { reason, suspends: Some(key) } => {
                    format!("unknown {reason:?}, suspends {key}")
                }
            };
            format!("{} {word}", short(&concluded.order))
        }
        EventBody::OrderDecided(decided) => {
            let word = if decided.verdict == Verdict::Allowed { "allowed" } else { "denied" };
            let rules: Vec<_> = decided.rules.iter().map(ToString::to_string).collect();
            format!("{} {word} {}", short(&decided.order), rules.join(" "))
        }
        EventBody::OrderSubmitted(submitted) => {
            let who = (&submitted.requester, &submitted.request);
            format!("{} submitted by {} as {}", short(&submitted.order), who.0, who.1)
        }
        EventBody::Recovered(recovered) => match &recovered.behind {
            None => "recovered".to_owned(),
            Some(behind) => format!("recovered, behind a head over {} events", behind.size),
        },
        EventBody::Snapshot(_) => "snapshot".to_owned(),
        other => format!("{other:?}"),
    }
}
