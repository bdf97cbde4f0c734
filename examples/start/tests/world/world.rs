//! A whole custodian for tests: Cedar rules, the EVM decoder, people with their own credentials,
//! a clock in the test's hands, and doubles between the custodian and store, log and backend.
//!
//! Invariant: a crash keeps what a disk, a log and a backend would keep, and nothing else; whatever
//! the world hands to a test was checked to be durable and under the log's head before.

pub(crate) mod disk;
pub(crate) mod ground;
pub(crate) mod oracle;
pub(crate) mod people;
pub(crate) mod setup;
pub(crate) mod tamper;
pub(crate) mod tasks;
pub(crate) mod traces;
pub(crate) mod words;
pub(crate) mod work;

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use custody_core::custodian::{Answer, Custodian, Error, OpenError};
use custody_core::id::CustodianId;
use custody_core::seam::{AuditLog, Checkpoint, Clock, KeyBackend};
use custody_core::time::Timestamp;
use custody_testkit::audit::FailingLog;
use custody_testkit::backend::{BackendCall, FailingBackend};
use custody_testkit::oracle::Given;
use custody_testkit::runtime::TestClock;
use custody_testkit::store::FaultyStore;

use disk::Disk;
pub(crate) use disk::Kind;
pub(crate) use ground::Ground;
use people::People;
pub(crate) use setup::Setup;
use tamper::Tamper;
use tasks::Tasks;

/// A custodian and all that it lives in.
pub(crate) struct World {
    pub(crate) custodian: Custodian,
    /// The store as the custodian sees it: plan faults here.
    pub(crate) store: Arc<FaultyStore<Disk>>,
    /// The log as the custodian sees it: plan faults here.
    pub(crate) log: Arc<FailingLog>,
    /// The backend as the custodian sees it: plan faults here.
    pub(crate) backend: Arc<FailingBackend>,
    /// The time, unless the setup asks for the real one.
    pub(crate) clock: TestClock,
    pub(crate) people: People,
    pub(crate) tasks: Tasks,
    /// What the world was made of; a test may change it before it reopens.
    pub(crate) setup: Setup,
    id: CustodianId,
    time: Arc<dyn Clock>,
    /// The log without faults.
    sealed: Arc<dyn AuditLog>,
    given: Mutex<GivenOut>,
}

/// What callers were given, over all lives of a world.
pub(crate) type GivenOut = Vec<Given>;

/// What a crash leaves: nothing of the custodian.
pub(crate) struct Remains {
    pub(crate) clock: TestClock,
    pub(crate) setup: Setup,
    disk: Disk,
    checkpoint: Option<Checkpoint>,
    backend: Arc<FailingBackend>,
    id: CustodianId,
    given: GivenOut,
}

impl World {
    /// A house with a wallet `hot`, whose key `hot.0` is active, and two known addresses.
    pub(crate) async fn new(kind: Kind) -> Self {
        Self::with(Setup::new(kind)).await
    }

    /// A house made of `setup`.
    pub(crate) async fn with(setup: Setup) -> Self {
        let world = Box::pin(Self::empty(setup)).await;
        Box::pin(world.furnish()).await;
        world
    }

    /// A house at its genesis event, without wallets and addresses.
    pub(crate) async fn empty(setup: Setup) -> Self {
        let ground = Ground::new(setup).await;
        let custodian = Box::pin(ground.create()).await.unwrap();
        ground.world(custodian, GivenOut::new())
    }

    /// Ends everything of the custodian wherever it is, as a dying process does, and closes the
    /// store's handle.
    pub(crate) async fn crash(self) -> Remains {
        self.tasks.kill().await;
        let checkpoint = self.sealed.head().await.unwrap();
        let disk = self.store.inner().clone();
        let remains = Remains {
            clock: self.clock,
            setup: self.setup,
            checkpoint,
            disk: disk.clone(),
            backend: self.backend,
            id: self.id,
            given: self.given.into_inner().unwrap(),
        };
        drop((self.custodian, self.store, self.log, self.sealed));
        disk.close();
        remains
    }

