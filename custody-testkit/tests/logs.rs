//! The suites of logs and anchors hold for the honest doubles, and find each lie.

use std::sync::Arc;
use std::time::Duration;

use custody_core::crypto::Algorithm;
use custody_core::seam::{AuditLog as _, Clock as _, ErrorKind, HeadAnchor, Position};
use custody_testkit::audit::{
    AnchorCall, AnchorLie, DenyingAnchor, DenyingLog, FailingAnchor, FailingLog, LogCall, LogLie,
    MemoryAnchor, MemoryLog, SlowAnchor, SlowLog,
};
use custody_testkit::fault::Fault;
use custody_testkit::key::TestKey;
use custody_testkit::runtime::{TestClock, TestExecutor};
use custody_testkit::store::MemoryStore;
use custody_testkit::suite::audit::{self as checks, AuditLogFixture};
use custody_testkit::suite::run_failing;

fn key(seed: u64) -> TestKey {
    TestKey::seeded(Algorithm::Ed25519, seed)
}

fn keys() -> Vec<TestKey> {
    vec![key(1), key(2)]
}

fn fixture(lie: Option<LogLie>) -> AuditLogFixture {
    let store = MemoryStore::new();
    let mut log = MemoryLog::new(Arc::new(store.clone()), keys());
    if let Some(lie) = lie {
        log = log.lying(lie);
    }
    let again = log.clone();
    AuditLogFixture::new(store, Arc::new(log), key(2).public_key().clone()).with_reopen(move || {
        let log = again.clone();
        Box::pin(async move { Arc::new(log) as Arc<_> })
    })
}

fn anchor() -> Arc<dyn HeadAnchor> {
    Arc::new(MemoryAnchor::new())
}

mod memory_log {
    custody_testkit::audit_log_suite!(super::fixture(None));
}

mod memory_anchor {
    custody_testkit::head_anchor_suite!(super::anchor());
}

/// Shows that a check fails on a log with this lie, and says so in these words.
macro_rules! found {
    ($($name:ident: $lie:ident fails $($check:ident with $words:literal)*;)*) => {$(
        #[test]
        fn $name() {
            $(
                let said = run_failing(stringify!($check), async {
                    checks::$check(fixture(Some(LogLie::$lie))).await;
                });
                assert!(said.contains($words), "{said}");
            )*
        }
    )*};
}

found! {
    a_log_with_another_root_is_found: AnotherRoot fails
        each_head_is_a_signed_checkpoint with "the root of 1 events"
        every_head_is_consistent_with_all_earlier_ones with "the root of 1 events";
    a_log_with_anothers_receipt_is_found: AnotherReceipt fails
        each_sealed_event_has_a_receipt_that_verifies with "left: (1, ["
        older_receipts_hold_under_later_heads with "left: (1, [";
    a_log_with_another_signer_is_found: AnotherSigner fails
        each_head_is_a_signed_checkpoint with "the key has not signed the note"
        each_sealed_event_has_a_receipt_that_verifies with "the key has not signed the note";
    a_log_that_includes_anything_is_found: IncludesAnything fails
        a_changed_event_is_not_included with "a changed event"
        a_shifted_event_is_not_included with "a shifted event"
        an_event_not_sealed_is_not_included with "an event that is not sealed is included";
    a_log_with_two_heads_of_one_size_is_found: NeverTheSameRoot fails
        there_are_never_two_heads_of_one_size with "the root of "
        sealing_again_changes_nothing with "the root of 7 events";
    a_log_with_receipts_for_unsealed_events_is_found: ReceiptsForUnsealed fails
        an_event_not_sealed_has_no_receipt with "a receipt of an event that is not sealed";
    a_log_that_seals_too_few_is_found: SealsTooFew fails
        sealing_again_changes_nothing with "6 sealed of 7"
        heads_never_shrink with "2 sealed of 3";
    a_log_that_stays_with_its_key_is_found: StaysWithItsKey fails
        a_later_head_is_signed_with_the_rotated_key with "left: PublicKey(";
}

#[test]
fn an_anchor_that_forgets_is_found() {
    let forgets = || Arc::new(MemoryAnchor::new().lying(AnchorLie::ForgetsAdvances));
    let said = run_failing("an_anchor_keeps_the_newest_head", async {
        checks::an_anchor_keeps_the_newest_head(forgets()).await;
    });
    assert!(said.contains("left: None"), "{said}");
}

#[test]
fn an_anchor_that_goes_back_is_found() {
    let goes_back = || Arc::new(MemoryAnchor::new().lying(AnchorLie::GoesBack));
    let said = run_failing("an_anchor_never_goes_back", async {
        checks::an_anchor_never_goes_back(goes_back()).await;
    });
    assert!(said.contains("left: Ok(())"), "{said}");
}

