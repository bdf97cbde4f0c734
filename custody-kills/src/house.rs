//! A kept house: SQLite, the Merkle log in files, software keys under a passphrase, Cedar rules.
//! It differs from a real one in that its passphrase is cheap and its log's key is a test's.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use custody_audit::TileLog;
use custody_audit::note::{KeyName, VerifierKey};
use custody_audit::storage::DirectoryTiles;
use custody_chain::EvmDecoder;
use custody_core::amount::{Asset, Units};
use custody_core::caip::AssetId;
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::custodian::{Config, Custodian, CustodianBuilder, Genesis};
use custody_core::digest::Digest;
use custody_core::id::{BackendId, CustodianId, RoleId, TierId};
use custody_core::seam::{
    BackendError, Clock, Decoder, Entropy, EntropyError, ErrorKind, KeyBackend, PolicyCompiler,
    PolicyDocument, Position, Signer, Store,
};
use custody_core::secret::Secret;
use custody_core::tokio::{TokioClock, TokioSpawner};
use custody_policy::CedarCompiler;
use custody_soft::{KdfParameters, KekDocument, PassphraseKek, SoftBackend};
use custody_store::SqliteStore;
use custody_testkit::backend::{MemoryBackend, SlowBackend};
use custody_testkit::key::TestKey;
use custody_testkit::oracle::{Oracle, Promises};
use custody_testkit::people::People;

use crate::Failure;

/// The rules of the house: those of the examples.
pub const RULES: &str = include_str!("../../examples/policies/treasury.cedar");
/// Ether on mainnet.
pub const ETHER: &str = "eip155:1/slip44:60";
/// One ether in wei.
pub const ETH: u128 = 1_000_000_000_000_000_000;

/// A house that is open.
#[derive(Debug)]
pub struct House {
    /// The custodian.
    pub custodian: Custodian,
    /// Its store.
    pub store: Arc<SqliteStore>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Olivia, operator and administrator; Otto, operator; Theo and Tara, treasurers.
    pub people: People,
}

/// What a house is equipped with.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "tests build it")]
pub struct Equipment {
    /// Limits and time-outs.
    pub config: Config,
    /// Backends besides the software keys, the same at each opening.
    pub vaults: Vec<MemoryBackend>,
    /// The backend whose keys never answer when they are to sign.
    pub hanging: Option<BackendId>,
}

impl Default for Equipment {
    fn default() -> Self {
        Self { config: config(), vaults: Vec::new(), hanging: None }
    }
}

impl Equipment {
    fn backends(&self, software: SoftBackend) -> impl Iterator<Item = Arc<dyn KeyBackend>> {
        let vaults = self.vaults.iter().cloned().map(|vault| Arc::new(vault) as _);
        let all = std::iter::once(Arc::new(software) as Arc<dyn KeyBackend>).chain(vaults);
        all.map(|backend| match &self.hanging {
            Some(id) if id == backend.id() => Arc::new(SlowBackend::hanging(backend)) as _,
            _ => backend,
        })
    }
}

impl House {
    /// Makes a house in a directory, or goes on with the making of one wherever it was stopped.
    /// What it was that had been done: nothing, some of it, or all.
    pub async fn create(directory: &Path) -> Result<Found, Failure> {
        Self::create_with(directory, &Equipment::default()).await
    }

    /// As [`Self::create`], with other equipment than the usual.
    pub async fn create_with(directory: &Path, equipment: &Equipment) -> Result<Found, Failure> {
        if directory.join(CUSTODIAN).exists() {
            return Ok(Found::House);
        }
        if !directory.join(KEK).exists() {
            let parameters = KdfParameters::new(19 * 1_024, 2, 1)?;
            let (_, document) =
                PassphraseKek::create(passphrase(), parameters, Arc::new(SystemEntropy))?;
            write(directory, KEK, document.to_json().as_bytes())?;
        }
        let (builder, store, _) = builder(directory, equipment).await?;
        let first = store.events(Position::START, 1).await?.into_iter().next();
        let (custodian, found) = match first {
            None => (builder.create(genesis()?).await?, Found::Nothing),
            // The id is the hash of the first event, so a host that had no time to note it finds it.
            Some(event) => {
                let id = CustodianId::new(Digest::of(&event.bytes));
                (builder.open(id).await?, Found::Genesis)
            }
        };
        write(directory, CUSTODIAN, &serde_json::to_vec(&custodian.id())?)?;
        custodian.close().await?;
        store.close();
        Ok(found)
    }

    /// Opens what is in the directory, whatever happened to it.
    pub async fn open(directory: &Path) -> Result<Self, Failure> {
        Self::open_with(directory, &Equipment::default()).await
    }

    /// As [`Self::open`], with other equipment than the usual.
    pub async fn open_with(directory: &Path, equipment: &Equipment) -> Result<Self, Failure> {
        let (builder, store, clock) = builder(directory, equipment).await?;
        let custodian = builder.open(id(directory)?).await?;
        Ok(Self { custodian, store, clock, people: people() })
    }

    /// Closes the house; the directory can be opened again.
    pub async fn close(self) -> Result<(), Failure> {
        self.custodian.close().await?;
        drop(self.custodian);
        self.store.close();
        Ok(())
    }
}

/// What a directory held of a house.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing between")]
pub enum Found {
    /// The genesis event, and nobody had noted the id.
    Genesis,
    /// A whole house.
    House,
    /// No custodian.
    Nothing,
}

