use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use custody_core::amount::Units;
use custody_core::command::{Command, Resolution};
use custody_core::digest::Digest;
use custody_core::document::{
    Conclusion, EventBody, EventDocument, OrderDocument, SignatureSet, Verdict, parse,
};
use custody_core::id::{OrderId, WalletId};
use custody_core::ledger::{Ledger, charges};
use custody_core::replay::{Depth, Replay, Report};
use custody_core::seam::{Position, RecordKey, Store};
use custody_core::time::Timestamp;
use custody_core::window::WindowScope;
use examples_start::house::ETHER;

use super::World;
use super::words::of_event;
use super::work::ETH;

/// What the whole log says, once it has passed every check.
pub(crate) struct Oracle {
    pub(crate) report: Report,
    pub(crate) ledger: Ledger,
}

/// The daily limit of the wallets' rules, in wei.
const LIMIT: u128 = 60 * ETH;

/// How long a reservation counts in the window of a day at least.
const DAY_MS: u64 = 86_400_000;

impl World {
    /// Every durable event.
    pub(crate) async fn events(&self) -> Vec<EventDocument> {
        let raw = self.raw_events().await;
        raw.iter().map(|bytes| EventDocument::read(bytes).unwrap()).collect()
    }

    /// What became of an order: a word for each of its durable events.
    pub(crate) async fn story(&self, order: &OrderId) -> Vec<String> {
        self.events().await.iter().filter_map(|event| of_event(&event.event, order)).collect()
    }

    /// The order that a request of olivia's became, if it became one.
    pub(crate) async fn order_of(&self, request: &str) -> Option<OrderId> {
        let olivia = &self.people.olivia.id;
        self.events().await.into_iter().find_map(|event| match event.event {
            EventBody::OrderSubmitted(submitted)
                if submitted.request.as_str() == request && submitted.requester == *olivia =>
            {
                Some(submitted.order)
            }
            _ => None,
        })
    }

    /// Waits until an order has this many durable events.
    pub(crate) async fn stored(&self, order: &OrderId, events: usize) {
        while self.story(order).await.len() < events {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// What became of a request of olivia's: nothing, or its order's story.
    pub(crate) async fn story_of(&self, request: &str) -> Vec<String> {
        match self.order_of(request).await {
            Some(order) => self.story(&order).await,
            None => Vec::new(),
        }
    }

    /// What the order's wallet counted in the last day when the order was decided, with it.
    pub(crate) async fn spent_at(&self, order: &OrderId) -> Units {
        let events = self.events().await;
        let decided = events.iter().rev().find_map(|event| match &event.event {
            EventBody::OrderDecided(decided) if decided.order == *order => Some(decided),
            _ => None,
        });
        let mut windows = decided.unwrap().windows.iter();
        let of_wallet = windows.find(|used| {
            matches!(used.window.scope, WindowScope::Wallet(_))
                && used.window.asset.as_str() == ETHER
        });
        of_wallet.unwrap().sums.unwrap().h24
    }

    /// Replays the whole log in full and holds it against what the world knows. Every test ends
    /// with it.
    pub(crate) async fn verify(&self) -> Oracle {
        let (events, documents) = (self.raw_events().await, self.documents().await);
        let compiler = Some(Arc::clone(&self.setup.compiler));
        let mut replay = Replay::new(self.id, Depth::Full, compiler, self.setup.decoders.clone());
        for (index, bytes) in events.iter().enumerate() {
            let replayed = replay.event(bytes, &documents);
            assert!(replayed.is_ok(), "event {index} does not replay: {replayed:?}");
        }
        let report = *replay.report();
        let ledger = replay.into_state().unwrap();
        let mut check = Check { documents: &documents, ..Check::new(&documents) };
        for bytes in &events {
            check.event(&EventDocument::read(bytes).unwrap());
        }
        for (order, signatures) in self.released.lock().unwrap().iter() {
            assert!(check.concluded.contains(order), "{order} was released and is not concluded");
            if let Some(set) = check.signed.get(order) {
                assert_eq!(&set.signatures, signatures, "{order} was released with others");
            }
        }
        Oracle { report, ledger }
    }

    async fn raw_events(&self) -> Vec<Vec<u8>> {
        let mut all: Vec<Vec<u8>> = Vec::new();
        loop {
            let from = Position::new(all.len().try_into().unwrap());
            let page = self.store.inner().events(from, 1_000).await.unwrap();
            if page.is_empty() {
                return all;
            }
            all.extend(page.into_iter().map(|event| event.bytes));
        }
    }

    async fn documents(&self) -> BTreeMap<Digest, Vec<u8>> {
        let prefix = RecordKey::parse("document/").unwrap();
        let (mut documents, mut after) = (BTreeMap::new(), None);
        loop {
            let store = self.store.inner();
            let page = store.scan(&prefix, after.as_ref(), 500).await.unwrap();
            let Some(last) = page.last() else { return documents };
            after = Some(last.key.clone());
            documents.extend(page.into_iter().map(|r| (Digest::of(&r.value), r.value)));
        }
    }
}

/// Counts naively what must never happen twice or too much.
struct Check<'a> {
    documents: &'a BTreeMap<Digest, Vec<u8>>,
    orders: BTreeMap<OrderId, (OrderDocument, Option<Command>)>,
    requests: BTreeSet<(String, String)>,
    /// Reservations in ether that were not returned: when and how much, by order.
    reserved: BTreeMap<OrderId, (WalletId, Timestamp, Units)>,
    signed: BTreeMap<OrderId, SignatureSet>,
    concluded: BTreeSet<OrderId>,
    last: Timestamp,
}

impl<'a> Check<'a> {
    fn new(documents: &'a BTreeMap<Digest, Vec<u8>>) -> Self {
        Self {
            documents,
            orders: BTreeMap::new(),
            requests: BTreeSet::new(),
            reserved: BTreeMap::new(),
            signed: BTreeMap::new(),
            concluded: BTreeSet::new(),
            last: Timestamp::from_millis(0),
        }
    }

