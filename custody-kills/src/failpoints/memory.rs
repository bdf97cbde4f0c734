//! A world in memory and in virtual time.

use std::sync::Arc;

use custody_core::custodian::Config;
use custody_core::seam::{AuditLog as _, Checkpoint, Clock as _, Head, HeadAnchor as _, Store};
use custody_testkit::audit::{MemoryAnchor, MemoryLog};
use custody_testkit::runtime::{TestClock, TestEntropy, TestExecutor};
use custody_testkit::store::{MemoryStore, StoreSnapshot};

use super::panics::Panics;
use super::seams::{Seams, World, log_keys};
use super::switches::Switches;
use crate::Failure;

/// What says that it keeps something and forgets it when the process ends, to show that a check
/// can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "tests build it")]
pub enum Forgets {
    /// The store, the log's newest head and the anchor.
    Everything,
    /// The store alone.
    Store,
}

/// The world.
#[derive(Debug)]
pub struct Memory {
    clock: TestClock,
    store: MemoryStore,
    checkpoint: Option<Checkpoint>,
    anchor: MemoryAnchor,
    switches: Switches,
    lives: u64,
    forgets: Option<Forgets>,
}

/// A world as it was at one moment, from which others begin.
#[derive(Clone, Debug)]
pub struct Moment {
    clock: TestClock,
    content: StoreSnapshot,
    checkpoint: Option<Checkpoint>,
    anchored: Option<Head>,
    lives: u64,
}

impl Memory {
    /// An empty world.
    #[must_use]
    pub fn new() -> Self {
        Self {
            clock: TestClock::new(),
            store: MemoryStore::new(),
            checkpoint: None,
            anchor: MemoryAnchor::new(),
            switches: Switches::in_memory(),
            lives: 0,
            forgets: None,
        }
    }

    /// A world that begins at this moment.
    #[must_use]
    pub fn from(moment: &Moment) -> Self {
        let (store, anchor) = (MemoryStore::new(), MemoryAnchor::new());
        store.restore(&moment.content);
        anchor.set(moment.anchored);
        let checkpoint = moment.checkpoint.clone();
        // Another clock, which stands where the first one stood.
        let clock = TestClock::at(moment.clock.now());
        // No preparation of a workload switches a key.
        let switches = Switches::in_memory();
        Self { clock, store, checkpoint, anchor, switches, lives: moment.lives, forgets: None }
    }

    /// The same world, in which lives from now on are forgotten, or are not.
    pub const fn forget(&mut self, forgets: Option<Forgets>) {
        self.forgets = forgets;
    }

    /// This moment.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment {
            clock: self.clock.clone(),
            content: self.store.snapshot(),
            checkpoint: self.checkpoint.clone(),
            anchored: at_once(self.anchor.load()),
            lives: self.lives,
        }
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> TestClock {
        self.clock.clone()
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl World for Memory {
    fn live<T>(
        &mut self,
        life: impl AsyncFnOnce(Seams) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.lives += 1;
        self.store = self.store.reopen();
        let (mut kept, mut anchor) = (self.store.clone(), self.anchor.clone());
        if self.forgets.is_some() {
            kept = MemoryStore::new();
            kept.restore(&self.store.snapshot());
        }
        if self.forgets == Some(Forgets::Everything) {
            anchor = MemoryAnchor::new();
            anchor.set(at_once(self.anchor.load()));
        }
        let store: Arc<dyn Store> = Arc::new(kept);
        // As a process that starts: the log begins with the first of its keys.
        let log = MemoryLog::new(Arc::clone(&store), log_keys());
        log.restore(self.checkpoint.clone());
        let (executor, panics) = (TestExecutor::new(self.clock.clone()), Panics::default());
        let seams = Seams {
            store,
            log: Arc::new(log.clone()),
            anchor: Arc::new(anchor),
            clock: Arc::new(self.clock.clone()),
            entropy: Arc::new(TestEntropy::seeded(self.lives)),
            spawner: panics.watch(Arc::new(executor.clone())),
            panics,
            switches: self.switches.clone(),
            store_timeout: Config::default().store_timeout,
        };
        let lived = executor.run(life(seams));
        executor.abandon();
        if self.forgets != Some(Forgets::Everything) {
            self.checkpoint = at_once(log.head());
        }
        lived
    }

    fn verify(&self) -> Result<(), Failure> {
        // A store in memory has one copy of everything: there is nothing to compare.
        Ok(())
    }
}

/// What a call in memory answers, which waits for nothing.
fn at_once<T, E>(call: impl Future<Output = Result<Option<T>, E>>) -> Option<T> {
    let ready = futures::FutureExt::now_or_never(call).expect("memory waits for nothing");
    ready.ok().flatten()
}
