//! A house that holds ceremonies: a desk and a journal in memory, and a set that was made before.
//! Opens secrets, of tests only.

use std::sync::{Arc, LazyLock, Mutex};

use async_trait::async_trait;
use custody_core::custodian::CommandHandler;
use custody_core::digest::Digest;
use custody_core::document::V1;
use custody_core::id::{CustodianId, OrderId, OrganisationId, PrincipalId};
use custody_core::seam::{BackendError, ErrorKind};
use custody_core::secret::Secret;
use custody_recovery::ceremony::{
    Begun, Ceremonies, CeremonyRecord, Confirmations, Journal, Purpose, ShareDesk, SharePlace,
    Split,
};
use custody_recovery::slip39::Share;
use custody_recovery::{Distribution, Group, Holder, SetId, SharePosition, SiteId};
use custody_testkit::runtime::TestEntropy;
use pollster::block_on;

/// The handlers of ceremonies, and where their shares go.
pub(super) struct House {
    desk: Arc<Desk>,
    handlers: Vec<Arc<dyn CommandHandler>>,
}

/// A set that was made, and the words of its shares.
pub(super) struct Made {
    pub(super) record: CeremonyRecord,
    pub(super) words: Vec<Vec<u8>>,
    answer: Vec<u8>,
}

impl House {
    /// In which nothing was done yet, or one set was made, of which enough shares were brought.
    pub(super) fn new(made: Option<&Made>) -> Self {
        let brought = made.map(|made| made.words[..2].to_vec()).unwrap_or_default();
        let desk = Arc::new(Desk { brought, handed: Mutex::default() });
        let journal = Arc::new(Notes(made.map(|made| (made.record.set, made.answer.clone()))));
        let entropy = Arc::new(TestEntropy::seeded(if made.is_some() { 8 } else { 7 }));
        let handlers = Ceremonies::new(Arc::<Desk>::clone(&desk), journal, entropy).handlers();
        Self { desk, handlers: handlers.unwrap() }
    }

    pub(super) fn accepts(&self, name: &str, document: &[u8]) -> bool {
        self.handler(name).accepts(document)
    }

    /// What is answered to the order.
    pub(super) fn run(&self, name: &str, document: &[u8]) -> Result<Vec<u8>, ErrorKind> {
        let answer = block_on(self.handler(name).run(&custodian(), &order(), document));
        answer.map_err(|error| error.kind())
    }

    /// The shares that were handed out, in their order.
    pub(super) fn handed(&self) -> Vec<(SharePosition, Share)> {
        let handed = self.desk.handed.lock().unwrap();
        handed.iter().map(|(position, words)| (*position, share_of(words))).collect()
    }

    fn handler(&self, name: &str) -> &dyn CommandHandler {
        let found = self.handlers.iter().find(|handler| handler.name().as_str() == name);
        found.unwrap().as_ref()
    }
}

/// A desk that keeps what it hands out.
#[derive(Debug)]
struct Desk {
    brought: Vec<Vec<u8>>,
    handed: Mutex<Vec<(SharePosition, Vec<u8>)>>,
}

#[async_trait]
impl ShareDesk for Desk {
    fn reaches(&self, holder: &Holder) -> bool {
        holder.principal.as_str() != NOBODY
    }

    async fn hand_out(&self, place: SharePlace<'_>, share: Share) -> Result<(), BackendError> {
        let words = share.to_words().expose().to_vec();
        self.handed.lock().unwrap().push((place.share, words));
        Ok(())
    }

    async fn collect(
        &self,
        _: &CustodianId,
        _: &SetId,
        _: &Purpose,
    ) -> Result<Vec<Share>, BackendError> {
        Ok(self.brought.iter().map(|words| share_of(words)).collect())
    }
}

/// A journal in which no set was begun, and one may be done.
#[derive(Debug)]
struct Notes(Option<(SetId, Vec<u8>)>);

#[async_trait]
impl Journal for Notes {
    async fn begin(&self, _: &SetId) -> Result<Begun, BackendError> {
        Ok(Begun::First)
    }

    async fn finish(&self, _: &SetId, _: &[u8]) -> Result<(), BackendError> {
        Ok(())
    }

    async fn record(&self, set: &SetId) -> Result<Option<Vec<u8>>, BackendError> {
        let known = self.0.as_ref().filter(|(known, _)| known == set);
        Ok(known.map(|(_, record)| record.clone()))
    }
}

/// Two of three; always the same.
pub(super) static MADE: LazyLock<Made> = LazyLock::new(|| {
    let house = House::new(None);
    let confirmations = Confirmations::AtLeast(2);
    let split = Split { v: V1, distribution: distribution("cyd"), confirmations };
    let answer = house.run(Split::NAME, &serde_json::to_vec(&split).unwrap()).unwrap();
    let handed = house.desk.handed.lock().unwrap();
    let words = handed.iter().map(|(_, words)| words.clone()).collect();
    Made { record: CeremonyRecord::read(&answer).unwrap(), words, answer }
});

pub(super) fn custodian() -> CustodianId {
    CustodianId::new(Digest::of(b"custodian"))
}

pub(super) fn order() -> OrderId {
    OrderId::parse("order-1").unwrap()
}

/// Two of ann, bob and a third.
pub(super) fn distribution(third: &str) -> Distribution {
    let holders = vec![
        holder("ann", "acme", "oslo"),
        holder("bob", "bank", "rome"),
        holder(third, "law", "bern"),
    ];
    Distribution::new(1, vec![Group { threshold: 2, holders }]).unwrap()
}

fn holder(name: &str, organisation: &str, site: &str) -> Holder {
    Holder {
        principal: PrincipalId::parse(name).unwrap(),
        organisation: OrganisationId::parse(organisation).unwrap(),
        site: SiteId::parse(site).unwrap(),
        recipient: None,
    }
}

pub(super) fn share_of(words: &[u8]) -> Share {
    Share::parse(&Secret::new(words.to_vec())).unwrap()
}

/// Whom no share reaches.
pub(super) const NOBODY: &str = "nobody";
