//! Which keys have still to be switched off, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::custodian::shared::Backend;
use crate::id::{BackendId, KeyId, OrderId};
use crate::ledger::Ledger;
use crate::seam::Monotonic;

/// Which keys their backends have still to switch off.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    queues: BTreeMap<BackendId, Queue>,
    /// Orders whose job tells a backend to switch a key on, or has told it.
    started: BTreeSet<OrderId>,
}

/// What one backend has still to switch off.
#[derive(Debug, Default)]
struct Queue {
    debts: BTreeMap<KeyId, Debt>,
    /// The keys of all debts by when they are tried.
    due: BTreeSet<(Monotonic, KeyId)>,
    at_work: Option<Call>,
}

/// A call that a backend is owed.
#[derive(Clone, Copy, Debug)]
struct Debt {
    due: Monotonic,
    /// How often it was in vain.
    failures: u32,
    /// When it is owed once more, even if it is done before: a late call may undo it.
    again: Option<Monotonic>,
}

/// A call that is under way.
#[derive(Debug)]
struct Call {
    key: KeyId,
    debt: Debt,
    since: Monotonic,
}

/// A key that is off in the ledger, and which its backend has not said to have switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwedSwitch {
    /// The key.
    pub key: KeyId,
    /// The backend that is to switch it off.
    pub backend: BackendId,
    /// How often it was tried in vain since this was owed.
    pub failures: u32,
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The key is off, or need not be.
    Done,
    Failed,
    /// A job may switch the key on: look again once it has ended.
    Later,
}

impl Switches {
    /// What is owed when a custodian opens: a stopped process may not have come to it. What is owed
    /// later comes first.
    pub(crate) fn of(
        ledger: &Ledger,
        backends: &BTreeMap<BackendId, Backend>,
        now: Monotonic,
    ) -> Self {
        let mut switches = Self::default();
        if backends.values().any(|backend| backend.backend.switch().is_some()) {
            for key in ledger.off_keys() {
                if let Some(backend) = super::switching_backend(ledger, backends, key) {
                    switches.queue(backend).insert(key.clone(), Debt::at(now));
                }
            }
        }
        switches
    }

    fn queue(&mut self, backend: BackendId) -> &mut Queue {
        self.queues.entry(backend).or_default()
    }

    /// A key is due at once, before all that was owed when the custodian opened, whatever became of
    /// earlier calls.
    pub(super) fn owe(&mut self, backend: BackendId, key: KeyId) {
        let queue = self.queue(backend);
        let again = queue.debts.get(&key).and_then(|debt| debt.again);
        queue.insert(key, Debt { again, ..Debt::at(Monotonic::ZERO) });
    }

    /// A key is due then, too, whatever becomes of calls before.
    pub(in crate::custodian) fn owe_again(
        &mut self,
        backend: &BackendId,
        key: KeyId,
        at: Monotonic,
    ) {
        let queue = self.queue(backend.clone());
        let debt = queue.debts.get(&key).copied();
        queue.insert(key, Debt { again: Some(at), ..debt.unwrap_or(Debt::at(at)) });
    }

    /// The keys of a backend are due, which could not be asked before.
    pub(super) fn hurry(&mut self, backend: &BackendId, now: Monotonic) {
        let Some(queue) = self.queues.get_mut(backend) else { return };
        for (key, debt) in queue.debts.clone() {
            queue.insert(key, Debt { due: debt.due.min(now), failures: 0, ..debt });
        }
    }

    /// Takes a key that is due and not in use, of a backend that has no call.
    pub(super) fn next(
        &mut self,
        now: Monotonic,
        is_in_use: impl Fn(&KeyId) -> bool,
    ) -> Option<(BackendId, KeyId)> {
        self.queues.iter_mut().find_map(|(backend, queue)| {
            let key = queue.next(now, &is_in_use)?;
            Some((backend.clone(), key))
        })
    }

    pub(super) fn ended(&mut self, backend: &BackendId, answer: Answer, now: Monotonic) {
        if let Some(queue) = self.queues.get_mut(backend) {
            queue.ended(answer, now);
        }
    }

    pub(super) fn is_at_work(&self) -> bool {
        self.queues.values().any(|queue| queue.at_work.is_some())
    }

    pub(in crate::custodian) fn owed(&self) -> Vec<OwedSwitch> {
        let owed = self.queues.iter().flat_map(|(backend, queue)| {
            let at_work = queue.at_work.iter().map(|call| (&call.key, &call.debt));
            queue.debts.iter().chain(at_work).map(|(key, debt)| OwedSwitch {
                key: key.clone(),
                backend: backend.clone(),
                failures: debt.failures,
            })
        });
        owed.collect()
    }

    /// The job of an order is about to tell a backend to switch a key on.
    pub(in crate::custodian) fn starts(&mut self, order: OrderId) {
        self.started.insert(order);
    }

