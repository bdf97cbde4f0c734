//! A small house in memory and in virtual time, whose process can end at any moment: what outlives
//! it, and who asks it for something.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use custody_core::amount::{Amount, Asset, Units};
use custody_core::command::{Command, FreezeScope, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{
    Answer, Config, Custodian, CustodianBuilder, Genesis, Outcome, Request,
};
use custody_core::effect::Effect;
use custody_core::id::{BackendId, CustodianId, KeyId, PrincipalId, RequestId, TierId, WalletId};
use custody_core::ledger::Ledger;
use custody_core::seam::{
    AuditLog as _, Checkpoint, Clock as _, Exportability, Head, Record, RecordKey, Store,
};
use custody_core::time::Timestamp;
use custody_soft::SoftBackend;
use custody_testkit::audit::{MemoryAnchor, MemoryLog};
use custody_testkit::backend::MemoryKeyEncryption;
use custody_testkit::decoder::{TestDecoder, TestTransfer};
use custody_testkit::failpoint::Failpoints;
use custody_testkit::key::TestKey;
use custody_testkit::oracle::{Given, Oracle, Promises};
use custody_testkit::people::People;
use custody_testkit::policy::TestRules;
use custody_testkit::runtime::{TestClock, TestEntropy, TestExecutor};
use custody_testkit::store::{MemoryStore, StoreSnapshot};
use futures::FutureExt as _;

/// What outlives a process, and what its callers were given.
pub(crate) struct World {
    pub(crate) clock: TestClock,
    pub(crate) points: Failpoints,
    pub(crate) given: Vec<Given>,
    pub(crate) answers: Vec<Answer>,
    /// What was answered when everything had come to rest.
    pub(crate) last: Vec<Given>,
    /// The requests that were answered, each with its answer.
    pub(crate) asked: Vec<(Request, Answer)>,
    /// The freezes that were asked for, each with how much had been given when it first was.
    pub(crate) freezes: Vec<(RequestId, FreezeScope, usize)>,
    pub(crate) lives: u64,
    /// Whether keys are used in the process, unseen from outside.
    pub(crate) in_process: bool,
    pub(crate) id: CustodianId,
    store: MemoryStore,
    checkpoint: Option<Checkpoint>,
    anchor: MemoryAnchor,
}

/// A world at one moment, from which others begin.
struct Moment {
    id: CustodianId,
    now: Timestamp,
    content: StoreSnapshot,
    checkpoint: Option<Checkpoint>,
    anchored: Option<Head>,
}

/// One process: its tasks, and the log that it opened.
pub(crate) struct Life {
    pub(crate) executor: TestExecutor,
    log: MemoryLog,
}

impl World {
    /// A house with the wallet `hot` and its active key `hot.0`.
    pub(crate) fn furnished(in_process: bool) -> Self {
        let moment = &*FURNISHED;
        let store = MemoryStore::new();
        store.restore(&moment.content);
        let anchor = MemoryAnchor::new();
        anchor.set(moment.anchored);
        let world = Self::empty(moment.id, TestClock::at(moment.now), in_process);
        Self { store, anchor, checkpoint: moment.checkpoint.clone(), lives: 1, ..world }
    }

    fn empty(id: CustodianId, clock: TestClock, in_process: bool) -> Self {
        Self {
            points: Failpoints::new(clock.clone()),
            clock,
            given: Vec::new(),
            answers: Vec::new(),
            last: Vec::new(),
            asked: Vec::new(),
            freezes: Vec::new(),
            lives: 0,
            in_process,
            id,
            store: MemoryStore::new(),
            checkpoint: None,
            anchor: MemoryAnchor::new(),
        }
    }

    /// Begins a process.
    pub(crate) fn begin(&mut self) -> Life {
        self.lives += 1;
        self.store = self.store.reopen();
        let log = MemoryLog::new(Arc::new(self.store.clone()), log_keys());
        log.restore(self.checkpoint.clone());
        Life { executor: TestExecutor::new(self.clock.clone()), log }
    }

    /// Ends a process wherever it is.
    pub(crate) fn end(&mut self, life: Life) {
        life.executor.abandon();
        assert_eq!(life.executor.panicked(), 0, "a task panicked");
        self.checkpoint = life.log.head().now_or_never().unwrap().unwrap();
    }

    /// The builder of a custodian in this process, with failpoints around the seams that can fail.
    pub(crate) fn builder(&self, life: &Life) -> CustodianBuilder {
        let points = &self.points;
        let kek = MemoryKeyEncryption::seeded(7);
        let kek = if self.in_process { kek } else { kek.outside_process() };
        let entropy = points.entropy(Arc::new(TestEntropy::seeded(self.lives)));
        let clock = Arc::new(self.clock.clone());
        let id = BackendId::parse("software").unwrap();
        let kek = points.kek(Arc::new(kek));
        let backend =
            SoftBackend::new(id, kek, Arc::clone(&entropy), Arc::clone(&clock) as _).unwrap();
        Custodian::builder()
            .config(Config { snapshot_interval: 24, ..Config::default() })
            .store(points.store(Arc::new(self.store.clone())))
            .audit(points.log(Arc::new(life.log.clone())))
            .anchor(points.anchor(Arc::new(self.anchor.clone())))
            .clock(clock)
            .entropy(entropy)
            .spawner(points.spawner(Arc::new(life.executor.clone())))
            .policy(points.compiler(Arc::new(TestRules::new())))
            .decoder(points.decoder(Arc::new(TestDecoder::new())))
            .backend(points.backend(Arc::new(backend)))
    }

    /// A freeze is about to be asked for: what comes later than the first time may undo it.
    pub(crate) fn freezing(&mut self, id: &RequestId, scope: &FreezeScope) {
        if !self.freezes.iter().any(|(known, of, _)| known == id && of == scope) {
            self.freezes.push((id.clone(), scope.clone(), self.given.len()));
        }
    }

    /// A freeze was answered as done, and holds if no thaw was asked for since it was. The
    /// custodian is not asked: it might have lost it at once.
    pub(crate) fn frozen(&mut self, id: &RequestId, scope: FreezeScope) {
        let asked = self.freezes.iter().find(|(known, of, _)| known == id && *of == scope);
        let thawing = Given::Thawing(scope.clone());
        if asked.is_some_and(|(_, _, since)| !self.given[*since..].contains(&thawing)) {
            self.given.push(Given::Frozen(scope));
        }
    }

    /// How many events the log has.
    pub(crate) fn events(&self) -> u64 {
        self.store.snapshot().events().len() as u64
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.store.records()
    }

    pub(crate) fn replace_record(&self, key: &RecordKey, value: Vec<u8>) {
        self.store.replace_record(key, value);
    }

    /// Holds the log against the invariants and against what callers were given; the last state.
    /// Everything was gone on with: no order is reserved any more, and the last answers say how
    /// each stands at the end.
    ///
    /// # Panics
    /// If something is broken.
    pub(crate) fn judge(&self) -> Ledger {
        let coin = TestTransfer::coin();
        let promises = Promises { asset: Some(coin), a_day: Some(Units::from(A_DAY)), alone: None };
        let rules = Arc::new(TestRules::new());
        let mut oracle = Oracle::new(self.id, rules, vec![Arc::new(TestDecoder::new())], promises);
        let store: &dyn Store = &self.store;
        oracle.follow(store).now_or_never().unwrap().unwrap_or_else(|breach| panic!("{breach}"));
        oracle.hear(&self.given).unwrap_or_else(|breach| panic!("{breach}"));
        oracle.hear_now(&self.last).unwrap_or_else(|breach| panic!("{breach}"));
        oracle.settled().unwrap_or_else(|breach| panic!("{breach}"));
        oracle.into_ledger().unwrap()
    }
}

static FURNISHED: LazyLock<Moment> = LazyLock::new(|| {
    let nobody = CustodianId::new(custody_core::digest::Digest::of(b""));
    let mut world = World::empty(nobody, TestClock::new(), true);
    let life = world.begin();
    let id = life.executor.run(async {
        let custodian = Box::pin(world.builder(&life).create(genesis())).await.unwrap();
        let commands = [create_wallet(), create_key("hot.0", KeyStart::Active)];
        for (number, command) in commands.into_iter().enumerate() {
            let request = Request::command(principal("olivia"), request_id(number), command);
            let answer = Box::pin(custodian.submit(request)).await.unwrap();
            assert!(matches!(answer.outcome, Outcome::Released(_)), "{:?}", answer.outcome);
        }
        assert!(custodian.key(&KeyId::parse("hot.0").unwrap()).is_some(), "it is furnished");
        custodian.close().await.unwrap();
        custodian.id()
    });
    world.end(life);
    let anchored = custody_core::seam::HeadAnchor::load(&world.anchor);
    Moment {
        id,
        now: world.clock.now(),
        content: world.store.snapshot(),
        checkpoint: world.checkpoint.clone(),
        anchored: anchored.now_or_never().unwrap().unwrap(),
    }
});

/// Olivia gives commands, otto pays, theo and tara approve.
pub(crate) fn people() -> People {
    People::new(&[
        ("olivia", &["operator", "administrator"]),
        ("otto", &["operator"]),
        ("tara", &["treasurer"]),
        ("theo", &["treasurer"]),
    ])
}

fn genesis() -> Genesis {
    let assets = vec![Asset::new(TestTransfer::coin(), 0)];
    let policy = TestRules::document(&ROLES, &rules("the first"));
    Genesis { policy, principals: people().principals(), assets }
}

/// Commands and transfers at once; with a spender besides, two treasurers must approve.
pub(crate) fn rules(remark: &str) -> String {
    let allowed = [
        "transfer",
        "activate_key",
        "cancel_destroy",
        "confirm_clock",
        "create_key",
        "create_wallet",
        "deactivate_key",
        "destroy_key",
        "enroll_principal",
        "freeze",
        "remove_principal",
        "reseal_keys",
        "resolve_order",
        "resume_key",
        "suspend_key",
        "thaw",
        "update_policy",
    ];
    let allowed: String = allowed.iter().map(|action| format!("allow {action}\n")).collect();
    let needed = "need treasurer 2 approve\nneed treasurer 1 compromise_key\n";
    format!("{allowed}{needed}limit-day {A_DAY}\n# {remark}\n")
}

fn create_wallet() -> Command {
    Command::CreateWallet {
        wallet: hot(),
        chain: TestTransfer::chain(),
        tier: TierId::parse("hot").unwrap(),
        backend: BackendId::parse("software").unwrap(),
        seed: None,
    }
}

pub(crate) fn create_key(id: &str, start: KeyStart) -> Command {
    Command::CreateKey {
        wallet: hot(),
        key: KeyId::parse(id).unwrap(),
        algorithm: Algorithm::Ed25519,
        exportability: Exportability::Never,
        start,
    }
}

/// A payment of otto's; the same id, units and spender are the same request.
pub(crate) fn payment(id: usize, units: u64, spender: bool) -> Request {
    let key = KeyId::parse("hot.0").unwrap();
    let mut transfer = TestTransfer::of(units, "customer", &key, id as u64);
    if spender {
        transfer.effects.push(Effect::Approve {
            amount: Amount::new(TestTransfer::coin(), Units::from(1_u64)),
            spender: TestTransfer::account("spender"),
        });
    }
    Request::payload(principal("otto"), request_id(id), hot(), transfer.payload())
}

pub(crate) fn request_id(number: usize) -> RequestId {
    RequestId::parse(&format!("request-{number}")).unwrap()
}

pub(crate) fn principal(name: &str) -> PrincipalId {
    PrincipalId::parse(name).unwrap()
}

pub(crate) fn hot() -> WalletId {
    WalletId::parse("hot").unwrap()
}

fn log_keys() -> Vec<TestKey> {
    vec![TestKey::seeded(Algorithm::Ed25519, 99)]
}

pub(crate) const ROLES: [&str; 3] = ["operator", "treasurer", "administrator"];
/// What may leave the wallet in a day.
const A_DAY: u64 = 1_000;
/// Within this time every caller must hear something.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
