//! Keys that do not sign are switched off at their backend too, where it can do that.
//!
//! Invariant: what the ledger says holds whatever a backend answers. A backend is asked by one call at
//! a time, and never switches a key off that an order is about to switch on, nor while a job of this
//! process signs with it.

mod queues;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::channel::mpsc;

pub use queues::OwedSwitch;
pub(crate) use queues::Switches;

use self::queues::Answer;
use super::job::{Switchable, registered_backend};
use super::message::{Entry, Message};
use super::sequencer::Sequencer;
use super::shared::{Backend, Shared, lock};
use crate::id::{BackendId, KeyId};
use crate::ledger::{Key, Ledger};
use crate::seam::{ErrorKind, Monotonic};

impl Sequencer {
    /// Whether the backend of a key is here and switches keys.
    pub(super) fn has_switch(&self, key: &KeyId) -> bool {
        switching_backend(&self.ledger, &self.shared.backends, key).is_some()
    }

    /// Has a key switched off as soon as may be, if it is to be off.
    pub(super) fn owe_off(&self, key: KeyId) {
        if !self.ledger.key(&key).is_some_and(Key::is_off) {
            return;
        }
        if let Some(backend) = switching_backend(&self.ledger, &self.shared.backends, &key) {
            lock(&self.shared.switches).owe(backend, key);
        }
    }

    /// A backend is what was registered, as of now: what it is owed need not wait.
    pub(super) fn hurry(&self, backend: &BackendId) {
        lock(&self.shared.switches).hurry(backend, self.shared.clock.monotonic());
    }

    /// Starts the calls that are due, away from this task.
    pub(super) fn switch_off(&self) {
        let now = self.shared.clock.monotonic();
        while let Some((backend, key)) = self.next_switch(now) {
            let call = switch_off(Arc::clone(&self.shared), backend, key);
            self.shared.spawner.spawn(Box::pin(call));
        }
    }

    /// Whether a call that switches a key off is under way.
    pub(super) fn is_switching(&self) -> bool {
        lock(&self.shared.switches).is_at_work()
    }

    fn next_switch(&self, now: Monotonic) -> Option<(BackendId, KeyId)> {
        lock(&self.shared.switches).next(now, |key| self.is_in_use(key))
    }

    /// Whether a job that is at work signs with a key: it ends in bounded time, and as what stopped
    /// it says, not as what the backend says to it.
    fn is_in_use(&self, key: &KeyId) -> bool {
        let mut running = self.running.iter().filter_map(|order| self.ledger.order(order));
        running.any(|order| {
            let document = order.document();
            document.tasks.iter().any(|task| task.key == *key) && self.is_at_work(&document.order)
        })
    }
}

/// The backend of a key, if it is here and switches keys.
fn switching_backend(
    ledger: &Ledger,
    backends: &BTreeMap<BackendId, Backend>,
    key: &KeyId,
) -> Option<BackendId> {
    let id = ledger.wallet(ledger.key(key)?.wallet())?.backend();
    backends.get(id)?.backend.switch().map(|_| id.clone())
}

/// Calls the backend of a key once, and says how it went even if it is dropped.
fn switch_off(
    shared: Arc<Shared>,
    backend: BackendId,
    key: KeyId,
) -> impl Future<Output = ()> + Send {
    let finished = shared.finished.clone();
    let mut call = Call { shared: Some(shared), backend, finished };
    async move {
        let Some(shared) = call.shared.clone() else { return };
        let off = AssertUnwindSafe(off(&shared, &key)).catch_unwind();
        let answer = off.await.unwrap_or(Answer::Failed);
        drop(shared);
        call.end(answer);
    }
}

/// A call that the sequencer hears of.
struct Call {
    shared: Option<Arc<Shared>>,
    backend: BackendId,
    finished: mpsc::UnboundedSender<Entry>,
}

impl Call {
    fn end(&mut self, answer: Answer) {
        let Some(shared) = self.shared.take() else { return };
        let now = shared.clock.monotonic();
        lock(&shared.switches).ended(&self.backend, answer, now);
        // Whoever closes the custodian is answered once nothing holds its parts any more.
        drop(shared);
        let entry = Entry { message: Message::Switched, reply: None };
        drop(self.finished.unbounded_send(entry));
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Answer::Failed);
    }
}

async fn off(shared: &Shared, id: &KeyId) -> Answer {
    let Some(key) = Switchable::find(shared, id) else { return Answer::Done };
    let Some(backend) = registered_backend(shared, &key.backend) else { return Answer::Failed };
    let Some(switch) = backend.backend.switch() else { return Answer::Done };
    let Some(_place) = shared.calls.of(backend.switching.acquire()).await else {
        return Answer::Failed;
    };
    // Only now: whoever had the place before may have switched the key on.
    let must = must_be_off(&shared.read().ledger, &lock(&shared.switches), id);
    if let Err(answer) = must {
        return answer;
    }
    let Ok(record) = key.record(shared).await else { return Answer::Failed };
    match shared.calls.of(switch.disable(&record)).await {
        Some(Ok(())) => Answer::Done,
        Some(Err(error)) => {
            tracing::warn!(key = id.as_str(), kind = ?error.kind(), "the key was not switched off");
            // Its backend was told to destroy it, and may know no other switch any more.
            let may_pass = matches!(
                error.kind(),
                ErrorKind::Corrupt
                    | ErrorKind::Indeterminate
                    | ErrorKind::Throttled { .. }
                    | ErrorKind::Unavailable
            );
            if key.is_scheduled && !may_pass { Answer::Done } else { Answer::Failed }
        }
        None => {
            tracing::warn!(key = id.as_str(), "the key was not switched off in time");
            Answer::Failed
        }
    }
}

/// Whether a key is to be switched off now, or what else its call ends with.
fn must_be_off(ledger: &Ledger, switches: &Switches, id: &KeyId) -> Result<(), Answer> {
    if !ledger.key(id).is_some_and(Key::is_off) {
        return Err(Answer::Done);
    }
    let is_on = ledger.switching_on(id).any(|order| switches.has_started(order));
    if is_on { Err(Answer::Later) } else { Ok(()) }
}
