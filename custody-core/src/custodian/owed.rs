use std::sync::Arc;

use futures::channel::mpsc;

use super::message::{Carried, Entry, Finished, JobResult, Message};
use super::shared::Shared;
use crate::document::Hold;
use crate::id::OrderId;

/// The result that the sequencer waits for: it comes even if the job is dropped.
pub(super) struct Owed {
    order: Option<OrderId>,
    /// Dropped before it began, a job has asked nobody for anything.
    has_begun: bool,
    finished: mpsc::UnboundedSender<Entry>,
}

impl Owed {
    pub(super) fn new(order: OrderId, shared: &Shared) -> Self {
        Self { order: Some(order), has_begun: false, finished: shared.finished.clone() }
    }

    pub(super) const fn begin(&mut self) {
        self.has_begun = true;
    }

    pub(super) fn pay(mut self, result: JobResult, carried: Option<Arc<Carried>>) {
        self.send(result, carried);
    }

    fn send(&mut self, result: JobResult, carried: Option<Arc<Carried>>) {
        let Some(order) = self.order.take() else { return };
        let finished = Box::new(Finished { order, result, carried });
        let entry = Entry { message: Message::Finished(finished), reply: None };
        drop(self.finished.unbounded_send(entry));
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        let lost = if self.has_begun {
            JobResult::Unknown { reason: Hold::Interrupted, suspends: None }
        } else {
            JobResult::Failed(Hold::BackendUnavailable)
        };
        self.send(lost, None);
    }
}
