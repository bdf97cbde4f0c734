//! A whole custodian whose rules stop new keys when a recovery drill is overdue.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use custody_core::bytes::HexBytes;
use custody_core::command::{Command, DRILL};
use custody_core::custodian::{Answer, CommandHandler, Config, Custodian, Genesis, Outcome};
use custody_core::document::{EventBody, EventDocument};
use custody_core::id::{CustodianId, ExtensionName, OrderId};
use custody_core::seam::{BackendError, Clock as _, ErrorKind};
use custody_core::time::Timestamp;
use custody_testkit::policy::TestRules;

use crate::house::{self, House, create_key, create_wallet, govern, ruled, said};

const DAY: Duration = Duration::from_secs(86_400);
/// Ninety days.
const RULES: &str = "\
allow create_wallet
allow create_key
need treasurer 1 extension
need treasurer 1 update_policy
drill 7776000 create_key
";
const OVERDUE: &str = "denied line-5-drill";

/// Has a command done, or fails as it is told to.
#[derive(Debug)]
struct Handler {
    name: ExtensionName,
    fails: Mutex<Option<ErrorKind>>,
}

#[async_trait]
impl CommandHandler for Handler {
    fn name(&self) -> &ExtensionName {
        &self.name
    }

    fn accepts(&self, _: &[u8]) -> bool {
        true
    }

    async fn run(&self, _: &CustodianId, _: &OrderId, _: &[u8]) -> Result<Vec<u8>, BackendError> {
        match *self.fails.lock().unwrap() {
            Some(kind) => Err(BackendError::new(kind, "drill")),
            None => Ok(b"proved".to_vec()),
        }
    }
}

fn handler(name: &str) -> Arc<Handler> {
    Arc::new(Handler { name: ExtensionName::parse(name).unwrap(), fails: Mutex::default() })
}

fn genesis() -> Genesis {
    Genesis { assets: Vec::new(), ..ruled(RULES) }
}

/// A house that drills.
struct Drilling {
    house: House,
    drill: Arc<Handler>,
    split: Arc<Handler>,
    began: Timestamp,
}

impl Drilling {
    fn new() -> Self {
        let house = House::new();
        let began = house.clock.now();
        Self { house, drill: handler(DRILL), split: handler("recovery/split"), began }
    }

    fn builder(&self) -> custody_core::custodian::CustodianBuilder {
        self.house
            .builder(self.house.parts())
            .config(Config { snapshot_interval: 4, ..Config::default() })
            .extension(Arc::<Handler>::clone(&self.drill))
            .extension(Arc::<Handler>::clone(&self.split))
    }

    /// A custodian with the wallet `hot`.
    async fn create(&self) -> Custodian {
        let custodian = self.builder().create(genesis()).await.unwrap();
        let answer = govern(&custodian, "wallet", create_wallet(None)).await;
        assert_eq!(said(&answer), "released");
        custodian
    }

    /// The custodian after another start.
    async fn restarted(&self, custodian: Custodian) -> Custodian {
        let id = custodian.id();
        custodian.close().await.unwrap();
        self.builder().open(id).await.unwrap()
    }

    /// Waits until so much time after `since`.
    fn wait_until(&self, since: Timestamp, after: Duration) {
        let until = since.after(after);
        self.house.clock.advance(until.since(self.house.clock.now()));
        assert_eq!(self.house.clock.now(), until);
    }

    fn snapshots(&self) -> usize {
        let snapshot = self.house.store.snapshot();
        let events = snapshot.events().iter().map(|bytes| EventDocument::read(bytes).unwrap());
        events.filter(|event| matches!(event.event, EventBody::Snapshot(_))).count()
    }
}

async fn ask(custodian: &Custodian, handler: &Handler, id: &str) -> Answer {
    let document = HexBytes::new(b"ask".to_vec());
    let command = Command::Extension { name: handler.name.clone(), document };
    let answer = govern(custodian, id, command).await.unwrap();
    assert!(matches!(answer.outcome, Outcome::Pending { .. }), "{answer:?}");
    answer
}

async fn approve(custodian: &Custodian, answer: &Answer) -> String {
    said(&house::approve(custodian, answer).await)
}

/// What is said to an order for the key with this number.
async fn make_key(custodian: &Custodian, number: u8) -> String {
    said(&govern(custodian, &format!("key-{number}"), create_key(number)).await)
}

#[test]
fn a_house_that_never_drilled_is_overdue_ninety_days_after_it_began() {
    let drilling = Drilling::new();
    drilling.house.run(async {
        let custodian = drilling.create().await;
        for (number, after, expected) in [
            (0, DAY, "released"),
            (1, DAY * 90, "released"),
            (2, DAY * 90 + Duration::from_millis(1), OVERDUE),
            (3, DAY * 91, OVERDUE),
        ] {
            drilling.wait_until(drilling.began, after);
            assert_eq!(make_key(&custodian, number).await, expected, "{after:?}");
        }
        drilling.house.replays(&custodian).await;
    });
}