    fn event(&mut self, event: &EventDocument) {
        assert!(event.at >= self.last, "ledger time went back");
        self.last = event.at;
        match &event.event {
            EventBody::OrderSubmitted(submitted) => {
                let request = (submitted.requester.to_string(), submitted.request.to_string());
                assert!(self.requests.insert(request), "a request became two orders");
                let order: OrderDocument = self.document(&submitted.document.sha256);
                let command = match &order.work {
                    custody_core::document::Work::Command(reference) => {
                        Some(self.document(&reference.sha256))
                    }
                    custody_core::document::Work::Payload(_) => None,
                };
                self.orders.insert(submitted.order.clone(), (order, command));
            }
            EventBody::OrderDecided(decided) if decided.verdict == Verdict::Allowed => {
                self.reserve(&decided.order, event.at);
            }
            EventBody::OrderConcluded(concluded) => {
                self.conclude(&concluded.order, &concluded.outcome);
            }
            _ => {}
        }
    }

    fn document<T: serde::de::DeserializeOwned>(&self, sha256: &Digest) -> T {
        parse(&self.documents[sha256]).unwrap()
    }

    fn reserve(&mut self, id: &OrderId, at: Timestamp) {
        let (order, _) = &self.orders[id];
        let Some(wallet) = order.wallet.clone() else { return };
        let charges = charges(order).unwrap();
        let ether = charges.iter().find(|(key, _)| {
            matches!(key.scope, WindowScope::Wallet(_)) && key.asset.as_str() == ETHER
        });
        let Some((_, units)) = ether else { return };
        let previous = self.reserved.insert(id.clone(), (wallet.clone(), at, *units));
        assert_eq!(previous, None, "{id} was allowed twice");
        let day = Timestamp::from_millis(at.as_millis().saturating_sub(DAY_MS));
        let within =
            self.reserved.values().filter(|(other, since, _)| *other == wallet && *since > day);
        let sum = within.fold(Units::ZERO, |sum, (_, _, units)| sum.checked_add(*units).unwrap());
        assert!(sum <= Units::from(LIMIT), "{sum} wei left {wallet} in a day");
    }

    fn conclude(&mut self, id: &OrderId, outcome: &Conclusion) {
        self.concluded.insert(id.clone());
        match outcome {
            Conclusion::Failed { .. } => drop(self.reserved.remove(id)),
            Conclusion::Signed { signatures } => {
                let set: SignatureSet = self.document(&signatures.sha256);
                let previous = self.signed.insert(id.clone(), set);
                assert_eq!(previous, None, "{id} has two sets of signatures");
            }
            Conclusion::Executed { .. } => {
                if let Some(Command::ResolveOrder { order, resolution }) = &self.orders[id].1 {
                    match resolution {
                        Resolution::Failed { .. } => drop(self.reserved.remove(order)),
                        Resolution::Signed { .. } => {
                            assert!(!self.signed.contains_key(order), "{order} was signed before");
                        }
                    }
                }
            }
            Conclusion::Unknown { .. } => {}
        }
    }
}