    pub(super) fn has_started(&self, order: &OrderId) -> bool {
        self.started.contains(order)
    }

    /// The order has ended.
    pub(in crate::custodian) fn forget(&mut self, order: &OrderId) {
        self.started.remove(order);
    }
}

impl Debt {
    const fn at(due: Monotonic) -> Self {
        Self { due, failures: 0, again: None }
    }
}

impl Queue {
    /// Takes the place of what the key was owed before.
    fn insert(&mut self, key: KeyId, debt: Debt) {
        self.remove(&key);
        self.due.insert((debt.due, key.clone()));
        self.debts.insert(key, debt);
    }

    fn remove(&mut self, key: &KeyId) -> Option<Debt> {
        let debt = self.debts.remove(key)?;
        self.due.remove(&(debt.due, key.clone()));
        Some(debt)
    }

    fn next(&mut self, now: Monotonic, is_in_use: impl Fn(&KeyId) -> bool) -> Option<KeyId> {
        if self.at_work.is_some() {
            return None;
        }
        let mut due = self.due.iter().take_while(|(at, _)| *at <= now);
        let key = due.find(|(_, key)| !is_in_use(key))?.1.clone();
        let debt = self.remove(&key)?;
        self.at_work = Some(Call { key: key.clone(), debt, since: now });
        Some(key)
    }

    fn ended(&mut self, answer: Answer, now: Monotonic) {
        let Some(Call { key, debt, since }) = self.at_work.take() else { return };
        let next = match (answer, debt.again) {
            (Answer::Done, Some(again)) if again > since => Debt::at(again),
            (Answer::Done, _) => return,
            (Answer::Failed, _) => {
                let due = now.saturating_add(pause(debt.failures));
                Debt { due, failures: debt.failures.saturating_add(1), ..debt }
            }
            (Answer::Later, _) => Debt { due: now.saturating_add(PAUSE), ..debt },
        };
        // What was owed anew meanwhile is due before that, or once more.
        match self.debts.get(&key).copied() {
            None => self.insert(key, next),
            Some(anew) => {
                let again = anew.again.max(next.again);
                self.insert(key, Debt { due: anew.due.min(next.due), again, ..anew });
            }
        }
    }
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

    #[test]
    fn what_is_owed_later_comes_before_what_was_owed_at_the_opening() {
        let now = Monotonic::ZERO + Duration::from_secs(5);
        let mut switches = Switches::default();
        (0..3).for_each(|number| switches.queue(backend("a")).insert(key(number), Debt::at(now)));
        switches.owe(backend("a"), key(9));
        assert_eq!(next(&mut switches, now), Some((backend("a"), key(9))));
        switches.ended(&backend("a"), Answer::Done, now);
        assert_eq!(next(&mut switches, now), Some((backend("a"), key(0))));
    }

    #[test]
    fn what_a_late_call_may_undo_is_done_once_more_after_it() {
        let (start, late) = (Monotonic::ZERO, Monotonic::ZERO + Duration::from_secs(10));
        let just_before = Monotonic::ZERO + Duration::from_secs(9);
        // Told before the key is owed, while it is owed, and while the call is under way.
        for told in 0..3 {
            let mut switches = Switches::default();
            if told == 0 {
                switches.owe_again(&backend("a"), key(0), late);
            }
            switches.owe(backend("a"), key(0));
            if told == 1 {
                switches.owe_again(&backend("a"), key(0), late);
            }
            assert!(next(&mut switches, start).is_some(), "{told}: at once");
            if told == 2 {
                switches.owe_again(&backend("a"), key(0), late);
            }
            switches.ended(&backend("a"), Answer::Done, start);
            assert_eq!(next(&mut switches, just_before), None, "{told}");
            assert!(next(&mut switches, late).is_some(), "{told}: and after the late call");
            switches.ended(&backend("a"), Answer::Done, late);
            assert_eq!(next(&mut switches, late + PAUSE_MAX), None, "{told}: once");
            assert_eq!(switches.owed(), []);
        }
    }

    #[test]
    fn a_backend_that_is_there_again_is_not_waited_for() {
        let (mut switches, mut now) = (owing(1), Monotonic::ZERO);
        for _ in 0..10 {
            assert!(next(&mut switches, now).is_some());
            switches.ended(&backend("a"), Answer::Failed, now);
            now += PAUSE_MAX;
        }
        assert!(next(&mut switches, now).is_some());
        switches.ended(&backend("a"), Answer::Failed, now);
        assert_eq!(next(&mut switches, now), None);
        assert_eq!(switches.owed()[0].failures, 11);
        switches.hurry(&backend("b"), now);
        assert_eq!(next(&mut switches, now), None, "another one");
        switches.hurry(&backend("a"), now);
        assert_eq!(next(&mut switches, now), Some((backend("a"), key(0))));
    }
}
