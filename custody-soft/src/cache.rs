//! The cache of opened keys.
//!
//! Invariant: an opened key is reachable only through this cache, for at most so long, so many
//! uses and among so many others as [`CacheLimits`] allow; whatever leaves it is wiped. The lock is
//! never held across an await, and nothing here reads the clock.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::debug;

use custody_core::digest::Digest;
use custody_core::seam::Monotonic;

use crate::private_key::PrivateKey;

/// How many opened keys are kept, how long, and for how many signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    keys: NonZeroU32,
    age: Duration,
    uses: NonZeroU64,
}

impl CacheLimits {
    /// At most `keys` keys at a time, each for at most `age` and for at most `uses` signatures;
    /// after that the key-encrypting key is asked again. An age of zero keeps nothing.
    #[must_use]
    pub const fn new(keys: NonZeroU32, age: Duration, uses: NonZeroU64) -> Self {
        Self { keys, age, uses }
    }

    /// How many keys are kept open at a time.
    #[must_use]
    pub const fn keys(&self) -> NonZeroU32 {
        self.keys
    }

    /// How long a key stays open.
    #[must_use]
    pub const fn age(&self) -> Duration {
        self.age
    }

    /// For how many signatures a key stays open.
    #[must_use]
    pub const fn uses(&self) -> NonZeroU64 {
        self.uses
    }
}

impl Default for CacheLimits {
    /// 1,024 keys, 10 minutes, 1,000,000 signatures.
    fn default() -> Self {
        Self { keys: DEFAULT_KEYS, age: Duration::from_secs(600), uses: DEFAULT_USES }
    }
}

/// Which key, under which handle: a digest over the whole record.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Slot(pub(crate) Digest);

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The opened keys.
pub(crate) struct OpenKeys {
    limits: CacheLimits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<Slot, Entry>,
    /// The slots in the order in which they were opened, hence by age.
    order: BTreeMap<u64, Slot>,
    opened: u64,
    wiped: Wipes,
}

/// How often everything was wiped. A key that was asked for before the last time is not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wipes(u64);

struct Entry {
    key: Arc<PrivateKey>,
    since: Monotonic,
    uses_left: u64,
    serial: u64,
}

