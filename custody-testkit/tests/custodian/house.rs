//! A house whose custodian is made of doubles only and lives in virtual time.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use custody_core::amount::Asset;
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{
    Answer, Custodian, CustodianBuilder, Error, Genesis, OpenError, Outcome, Request,
};
use custody_core::digest::Digest;
use custody_core::document::{Conclusion, EventBody, EventDocument};
use custody_core::id::{BackendId, KeyId, PrincipalId, RequestId, RoleId, TierId, WalletId};
use custody_core::principal::{Statement, Verb};
use custody_core::seam::{
    AuditLog, Clock as _, Decoder, Entropy, Exportability, HeadAnchor, KeyBackend, PolicyCompiler,
    Spawner, Store,
};
use custody_core::time::Timestamp;
use custody_testkit::audit::{MemoryAnchor, MemoryLog};
use custody_testkit::backend::MemoryBackend;
use custody_testkit::decoder::{TestDecoder, TestTransfer};
use custody_testkit::key::TestKey;
use custody_testkit::oracle::{Oracle, Promises};
use custody_testkit::people::People;
use custody_testkit::policy::TestRules;
use custody_testkit::runtime::{TestClock, TestEntropy, TestExecutor};
use custody_testkit::store::{FaultyStore, MemoryStore};

/// What outlives a custodian: its store, log, anchor and keys, all honest.
pub(crate) struct House {
    pub(crate) clock: TestClock,
    pub(crate) store: MemoryStore,
    pub(crate) log: MemoryLog,
    pub(crate) anchor: MemoryAnchor,
    pub(crate) keys: MemoryBackend,
    executor: TestExecutor,
    lives: Cell<u64>,
}

/// What one custodian is made of. A test puts a double in the place of an honest part.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) log: Arc<dyn AuditLog>,
    pub(crate) anchor: Arc<dyn HeadAnchor>,
    pub(crate) backend: Arc<dyn KeyBackend>,
    pub(crate) compiler: Arc<dyn PolicyCompiler>,
    pub(crate) decoder: Arc<dyn Decoder>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) spawner: Arc<dyn Spawner>,
}

impl House {
    pub(crate) fn new() -> Self {
        let (clock, store) = (TestClock::new(), MemoryStore::new());
        let key = TestKey::seeded(Algorithm::Ed25519, 99);
        Self {
            log: MemoryLog::new(Arc::new(store.clone()), vec![key]),
            anchor: MemoryAnchor::new(),
            keys: MemoryBackend::seeded("memory", 7),
            executor: TestExecutor::new(clock.clone()),
            lives: Cell::new(0),
            clock,
            store,
        }
    }

    /// Runs a test while virtual time passes.
    pub(crate) fn run<T>(&self, test: impl Future<Output = T>) -> T {
        self.executor.run(test)
    }

    /// The house after its process has died: nothing that was under way goes on.
    pub(crate) fn crashed(self) -> Self {
        Self { executor: TestExecutor::new(self.clock.clone()), ..self }
    }

    /// Honest parts.
    pub(crate) fn parts(&self) -> Parts {
        self.lives.set(self.lives.get() + 1);
        Parts {
            store: Arc::new(self.store.clone()),
            log: Arc::new(self.log.clone()),
            anchor: Arc::new(self.anchor.clone()),
            backend: Arc::new(self.keys.clone()),
            compiler: Arc::new(TestRules::new()),
            decoder: Arc::new(TestDecoder::new()),
            entropy: Arc::new(TestEntropy::seeded(self.lives.get())),
            spawner: Arc::new(self.executor.clone()),
        }
    }

    /// A store that fails as it is told to, and honest parts over it.
    pub(crate) fn faulty(&self) -> (Arc<FaultyStore<MemoryStore>>, Parts) {
        let store = Arc::new(FaultyStore::new(self.store.clone()));
        let parts = Parts { store: Arc::<FaultyStore<MemoryStore>>::clone(&store), ..self.parts() };
        (store, parts)
    }

