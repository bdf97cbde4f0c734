use std::sync::Arc;

use futures::channel::oneshot;

use super::{Sequencer, Written, answer};
use crate::command::Command;
use crate::custodian::draft::{After, Draft};
use crate::custodian::error::Error;
use crate::custodian::message::{Entry, Message, Progress};
use crate::custodian::{job, submit};
use crate::document::EventBody;
use crate::seam::{ErrorKind, StoreError};

impl Sequencer {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
    pub(super) async fn write(&self, draft: &mut Draft) -> Written {
        let batch = std::mem::take(&mut draft.batch);
        draft.sent.clone_from(&batch.events);
        let committed = self.shared.store.commit(draft.expected, batch).await;
        match committed {
            Ok(_) => Written::Done,
            Err(error) => match error.kind() {
                ErrorKind::Conflict => Written::Conflict,
                ErrorKind::Indeterminate | ErrorKind::Corrupt => self.did_happen(draft).await,
                _ => Written::Failed(error),
            },
        }
    }

    /// Whether a batch of unknown fate is in the store: our own events at our position mean it is,
    /// an unchanged head that it is not.
    pub(super) async fn did_happen(&self, draft: &Draft) -> Written {
        let store = &self.shared.store;
        let Ok(head) = store.head().await else { return Written::Doubt };
        if head == draft.expected {
            let error = StoreError::new(ErrorKind::Unavailable, "commit");
            return Written::Failed(error);
        }
        let count = u16::try_from(draft.sent.len()).unwrap_or(u16::MAX);
        let Ok(found) = store.events(draft.expected, count).await else { return Written::Doubt };
        let ours = found.iter().map(|event| &event.bytes).eq(draft.sent.iter());
        if ours { Written::Done } else { Written::Conflict }
    }

    /// Settles a batch of unknown fate before anything else is judged.
    pub(super) async fn is_sure(&mut self) -> bool {
        let Some(draft) = self.doubt.take() else { return true };
        match self.did_happen(&draft).await {
            Written::Done => {
                self.publish(draft, Vec::new()).await;
                true
            }
            Written::Doubt => {
                self.doubt = Some(draft);
                false
            }
            Written::Conflict | Written::Failed(_) => {
                self.unhold(&draft);
                self.revert();
                true
            }
        }
    }

    /// After a conflict: a request that exists already asks for its order instead. False if somebody
    /// else wrote, which one custodian over one store never sees.
    pub(super) async fn look_again(&mut self, entries: &mut [Option<Entry>]) -> bool {
        let store = Arc::clone(&self.shared.store);
        if store.head().await.ok() != Some(self.ledger.position()) {
            return false;
        }
        for slot in entries {
            let Some(entry) = slot.as_mut() else { continue };
            let Message::Submit(prepared) = &entry.message else { continue };
            match submit::known(&self.shared, prepared.submission.value()).await {
                Ok(None) => {}
                Ok(Some(record)) if record.submission == *prepared.submission.digest() => {
                    entry.message = Message::Touch(record.order);
                }
                Ok(Some(record)) => {
                    answer(slot.take(), Err(Error::RequestReused { order: record.order }));
                }
                Err(error) => answer(slot.take(), Err(error)),
            }
        }
        true
    }

    /// Makes a durable batch visible, seals it and lets follow what was waiting for it.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
    pub(super) async fn publish(&mut self, draft: Draft, mut entries: Vec<Option<Entry>>) {
        let applied = {
            let mut published = self.shared.write();
            published.engine = Arc::clone(&self.engine);
            draft
                .events
                .iter()
                .try_for_each(|(event, attached)| published.ledger.apply(event, attached))
        };
        if applied.is_err() {
            self.shared.write().ledger = self.ledger.clone();
        }
        self.snapshot = draft.snapshot.unwrap_or(self.snapshot);
        for (event, _) in &draft.events {
            if let EventBody::OrderConcluded(concluded) = &event.event {
                self.running.remove(&concluded.order);
            }
        }
        for command in &draft.commands {
            self.shared.holds_mut().settle(command);
            match command.as_ref() {
                Command::ConfirmClock {} => {
                    self.clock.confirm(self.shared.clock.as_ref());
                    self.shared.set_doubted(None);
                }
                Command::RotateLogKey { next, .. } => self.rotation = Some(next.clone()),
                _ => {}
            }
        }
        self.shared.wake(self.ledger.position());
        let after = pair(draft.after, &mut entries);
        self.seal_and_follow(after).await;
    }

    /// Signs the head over everything that is durable; only then does anything follow. What cannot
    /// be sealed now is kept and tried again.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
    pub(super) async fn seal_and_follow(&mut self, after: Vec<(After, Option<Entry>)>) {
        self.unsealed.extend(after);
        if self.unsealed.is_empty() {
            return;
        }
        if !self.seal().await {
            for (after, entry) in &mut self.unsealed {
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
            return;
        }
        for (after, entry) in std::mem::take(&mut self.unsealed) {
            self.follow_one(after, entry);
        }
    }

    pub(super) async fn seal(&mut self) -> bool {
        let position = self.ledger.position();
        // A head over the rotation is signed by the new key or not at all.
        if let Some(next) = &self.rotation {
            if let Err(error) = self.shared.audit.rotate(next).await {
                tracing::error!(kind = ?error.kind(), "the log key was not rotated");
                return false;
            }
            self.rotation = None;
        }
        let checkpoint = match self.shared.audit.seal(position).await {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                tracing::error!(kind = ?error.kind(), "the log head was not signed");
                return false;
            }
        };
        let Some(anchor) = &self.shared.anchor else { return true };
        match self.anchoring.advance(anchor.as_ref(), checkpoint.head).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(kind = ?error.kind(), "the log head was not anchored");
                false
            }
        }
    }

    pub(super) fn follow_one(&mut self, after: After, entry: Option<Entry>) {
        match after {
            After::End(ended) => {
                for waiter in self.waiters.remove(&ended.order).into_iter().flatten() {
                    drop(waiter.send(Ok(Arc::clone(&ended))));
                }
            }
            After::Reply(_, progress) => answer(entry, Ok(progress)),
            After::ReplyAtEnd(_, id) => {
                let (sender, receiver) = oneshot::channel();
                self.waiters.entry(id).or_default().push(sender);
                answer(entry, Ok(Progress::Started(receiver)));
            }
            After::Start(id, carried) => {
                let Some(order) = self.ledger.order(&id).cloned() else { return };
                if self.running.insert(id) {
                    let shared = Arc::clone(&self.shared);
                    let job = job::run(Arc::clone(&shared), order, carried);
                    shared.spawner.spawn(Box::pin(job));
                }
            }
        }
    }
}

/// What follows a turn, each with the entry that it answers.
pub(super) fn pair(
    after: Vec<After>,
    entries: &mut [Option<Entry>],
) -> Vec<(After, Option<Entry>)> {
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
