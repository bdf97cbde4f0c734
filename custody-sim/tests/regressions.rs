//! What the simulator has found in the custodian, each told on its own.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use custody_core::amount::Asset;
use custody_core::command::{Command, KeyStart, Resolution};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Answer, Custodian, Error, Genesis, Outcome, Request};
use custody_core::digest::Digest;
use custody_core::document::Hold;
use custody_core::id::{BackendId, BookId, KeyId, RequestId, RoleId, TierId, WalletId};
use custody_core::principal::{Statement, Verb};
use custody_core::seam::{
    Batch, Clock as _, ErrorKind, Event, Exportability, Position, Record, RecordKey, Store,
    StoreError,
};
use custody_testkit::audit::{AnchorCall, FailingAnchor, MemoryAnchor, MemoryLog};
use custody_testkit::backend::{BackendCall, FailingBackend, MemoryBackend};
use custody_testkit::decoder::{TestDecoder, TestTransfer};
use custody_testkit::fault::{Fault, Gate};
use custody_testkit::key::TestKey;
use custody_testkit::oracle::{Given, Oracle, Promises};
use custody_testkit::people::People;
use custody_testkit::policy::TestRules;
use custody_testkit::runtime::{TestClock, TestEntropy, TestExecutor};
use custody_testkit::store::{FaultyStore, MemoryStore, StoreCall};

/// A custodian made of doubles, with the wallet `hot` and its key `hot.0`.
struct House {
    clock: TestClock,
    executor: TestExecutor,
    store: Arc<FaultyStore<MemoryStore>>,
    anchor: Arc<FailingAnchor>,
    backend: Arc<FailingBackend>,
    people: People,
    custodian: Custodian,
    /// Whether the next document that is read makes the store panic.
    panics: Arc<AtomicBool>,
}

/// A store that panics when it is told to.
#[derive(Debug)]
struct PanickingStore {
    inner: Arc<dyn Store>,
    panics: Arc<AtomicBool>,
}

#[async_trait]
impl Store for PanickingStore {
    async fn head(&self) -> Result<Position, StoreError> {
        self.inner.head().await
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        let is_document = key.as_str().starts_with("document/");
        assert!(!(is_document && self.panics.swap(false, Ordering::SeqCst)), "as it was told to");
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
        self.inner.commit(expected, batch).await
    }

    async fn events(&self, from: Position, limit: u16) -> Result<Vec<Event>, StoreError> {
        self.inner.events(from, limit).await
    }
}

impl House {
    fn new(rules: &str) -> Self {
        let (clock, memory) = (TestClock::new(), MemoryStore::new());
        let executor = TestExecutor::new(clock.clone());
        let store = Arc::new(FaultyStore::new(memory.clone()));
        let panics = Arc::new(AtomicBool::new(false));
        let anchor = Arc::new(FailingAnchor::new(Arc::new(MemoryAnchor::new())));
        let backend = Arc::new(FailingBackend::new(Arc::new(MemoryBackend::seeded("memory", 7))));
        let key = TestKey::seeded(Algorithm::Ed25519, 99);
        let people = People::new(&[("ann", &["operator"]), ("bob", &["operator"])]);
        let builder = Custodian::builder()
            .store(Arc::new(PanickingStore {
                inner: Arc::<FaultyStore<MemoryStore>>::clone(&store),
                panics: Arc::clone(&panics),
            }))
            .audit(Arc::new(MemoryLog::new(Arc::new(memory), vec![key])))
            .anchor(Arc::<FailingAnchor>::clone(&anchor))
            .backend(Arc::<FailingBackend>::clone(&backend))
            .policy(Arc::new(TestRules::new()))
            .decoder(Arc::new(TestDecoder::new()))
            .entropy(Arc::new(TestEntropy::seeded(1)))
            .spawner(Arc::new(executor.clone()))
            .clock(Arc::new(clock.clone()));
        let genesis = Genesis {
            policy: TestRules::document(&["operator"], rules),
            principals: people.principals(),
            assets: vec![Asset::new(TestTransfer::coin(), 2)],
        };
        let custodian = executor.run(builder.create(genesis)).unwrap();
        let house = Self { clock, executor, store, anchor, backend, people, custodian, panics };
        for (id, command) in [("wallet", create_wallet()), ("key", create_key())] {
            let answer = house.executor.run(house.govern(id, command)).unwrap();
            assert!(matches!(answer.outcome, Outcome::Released(_)), "{id}: {answer:?}");
        }
        house
    }