    /// The builder of a custodian that is made of `parts`.
    pub(crate) fn builder(&self, parts: Parts) -> CustodianBuilder {
        Custodian::builder()
            .store(parts.store)
            .audit(parts.log)
            .anchor(parts.anchor)
            .backend(parts.backend)
            .policy(parts.compiler)
            .decoder(parts.decoder)
            .entropy(parts.entropy)
            .spawner(parts.spawner)
            .clock(Arc::new(self.clock.clone()))
    }

    /// A new custodian that is made of `parts`.
    pub(crate) async fn create(&self, parts: Parts) -> Result<Custodian, OpenError> {
        self.builder(parts).create(genesis()).await
    }

    /// A new custodian that is made of `parts`, with the wallet `hot` and its active key `hot.0`.
    pub(crate) async fn furnished(&self, parts: Parts) -> Custodian {
        let custodian = self.create(parts).await.unwrap();
        furnish(&custodian).await;
        custodian
    }

    /// The custodian of an honest life that has ended, with `hot.0` and nothing paid.
    pub(crate) async fn closed(&self) -> custody_core::id::CustodianId {
        let custodian = self.furnished(self.parts()).await;
        custodian.close().await.unwrap();
        custodian.id()
    }

    /// How many durable events there are.
    pub(crate) fn events(&self) -> usize {
        self.store.snapshot().events().len()
    }

    /// How many orders are durably signed.
    pub(crate) fn signed(&self) -> usize {
        let snapshot = self.store.snapshot();
        let events = snapshot.events().iter().map(|bytes| EventDocument::read(bytes).unwrap());
        let signed = |event: &EventDocument| match &event.event {
            EventBody::OrderConcluded(concluded) => {
                matches!(concluded.outcome, Conclusion::Signed { .. })
            }
            _ => false,
        };
        events.filter(signed).count()
    }

    /// Lets time pass for everybody.
    pub(crate) async fn pass(&self, time: Duration) {
        self.clock.sleep_until(self.clock.monotonic().saturating_add(time)).await;
    }

    /// The whole log replays: every decision is made again from its facts.
    pub(crate) async fn replays(&self, custodian: &Custodian) {
        let decoders = vec![Arc::new(TestDecoder::new()) as _];
        let rules = Arc::new(TestRules::new());
        let mut oracle = Oracle::new(custodian.id(), rules, decoders, Promises::default());
        oracle.follow(&self.store).await.unwrap();
    }

    /// Nothing was signed and nothing is said to be: no key was used, and no outcome claims it.
    #[track_caller]
    pub(crate) fn assert_unused(&self) {
        assert_eq!((self.keys.sign_calls(), self.signed()), (0, 0));
    }
}

/// A house of ann's, in which everything is allowed.
pub(crate) fn genesis() -> Genesis {
    Genesis {
        policy: TestRules::document(&["treasurer"], "allow"),
        principals: People::new(&[("ann", &["treasurer"])]).principals(),
        assets: vec![Asset::new(TestTransfer::coin(), 2)],
    }
}

/// A house of two treasurers, ann and tom, under these rules.
pub(crate) fn ruled(rules: &str) -> Genesis {
    Genesis {
        policy: TestRules::document(&["treasurer"], rules),
        principals: two().principals(),
        ..genesis()
    }
}

fn two() -> People {
    People::new(&[("ann", &["treasurer"]), ("tom", &["treasurer"])])
}

/// Tom's approval.
pub(crate) async fn approve(custodian: &Custodian, answer: &Answer) -> Result<Answer, Error> {
    let people = two();
    let tom = people.get("tom");
    let statement = Statement {
        verb: Verb::Approve,
        order: answer.order.clone(),
        digest: answer.digest,
        principal: tom.id().clone(),
        credential: tom.credential_id().clone(),
        role: RoleId::parse("treasurer").unwrap(),
        valid_until: Timestamp::from_millis(4_000_000_000_000),
    };
    custodian.approve(tom.say(&custodian.id(), statement)).await
}

