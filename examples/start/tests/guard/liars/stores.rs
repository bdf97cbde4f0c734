use std::sync::Arc;

use custody_chain::EvmDecoder;
use custody_core::caip::ChainId;
use custody_core::custodian::{Custodian, OpenError, Request};
use custody_core::id::{CustodianId, RequestId, WalletId};
use custody_core::replay::{ReplayError, Report};
use custody_core::seam::{AuditLog, Store};
use custody_testkit::audit::MemoryLog;
use custody_testkit::store::{LyingStore, StoreLie};
use examples_start::house::TREASURY;

use super::{furnish, refusal};
use crate::host::{Host, log_key};
use crate::world::words;
use crate::world::work::{ETH, STRANGER, payload};

/// A host over a store that lies; the log sees the same lies.
struct Cheated {
    host: Host,
    store: Arc<dyn Store>,
    log: MemoryLog,
}

impl Cheated {
    fn new(lie: StoreLie) -> Self {
        let store: Arc<dyn Store> = Arc::new(LyingStore::new(lie));
        let log = MemoryLog::new(Arc::clone(&store), vec![log_key(99)]);
        Self { host: Host::new(), store, log }
    }

    async fn create(&self) -> Result<Custodian, OpenError> {
        let builder = self.host.builder().await.store(Arc::clone(&self.store));
        let builder = builder.audit(Arc::new(self.log.clone())).backend(self.host.backend());
        builder.create(self.host.genesis(TREASURY)).await
    }

    /// The custodian once more, over the same store, with a log of its own.
    async fn open(&self, id: CustodianId) -> Result<Custodian, OpenError> {
        let log = MemoryLog::new(Arc::clone(&self.store), vec![log_key(99)]);
        log.restore(self.log.head().await.unwrap());
        let builder = self.host.builder().await.store(Arc::clone(&self.store));
        builder.audit(Arc::new(log)).backend(self.host.backend()).open(id).await
    }

    /// What is heard of a payment that two treasurers approve.
    async fn pay(&self, custodian: &Custodian, id: &str) -> String {
        let answer = self.host.finish(custodian, self.request(id)).await;
        words::of(&answer)
    }

    /// What somebody finds who has honest parts.
    async fn replay(&self, id: CustodianId) -> Result<Report, ReplayError> {
        let compiler = Arc::clone(&self.host.compiler);
        super::replay(self.store.as_ref(), id, compiler, vec![Arc::new(EvmDecoder::new())]).await
    }

    fn request(&self, id: &str) -> Request {
        let nonce = u64::from(id.as_bytes()[0]);
        let (requester, payload) =
            (self.host.people.olivia.id.clone(), payload(ETH / 2, STRANGER, nonce));
        let (id, wallet) = (RequestId::parse(id).unwrap(), WalletId::parse("hot").unwrap());
        Request::payload(requester, id, wallet, payload)
    }

    /// A custodian with a wallet and a key; what it did before that.
    async fn furnished(&self) -> Custodian {
        let custodian = self.create().await.unwrap();
        let heard = furnish(&self.host, &custodian, &mainnet()).await;
        assert_eq!(heard, ["released", "released"]);
        custodian
    }
}

fn mainnet() -> ChainId {
    ChainId::parse("eip155:1").unwrap()
}

/// Lies about what one writer alone, who reads by exact keys and digests, never asks for.
const HARMLESS: [StoreLie; 7] = [
    StoreLie::AcceptsEmptyBatch,
    StoreLie::IgnoresExpected,
    StoreLie::IgnoresLimit,
    StoreLie::IgnoresPrefix,
    StoreLie::KeepsPartOfConflicts,
    StoreLie::ReversesScans,
    StoreLie::ScansFromAfter,
];

#[tokio::test]
async fn a_store_that_forgets_or_cuts_what_it_took_begins_nothing() {
    for (lie, said) in [
        (StoreLie::CutsValues, "the store is refused: the events do not fold"),
        (StoreLie::ForgetsCommits, "the store is refused: the store is empty"),
    ] {
        let cheated = Cheated::new(lie);
        let refused = cheated.create().await.unwrap_err();
        assert_eq!(refusal(&refused), said, "{lie:?}");
        assert_eq!(cheated.host.keys.sign_calls(), 0, "{lie:?}");
    }
}

#[tokio::test]
async fn a_store_that_hides_events_does_nothing_and_releases_nothing() {
    let cheated = Cheated::new(StoreLie::EventsWithGaps);
    let custodian = cheated.create().await.unwrap();
    let heard = furnish(&cheated.host, &custodian, &mainnet()).await;
    assert!(!heard.contains(&"released".to_owned()), "{heard:?}");
    assert_ne!(cheated.pay(&custodian, "paid").await, "released");
    assert_eq!(cheated.host.keys.sign_calls(), 0);
    let opened = cheated.open(custodian.id()).await;
    if let Ok(opened) = &opened {
        let heard = furnish(&cheated.host, opened, &mainnet()).await;
        assert!(!heard.contains(&"released".to_owned()), "{heard:?}");
    }
    assert!(cheated.host.store.snapshot().events().is_empty(), "another store was written to");
}

