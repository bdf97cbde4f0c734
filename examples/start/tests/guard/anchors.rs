//! Store and log rolled back together: only what is kept elsewhere notices.

use std::sync::Arc;

use custody_core::command::Command;
use custody_core::custodian::{Custodian, CustodianBuilder, OpenError};
use custody_core::digest::Digest;
use custody_core::id::CustodianId;
use custody_core::seam::{Head, HeadAnchor};
use custody_testkit::audit::{MemoryAnchor, MemoryLog};
use examples_start::house::TREASURY;

use crate::assert_released;
use crate::host::{Host, log_key};

/// A host whose log forgets its head with the process, as one that was rolled back does.
async fn builder(host: &Host, anchor: &Arc<MemoryAnchor>) -> CustodianBuilder {
    let keys = host.backend();
    let log = MemoryLog::new(Arc::new(host.store.clone()), vec![log_key(99)]);
    let anchor: Arc<dyn HeadAnchor> = Arc::<MemoryAnchor>::clone(anchor);
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
