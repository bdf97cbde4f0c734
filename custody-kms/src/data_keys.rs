//! The data keys that KMS opened or made, kept for a while. Opens secrets.
//!
//! Invariant: an opened data key is reachable only through this cache, for at most so long, so many uses
//! and among so many others as [`DataKeyLimits`] allow; whatever leaves it is wiped once the last call
//! that holds it ends. What was asked for before everything was wiped is not kept after it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use custody_core::digest::Digest;
use custody_core::seam::Monotonic;
use custody_core::secret::Secret;
use tracing::debug;

use crate::config::DataKeyLimits;
use crate::kms::lock;

/// A data key and the ciphertext that KMS gave for it.
#[derive(Clone)]
pub(crate) struct DataKey {
    pub(crate) ciphertext: Arc<[u8]>,
    pub(crate) key: Arc<Secret>,
}

/// The opened data keys of one key of KMS.
pub(crate) struct DataKeys {
    limits: DataKeyLimits,
    state: Mutex<State>,
}

/// Between two times that everything was wiped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Generation(u64);

#[derive(Default)]
struct State {
    entries: HashMap<Digest, Entry>,
    /// In the order in which they were opened, hence by age.
    order: BTreeMap<u64, Digest>,
    /// Which data key seals what is sealed next, by scope.
    current: HashMap<Digest, Digest>,
    opened: u64,
    generation: Generation,
}

struct Entry {
    data_key: DataKey,
    scope: Digest,
    since: Monotonic,
    uses_left: u64,
    number: u64,
}

