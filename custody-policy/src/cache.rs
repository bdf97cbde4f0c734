//! A bounded cache.
//!
//! Invariant: it never holds more than twice its limit, whatever it is asked for.

use std::collections::HashMap;
use std::hash::Hash;

/// Two generations: what was not used while the young one filled up is forgotten.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    limit: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    /// A cache that remembers the last `limit` entries, and forgets all before the last two times
    /// `limit`.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, young: HashMap::new(), old: HashMap::new() }
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.limit {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(crate) fn get<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.insert(key, value.clone());
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_cache_forgets_what_was_not_used() {
        let mut cache = Cache::new(2);
        for key in 0..100_u32 {
            cache.insert(key, key);
            assert_eq!(cache.get(&0), Some(0), "the first is used all the time");
            assert!(cache.young.len() <= 2 && cache.old.len() <= 2);
        }
        assert_eq!(cache.get(&50), None);
        assert_eq!(cache.get(&99), Some(99));
    }
}
