use std::sync::Arc;

use futures::FutureExt;

use super::{Sequencer, UnderWay, answer};
use crate::command::Command;
use crate::custodian::draft::{After, Draft, Turn};
use crate::custodian::error::Error;
use crate::custodian::message::{Entry, Message};
use crate::custodian::shared::{Shared, lock};
use crate::custodian::submit;
use crate::document::{EventBody, OrderConcluded};
use crate::seam::{ErrorKind, Monotonic, Position, StoreError};

/// What the store says to a commit.
pub(super) type Answer = Result<Position, StoreError>;

/// A turn on its way to the store.
#[derive(Debug)]
pub(super) struct Committing {
    pub(super) turn: Turn,
    pub(super) answer: UnderWay<Answer>,
    /// From then on its callers do not wait for it any longer.
    pub(super) deadline: Monotonic,
}

/// A turn of unknown fate, and the commit if the store has not answered yet. Nothing else is judged
/// before it is known: a commit that hangs may still happen.
#[derive(Debug)]
pub(super) struct Doubt {
    draft: Draft,
    answer: Option<UnderWay<Answer>>,
}

impl Committing {
    /// Commits while the next turn is judged.
    pub(super) fn start(shared: &Shared, mut turn: Turn) -> Self {
        let batch = std::mem::take(&mut turn.draft.batch);
        let (expected, store) = (turn.draft.expected, Arc::clone(&shared.commits));
        let commit = async move { store.commit(expected, batch).await };
        let deadline = shared.clock.monotonic().saturating_add(shared.config.store_timeout);
        Self { turn, answer: UnderWay::new(commit), deadline }
    }
}

impl Doubt {
    /// What would follow.
    pub(super) fn after(&self) -> &[After] {
        &self.draft.after
    }

    pub(super) const fn draft(&self) -> &Draft {
        &self.draft
    }
}

/// How a commit went.
enum Written {
    Done,
    /// Another writer, or a request that exists already: look, and judge again.
    Conflict,
    /// It may have happened, and the store cannot say yet.
    Doubt,
    Failed(ErrorKind),
}

impl Sequencer {
    /// What is being committed.
    pub(in crate::custodian) fn committed_next(&self) -> Option<&Draft> {
        self.committing.as_ref().map(|committing| &committing.turn.draft)
    }

    /// What became of the turn that was being committed.
    pub(super) async fn written(&mut self, answer: Option<Answer>) {
        let Some(Committing { turn, .. }) = self.committing.take() else { return };
        match self.outcome(&turn.draft, answer).await {
            Written::Done => {
                self.rests = false;
                self.publish(turn);
            }
            Written::Conflict => self.conflict(turn).await,
            Written::Doubt => self.doubt_turn(turn, None),
            Written::Failed(kind) => {
                let later = self.undo(&turn);
                self.fail(turn.entries, || StoreError::new(kind, "commit").into());
                later.into_iter().for_each(|entry| self.fold(entry));
            }
        }
    }

    pub(super) fn commit_hangs(&self) -> bool {
        let now = self.shared.clock.monotonic();
        self.committing.as_ref().is_some_and(|committing| committing.deadline <= now)
    }

    /// Lets the callers of a commit that hangs go.
    pub(super) fn doubt_commit(&mut self) {
        if let Some(Committing { turn, answer, .. }) = self.committing.take() {
            tracing::error!("the store did not answer a commit in time");
            self.doubt_turn(turn, Some(answer));
        }
    }