#[test]
fn a_drill_that_is_executed_lets_keys_be_made_again() {
    let drilling = Drilling::new();
    drilling.house.run(async {
        let custodian = drilling.create().await;
        drilling.wait_until(drilling.began, DAY * 100);
        assert_eq!(make_key(&custodian, 0).await, OVERDUE);
        let drill = ask(&custodian, &drilling.drill, "drill").await;
        assert_eq!(make_key(&custodian, 1).await, OVERDUE, "it waits");
        assert_eq!(approve(&custodian, &drill).await, "released");
        let done = drilling.house.clock.now();
        assert_eq!(make_key(&custodian, 2).await, "released");
        drilling.wait_until(done, DAY * 90);
        assert_eq!(make_key(&custodian, 3).await, "released");
        drilling.wait_until(done, DAY * 90 + Duration::from_millis(1));
        assert_eq!(make_key(&custodian, 4).await, OVERDUE);
        drilling.house.replays(&custodian).await;
    });
}

#[test]
fn a_drill_that_fails_or_ends_unknown_lets_no_key_be_made() {
    for (kind, expected) in [
        (ErrorKind::Refused, "failed BackendRefused"),
        (ErrorKind::Unavailable, "failed BackendUnavailable"),
        (ErrorKind::Indeterminate, "Unknown { reason: BackendIndeterminate }"),
    ] {
        let drilling = Drilling::new();
        drilling.house.run(async {
            let custodian = drilling.create().await;
            drilling.wait_until(drilling.began, DAY * 100);
            *drilling.drill.fails.lock().unwrap() = Some(kind);
            let drill = ask(&custodian, &drilling.drill, "drill").await;
            assert_eq!(approve(&custodian, &drill).await, expected);
            assert_eq!(make_key(&custodian, 0).await, OVERDUE, "{kind:?}");
            *drilling.drill.fails.lock().unwrap() = None;
            let drill = ask(&custodian, &drilling.drill, "again").await;
            assert_eq!(approve(&custodian, &drill).await, "released");
            assert_eq!(make_key(&custodian, 1).await, "released", "{kind:?}");
            drilling.house.replays(&custodian).await;
        });
    }
}

#[test]
fn another_extension_command_is_no_drill() {
    let drilling = Drilling::new();
    drilling.house.run(async {
        let custodian = drilling.create().await;
        drilling.wait_until(drilling.began, DAY * 100);
        let split = ask(&custodian, &drilling.split, "split").await;
        assert_eq!(approve(&custodian, &split).await, "released");
        assert_eq!(make_key(&custodian, 0).await, OVERDUE);
    });
}

#[test]
fn rules_that_nobody_could_change_when_a_drill_is_overdue_are_refused() {
    for (rule, refused) in [
        ("drill 7776000", true),
        ("drill 7776000 update_policy", true),
        ("drill 7776000 extension", false),
        ("drill 7776000 create_key", false),
    ] {
        let drilling = Drilling::new();
        drilling.house.run(async {
            let rules = format!("allow\n{rule}");
            let policy = TestRules::document(&["treasurer"], &rules);
            let created = drilling.builder().create(Genesis { policy, ..genesis() }).await;
            let why = created.err().map(|error| format!("{error:?}")).unwrap_or_default();
            assert_eq!(why.contains("long after a drill"), refused, "{rule}: {why}");
            assert_eq!(why.is_empty(), !refused, "{rule}: {why}");
        });
    }
}

#[test]
fn a_start_from_a_snapshot_forgets_neither_the_beginning_nor_the_drill() {
    let drilling = Drilling::new();
    drilling.house.run(async {
        let mut custodian = drilling.create().await;
        for number in 0..2 {
            assert_eq!(make_key(&custodian, number).await, "released");
        }
        assert!(drilling.snapshots() > 0);
        drilling.wait_until(drilling.began, DAY * 90);
        custodian = drilling.restarted(custodian).await;
        assert_eq!(make_key(&custodian, 2).await, "released", "as long after it began as may be");
        drilling.wait_until(drilling.began, DAY * 90 + Duration::from_millis(1));
        custodian = drilling.restarted(custodian).await;
        assert_eq!(make_key(&custodian, 3).await, OVERDUE, "never drilled");

        let before = drilling.snapshots();
        let drill = ask(&custodian, &drilling.drill, "drill").await;
        assert_eq!(approve(&custodian, &drill).await, "released");
        let done = drilling.house.clock.now();
        for number in 4..6 {
            assert_eq!(make_key(&custodian, number).await, "released");
        }
        assert!(drilling.snapshots() > before);
        drilling.wait_until(done, DAY * 90);
        custodian = drilling.restarted(custodian).await;
        assert_eq!(make_key(&custodian, 6).await, "released", "as long after the drill as may be");
        drilling.wait_until(done, DAY * 90 + Duration::from_millis(1));
        custodian = drilling.restarted(custodian).await;
        assert_eq!(make_key(&custodian, 7).await, OVERDUE, "long after the drill");
        drilling.house.replays(&custodian).await;
    });
}
