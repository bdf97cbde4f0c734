//! Goes on from what was restored from an archive.
//!
//! Invariant: nothing is written before every head that anybody vouches for was compared with what
//! was restored, and no order that waited or was reserved outlives a recovery.

use super::builder::Seams;
use super::clock;
use super::draft::Draft;
use super::error::{Error, OpenError};
use super::open::{self, Opened};
use crate::digest::Digest;
use crate::document::{
    CloseReason, Conclusion, EventBody, HeadReference, Hold, OrderClosed, OrderConcluded,
    RecoveredEvent,
};
use crate::id::{CustodianId, OrderId};
use crate::ledger::{Attached, Ledger};
use crate::order::OrderState;
use crate::seam::{Head, Position};
use crate::tree::Tree;

/// From which archive a custodian was restored, and what is known about the time after it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it")]
pub struct Recovery {
    /// The id of the archive.
    pub archive: Digest,
    /// Every head that a witness, an anchor, an archive or another copy vouches for.
    pub vouched: Vec<Head>,
    /// What becomes of a copy that is older than one of them.
    pub older: Older,
}

/// What becomes of a copy that is older than a head that somebody vouches for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Older {
    /// It is not opened.
    #[default]
    Refuse,
    /// It is opened with the whole house frozen. Whoever the rules let thaw the house accepts what
    /// is lost, and the log says so.
    Freeze,
}

/// Opens what was restored: compares it with every head that somebody vouches for, and records the
/// recovery unless the log has it.
pub(super) async fn recover(
    seams: &Seams,
    custodian: CustodianId,
    recovery: &Recovery,
) -> Result<Opened, OpenError> {
    let heads = open::heads(seams).await?;
    let found = open::find(seams, custodian, &heads).await?;
    let last = found.ledger.recovered();
    let accepted = last.and_then(|last| last.behind().copied()).map(Head::from);
    let told: Vec<Head> =
        recovery.vouched.iter().filter(|head| Some(**head) != accepted).copied().collect();
    let own = heads.signed.into_iter().chain(heads.anchored);
    let (restored, lacking) = lacking(seams, told.iter().copied().chain(own).collect()).await?;
    if heads.signed.is_some_and(|signed| lacking.contains(&signed)) {
        return Err(OpenError::Corrupt { what: "the log's head is not over the restored events" });
    }
    // What is older than a copy was lost by an earlier recovery, or is another history.
    let is_fork =
        |head: &Head| head.size == restored.size || (last.is_none() && head.size < restored.size);
    if lacking.iter().any(is_fork) {
        return Err(OpenError::Corrupt { what: "the log was forked from a vouched head" });
    }
    if recovery.older == Older::Refuse
        && let Some(head) = lacking.first()
    {
        return Err(heads.rolled_back(*head));
    }
    if let Some(anchored) = heads.anchored.filter(|anchored| lacking.contains(anchored)) {
        return Err(OpenError::AnchorAhead { anchored: anchored.size.value() });
    }
    // Limits are exhausted from this time on: a clock that lags behind would end that too early.
    if clock::is_behind(seams.clock.as_ref(), found.ledger.time()) {
        return Err(OpenError::ClockBehind);
    }
    let behind = told.iter().filter(|head| lacking.contains(head)).max_by_key(|head| head.size);
    let behind = behind.copied().map(HeadReference::from);
    let archive = recovery.archive;
    let is_known = last.is_some_and(|last| last.covers(&archive, behind.as_ref()));
    let event = RecoveredEvent { archive, restored: restored.into(), behind };
    open::begin(seams, found, heads.anchored, (!is_known).then_some(event)).await
}

/// The head over all stored events, and those of `vouched` that they do not lead to.
async fn lacking(seams: &Seams, mut vouched: Vec<Head>) -> Result<(Head, Vec<Head>), OpenError> {
    const PAGE: u16 = 1_000;
    vouched.retain(|head| head.size > Position::START);
    let mut tree = Tree::default();
    loop {
        let events = seams.store.events(tree.size(), PAGE).await?;
        if events.is_empty() {
            return Ok((tree.head(), vouched));
        }
        for event in events {
            tree.append(&event.bytes);
            if vouched.iter().any(|head| head.size == tree.size()) {
                let head = tree.head();
                vouched.retain(|vouched| *vouched != head);
            }
        }
    }
}

/// Records a recovery if there is a new one, and ends the orders that the last one found waiting or
/// reserved, a few in each batch. What a stopped process left of them ends at the next start.
pub(super) async fn settle(
    seams: &Seams,
    ledger: &mut Ledger,
    mut recovered: Option<RecoveredEvent>,
) -> Result<(), OpenError> {
    loop {
        let mut draft = Draft::new(ledger);
        draft.at = seams.clock.now().max(ledger.time());
        if let Some(recovered) = recovered.take() {
            draft.push(ledger, EventBody::Recovered(recovered), Attached::default())?;
        }
        end_some(ledger, &mut draft)?;
        if draft.events.is_empty() {
            return Ok(());
        }
        let end = draft.end();
        if seams.store.commit(draft.expected, draft.batch).await? != end {
            return Err(OpenError::Corrupt {
                what: "the store's head is not where its events end",
            });
        }
    }
}

/// Ends some of the orders that are to be ended: those that waited are cancelled, and nobody knows
/// what became of those that were reserved.
fn end_some(ledger: &mut Ledger, draft: &mut Draft) -> Result<(), Error> {
    const MANY: usize = 256;
    let left = ledger.unsettled().take(MANY);
    let left = left.map(|open| (open.document().order.clone(), open.state(), open.submitted()));
    for (order, state, submitted) in left.collect::<Vec<(OrderId, OrderState, Position)>>() {
        if state == OrderState::Pending {
            let closed = OrderClosed { order: order.clone(), reason: CloseReason::Recovered {} };
            let event = EventBody::OrderClosed(closed);
            let index = draft.push(ledger, event, Attached::default())?;
            draft.put_order(&order, OrderState::Cancelled, submitted, index)?;
        } else {
            let outcome = Conclusion::Unknown { reason: Hold::Interrupted, suspends: None };
            let event = EventBody::OrderConcluded(OrderConcluded { order, outcome });
            draft.push(ledger, event, Attached::default())?;
        }
    }
    Ok(())
}
