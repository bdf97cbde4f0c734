//! A store that refuses every snapshot: the batch that brings one fails, and everything else goes
//! on; the whole log is folded when the custodian opens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use custody_core::caip::ChainId;
use custody_core::command::{Command, FreezeScope};
use custody_core::custodian::{Config, Custodian, Request};
use custody_core::id::{RequestId, WalletId};
use custody_core::seam::{
    AuditLog, Batch, ErrorKind, Event, Position, Record, RecordKey, Store, StoreError,
};
use custody_testkit::audit::MemoryLog;
use custody_testkit::store::MemoryStore;
use examples_start::house::TREASURY;

use crate::host::{Host, log_key};
use crate::liars::furnish;
use crate::world::words;
use crate::world::work::{ETH, KNOWN, command, payload};

/// Refuses batches with a snapshot in this way.
#[derive(Clone, Debug)]
struct NoSnapshots {
    inner: MemoryStore,
    kind: ErrorKind,
    refused: Arc<AtomicUsize>,
}

#[async_trait]
impl Store for NoSnapshots {
    async fn head(&self) -> Result<Position, StoreError> {
        self.inner.head().await
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.inner.get(key).await
    }

    async fn scan(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
        limit: u16,
    ) -> Result<Vec<Record>, StoreError> {
        self.inner.scan(prefix, after, limit).await
    }

    async fn commit(&self, expected: Position, batch: Batch) -> Result<Position, StoreError> {
        if batch.puts.iter().any(|record| record.key.as_str() == "snapshot") {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError::new(self.kind, "commit"));
        }
        self.inner.commit(expected, batch).await
    }

    async fn events(&self, from: Position, limit: u16) -> Result<Vec<Event>, StoreError> {
        self.inner.events(from, limit).await
    }
}

/// A host over such a store.
struct Small {
    host: Host,
    store: NoSnapshots,
    log: MemoryLog,
}

impl Small {
    fn new(kind: ErrorKind) -> Self {
        let store = NoSnapshots { inner: MemoryStore::new(), kind, refused: Arc::default() };
        let log = MemoryLog::new(Arc::new(store.clone()), vec![log_key(99)]);
        Self { host: Host::new(), store, log }
    }

    async fn builder(&self, log: MemoryLog) -> custody_core::custodian::CustodianBuilder {
        let config = Config { snapshot_interval: 20, ..Config::default() };
        let builder = self.host.builder().await.store(Arc::new(self.store.clone()));
        builder.audit(Arc::new(log)).backend(self.host.backend()).config(config)
    }

    fn payment(&self, number: u64) -> Request {
        let id = RequestId::parse(&format!("pay-{number}")).unwrap();
        let wallet = WalletId::parse("hot").unwrap();
        let requester = self.host.people.olivia.id.clone();
        Request::payload(requester, id, wallet, payload(ETH / 100, KNOWN, number))
    }

    /// What is heard of a request that is made again once if it fails, and whether it was.
    async fn persist(&self, custodian: &Custodian, request: Request) -> (String, bool) {
        let heard = words::of(&self.host.finish(custodian, request.clone()).await);
        if heard == "released" {
            return (heard, false);
        }
        (words::of(&self.host.finish(custodian, request).await), true)
    }
}

#[tokio::test]
async fn a_store_that_refuses_snapshots_takes_everything_else() {
    for kind in [
        ErrorKind::Conflict,
        ErrorKind::Indeterminate,
        ErrorKind::Refused,
        ErrorKind::Unavailable,
        ErrorKind::Unsupported,
    ] {
        let small = Small::new(kind);
        let builder = small.builder(small.log.clone()).await;
        let custodian = builder.create(small.host.genesis(TREASURY)).await.unwrap();
        let mainnet = ChainId::parse("eip155:1").unwrap();
        assert_eq!(furnish(&small.host, &custodian, &mainnet).await, ["released", "released"]);
        let mut failed = 0;
        for number in 0..40 {
            let (heard, again) = small.persist(&custodian, small.payment(number)).await;
            assert_eq!(heard, "released", "{kind:?}: payment {number}");
            failed += usize::from(again);
        }
        let refused = small.store.refused.load(Ordering::SeqCst);
        let events = small.store.head().await.unwrap().value();
        // One is due after twenty events; those of the refused batch are written again.
        let due = usize::try_from(events / 10).unwrap();
        assert!((3..=due).contains(&refused), "{kind:?}: {refused} refused, {events} events");
        // A conflict is judged again at once; the others are told to whoever was in the batch.
        let told = if kind == ErrorKind::Conflict { 0 } else { refused };
        assert!(failed <= told, "{kind:?}: {failed} calls failed, {refused} batches");
        let freeze = Command::Freeze { scope: FreezeScope::House };
        let freeze = command(&small.host.people.theo, "freeze", freeze);
        let (heard, _) = small.persist(&custodian, freeze).await;
        assert_eq!(heard, "released", "{kind:?}");
        let frozen = small.host.finish(&custodian, small.payment(99)).await;
        assert_ne!(words::of(&frozen), "released", "{kind:?}");
        let (id, log) = (custodian.id(), small.log.head().await.unwrap());
        custodian.close().await.unwrap();
        let next = MemoryLog::new(Arc::new(small.store.clone()), vec![log_key(99)]);
        next.restore(log);
        let custodian = small.builder(next).await.open(id).await.unwrap();
        let (heard, _) = small.persist(&custodian, small.payment(3)).await;
        assert_ne!(heard, "released", "{kind:?}: the house is frozen still");
    }
}
