use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::channel::{mpsc, oneshot};
use futures::{FutureExt, StreamExt};

use super::clock::ClockGuard;
use super::draft::{After, Draft};
use super::error::Error;
use super::job;
use super::message::{EndSender, Entry, Message, Progress};
use super::shared::Shared;
use crate::command::Command;
use crate::document::EventBody;
use crate::id::OrderId;
use crate::ledger::Ledger;
use crate::seam::{ErrorKind, Head, PolicyEngine, Position, StoreError};

/// Judges and commits, one batch after the other. There is one for each custodian, and nothing
/// else writes.
///
/// Invariant: the working state is ahead of the published one only between a draft and its
/// commit; whatever goes wrong in between, it is thrown away.
#[derive(Debug)]
pub(super) struct Sequencer {
    pub(super) shared: Arc<Shared>,
    pub(super) ledger: Ledger,
    pub(super) engine: Arc<dyn PolicyEngine>,
    pub(super) clock: ClockGuard,
    pub(super) running: BTreeSet<OrderId>,
    pub(super) snapshot: Position,
    queues: Queues,
    waiters: BTreeMap<OrderId, Vec<EndSender>>,
    retained: Vec<Entry>,
    unsealed: Vec<(After, Option<Entry>)>,
    anchored: Option<Head>,
    doubt: Option<Draft>,
    closing: Vec<Entry>,
}

/// What the sequencer hears, most urgent first.
#[derive(Debug)]
pub(super) struct Queues {
    pub(super) urgent: mpsc::Receiver<Entry>,
    pub(super) finished: mpsc::UnboundedReceiver<Entry>,
    pub(super) normal: mpsc::Receiver<Entry>,
}

/// How a commit went.
enum Written {
    Done,
    /// Another writer, or a request that exists already: look, and draft again.
    Conflict,
    /// It may have happened, and the store cannot say yet.
    Doubt,
    Failed(StoreError),
}

const BATCH_MAX: usize = 256;
const TICK: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(100);

impl Sequencer {
    pub(super) fn new(
        shared: Arc<Shared>,
        queues: Queues,
        anchored: Option<Head>,
        snapshot: Position,
    ) -> Self {
        let published = shared.read().clone();
        let clock = ClockGuard::new(shared.clock.as_ref(), published.ledger.time());
        Self {
            ledger: published.ledger,
            engine: published.engine,
            clock,
            running: BTreeSet::new(),
            snapshot,
            queues,
            waiters: BTreeMap::new(),
            retained: Vec::new(),
            unsealed: Vec::new(),
            anchored,
            doubt: None,
            closing: Vec::new(),
            shared,
        }
    }

    /// Runs until the custodian is closed and everything under way has ended.
    pub(super) async fn run(mut self) {
        while let Some(entries) = self.collect().await {
            if !self.is_sure().await {
                self.refuse(entries);
                continue;
            }
            self.seal_and_follow(Vec::new()).await;
            self.turn(entries).await;
            if !self.closing.is_empty() && self.running.is_empty() {
                for entry in std::mem::take(&mut self.closing) {
                    answer(Some(entry), Ok(Progress::Closed));
                }
                return;
            }
        }
    }

    /// Waits for the first entry, then takes what else is there, most urgent first. Empty when
    /// only time has passed; nothing when nobody can call any more.
    async fn collect(&mut self) -> Option<Vec<Entry>> {
        let waits = self.retained.is_empty() && self.unsealed.is_empty() && self.doubt.is_none();
        let pause = if waits { TICK } else { RETRY };
        let deadline = self.shared.clock.monotonic().saturating_add(pause);
        let mut entries = std::mem::take(&mut self.retained);
        {
            let mut sleep = self.shared.clock.sleep_until(deadline).fuse();
            let queues = &mut self.queues;
            futures::select_biased! {
                entry = queues.urgent.next() => entries.extend(entry),
                entry = queues.finished.next() => entries.extend(entry),
                entry = queues.normal.next() => match entry {
                    Some(entry) => entries.push(entry),
                    None => return None,
                },
                () = sleep => {}
            }
        }
        while entries.len() < BATCH_MAX {
            let next = self.queues.urgent.try_recv().ok();
            let next = next.or_else(|| self.queues.finished.try_recv().ok());
            match next.or_else(|| self.queues.normal.try_recv().ok()) {
                Some(entry) => entries.push(entry),
                None => break,
            }
        }
        let (closing, entries) =
            entries.into_iter().partition(|entry| matches!(entry.message, Message::Close));
        self.closing.extend::<Vec<_>>(closing);
        Some(entries)
    }