#[test]
fn an_anchor_that_ignores_what_it_replaces_is_found() {
    let ignores = || Arc::new(MemoryAnchor::new().lying(AnchorLie::IgnoresOld));
    let said = run_failing("an_advance_from_another_head_is_a_conflict", async {
        checks::an_advance_from_another_head_is_a_conflict(ignores()).await;
    });
    assert!(said.contains("left: Ok(())"), "{said}");
    let said = run_failing("concurrent_advances_have_one_winner", async {
        checks::concurrent_advances_have_one_winner(ignores()).await;
    });
    assert!(said.contains("left: 16"), "{said}");
}

#[test]
#[should_panic(expected = "after the log was closed")]
fn a_head_after_close_is_loud() {
    let store = MemoryStore::new();
    let log = MemoryLog::new(Arc::new(store), keys());
    log.close();
    drop(pollster::block_on(log.seal(Position::START)));
}

#[test]
#[should_panic(expected = "after the anchor was closed")]
fn an_advance_after_close_is_loud() {
    let anchor = MemoryAnchor::new();
    anchor.close();
    let head = custody_core::seam::Head {
        size: Position::START,
        root: custody_core::digest::Digest::of(b""),
    };
    drop(pollster::block_on(anchor.advance(None, head)));
}

#[test]
fn failing_doubles_fail_as_planned_and_before_or_after_the_inner_call() {
    pollster::block_on(async {
        let log = MemoryLog::new(Arc::new(MemoryStore::new()), keys());
        let failing = FailingLog::new(Arc::new(log.clone()));
        failing.plan().next(LogCall::Seal, Fault::fail(ErrorKind::Unavailable));
        assert!(failing.seal(Position::START).await.is_err());
        assert_eq!(log.seals(), 0);
        failing.plan().next(LogCall::Seal, Fault::fail_after(ErrorKind::Indeterminate));
        assert!(failing.seal(Position::START).await.is_err());
        assert_eq!(log.seals(), 1);

        let anchor = FailingAnchor::new(anchor());
        anchor.plan().always(AnchorCall::Load, Fault::fail(ErrorKind::Unavailable));
        assert!(anchor.load().await.is_err());
        anchor.plan().clear();
        assert_eq!(anchor.load().await.unwrap(), None);
        assert_eq!(anchor.plan().calls(), [AnchorCall::Load; 2]);
    });
}

#[test]
fn denying_doubles_refuse_until_they_are_told_to_allow() {
    pollster::block_on(async {
        let log = MemoryLog::new(Arc::new(MemoryStore::new()), keys());
        let denying = DenyingLog::new(Arc::new(log.clone()));
        let refused = |answer: Option<ErrorKind>| assert_eq!(answer, Some(ErrorKind::Refused));
        refused(denying.seal(Position::START).await.err().map(|error| error.kind()));
        refused(denying.head().await.err().map(|error| error.kind()));
        refused(denying.receipt(Position::START).await.err().map(|error| error.kind()));
        refused(denying.includes(&[]).await.err().map(|error| error.kind()));
        refused(denying.rotate(key(2).public_key()).await.err().map(|error| error.kind()));
        assert_eq!((denying.denial().denied().len(), log.seals()), (5, 0));
        denying.denial().allow();
        assert!(denying.seal(Position::START).await.is_ok());

        let memory = MemoryAnchor::new();
        let denying = DenyingAnchor::new(Arc::new(memory.clone()));
        let head = log.head().await.unwrap().unwrap().head;
        refused(denying.load().await.err().map(|error| error.kind()));
        refused(denying.advance(None, head).await.err().map(|error| error.kind()));
        assert_eq!(memory.load().await.unwrap(), None);
        denying.denial().allow();
        denying.advance(None, head).await.unwrap();
        assert_eq!(denying.load().await.unwrap(), Some(head));
        assert_eq!(denying.denial().denied(), [AnchorCall::Load, AnchorCall::Advance]);
    });
}

#[test]
fn slow_doubles_take_their_time() {
    let (clock, delay) = (TestClock::new(), Duration::from_secs(3));
    let executor = TestExecutor::new(clock.clone());
    let log = MemoryLog::new(Arc::new(MemoryStore::new()), keys());
    let log = SlowLog::new(Arc::new(log), Arc::new(clock.clone()), delay);
    let anchor = SlowAnchor::new(anchor(), Arc::new(clock.clone()), delay);
    executor.run(async {
        let head = log.seal(Position::START).await.unwrap().head;
        anchor.advance(None, head).await.unwrap();
    });
    assert_eq!(clock.monotonic(), delay * 2);
}