pub(crate) fn ann() -> PrincipalId {
    PrincipalId::parse("ann").unwrap()
}

pub(crate) fn hot() -> WalletId {
    WalletId::parse("hot").unwrap()
}

/// The key `hot.` with this number.
pub(crate) fn key(number: u8) -> KeyId {
    KeyId::parse(&format!("hot.{number}")).unwrap()
}

/// Has a command of ann's done.
pub(crate) async fn govern(
    custodian: &Custodian,
    id: &str,
    command: Command,
) -> Result<Answer, Error> {
    let id = RequestId::parse(id).unwrap();
    custodian.submit(Request::command(ann(), id, command)).await
}

/// The command that makes the wallet `hot`, with a seed or without.
pub(crate) fn create_wallet(seed: Option<KeyId>) -> Command {
    Command::CreateWallet {
        wallet: hot(),
        chain: TestTransfer::chain(),
        tier: TierId::parse("hot").unwrap(),
        backend: BackendId::parse("memory").unwrap(),
        seed,
    }
}

/// The command that makes a key of the wallet `hot`.
pub(crate) fn create_key(number: u8) -> Command {
    Command::CreateKey {
        wallet: hot(),
        key: key(number),
        algorithm: Algorithm::Ed25519,
        exportability: Exportability::Never,
        start: KeyStart::Active,
    }
}

/// Makes the wallet `hot` and its active key `hot.0`.
pub(crate) async fn furnish(custodian: &Custodian) {
    for (id, command) in [("wallet", create_wallet(None)), ("key", create_key(0))] {
        assert_eq!(said(&govern(custodian, id, command).await), "released", "{id}");
    }
}

/// A payment of ann's from the wallet `hot`. The id alone makes the nonce.
pub(crate) async fn pay(custodian: &Custodian, id: &str) -> Result<Answer, Error> {
    custodian.submit(payment(id)).await
}

/// A payment that this key of the wallet `hot` signs.
pub(crate) async fn pay_from(
    custodian: &Custodian,
    from: &KeyId,
    id: &str,
) -> Result<Answer, Error> {
    custodian.submit(payment_from(from, id)).await
}

/// The request of [`pay`].
pub(crate) fn payment(id: &str) -> Request {
    payment_from(&key(0), id)
}

pub(crate) fn payment_from(from: &KeyId, id: &str) -> Request {
    let nonce = u64::from_be_bytes(*Digest::of(id.as_bytes()).as_bytes().first_chunk().unwrap());
    let payload = TestTransfer::of(10, "friend", from, nonce).payload();
    Request::payload(ann(), RequestId::parse(id).unwrap(), hot(), payload)
}

/// What a caller heard, in a word or two.
pub(crate) fn said(answer: &Result<Answer, Error>) -> String {
    match answer {
        Ok(answer) => match &answer.outcome {
            Outcome::Denied { rules } => {
                let rules: Vec<_> = rules.iter().map(ToString::to_string).collect();
                format!("denied {}", rules.join(" "))
            }
            Outcome::Failed { reason } => format!("failed {reason:?}"),
            Outcome::Released(_) => "released".to_owned(),
            other => format!("{other:?}"),
        },
        Err(Error::Audit(error)) => format!("log {:?}", error.kind()),
        Err(Error::Store(error)) => format!("store {:?}", error.kind()),
        Err(Error::Unavailable { order }) => match order {
            Some(_) => "unavailable, ask later".to_owned(),
            None => "unavailable".to_owned(),
        },
        Err(other) => other.to_string(),
    }
}

/// Why a custodian did not begin, in a word or two.
#[track_caller]
pub(crate) fn refusal(opened: Result<Custodian, OpenError>) -> String {
    match opened.unwrap_err() {
        OpenError::Anchor(error) => format!("anchor {:?}", error.kind()),
        OpenError::Audit(error) => format!("log {:?}", error.kind()),
        OpenError::Custodian(error) => error.to_string(),
        OpenError::Store(error) => format!("store {:?}", error.kind()),
        other => other.to_string(),
    }
}