    /// One turn: draft, commit, seal, follow. An entry that cannot be drafted is answered and left
    /// out, and the rest is drafted again.
    async fn turn(&mut self, entries: Vec<Entry>) {
        let mut entries: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
        let attempts = entries.len().saturating_add(4);
        for _ in 0..attempts {
            let draft = match self.draft(&entries) {
                Ok(draft) => draft,
                Err((number, error)) => {
                    self.revert();
                    match number.and_then(|number| entries.get_mut(number)) {
                        Some(entry) => answer(entry.take(), Err(error)),
                        None => return self.fail(entries, || Error::Unavailable { order: None }),
                    }
                    continue;
                }
            };
            if draft.batch.events.is_empty() {
                return self.follow(draft.after, &mut entries);
            }
            match self.write(&draft).await {
                Written::Done => return self.publish(draft, entries).await,
                Written::Conflict => {
                    self.revert();
                    if !self.look_again(&mut entries).await {
                        return self.fail(entries, || Error::Unavailable { order: None });
                    }
                }
                Written::Doubt => {
                    self.doubt = Some(draft);
                    return self.fail(entries, || Error::Indeterminate { order: None });
                }
                Written::Failed(error) => {
                    let kind = error.kind();
                    self.revert();
                    return self.fail(entries, || StoreError::new(kind, "commit").into());
                }
            }
        }
        self.revert();
        self.fail(entries, || Error::Unavailable { order: None });
    }

    fn draft(&mut self, entries: &[Option<Entry>]) -> Result<Draft, (Option<usize>, Error)> {
        let last = self.ledger.time();
        let mut at = self.clock.read(self.shared.clock.as_ref(), last);
        for entry in entries.iter().flatten() {
            if let (Message::Submit(prepared), false) = (&entry.message, self.clock.has_jumped()) {
                at = at.max(prepared.document.submitted);
            }
        }
        let mut draft = Draft::new(&self.ledger, at);
        for (number, entry) in entries.iter().enumerate() {
            let Some(entry) = entry else { continue };
            self.handle(number, entry, &mut draft).map_err(|error| (Some(number), error))?;
        }
        self.tick(&mut draft).map_err(|error| (None, error))?;
        Ok(draft)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
    async fn write(&self, draft: &Draft) -> Written {
        let committed = self.shared.store.commit(draft.expected, draft.batch.clone()).await;
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
    async fn did_happen(&self, draft: &Draft) -> Written {
        let store = &self.shared.store;
        let Ok(head) = store.head().await else { return Written::Doubt };
        if head == draft.expected {
            let error = StoreError::new(ErrorKind::Unavailable, "commit");
            return Written::Failed(error);
        }
        let count = u16::try_from(draft.batch.events.len()).unwrap_or(u16::MAX);
        let Ok(found) = store.events(draft.expected, count).await else { return Written::Doubt };
        let ours = found.iter().map(|event| &event.bytes).eq(draft.batch.events.iter());
        if ours { Written::Done } else { Written::Conflict }
    }

    /// Settles a batch of unknown fate before anything else is judged.
    async fn is_sure(&mut self) -> bool {
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
                self.revert();
                true
            }
        }
    }