    /// Drops every handle, waits until what was under way has ended, and leaves the store to be
    /// closed by whoever had it last.
    pub(crate) async fn leave(self) -> Remains {
        let tasks = self.tasks.clone();
        let (clock, checkpoint) = (self.clock.clone(), self.sealed.head().await.unwrap());
        let disk = self.store.inner().clone();
        drop(self.custodian);
        for _ in 0..10_000 {
            if tasks.running() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            clock.advance(Duration::from_millis(1));
        }
        assert_eq!(tasks.running(), 0, "the custodian did not close");
        tasks.kill().await;
        drop((self.store, self.log, self.sealed));
        assert_eq!(disk.handles(), 1, "somebody still has the store");
        Remains {
            clock,
            setup: self.setup,
            checkpoint,
            disk,
            backend: self.backend,
            id: self.id,
            given: self.given.into_inner().unwrap(),
        }
    }

    /// Crashes and opens again.
    pub(crate) async fn reopen(self) -> Self {
        Box::pin(self.crash().await.open()).await
    }

    /// Ledger time, as far as the clock tells.
    pub(crate) fn now(&self) -> Timestamp {
        self.time.now()
    }

    /// How many calls of `Signer::sign` the custodian made, failed ones too, over all its lives.
    pub(crate) fn sign_calls(&self) -> usize {
        self.backend.plan().count(BackendCall::Sign)
    }

    /// Opens the same custodian once more over the same disk, beside the one that runs: what a
    /// store that is shared by mistake allows. Log heads go apart, backend and clock are shared.
    pub(crate) async fn twin(&self) -> Self {
        let checkpoint = self.sealed.head().await.unwrap();
        let (setup, backend) = (self.setup.clone(), Arc::clone(&self.backend));
        let disk = self.store.inner().clone().reopen();
        let ground = Ground::over(setup, disk, checkpoint, backend).await.unwrap();
        let custodian = Box::pin(ground.open(self.id)).await.unwrap();
        ground.world(custodian, GivenOut::new())
    }

    /// What another program can do to the disk now.
    pub(crate) fn tamper(&self) -> Tamper {
        self.store.inner().tamper()
    }

    /// Where the disk's files are.
    pub(crate) fn directory(&self) -> &Path {
        self.store.inner().directory().unwrap()
    }

    /// Waits for a call while virtual time passes, a hundred times as fast as real time.
    pub(crate) async fn drive<T>(&self, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        for _ in 0..20_000 {
            tokio::select! {
                biased;
                answer = &mut call => return answer,
                () = tokio::time::sleep(Duration::from_millis(1)) => {
                    self.clock.advance(Duration::from_millis(100));
                }
            }
        }
        panic!("no answer in time");
    }

    /// Waits until every planned fault of store and log has struck and the order of olivia's
    /// request has this many durable events.
    pub(crate) async fn struck(&self, request: &str, events: usize) {
        while self.store.plan().is_waiting()
            || self.log.plan().is_waiting()
            || self.story_of(request).await.len() < events
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Makes a call that a planned fault lets hang, until it has struck and the order of olivia's
    /// request has this many durable events. What the caller hears, which is nothing.
    pub(crate) async fn dies_at(
        &self,
        call: impl Future<Output = Result<Answer, Error>>,
        request: &str,
        events: usize,
    ) -> String {
        tokio::select! {
            biased;
            heard = call => words::of(&heard),
            () = self.struck(request, events) => String::new(),
        }
    }

    /// Waits until `what` holds while virtual time passes.
    pub(crate) async fn until(&self, what: impl Fn() -> bool) {
        let holds = async {
            while !what() {
                tokio::task::yield_now().await;
            }
        };
        self.drive(holds).await;
    }
}

impl Remains {
    /// Opens the custodian again over what is left, without faults but on the backend.
    pub(crate) async fn open(self) -> World {
        Box::pin(self.try_open()).await.unwrap()
    }

    /// Opens the custodian again over what is left.
    pub(crate) async fn try_open(self) -> Result<World, OpenError> {
        let Self { setup, disk, checkpoint, backend, id, given, .. } = self;
        let ground = Ground::over(setup, disk.reopen(), checkpoint, backend).await?;
        let custodian = Box::pin(ground.open(id)).await?;
        Ok(ground.world(custodian, given))
    }

    /// What another program can do to the disk now.
    pub(crate) fn tamper(&self) -> Tamper {
        self.disk.tamper()
    }

    /// Where the disk's files are.
    pub(crate) fn directory(&self) -> &Path {
        self.disk.directory().unwrap()
    }

    /// With another backend in the place of the one that there was.
    pub(crate) fn with_keys(mut self, keys: Arc<dyn KeyBackend>) -> Self {
        self.backend = Arc::new(FailingBackend::new(Arc::clone(&keys)));
        self.setup.keys = keys;
        self
    }
}
