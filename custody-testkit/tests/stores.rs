//! The store suites hold for the honest store, and find each lie of the lying one.

use std::sync::Arc;
use std::time::Duration;

use custody_core::seam::{Batch, Clock as _, ErrorKind, Position, Store as _};
use custody_testkit::fault::{Fault, Happened};
use custody_testkit::runtime::{TestClock, TestExecutor};
use custody_testkit::store::{
    DenyingStore, FaultyStore, LyingStore, MemoryStore, SlowStore, StoreCall, StoreLie,
};
use custody_testkit::suite::run_failing;
use custody_testkit::suite::store::{self as checks, StoreFixture};

fn honest(happened: Happened) -> StoreFixture {
    let store = MemoryStore::new();
    let (disk, failing) = (store.clone(), store.clone());
    StoreFixture::new(Arc::new(store))
        .with_reopen(move || {
            let store = disk.reopen();
            Box::pin(async move { Arc::new(store) as Arc<_> })
        })
        .with_failing_fsync(move || failing.fail_next_fsync(happened))
}

mod memory {
    use super::*;

    custody_testkit::store_suite!(honest(Happened::No));
    custody_testkit::durable_store_suite!(honest(Happened::No));
    custody_testkit::fsync_store_suite!(honest(Happened::No));
}

mod memory_that_writes_before_a_failing_fsync {
    use super::*;

    custody_testkit::fsync_store_suite!(honest(Happened::Yes));
}

/// Shows that a check fails on a store with this lie, and says so in these words.
macro_rules! found {
    ($($name:ident: $lie:ident fails $($check:ident with $words:literal)*;)*) => {$(
        #[test]
        fn $name() {
            $(
                let said = run_failing(stringify!($check), async {
                    let store = Arc::new(LyingStore::new(StoreLie::$lie));
                    checks::$check(StoreFixture::new(store)).await;
                });
                assert!(said.contains($words), "{said}");
            )*
        }
    )*};
}

found! {
    a_store_that_takes_empty_batches_is_found: AcceptsEmptyBatch fails
        a_batch_without_events_is_refused with "nothing at all";
    a_store_that_cuts_values_is_found: CutsValues fails
        a_record_is_read_back_verbatim with "the value every-byte changed"
        a_large_batch_is_written_whole with "record.value";
    a_store_that_skips_events_is_found: EventsWithGaps fails
        events_are_numbered_without_gaps with "left: [Event"
        events_page_through_everything_once with "events from 0, at most 2";
    a_store_that_forgets_commits_is_found: ForgetsCommits fails
        a_commit_returns_the_new_head with "left: Position(0)"
        readers_see_whole_batches with "right: Position(80)"
        events_are_returned_verbatim with "the bytes of an event changed";
    a_store_that_ignores_the_position_is_found: IgnoresExpected fails
        a_batch_at_another_position_is_a_conflict with "a commit at 0"
        concurrent_commits_have_one_winner_a_position with "right: Position(1)";
    a_store_that_inserts_over_records_is_found: IgnoresInserts fails
        an_insert_of_an_existing_key_is_a_conflict with "an insert of the inserted key"
        concurrent_inserts_have_one_winner with "writers that inserted the key";
    a_store_that_ignores_limits_is_found: IgnoresLimit fails
        a_scan_returns_at_most_its_limit with "limit 0";
    a_store_that_ignores_prefixes_is_found: IgnoresPrefix fails
        a_scan_returns_its_prefix_only with "prefix a";
    a_store_that_keeps_part_of_a_conflict_is_found: KeepsPartOfConflicts fails
        a_batch_is_all_or_nothing with "a refused batch left new-c"
        a_batch_at_another_position_is_a_conflict with "a refused batch left a record";
    a_store_that_lowers_keys_is_found: LowersKeys fails
        keys_differ_in_case with "left: [108, 111, 119, 101, 114]"
        keys_of_every_length_are_kept with "failed: B";
    a_store_that_reverses_scans_is_found: ReversesScans fails
        a_scan_is_in_byte_order_of_keys with "left: [\"k/~\"";
    a_store_that_scans_from_after_is_found: ScansFromAfter fails
        a_scan_pages_through_everything_once with "\"p/009\", \"p/009\""
        a_scan_starts_after_a_key_that_does_not_exist with "after m/1";
}

