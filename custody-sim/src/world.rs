//! One seed is one world: what outlives the process, and its lives one after the other.

mod copies;

use std::sync::Arc;
use std::time::Duration;

use custody_audit::TileLog;
use custody_audit::note::KeyName;
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Config, Custodian, CustodianBuilder, OpenError, Recovery};
use custody_core::seam::{AuditError, AuditLog, Clock as _, ErrorKind, PolicyCompiler, Signer};
use custody_core::time::Timestamp;
use custody_testkit::decoder::TestDecoder;
use custody_testkit::key::TestKey;
use custody_testkit::policy::TestRules;
use custody_testkit::runtime::{TestClock, TestEntropy};

use crate::anchor::{Anchor, WeatheredAnchor};
use crate::dice::Dice;
use crate::disk::{Content, Disk};
use crate::executor::{Ending, Executor};
use crate::house::{LaxCompiler, People, genesis};
use crate::life::{Life, furnish, settle};
use crate::log::{Files, HeadSigner, Kept, MixingLog, WeatheredFiles};
use crate::quiet::unplanned;
use crate::referee::{ORIGIN, Referee};
use crate::register::Register;
use crate::sabotage::Sabotage;
use crate::switches::Switches;
use crate::trace::Trace;
use crate::vault::Vault;
use crate::weather::{Sky, Weather};

/// All that is there while no custodian runs.
pub(crate) struct World {
    seed: u64,
    sabotage: Option<Sabotage>,
    dice: Dice,
    clock: TestClock,
    pub(crate) trace: Trace,
    pub(crate) referee: Referee,
    disk: Disk,
    files: Files,
    anchor: Option<Anchor>,
    register: Register,
    people: Arc<People>,
    log_keys: Arc<Vec<TestKey>>,
    config: Config,
    switches: Switches,
    /// An older copy of disk and files.
    backup: Option<(Content, Kept)>,
    /// The last recovery from an older copy.
    recovery: Option<Recovery>,
    pub(crate) lives: u64,
}

/// What a life does once its custodian is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Furnish,
    Live,
    Settle,
}

impl World {
    pub(crate) fn new(seed: u64, sabotage: Option<Sabotage>) -> Self {
        let dice = Dice::seeded(seed);
        let clock = TestClock::new();
        let trace = Trace::new(clock.clone());
        let log_keys: Vec<_> =
            (0..3).map(|number| TestKey::seeded(Algorithm::Ed25519, 900 + number)).collect();
        let has_anchor = dice.chance(750) || sabotage == Some(Sabotage::AnchorForgets);
        let public = log_keys.iter().map(|key| key.public_key().clone()).collect();
        let referee = Referee::new(trace.clone(), public, has_anchor, in_process(seed));
        Self {
            seed,
            sabotage,
            disk: Disk::new(referee.clone()),
            files: Files::seeded(seed, is_long(seed, sabotage)),
            anchor: has_anchor.then(Anchor::default),
            register: Register::default(),
            people: Arc::new(People::new()),
            log_keys: Arc::new(log_keys),
            config: Config {
                open_per_requester: *dice.pick(&[6, 100, 100]),
                open_per_wallet: *dice.pick(&[8, 1_000, 1_000]),
                approvals_per_order: *dice.pick(&[2, 32, 32]),
                queue: *dice.pick(&[2, 4_096, 4_096, 4_096]),
                backend_calls: *dice.pick(&[1, 2, 64]),
                sign_timeout: Duration::from_secs(*dice.pick(&[1, 10, 10])),
                store_timeout: Duration::from_secs(*dice.pick(&[1, 10, 10])),
                order_life: Duration::from_secs(*dice.pick(&[60, 3_600, 86_400])),
                snapshot_interval: *dice.pick(&[7, 25, 80, 10_000]),
            },
            switches: Switches::default(),
            backup: None,
            recovery: None,
            lives: 0,
            dice,
            clock,
            trace,
            referee,
        }
    }

    /// Lives from the first to the last.
    pub(crate) fn run(&mut self) {
        self.begin(Plan::Furnish, Sky::calm(), u64::MAX);
        for _ in 0..self.dice.between(1, 4) {
            if self.referee.violation().is_some() {
                return;
            }
            self.between_lives();
            let steps = if self.dice.chance(400) { u64::MAX } else { self.steps() };
            let sky = Sky::drawn(&self.dice, self.clock.monotonic());
            self.begin(Plan::Live, sky, steps);
        }
        if self.referee.violation().is_none() {
            self.between_lives();
            self.begin(Plan::Settle, Sky::calm(), u64::MAX);
        }
    }

    /// When a life is cut short: often early, sometimes late.
    fn steps(&self) -> u64 {
        let most = *self.dice.pick(&[40, 200, 600, 1_500]);
        self.dice.between(1, most)
    }

