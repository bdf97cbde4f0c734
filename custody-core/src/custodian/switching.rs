//! Keys that do not sign are switched off at their backend too, where it can do that.
//!
//! Invariant: what the ledger says holds whatever a backend answers. A backend is asked by one call at
//! a time, and never switches a key off that an order is about to switch on, nor while a job of this
//! process signs with it.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::channel::mpsc;

use super::job::{Switchable, registered_backend};
use super::message::{Entry, Message};
use super::sequencer::Sequencer;
use super::shared::{Backend, Shared, lock};
use crate::id::{BackendId, KeyId};
use crate::ledger::{Key, Ledger};
use crate::seam::Monotonic;

/// Which keys their backends have still to switch off.
#[derive(Debug, Default)]
pub(crate) struct Switches(BTreeMap<BackendId, Queue>);

/// What one backend has still to switch off.
#[derive(Debug, Default)]
struct Queue {
    /// Keys by when they are tried, with how often that was in vain.
    owed: BTreeMap<(Monotonic, KeyId), u32>,
    at_work: Option<(KeyId, u32)>,
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// The key is off, or need not be.
    Done,
    Failed,
    /// An order may switch the key on: look again once it has ended.
    Later,
}

impl Switches {
    /// What is owed when a custodian opens: a stopped process may not have come to it.
    pub(crate) fn of(ledger: &Ledger, backends: &BTreeMap<BackendId, Backend>) -> Self {
        let mut switches = Self::default();
        if backends.values().any(|backend| backend.backend.switch().is_some()) {
            for key in ledger.off_keys() {
                if let Some(backend) = switching_backend(ledger, backends, key) {
                    switches.owe(backend, key.clone());
                }
            }
        }
        switches
    }

    /// A key is due at once, whatever became of earlier calls.
    fn owe(&mut self, backend: BackendId, key: KeyId) {
        let queue = self.0.entry(backend).or_default();
        queue.owed.retain(|(_, owed), _| *owed != key);
        queue.owed.insert((Monotonic::ZERO, key), 0);
    }

    /// Takes a key that is due and not in use, of a backend that has no call.
    fn next(
        &mut self,
        now: Monotonic,
        is_in_use: impl Fn(&KeyId) -> bool,
    ) -> Option<(BackendId, KeyId)> {
        self.0.iter_mut().find_map(|(backend, queue)| {
            let key = queue.next(now, &is_in_use)?;
            Some((backend.clone(), key))
        })
    }

    fn ended(&mut self, backend: &BackendId, answer: Answer, now: Monotonic) {
        if let Some(queue) = self.0.get_mut(backend) {
            queue.ended(answer, now);
        }
    }

    fn is_at_work(&self) -> bool {
        self.0.values().any(|queue| queue.at_work.is_some())
    }
}

impl Queue {
    fn next(&mut self, now: Monotonic, is_in_use: impl Fn(&KeyId) -> bool) -> Option<KeyId> {
        if self.at_work.is_some() {
            return None;
        }
        let mut due = self.owed.keys().take_while(|(at, _)| *at <= now);
        let first = due.find(|(_, key)| !is_in_use(key))?.clone();
        let failures = self.owed.remove(&first)?;
        let (_, key) = first;
        self.at_work = Some((key.clone(), failures));
        Some(key)
    }

    fn ended(&mut self, answer: Answer, now: Monotonic) {
        let Some((key, failures)) = self.at_work.take() else { return };
        let (pause, failures) = match answer {
            Answer::Done => return,
            Answer::Failed => (pause(failures), failures.saturating_add(1)),
            Answer::Later => (PAUSE, failures),
        };
        // What was owed anew meanwhile is due before that.
        if !self.owed.keys().any(|(_, owed)| *owed == key) {
            self.owed.insert((now.saturating_add(pause), key), failures);
        }
    }
}

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

    /// Whether a job that was started signs with a key: it ends in bounded time, and as what stopped
    /// it says, not as what the backend says to it.
    fn is_in_use(&self, key: &KeyId) -> bool {
        let mut running = self.running.iter().filter_map(|order| self.ledger.order(order));
        running.any(|order| order.document().tasks.iter().any(|task| task.key == *key))
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
    if let Err(answer) = must_be_off(&shared.read().ledger, id) {
        return answer;
    }
    let Ok(record) = key.record(shared).await else { return Answer::Failed };
    match shared.calls.of(switch.disable(&record)).await {
        Some(Ok(())) => Answer::Done,
        Some(Err(error)) => {
            tracing::warn!(key = id.as_str(), kind = ?error.kind(), "the key was not switched off");
            // Its backend was told to destroy it, and may know no other switch any more.
            if key.is_scheduled { Answer::Done } else { Answer::Failed }
        }
        None => {
            tracing::warn!(key = id.as_str(), "the key was not switched off in time");
            Answer::Failed
        }
    }
}

