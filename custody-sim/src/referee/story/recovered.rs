use custody_core::digest::Digest;
use custody_core::document::{EventBody, RecoveredEvent};
use custody_core::id::OrderId;
use custody_core::order::OrderState;
use custody_core::time::Timestamp;

use super::super::{Check, broken};
use super::Story;
use crate::house::short;

/// What is to be remembered of the last recovery from an older copy.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    at: Option<Timestamp>,
    archive: Option<Digest>,
    /// Orders that waited or were reserved, until something else happens.
    left: Vec<(OrderId, OrderState)>,
}

impl Story {
    /// The archive of the last recovery.
    pub(in super::super) const fn recovered(&self) -> Option<Digest> {
        self.recovery.archive
    }

    pub(super) fn recover(&mut self, at: Timestamp, recovered: &RecoveredEvent) {
        let open = [OrderState::Pending, OrderState::Reserved];
        let left = self.tales.iter().filter(|(_, tale)| open.contains(&tale.state));
        let left = left.map(|(id, tale)| (id.clone(), tale.state)).collect();
        self.recovery = Recovery { at: Some(at), archive: Some(recovered.archive), left };
        self.house_is_frozen |= recovered.behind.is_some();
    }

    /// What waited is cancelled and what was reserved is unknown before anything else happens.
    pub(super) fn nothing_outlives_a_recovery(&mut self, next: &EventBody) -> Check {
        const RULE: &str = "nothing that waited or was reserved outlives a recovery";
        if matches!(
            next,
            EventBody::OrderClosed(_) | EventBody::OrderConcluded(_) | EventBody::Recovered(_)
        ) {
            return Ok(());
        }
        for (id, was) in std::mem::take(&mut self.recovery.left) {
            let state = self.tales.get(&id).map(|tale| tale.state);
            let ended = match was {
                OrderState::Pending => OrderState::Cancelled,
                _ => OrderState::Unknown,
            };
            if state != Some(ended) {
                return broken(RULE, format_args!("{} was {was}, is {state:?}", short(&id)));
            }
        }
        Ok(())
    }

    /// Whether the window of a day knows nothing of what may have been spent in it.
    pub(super) fn is_exhausted(&self, at: Timestamp, window_ms: u64) -> bool {
        self.recovery.at.is_some_and(|since| at.as_millis() < since.as_millis() + window_ms)
    }
}