    async fn govern(&self, id: &str, command: Command) -> Result<Answer, Error> {
        let ann = self.people.get("ann").id().clone();
        self.custodian.submit(Request::command(ann, RequestId::parse(id).unwrap(), command)).await
    }

    /// A payment of bob's.
    fn payment(&self, id: &str) -> Request {
        let payload = TestTransfer::of(10, "friend", &key(), 1).payload();
        let bob = self.people.get("bob").id().clone();
        Request::payload(bob, RequestId::parse(id).unwrap(), wallet(), payload)
    }

    /// Everything durable passes the oracle, and so does what callers were given.
    #[track_caller]
    fn assert_holds<'a>(&self, answers: impl IntoIterator<Item = &'a Answer>) {
        let rules = Arc::new(TestRules::new());
        let decoders = vec![Arc::new(TestDecoder::new()) as _];
        let mut oracle = Oracle::new(self.custodian.id(), rules, decoders, Promises::default());
        assert_eq!(self.executor.run(oracle.follow(self.store.inner())), Ok(()));
        let given: Vec<_> = answers.into_iter().map(Given::answer).collect();
        assert!(!given.is_empty(), "nobody was given anything");
        assert_eq!(oracle.hear(&given), Ok(()));
    }
}

#[test]
fn a_signed_request_of_somebody_who_is_removed_meanwhile_is_refused_and_the_log_replays() {
    let house = House::new("allow");
    let (gate, custodian) = (Gate::new(), house.custodian.clone());
    house.store.plan().next(StoreCall::Commit, Fault::Hold(gate.clone()));
    let mut signed = house.payment("signed");
    let digest = {
        use custody_core::document::{Stored, SubmissionDocument, V1};
        let custody_core::custodian::RequestedWork::Payload { payload, .. } = &signed.work else {
            panic!("a payment is a payload");
        };
        let document = SubmissionDocument {
            v: V1,
            requester: signed.requester.clone(),
            request: signed.id.clone(),
            wallet: Some(wallet()),
            key: None,
            format: payload.format.clone(),
            sha256: Digest::of(&payload.bytes),
            expires: None,
        };
        *Stored::write(document).unwrap().digest()
    };
    signed.signature = Some(house.people.get("bob").submit(&custodian.id(), &digest));
    let opens = async {
        gate.reached_by(1).await;
        // Both calls come while the first commit is under way.
        house
            .clock
            .sleep_until(house.clock.monotonic().saturating_add(Duration::from_secs(1)))
            .await;
        gate.open();
    };
    let removal = Command::RemovePrincipal { principal: house.people.get("bob").id().clone() };
    let calls = async {
        gate.reached_by(1).await;
        futures::join!(house.govern("remove", removal), custodian.submit(signed))
    };
    let first = house.govern("first", add_address());
    let (first, (removed, answer), ()) =
        house.executor.run(async { futures::join!(first, calls, opens) });
    let (first, removed) = (first.unwrap(), removed.unwrap());
    assert!(matches!(first.outcome, Outcome::Released(_)));
    assert!(matches!(removed.outcome, Outcome::Released(_)));
    assert!(matches!(answer, Err(Error::Request { .. })), "{answer:?}");
    house.assert_holds([&first, &removed]);
}

#[test]
fn two_resolutions_of_one_order_at_once_leave_a_log_that_replays() {
    let house = House::new("allow");
    house.backend.plan().next(BackendCall::Sign, Fault::fail(ErrorKind::Indeterminate));
    let lost = house.executor.run(house.custodian.submit(house.payment("lost"))).unwrap();
    assert!(matches!(lost.outcome, Outcome::Unknown { .. }), "{lost:?}");
    let resolve = || Command::ResolveOrder {
        order: lost.order.clone(),
        resolution: Resolution::Failed { reason: "the backend has no trace of it".to_owned() },
    };
    let gate = Gate::new();
    house.store.plan().next(StoreCall::Commit, Fault::Hold(gate.clone()));
    let calls = async {
        gate.reached_by(1).await;
        futures::join!(house.govern("one", resolve()), house.govern("two", resolve()))
    };
    let opens = async {
        gate.reached_by(1).await;
        house
            .clock
            .sleep_until(house.clock.monotonic().saturating_add(Duration::from_secs(1)))
            .await;
        gate.open();
    };
    let first = house.govern("first", add_address());
    let (first, (one, two), ()) = house.executor.run(async { futures::join!(first, calls, opens) });
    let (first, one) = (first.unwrap(), one.unwrap());
    assert!(matches!(first.outcome, Outcome::Released(_)));
    assert!(matches!(one.outcome, Outcome::Released(_)));
    assert!(!matches!(two, Ok(Answer { outcome: Outcome::Released(_), .. })), "{two:?}");
    house.assert_holds([&lost, &first, &one].into_iter().chain(&two));
}

