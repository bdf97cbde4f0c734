//! Random batches, against a store that is a map and a list.

use custody_core::seam::{Batch, ErrorKind, Position, Record, Store};
use custody_testkit::store::MemoryStore;
use pollster::block_on;
use proptest::prelude::*;

use crate::support::{Folder, key, record};

#[derive(Clone, Debug)]
enum Step {
    Commit { ahead: i8, batch: Batch },
    Reopen,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn random_batches_leave_what_they_leave_in_memory(steps in arb_steps()) {
        let folder = Folder::new();
        let mut store = folder.open();
        let model = MemoryStore::new();
        for step in steps {
            match step {
                Step::Commit { ahead, batch } => {
                    let expected = ahead_of(block_on(model.head()).unwrap(), ahead);
                    let ours = kind(block_on(store.commit(expected, batch.clone())));
                    prop_assert_eq!(ours, kind(block_on(model.commit(expected, batch))));
                }
                Step::Reopen => {
                    drop(store);
                    store = folder.open();
                }
            }
            same(&store, &model)?;
        }
    }
}

fn same(store: &dyn Store, model: &dyn Store) -> Result<(), TestCaseError> {
    block_on(async {
        prop_assert_eq!(store.head().await.unwrap(), model.head().await.unwrap());
        for (from, limit) in [(0, 100), (1, 3), (4, 1), (7, 0), (50, 9)] {
            let from = Position::new(from);
            let ours = store.events(from, limit).await.unwrap();
            prop_assert_eq!(ours, model.events(from, limit).await.unwrap());
        }
        for (prefix, after, limit) in SCANS {
            let after = after.map(key);
            let ours = store.scan(&key(prefix), after.as_ref(), limit).await.unwrap();
            let theirs = model.scan(&key(prefix), after.as_ref(), limit).await.unwrap();
            prop_assert_eq!(ours, theirs, "{} {:?} {}", prefix, after, limit);
        }
        for name in KEYS {
            let ours = store.get(&key(name)).await.unwrap();
            prop_assert_eq!(ours, model.get(&key(name)).await.unwrap());
        }
        Ok(())
    })
}

fn ahead_of(head: Position, ahead: i8) -> Position {
    Position::new(head.value().saturating_add_signed(i64::from(ahead)))
}

fn kind(answer: Result<Position, custody_core::seam::StoreError>) -> Result<Position, ErrorKind> {
    answer.map_err(|error| error.kind())
}

fn arb_steps() -> impl Strategy<Value = Vec<Step>> {
    let commit = (arb_ahead(), arb_colliding_batch())
        .prop_map(|(ahead, batch)| Step::Commit { ahead, batch });
    proptest::collection::vec(prop_oneof![9 => commit, 1 => Just(Step::Reopen)], 1..20)
}

/// Mostly the head, sometimes beside it.
fn arb_ahead() -> impl Strategy<Value = i8> {
    prop_oneof![8 => Just(0_i8), 1 => -3_i8..=3]
}

/// Malformed ones too: without an event, with one key twice, and often with keys that exist.
fn arb_colliding_batch() -> impl Strategy<Value = Batch> {
    let records = |count| proptest::collection::vec(arb_colliding_record(), 0..count);
    let events = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..4);
    (records(3), records(4), events).prop_map(|(inserts, puts, events)| Batch {
        inserts,
        puts,
        events,
    })
}

/// Under one of few keys, now and then larger than a page.
fn arb_colliding_record() -> impl Strategy<Value = Record> {
    let value = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..100),
        1 => proptest::collection::vec(any::<u8>(), 8_000..20_000),
    ];
    (proptest::sample::select(KEYS), value).prop_map(|(name, value)| record(name, value))
}

const KEYS: &[&str] =
    &["!", "a", "A", "a!", "a/", "a/1", "a/10", "a/2", "a/~", "a/~~", "a0", "aa", "b", "~", "~~"];

const SCANS: [(&str, Option<&str>, u16); 9] = [
    ("a", None, 100),
    ("a/", None, 100),
    ("a/", Some("a/1"), 2),
    ("a/", Some("!"), 100),
    ("a/", Some("b"), 100),
    ("a/~", None, 100),
    ("~", Some("~"), 100),
    ("c", None, 100),
    ("a", None, 0),
];
