use std::sync::Arc;

use super::{Sequencer, UnderWay, answer};
use crate::crypto::PublicKey;
use crate::custodian::anchoring::Anchoring;
use crate::custodian::draft::After;
use crate::custodian::error::Error;
use crate::custodian::job;
use crate::custodian::message::{Entry, Progress};
use crate::custodian::shared::Shared;
use crate::seam::Position;

/// A head that is being signed and anchored.
#[derive(Debug)]
pub(super) struct Sealing {
    through: Position,
    /// How many of those that wait for a seal it covers.
    covers: usize,
    pub(super) answer: UnderWay<Sealed>,
}

/// How a seal went.
#[derive(Debug)]
pub(super) struct Sealed {
    rotated: Option<PublicKey>,
    done: bool,
}

impl Sequencer {
    /// Lets follow what waits for nothing, and keeps the rest for the seal of what is durable now.
    pub(super) fn follow_later(&mut self, after: Vec<After>, entries: &mut [Option<Entry>]) {
        let is_sealed = self.durable.sealed == self.durable.position && self.unsealed.is_empty();
        for (after, entry) in pair(after, entries) {
            if is_sealed {
                self.follow(after, entry);
            } else {
                self.unsealed.push((after, entry));
            }
        }
    }

    /// Signs the head over everything that is durable and anchors it, while turns go on.
    pub(super) fn start_seal(&mut self) {
        let through = self.durable.position;
        let (shared, anchoring) = (Arc::clone(&self.shared), Arc::clone(&self.anchoring));
        let next = self.rotation.clone();
        let work = async move { seal(&shared, &anchoring, next, through).await };
        let answer = UnderWay::new(work);
        self.sealing = Some(Sealing { through, covers: self.unsealed.len(), answer });
    }

    /// What became of a seal: only now does anything follow. What cannot be sealed is kept and
    /// tried again.
    pub(super) fn sealed(&mut self, sealed: Option<Sealed>) {
        let Some(Sealing { through, covers, .. }) = self.sealing.take() else { return };
        let sealed = sealed.unwrap_or(Sealed { rotated: None, done: false });
        if sealed.rotated.is_some() && sealed.rotated == self.rotation {
            self.rotation = None;
        }
        if !sealed.done {
            // What came in meanwhile has not been tried.
            self.rests = self.unsealed.len() == covers;
            return self.give_up_waiting(covers);
        }
        self.durable.sealed = through;
        self.shared.set_sealed(through);
        for (after, entry) in self.unsealed.drain(..covers).collect::<Vec<_>>() {
            self.follow(after, entry);
        }
    }

    /// Tells those who wait that their answer is not to be had now.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
    fn give_up_waiting(&mut self, covers: usize) {
        for (after, entry) in self.unsealed.iter_mut().take(covers) {
            if let After::End(ended) = after {
                for waiter in self.waiters.remove(&ended.order).into_iter().flatten() {
                    let order = Some(ended.order.clone());
                    drop(waiter.send(Err(Error::Unavailable { order })));
                }
            }
            let order = match after {
                After::Reply(_, Progress::Waiting(id) | Progress::Known(id))
                | After::ReplyAtEnd(_, id) => Some(id.clone()),
                After::Reply(_, Progress::Ended(ended)) => Some(ended.order.clone()),
                _ => None,
            };
            answer(entry.take(), Err(Error::Unavailable { order }));
        }
        forget_told(&mut self.unsealed, covers);
    }

    fn follow(&mut self, after: After, entry: Option<Entry>) {
        match after {
            After::End(ended) => {
                for waiter in self.waiters.remove(&ended.order).into_iter().flatten() {
                    drop(waiter.send(Ok(Progress::Ended(Arc::clone(&ended)))));
                }
            }
            After::Reply(_, progress) => answer(entry, Ok(progress)),
            After::ReplyAtEnd(_, id) => {
                let reply = entry.and_then(|entry| entry.reply);
                self.waiters.entry(id).or_default().extend(reply);
            }
            After::Start(id, carried) => {
                let order = self.shared.read().ledger.order(&id).cloned();
                let Some(order) = order else {
                    // It was called off before its job began.
                    self.running.remove(&id);
                    return;
                };
                let job = job::run(Arc::clone(&self.shared), order, carried);
                self.shared.spawner.spawn(Box::pin(job));
            }
        }
    }
}

/// A head over a rotation of the log key is signed by the new key or not at all.
async fn seal(
    shared: &Shared,
    anchoring: &futures::lock::Mutex<Anchoring>,
    next: Option<PublicKey>,
    through: Position,
) -> Sealed {
    if let Some(next) = &next
        && let Err(error) = shared.audit.rotate(next).await
    {
        tracing::error!(kind = ?error.kind(), "the log key was not rotated");
        return Sealed { rotated: None, done: false };
    }
    let checkpoint = match shared.audit.seal(through).await {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            tracing::error!(kind = ?error.kind(), "the log head was not signed");
            return Sealed { rotated: next, done: false };
        }
    };
    if let Some(anchor) = &shared.anchor
        && let Err(error) = anchoring.lock().await.advance(anchor.as_ref(), checkpoint.head).await
    {
        tracing::error!(kind = ?error.kind(), "the log head was not anchored");
        return Sealed { rotated: next, done: false };
    }
    Sealed { rotated: next, done: true }
}

/// Forgets, of the first `covers`, all of whom everybody concerned was told: jobs are still to start,
/// and the last one stands for what is to be sealed. Else a log that fails for long would have
/// everything kept that was ever asked meanwhile.
fn forget_told(unsealed: &mut Vec<(After, Option<Entry>)>, covers: usize) {
    let mut number = 0_usize;
    unsealed.retain(|(after, _)| {
        number = number.saturating_add(1);
        number >= covers || matches!(after, After::Start(..))
    });
}

/// What follows a turn, each with the entry that it answers.
fn pair(after: Vec<After>, entries: &mut [Option<Entry>]) -> Vec<(After, Option<Entry>)> {
    after
        .into_iter()
        .map(|after| {
            let number = match &after {
                After::Reply(number, _) | After::ReplyAtEnd(number, _) => Some(*number),
                After::End(_) | After::Start(..) => None,
            };
            let entry = number.and_then(|number| entries.get_mut(number)).and_then(Option::take);
            (after, entry)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::OrderId;

    #[test]
    fn of_what_was_told_only_jobs_and_the_last_are_kept() {
        let order = OrderId::parse("019a2f6e-0000-7000-8000-000000000000").unwrap();
        let reply = || (After::Reply(0, Progress::Known(order.clone())), None);
        let start = || (After::Start(order.clone(), None), None);
        for (covers, kept) in [(0, 6), (1, 6), (3, 5), (4, 4), (6, 3)] {
            let mut unsealed = vec![start(), reply(), reply(), reply(), start(), reply()];
            forget_told(&mut unsealed, covers);
            let jobs = unsealed.iter().filter(|(after, _)| matches!(after, After::Start(..)));
            assert_eq!((unsealed.len(), jobs.count()), (kept, 2), "{covers}");
        }
        let mut unsealed = Vec::new();
        for told in 0..1_000 {
            unsealed.push(reply());
            let covers = unsealed.len();
            forget_told(&mut unsealed, covers);
            assert_eq!(unsealed.len(), 1, "after {told}");
        }
    }
}
