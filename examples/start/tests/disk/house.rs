//! A custodian as a host puts it together: SQLite, tiles in a directory, the head kept in another
//! directory, software keys.

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use custody_audit::TileLog;
use custody_audit::anchor::{DirectoryAnchor, DirectoryAnchorError};
use custody_audit::note::KeyName;
use custody_audit::storage::DirectoryTiles;
use custody_chain::EvmDecoder;
use custody_core::amount::{Asset, Units};
use custody_core::caip::{AccountId, AssetId, ChainId};
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Answer, Config, Custodian, Error, Genesis, Outcome, Request};
use custody_core::digest::Digest;
use custody_core::id::{
    BackendId, BookId, CustodianId, EngineId, KeyId, RequestId, TierId, WalletId,
};
use custody_core::principal::Verb;
use custody_core::seam::{
    Authentication, Clock, Decoder, Entropy, Exportability, PolicyCompiler, PolicyDocument,
    PolicyEngine, PolicyError, Position, Signer, Store,
};
use custody_core::tokio::{TokioClock, TokioSpawner};
use custody_policy::CedarCompiler;
use custody_soft::SoftBackend;
use custody_store::SqliteStore;
use custody_testkit::backend::MemoryKeyEncryption;
use custody_testkit::key::TestKey;
use custody_testkit::oracle::{Given, Oracle, Promises};
use custody_testkit::runtime::TestEntropy;
use examples_start::Failure;
use examples_start::house::{ETHER, USDC, policy};

use crate::world::people::{People, Person};
use crate::world::setup::LogKey;
use crate::world::work::{ETH, KNOWN, command, payload};

/// A custodian that runs.
pub(crate) struct House {
    pub(crate) custodian: Custodian,
    pub(crate) store: Arc<SqliteStore>,
    people: People,
    clock: Arc<dyn Clock>,
}

/// The rules' compiler of this process.
pub(crate) static COMPILER: LazyLock<Arc<dyn PolicyCompiler>> = LazyLock::new(|| {
    Arc::new(Remembering { inner: CedarCompiler::new().unwrap(), known: Mutex::default() })
});

/// Compiles a rule set once: the same one is opened and replayed hundreds of times.
#[derive(Debug)]
struct Remembering {
    inner: CedarCompiler,
    known: Mutex<Vec<(PolicyDocument, Arc<dyn PolicyEngine>)>>,
}

impl PolicyCompiler for Remembering {
    fn engine(&self) -> &EngineId {
        self.inner.engine()
    }

    fn compile(&self, rules: &PolicyDocument) -> Result<Arc<dyn PolicyEngine>, PolicyError> {
        let mut known = self.known.lock().unwrap();
        if let Some((_, engine)) = known.iter().find(|(compiled, _)| compiled == rules) {
            return Ok(Arc::clone(engine));
        }
        let engine = self.inner.compile(rules)?;
        known.push((rules.clone(), Arc::clone(&engine)));
        Ok(engine)
    }
}

impl House {
    /// Opens the house in `root`, or makes it if its store is empty. `life` makes what it draws.
    pub(crate) async fn open(root: &Path, life: u64, limit: Duration) -> Result<Self, Failure> {
        let (data, elsewhere) = (root.join("data"), root.join("elsewhere"));
        if !data.is_dir() {
            fs::create_dir(&data)?;
        }
        let store = Arc::new(SqliteStore::open(data.join("custody.sqlite"))?);
        let origin = KeyName::parse("example-treasury/custody")?;
        let first = store.events(Position::START, 1).await?.into_iter().next();
        let anchor = match DirectoryAnchor::open(&elsewhere, &origin, &[&data]) {
            Err(DirectoryAnchorError::Missing) if first.is_none() => {
                DirectoryAnchor::create(&elsewhere, &origin, &[&data])?
            }
            opened => opened?,
        };
        let events: Arc<dyn Store> = Arc::<SqliteStore>::clone(&store);
        // Each write of the log's files has its turn to fail.
        let tiles = DirectoryTiles::open(data.join("log"))?.with_pace(Duration::ZERO);
        let key = LogKey(TestKey::seeded(Algorithm::Ed25519, 99));
        let signers: Vec<Arc<dyn Signer>> = vec![Arc::new(key)];
        let log = TileLog::open(origin, Arc::clone(&events), Arc::new(tiles), signers).await?;

        let entropy: Arc<dyn Entropy> = Arc::new(TestEntropy::seeded(life));
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
        let (id, kek) = (BackendId::parse("software")?, MemoryKeyEncryption::seeded(7));
        let keys = SoftBackend::new(id, Arc::new(kek), Arc::clone(&entropy), Arc::clone(&clock))?;
        let builder = Custodian::builder()
            .config(Config { store_timeout: limit, ..Config::default() })
            .store(events)
            .audit(Arc::new(log))
            .anchor(Arc::new(anchor))
            .clock(Arc::clone(&clock))
            .entropy(entropy)
            .spawner(Arc::new(TokioSpawner::new(tokio::runtime::Handle::current())))
            .policy(Arc::clone(&COMPILER))
            .decoder(Arc::new(EvmDecoder::new()))
            .backend(Arc::new(keys));
        let people = People::new();
        let custodian = match first {
            None => builder.create(genesis(&people)?).await?,
            Some(first) => builder.open(CustodianId::new(Digest::of(&first.bytes))).await?,
        };
        Ok(Self { custodian, store, people, clock })
    }

