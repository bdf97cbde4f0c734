use std::sync::{Arc, Mutex};

use custody_core::custodian::{Custodian, CustodianBuilder, OpenError};
use custody_core::id::CustodianId;
use custody_core::seam::{AuditError, AuditLog, Checkpoint, Clock, ErrorKind};
use custody_testkit::audit::FailingLog;
use custody_testkit::backend::FailingBackend;
use custody_testkit::runtime::TestClock;
use custody_testkit::store::FaultyStore;

use super::disk::Disk;
use super::people::People;
use super::tasks::Tasks;
use super::{GivenOut, Remains, Setup, World};

/// All that a custodian lives in, before there is one.
pub(crate) struct Ground {
    pub(crate) store: Arc<FaultyStore<Disk>>,
    pub(crate) log: Arc<FailingLog>,
    pub(crate) people: People,
    setup: Setup,
    backend: Arc<FailingBackend>,
    clock: TestClock,
    time: Arc<dyn Clock>,
    sealed: Arc<dyn AuditLog>,
    tasks: Tasks,
}

impl Ground {
    /// Over an empty disk.
    pub(crate) async fn new(setup: Setup) -> Self {
        let disk = setup.disk();
        let backend = Arc::new(FailingBackend::new(Arc::clone(&setup.keys)));
        Self::over(setup, disk, None, backend).await.unwrap()
    }

    /// Over a disk, with a log taken up at `checkpoint`.
    pub(super) async fn over(
        setup: Setup,
        disk: Disk,
        checkpoint: Option<Checkpoint>,
        backend: Arc<FailingBackend>,
    ) -> Result<Self, OpenError> {
        crate::world::traces::install();
        let clock = setup.clock.clone();
        let refused = |error| AuditError::new(ErrorKind::Corrupt, "open").with_source(error);
        let sealed = setup.log(&disk, checkpoint).await.map_err(refused)?;
        Ok(Self {
            store: Arc::new(FaultyStore::new(disk)),
            log: Arc::new(FailingLog::new(Arc::clone(&sealed))),
            people: People::new(),
            time: setup.time(&clock),
            tasks: Tasks::new(),
            setup,
            backend,
            clock,
            sealed,
        })
    }

    fn builder(&self) -> CustodianBuilder {
        let builder = self.setup.builder(&self.store, &self.log, &self.backend, &self.time);
        builder.spawner(Arc::new(self.tasks.clone()))
    }

    /// A custodian at its genesis event.
    pub(crate) async fn create(&self) -> Result<Custodian, OpenError> {
        self.builder().create(self.setup.genesis(&self.people)).await
    }

    /// The custodian that the disk is of.
    pub(crate) async fn open(&self, id: CustodianId) -> Result<Custodian, OpenError> {
        self.builder().open(id).await
    }

    /// The world with its custodian, which has given out so much in its former lives.
    pub(crate) fn world(self, custodian: Custodian, given: GivenOut) -> World {
        World {
            id: custodian.id(),
            custodian,
            store: self.store,
            log: self.log,
            backend: self.backend,
            clock: self.clock,
            people: self.people,
            tasks: self.tasks,
            setup: self.setup,
            time: self.time,
            sealed: self.sealed,
            given: Mutex::new(given),
        }
    }

    /// What is left of a beginning that did not succeed, of the custodian `id`.
    pub(crate) async fn crash(self, id: CustodianId) -> Remains {
        self.tasks.kill().await;
        let checkpoint = self.sealed.head().await.unwrap();
        let disk = self.store.inner().clone();
        let remains = Remains {
            clock: self.clock,
            setup: self.setup,
            checkpoint,
            disk: disk.clone(),
            backend: self.backend,
            id,
            given: GivenOut::new(),
        };
        drop((self.store, self.log, self.sealed));
        disk.close();
        remains
    }
}
