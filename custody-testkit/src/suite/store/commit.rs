use std::sync::Arc;

use custody_core::seam::{Batch, ErrorKind, Position, StoreError};
use futures::future::join_all;

use super::{StoreFixture, events, inserts, puts, record, value, write};

/// A new store holds no event and no record.
pub async fn a_store_that_is_new_is_empty(fixture: StoreFixture) {
    let store = fixture.store;
    assert_eq!(store.head().await.unwrap(), Position::START);
    assert_eq!(store.events(Position::START, 10).await.unwrap(), []);
    assert_eq!(value(&*store, "a").await, None);
}

/// A commit answers with the number of events after it, which is then the head.
pub async fn a_commit_returns_the_new_head(fixture: StoreFixture) {
    let store = fixture.store;
    let first = store.commit(Position::START, events(&["1", "2", "3"])).await.unwrap();
    assert_eq!(first, Position::new(3));
    assert_eq!(store.head().await.unwrap(), Position::new(3));
    let second = store.commit(first, events(&["4"])).await.unwrap();
    assert_eq!(second, Position::new(4));
    assert_eq!(store.head().await.unwrap(), Position::new(4));
}

/// A commit at another position than the head writes nothing.
pub async fn a_batch_at_another_position_is_a_conflict(fixture: StoreFixture) {
    let store = fixture.store;
    let head = write(&*store, events(&["1", "2"])).await;
    for expected in [Position::START, Position::new(1), Position::new(3), Position::new(u64::MAX)] {
        let answer = store.commit(expected, puts(vec![record("late", b"x")])).await;
        assert_kind(answer, ErrorKind::Conflict, &format!("a commit at {expected}"));
    }
    assert_eq!(store.head().await.unwrap(), head);
    assert_eq!(value(&*store, "late").await, None, "a refused batch left a record");
}

/// A batch without events is refused, whatever records it has.
pub async fn a_batch_without_events_is_refused(fixture: StoreFixture) {
    let store = fixture.store;
    let head = write(&*store, events(&["1"])).await;
    let without = |batch: Batch| Batch { events: Vec::new(), ..batch };
    for (case, batch) in [
        ("nothing at all", Batch::default()),
        ("a put", without(puts(vec![record("a", b"x")]))),
        ("an insert", without(inserts(vec![record("a", b"x")]))),
    ] {
        assert_kind(store.commit(head, batch).await, ErrorKind::Refused, case);
    }
    assert_eq!(store.head().await.unwrap(), head);
    assert_eq!(value(&*store, "a").await, None, "a refused batch left a record");
}

/// An insert of an existing key writes nothing, whoever wrote the key.
pub async fn an_insert_of_an_existing_key_is_a_conflict(fixture: StoreFixture) {
    let store = fixture.store;
    write(&*store, inserts(vec![record("inserted", b"1")])).await;
    let head = write(&*store, puts(vec![record("put", b"1")])).await;
    for name in ["inserted", "put"] {
        let answer = store.commit(head, inserts(vec![record(name, b"2")])).await;
        assert_kind(answer, ErrorKind::Conflict, &format!("an insert of the {name} key"));
        assert_eq!(value(&*store, name).await.unwrap(), b"1", "{name}");
    }
    assert_eq!(store.head().await.unwrap(), head);
}

/// A put writes over an inserted and over a put record.
pub async fn a_put_writes_over_a_record(fixture: StoreFixture) {
    let store = fixture.store;
    write(&*store, inserts(vec![record("a", b"1")])).await;
    for bytes in [b"2", b"3"] {
        write(&*store, puts(vec![record("a", bytes)])).await;
        assert_eq!(value(&*store, "a").await.unwrap(), bytes);
    }
}

/// A batch may write a record twice: the last value is kept.
pub async fn of_two_puts_under_one_key_the_last_stays(fixture: StoreFixture) {
    let store = fixture.store;
    let batch = vec![record("twice", b"1"), record("other", b"2"), record("twice", b"3")];
    write(&*store, puts(batch)).await;
    assert_eq!(value(&*store, "twice").await.as_deref(), Some(&b"3"[..]));
    assert_eq!(value(&*store, "other").await.as_deref(), Some(&b"2"[..]));
    write(&*store, events(&["next"])).await;
    assert_eq!(value(&*store, "twice").await.as_deref(), Some(&b"3"[..]));
}

