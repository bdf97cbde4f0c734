use std::sync::Arc;

use super::is_repeatable;
use crate::command::{Command, CommandResult};
use crate::custodian::draft::{After, Draft, Kept};
use crate::custodian::error::Error;
use crate::custodian::message::{Finished, JobResult, Progress};
use crate::custodian::record::{document_key, handle_key, snapshot_keys};
use crate::custodian::sequencer::Sequencer;
use crate::document::{CloseReason, Conclusion, EventBody, Hold, SignatureSet, Stored, V1};
use crate::id::KeyId;
use crate::key::KeyState;
use crate::ledger::{Attached, OpenOrder};
use crate::order::OrderState;
use crate::seam::Record;

impl Sequencer {
    /// A job's answer. What was called while a hold came in between is unknown, not released.
    pub(super) fn finish(&mut self, finished: &Finished, draft: &mut Draft) -> Result<(), Error> {
        let id = &finished.order;
        draft.ended(id);
        let order = self.ledger.order(id);
        let Some(order) = order.filter(|order| order.state() == OrderState::Reserved) else {
            // One that waits again is not over: this turn may still allow it, for another job.
            if order.is_none_or(|order| order.state() != OrderState::Pending) {
                draft.over.push(id.clone());
            }
            return Ok(());
        };
        draft.off.extend(left_on(order));
        let is_over = order.is_over(draft.at).then_some(Hold::Expired);
        let stop = self.stop(order).or(is_over);
        let (outcome, signatures) = match (&finished.result, stop) {
            (JobResult::Signed(_), Some(reason)) => {
                (Conclusion::Unknown { reason, suspends: None }, Vec::new())
            }
            (JobResult::Signed(signatures), None) => {
                let set = Stored::write(SignatureSet {
                    v: V1,
                    order: id.clone(),
                    signatures: signatures.clone(),
                })?;
                let key = document_key(id.as_str(), set.digest())?;
                draft.batch.puts.push(Record { key, value: set.bytes().to_vec() });
                (Conclusion::Signed { signatures: set.reference() }, signatures.clone())
            }
            (JobResult::Executed { result, records }, stop) => {
                let outcome = match stop.filter(|_| resumes(order)) {
                    Some(reason) => Conclusion::Failed { reason },
                    None => self.executed(order, result, records, draft),
                };
                (outcome, Vec::new())
            }
            (JobResult::Failed(reason) | JobResult::Unknown { reason, .. }, _)
                if is_repeatable(order) =>
            {
                (Conclusion::Failed { reason: harmless(*reason) }, Vec::new())
            }
            (JobResult::Failed(reason), _) if self.resumed.contains(id) => {
                (Conclusion::Unknown { reason: *reason, suspends: None }, Vec::new())
            }
            (JobResult::Failed(reason), _) => (Conclusion::Failed { reason: *reason }, Vec::new()),
            (JobResult::Unknown { reason, suspends }, _) => {
                let outcome = Conclusion::Unknown { reason: *reason, suspends: suspends.clone() };
                (outcome, Vec::new())
            }
        };
        let suspended = match &outcome {
            Conclusion::Unknown { suspends, .. } => suspends.clone(),
            Conclusion::Executed { .. } | Conclusion::Failed { .. } | Conclusion::Signed { .. } => {
                None
            }
        };
        self.conclude(id, outcome, Some((finished, signatures)), draft)?;
        suspended.map_or(Ok(()), |key| self.call_off(&key, draft))
    }

    /// Has the orders fail that are about to make a key active which was suspended just now.
    pub(super) fn call_off(&mut self, key: &KeyId, draft: &mut Draft) -> Result<(), Error> {
        let resuming: Vec<_> = self.ledger.resuming(key).cloned().collect();
        for id in resuming {
            self.conclude(&id, Conclusion::Failed { reason: Hold::Conflict }, None, draft)?;
            draft.called_off.insert(id);
        }
        Ok(())
    }

    /// What a command's result makes of its order. What no longer holds has failed; what cannot be
    /// true is unknown, for somebody has made something.
    fn executed(
        &self,
        order: &OpenOrder,
        result: &CommandResult,
        records: &[Record],
        draft: &mut Draft,
    ) -> Conclusion {
        const CONFLICT: Conclusion = Conclusion::Failed { reason: Hold::Conflict };
        let command = order.command().filter(|command| self.ledger.check(command).is_ok());
        let Some(command) = command else { return self.conflict_of(order) };
        let result = self.ledger.completed(command, result.clone());
        if self.ledger.fits(command, &result) {
            draft.batch.puts.extend(records.iter().cloned());
            return Conclusion::Executed { result };
        }
        if is_repeatable(order) {
            return CONFLICT;
        }
        Conclusion::Unknown { reason: Hold::Corrupt, suspends: None }
    }

    /// The outcome of a command that was done and no longer holds. A backend that destroys a key
    /// which the ledger does not is nothing that has failed, nor one that keeps what is destroyed.
    fn conflict_of(&self, order: &OpenOrder) -> Conclusion {
        let is_otherwise = match order.command().map(AsRef::as_ref) {
            Some(Command::DestroyKey { key, .. }) => {
                self.ledger.key(key).is_some_and(|key| key.destruction().is_none())
            }
            Some(Command::CancelDestroy { key }) => {
                self.ledger.key(key).is_some_and(|key| key.state() == KeyState::Destroyed)
            }
            _ => false,
        };
        if is_otherwise {
            return Conclusion::Unknown { reason: Hold::Conflict, suspends: None };
        }
        Conclusion::Failed { reason: Hold::Conflict }
    }

