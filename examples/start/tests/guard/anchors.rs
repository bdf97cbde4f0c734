//! Store and log rolled back together: only what is kept elsewhere notices.

use std::sync::Arc;
use std::time::Duration;

use custody_core::command::{Command, FreezeScope};
use custody_core::custodian::{Custodian, CustodianBuilder, Error, OpenError};
use custody_core::digest::Digest;
use custody_core::id::CustodianId;
use custody_core::seam::{ErrorKind, Head, HeadAnchor, Store};
use custody_testkit::audit::{AnchorCall, FailingAnchor, MemoryAnchor, MemoryLog};
use custody_testkit::fault::Fault;
use examples_start::house::TREASURY;

use crate::assert_released;
use crate::host::{Host, log_key};
use crate::world::work::command;

/// A host whose log forgets its head with the process, as one that was rolled back does.
async fn builder(host: &Host, anchor: &Arc<MemoryAnchor>) -> CustodianBuilder {
    with_anchor(host, Arc::<MemoryAnchor>::clone(anchor)).await
}

async fn with_anchor(host: &Host, anchor: Arc<dyn HeadAnchor>) -> CustodianBuilder {
    let keys = host.backend();
    let log = MemoryLog::new(Arc::new(host.store.clone()), vec![log_key(99)]);
    host.builder().await.audit(Arc::new(log)).anchor(anchor).backend(keys)
}

/// A custodian that did two commands, closed; what its store held after the first; its anchor.
async fn closed() -> (Host, Arc<MemoryAnchor>, custody_testkit::store::StoreSnapshot, CustodianId) {
    let (host, anchor) = (Host::new(), Arc::new(MemoryAnchor::new()));
    let genesis = host.genesis(TREASURY);
    let custodian = builder(&host, &anchor).await.create(genesis).await.unwrap();
    let confirm = |id| host.govern(&custodian, id, Command::ConfirmClock {});
    assert_released(&confirm("first").await.unwrap());
    let older = host.store.snapshot();
    assert_released(&confirm("second").await.unwrap());
    let id = custodian.id();
    custodian.close().await.unwrap();
    (host, anchor, older, id)
}

async fn open(
    host: &Host,
    anchor: &Arc<MemoryAnchor>,
    id: CustodianId,
) -> Result<Custodian, OpenError> {
    builder(host, anchor).await.open(id).await
}

#[tokio::test]
async fn a_rollback_of_store_and_log_together_is_noticed_by_the_anchor() {
    let (host, anchor, older, id) = closed().await;
    let newer = host.store.snapshot();
    host.store.restore(&older);
    let refused = open(&host, &anchor, id).await;
    assert!(matches!(refused, Err(OpenError::RolledBack { .. })), "{refused:?}");
    host.store.restore(&newer);
    drop(open(&host, &anchor, id).await.unwrap());
}

#[tokio::test]
async fn another_history_of_the_same_length_is_noticed_by_the_anchor() {
    let (host, anchor, _, id) = closed().await;
    let head = anchor.load().await.unwrap().unwrap();
    anchor.set(Some(Head { root: Digest::of(b"another root"), ..head }));
    let refused = open(&host, &anchor, id).await;
    assert!(matches!(refused, Err(OpenError::Corrupt { .. })), "{refused:?}");
}

