use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};

use async_lock::Semaphore;
use futures::channel::mpsc;

use super::error::OpenError;
use super::extension::CommandHandler;
use super::limits::{Limit, Limited};
use super::open::{self, Opened};
use super::prepare::LIFE_MAX;
use super::recover::{self, Recovery};
use super::sequencer::{Queues, Sequencer};
use super::shared::{Backend, Holds, Published, Shared};
use super::switching::Switches;
use super::{Config, Custodian, Genesis};
use crate::id::CustodianId;
use crate::seam::{
    AuditLog, Clock, Decoder, Entropy, HeadAnchor, KeyBackend, PolicyCompiler, Spawner, Store,
};

/// Puts a custodian together.
#[derive(Debug, Default)]
pub struct CustodianBuilder {
    config: Config,
    store: Option<Arc<dyn Store>>,
    audit: Option<Arc<dyn AuditLog>>,
    anchor: Option<Arc<dyn HeadAnchor>>,
    clock: Option<Arc<dyn Clock>>,
    entropy: Option<Arc<dyn Entropy>>,
    spawner: Option<Arc<dyn Spawner>>,
    compiler: Option<Arc<dyn PolicyCompiler>>,
    decoders: Vec<Arc<dyn Decoder>>,
    backends: Vec<Arc<dyn KeyBackend>>,
    extensions: Vec<Arc<dyn CommandHandler>>,
}

/// All seams, none missing.
pub(super) struct Seams {
    pub(super) config: Config,
    pub(super) store: Arc<dyn Store>,
    pub(super) commits: Arc<dyn Store>,
    pub(super) audit: Arc<dyn AuditLog>,
    pub(super) anchor: Option<Arc<dyn HeadAnchor>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) spawner: Arc<dyn Spawner>,
    pub(super) compiler: Arc<dyn PolicyCompiler>,
    pub(super) decoders: Vec<Arc<dyn Decoder>>,
    pub(super) backends: Vec<Arc<dyn KeyBackend>>,
    pub(super) extensions: Vec<Arc<dyn CommandHandler>>,
}

impl CustodianBuilder {
    /// Limits and time-outs.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Where records and events are kept.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// The log over the events.
    #[must_use]
    pub fn audit(mut self, audit: Arc<dyn AuditLog>) -> Self {
        self.audit = Some(audit);
        self
    }

    /// Where the newest head is kept besides, so that a restored older copy is noticed.
    #[must_use]
    pub fn anchor(mut self, anchor: Arc<dyn HeadAnchor>) -> Self {
        self.anchor = Some(anchor);
        self
    }