impl OpenKeys {
    pub(crate) fn new(limits: CacheLimits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    pub(crate) const fn limits(&self) -> CacheLimits {
        self.limits
    }

    /// The key for one signature, if it is open; counts the use.
    pub(crate) fn take_use(&self, slot: Slot, now: Monotonic) -> Option<Arc<PrivateKey>> {
        let mut state = self.swept(now);
        let entry = state.entries.get_mut(&slot)?;
        if now.saturating_sub(entry.since) >= self.limits.age {
            return None;
        }
        entry.uses_left = entry.uses_left.saturating_sub(1);
        let (key, spent) = (Arc::clone(&entry.key), entry.uses_left == 0);
        if spent {
            state.remove(slot, "used up");
        }
        Some(key)
    }

    /// Whether the key is open.
    pub(crate) fn contains(&self, slot: Slot, now: Monotonic) -> bool {
        self.swept(now).entries.contains_key(&slot)
    }

    /// How often everything was wiped by now: to be asked for before a key is opened.
    pub(crate) fn wipes(&self) -> Wipes {
        self.lock().wiped
    }

    /// Keeps an opened key of which `used` signatures are taken already, unless everything was wiped
    /// while it was being opened. The key that has been open longest makes room.
    pub(crate) fn insert(
        &self,
        slot: Slot,
        key: Arc<PrivateKey>,
        (used, wipes): (u64, Wipes),
        now: Monotonic,
    ) {
        let mut state = self.swept(now);
        if state.wiped != wipes {
            return;
        }
        state.remove(slot, "opened again");
        let uses_left = self.limits.uses.get().saturating_sub(used);
        if uses_left == 0 || self.limits.age.is_zero() {
            return;
        }
        let keys_max = usize::try_from(self.limits.keys.get()).unwrap_or(usize::MAX);
        if state.entries.len() >= keys_max {
            state.remove_oldest("room for another");
        }
        let serial = state.opened;
        state.opened = serial.saturating_add(1);
        state.order.insert(serial, slot);
        state.entries.insert(slot, Entry { key, since: now, uses_left, serial });
    }

    /// Wipes what is too old.
    pub(crate) fn wipe_expired(&self, now: Monotonic) {
        drop(self.swept(now));
    }

    /// Wipes everything.
    pub(crate) fn wipe(&self) {
        let mut state = self.lock();
        state.entries.clear();
        state.order.clear();
        state.wiped = Wipes(state.wiped.0.wrapping_add(1));
    }

    /// The state without the keys that are too old.
    fn swept(&self, now: Monotonic) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        while state.oldest().is_some_and(|since| now.saturating_sub(since) >= self.limits.age) {
            state.remove_oldest("too old");
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for OpenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenKeys").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl State {
    fn remove(&mut self, slot: Slot, why: &'static str) {
        if let Some(entry) = self.entries.remove(&slot) {
            self.order.remove(&entry.serial);
            debug!(%slot, why, "let go of a key");
        }
    }

    fn remove_oldest(&mut self, why: &'static str) {
        if let Some((_, slot)) = self.order.pop_first() {
            self.entries.remove(&slot);
            debug!(%slot, why, "let go of a key");
        }
    }

    fn oldest(&self) -> Option<Monotonic> {
        let (_, slot) = self.order.first_key_value()?;
        self.entries.get(slot).map(|entry| entry.since)
    }
}

const DEFAULT_KEYS: NonZeroU32 = NonZeroU32::MIN.saturating_add(1_023);
const DEFAULT_USES: NonZeroU64 = NonZeroU64::MIN.saturating_add(999_999);

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use custody_core::crypto::Algorithm;
    use custody_core::secret::Secret;
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// A way for a key to leave the cache.
    type Leave = fn(&OpenKeys);

    fn cache(keys: u32, uses: u64) -> OpenKeys {
        let (keys, uses) = (NonZeroU32::new(keys).unwrap(), NonZeroU64::new(uses).unwrap());
        OpenKeys::new(CacheLimits::new(keys, MINUTE, uses))
    }

    fn slot(number: u8) -> Slot {
        Slot(Digest::of(&[number]))
    }

    /// Opens a key; the answer tells whether it still exists anywhere.
    fn open(cache: &OpenKeys, number: u8, now: Monotonic) -> Weak<PrivateKey> {
        let secret = Secret::new(vec![number; PrivateKey::LENGTH]);
        let key = Arc::new(PrivateKey::read(Algorithm::Ed25519, &secret).unwrap());
        let weak = Arc::downgrade(&key);
        cache.insert(slot(number), key, (0, cache.wipes()), now);
        weak
    }

    fn sizes(cache: &OpenKeys) -> (usize, usize) {
        let state = cache.lock();
        (state.entries.len(), state.order.len())
    }

    #[test]
    fn a_key_that_leaves_the_cache_exists_nowhere() {
        let leave: [(&str, Leave); 6] = [
            ("too old", |cache| cache.wipe_expired(MINUTE)),
            ("too old when another is asked for", |cache| {
                assert!(!cache.contains(slot(9), MINUTE))
            }),
            ("too old when another is used", |cache| drop(cache.take_use(slot(9), MINUTE))),
            ("wiped", OpenKeys::wipe),
            ("used up", |cache| {
                for _ in 0..3 {
                    assert!(cache.take_use(slot(1), Monotonic::ZERO).is_some());
                }
            }),
            ("made room", |cache| {
                open(cache, 2, Monotonic::ZERO);
                open(cache, 3, Monotonic::ZERO);
            }),
        ];
        for (why, leave) in leave {
            let cache = cache(2, 3);
            let key = open(&cache, 1, Monotonic::ZERO);
            assert!(key.upgrade().is_some(), "{why}");
            leave(&cache);
            assert!(key.upgrade().is_none(), "{why}");
        }
    }

    #[test]
    fn a_key_that_was_asked_for_before_everything_was_wiped_is_not_kept() {
        let cache = cache(2, 3);
        let secret = Secret::new(vec![1; PrivateKey::LENGTH]);
        let key = Arc::new(PrivateKey::read(Algorithm::Ed25519, &secret).unwrap());
        let before = cache.wipes();
        cache.wipe();
        cache.insert(slot(1), Arc::clone(&key), (0, before), Monotonic::ZERO);
        assert!(!cache.contains(slot(1), Monotonic::ZERO));
        cache.insert(slot(1), key, (0, cache.wipes()), Monotonic::ZERO);
        assert!(cache.contains(slot(1), Monotonic::ZERO));
    }

    #[test]
    fn a_key_opened_again_replaces_itself() {
        let cache = cache(2, 3);
        let (old, other) = (open(&cache, 1, Monotonic::ZERO), open(&cache, 2, Monotonic::ZERO));
        let new = open(&cache, 1, MINUTE / 2);
        assert!(old.upgrade().is_none() && other.upgrade().is_some() && new.upgrade().is_some());
        assert_eq!(sizes(&cache), (2, 2));
    }

    #[test]
    fn a_key_stamped_out_of_turn_is_not_lent_past_its_age() {
        // Two callers read the clock in one order and open in the other.
        let cache = cache(2, 3);
        open(&cache, 1, MINUTE / 2);
        open(&cache, 2, Monotonic::ZERO);
        assert!(cache.take_use(slot(2), MINUTE).is_none());
        assert!(cache.take_use(slot(1), MINUTE).is_some());
    }

    proptest! {
        #[test]
        fn whatever_happens_the_cache_stays_within_its_limits_and_in_step(
            steps in proptest::collection::vec((0_u8..4, 0_u8..6, 0_u64..50), 0..60),
        ) {
            let cache = cache(3, 2);
            let mut now = Monotonic::ZERO;
            for (step, number, seconds) in steps {
                now = now.saturating_add(Duration::from_secs(seconds));
                match step {
                    0 | 1 => drop(open(&cache, number, now)),
                    2 => drop(cache.take_use(slot(number), now)),
                    _ => cache.wipe_expired(now),
                }
                let (entries, order) = sizes(&cache);
                prop_assert!(entries <= 3 && entries == order);
                let state = cache.lock();
                for entry in state.entries.values() {
                    prop_assert!(now.saturating_sub(entry.since) < MINUTE && entry.uses_left > 0);
                }
            }
        }
    }
}