#[test]
fn what_ended_is_not_told_before_its_head_is_anchored() {
    let house = House::new("allow");
    let fault = Fault::fail(ErrorKind::Unavailable);
    house.anchor.plan().always(AnchorCall::Advance, fault);
    let answer = house.executor.run(house.govern("book", add_address()));
    let Err(Error::Unavailable { order: Some(order) }) = answer else {
        unreachable_answer(&answer);
        return;
    };
    let asked = house.executor.run(house.custodian.order(&order));
    assert!(matches!(&asked, Err(Error::Unavailable { order: Some(_) })), "{asked:?}");
    let again = house.executor.run(house.govern("book", add_address()));
    assert!(matches!(&again, Err(Error::Unavailable { order: Some(_) })), "{again:?}");
    house.anchor.plan().clear();
    let later = house.clock.monotonic().saturating_add(Duration::from_secs(1));
    house.executor.run(house.clock.sleep_until(later));
    let answer = house.executor.run(house.custodian.order(&order)).unwrap();
    assert!(matches!(answer.outcome, Outcome::Released(_)), "{answer:?}");
    house.assert_holds([&answer]);
}

#[test]
fn an_order_that_cannot_be_denied_now_is_named() {
    let house = House::new("allow create_wallet\nallow create_key\nallow update_policy");
    let made = house.store.plan().count(StoreCall::Commit);
    house.store.fail(StoreCall::Commit, made + 1, Fault::fail(ErrorKind::Unavailable));
    let answer = house.executor.run(house.custodian.submit(house.payment("hopeless")));
    assert!(matches!(&answer, Err(Error::Unavailable { order: Some(_) })), "{answer:?}");
    let answer = house.executor.run(house.custodian.submit(house.payment("hopeless"))).unwrap();
    assert!(matches!(answer.outcome, Outcome::Denied { .. }), "{answer:?}");
    house.assert_holds([&answer]);
}

#[test]
fn a_store_that_panics_as_a_job_begins_ends_the_order_and_keeps_nobody_waiting() {
    let rules =
        "need operator 1 transfer\nallow create_wallet\nallow create_key\nallow update_policy";
    let house = House::new(rules);
    let pending = house.executor.run(house.custodian.submit(house.payment("late"))).unwrap();
    assert!(matches!(pending.outcome, Outcome::Pending { .. }), "{pending:?}");
    house.panics.store(true, Ordering::SeqCst);
    let ann = house.people.get("ann");
    let approval = Statement {
        verb: Verb::Approve,
        order: pending.order.clone(),
        digest: pending.digest,
        principal: ann.id().clone(),
        credential: ann.credential_id().clone(),
        role: RoleId::parse("operator").unwrap(),
        valid_until: house.clock.now().after(Duration::from_secs(60)),
    };
    let approval = ann.say(&house.custodian.id(), approval);
    let answer = house.executor.run(house.custodian.approve(approval)).unwrap();
    assert!(matches!(answer.outcome, Outcome::Failed { reason: Hold::Corrupt }), "{answer:?}");
    assert!(!house.panics.load(Ordering::SeqCst), "the store was asked");
    assert_eq!(house.backend.plan().count(BackendCall::Sign), 0);
    house.executor.run(house.custodian.close()).unwrap();
    house.assert_holds([&pending, &answer]);
}

#[track_caller]
fn unreachable_answer(answer: &Result<Answer, Error>) {
    assert!(answer.is_err(), "released without an anchor: {answer:?}");
    assert!(matches!(answer, Err(Error::Unavailable { order: Some(_) })), "{answer:?}");
}

fn wallet() -> WalletId {
    WalletId::parse("hot").unwrap()
}

fn key() -> KeyId {
    KeyId::parse("hot.0").unwrap()
}

fn create_wallet() -> Command {
    Command::CreateWallet {
        wallet: wallet(),
        chain: TestTransfer::chain(),
        tier: TierId::parse("hot").unwrap(),
        backend: BackendId::parse("memory").unwrap(),
        seed: None,
    }
}

fn create_key() -> Command {
    Command::CreateKey {
        wallet: wallet(),
        key: key(),
        algorithm: Algorithm::Ed25519,
        exportability: Exportability::Never,
        start: KeyStart::Active,
    }
}

fn add_address() -> Command {
    Command::AddAddress {
        book: BookId::parse("friends").unwrap(),
        account: TestTransfer::account("friend"),
    }
}
