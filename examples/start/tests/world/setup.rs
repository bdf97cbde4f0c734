use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use custody_audit::TileLog;
use custody_audit::log::LogError;
use custody_audit::note::KeyName;
use custody_audit::storage::{MemoryTiles, TileStorage};
use custody_chain::EvmDecoder;
use custody_core::amount::Asset;
use custody_core::caip::AssetId;
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::custodian::{CommandHandler, Config, Custodian, CustodianBuilder, Genesis};
use custody_core::id::BackendId;
use custody_core::seam::{
    AuditLog, BackendError, Checkpoint, Clock, Decoder, Entropy, ErrorKind, KeyBackend,
    PolicyCompiler, Signer, Store,
};
use custody_core::secret::Secret;
use custody_core::tokio::TokioClock;
use custody_policy::CedarCompiler;
use custody_soft::{KdfParameters, PassphraseKek, SoftBackend};
use custody_testkit::audit::{FailingLog, MemoryLog};
use custody_testkit::backend::{FailingBackend, MemoryBackend};
use custody_testkit::key::TestKey;
use custody_testkit::runtime::{TestClock, TestEntropy};
use custody_testkit::store::FaultyStore;
use examples_start::house::{self, ETHER, USDC};

use super::disk::{Disk, Kind};
use super::people::People;

/// What one world is made of.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) kind: Kind,
    pub(crate) log: LogKind,
    pub(crate) config: Config,
    /// The backend, whose id must be `software`; it outlives a crash.
    pub(crate) keys: Arc<dyn KeyBackend>,
    pub(crate) compiler: Arc<dyn PolicyCompiler>,
    pub(crate) decoders: Vec<Arc<dyn Decoder>>,
    /// The rules in force from the start.
    pub(crate) rules: String,
    /// Whether the system's clock counts, in the place of the world's.
    pub(crate) real_time: bool,
    pub(crate) tiles: Arc<dyn TileStorage>,
    /// The time, unless the real one counts.
    pub(crate) clock: TestClock,
    /// Who does extension commands.
    pub(crate) extensions: Vec<Arc<dyn CommandHandler>>,
    /// A custodian that opens again must not draw the order ids of its former life.
    pub(crate) lives: Arc<AtomicU64>,
}

/// Which log a world has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogKind {
    Memory,
    Tiles,
}

impl Setup {
    /// Keys in memory that behave as keys outside the process do, the example rules, a memory log,
    /// virtual time.
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            log: LogKind::Memory,
            config: Config::default(),
            keys: Arc::new(MemoryBackend::seeded("software", 7).outside_process()),
            compiler: Arc::new(CedarCompiler::new().unwrap()),
            decoders: vec![Arc::new(EvmDecoder::new())],
            rules: house::TREASURY.to_owned(),
            real_time: false,
            tiles: Arc::new(MemoryTiles::default()),
            clock: TestClock::new(),
            extensions: Vec::new(),
            lives: Arc::default(),
        }
    }

    /// With this backend.
    pub(crate) fn keys(mut self, keys: Arc<dyn KeyBackend>) -> Self {
        self.keys = keys;
        self
    }

    /// With keys that nobody outside the process can see being used.
    pub(crate) fn in_process(self) -> Self {
        self.keys(Arc::new(MemoryBackend::seeded("software", 7)))
    }

    /// With real software keys, sealed under a passphrase, whose random bytes are reported to
    /// whoever searches the tests' output for secrets.
    pub(crate) fn software(self, seed: u64) -> Self {
        let entropy: Arc<dyn Entropy> = Arc::new(TestEntropy::seeded(seed));
        let passphrase = Secret::new(b"correct horse battery staple".to_vec());
        let parameters = KdfParameters::MINIMUM;
        let made = PassphraseKek::create(passphrase, parameters, Arc::clone(&entropy));
        let (kek, _document) = made.unwrap();
        let (id, clock) = (BackendId::parse("software").unwrap(), self.clock.clone());
        let keys = SoftBackend::new(id, Arc::new(kek), entropy, self.time(&clock)).unwrap();
        self.keys(Arc::new(keys))
    }

    /// With the configuration changed.
    pub(crate) fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    pub(super) fn time(&self, clock: &TestClock) -> Arc<dyn Clock> {
        if self.real_time { Arc::new(TokioClock::new()) } else { Arc::new(clock.clone()) }
    }

    pub(super) fn disk(&self) -> Disk {
        Disk::new(self.kind)
    }

    /// The log over `disk`, taken up at `checkpoint`.
    pub(super) async fn log(
        &self,
        disk: &Disk,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Arc<dyn AuditLog>, LogError> {
        let key = TestKey::seeded(Algorithm::Ed25519, 99);
        let store: Arc<dyn Store> = Arc::new(disk.clone());
        match self.log {
            LogKind::Memory => {
                let log = MemoryLog::new(store, vec![key]);
                log.restore(checkpoint);
                Ok(Arc::new(log))
            }
            LogKind::Tiles => {
                let origin = KeyName::parse("example-treasury/custody").unwrap();
                let signers: Vec<Arc<dyn Signer>> = vec![Arc::new(LogKey(key))];
                let tiles = Arc::clone(&self.tiles);
                Ok(Arc::new(TileLog::open(origin, store, tiles, signers).await?))
            }
        }
    }

    pub(super) fn builder(
        &self,
        store: &Arc<FaultyStore<Disk>>,
        log: &Arc<FailingLog>,
        backend: &Arc<FailingBackend>,
        time: &Arc<dyn Clock>,
    ) -> CustodianBuilder {
        let entropy = TestEntropy::seeded(self.lives.fetch_add(1, Ordering::Relaxed));
        let builder = Custodian::builder()
            .config(self.config.clone())
            .store(Arc::<FaultyStore<Disk>>::clone(store))
            .audit(Arc::<FailingLog>::clone(log))
            .clock(Arc::clone(time))
            .entropy(Arc::new(entropy))
            .policy(Arc::clone(&self.compiler))
            .backend(Arc::<FailingBackend>::clone(backend));
        let decoders = self.decoders.iter().map(Arc::clone);
        let builder = decoders.fold(builder, CustodianBuilder::decoder);
        self.extensions.iter().map(Arc::clone).fold(builder, CustodianBuilder::extension)
    }

    pub(super) fn genesis(&self, people: &People) -> Genesis {
        let mut policy = house::policy().unwrap();
        policy.rules.clone_from(&self.rules);
        let asset = |id, decimals| Asset::new(AssetId::parse(id).unwrap(), decimals);
        Genesis {
            policy,
            principals: people.all().map(|person| person.enrolment()).to_vec(),
            assets: vec![asset(ETHER, 18), asset(USDC, 6)],
        }
    }
}

/// Signs log heads.
#[derive(Debug)]
pub(crate) struct LogKey(pub(crate) TestKey);

#[async_trait]
impl Signer for LogKey {
    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        self.0.sign(input).map_err(|_| BackendError::new(ErrorKind::Unsupported, "sign"))
    }
}
