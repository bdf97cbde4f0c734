use std::sync::Arc;
use std::time::Duration;

use super::commit::{Committing, Doubt};
use super::{BATCH_MAX, Sequencer, answer};
use crate::custodian::draft::{After, Draft, Turn};
use crate::custodian::error::Error;
use crate::custodian::message::{Entry, Message};
use crate::custodian::shared::Holds;
use crate::ledger::Ledger;

impl Sequencer {
    /// Judges one entry in the open turn. One that cannot be judged is answered and left out.
    pub(super) fn fold(&mut self, entry: Entry) {
        self.set_time(&entry);
        let mut turn = std::mem::replace(&mut self.open, Turn::new(&self.ledger));
        turn.is_due = true;
        let number = turn.entries.len();
        let draft = &mut turn.draft;
        let (events, puts) = (draft.batch.events.len(), draft.batch.puts.len());
        let handled = self.handle(number, &entry, draft);
        match handled {
            Ok(()) => {}
            Err(error) if draft.batch.events.len() == events => {
                draft.batch.puts.truncate(puts);
                draft.refused.push((number, error));
            }
            Err(error) => {
                answer(Some(entry), Err(error));
                return self.fold_again(turn);
            }
        }
        turn.entries.push(Some(entry));
        self.open = turn;
    }

    /// Ledger time goes on with each entry: never before the one that came before it, and not
    /// before the time at which it was made ready, if that is near.
    fn set_time(&mut self, entry: &Entry) {
        let last = self.ledger.time().max(self.open.draft.at);
        let mut at = self.clock.read(self.shared.clock.as_ref(), last);
        self.shared.set_doubted(self.clock.has_jumped().then_some(at));
        if let Message::Submit(prepared) = &entry.message {
            at = at.max(self.clock.near(at, prepared.document.submitted));
        }
        self.open.draft.at = at;
    }

    /// Undoes a turn and judges its entries anew.
    fn fold_again(&mut self, turn: Turn) {
        self.discard(&turn.draft);
        self.revert();
        for entry in turn.entries.into_iter().flatten() {
            self.fold(entry);
        }
    }

    /// Ends the open turn and starts its commit. A turn that writes nothing rests on what is
    /// durable already.
    pub(super) fn close_turn(&mut self) {
        let next = Turn::new(&self.ledger);
        let mut turn = std::mem::replace(&mut self.open, next);
        let last = self.ledger.time().max(turn.draft.at);
        turn.draft.at = self.clock.read(self.shared.clock.as_ref(), last);
        self.shared.set_doubted(self.clock.has_jumped().then_some(turn.draft.at));
        if let Err(error) = self.tick(&mut turn.draft) {
            tracing::error!(%error, "what time brings could not be written");
            self.discard(&turn.draft);
            self.revert();
            return self.fail(turn.entries, || Error::Unavailable { order: None });
        }
        self.open = Turn::new(&self.ledger);
        if turn.draft.batch.events.is_empty() {
            self.publish(turn);
        } else {
            self.committing = Some(Committing::start(&self.shared, turn));
        }
    }

    /// Takes back what a draft did outside the working state, because it will not become durable.
    pub(super) fn discard(&mut self, draft: &Draft) {
        self.hold_anew();
        for after in &draft.after {
            if let After::Start(id, _) = after {
                self.running.remove(id);
            }
        }
        for id in &draft.started {
            self.running.remove(id);
        }
    }

    /// What holds before it is durable is what the turns say that may become durable: the one of
    /// unknown fate, the one that is being committed and the open one. What is durable holds by
    /// itself.
    pub(super) fn hold_anew(&self) {
        let before = self.shared.holds();
        if *before == Holds::default() {
            return;
        }
        drop(before);
        let mut holds = Holds::default();
        let doubt = self.doubt.as_ref().map(Doubt::draft);
        for draft in doubt.into_iter().chain(self.committed_next()).chain([&self.open.draft]) {
            let urgent = draft.commands.iter().filter(|command| command.is_urgent());
            urgent.for_each(|command| holds.add(command));
        }
        *self.shared.holds_mut() = holds;
    }

    /// Whether the open turn may be closed. For a moment it waits for the jobs that were started for
    /// its orders, so that an order and its outcome are written at once.
    pub(super) fn is_ripe(&mut self) -> bool {
        const KEPT: Duration = Duration::from_millis(2);
        if self.open.draft.at_work == 0 || self.open.entries.len() >= BATCH_MAX {
            return true;
        }
        let now = self.shared.clock.monotonic();
        *self.open.kept_until.get_or_insert(now.saturating_add(KEPT)) <= now
    }

    /// Goes back to what is durable, and to the turn that is being committed, if there is one.
    pub(super) fn revert(&mut self) {
        let published = self.shared.snapshot();
        self.ledger = Ledger::clone(&published.ledger);
        self.engine = published.engine;
        self.snapshot = self.durable.snapshot.clone();
        if let Some(committing) = &self.committing {
            let draft = &committing.turn.draft;
            for (event, attached) in &draft.events {
                if let Err(error) = self.ledger.apply(event, attached) {
                    tracing::error!(%error, "what is being committed does not fold");
                    self.broken = true;
                }
            }
            if let Some(engine) = &draft.engine {
                self.engine = Arc::clone(engine);
            }
            if let Some(snapshot) = &draft.snapshot {
                self.snapshot = snapshot.clone();
            }
        }
        self.open = Turn::new(&self.ledger);
    }
}
