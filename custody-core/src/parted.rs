//! Maps in 256 parts, so that copies share what has not changed since, and a snapshot writes only
//! the parts that did.
//!
//! Invariant: a key's part follows from its text alone, and a part that was kept as a document
//! forgets that document as soon as it changes.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::caip::AccountId;
use crate::document::DocumentReference;
use crate::id::{KeyId, OrderId, WalletId};
use crate::window::{WindowKey, WindowScope};

/// A map whose copies share their unchanged parts. It has no order over all of its keys.
#[derive(Clone, Debug)]
pub(crate) struct Parted<K, V> {
    /// Parts 0 to 254, by number.
    parts: Vec<Arc<Part<K, V>>>,
    /// Part 255.
    last: Arc<Part<K, V>>,
}

/// One part, and the document that it was kept as, if it has not changed since.
#[derive(Debug)]
pub(crate) struct Part<K, V> {
    entries: BTreeMap<K, V>,
    kept: OnceLock<DocumentReference>,
}

/// A key that says which part it stands in.
pub(crate) trait PartKey: Clone + Ord {
    fn part(&self) -> u8;
}

impl<K: PartKey, V: Clone> Parted<K, V> {
    /// Puts a part in place that was read from `document`, whose keys are all of part `number`.
    pub(crate) fn place(
        &mut self,
        number: u8,
        entries: BTreeMap<K, V>,
        document: DocumentReference,
    ) {
        let part = Part { entries, kept: OnceLock::from(document) };
        *self.slot(number) = Arc::new(part);
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        if !self.contains_key(key) {
            return None;
        }
        self.change(key.part()).get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.change(key.part()).insert(key, value)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        if !self.contains_key(key) {
            return None;
        }
        self.change(key.part()).remove(key)
    }

    pub(crate) fn or_default(&mut self, key: &K) -> &mut V
    where
        V: Default,
    {
        self.change(key.part()).entry(key.clone()).or_default()
    }

    /// Lets `tidy` change every value and keeps those for which it says so. A part in which nothing
    /// `is_untidy` is not touched.
    pub(crate) fn retain(
        &mut self,
        is_untidy: impl Fn(&V) -> bool,
        mut tidy: impl FnMut(&mut V) -> bool,
    ) {
        for number in 0..=u8::MAX {
            if self.part(number).entries.values().any(&is_untidy) {
                self.change(number).retain(|_, value| tidy(value));
            }
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.part(key.part()).entries.get(key)
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// All entries, part by part.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.parts().flat_map(|(_, part)| &part.entries)
    }

    /// The parts that have entries, by number.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (u8, &Part<K, V>)> {
        (0..=u8::MAX)
            .map(|number| (number, self.part(number)))
            .filter(|(_, part)| !part.entries.is_empty())
    }

    pub(crate) fn part(&self, number: u8) -> &Part<K, V> {
        self.parts.get(usize::from(number)).unwrap_or(&self.last)
    }

    /// The entries of a part, which may be about to change.
    fn change(&mut self, number: u8) -> &mut BTreeMap<K, V> {
        let part = Arc::make_mut(self.slot(number));
        part.kept = OnceLock::new();
        &mut part.entries
    }

    fn slot(&mut self, number: u8) -> &mut Arc<Part<K, V>> {
        self.parts.get_mut(usize::from(number)).unwrap_or(&mut self.last)
    }
}

impl<K, V> Part<K, V> {
    pub(crate) const fn entries(&self) -> &BTreeMap<K, V> {
        &self.entries
    }

    /// The document that this part was kept as.
    pub(crate) fn kept(&self) -> Option<&DocumentReference> {
        self.kept.get()
    }

    /// Remembers that this document is this part.
    pub(crate) fn keep(&self, document: DocumentReference) {
        // If there is one already it stays: it is of these very entries too.
        self.kept.get_or_init(|| document);
    }
}

impl<K, V> Default for Parted<K, V> {
    fn default() -> Self {
        let empty = Arc::new(Part { entries: BTreeMap::new(), kept: OnceLock::new() });
        Self { parts: vec![Arc::clone(&empty); usize::from(u8::MAX)], last: empty }
    }
}

impl<K: PartKey, V: PartialEq + Clone> PartialEq for Parted<K, V> {
    fn eq(&self, other: &Self) -> bool {
        let parts = self.parts.iter().chain([&self.last]);
        parts
            .zip(other.parts.iter().chain([&other.last]))
            .all(|(own, other)| Arc::ptr_eq(own, other) || own.entries == other.entries)
    }
}

impl<K: PartKey, V: Eq + Clone> Eq for Parted<K, V> {}

/// A part that is copied is about to change.
impl<K: Clone, V: Clone> Clone for Part<K, V> {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone(), kept: OnceLock::new() }
    }
}