    fn doubt_turn(&mut self, turn: Turn, answer: Option<UnderWay<Answer>>) {
        let later = std::mem::replace(&mut self.open, Turn::new(&self.ledger));
        self.doubt = Some(Doubt { draft: turn.draft, answer });
        self.discard(&later.draft);
        self.stuck.get_or_insert_with(|| self.shared.clock.monotonic());
        self.fail(turn.entries, || Error::Indeterminate { order: None });
        self.fail(later.entries, || Error::Unavailable { order: None });
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
    async fn outcome(&mut self, draft: &Draft, answer: Option<Answer>) -> Written {
        match answer {
            Some(Ok(position)) if position == draft.end() => Written::Done,
            Some(Ok(_)) | None => self.did_happen(draft).await,
            Some(Err(error)) => match error.kind() {
                ErrorKind::Conflict => Written::Conflict,
                ErrorKind::Indeterminate | ErrorKind::Corrupt => self.did_happen(draft).await,
                kind => Written::Failed(kind),
            },
        }
    }

    /// Undoes a turn that was not written and the open one; returns what came in after it.
    fn undo(&mut self, turn: &Turn) -> Vec<Entry> {
        let later = std::mem::replace(&mut self.open, Turn::new(&self.ledger));
        self.discard(&later.draft);
        self.discard(&turn.draft);
        self.put_off_snapshot(&turn.draft);
        self.revert();
        later.entries.into_iter().flatten().collect()
    }

    /// Whether a batch of unknown fate is in the store: our own events at our position mean it is,
    /// an unchanged head that it is not.
    async fn did_happen(&mut self, draft: &Draft) -> Written {
        let store = Arc::clone(&self.shared.store);
        let Ok(head) = store.head().await else { return Written::Doubt };
        if head == draft.expected {
            return Written::Failed(ErrorKind::Unavailable);
        }
        let sent = draft.events.iter().map(|(event, _)| event.to_bytes());
        let Ok(sent) = sent.collect::<Result<Vec<_>, _>>() else { return Written::Doubt };
        let count = u16::try_from(sent.len()).unwrap_or(u16::MAX);
        let Ok(found) = store.events(draft.expected, count).await else { return Written::Doubt };
        let ours = found.iter().map(|event| &event.bytes).eq(&sent);
        if ours { Written::Done } else { Written::Conflict }
    }

    /// Settles a batch of unknown fate before anything else is judged.
    pub(super) async fn is_sure(&mut self) -> bool {
        let Some(mut doubt) = self.doubt.take() else { return true };
        if let Some(under_way) = &mut doubt.answer
            && (&mut under_way.0).now_or_never().is_none()
        {
            self.doubt = Some(doubt);
            return false;
        }
        let draft = doubt.draft;
        match self.did_happen(&draft).await {
            Written::Done => {
                self.publish(Turn { draft, ..Turn::new(&self.ledger) });
                self.revert();
                true
            }
            Written::Doubt => {
                self.doubt = Some(Doubt { draft, answer: None });
                false
            }
            Written::Conflict | Written::Failed(_) => {
                self.discard(&draft);
                self.put_off_snapshot(&draft);
                self.revert();
                true
            }
        }
    }

    /// A snapshot that was not written is due again after an interval: a store that refuses it may
    /// refuse it each time, and what else there is to write does not wait for it.
    fn put_off_snapshot(&mut self, draft: &Draft) {
        if draft.snapshot.is_some() {
            self.durable.snapshot.since = self.durable.position;
        }
    }

    /// After a conflict: a request that exists already asks for its order instead, and everything is
    /// judged again. If somebody else wrote, which one custodian over one store never sees, nothing
    /// can be.
    async fn conflict(&mut self, turn: Turn) {
        const CONFLICTS_MAX: u8 = 4;
        let later = self.undo(&turn);
        let later = later.into_iter().map(Some);
        let mut entries: Vec<_> = turn.entries.into_iter().chain(later).collect();
        self.conflicts = self.conflicts.saturating_add(1);
        if self.conflicts > CONFLICTS_MAX || !self.look_again(&mut entries).await {
            self.conflicts = 0;
            return self.fail(entries, || Error::Unavailable { order: None });
        }
        entries.into_iter().flatten().for_each(|entry| self.fold(entry));
    }

    async fn look_again(&mut self, entries: &mut [Option<Entry>]) -> bool {
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
                Err(_) => return false,
            }
        }
        true
    }

    /// Makes a durable turn visible; what follows from it waits for its seal.
    pub(super) fn publish(&mut self, turn: Turn) {
        let Turn { mut draft, mut entries, .. } = turn;
        self.conflicts = 0;
        if self.retained.is_empty() {
            self.stuck = None;
        }
        if !self.fold_published(&mut draft) {
            self.broken = true;
            return self.fail(entries, || Error::Unavailable { order: None });
        }
        self.end_jobs(&draft);
        for command in &draft.commands {
            self.put_into_force(command);
        }
        self.hold_anew();
        for key in std::mem::take(&mut draft.off) {
            self.owe_off(key);
        }
        if !draft.events.is_empty() {
            self.durable.position = draft.end();
            if let Some(snapshot) = draft.snapshot.take() {
                self.durable.snapshot = snapshot;
            }
            self.shared.wake(self.durable.position);
        }
        // Only now: a refusal may rest on an order of the same turn.
        for (number, error) in std::mem::take(&mut draft.refused) {
            answer(entries.get_mut(number).and_then(Option::take), Err(error));
        }
        self.follow_later(draft.after, &mut entries);
    }

    /// Jobs whose orders are concluded are at work no more, but for those that were called off: they are
    /// over when they say so themselves.
    fn end_jobs(&mut self, draft: &Draft) {
        let mut switches = lock(&self.shared.switches);
        for (event, _) in &draft.events {
            if let EventBody::OrderConcluded(OrderConcluded { order, .. }) = &event.event
                && !draft.called_off.contains(order)
            {
                switches.forget(order);
                self.running.remove(order);
            }
        }
        for order in &draft.over {
            switches.forget(order);
            self.running.remove(order);
        }
    }

    /// Folds what is durable into what callers see, a few events at a time so that they need not
    /// wait long. New rules come with their engine, which is never ahead of them.
    fn fold_published(&self, draft: &mut Draft) -> bool {
        const AT_ONCE: usize = 16;
        let size = if draft.engine.is_some() { draft.events.len() } else { AT_ONCE };
        for events in draft.events.chunks(size.max(1)) {
            let mut published = self.shared.write();
            // Made anew only if somebody still looks at it as it was.
            let ledger = Arc::make_mut(&mut published.ledger);
            for (event, attached) in events {
                if let Err(error) = ledger.apply(event, attached) {
                    tracing::error!(%error, "what is durable does not fold");
                    return false;
                }
            }
            if let Some(engine) = draft.engine.take() {
                published.engine = engine;
            }
        }
        true
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
    fn put_into_force(&mut self, command: &Command) {
        match command {
            Command::ConfirmClock {} => {
                self.clock.confirm(self.shared.clock.as_ref());
                self.shared.set_doubted(None);
            }
            Command::RegisterBackend { backend, .. } => self.hurry(backend),
            Command::RotateLogKey { next, .. } => self.rotation = Some(next.clone()),
            _ => {}
        }
    }
}