#[tokio::test]
async fn a_store_that_takes_two_keys_for_one_refuses_the_second_request() {
    let cheated = Cheated::new(StoreLie::LowersKeys);
    let custodian = cheated.furnished().await;
    for (id, heard) in [("Paid", "released"), ("Paid", "released"), ("paid", "reused")] {
        assert_eq!(cheated.pay(&custodian, id).await, heard, "{id}");
    }
    assert_eq!(cheated.host.keys.sign_calls(), 1);
}

#[tokio::test]
async fn lies_about_what_a_custodian_does_not_rely_on_change_nothing() {
    for lie in HARMLESS {
        let cheated = Cheated::new(lie);
        let custodian = cheated.furnished().await;
        for (id, calls) in [("paid", 1), ("paid", 1), ("next", 2), ("paid", 2)] {
            assert_eq!(cheated.pay(&custodian, id).await, "released", "{lie:?}");
            assert_eq!(cheated.host.keys.sign_calls(), calls, "{lie:?}");
        }
        let opened = cheated.open(custodian.id()).await.unwrap();
        for (id, calls) in [("paid", 2), ("next", 2), ("last", 3)] {
            assert_eq!(cheated.pay(&opened, id).await, "released", "{lie:?}, reopened");
            assert_eq!(cheated.host.keys.sign_calls(), calls, "{lie:?}, reopened");
        }
    }
}

/// All of them but the one that lets a second writer in.
#[tokio::test]
async fn of_two_custodians_over_a_lying_store_the_second_writer_releases_nothing() {
    for lie in HARMLESS.into_iter().filter(|lie| *lie != StoreLie::IgnoresExpected) {
        let cheated = Cheated::new(lie);
        let first = cheated.furnished().await;
        let second = cheated.open(first.id()).await.unwrap();
        assert_eq!(cheated.pay(&first, "one").await, "released", "{lie:?}");
        for id in ["two", "one", "three"] {
            let heard = cheated.pay(&second, id).await;
            assert!(heard.starts_with("unavailable"), "{lie:?}, {id}: {heard}");
        }
        assert_eq!(cheated.pay(&first, "four").await, "released", "{lie:?}");
        assert_eq!(cheated.host.keys.sign_calls(), 2, "{lie:?}");
        let third = cheated.open(first.id()).await.unwrap();
        assert_eq!(cheated.pay(&third, "one").await, "released", "{lie:?}");
        assert_eq!(cheated.pay(&third, "two").await, "released", "{lie:?}");
        assert_eq!(cheated.host.keys.sign_calls(), 3, "{lie:?}");
    }
}

/// A store that writes over the record of a request forgets that it was made, and the log shows it.
#[tokio::test]
async fn a_request_that_a_store_forgets_after_a_restart_is_found_twice_in_the_log() {
    let cheated = Cheated::new(StoreLie::IgnoresInserts);
    let custodian = cheated.furnished().await;
    for _ in 0..2 {
        assert_eq!(cheated.pay(&custodian, "paid").await, "released");
        assert_eq!(cheated.host.keys.sign_calls(), 1);
    }
    assert_eq!(cheated.replay(custodian.id()).await.unwrap().released, 1);
    let opened = cheated.open(custodian.id()).await.unwrap();
    assert_eq!(cheated.pay(&opened, "paid").await, "released");
    match cheated.replay(custodian.id()).await {
        Ok(report) => assert_eq!((report.released, cheated.host.keys.sign_calls()), (1, 1)),
        Err(noticed) => assert_eq!(noticed.to_string(), "the request id was used before"),
    }
}

/// The second writer's events land where it does not look: nobody releases anything upon them, and
/// whoever opens the store replays them in full.
#[tokio::test]
async fn over_a_store_that_lets_a_second_writer_in_nobody_releases_anything_more() {
    let cheated = Cheated::new(StoreLie::IgnoresExpected);
    let first = cheated.furnished().await;
    let second = cheated.open(first.id()).await.unwrap();
    assert_eq!(cheated.pay(&first, "one").await, "released");
    for (custodian, id) in [(&second, "two"), (&second, "two"), (&first, "three")] {
        assert_ne!(cheated.pay(custodian, id).await, "released", "{id}");
    }
    assert_eq!(cheated.host.keys.sign_calls(), 1);
    match cheated.open(first.id()).await {
        Ok(opened) => {
            assert_eq!(cheated.pay(&opened, "one").await, "released");
            assert_eq!(cheated.replay(first.id()).await.unwrap().released, 1);
            assert_eq!(cheated.host.keys.sign_calls(), 1);
        }
        Err(refused) => {
            assert!(matches!(refused, OpenError::Corrupt { .. } | OpenError::Audit(_)));
        }
    }
}
