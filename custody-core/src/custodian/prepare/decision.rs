//! Whether an order can be decided: its decision names every window that it counts in, with its
//! sums, and has to find place in one event.

use std::sync::Arc;

use crate::custodian::error::Error;
use crate::custodian::shared::{Published, Shared};
use crate::digest::Digest;
use crate::document::{
    EVENT_MAX, EventBody, EventDocument, OrderDecided, OrderDocument, V1, Verdict, to_bytes,
};
use crate::ledger::OpenOrder;
use crate::seam::Authentication;

/// So many effects count in thirty windows at most. A decision about these finds place whatever
/// their sums are.
const FEW: usize = 10;

/// What is left for the sums of one window to grow while the order waits: four digits in each of
/// four sums.
const GROWTH: usize = 4 * 4;

/// What is left for other rules than those that speak now.
const RULES: usize = 1_024;

/// An order whose decision no event has place for.
pub(in crate::custodian) const UNDECIDABLE: Error =
    Error::Request { what: "a decision about the order would be too large for the log" };

/// Refuses an order whose decision may find no place in an event: it would wait until it expires.
pub(super) fn check_decision(
    shared: &Shared,
    document: &Arc<OrderDocument>,
    authentication: &Authentication,
) -> Result<(), Error> {
    if document.effects.len() <= FEW {
        return Ok(());
    }
    let (digest, authentication) = (Digest::of(&[]), authentication.clone());
    let order = OpenOrder::simulated(Arc::clone(document), digest, authentication, None);
    let Published { ledger, engine } = shared.snapshot();
    let decision = ledger.decide(engine.as_ref(), &order, document.submitted);
    let growth = decision.windows.len().saturating_mul(GROWTH);
    let event = EventDocument {
        v: V1,
        at: document.submitted,
        event: EventBody::OrderDecided(OrderDecided {
            order: document.order.clone(),
            verdict: Verdict::Allowed,
            engine: shared.compiler.engine().clone(),
            policy: ledger.policy().id(),
            rules: decision.rules,
            errors: decision.errors,
            windows: decision.windows,
        }),
    };
    let length = to_bytes(&event)?.len().saturating_add(growth).saturating_add(RULES);
    if length > EVENT_MAX { Err(UNDECIDABLE) } else { Ok(()) }
}