    fn begin(&mut self, plan: Plan, sky: Sky, steps: u64) {
        const STEPS_MAX: u64 = 100_000;
        self.lives += 1;
        self.referee.new_life();
        self.trace.note(format_args!("life {}: {plan:?}, {steps} steps, {sky:?}", self.lives));
        let executor = Executor::new(self.clock.clone(), self.dice.clone());
        let weather = self.weather(&executor, sky);
        let main = self.main(plan, executor.clone(), weather);
        let stop = || {
            self.check_panics();
            self.referee.violation().is_some()
        };
        let ending = executor.run(Box::pin(main), steps.min(STEPS_MAX), stop);
        self.check_panics();
        self.trace.note(format_args!("life {} ends: {ending:?}", self.lives));
        self.trace.count(match ending {
            Ending::Cut => "lives cut short",
            _ => "lives that came to their end",
        });
        let may_end = match ending {
            Ending::Done(()) | Ending::Stopped => true,
            Ending::Cut => plan == Plan::Live && steps < u64::MAX,
            // A planned panic meets whoever opens or resumes.
            Ending::Panicked => plan == Plan::Live,
            // Until the custodian is open, its host waits for a log that may hang.
            Ending::Stuck => plan == Plan::Live && !self.referee.is_open(),
        };
        if !may_end {
            let rule = "in calm weather everything comes to its end";
            self.referee.object(rule, format_args!("{plan:?} did not end: {ending:?}"));
        }
        executor.kill();
    }

    fn check_panics(&self) {
        if let Some(panic) = unplanned() {
            self.referee.object("nothing panics but what is planned to", panic);
        }
    }

    fn weather(&self, executor: &Executor, sky: Sky) -> Weather {
        Weather::new(self.clock.clone(), self.trace.clone(), executor.clone(), sky)
    }

    /// Opens a custodian and lives with it; after some closings another is opened.
    async fn main(&self, plan: Plan, executor: Executor, weather: Weather) {
        const ATTEMPTS: u64 = 8;
        let mut weather = weather;
        for attempt in 0..ATTEMPTS {
            match self.open(&executor, &weather).await {
                Ok(custodian) => {
                    self.trace.note("open");
                    self.referee.opened();
                    self.trace.count("custodians opened");
                    let life = self.life(custodian, executor.clone(), weather.clone());
                    match plan {
                        Plan::Furnish => {
                            return furnish(&life, is_long(self.seed, self.sabotage)).await;
                        }
                        Plan::Live if life.live().await => weather = self.reopen(&weather),
                        Plan::Live => return,
                        Plan::Settle => return settle(&life).await,
                    }
                }
                Err(OpenError::ClockBehind) => {
                    self.trace.note("does not open: somebody puts the clock right");
                    let now = self.clock.now().after(Duration::from_secs(60));
                    self.clock.set_wall(now);
                }
                Err(error) => {
                    let error = in_full(&error);
                    self.trace.note(format_args!("does not open: {error}"));
                    if weather.sky().is_calm {
                        let rule = "in calm weather the custodian opens";
                        return self.referee.object(rule, error);
                    }
                }
            }
            weather.sleep(self.dice.time(100, 1_000 * (attempt + 1))).await;
        }
    }

    /// The same process puts other parts in the place of those of a closed custodian.
    fn reopen(&self, weather: &Weather) -> Weather {
        self.trace.note("the closed custodian is opened again");
        weather.ends();
        self.referee.new_life();
        weather.anew()
    }

    async fn open(&self, executor: &Executor, weather: &Weather) -> Result<Custodian, OpenError> {
        let store = Arc::new(self.disk.open(weather.clone(), self.sabotage));
        let files =
            Arc::new(WeatheredFiles { files: self.files.clone(), weather: weather.clone() });
        let signer = |key: &TestKey| {
            Arc::new(HeadSigner {
                key: key.clone(),
                weather: weather.clone(),
                referee: self.referee.clone(),
                sabotage: self.sabotage,
            }) as Arc<dyn Signer>
        };
        let signers = self.log_keys.iter().map(signer).collect();
        let origin = KeyName::parse(ORIGIN).unwrap();
        let log = TileLog::open(origin, Arc::clone(&store) as _, files, signers).await;
        let mut log: Arc<dyn AuditLog> =
            Arc::new(log.map_err(|error| {
                AuditError::new(ErrorKind::Unavailable, "open").with_source(error)
            })?);
        if self.sabotage == Some(Sabotage::LogMixesReceipts) {
            log = Arc::new(MixingLog { inner: log, weather: weather.clone() });
        }
        let builder = self.builder(executor, weather).store(store).audit(log);
        match self.referee.custodian() {
            None => builder.create(genesis(&self.people)).await,
            Some(id) => match self.next_recovery() {
                None => builder.open(id).await,
                Some(recovery) => builder.recover(id, recovery).await,
            },
        }
    }

