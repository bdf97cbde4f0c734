use std::sync::Arc;

use custody_core::seam::{Batch, ErrorKind, Position, Store};

use super::{Reopen, StoreFixture, events, inserts, key, puts, record, value, write};

/// What a commit acknowledged is there after a reopen: records, events and head.
pub async fn a_commit_is_durable_on_return(fixture: StoreFixture) {
    let (store, mut reopen) = reopening(fixture);
    let batch = Batch {
        inserts: vec![record("i", b"inserted")],
        puts: vec![record("p", b"put")],
        events: vec![b"1".to_vec(), b"2".to_vec()],
    };
    write(&*store.0, batch).await;
    let store = store.again(&mut reopen).await;
    assert_eq!(store.0.head().await.unwrap(), Position::new(2));
    assert_eq!(value(&*store.0, "i").await.unwrap(), b"inserted");
    assert_eq!(value(&*store.0, "p").await.unwrap(), b"put");
    let found = store.0.events(Position::START, 10).await.unwrap();
    let found: Vec<&[u8]> = found.iter().map(|event| event.bytes.as_slice()).collect();
    assert_eq!(found, [b"1", b"2"]);
}

/// A reopened store takes the next batch at its head and no other, again and again.
pub async fn a_reopened_store_goes_on_at_its_head(fixture: StoreFixture) {
    let (mut store, mut reopen) = reopening(fixture);
    for round in 0..4_u64 {
        let head = Position::new(round);
        assert_eq!(store.0.head().await.unwrap(), head);
        let late = store.0.commit(head.plus(1), events(&["late"])).await;
        assert_eq!(late.unwrap_err().kind(), ErrorKind::Conflict);
        write(&*store.0, puts(vec![record("round", &round.to_be_bytes())])).await;
        store = store.again(&mut reopen).await;
        assert_eq!(value(&*store.0, "round").await.unwrap(), round.to_be_bytes());
    }
}

/// An inserted key is taken after a reopen too.
pub async fn inserts_are_remembered_across_a_reopen(fixture: StoreFixture) {
    let (store, mut reopen) = reopening(fixture);
    let head = write(&*store.0, inserts(vec![record("one", b"1")])).await;
    let store = store.again(&mut reopen).await;
    let again = store.0.commit(head, inserts(vec![record("one", b"2")])).await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(value(&*store.0, "one").await.unwrap(), b"1");
}

/// A commit whose fsync fails answers `Indeterminate` or `Unavailable`.
pub async fn a_failed_fsync_is_never_called_a_success(mut fixture: StoreFixture) {
    write(&*fixture.store, events(&["before"])).await;
    fail_fsync(&mut fixture);
    let answer = fixture.store.commit(Position::new(1), events(&["lost"])).await;
    let kind = answer.expect_err("a commit whose fsync failed").kind();
    assert!(matches!(kind, ErrorKind::Indeterminate | ErrorKind::Unavailable), "{kind:?}");
}

/// After a failed fsync no call succeeds until the store is reopened: what would be read may not be
/// on the disk.
pub async fn after_a_failed_fsync_every_call_is_refused(mut fixture: StoreFixture) {
    write(&*fixture.store, events(&["before"])).await;
    fail_fsync(&mut fixture);
    assert!(fixture.store.commit(Position::new(1), events(&["lost"])).await.is_err());
    for expected in [Position::new(1), Position::new(2), Position::new(1)] {
        let answer = fixture.store.commit(expected, puts(vec![record("after", b"x")])).await;
        let kind = answer.expect_err("a write after a failed fsync").kind();
        assert_eq!(kind, ErrorKind::Unavailable, "a write after a failed fsync");
    }
    let refused = "a read after a failed fsync";
    let key = key("before");
    let reads = [
        fixture.store.head().await.map(drop),
        fixture.store.get(&key).await.map(drop),
        fixture.store.scan(&key, None, 1).await.map(drop),
        fixture.store.events(Position::START, 1).await.map(drop),
    ];
    for read in reads {
        assert_eq!(read.expect_err(refused).kind(), ErrorKind::Unavailable, "{refused}");
    }
    let (store, mut reopen) = reopening(fixture);
    let store = store.again(&mut reopen).await;
    assert_eq!(value(&*store.0, "after").await, None);
    write(&*store.0, puts(vec![record("after", b"x")])).await;
}

/// After a failed fsync a reopened store holds the whole batch or nothing of it, and writes.
pub async fn after_a_failed_fsync_a_reopened_store_is_whole(mut fixture: StoreFixture) {
    write(&*fixture.store, events(&["before"])).await;
    fail_fsync(&mut fixture);
    let mut batch = events(&["lost", "lost too"]);
    batch.puts.push(record("lost", b"x"));
    assert!(fixture.store.commit(Position::new(1), batch).await.is_err());
    let (store, mut reopen) = reopening(fixture);
    let store = store.again(&mut reopen).await;
    let head = store.0.head().await.unwrap().value();
    let kept = value(&*store.0, "lost").await.is_some();
    assert!(matches!((head, kept), (1, false) | (3, true)), "head {head}, record kept: {kept}");
    assert_eq!(store.0.events(Position::START, 10).await.unwrap().len() as u64, head);
    write(&*store.0, events(&["after"])).await;
}

/// An open store, dropped before it is opened again.
struct Open(Arc<dyn Store>);

impl Open {
    async fn again(self, reopening: &mut Reopening) -> Self {
        drop(self);
        Self((reopening.reopen)().await)
    }
}

struct Reopening {
    reopen: Reopen,
    _guard: Option<super::Guard>,
}

fn reopening(fixture: StoreFixture) -> (Open, Reopening) {
    let reopen = fixture.reopen.expect("the fixture of a durable store offers a reopening");
    (Open(fixture.store), Reopening { reopen, _guard: fixture.guard })
}

fn fail_fsync(fixture: &mut StoreFixture) {
    fixture.fail_fsync.take().expect("the fixture offers a failing fsync")();
}