    /// Where time comes from.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Where randomness comes from.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = Some(entropy);
        self
    }

    /// What runs tasks.
    #[must_use]
    pub fn spawner(mut self, spawner: Arc<dyn Spawner>) -> Self {
        self.spawner = Some(spawner);
        self
    }

    /// What compiles rules.
    #[must_use]
    pub fn policy(mut self, compiler: Arc<dyn PolicyCompiler>) -> Self {
        self.compiler = Some(compiler);
        self
    }

    /// Adds a decoder. The first one that reads a format decodes it.
    #[must_use]
    pub fn decoder(mut self, decoder: Arc<dyn Decoder>) -> Self {
        self.decoders.push(decoder);
        self
    }

    /// Adds a backend.
    #[must_use]
    pub fn backend(mut self, backend: Arc<dyn KeyBackend>) -> Self {
        self.backends.push(backend);
        self
    }

    /// Adds a handler of extension commands.
    #[must_use]
    pub fn extension(mut self, handler: Arc<dyn CommandHandler>) -> Self {
        self.extensions.push(handler);
        self
    }

    /// Creates a custodian in an empty store, with the backends given here registered.
    ///
    /// # Errors
    /// Fails if a seam is missing, the configuration is refused, the store is not empty, the rules
    /// are refused, or a seam fails.
    ///
    /// # Cancel safety
    /// If dropped, the genesis event may have been written; opening then needs its id.
    pub async fn create(self, genesis: Genesis) -> Result<Custodian, OpenError> {
        let seams = self.seams()?;
        let custodian = open::create(&seams, genesis).await?;
        let opened = open::open(&seams, custodian).await?;
        Ok(start(seams, opened))
    }

    /// Opens a custodian. Its id comes from the host's own configuration, and so does the log key
    /// that the log was given.
    ///
    /// # Errors
    /// Fails if a seam is missing or fails, the configuration is refused, or what is stored is not
    /// what was signed.
    ///
    /// # Cancel safety
    /// Safe: nothing is written but log heads and what a recovery that was cut short has left to do.
    pub async fn open(self, custodian: CustodianId) -> Result<Custodian, OpenError> {
        let seams = self.seams()?;
        let opened = open::open(&seams, custodian).await?;
        Ok(start(seams, opened))
    }

    /// Opens a custodian that was restored from an archive, and records that it was.
    ///
    /// All spending windows start exhausted, orders that waited are cancelled, and those that were
    /// reserved are unknown; what was signed is delivered as always. If a newer head is known than the
    /// restored one, the store is refused, or opened with the whole house frozen. A second call for the
    /// last archive changes nothing more, and [`Self::open`] goes on with a recovery that was cut short.
    ///
    /// The anchor must lead to what was restored, or be a fresh one: an anchor never goes back. The head
    /// of the old one is then among [`Recovery::vouched`]. So it is with the log: its files must be
    /// restored with the store or made anew, and the head of those that survived is vouched for.
    ///
    /// # Errors
    /// As for [`Self::open`]. `RolledBack` if what was restored is refused as older, `AnchorAhead` if it
    /// is not and the anchor keeps the newer head, `Corrupt` if a head that is no larger has another
    /// root, `ClockBehind` if the clock shows an earlier time than the restored events.
    ///
    /// # Security
    /// Whoever opens a restored copy with [`Self::open`] alone has the limits of its time once more.
    /// Never go on where the lost custodian may still run: both would sign. The clock must be right: one
    /// that is ahead of the archive and behind the real time exhausts limits for less than is due.
    ///
    /// # Cancel safety
    /// If dropped, the recovery may be recorded; calling it again goes on.
    pub async fn recover(
        self,
        custodian: CustodianId,
        recovery: Recovery,
    ) -> Result<Custodian, OpenError> {
        let seams = self.seams()?;
        let opened = recover::recover(&seams, custodian, &recovery).await?;
        Ok(start(seams, opened))
    }

    fn seams(self) -> Result<Seams, OpenError> {
        if self.config.order_life > LIFE_MAX {
            return Err(OpenError::Config { what: "an order lives at most 30 days" });
        }
        let incomplete = |what| OpenError::Incomplete { what };
        let clock = self.clock.ok_or(incomplete("clock"))?;
        let store = self.store.ok_or(incomplete("store"))?;
        let audit = self.audit.ok_or(incomplete("log"))?;
        let limit = Limit::new(Arc::clone(&clock), self.config.store_timeout);
        Ok(Seams {
            config: self.config,
            store: Arc::new(Limited::new(Arc::clone(&store), limit.clone())),
            commits: store,
            audit: Arc::new(Limited::new(audit, limit.clone())),
            anchor: self.anchor.map(|anchor| Arc::new(Limited::new(anchor, limit)) as _),
            clock,
            entropy: self.entropy.ok_or(incomplete("source of entropy"))?,
            spawner: self.spawner.ok_or(incomplete("spawner"))?,
            compiler: self.compiler.ok_or(incomplete("policy compiler"))?,
            decoders: self.decoders,
            backends: self.backends,
            extensions: self.extensions,
        })
    }
}

fn start(seams: Seams, opened: Opened) -> Custodian {
    let Opened { ledger, engine, anchored, snapshot } = opened;
    let sealed = AtomicU64::new(ledger.position().value());
    // A channel has one place more than it is asked for, for its sender.
    let places = seams.config.queue.saturating_sub(1);
    let (queue, normal) = mpsc::channel(places);
    let (urgent, urgent_queue) = mpsc::channel(places);
    let (finished, finished_queue) = mpsc::unbounded();
    let permits = seams.config.backend_calls;
    let backends: BTreeMap<_, _> = seams
        .backends
        .into_iter()
        .map(|backend| {
            let (permits, switching) = (Semaphore::new(permits), Semaphore::new(1));
            (backend.id().clone(), Backend { backend, permits, switching })
        })
        .collect();
    let extensions =
        seams.extensions.into_iter().map(|handler| (handler.name().clone(), handler)).collect();
    let switches = Mutex::new(Switches::of(&ledger, &backends, seams.clock.monotonic()));
    let calls = Limit::new(Arc::clone(&seams.clock), seams.config.sign_timeout);
    let shared = Arc::new(Shared {
        calls,
        config: seams.config,
        store: seams.store,
        commits: seams.commits,
        audit: seams.audit,
        anchor: seams.anchor,
        clock: seams.clock,
        entropy: seams.entropy,
        spawner: seams.spawner,
        compiler: seams.compiler,
        decoders: seams.decoders,
        switches,
        backends,
        extensions,
        published: RwLock::new(Published { ledger: Arc::new(ledger), engine }),
        holds: RwLock::new(Holds::default()),
        doubted: AtomicU64::new(0),
        sealed,
        signers: Mutex::new(HashMap::new()),
        log_signers: Mutex::new(Vec::new()),
        queue: Mutex::new(queue),
        urgent: Mutex::new(urgent),
        finished,
        wakeups: Mutex::new(Some(Vec::new())),
        recent: super::shared::Recent::default(),
    });
    open::warn_of_backends(&shared);
    let queues = Queues { urgent: urgent_queue, finished: finished_queue, normal };
    let sequencer = Sequencer::new(Arc::clone(&shared), queues, anchored, snapshot);
    shared.spawner.spawn(Box::pin(sequencer.run()));
    Custodian::new(shared)
}
