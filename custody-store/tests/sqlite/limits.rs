//! The sizes that a batch may have.

use custody_core::seam::{Batch, ErrorKind, Position, Store};
use pollster::block_on;

use crate::support::{Folder, event, key, record};

const EVENT_MAX: usize = 32 * 1_024 + 64;
const RECORD_MAX: usize = 16 * 1_024 * 1_024 + 64;

#[test]
fn values_on_the_limit_are_kept() {
    let folder = Folder::new();
    let store = folder.open();
    let batch = Batch {
        inserts: vec![record("a", vec![1; RECORD_MAX])],
        puts: vec![record("b", vec![2; RECORD_MAX])],
        events: vec![vec![3; EVENT_MAX]],
    };
    block_on(async {
        store.commit(Position::START, batch).await.unwrap();
        assert_eq!(store.get(&key("a")).await.unwrap().unwrap().value, vec![1; RECORD_MAX]);
        assert_eq!(store.get(&key("b")).await.unwrap().unwrap().value, vec![2; RECORD_MAX]);
        let events = store.events(Position::START, 1).await.unwrap();
        assert_eq!(events[0].bytes, vec![3; EVENT_MAX]);
    });
}

#[test]
fn values_over_the_limit_are_refused_and_nothing_is_written() {
    let small = || record("small", b"s".to_vec());
    let batches = [
        (
            "insert",
            Batch { inserts: vec![small(), record("a", vec![1; RECORD_MAX + 1])], ..event("e") },
        ),
        ("put", Batch { puts: vec![small(), record("a", vec![1; RECORD_MAX + 1])], ..event("e") }),
        (
            "event",
            Batch {
                inserts: vec![small()],
                events: vec![b"e".to_vec(), vec![3; EVENT_MAX + 1]],
                ..Batch::default()
            },
        ),
        ("no event", Batch { inserts: vec![small()], ..Batch::default() }),
    ];
    for (name, batch) in batches {
        let folder = Folder::new();
        let store = folder.open();
        block_on(async {
            let answer = store.commit(Position::START, batch).await;
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Refused, "{name}");
            assert_eq!(store.head().await.unwrap(), Position::START, "{name}");
            assert_eq!(store.get(&key("small")).await.unwrap(), None, "{name}");
            store.commit(Position::START, event("next")).await.unwrap();
        });
    }
}

#[test]
fn a_refusal_names_lengths_and_no_content() {
    let folder = Folder::new();
    let store = folder.open();
    let batch = Batch { events: vec![b"secret".repeat(EVENT_MAX)], ..Batch::default() };
    let error = block_on(store.commit(Position::START, batch)).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "event 0 of the batch has 196992 bytes; 32832 are allowed");
    assert!(!format!("{error:?}").contains("secret"));
}

#[test]
fn empty_values_and_events_are_kept() {
    let folder = Folder::new();
    let store = folder.open();
    let batch = Batch {
        puts: vec![record("empty", Vec::new())],
        events: vec![Vec::new()],
        ..Batch::default()
    };
    block_on(async {
        store.commit(Position::START, batch).await.unwrap();
        assert_eq!(store.get(&key("empty")).await.unwrap().unwrap().value, b"");
        assert_eq!(store.events(Position::START, 1).await.unwrap()[0].bytes, b"");
    });
}

#[test]
fn positions_that_no_store_reaches_are_a_conflict_or_empty() {
    let folder = Folder::new();
    let store = folder.open();
    for far in [Position::new(u64::MAX), Position::new(1 << 63), Position::new((1 << 63) - 1)] {
        block_on(async {
            let answer = store.commit(far, event("far")).await;
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Conflict, "{far}");
            assert_eq!(store.events(far, 10).await.unwrap(), [], "{far}");
        });
    }
}