impl DataKeys {
    pub(crate) fn new(limits: DataKeyLimits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    /// The data key in this slot, if it is open; counts the use.
    pub(crate) fn open(&self, slot: &Digest, now: Monotonic) -> Option<DataKey> {
        self.swept(now).take_use(slot)
    }

    /// The data key that seals what is sealed next in this scope, if one is open; counts the use.
    pub(crate) fn current(&self, scope: &Digest, now: Monotonic) -> Option<DataKey> {
        let mut state = self.swept(now);
        let slot = *state.current.get(scope)?;
        state.take_use(&slot)
    }

    /// What [`Self::keep`] is told of a data key that KMS is asked for after this.
    pub(crate) fn generation(&self) -> Generation {
        self.lock().generation
    }

    /// Keeps an opened data key of which one use is taken already, unless all were wiped since it was
    /// asked for; it seals what is sealed next in its scope.
    pub(crate) fn keep(
        &self,
        scope: &Digest,
        data_key: DataKey,
        now: Monotonic,
        asked: Generation,
    ) {
        let slot = slot(scope, &data_key.ciphertext);
        let mut state = self.swept(now);
        if state.generation != asked {
            return;
        }
        state.remove(&slot);
        let uses_left = self.limits.uses.get().saturating_sub(1);
        if uses_left == 0 || self.limits.age.is_zero() {
            return;
        }
        if state.entries.len() >= usize::from(self.limits.keys.get()) {
            state.remove_oldest();
        }
        let number = state.opened;
        state.opened = number.saturating_add(1);
        state.order.insert(number, slot);
        state.current.insert(*scope, slot);
        let entry = Entry { data_key, scope: *scope, since: now, uses_left, number };
        state.entries.insert(slot, entry);
    }

    /// Wipes what is too old.
    pub(crate) fn wipe_expired(&self, now: Monotonic) {
        drop(self.swept(now));
    }

    /// Wipes everything, and what is on its way as soon as it is here.
    pub(crate) fn wipe(&self) {
        let mut state = self.lock();
        let generation = Generation(state.generation.0.saturating_add(1));
        *state = State { opened: state.opened, generation, ..State::default() };
    }

    fn swept(&self, now: Monotonic) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        while state.oldest().is_some_and(|since| now.saturating_sub(since) >= self.limits.age) {
            state.remove_oldest();
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl fmt::Debug for DataKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKeys").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl State {
    fn take_use(&mut self, slot: &Digest) -> Option<DataKey> {
        let entry = self.entries.get_mut(slot)?;
        entry.uses_left = entry.uses_left.saturating_sub(1);
        let (data_key, is_spent) = (entry.data_key.clone(), entry.uses_left == 0);
        if is_spent {
            self.remove(slot);
        }
        Some(data_key)
    }

    fn remove(&mut self, slot: &Digest) {
        let Some(entry) = self.entries.remove(slot) else { return };
        self.order.remove(&entry.number);
        if self.current.get(&entry.scope) == Some(slot) {
            self.current.remove(&entry.scope);
        }
        debug!("let go of a data key");
    }

    fn remove_oldest(&mut self) {
        if let Some(slot) = self.order.first_key_value().map(|(_, slot)| *slot) {
            self.remove(&slot);
        }
    }

    fn oldest(&self) -> Option<Monotonic> {
        let (_, slot) = self.order.first_key_value()?;
        self.entries.get(slot).map(|entry| entry.since)
    }
}

/// Where a data key is kept: one of another scope is another one, whatever its ciphertext.
pub(crate) fn slot(scope: &Digest, ciphertext: &[u8]) -> Digest {
    Digest::tagged("custody/kms/slot/v1", &[scope.as_bytes(), ciphertext])
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU16, NonZeroU64};
    use std::sync::Weak;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// A way for a data key to leave the cache.
    type Leave = fn(&DataKeys);

    fn cache(keys: u16, uses: u64) -> DataKeys {
        let (keys, uses) = (NonZeroU16::new(keys).unwrap(), NonZeroU64::new(uses).unwrap());
        DataKeys::new(DataKeyLimits { keys, age: MINUTE, uses })
    }

    fn scope(number: u8) -> Digest {
        Digest::of(&[number])
    }

    /// Keeps a data key; the answer tells whether it still exists anywhere.
    fn keep(cache: &DataKeys, number: u8, now: Monotonic) -> Weak<Secret> {
        let key = Arc::new(Secret::new(vec![number; 32]));
        let weak = Arc::downgrade(&key);
        let data_key = DataKey { ciphertext: Arc::from([number]), key };
        cache.keep(&scope(number), data_key, now, cache.generation());
        weak
    }

    fn open(cache: &DataKeys, number: u8, now: Monotonic) -> bool {
        cache.open(&slot(&scope(number), &[number]), now).is_some()
    }

    #[test]
    fn a_data_key_that_leaves_exists_nowhere() {
        let leave: [(&str, Leave); 6] = [
            ("too old", |cache| cache.wipe_expired(MINUTE)),
            ("too old when another is asked for", |cache| assert!(!open(cache, 9, MINUTE))),
            ("too old when one is to seal", |cache| {
                assert!(cache.current(&scope(1), MINUTE).is_none())
            }),
            ("wiped", DataKeys::wipe),
            ("used up", |cache| {
                assert!(open(cache, 1, Duration::ZERO) && open(cache, 1, Duration::ZERO));
                assert!(!open(cache, 1, Duration::ZERO));
            }),
            ("made room", |cache| {
                keep(cache, 2, Duration::ZERO);
                keep(cache, 3, Duration::ZERO);
            }),
        ];
        for (why, leave) in leave {
            let cache = cache(2, 3);
            let key = keep(&cache, 1, Duration::ZERO);
            assert!(key.upgrade().is_some(), "{why}");
            leave(&cache);
            assert!(key.upgrade().is_none(), "{why}");
            assert!(cache.current(&scope(1), Duration::ZERO).is_none(), "{why}");
        }
    }

    #[test]
    fn a_data_key_of_another_scope_is_not_lent() {
        let cache = cache(2, 9);
        keep(&cache, 1, Duration::ZERO);
        assert!(cache.open(&slot(&scope(2), &[1]), Duration::ZERO).is_none());
        assert!(cache.current(&scope(2), Duration::ZERO).is_none());
    }

    #[test]
    fn what_was_asked_for_before_all_were_wiped_is_not_kept_after_it() {
        let cache = cache(2, 9);
        let asked = cache.generation();
        cache.wipe();
        let key = Arc::new(Secret::new(vec![1; 32]));
        let weak = Arc::downgrade(&key);
        let data_key = DataKey { ciphertext: Arc::from([1]), key };
        cache.keep(&scope(1), data_key, Duration::ZERO, asked);
        assert!(weak.upgrade().is_none());
        assert!(!open(&cache, 1, Duration::ZERO));
        // What is asked for after it is kept.
        keep(&cache, 1, Duration::ZERO);
        assert!(open(&cache, 1, Duration::ZERO));
    }

    #[test]
    fn limits_of_one_use_or_no_time_keep_nothing() {
        let one = cache(2, 1);
        assert!(keep(&one, 1, Duration::ZERO).upgrade().is_none());
        let (keys, uses) = (NonZeroU16::MIN, NonZeroU64::MAX);
        let none = DataKeys::new(DataKeyLimits { keys, age: Duration::ZERO, uses });
        assert!(keep(&none, 1, Duration::ZERO).upgrade().is_none());
    }

    proptest! {
        #[test]
        fn whatever_happens_the_cache_stays_within_its_limits_and_in_step(
            steps in proptest::collection::vec((0_u8..4, 0_u8..6, 0_u64..50), 0..60),
        ) {
            let cache = cache(3, 3);
            let mut now = Duration::ZERO;
            for (step, number, seconds) in steps {
                now = now.saturating_add(Duration::from_secs(seconds));
                match step {
                    0 | 1 => drop(keep(&cache, number, now)),
                    2 => drop(cache.open(&slot(&scope(number), &[number]), now)),
                    _ => drop(cache.current(&scope(number), now)),
                }
                let state = cache.lock();
                prop_assert!(state.entries.len() <= 3 && state.entries.len() == state.order.len());
                for entry in state.entries.values() {
                    prop_assert!(now.saturating_sub(entry.since) < MINUTE && entry.uses_left > 0);
                }
                prop_assert!(state.current.values().all(|slot| state.entries.contains_key(slot)));
            }
        }
    }
}