    fn builder(&self, executor: &Executor, weather: &Weather) -> CustodianBuilder {
        let mut vault = Vault::new(self.seed, weather.clone(), self.referee.clone());
        vault.sabotage = self.sabotage;
        vault.in_process = in_process(self.seed);
        vault.has_switch = self.has_switch();
        vault.switches = self.switches.clone();
        let rules = TestRules::new();
        let compiler: Arc<dyn PolicyCompiler> = match self.sabotage {
            Some(Sabotage::RulesAllowAll) => Arc::new(LaxCompiler(rules)),
            _ => Arc::new(rules),
        };
        let builder = Custodian::builder()
            .config(self.config.clone())
            .backend(Arc::new(vault))
            .policy(compiler)
            .decoder(Arc::new(TestDecoder::new()))
            .clock(Arc::new(self.clock.clone()))
            .entropy(Arc::new(TestEntropy::seeded(self.dice.number())))
            .spawner(Arc::new(executor.clone()));
        match &self.anchor {
            None => builder,
            Some(anchor) => builder.anchor(Arc::new(WeatheredAnchor {
                anchor: anchor.clone(),
                weather: weather.clone(),
                referee: self.referee.clone(),
            })),
        }
    }

    /// In half of the worlds the backend switches keys.
    fn has_switch(&self) -> bool {
        self.seed / 3 % 2 == 1 || self.sabotage == Some(Sabotage::BackendLeavesKeysOn)
    }

    fn life(&self, custodian: Custodian, executor: Executor, weather: Weather) -> Life {
        Life {
            id: custodian.id(),
            custodian,
            clock: self.clock.clone(),
            dice: self.dice.clone(),
            executor,
            people: Arc::clone(&self.people),
            referee: self.referee.clone(),
            register: self.register.clone(),
            trace: self.trace.clone(),
            weather,
            log_keys: Arc::clone(&self.log_keys),
            switches: self.has_switch().then(|| self.switches.clone()),
        }
    }

    /// What a crash does to disk and files, and what happens until somebody starts the process
    /// again.
    fn between_lives(&mut self) {
        self.files.crash(self.dice.chance(500), &self.trace);
        if self.dice.chance(50) {
            self.trace.note("crash: the tiles are lost");
            self.trace.count("crashes that lost the tiles");
            self.files.lose_tiles();
        }
        self.lose_batches();
        self.sabotage_disk();
        if self.dice.chance(150) {
            self.roll_back();
        }
        if self.sabotage.is_none() && self.dice.chance(50) {
            self.recover_older();
        }
        if self.dice.chance(300) {
            self.backup = Some((self.disk.snapshot(), self.files.snapshot()));
        }
        let pause = self.dice.time(0, *self.dice.pick(&[1_000, 60_000, 100_000_000]));
        self.clock.advance(pause);
        if self.dice.chance(100) {
            let back = self.dice.time(0, 60_000).as_millis() as u64;
            let now = self.clock.now().as_millis().saturating_sub(back);
            self.clock.set_wall(Timestamp::from_millis(now));
        }
        self.trace.note(format_args!("down until {}", self.clock.now()));
    }

    /// A disk that acknowledged too early loses what no head was signed over.
    fn lose_batches(&self) {
        let sealed = self.referee.signed_size();
        if !self.dice.chance(250) || self.disk.events() as u64 <= sealed {
            return;
        }
        let before = self.disk.snapshot();
        let left = self.disk.lose_batch() as u64;
        if left < sealed {
            return self.disk.restore(before);
        }
        self.trace.note(format_args!("crash: the newest batch is lost, {left} events are left"));
        self.trace.count("crashes that lost a batch");
        self.referee.rewound(&self.disk.snapshot());
    }

    fn sabotage_disk(&self) {
        match (self.sabotage, &self.backup) {
            (Some(Sabotage::FilesCutTiles), _) => self.files.cut_tiles(),
            (Some(Sabotage::StoreForgetsRequests), _) => self.disk.lose_records("request/"),
            (Some(Sabotage::AnchorForgets), Some((content, kept))) => {
                self.trace.note("sabotage: an older copy is put in place");
                self.disk.restore(content.clone());
                self.files.restore(kept.clone());
                if let Some(anchor) = &self.anchor {
                    anchor.set(None);
                }
                self.referee.anchor_is(content.events.len() as u64);
                self.referee.rewound(content);
            }
            _ => {}
        }
    }
}

fn in_full(error: &OpenError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// In an eighth of the worlds the log's first tile is full early, so that crashes meet tiles.
fn is_long(seed: u64, sabotage: Option<Sabotage>) -> bool {
    seed % 8 == 6 || sabotage == Some(Sabotage::FilesCutTiles)
}

/// In a third of the worlds the keys are in the process.
const fn in_process(seed: u64) -> bool {
    seed % 3 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quiet::Quiet;

    #[test]
    fn a_panic_that_was_not_planned_is_objected_to_whoever_caught_it() {
        let _quiet = Quiet::new();
        let mut world = World::new(0, None);
        world.begin(Plan::Furnish, Sky::calm(), u64::MAX);
        assert_eq!(world.referee.violation(), None);
        let caught: std::thread::Result<()> = std::panic::catch_unwind(|| panic!("by mistake"));
        assert!(caught.is_err());
        world.begin(Plan::Settle, Sky::calm(), u64::MAX);
        let violation = world.referee.violation().unwrap();
        assert_eq!(violation.invariant, "nothing panics but what is planned to");
        assert!(violation.detail.ends_with(": by mistake"), "{violation}");
    }
}
