//! A search that takes long keeps nobody waiting but whoever asked.

use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use custody_core::command::{Command, FreezeScope};
use custody_core::custodian::Request;
use custody_core::id::{EngineId, PolicyId, RequestId};
use custody_core::seam::{
    Facts, Judgement, Missing, PolicyCompiler, PolicyDocument, PolicyEngine, PolicyError,
};
use custody_testkit::policy::TestRules;

use crate::house::{House, Parts, ann, furnish, govern, payment, ruled, said};

const RULES: &str = "\
allow create_wallet
allow create_key
allow freeze
need treasurer 1 transfer
need treasurer 1 update_policy
";

/// The name of the thread whose questions are held.
const ASKER: &str = "asker";
/// Longer than a freeze takes.
const LONG: Duration = Duration::from_secs(10);

/// What an engine is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Judge,
    Missing,
}

/// Holds the asker at one question until it is opened, though not for ever.
#[derive(Debug)]
struct Door {
    question: Question,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_reached: bool,
    is_open: bool,
    /// Nobody opened it in time.
    is_late: bool,
}

impl Door {
    fn new(question: Question) -> Self {
        Self { question, state: Mutex::default(), changed: Condvar::new() }
    }

    fn pass(&self, question: Question) {
        if question != self.question || thread::current().name() != Some(ASKER) {
            return;
        }
        let mut state = self.state.lock().unwrap();
        state.is_reached = true;
        self.changed.notify_all();
        let held = self.changed.wait_timeout_while(state, LONG, |state| !state.is_open);
        let mut state = held.unwrap().0;
        state.is_late |= !state.is_open;
        state.is_open = true;
    }

    /// Whether somebody stands at it, after a while.
    fn is_reached(&self) -> bool {
        let state = self.state.lock().unwrap();
        let waited = self.changed.wait_timeout_while(state, LONG, |state| !state.is_reached);
        waited.unwrap().0.is_reached
    }

    /// Opens it, and says whether that was in time.
    fn open(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        state.is_open = true;
        self.changed.notify_all();
        !state.is_late
    }
}

/// [`TestRules`] whose engines are asked through a door.
#[derive(Clone, Debug)]
struct Held {
    rules: TestRules,
    door: Arc<Door>,
}

impl PolicyCompiler for Held {
    fn engine(&self) -> &EngineId {
        self.rules.engine()
    }

    fn compile(&self, rules: &PolicyDocument) -> Result<Arc<dyn PolicyEngine>, PolicyError> {
        let inner = self.rules.compile(rules)?;
        Ok(Arc::new(HeldEngine { inner, door: Arc::clone(&self.door) }))
    }
}

#[derive(Debug)]
struct HeldEngine {
    inner: Arc<dyn PolicyEngine>,
    door: Arc<Door>,
}

impl PolicyEngine for HeldEngine {
    fn id(&self) -> PolicyId {
        self.inner.id()
    }

    fn judge(&self, facts: &Facts<'_>) -> Judgement {
        self.door.pass(Question::Judge);
        self.inner.judge(facts)
    }

    fn missing(&self, facts: &Facts<'_>) -> Missing {
        self.door.pass(Question::Missing);
        self.inner.missing(facts)
    }
}

/// A request for the rules that are in force already.
fn same_rules() -> Request {
    let document = TestRules::document(&["treasurer"], RULES).to_bytes().unwrap();
    let command = Command::UpdatePolicy { policy: String::from_utf8(document).unwrap() };
    Request::command(ann(), RequestId::parse("asked").unwrap(), command)
}

#[test]
fn a_freeze_is_answered_while_somebody_is_told_what_the_rules_say() {
    for (question, request) in [
        (Question::Judge, payment("asked")),
        (Question::Missing, payment("asked")),
        // Whether the rules could be changed under these is looked for before anything else.
        (Question::Judge, same_rules()),
    ] {
        let (house, door) = (House::new(), Arc::new(Door::new(question)));
        house.run(async {
            let compiler = Held { rules: TestRules::new(), door: Arc::clone(&door) };
            let parts = Parts { compiler: Arc::new(compiler), ..house.parts() };
            let custodian = house.builder(parts).create(ruled(RULES)).await.unwrap();
            furnish(&custodian).await;
            let (asked, asker) = (custodian.clone(), thread::Builder::new());
            let asker = asker.name(ASKER.to_owned());
            let asker = asker.spawn(move || asked.simulate(request)).unwrap();
            assert!(door.is_reached(), "{question:?}: nobody asks");
            let freeze = Command::Freeze { scope: FreezeScope::House };
            let frozen = govern(&custodian, "freeze", freeze).await;
            assert!(door.open(), "{question:?}: the freeze waited for the answer");
            assert_eq!(said(&frozen), "released", "{question:?}");
            let explained = asker.join().unwrap().unwrap();
            assert_eq!((explained.allowed, explained.missing.len()), (false, 1), "{question:?}");
        });
    }
}
