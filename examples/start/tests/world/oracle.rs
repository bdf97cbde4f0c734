use std::sync::Arc;
use std::time::Duration;

use custody_core::amount::Units;
use custody_core::caip::AssetId;
use custody_core::document::{EventBody, EventDocument};
use custody_core::id::OrderId;
use custody_core::ledger::Ledger;
use custody_core::replay::Report;
use custody_core::seam::{Position, Store};
use custody_core::window::WindowScope;
use custody_testkit::oracle::{Oracle, Promises};
use examples_start::house::ETHER;

use super::World;
use super::words::of_event;
use super::work::ETH;

/// What the whole log says, once it has passed every check.
pub(crate) struct Verified {
    pub(crate) report: Report,
    pub(crate) ledger: Ledger,
}

/// The daily limit of the wallets' rules, in wei.
const LIMIT: u128 = 60 * ETH;

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

    /// Holds the whole log and all that was given out against the one oracle. Every test ends
    /// with it.
    pub(crate) async fn verify(&self) -> Verified {
        let compiler = Arc::clone(&self.setup.compiler);
        let decoders = self.setup.decoders.clone();
        let promises = Promises {
            asset: Some(AssetId::parse(ETHER).unwrap()),
            a_day: Some(Units::from(LIMIT)),
            alone: None,
        };
        let mut oracle = Oracle::new(self.id, compiler, decoders, promises);
        let followed = oracle.follow(self.store.inner()).await;
        assert_eq!(followed, Ok(()));
        assert_eq!(oracle.hear(&self.given.lock().unwrap()), Ok(()));
        let report = *oracle.report();
        Verified { report, ledger: oracle.into_ledger().unwrap() }
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
}
