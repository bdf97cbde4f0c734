//! The checks of [`Store`].
//!
//! Three suites: [`store_suite!`](crate::store_suite) for every store,
//! [`durable_store_suite!`](crate::durable_store_suite) for one that can be reopened, and
//! [`fsync_store_suite!`](crate::fsync_store_suite) for one whose fsync a test can make fail.

mod commit;
mod durable;
mod events;
mod records;

use std::fmt;
use std::sync::Arc;

use custody_core::seam::{Batch, Position, Record, RecordKey, Store};
use futures::future::BoxFuture;

use super::Guard;

pub use commit::*;
pub use durable::*;
pub use events::*;
pub use records::*;

/// Makes every check of a store a test of its own.
///
/// `$make` is evaluated for each test, may `.await`, and yields a [`StoreFixture`] over an empty
/// store. Put each use in a module of its own.
#[macro_export]
macro_rules! store_suite {
    ($make:expr) => {
        $crate::store_suite! { @tests $make;
            a_batch_at_another_position_is_a_conflict
            a_batch_is_all_or_nothing
            a_batch_without_events_is_refused
            a_commit_returns_the_new_head
            a_failed_commit_leaves_the_store_usable
            a_large_batch_is_written_whole
            a_put_writes_over_a_record
            a_record_is_read_back_verbatim
            a_scan_is_in_byte_order_of_keys
            a_scan_pages_through_everything_once
            a_scan_returns_at_most_its_limit
            a_scan_returns_its_prefix_only
            a_scan_starts_after_a_key_that_does_not_exist
            a_store_that_is_new_is_empty
            an_absent_record_is_none
            an_insert_of_an_existing_key_is_a_conflict
            concurrent_commits_have_one_winner_a_position
            concurrent_inserts_have_one_winner
            events_are_numbered_without_gaps
            events_are_returned_verbatim
            events_page_through_everything_once
            events_past_the_head_are_none
            keys_differ_in_case
            keys_of_every_length_are_kept
            of_two_puts_under_one_key_the_last_stays
            readers_see_whole_batches
        }
    };
    (@tests $make:expr; $($check:ident)*) => {$(
        #[test]
        fn $check() {
            $crate::suite::run(stringify!($check), async {
                $crate::suite::store::$check($make).await
            });
        }
    )*};
}

/// Makes every check of a durable store a test of its own; the [`StoreFixture`] must offer a
/// reopening.
#[macro_export]
macro_rules! durable_store_suite {
    ($make:expr) => {
        $crate::store_suite! { @tests $make;
            a_commit_is_durable_on_return
            a_reopened_store_goes_on_at_its_head
            inserts_are_remembered_across_a_reopen
        }
    };
}

/// Makes every check of a store whose fsync fails a test of its own; the [`StoreFixture`] must
/// offer a reopening and a failing fsync.
#[macro_export]
macro_rules! fsync_store_suite {
    ($make:expr) => {
        $crate::store_suite! { @tests $make;
            a_failed_fsync_is_never_called_a_success
            after_a_failed_fsync_every_call_is_refused
            after_a_failed_fsync_a_reopened_store_is_whole
        }
    };
}

/// Opens a store again.
pub type Reopen = Box<dyn FnMut() -> BoxFuture<'static, Arc<dyn Store>> + Send>;

/// What the store suites need.
pub struct StoreFixture {
    store: Arc<dyn Store>,
    reopen: Option<Reopen>,
    fail_fsync: Option<Box<dyn FnOnce() + Send>>,
    guard: Option<Guard>,
}

impl StoreFixture {
    /// An empty, open store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, reopen: None, fail_fsync: None, guard: None }
    }

    /// How to open the same store again. The suite drops the open one before.
    #[must_use]
    pub fn with_reopen(
        mut self,
        reopen: impl FnMut() -> BoxFuture<'static, Arc<dyn Store>> + Send + 'static,
    ) -> Self {
        self.reopen = Some(Box::new(reopen));
        self
    }

    /// Makes the fsync of the next commit of the open store fail.
    #[must_use]
    pub fn with_failing_fsync(mut self, fail: impl FnOnce() + Send + 'static) -> Self {
        self.fail_fsync = Some(Box::new(fail));
        self
    }

    /// Keeps something alive as long as the fixture.
    #[must_use]
    pub fn with_guard(mut self, guard: impl std::any::Any + Send) -> Self {
        self.guard = Some(Box::new(guard));
        self
    }
}

impl fmt::Debug for StoreFixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreFixture").field("store", &self.store).finish_non_exhaustive()
    }
}

fn key(text: &str) -> RecordKey {
    RecordKey::parse(text).unwrap()
}

fn record(name: &str, value: &[u8]) -> Record {
    Record { key: key(name), value: value.to_vec() }
}

/// A batch of one event and these puts.
fn puts(records: Vec<Record>) -> Batch {
    Batch { inserts: Vec::new(), puts: records, events: vec![b"{\"v\":1}".to_vec()] }
}

/// A batch of one event and these inserts.
fn inserts(records: Vec<Record>) -> Batch {
    Batch { inserts: records, puts: Vec::new(), events: vec![b"{\"v\":1}".to_vec()] }
}

/// A batch of events alone.
fn events(events: &[&str]) -> Batch {
    let events = events.iter().map(|event| event.as_bytes().to_vec()).collect();
    Batch { inserts: Vec::new(), puts: Vec::new(), events }
}

/// Commits at the store's head.
async fn write(store: &dyn Store, batch: Batch) -> Position {
    let head = store.head().await.expect("the head is readable");
    let expected = head.plus(batch.events.len() as u64);
    let after = store.commit(head, batch).await.expect("a commit at the head succeeds");
    assert_eq!(after, expected, "a commit returns the number of events after it");
    after
}

async fn value(store: &dyn Store, name: &str) -> Option<Vec<u8>> {
    let found = store.get(&key(name)).await.expect("a record is readable")?;
    assert_eq!(found.key, key(name), "a record is returned under the key that was asked for");
    Some(found.value)
}

async fn scan(store: &dyn Store, prefix: &str, after: Option<&str>, limit: u16) -> Vec<String> {
    let after = after.map(key);
    let found = store.scan(&key(prefix), after.as_ref(), limit).await.expect("a scan succeeds");
    found.iter().map(|record| record.key.to_string()).collect()
}
