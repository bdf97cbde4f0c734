//! Going on from a state that was restored from an archive.
//!
//! Invariant: after a recovery nothing happens before each order that it found waiting or reserved
//! has ended, and no order ends that way at any other time.

use serde::{Deserialize, Serialize};

use super::{Ledger, LedgerError, OpenOrder};
use crate::digest::Digest;
use crate::document::{
    CloseReason, Conclusion, EventBody, HeadReference, Hold, OrderClosed, OrderConcluded,
    RecoveredEvent,
};
use crate::order::OrderState;
use crate::seam::Position;
use crate::time::Timestamp;

/// The last recovery of a custodian from an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovered {
    archive: Digest,
    at: Timestamp,
    /// The index of its event.
    index: Position,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    behind: Option<HeadReference>,
}

impl Recovered {
    /// The id of the archive.
    #[must_use]
    pub const fn archive(&self) -> &Digest {
        &self.archive
    }

    /// The ledger time of its event.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// The index of its event, which is the number of events that were restored.
    #[must_use]
    pub const fn index(&self) -> Position {
        self.index
    }

    /// The head that was anchored or witnessed and that what was restored does not lead to.
    #[must_use]
    pub const fn behind(&self) -> Option<&HeadReference> {
        self.behind.as_ref()
    }

    /// Whether this recovery says all that another one would say.
    pub(crate) fn covers(&self, archive: &Digest, behind: Option<&HeadReference>) -> bool {
        self.archive == *archive && (behind.is_none() || behind == self.behind.as_ref())
    }
}

impl Ledger {
    /// The last recovery from an archive; none if there was none.
    #[must_use]
    pub const fn recovered(&self) -> Option<&Recovered> {
        self.recovered.as_ref()
    }

    /// Which of the four spending windows a recovery exhausted that are so still at `now`: the last
    /// hour, day, week and thirty days.
    #[must_use]
    pub fn exhausted(&self, now: Timestamp) -> [bool; 4] {
        self.windows.exhausted(now)
    }

    /// The orders that the last recovery found waiting or reserved and that have not ended yet,
    /// oldest first.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = &OpenOrder> {
        let is_settled = self.unsettled == 0;
        self.orders.values().filter(move |order| !is_settled && is_unsettled(order))
    }

    pub(super) fn recover(&mut self, event: &RecoveredEvent) -> Result<(), LedgerError> {
        let wrong = |what| Err(LedgerError::Recovery { what });
        if event.restored.size != self.position {
            return wrong("the restored head is not the one before it");
        }
        let (last, size) = (self.recovered.as_ref(), event.restored.size);
        // A smaller one is what an earlier recovery lost.
        let is_fork =
            |head: HeadReference| head.size == size || (last.is_none() && head.size < size);
        if event.behind.is_some_and(is_fork) {
            return wrong("a head that is no newer one is of another history");
        }
        if last.is_some_and(|last| last.covers(&event.archive, event.behind.as_ref())) {
            return wrong("the archive was recovered before");
        }
        self.windows.exhaust(self.time);
        self.frozen |= event.behind.is_some();
        self.unsettled = self.orders.values().filter(|order| is_unsettled(order)).count();
        self.recovered = Some(Recovered {
            archive: event.archive,
            at: self.time,
            index: self.position,
            behind: event.behind,
        });
        Ok(())
    }

    /// Fails on whatever may not happen while orders are still to be ended after a recovery, and on
    /// such an end at any other time.
    pub(super) fn check_settling(&self, event: &EventBody) -> Result<(), LedgerError> {
        let closes = matches!(
            event,
            EventBody::OrderClosed(OrderClosed { reason: CloseReason::Recovered {}, .. })
        );
        let wrong = |what| Err(LedgerError::Recovery { what });
        if self.unsettled == 0 {
            return if closes { wrong("no order is to be ended") } else { Ok(()) };
        }
        if closes || loses(event) || matches!(event, EventBody::Recovered(_)) {
            Ok(())
        } else {
            wrong("orders are to be ended first")
        }
    }

    /// An order has ended that waited or was reserved; all of them count only after a recovery.
    pub(super) const fn settled(&mut self) {
        self.unsettled = self.unsettled.saturating_sub(1);
    }

    /// Makes what is not written of a recovery, once all orders were read.
    pub(super) fn take_up_recovery(&mut self) {
        let Some(recovered) = &self.recovered else { return };
        let index = recovered.index;
        self.windows.exhaust(recovered.at);
        let is_left = |order: &&OpenOrder| is_unsettled(order) && order.submitted < index;
        self.unsettled = self.orders.values().filter(is_left).count();
    }
}

const fn is_unsettled(order: &OpenOrder) -> bool {
    matches!(order.state, OrderState::Pending | OrderState::Reserved)
}

/// Whether an event says of a reserved order that nobody knows what became of it.
fn loses(event: &EventBody) -> bool {
    let EventBody::OrderConcluded(OrderConcluded { outcome, .. }) = event else { return false };
    matches!(outcome, Conclusion::Unknown { reason: Hold::Interrupted, suspends: None })
}