    /// Makes an address known, and the wallet `hot` with the active key `hot.0`.
    pub(crate) async fn furnish(&self) -> Result<(), Error> {
        drop(self.govern("known", add_known()).await?);
        let wallet = WalletId::parse("hot").unwrap();
        let made = Command::CreateWallet {
            wallet: wallet.clone(),
            chain: ChainId::parse("eip155:1").unwrap(),
            tier: TierId::parse("hot").unwrap(),
            backend: BackendId::parse("software").unwrap(),
            seed: None,
        };
        drop(self.govern("wallet", made).await?);
        let key = Command::CreateKey {
            wallet,
            key: KeyId::parse("hot.0").unwrap(),
            algorithm: Algorithm::EcdsaSecp256k1,
            exportability: Exportability::Never,
            start: KeyStart::Active,
        };
        self.govern("key", key).await.map(drop)
    }

    /// Asks for a payment to the known address, by olivia.
    pub(crate) async fn pay(&self, id: &str, wei: u128) -> Result<Answer, Error> {
        let nonce =
            u32::from_be_bytes(*Digest::of(id.as_bytes()).as_bytes().first_chunk().unwrap());
        let payload = payload(wei, KNOWN, u64::from(nonce));
        let (id, wallet) = (RequestId::parse(id).unwrap(), WalletId::parse("hot").unwrap());
        let login = Authentication { factors: 2, age_ms: 60_000, ip: None, signed: false };
        let request = Request::payload(self.people.olivia.id.clone(), id, wallet, payload);
        Box::pin(self.custodian.submit(request.authenticated(login))).await
    }

    /// Asks for a command, by olivia, which both treasurers approve.
    pub(crate) async fn govern(&self, id: &str, work: Command) -> Result<Answer, Error> {
        let request = command(&self.people.olivia, id, work);
        let answer = Box::pin(self.custodian.submit(request)).await?;
        self.approve_all(answer).await
    }

    /// Both treasurers approve, one after the other, as long as the order waits.
    pub(crate) async fn approve_all(&self, mut answer: Answer) -> Result<Answer, Error> {
        for person in [&self.people.theo, &self.people.tara] {
            if matches!(answer.outcome, Outcome::Pending { .. }) {
                answer = self.approve(person, &answer).await?;
            }
        }
        Ok(answer)
    }

    /// What a caller was given who had asked for `request`, by olivia.
    pub(crate) fn given(&self, request: &str, answer: &Answer) -> Given {
        let id = RequestId::parse(request).unwrap();
        Given::answer_to(self.people.olivia.id.clone(), id, answer)
    }

    /// An oracle of this house, which has read and heard nothing.
    pub(crate) fn oracle(&self) -> Oracle {
        let decoders: Vec<Arc<dyn Decoder>> = vec![Arc::new(EvmDecoder::new())];
        let promises = Promises {
            asset: Some(AssetId::parse(ETHER).unwrap()),
            a_day: Some(Units::from(60 * ETH)),
            // The limit is one ether; the fee may be another twentieth.
            alone: Some((Units::from(ETH + ETH / 20), 2)),
        };
        Oracle::new(self.custodian.id(), Arc::clone(&COMPILER), decoders, promises)
    }

    async fn approve(&self, person: &Person, answer: &Answer) -> Result<Answer, Error> {
        let until = self.clock.now().after(Duration::from_secs(3_600));
        let statement = person.statement(Verb::Approve, answer, until);
        let approval = person.sign(&self.custodian.id(), statement);
        Box::pin(self.custodian.approve(approval)).await
    }
}

/// The command that makes the address known that is paid.
pub(crate) fn add_known() -> Command {
    let account = AccountId::parse(&format!("eip155:1:{KNOWN}")).unwrap();
    Command::AddAddress { book: BookId::parse("customers").unwrap(), account }
}

fn genesis(people: &People) -> Result<Genesis, Failure> {
    let asset = |id, decimals| Ok::<_, Failure>(Asset::new(AssetId::parse(id)?, decimals));
    Ok(Genesis {
        policy: policy()?,
        principals: people.all().map(|person| person.enrolment()).to_vec(),
        assets: vec![asset(ETHER, 18)?, asset(USDC, 6)?],
    })
}