/// Whether a key is to be switched off now, or what else its call ends with.
fn must_be_off(ledger: &Ledger, id: &KeyId) -> Result<(), Answer> {
    if !ledger.key(id).is_some_and(Key::is_off) {
        return Err(Answer::Done);
    }
    if ledger.is_switching_on(id) { Err(Answer::Later) } else { Ok(()) }
}

/// How long a key waits that was tried in vain: a second, then twice as long each time, an hour at
/// most.
fn pause(failures: u32) -> Duration {
    PAUSE.saturating_mul(2_u32.saturating_pow(failures)).min(PAUSE_MAX)
}

const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> KeyId {
        KeyId::parse(&format!("key-{number}")).unwrap()
    }

    fn backend(name: &str) -> BackendId {
        BackendId::parse(name).unwrap()
    }

    fn owing(count: usize) -> Switches {
        let mut switches = Switches::default();
        (0..count).for_each(|number| switches.owe(backend("a"), key(number)));
        switches
    }

    fn next(switches: &mut Switches, now: Monotonic) -> Option<(BackendId, KeyId)> {
        switches.next(now, |_| false)
    }

    #[test]
    fn a_key_in_use_waits_and_no_other_key_waits_for_it() {
        let (mut switches, start) = (owing(3), Monotonic::ZERO);
        let taken = switches.next(start, |id| *id == key(0));
        assert_eq!(taken, Some((backend("a"), key(1))));
        switches.ended(&backend("a"), Answer::Done, start);
        assert_eq!(switches.next(start, |id| *id != key(2)), Some((backend("a"), key(2))));
        switches.ended(&backend("a"), Answer::Done, start);
        assert_eq!(switches.next(start, |_| true), None);
        assert_eq!(next(&mut switches, start), Some((backend("a"), key(0))));
    }

    #[test]
    fn a_backend_has_one_call_at_once_and_no_backend_waits_for_another() {
        let mut switches = owing(2);
        switches.owe(backend("b"), key(7));
        let start = Monotonic::ZERO;
        assert_eq!(next(&mut switches, start), Some((backend("a"), key(0))));
        assert_eq!(next(&mut switches, start), Some((backend("b"), key(7))));
        assert_eq!(next(&mut switches, start), None);
        switches.ended(&backend("b"), Answer::Done, start);
        assert_eq!(next(&mut switches, start), None, "nothing else is owed there");
        switches.ended(&backend("a"), Answer::Failed, start);
        assert_eq!(next(&mut switches, start), Some((backend("a"), key(1))));
        switches.ended(&backend("a"), Answer::Done, start);
        assert!(!switches.is_at_work());
    }

    #[test]
    fn a_key_that_was_tried_in_vain_waits_twice_as_long_each_time_and_an_hour_at_most() {
        let (mut switches, mut now) = (owing(1), Monotonic::ZERO);
        for failures in 0..40 {
            assert!(next(&mut switches, now).is_some());
            switches.ended(&backend("a"), Answer::Failed, now);
            let wait = Duration::from_secs(2_u64.pow(failures).min(3_600));
            assert_eq!(
                next(&mut switches, now + wait - Duration::from_nanos(1)),
                None,
                "{failures}"
            );
            now += wait;
        }
        assert!(next(&mut switches, now).is_some());
        switches.ended(&backend("a"), Answer::Done, now);
        assert_eq!(next(&mut switches, now + PAUSE_MAX), None);
    }

    #[test]
    fn what_is_owed_anew_is_due_at_once() {
        let mut switches = owing(1);
        let start = Monotonic::ZERO;
        assert!(next(&mut switches, start).is_some());
        switches.owe(backend("a"), key(0));
        switches.ended(&backend("a"), Answer::Failed, start);
        assert!(next(&mut switches, start).is_some(), "while a call was under way");
        switches.ended(&backend("a"), Answer::Failed, start);
        assert_eq!(next(&mut switches, start), None);
        switches.owe(backend("a"), key(0));
        assert!(next(&mut switches, start).is_some(), "while it waited");
        switches.ended(&backend("a"), Answer::Done, start);
        assert_eq!(next(&mut switches, start + PAUSE_MAX), None, "and once only");
    }
}
