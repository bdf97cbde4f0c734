//! What else goes on while keys are sealed anew.

use super::*;

#[test]
fn keys_sign_while_they_are_sealed_anew() {
    let house = House::new();
    house.run(async {
        let (custodian, store) = opened_late(&house).await;
        let payments = (0..5).flat_map(|number| (0..4).map(move |round| (number, round)));
        let payments = payments.map(|(number, round)| {
            let custodian = custodian.clone();
            let clock = house.clock.clone();
            async move {
                let wait = Duration::from_millis(u64::from(number) * 130 + round * 470);
                clock.sleep_until(clock.monotonic().saturating_add(wait)).await;
                pay_from(&custodian, &key(number), &format!("{number}-{round}")).await
            }
        });
        let (pages, answers) = join(reseal_all(&custodian, "page", 1), join_all(payments)).await;
        assert_eq!(pages.len(), ALL.len());
        for answer in &answers {
            assert_eq!(said(answer), "released");
        }
        assert!(store.early.load(Ordering::SeqCst) > 0, "no key was asked for in between");
        handles(&house, &custodian);
        assert_replays(&house, &custodian).await;
    });
}

#[test]
fn a_key_signs_at_each_moment_of_being_sealed_anew() {
    let steps = (0..40).map(|step| Duration::from_millis(step * 20));
    let early: usize = steps.map(signs_while_sealed_anew).sum();
    assert!(early > 0, "the handle was never asked for while the next one was being committed");
}

/// A payment comes a while after its key began to be sealed anew; how often the handle was read
/// while the next one was written and the custodian did not know it yet.
fn signs_while_sealed_anew(wait: Duration) -> usize {
    let house = House::new();
    house.run(async {
        let (custodian, store) = opened_late(&house).await;
        let paid = async {
            house.clock.sleep_until(house.clock.monotonic().saturating_add(wait)).await;
            pay_from(&custodian, &key(1), "meanwhile").await
        };
        let sealed = govern(&custodian, "page", reseal(Some("hot.0"), 1));
        let (sealed, paid) = join(sealed, paid).await;
        assert_eq!(page(&sealed).0, [key(1)]);
        assert_eq!(said(&paid), "released", "{wait:?}");
        assert_replays(&house, &custodian).await;
        store.early.load(Ordering::SeqCst)
    })
}

/// A custodian whose store answers late, in a life in which no key was used yet.
async fn opened_late(house: &House) -> (Custodian, Arc<LateStore>) {
    let custodian = seeded(house, house.parts()).await;
    custodian.close().await.unwrap();
    let store = Arc::new(LateStore::new(house));
    let parts = Parts { store: Arc::<LateStore>::clone(&store), ..house.parts() };
    (house.builder(parts).open(custodian.id()).await.unwrap(), store)
}

/// A store that answers a commit a while after it was written.
#[derive(Debug)]
struct LateStore {
    inner: MemoryStore,
    clock: TestClock,
    late: AtomicUsize,
    /// How many handles were read while a written commit was not answered.
    early: AtomicUsize,
}

impl LateStore {
    fn new(house: &House) -> Self {
        let (inner, clock) = (house.store.clone(), house.clock.clone());
        Self { inner, clock, late: AtomicUsize::new(0), early: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl Store for LateStore {
    async fn head(&self) -> Result<Position, StoreError> {
        self.inner.head().await
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        if key.as_str().starts_with("handle/") && self.late.load(Ordering::SeqCst) > 0 {
            self.early.fetch_add(1, Ordering::SeqCst);
        }
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
        let replaces = batch.puts.iter().any(|record| record.key.as_str().starts_with("handle/"));
        let answer = self.inner.commit(expected, batch).await;
        self.late.fetch_add(usize::from(replaces), Ordering::SeqCst);
        let until = self.clock.monotonic().saturating_add(Duration::from_millis(200));
        self.clock.sleep_until(until).await;
        self.late.fetch_sub(usize::from(replaces), Ordering::SeqCst);
        answer
    }

    async fn events(&self, from: Position, limit: u16) -> Result<Vec<Event>, StoreError> {
        self.inner.events(from, limit).await
    }
}

#[test]
fn keys_that_come_and_go_meanwhile_are_neither_forgotten_nor_brought_back() {
    let house = House::new();
    house.run(async {
        let (custodian, backend) = failing(&house).await;
        let held = |name: &'static str, command: Command, gate: Gate| {
            backend.plan().next(BackendCall::ResealKey, Fault::Hold(gate));
            govern(&custodian, name, command)
        };
        let gate = Gate::new();
        let asked = held("grows", reseal(Some("hot.3"), 9), gate.clone());
        let (answer, ()) = join(asked, async {
            gate.reached_by(1).await;
            assert_eq!(said(&govern(&custodian, "grown", create_key(5)).await), "released");
            gate.open();
        })
        .await;
        assert_eq!(page(&answer), (vec![key(4)], Some(key(4))), "the new key follows");
        let (keys, next) = page(&govern(&custodian, "rest", reseal(Some("hot.4"), 9)).await);
        assert_eq!((keys, next), (vec![key(5)], None));

        let gate = Gate::new();
        let asked = held("shrinks", reseal(Some("hot.3"), 9), gate.clone());
        let (answer, ()) = join(asked, async {
            gate.reached_by(1).await;
            destroy(&custodian, 4).await;
            gate.open();
        })
        .await;
        assert_eq!(said(&answer), "failed Conflict");
        let record = RecordKey::parse("handle/hot.4").unwrap();
        assert_eq!(house.store.get(&record).await.unwrap().unwrap().value, Vec::<u8>::new());
        let (keys, next) = page(&govern(&custodian, "end", reseal(Some("hot.3"), 9)).await);
        assert_eq!((keys, next), (vec![key(5)], None), "a destroyed key has no handle");
        assert_replays(&house, &custodian).await;
    });
}
