//! What is left after a disk failed, held against what the callers heard.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use custody_audit::anchor::DirectoryAnchor;
use custody_audit::note::KeyName;
use custody_chain::EvmDecoder;
use custody_core::custodian::Outcome;
use custody_core::digest::Digest;
use custody_core::document::{EventBody, EventDocument, Verdict};
use custody_core::id::OrderId;
use custody_core::replay::{Depth, Replay, Report};
use custody_core::seam::{HeadAnchor as _, Position, RecordKey, Store as _};

use crate::house::{COMPILER, House};
use crate::life::{Work, summary};
use crate::world::work::{ETH, add_stranger};

/// Opens what is left, goes on with it, and checks everything.
pub(crate) async fn check(root: &Path, work: Work, heard: &[String]) {
    let house = House::open(root, 2, LIMIT).await;
    let house = house.unwrap_or_else(|error| panic!("it does not open again: {error:?}"));
    house.custodian.resume().await.unwrap();
    for line in heard {
        let words: Vec<_> = line.split(' ').collect();
        if let ["heard", _, "released", order, told] = words[..] {
            let order = OrderId::parse(order).unwrap();
            let answer = house.custodian.order(&order).await;
            assert_eq!(summary(&answer), told, "another answer than was told: {answer:?}");
        }
    }
    let after = match work {
        Work::Create => house.govern("after", add_stranger()).await.unwrap(),
        Work::Pay => house.pay("after", ETH / 2).await.unwrap(),
    };
    assert!(matches!(after.outcome, Outcome::Released(_)), "it does not go on: {after:?}");
    house.custodian.close().await.unwrap();

    let report = verify(&house).await;
    assert!(report.events > 0);
    let head = house.store.head().await.unwrap();
    drop(house);
    let origin = KeyName::parse("example-treasury/custody").unwrap();
    let anchor = DirectoryAnchor::open(root.join("elsewhere"), &origin, &[]).unwrap();
    assert_eq!(anchor.load().await.unwrap().unwrap().size, head, "the anchor is behind");
}

/// Replays the whole log, and looks for orders that were left.
async fn verify(house: &House) -> Report {
    house.store.verify().await.unwrap();
    let documents = documents(house).await;
    let compiler = Some(Arc::clone(&COMPILER));
    let decoders: Vec<Arc<dyn custody_core::seam::Decoder>> = vec![Arc::new(EvmDecoder::new())];
    let mut replay = Replay::new(house.custodian.id(), Depth::Full, compiler, decoders);
    let mut reserved = BTreeSet::new();
    let events = house.store.events(Position::START, u16::MAX).await.unwrap();
    assert_eq!(events.len() as u64, house.store.head().await.unwrap().value());
    for event in events {
        let replayed = replay.event(&event.bytes, &documents);
        assert!(replayed.is_ok(), "event {} does not replay: {replayed:?}", event.position);
        match EventDocument::read(&event.bytes).unwrap().event {
            EventBody::OrderDecided(decided) if decided.verdict == Verdict::Allowed => {
                reserved.insert(decided.order);
            }
            EventBody::OrderConcluded(concluded) => drop(reserved.remove(&concluded.order)),
            _ => {}
        }
    }
    assert!(reserved.is_empty(), "orders were left: {reserved:?}");
    *replay.report()
}

async fn documents(house: &House) -> BTreeMap<Digest, Vec<u8>> {
    let prefix = RecordKey::parse("document/").unwrap();
    let found = house.store.scan(&prefix, None, u16::MAX).await.unwrap();
    found.into_iter().map(|record| (Digest::of(&record.value), record.value)).collect()
}

/// Nothing fails any more.
const LIMIT: Duration = Duration::from_secs(10);