macro_rules! part_of_text {
    ($($name:ty),+) => {
        $(impl PartKey for $name {
            fn part(&self) -> u8 {
                part_of(&[self.as_str()])
            }
        })+
    };
}

part_of_text!(AccountId, KeyId, OrderId, WalletId);

impl PartKey for WindowKey {
    fn part(&self) -> u8 {
        let scope = match &self.scope {
            WindowScope::Destination(account) => account.as_str(),
            WindowScope::Requester(principal) => principal.as_str(),
            WindowScope::Wallet(wallet) => wallet.as_str(),
        };
        part_of(&[scope, self.asset.as_str()])
    }
}

/// The part of a key with these texts: their FNV-1a hash (32 bits, draft-eastlake-fnv), folded to
/// eight bits. It only spreads; nothing rests on it.
fn part_of(texts: &[&str]) -> u8 {
    const OFFSET: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    let hash = bytes.fold(OFFSET, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(PRIME));
    hash.to_be_bytes().into_iter().fold(0, |folded, byte| folded ^ byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn key(number: usize) -> KeyId {
        KeyId::parse(&format!("key-{number}")).unwrap()
    }

    fn document() -> DocumentReference {
        DocumentReference { sha256: Digest::of(b"part"), size: 4 }
    }

    fn filled() -> Parted<KeyId, usize> {
        let mut map = Parted::default();
        for number in 0..1_000 {
            assert_eq!(map.insert(key(number), number), None);
        }
        map
    }

    #[test]
    fn what_was_put_in_is_found_until_it_is_taken_out() {
        let mut map = filled();
        assert_eq!(map.iter().count(), 1_000);
        assert_eq!(map.parts().map(|(_, part)| part.entries().len()).sum::<usize>(), 1_000);
        for number in 0..1_000 {
            assert_eq!(map.get(&key(number)), Some(&number));
            assert_eq!(map.remove(&key(number)), Some(number));
            assert_eq!(map.remove(&key(number)), None);
            assert_eq!(map.get_mut(&key(number)), None);
        }
        assert_eq!(map, Parted::default());
    }

    #[test]
    fn keys_are_spread_over_all_parts() {
        let map = filled();
        assert!(map.parts().count() > 240);
        assert!(map.parts().all(|(_, part)| part.entries().len() < 16));
        for (number, part) in map.parts() {
            assert!(part.entries().keys().all(|key| key.part() == number));
        }
    }

    #[test]
    fn a_copy_keeps_what_the_original_changes() {
        let mut map = filled();
        let copy = map.clone();
        *map.get_mut(&key(1)).unwrap() = 0;
        map.insert(key(1_000), 1_000);
        map.remove(&key(2));
        assert_eq!(copy, filled());
        assert_ne!(copy, map);
    }

    #[test]
    fn a_part_forgets_its_document_when_it_changes_and_no_other_does() {
        type Change = fn(&mut Parted<KeyId, usize>);
        let changes: [(&str, Change); 5] = [
            ("get_mut", |map| *map.get_mut(&key(7)).unwrap() = 1),
            ("insert", |map| assert_eq!(map.insert(key(7), 1), Some(7))),
            ("or_default", |map| *map.or_default(&key(7)) = 1),
            ("remove", |map| assert_eq!(map.remove(&key(7)), Some(7))),
            ("retain", |map| map.retain(|value| *value == 7, |value| *value != 7)),
        ];
        for (name, change) in changes {
            for is_shared in [false, true] {
                let mut map = filled();
                map.parts().for_each(|(_, part)| part.keep(document()));
                let shared = is_shared.then(|| map.clone());
                change(&mut map);
                for (number, part) in map.parts() {
                    let changed = number == key(7).part();
                    assert_eq!(part.kept().is_none(), changed, "{name}, part {number}");
                }
                let all = |map: Parted<_, _>| map.parts().all(|(_, part)| part.kept().is_some());
                assert!(shared.is_none_or(all), "{name}");
            }
        }
    }

    #[test]
    fn what_changes_nothing_forgets_nothing() {
        let mut map = filled();
        map.parts().for_each(|(_, part)| part.keep(document()));
        assert_eq!(map.get_mut(&key(5_000)), None);
        assert_eq!(map.remove(&key(5_000)), None);
        map.retain(|value| *value > 5_000, |_| false);
        assert!(map.parts().all(|(_, part)| part.kept() == Some(&document())));
        assert_eq!(map, filled());
    }

    #[test]
    fn the_part_of_a_key_is_pinned() {
        let parts = ["", "a", "key-1", "eip155:1:0xab16a96d359ec26a11e2c2b3d8f8b8942d5bfcdb"]
            .map(|text| part_of(&[text]));
        assert_eq!(parts, PINNED);
        assert_ne!(part_of(&["ab", "c"]), part_of(&["a", "bc"]));
    }

    const PINNED: [u8; 4] = [75, 155, 17, 212];
}