/// The id of the custodian in the directory.
pub fn id(directory: &Path) -> Result<CustodianId, Failure> {
    Ok(serde_json::from_slice(&fs::read(directory.join(CUSTODIAN))?)?)
}

/// The store of the house alone.
pub fn store(directory: &Path) -> Result<SqliteStore, Failure> {
    Ok(SqliteStore::open(directory.join("custody.sqlite"))?)
}

/// What the rules of the house promise.
pub fn promises() -> Result<Promises, Failure> {
    Ok(Promises {
        asset: Some(AssetId::parse(ETHER)?),
        a_day: Some(Units::from(60 * ETH)),
        // The limit is one ether; the fee may be another twentieth.
        alone: Some((Units::from(ETH + ETH / 20), 2)),
    })
}

/// An oracle of the house, which has read and heard nothing.
pub fn oracle(directory: &Path, promises: Promises) -> Result<Oracle, Failure> {
    let decoders: Vec<Arc<dyn Decoder>> = vec![Arc::new(EvmDecoder::new())];
    Ok(Oracle::new(id(directory)?, compiler()?, decoders, promises))
}

/// The key that verifiers of the log are told.
pub fn log_key() -> Result<VerifierKey, Failure> {
    Ok(VerifierKey::new(origin()?, LogKey::of_the_house().public_key().clone())?)
}

/// The rule set with a remark at its end, which makes it another one.
pub fn policy(remark: &str) -> Result<PolicyDocument, Failure> {
    let (roles, tiers) = (["operator", "treasurer", "administrator"], ["hot", "warm", "cold"]);
    Ok(PolicyDocument {
        v: 1,
        roles: roles.iter().map(|role| RoleId::parse(role)).collect::<Result<_, _>>()?,
        tiers: tiers.iter().map(|tier| TierId::parse(tier)).collect::<Result<_, _>>()?,
        rules: format!("{RULES}\n// {remark}\n"),
    })
}

async fn builder(
    directory: &Path,
    equipment: &Equipment,
) -> Result<(CustodianBuilder, Arc<SqliteStore>, Arc<dyn Clock>), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let document = KekDocument::parse(&fs::read(directory.join(KEK))?)?;
    let kek = PassphraseKek::open(passphrase(), &document, Arc::clone(&entropy))?;
    let backend = SoftBackend::new(
        BackendId::parse("software")?,
        Arc::new(kek),
        Arc::clone(&entropy),
        Arc::clone(&clock),
    )?;
    let store = Arc::new(store(directory)?);
    let shared: Arc<dyn Store> = Arc::<SqliteStore>::clone(&store);
    let tiles = Arc::new(DirectoryTiles::open(directory.join("log"))?);
    let signers: Vec<Arc<dyn Signer>> = vec![Arc::new(LogKey::of_the_house())];
    let log = TileLog::open(origin()?, Arc::clone(&shared), tiles, signers).await?;
    let builder = Custodian::builder()
        .config(equipment.config.clone())
        .store(shared)
        .audit(Arc::new(log))
        .clock(Arc::clone(&clock))
        .entropy(entropy)
        .spawner(Arc::new(TokioSpawner::new(tokio::runtime::Handle::current())))
        .policy(compiler()?)
        .decoder(Arc::new(EvmDecoder::new()));
    let builder = equipment.backends(backend).fold(builder, CustodianBuilder::backend);
    Ok((builder, store, clock))
}

/// Orders that nobody decides outlive a few lives, but not so many that the state gets large;
/// snapshots come often.
fn config() -> Config {
    Config {
        open_per_requester: 100_000,
        open_per_wallet: 100_000,
        sign_timeout: Duration::from_secs(60),
        order_life: Duration::from_secs(5),
        snapshot_interval: 300,
        ..Config::default()
    }
}

fn compiler() -> Result<Arc<dyn PolicyCompiler>, Failure> {
    Ok(Arc::new(CedarCompiler::new()?))
}

fn genesis() -> Result<Genesis, Failure> {
    Ok(Genesis {
        policy: policy("the first")?,
        principals: people().principals(),
        assets: vec![Asset::new(AssetId::parse(ETHER)?, 18)],
    })
}

fn people() -> People {
    People::new(&[
        ("olivia", &["operator", "administrator"]),
        ("otto", &["operator"]),
        ("theo", &["treasurer"]),
        ("tara", &["treasurer"]),
    ])
}

fn passphrase() -> Secret {
    Secret::new(b"a passphrase of a test".to_vec())
}

fn origin() -> Result<KeyName, Failure> {
    Ok(KeyName::parse("example-treasury/custody")?)
}

/// Writes a file whole or not at all.
fn write(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    let unfinished = directory.join(format!("{name}.unfinished"));
    fs::write(&unfinished, bytes)?;
    Ok(fs::rename(unfinished, directory.join(name))?)
}

/// The operating system's generator.
#[derive(Debug)]
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(bytes).map_err(|_| EntropyError::new())
    }
}

/// Signs log heads.
#[derive(Debug)]
pub(crate) struct LogKey(pub(crate) TestKey);

impl LogKey {
    fn of_the_house() -> Self {
        Self(TestKey::seeded(Algorithm::Ed25519, 99))
    }
}

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

const CUSTODIAN: &str = "custodian.json";
const KEK: &str = "kek.json";
