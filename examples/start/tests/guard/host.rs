//! A custodian put together piece by piece, for what a world keeps to itself: logs with several
//! signers, handlers of extension commands, an anchor, backends that change.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use custody_audit::TileLog;
use custody_audit::note::KeyName;
use custody_audit::storage::{MemoryTiles, TileStorage};
use custody_chain::EvmDecoder;
use custody_core::amount::Asset;
use custody_core::caip::AssetId;
use custody_core::command::Command;
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::custodian::{
    Answer, Custodian, CustodianBuilder, Error, Genesis, Outcome, Request,
};
use custody_core::principal::Verb;
use custody_core::seam::{
    AuditLog, BackendError, Clock, ErrorKind, KeyBackend, PolicyCompiler, Signer, Store,
};
use custody_policy::CedarCompiler;
use custody_testkit::backend::MemoryBackend;
use custody_testkit::key::TestKey;
use custody_testkit::runtime::{TestClock, TestEntropy};
use custody_testkit::store::MemoryStore;
use examples_start::house::{self, ETHER};

use crate::world::people::{People, Person};
use crate::world::tasks::Tasks;
use crate::world::traces;
use crate::world::work::command;

/// What a host has before it has a custodian.
pub(crate) struct Host {
    pub(crate) store: MemoryStore,
    pub(crate) clock: TestClock,
    pub(crate) keys: Arc<MemoryBackend>,
    pub(crate) people: People,
    pub(crate) compiler: Arc<dyn PolicyCompiler>,
    pub(crate) tiles: Arc<dyn TileStorage>,
    lives: Cell<u64>,
}

impl Host {
    pub(crate) fn new() -> Self {
        traces::install();
        Self {
            store: MemoryStore::new(),
            clock: TestClock::new(),
            keys: Arc::new(MemoryBackend::seeded("software", 7)),
            people: People::new(),
            compiler: Arc::new(CedarCompiler::new().unwrap()),
            tiles: Arc::new(MemoryTiles::default()),
            lives: Cell::new(100),
        }
    }

    /// Everything but a backend. The log can sign with the keys 99 and 98.
    pub(crate) async fn builder(&self) -> CustodianBuilder {
        self.lives.set(self.lives.get() + 1);
        Custodian::builder()
            .store(Arc::new(self.store.clone()))
            .audit(self.log().await)
            .clock(Arc::new(self.clock.clone()))
            .entropy(Arc::new(TestEntropy::seeded(self.lives.get())))
            .spawner(Arc::new(Tasks::new()))
            .policy(Arc::clone(&self.compiler))
            .decoder(Arc::new(EvmDecoder::new()))
    }

    /// The host's keys.
    pub(crate) fn backend(&self) -> Arc<dyn KeyBackend> {
        Arc::<MemoryBackend>::clone(&self.keys)
    }

    pub(crate) async fn log(&self) -> Arc<dyn AuditLog> {
        let origin = KeyName::parse("example-treasury/custody").unwrap();
        let store: Arc<dyn Store> = Arc::new(self.store.clone());
        let signer = |seed| Arc::new(LogKey(log_key(seed))) as Arc<dyn Signer>;
        let signers = vec![signer(99), signer(98)];
        Arc::new(TileLog::open(origin, store, Arc::clone(&self.tiles), signers).await.unwrap())
    }

    pub(crate) fn genesis(&self, rules: &str) -> Genesis {
        let mut policy = house::policy().unwrap();
        rules.clone_into(&mut policy.rules);
        Genesis {
            policy,
            principals: self.people.all().map(Person::enrolment).to_vec(),
            assets: vec![Asset::new(AssetId::parse(ETHER).unwrap(), 18)],
        }
    }

    /// A custodian under the rules of the examples, with the host's keys.
    pub(crate) async fn create(&self) -> Custodian {
        let genesis = self.genesis(house::TREASURY);
        self.builder().await.backend(self.backend()).create(genesis).await.unwrap()
    }

    /// Has `request` done with the approvals of two treasurers.
    pub(crate) async fn finish(
        &self,
        custodian: &Custodian,
        request: Request,
    ) -> Result<Answer, Error> {
        let mut answer = custodian.submit(request).await?;
        for person in [&self.people.theo, &self.people.tara] {
            if matches!(answer.outcome, Outcome::Pending { .. }) {
                answer = self.approve(custodian, person, &answer).await?;
            }
        }
        Ok(answer)
    }

    /// `person` approves the order of `answer`, for an hour from now.
    pub(crate) async fn approve(
        &self,
        custodian: &Custodian,
        person: &Person,
        answer: &Answer,
    ) -> Result<Answer, Error> {
        let until = self.clock.now().after(Duration::from_secs(3_600));
        let statement = person.statement(Verb::Approve, answer, until);
        Box::pin(custodian.approve(person.sign(&custodian.id(), statement))).await
    }

    /// Has a command of olivia's done.
    pub(crate) async fn govern(
        &self,
        custodian: &Custodian,
        id: &str,
        work: Command,
    ) -> Result<Answer, Error> {
        self.finish(custodian, command(&self.people.olivia, id, work)).await
    }
}

/// A key that the log can sign with.
pub(crate) fn log_key(seed: u64) -> TestKey {
    TestKey::seeded(Algorithm::Ed25519, seed)
}

/// Signs log heads.
#[derive(Debug)]
struct LogKey(TestKey);

#[async_trait]
impl Signer for LogKey {
    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        self.0.sign(input).map_err(|_| BackendError::new(ErrorKind::Unsupported, "sign"))
    }
}
