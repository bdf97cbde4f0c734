mod commit;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc;
use futures::{FutureExt, StreamExt};

use super::anchoring::Anchoring;
use super::clock::ClockGuard;
use super::draft::{After, Draft};
use super::error::Error;
use super::message::{EndSender, Entry, Message, Progress};
use super::shared::Shared;
use crate::crypto::PublicKey;
use crate::id::OrderId;
use crate::ledger::Ledger;
use crate::seam::{Head, PolicyEngine, Position, StoreError};
use commit::pair;

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
    /// Orders that an earlier process left reserved: a backend may have been called for them.
    pub(super) resumed: BTreeSet<OrderId>,
    pub(super) snapshot: Position,
    queues: Queues,
    waiters: BTreeMap<OrderId, Vec<EndSender>>,
    retained: Vec<Entry>,
    unsealed: Vec<(After, Option<Entry>)>,
    anchoring: Anchoring,
    doubt: Option<Draft>,
    rotation: Option<PublicKey>,
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
            resumed: BTreeSet::new(),
            snapshot,
            queues,
            waiters: BTreeMap::new(),
            retained: Vec::new(),
            unsealed: Vec::new(),
            anchoring: Anchoring::new(anchored),
            doubt: None,
            rotation: None,
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
            let entries = self.turn_away(entries);
            self.turn(entries).await;
            if !self.closing.is_empty() && self.running.is_empty() {
                let closing = std::mem::take(&mut self.closing);
                // Store and log are given back before anybody hears that it is closed.
                drop(self);
                for entry in closing {
                    answer(Some(entry), Ok(Progress::Closed));
                }
                return;
            }
        }
    }

    /// Once the custodian closes, new calls are refused and only what is under way goes on.
    fn turn_away(&self, entries: Vec<Entry>) -> Vec<Entry> {
        if self.closing.is_empty() {
            return entries;
        }
        let is_new = |entry: &Entry| {
            matches!(entry.message, Message::Submit(_) | Message::Statement(_) | Message::Resume)
        };
        let (new, under_way) = entries.into_iter().partition::<Vec<_>, _>(is_new);
        for entry in new {
            answer(Some(entry), Err(Error::Closed));
        }
        under_way
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
            let mut draft = match self.draft(&entries) {
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
                turn_down(&mut draft, &mut entries);
                let after = pair(draft.after, &mut entries);
                return self.seal_and_follow(after).await;
            }
            match self.write(&mut draft).await {
                Written::Done => {
                    turn_down(&mut draft, &mut entries);
                    return self.publish(draft, entries).await;
                }
                Written::Conflict => {
                    self.unhold(&draft);
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
                    self.unhold(&draft);
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
        self.shared.set_doubted(self.clock.has_jumped().then_some(at));
        for entry in entries.iter().flatten() {
            if let Message::Submit(prepared) = &entry.message {
                at = at.max(self.clock.near(at, prepared.document.submitted));
            }
        }
        let mut draft = Draft::new(&self.ledger, at);
        for (number, entry) in entries.iter().enumerate() {
            let Some(entry) = entry else { continue };
            let (events, puts) = (draft.batch.events.len(), draft.batch.puts.len());
            let Err(error) = self.handle(number, entry, &mut draft) else { continue };
            if draft.batch.events.len() != events {
                return Err((Some(number), error));
            }
            draft.batch.puts.truncate(puts);
            draft.refused.push((number, error));
        }
        self.tick(&mut draft).map_err(|error| (None, error))?;
        Ok(draft)
    }

    /// Lifts the holds of commands that certainly did not become durable.
    fn unhold(&self, draft: &Draft) {
        let mut holds = self.shared.holds_mut();
        draft.commands.iter().for_each(|command| holds.settle(command));
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

/// Answers what was refused: only once the batch is written, because a refusal may rest on an
/// order of the same batch.
fn turn_down(draft: &mut Draft, entries: &mut [Option<Entry>]) {
    for (number, error) in std::mem::take(&mut draft.refused) {
        answer(entries.get_mut(number).and_then(Option::take), Err(error));
    }
}

fn answer(entry: Option<Entry>, progress: Result<Progress, Error>) {
    if let Some(reply) = entry.and_then(|entry| entry.reply) {
        drop(reply.send(progress));
    }
}