#[test]
fn a_commit_that_is_not_durable_is_found() {
    let forgetful = || {
        StoreFixture::new(Arc::new(MemoryStore::new()))
            .with_reopen(|| Box::pin(async { Arc::new(MemoryStore::new()) as Arc<_> }))
    };
    let said = run_failing("a_commit_is_durable_on_return", async {
        checks::a_commit_is_durable_on_return(forgetful()).await;
    });
    assert!(said.contains("left: Position(0)"), "{said}");
    let said = run_failing("inserts_are_remembered_across_a_reopen", async {
        checks::inserts_are_remembered_across_a_reopen(forgetful()).await;
    });
    assert!(said.contains("on a `None` value"), "{said}");
}

#[test]
fn a_store_that_writes_on_after_a_failed_fsync_is_found() {
    let careless = || honest(Happened::No).with_failing_fsync(|| ());
    let said = run_failing("a_failed_fsync_is_never_called_a_success", async {
        checks::a_failed_fsync_is_never_called_a_success(careless()).await;
    });
    assert!(said.contains("a commit whose fsync failed"), "{said}");
    let said = run_failing("after_a_failed_fsync_every_call_is_refused", async {
        checks::after_a_failed_fsync_every_call_is_refused(careless()).await;
    });
    assert!(said.contains("assertion failed: fixture"), "{said}");
}

#[test]
fn a_fixture_without_a_reopening_fails_the_durable_suite() {
    let said = run_failing("a_commit_is_durable_on_return", async {
        let store = StoreFixture::new(Arc::new(MemoryStore::new()));
        checks::a_commit_is_durable_on_return(store).await;
    });
    assert!(said.contains("a_commit_is_durable_on_return"), "{said}");
    assert!(said.contains("offers a reopening"), "{said}");
}

#[test]
#[should_panic(expected = "after the store was closed")]
fn a_write_after_close_is_loud() {
    let store = MemoryStore::new();
    store.close();
    let batch = Batch { events: vec![b"1".to_vec()], ..Batch::default() };
    drop(pollster::block_on(store.commit(Position::START, batch)));
}

#[test]
fn a_faulty_store_fails_as_planned_and_a_snapshot_rolls_it_back() {
    pollster::block_on(async {
        let store = FaultyStore::new(MemoryStore::new());
        let empty = store.inner().snapshot();
        let batch = Batch { events: vec![b"1".to_vec()], ..Batch::default() };
        store.fail(StoreCall::Commit, 0, Fault::fail(ErrorKind::Unavailable));
        store.fail(StoreCall::Commit, 1, Fault::fail_after(ErrorKind::Indeterminate));
        for (kind, events) in [(ErrorKind::Unavailable, 0), (ErrorKind::Indeterminate, 1)] {
            let answer = store.commit(Position::START, batch.clone()).await;
            assert_eq!(answer.unwrap_err().kind(), kind);
            assert_eq!(store.head().await.unwrap(), Position::new(events));
        }
        store.inner().restore(&empty);
        assert_eq!(store.head().await.unwrap(), Position::START);
        assert_eq!(store.plan().count(StoreCall::Commit), 2);
    });
}

#[test]
fn a_denying_store_refuses_every_commit_and_is_read_until_it_is_told_otherwise() {
    pollster::block_on(async {
        let store = DenyingStore::new(MemoryStore::new());
        let batch = Batch { events: vec![b"1".to_vec()], ..Batch::default() };
        let answer = store.commit(Position::START, batch.clone()).await;
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Refused);
        assert_eq!(store.head().await.unwrap(), Position::START);
        assert_eq!(store.inner().snapshot().events().len(), 0);
        store.denial().allow();
        assert_eq!(store.commit(Position::START, batch).await.unwrap(), Position::new(1));
        store.denial().deny_all();
        assert_eq!(store.head().await.unwrap_err().kind(), ErrorKind::Refused);
        assert_eq!(store.denial().denied(), [StoreCall::Commit, StoreCall::Head]);
    });
}

#[test]
fn a_slow_store_takes_its_time() {
    let (clock, delay) = (TestClock::new(), Duration::from_secs(3));
    let executor = TestExecutor::new(clock.clone());
    let store = SlowStore::new(MemoryStore::new(), Arc::new(clock.clone()), delay);
    executor.run(async {
        let batch = Batch { events: vec![b"1".to_vec()], ..Batch::default() };
        store.commit(Position::START, batch).await.unwrap();
        assert_eq!(store.head().await.unwrap(), Position::new(1));
    });
    assert_eq!(clock.monotonic(), delay * 2);
}