    /// What was allowed before the process stopped: its job starts again if nothing stands
    /// against it, else its outcome is unknown. The stopped process may have called the backend, so
    /// that a job that fails now leaves the outcome unknown too. What has expired meanwhile only a
    /// clock that is trusted can tell: until then it all stays as it is.
    pub(super) fn resume(&mut self, number: usize, draft: &mut Draft) -> Result<(), Error> {
        let left: Vec<_> = self
            .ledger
            .orders()
            .filter(|order| order.state() == OrderState::Reserved)
            .filter(|order| !self.running.contains(&order.document().order))
            .map(|order| {
                let stopped = order.is_over(draft.at) || self.stop(order).is_some();
                (order.document().order.clone(), stopped.then(|| interrupted(order)))
            })
            .collect();
        if self.clock.has_jumped() && !left.is_empty() {
            return Err(Error::ClockJump);
        }
        for (id, stopped) in &left {
            if let Some(outcome) = stopped {
                self.conclude(id, outcome.clone(), None, draft)?;
            } else {
                self.resumed.insert(id.clone());
                self.running.insert(id.clone());
                draft.after.push(After::Start(id.clone(), None));
            }
        }
        let ids = left.into_iter().map(|(id, _)| id).collect();
        draft.after.push(After::Reply(number, Progress::Resumed(ids)));
        Ok(())
    }

    /// What time brings: orders expire, keys whose destruction is due are gone, and now and then
    /// the state is kept as a document.
    pub(in crate::custodian) fn tick(&mut self, draft: &mut Draft) -> Result<(), Error> {
        const MANY: usize = 64;
        if !self.clock.has_jumped() {
            let expired: Vec<_> = self.ledger.expired(draft.at).take(MANY).cloned().collect();
            for id in expired {
                self.close_early(&id, CloseReason::Expired {}, draft)?;
            }
            let due = self.ledger.due_destructions(draft.at);
            for key in due.take(MANY).cloned().collect::<Vec<_>>() {
                let record = Record { key: handle_key(&key)?, value: Vec::new() };
                draft.batch.puts.push(record);
                draft.push(&mut self.ledger, EventBody::KeyDestroyed(key), Attached::default())?;
            }
        }
        let since = self.ledger.position().value().saturating_sub(self.snapshot.since.value());
        if since >= self.shared.config.snapshot_interval {
            self.keep_snapshot(draft)?;
        }
        Ok(())
    }

    /// Keeps the state: its head, and the parts that are not in the store already.
    pub(super) fn keep_snapshot(&mut self, draft: &mut Draft) -> Result<(), Error> {
        const DOCUMENT_MAX: usize = 8 * 1024 * 1024;
        const SNAPSHOT_MAX: usize = 256 * 1024 * 1024;
        let state = self.ledger.documents(&self.snapshot.parts)?;
        let sizes = state.parts().iter().map(|(_, bytes)| bytes.len()).chain([state.head().len()]);
        let (all, largest) = sizes.fold((0_usize, 0), |(all, largest), size| {
            (all.saturating_add(size), size.max(largest))
        });
        if largest > DOCUMENT_MAX || all > SNAPSHOT_MAX {
            tracing::warn!(bytes = all, largest, "the state is too large for a snapshot");
            self.snapshot.since = self.ledger.position();
            draft.snapshot = Some(self.snapshot.clone());
            return Ok(());
        }
        let (reference, parts) = (state.reference(), Arc::new(state.names().clone()));
        for (sha256, value) in state.into_documents() {
            draft.batch.puts.push(Record { key: document_key("snapshot", &sha256)?, value });
        }
        let event = EventBody::Snapshot(reference);
        let index = draft.push(&mut self.ledger, event, Attached::default())?;
        let pointers = [Some(index), self.snapshot.index];
        for (key, index) in snapshot_keys()?.into_iter().zip(pointers) {
            let value = index.map(|index| index.value().to_string().into_bytes());
            draft.batch.puts.extend(value.map(|value| Record { key, value }));
        }
        self.snapshot = Kept { since: index, index: Some(index), parts };
        draft.snapshot = Some(self.snapshot.clone());
        Ok(())
    }

    pub(super) fn stop(&self, order: &OpenOrder) -> Option<Hold> {
        let holds = self.shared.holds();
        if holds.stops(order.document()) {
            return Some(Hold::Frozen);
        }
        if order.counted().iter().any(|id| holds.has_removed(id)) {
            return Some(Hold::ApproverRemoved);
        }
        drop(holds);
        self.ledger.stop(order)
    }
}

fn resumes(order: &OpenOrder) -> bool {
    matches!(order.command().map(AsRef::as_ref), Some(Command::ResumeKey { .. }))
}

/// Keys that a job may have left switched on although they are off: those of a sweep, and one that was
/// to be resumed or brought back. A key that is suspended for what it signed is among the first.
fn left_on(order: &OpenOrder) -> impl Iterator<Item = KeyId> {
    let switched = match order.command().map(AsRef::as_ref) {
        Some(Command::CancelDestroy { key } | Command::ResumeKey { key }) => Some(key),
        _ => None,
    };
    order.document().tasks.iter().map(|task| &task.key).chain(switched).cloned()
}

/// The outcome of an order that a process left behind and nothing may go on with.
fn interrupted(order: &OpenOrder) -> Conclusion {
    if is_repeatable(order) {
        return Conclusion::Failed { reason: harmless(Hold::Interrupted) };
    }
    Conclusion::Unknown { reason: Hold::Interrupted, suspends: None }
}

/// Why an order failed of whose job nothing counts: a call that may have happened is one that was of
/// no avail.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others say that nothing happened")]
const fn harmless(reason: Hold) -> Hold {
    match reason {
        Hold::BackendIndeterminate | Hold::Interrupted | Hold::TimedOut => Hold::BackendUnavailable,
        reason => reason,
    }
}