    /// After a conflict: answers requests that exist already. False if somebody else wrote, which
    /// one custodian over one store never sees.
    async fn look_again(&mut self, entries: &mut [Option<Entry>]) -> bool {
        let store = Arc::clone(&self.shared.store);
        if store.head().await.ok() != Some(self.ledger.position()) {
            return false;
        }
        for slot in entries {
            let Some(Message::Submit(prepared)) = slot.as_ref().map(|entry| &entry.message) else {
                continue;
            };
            match super::submit::known(&self.shared, prepared.submission.value()).await {
                Ok(None) => {}
                Ok(Some(record)) if record.submission == *prepared.submission.digest() => {
                    answer(slot.take(), Ok(Progress::Known(record.order)));
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
    async fn publish(&mut self, draft: Draft, mut entries: Vec<Option<Entry>>) {
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
        for (event, _) in &draft.events {
            if let EventBody::OrderConcluded(concluded) = &event.event {
                self.running.remove(&concluded.order);
            }
        }
        for command in &draft.commands {
            self.shared.holds_mut().settle(command);
            match command.as_ref() {
                Command::ConfirmClock {} => self.clock.confirm(self.shared.clock.as_ref()),
                Command::RotateLogKey { next, .. } => {
                    if let Err(error) = self.shared.audit.rotate(next).await {
                        tracing::error!(kind = ?error.kind(), "the log key was not rotated");
                    }
                }
                _ => {}
            }
        }
        self.shared.wake(self.ledger.position());
        let after = draft
            .after
            .into_iter()
            .map(|after| {
                let number = match &after {
                    After::Reply(number, _) | After::ReplyAtEnd(number, _) => Some(*number),
                    After::End(_) | After::Start(..) => None,
                };
                let slot = number.and_then(|number| entries.get_mut(number));
                (after, slot.and_then(Option::take))
            })
            .collect();
        self.seal_and_follow(after).await;
    }

    /// Signs the head over everything that is durable; only then does anything follow. What cannot
    /// be sealed now is kept and tried again.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
    async fn seal_and_follow(&mut self, after: Vec<(After, Option<Entry>)>) {
        self.unsealed.extend(after);
        if self.unsealed.is_empty() {
            return;
        }
        if !self.seal().await {
            for (after, entry) in &mut self.unsealed {
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

    async fn seal(&mut self) -> bool {
        let position = self.ledger.position();
        let checkpoint = match self.shared.audit.seal(position).await {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                tracing::error!(kind = ?error.kind(), "the log head was not signed");
                return false;
            }
        };
        let Some(anchor) = &self.shared.anchor else { return true };
        if self.anchored == Some(checkpoint.head) {
            return true;
        }
        match anchor.advance(self.anchored, checkpoint.head).await {
            Ok(()) => {
                self.anchored = Some(checkpoint.head);
                true
            }
            Err(error) => {
                tracing::error!(kind = ?error.kind(), "the log head was not anchored");
                false
            }
        }
    }

    /// Lets follow what needs no commit.
    fn follow(&mut self, after: Vec<After>, entries: &mut [Option<Entry>]) {
        for after in after {
            let number = match &after {
                After::Reply(number, _) | After::ReplyAtEnd(number, _) => Some(*number),
                After::End(_) | After::Start(..) => None,
            };
            let entry = number.and_then(|number| entries.get_mut(number)).and_then(Option::take);
            self.follow_one(after, entry);
        }
    }

    fn follow_one(&mut self, after: After, entry: Option<Entry>) {
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

    /// Goes back to what is durable.
    fn revert(&mut self) {
        let published = self.shared.read().clone();
        self.ledger = published.ledger;
        self.engine = published.engine;
    }

    /// Answers every caller with an error; what jobs brought back is kept for the next turn.
    fn fail(&mut self, entries: Vec<Option<Entry>>, error: impl Fn() -> Error) {
        for entry in entries.into_iter().flatten() {
            if let Message::Finished(finished) = &entry.message {
                for waiter in self.waiters.remove(&finished.order).into_iter().flatten() {
                    let order = Some(finished.order.clone());
                    drop(waiter.send(Err(Error::Unavailable { order })));
                }
                self.retained.push(entry);
            } else {
                let named = match (&entry.message, error()) {
                    (Message::Submit(prepared), Error::Indeterminate { .. }) => {
                        Error::Indeterminate { order: Some(prepared.document.order.clone()) }
                    }
                    (Message::Statement(signed), Error::Indeterminate { .. }) => {
                        Error::Indeterminate { order: Some(signed.statement.order.clone()) }
                    }
                    (_, error) => error,
                };
                answer(Some(entry), Err(named));
            }
        }
    }

    fn refuse(&mut self, entries: Vec<Entry>) {
        let entries = entries.into_iter().map(Some).collect();
        self.fail(entries, || Error::Unavailable { order: None });
    }
}

fn answer(entry: Option<Entry>, progress: Result<Progress, Error>) {
    if let Some(reply) = entry.and_then(|entry| entry.reply) {
        drop(reply.send(progress));
    }
}
