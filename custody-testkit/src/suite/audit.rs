//! The checks of [`AuditLog`] and [`HeadAnchor`](custody_core::seam::HeadAnchor).

mod anchor;
mod heads;
mod included;
mod receipts;
mod rotation;

use std::fmt;
use std::sync::Arc;

use custody_core::crypto::PublicKey;
use custody_core::seam::{AuditLog, Batch, Checkpoint, Event, Position, Store as _};
use futures::future::BoxFuture;

use super::Guard;
use crate::audit::{check_note, root};
use crate::store::MemoryStore;

pub use anchor::*;
pub use heads::*;
pub use included::*;
pub use receipts::*;
pub use rotation::*;

/// Makes every check of a log a test of its own.
///
/// `$make` is evaluated for each test, may `.await`, and yields an [`AuditLogFixture`] over an
/// empty store. Put each use in a module of its own.
#[macro_export]
macro_rules! audit_log_suite {
    ($make:expr) => {
        $crate::audit_log_suite! { @tests $make;
            a_changed_event_is_not_included
            a_head_is_the_same_after_a_reopen
            a_key_the_log_was_not_given_is_not_rotated_to
            a_later_head_is_signed_with_the_rotated_key
            a_log_that_is_new_has_no_head
            a_receipt_of_a_tampered_event_is_never_given
            a_shifted_event_is_not_included
            an_event_not_sealed_has_no_receipt
            an_event_not_sealed_is_not_included
            each_head_is_a_signed_checkpoint
            each_sealed_event_has_a_receipt_that_verifies
            events_that_do_not_exist_are_not_sealed
            every_head_is_consistent_with_all_earlier_ones
            heads_never_shrink
            older_receipts_hold_under_later_heads
            sealed_events_are_included
            sealing_again_changes_nothing
            the_log_knows_the_keys_it_was_given
            there_are_never_two_heads_of_one_size
        }
    };
    (@tests $make:expr; $($check:ident)*) => {$(
        #[test]
        fn $check() {
            $crate::suite::run(stringify!($check), async {
                $crate::suite::audit::$check($make).await
            });
        }
    )*};
}

/// Makes every check of a head anchor a test of its own.
///
/// `$make` is evaluated for each test, may `.await`, and yields an empty `Arc<dyn HeadAnchor>`.
/// Put each use in a module of its own.
#[macro_export]
macro_rules! head_anchor_suite {
    ($make:expr) => {
        $crate::audit_log_suite! { @tests $make;
            an_advance_from_another_head_is_a_conflict
            an_anchor_that_is_new_is_empty
            an_anchor_keeps_the_newest_head
            an_anchor_never_goes_back
            concurrent_advances_have_one_winner
        }
    };
}

/// What the log suite needs: an empty store, and a log over its events.
pub struct AuditLogFixture {
    store: MemoryStore,
    log: Arc<dyn AuditLog>,
    next_key: PublicKey,
    reopen: Option<Reopen>,
    guard: Option<Guard>,
}

type Reopen = Box<dyn FnMut() -> BoxFuture<'static, Arc<dyn AuditLog>> + Send>;

impl AuditLogFixture {
    /// An empty store, a log over it, and the key to which the log can be rotated.
    #[must_use]
    pub fn new(store: MemoryStore, log: Arc<dyn AuditLog>, next_key: PublicKey) -> Self {
        Self { store, log, next_key, reopen: None, guard: None }
    }

    /// How to open the same log again, as after a restart. Without it the suite uses the one that
    /// is open.
    #[must_use]
    pub fn with_reopen(
        mut self,
        reopen: impl FnMut() -> BoxFuture<'static, Arc<dyn AuditLog>> + Send + 'static,
    ) -> Self {
        self.reopen = Some(Box::new(reopen));
        self
    }

    /// Keeps something alive as long as the fixture.
    #[must_use]
    pub fn with_guard(mut self, guard: impl std::any::Any + Send) -> Self {
        self.guard = Some(Box::new(guard));
        self
    }

    /// Commits `count` events; returns how many there are then.
    async fn add(&self, count: u64) -> Position {
        let head = self.store.head().await.unwrap();
        let event = |index: u64| format!("{{\"v\":1,\"event\":{index}}}").into_bytes();
        let events = (head.value()..head.value() + count).map(event).collect();
        self.store.commit(head, Batch { events, ..Batch::default() }).await.unwrap()
    }

    /// Seals, and checks the head that comes back against the committed events.
    async fn seal(&self, through: Position) -> Checkpoint {
        let checkpoint = self.log.seal(through).await.expect("committed events are sealed");
        assert!(checkpoint.head.size >= through, "{} sealed of {through}", checkpoint.head.size);
        self.assert_true(&checkpoint);
        checkpoint
    }

    /// The head's root is that of the events.
    fn assert_true(&self, checkpoint: &Checkpoint) {
        let events = self.store.snapshot().events().to_vec();
        let size = checkpoint.head.size.value() as usize;
        assert!(size <= events.len(), "a head over {size} of {} events", events.len());
        assert_eq!(checkpoint.head.root, root(&events[..size]), "the root of {size} events");
    }

    fn assert_signed(checkpoint: &Checkpoint, key: &PublicKey) {
        let head = check_note(&checkpoint.note, key).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(head, checkpoint.head, "the note is of another head");
    }

    async fn events(&self) -> Vec<Event> {
        self.store.events(Position::START, u16::MAX).await.unwrap()
    }
}

impl fmt::Debug for AuditLogFixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLogFixture").field("log", &self.log).finish_non_exhaustive()
    }
}
