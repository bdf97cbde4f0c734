//! What a sealed store finds in the store below it: what was sealed there, or an error.

use std::sync::Arc;

use custody_core::seam::{Batch, Position, Record, RecordKey, Store as _};
use custody_store::SealedStore;
use custody_testkit::backend::MemoryKeyEncryption;
use custody_testkit::runtime::TestEntropy;
use custody_testkit::store::MemoryStore;
use pollster::block_on;

use crate::Seed;
use crate::input::{Input, cut, flip, patched};

const PARTS: [&str; 6] =
    ["record", "changed record", "event", "changed event", "data key", "changed data key"];

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let mut input = Input::new(bytes);
    let part = *input.pick(&PARTS);
    let below = below();
    let is_changed = part.starts_with("changed");
    let found = |honest: Vec<u8>| match is_changed {
        true => patched(&honest, input.rest()),
        false => input.rest().to_vec(),
    };
    let taken = if part.ends_with("data key") {
        let honest = raw(&below, DATA_KEY);
        let bytes = found(honest.clone());
        below.replace_record(&key(DATA_KEY), bytes.clone());
        data_key(&below, bytes == honest)
    } else if part.ends_with("event") {
        let honest = block_on(below.events(Position::START, 1)).unwrap().remove(0).bytes;
        let bytes = found(honest.clone());
        below.replace_event(Position::START, bytes.clone());
        event(&below, bytes == honest)
    } else {
        let honest = raw(&below, "one");
        let bytes = found(honest.clone());
        below.replace_record(&key("one"), bytes.clone());
        record(&below, bytes == honest)
    };
    taken.then_some(part)
}

fn record(below: &MemoryStore, is_honest: bool) -> bool {
    let store = open(below).unwrap();
    let found = block_on(store.get(&key("one")));
    assert_eq!(found.is_ok(), is_honest, "a forged record is read");
    let scanned = block_on(store.scan(&key("o"), None, 9));
    assert_eq!(scanned.is_ok(), is_honest);
    assert_eq!(block_on(store.get(&key("two"))).unwrap().unwrap().value, b"other value");
    if let Ok(found) = found {
        assert_eq!(found.unwrap().value, b"first value");
    }
    is_honest
}

fn event(below: &MemoryStore, is_honest: bool) -> bool {
    let store = open(below).unwrap();
    let found = block_on(store.events(Position::START, 1));
    assert_eq!(found.is_ok(), is_honest, "a forged event is read");
    let second = block_on(store.events(Position::new(1), 1)).unwrap();
    assert_eq!(second[0].bytes, b"event two");
    if let Ok(found) = found {
        assert_eq!(found[0].bytes, b"event one");
    }
    is_honest
}

fn data_key(below: &MemoryStore, is_honest: bool) -> bool {
    let opened = open(below);
    assert_eq!(opened.is_some(), is_honest, "a forged data key is taken");
    let Some(store) = opened else { return false };
    assert_eq!(block_on(store.get(&key("one"))).unwrap().unwrap().value, b"first value");
    true
}

fn open(below: &MemoryStore) -> Option<SealedStore> {
    let (kek, entropy) = (MemoryKeyEncryption::seeded(1), TestEntropy::seeded(2));
    let below = Arc::new(below.clone());
    block_on(SealedStore::open(below, Arc::new(kek), Arc::new(entropy))).ok()
}

/// A store with two sealed records, two sealed events and their data key; always the same bytes.
fn below() -> MemoryStore {
    let below = MemoryStore::new();
    let store = open(&below).unwrap();
    for (number, (name, value)) in
        [("one", "first value"), ("two", "other value")].iter().enumerate()
    {
        let batch = Batch {
            puts: vec![Record { key: key(name), value: value.as_bytes().to_vec() }],
            events: vec![format!("event {name}").into_bytes()],
            ..Batch::default()
        };
        block_on(store.commit(Position::new(number as u64), batch)).unwrap();
    }
    below
}

fn raw(below: &MemoryStore, name: &str) -> Vec<u8> {
    block_on(below.get(&key(name))).unwrap().unwrap().value
}

fn key(name: &str) -> RecordKey {
    RecordKey::parse(name).unwrap()
}

const DATA_KEY: &str = "sealing/0000000000";

pub(crate) fn seeds() -> Vec<Seed> {
    let below = below();
    let (one, two, data_key) = (raw(&below, "one"), raw(&below, "two"), raw(&below, DATA_KEY));
    let events = block_on(below.events(Position::START, 2)).unwrap();
    let mut seeds = Vec::new();
    let mut add = |name: &str, part: u8, bytes: &[u8]| {
        seeds.push((name.to_owned(), [&[part], bytes].concat()));
    };
    add("record", 0, &one);
    add("record-of-another-key", 0, &two);
    add("record-in-clear", 0, b"first value");
    add("record-empty", 0, b"");
    add("event", 2, &events[0].bytes);
    add("event-of-another-place", 2, &events[1].bytes);
    add("data-key", 4, &data_key);
    add("data-key-empty", 4, b"");
    for (part, name) in [(1, "record"), (3, "event"), (5, "data-key")] {
        add(&format!("{name}-same"), part, &[]);
        add(&format!("{name}-cut"), part, &cut(20));
        for at in [0, 3, 4, 5, 12, 20, 30, 60, 90] {
            add(&format!("{name}-flipped-{at}"), part, &flip(at, 1));
        }
    }
    seeds
}
