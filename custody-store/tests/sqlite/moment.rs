use custody_core::seam::{Batch, ErrorKind, Position, Record, RecordKey, Store};
use custody_store::SqliteStore;
use pollster::block_on;

fn record(key: &str, value: &[u8]) -> Record {
    Record { key: RecordKey::parse(key).unwrap(), value: value.to_vec() }
}

/// Commits one event, and writes `value` under one key that stays and one of its own.
fn commit(store: &SqliteStore, at: u64, value: &[u8]) {
    let puts = vec![record("kept", value), record(&format!("own/{at:04}"), value)];
    let batch = Batch { puts, events: vec![value.to_vec()], ..Batch::default() };
    let head = block_on(store.commit(Position::new(at), batch)).unwrap();
    assert_eq!(head, Position::new(at + 1));
}

#[test]
fn a_moment_stays_what_it_was_while_commits_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("custody.db")).unwrap();
    commit(&store, 0, b"first");
    let moment = block_on(store.moment()).unwrap();
    for at in 1..500 {
        commit(&store, at, b"later");
    }
    let (kept, own) = (RecordKey::parse("kept").unwrap(), RecordKey::parse("own/").unwrap());
    assert_eq!(block_on(moment.head()).unwrap(), Position::new(1));
    assert_eq!(block_on(moment.get(&kept)).unwrap().unwrap().value, b"first");
    assert_eq!(block_on(moment.scan(&own, None, 1_000)).unwrap(), [record("own/0000", b"first")]);
    let events = block_on(moment.events(Position::START, 1_000)).unwrap();
    assert_eq!(events.iter().map(|event| &event.bytes[..]).collect::<Vec<_>>(), [b"first"]);
    let now = block_on(store.moment()).unwrap();
    assert_eq!(block_on(now.head()).unwrap(), Position::new(500));
    assert_eq!(block_on(now.get(&kept)).unwrap().unwrap().value, b"later");
}

#[test]
fn a_moment_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("custody.db")).unwrap();
    commit(&store, 0, b"first");
    let moment = block_on(store.moment()).unwrap();
    let batch = Batch { events: vec![b"second".to_vec()], ..Batch::default() };
    let refused = block_on(moment.commit(Position::new(1), batch)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused);
    assert_eq!(block_on(store.head()).unwrap(), Position::new(1));
}

#[test]
fn a_closed_store_has_no_moment() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("custody.db")).unwrap();
    store.close();
    assert_eq!(block_on(store.moment()).unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn what_a_moment_held_back_is_there_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("custody.db");
    let store = SqliteStore::open(&path).unwrap();
    commit(&store, 0, b"first");
    let moment = block_on(store.moment()).unwrap();
    for at in 1..50 {
        commit(&store, at, b"later");
    }
    drop(moment);
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(block_on(store.head()).unwrap(), Position::new(50));
    block_on(store.verify()).unwrap();
}