#[tokio::test]
async fn the_store_of_another_custodian_is_refused() {
    let (host, anchor, _, _) = closed().await;
    let other = CustodianId::new(Digest::of(b"another custodian"));
    let refused = open(&host, &anchor, other).await;
    assert!(matches!(refused, Err(OpenError::Corrupt { .. })), "{refused:?}");
    let empty = Host::new();
    let refused = open(&empty, &Arc::new(MemoryAnchor::new()), other).await;
    assert!(matches!(refused, Err(OpenError::Corrupt { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_store_that_is_not_empty_gets_no_second_beginning() {
    let (host, anchor, _, _) = closed().await;
    let before = host.store.snapshot();
    let refused = builder(&host, &anchor).await.create(host.genesis(TREASURY)).await;
    assert!(matches!(refused, Err(OpenError::Corrupt { .. })), "{refused:?}");
    assert_eq!(host.store.snapshot(), before);
}

/// A custodian over an anchor that fails as planned, at work.
async fn at_work() -> (Host, Arc<MemoryAnchor>, Arc<FailingAnchor>, Custodian) {
    let (host, kept) = (Host::new(), Arc::new(MemoryAnchor::new()));
    let anchor = Arc::new(FailingAnchor::new(Arc::<MemoryAnchor>::clone(&kept) as _));
    let builder = with_anchor(&host, Arc::<FailingAnchor>::clone(&anchor)).await;
    let custodian = builder.create(host.genesis(TREASURY)).await.unwrap();
    (host, kept, anchor, custodian)
}

#[tokio::test]
async fn an_advance_that_reported_an_error_is_looked_up_or_done_again() {
    for fault in [
        Fault::fail_after(ErrorKind::Indeterminate),
        Fault::fail_after(ErrorKind::Unavailable),
        Fault::fail(ErrorKind::Indeterminate),
        Fault::fail(ErrorKind::Unavailable),
    ] {
        let (host, kept, anchor, custodian) = at_work().await;
        anchor.plan().next(AnchorCall::Advance, fault.clone());
        let first = host.govern(&custodian, "first", Command::ConfirmClock {}).await;
        assert_released(&first.unwrap());
        assert_released(
            &host.govern(&custodian, "second", Command::ConfirmClock {}).await.unwrap(),
        );
        assert_eq!(anchor.plan().count(AnchorCall::Load), 2, "{fault:?}");
        let size = kept.load().await.unwrap().unwrap().size;
        assert_eq!(size, host.store.head().await.unwrap(), "{fault:?}");
        custodian.close().await.unwrap();
    }
}

#[tokio::test]
async fn while_the_anchor_cannot_be_moved_nothing_is_answered_as_done() {
    let (host, kept, anchor, custodian) = at_work().await;
    anchor.plan().always(AnchorCall::Advance, Fault::fail_after(ErrorKind::Unavailable));
    anchor.plan().always(AnchorCall::Load, Fault::fail(ErrorKind::Unavailable));
    let request = || command(&host.people.olivia, "first", Command::ConfirmClock {});
    let refused = custodian.submit(request()).await;
    assert!(matches!(refused, Err(Error::Unavailable { order: Some(_) })), "{refused:?}");
    anchor.plan().clear();
    host.clock.advance(Duration::from_secs(1));
    assert_released(&host.finish(&custodian, request()).await.unwrap());
    let size = kept.load().await.unwrap().unwrap().size;
    assert_eq!(size, host.store.head().await.unwrap());
}

#[tokio::test]
async fn what_is_under_a_head_that_is_not_anchored_is_not_told() {
    let (host, _, anchor, custodian) = at_work().await;
    anchor.plan().always(AnchorCall::Advance, Fault::fail(ErrorKind::Unavailable));
    let scope = FreezeScope::House;
    let freeze = || command(&host.people.theo, "freeze", Command::Freeze { scope: scope.clone() });
    let refused = custodian.submit(freeze()).await;
    let Err(Error::Unavailable { order: Some(id) }) = &refused else { panic!("{refused:?}") };
    let asked = custodian.order(id).await;
    assert!(matches!(asked, Err(Error::Unavailable { .. })), "{asked:?}");
    anchor.plan().clear();
    host.clock.advance(Duration::from_secs(1));
    assert_released(&custodian.submit(freeze()).await.unwrap());
    assert_released(&custodian.order(id).await.unwrap());
}

#[tokio::test]
async fn an_anchor_that_somebody_else_moved_stops_the_custodian() {
    let (host, kept, _, custodian) = at_work().await;
    let head = kept.load().await.unwrap().unwrap();
    kept.set(Some(Head { root: Digest::of(b"another root"), ..head }));
    for id in ["first", "second"] {
        let request = command(&host.people.olivia, id, Command::ConfirmClock {});
        let refused = custodian.submit(request).await;
        assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    }
}