/// One conflicting insert keeps every record and event of its batch out.
pub async fn a_batch_is_all_or_nothing(fixture: StoreFixture) {
    let store = fixture.store;
    let head = write(&*store, inserts(vec![record("taken", b"1")])).await;
    let batch = Batch {
        inserts: vec![record("new-a", b"x"), record("taken", b"x"), record("new-b", b"x")],
        puts: vec![record("new-c", b"x")],
        events: vec![b"1".to_vec(), b"2".to_vec()],
    };
    assert_kind(store.commit(head, batch).await, ErrorKind::Conflict, "one insert exists");
    for name in ["new-a", "new-b", "new-c"] {
        assert_eq!(value(&*store, name).await, None, "a refused batch left {name}");
    }
    assert_eq!(value(&*store, "taken").await.unwrap(), b"1");
    assert_eq!(store.head().await.unwrap(), head);
    assert_eq!(store.events(head, 10).await.unwrap(), []);
}

/// After a conflict and a refusal the store takes the next commit.
pub async fn a_failed_commit_leaves_the_store_usable(fixture: StoreFixture) {
    let store = fixture.store;
    let head = write(&*store, inserts(vec![record("a", b"1")])).await;
    assert!(store.commit(head, inserts(vec![record("a", b"2")])).await.is_err());
    assert!(store.commit(Position::START, events(&["late"])).await.is_err());
    assert!(store.commit(head, Batch::default()).await.is_err());
    assert_eq!(write(&*store, puts(vec![record("a", b"3")])).await, head.plus(1));
    assert_eq!(value(&*store, "a").await.unwrap(), b"3");
}

/// A batch of 1,024 events of 4 KiB, 1,024 inserts and 1,024 puts is one commit.
pub async fn a_large_batch_is_written_whole(fixture: StoreFixture) {
    let store = fixture.store;
    let value_of = |index: usize| vec![index as u8; 4_096];
    let batch = Batch {
        inserts: (0..1_024).map(|n| record(&format!("i/{n:04}"), &value_of(n))).collect(),
        puts: (0..1_024).map(|n| record(&format!("p/{n:04}"), &value_of(n))).collect(),
        events: (0..1_024).map(value_of).collect(),
    };
    let head = store.commit(Position::START, batch).await.unwrap();
    assert_eq!(head, Position::new(1_024));
    for prefix in ["i/", "p/"] {
        let found = store.scan(&super::key(prefix), None, 2_000).await.unwrap();
        assert_eq!(found.len(), 1_024, "records under {prefix}");
        assert!(found.iter().enumerate().all(|(n, record)| record.value == value_of(n)));
    }
    let found = store.events(Position::START, 2_000).await.unwrap();
    assert_eq!(found.len(), 1_024, "events");
    assert!(found.iter().enumerate().all(|(n, event)| event.bytes == value_of(n)));
}

/// Of 16 writers at one position one wins, each time, and nothing of the losers is there.
pub async fn concurrent_commits_have_one_winner_a_position(fixture: StoreFixture) {
    let store = fixture.store;
    for round in 0..8_u64 {
        let head = Position::new(round);
        let tasks = (0..16_u64).map(|writer| {
            let store = Arc::clone(&store);
            let text = format!("{round}/{writer}");
            let mut batch = events(&[&text]);
            batch.puts.push(record(&format!("w/{round}/{writer}"), b"x"));
            tokio::spawn(async move { (text, store.commit(head, batch).await) })
        });
        let answers = join_all(tasks).await.into_iter().map(Result::unwrap);
        let mut winners = Vec::new();
        for (text, answer) in answers {
            match answer {
                Ok(after) => {
                    assert_eq!(after, head.plus(1));
                    winners.push(text);
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "writer {text}"),
            }
        }
        assert_eq!(winners.len(), 1, "winners of position {round}: {winners:?}");
        assert_eq!(store.head().await.unwrap(), head.plus(1));
        let event = store.events(head, 10).await.unwrap();
        assert_eq!(event[0].bytes, winners[0].as_bytes(), "the winner's event is the event");
        let kept = super::scan(&*store, &format!("w/{round}/"), None, 100).await;
        assert_eq!(kept, [format!("w/{}", winners[0])], "only the winner's record is there");
    }
}

/// Of 16 writers that insert one key, each at a head it has just read, one wins.
pub async fn concurrent_inserts_have_one_winner(fixture: StoreFixture) {
    let store = fixture.store;
    let tasks = (0..16_u8).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for _ in 0..64 {
                let head = store.head().await.unwrap();
                let batch = inserts(vec![record("one", &[writer])]);
                match store.commit(head, batch).await {
                    Ok(_) => return Some(writer),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
                }
                if value(&*store, "one").await.is_some() {
                    return None;
                }
            }
            panic!("writer {writer} met 64 conflicts although nobody inserted the key");
        })
    });
    let winners: Vec<u8> = join_all(tasks).await.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(winners.len(), 1, "writers that inserted the key: {winners:?}");
    assert_eq!(value(&*store, "one").await.unwrap(), winners);
}

fn assert_kind(answer: Result<Position, StoreError>, kind: ErrorKind, case: &str) {
    let found = answer.map_err(|error| error.kind());
    assert_eq!(found, Err(kind), "{case}");
}
