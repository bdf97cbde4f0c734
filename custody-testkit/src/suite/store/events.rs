use std::sync::Arc;

use custody_core::seam::{Event, Position, Store};

use super::{StoreFixture, events, puts, record, write};

/// Events come back as they were written.
pub async fn events_are_returned_verbatim(fixture: StoreFixture) {
    let store = fixture.store;
    let every_byte: Vec<u8> = (0..=255).collect();
    let written = vec![b"{\"v\":1}".to_vec(), every_byte.clone(), every_byte.repeat(128)];
    let mut batch = events(&[]);
    batch.events.clone_from(&written);
    write(&*store, batch).await;
    let found = store.events(Position::START, 10).await.unwrap();
    let found: Vec<Vec<u8>> = found.into_iter().map(|event| event.bytes).collect();
    assert!(found == written, "the bytes of an event changed");
}

/// Events carry their positions 0, 1, 2 … in the order of their batches.
pub async fn events_are_numbered_without_gaps(fixture: StoreFixture) {
    let store = fixture.store;
    let expected = fill(&*store).await;
    assert_eq!(store.events(Position::START, u16::MAX).await.unwrap(), expected);
}

/// Pages from every position and of every length are the same events.
pub async fn events_page_through_everything_once(fixture: StoreFixture) {
    let store = fixture.store;
    let all = fill(&*store).await;
    for from in 0..all.len() {
        for limit in [0, 1, 2, 5, 100] {
            let end = (from + limit).min(all.len());
            let page = store.events(Position::new(from as u64), limit as u16).await.unwrap();
            assert_eq!(page, all[from..end], "events from {from}, at most {limit}");
        }
    }
}

/// There are no events at and past the head.
pub async fn events_past_the_head_are_none(fixture: StoreFixture) {
    let store = fixture.store;
    let head = write(&*store, events(&["1", "2"])).await;
    for from in [head, head.plus(1), head.plus(1_000), Position::new(u64::MAX)] {
        assert_eq!(store.events(from, 10).await.unwrap(), [], "events from {from}");
    }
}

/// Whoever sees an event of a batch sees its records, and all its events.
pub async fn readers_see_whole_batches(fixture: StoreFixture) {
    let store = fixture.store;
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for batch in 0..40_u64 {
                let mut both = events(&["1", "2"]);
                both.puts = puts(vec![record("count", &batch.to_be_bytes())]).puts;
                write(&*store, both).await;
            }
        })
    };
    loop {
        let done = writer.is_finished();
        let head = store.head().await.unwrap().value();
        assert_eq!(head % 2, 0, "half a batch is visible at {head}");
        if head > 0 {
            let count = super::value(&*store, "count").await.expect("the batch's record");
            let count = u64::from_be_bytes(count.try_into().unwrap());
            assert!((count + 1) * 2 >= head, "at head {head} the record is of batch {count}");
        }
        if done {
            break;
        }
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    assert_eq!(store.head().await.unwrap(), Position::new(80));
}

/// Writes 13 events in batches of different lengths.
async fn fill(store: &dyn Store) -> Vec<Event> {
    let mut all = Vec::new();
    for length in [1, 3, 2, 7] {
        let first = all.len();
        let texts: Vec<String> = (first..first + length).map(|n| format!("event {n}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        write(store, events(&texts)).await;
        all.extend(texts.iter().enumerate().map(|(n, text)| Event {
            position: Position::new((first + n) as u64),
            bytes: text.as_bytes().to_vec(),
        }));
    }
    all
}
