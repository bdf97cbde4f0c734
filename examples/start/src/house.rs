//! A house in a directory: SQLite, software keys under a passphrase, Cedar rules, the Merkle log.
//!
//! ```text
//! DIR/custody.sqlite   records and events
//! DIR/log/             tiles and checkpoint of the log
//! DIR/kek.json         how the key is derived from the passphrase
//! DIR/house.json       the custodian's id and the log's public key: a host keeps them elsewhere
//! DIR/people/          demo people's keys
//! DIR.anchor/          the newest head: a host keeps it on another disk
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use custody_audit::TileLog;
use custody_audit::anchor::{DirectoryAnchor, DirectoryAnchorError};
use custody_audit::note::{KeyName, VerifierKey};
use custody_audit::storage::DirectoryTiles;
use custody_chain::{EvmDecoder, OpaqueDecoder};
use custody_core::amount::Asset;
use custody_core::bytes::HexBytes;
use custody_core::caip::AssetId;
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::custodian::{Answer, Custodian, Error, Genesis};
use custody_core::digest::Digest;
use custody_core::id::{BackendId, CustodianId, KeyId, RoleId, TierId, WalletId};
use custody_core::seam::{
    Clock, Decoder, Entropy, Exportability, KeyBackend, KeyHandle, KeyRecord, KeyRequest,
    PolicyCompiler, PolicyDocument, Signer, Store,
};
use custody_core::secret::Secret;
use custody_core::tokio::{TokioClock, TokioSpawner};
use custody_policy::CedarCompiler;
use custody_soft::{KdfParameters, KekDocument, PassphraseKek, SoftBackend};
use custody_store::SqliteStore;
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::entropy::OsEntropy;
use crate::people::{Person, write_private};

/// The rules of the examples.
pub const TREASURY: &str = include_str!("../../policies/treasury.cedar");

/// The name of the log.
const ORIGIN: &str = "example-treasury/custody";

/// Ether on mainnet.
pub const ETHER: &str = "eip155:1/slip44:60";
/// USDC on mainnet.
pub const USDC: &str = "eip155:1/erc20:0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48";

/// A house that runs.
#[derive(Debug)]
pub struct House {
    /// The custodian.
    pub custodian: Custodian,
    /// Its store.
    pub store: Arc<dyn Store>,
    /// The log's key, as verifiers take it.
    pub log_key: VerifierKey,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// The operator, who also administers.
    pub operator: Person,
    /// The two treasurers.
    pub treasurers: [Person; 2],
    /// Whether the house was made just now.
    pub is_new: bool,
    /// How the orders ended that a stopped process had left allowed and not finished. One that is
    /// unknown stays spent until people resolve it.
    pub resumed: Vec<Answer>,
}

/// What a host keeps in its own configuration.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HouseFile {
    custodian: Option<CustodianId>,
    log_public_key: PublicKey,
    log_handle: HexBytes,
}

impl House {
    /// Opens the house in `directory`, or makes one.
    pub async fn open(directory: &Path, passphrase: Secret) -> Result<Self, Failure> {
        Self::open_drawing(directory, passphrase, Arc::new(OsEntropy)).await
    }

    /// Opens or makes a house whose randomness, keys and all, comes from `entropy`.
    pub async fn open_drawing(
        directory: &Path,
        passphrase: Secret,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, Failure> {
        fs::create_dir_all(directory)?;
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
        let people = directory.join("people");
        let person = |name, roles: &[&str]| Person::load(&people, name, roles, entropy.as_ref());
        let operator = person("olivia", &["operator", "administrator"])?;
        let treasurers = [person("theo", &["treasurer"])?, person("tara", &["treasurer"])?];

        let backend = backend(directory, passphrase, &entropy, &clock)?;
        let house_file = directory.join("house.json");
        let mut house = load_house(&house_file, backend.as_ref()).await?;
        let signer = log_signer(&house, backend.as_ref()).await?;
        let origin = KeyName::parse(ORIGIN)?;
        let log_key = VerifierKey::new(origin.clone(), house.log_public_key.clone())?;
        let anchor = anchor(directory, &origin, house.custodian.is_none())?;
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.join("custody.sqlite"))?);
        let tiles = Arc::new(DirectoryTiles::open(directory.join("log"))?);
        let log = TileLog::open(origin, Arc::clone(&store), tiles, vec![signer]).await?;

        let builder = Custodian::builder()
            .store(Arc::clone(&store))
            .audit(Arc::new(log))
            .anchor(Arc::new(anchor))
            .clock(Arc::clone(&clock))
            .entropy(entropy)
            .spawner(Arc::new(TokioSpawner::new(tokio::runtime::Handle::current())))
            .policy(compiler()?)
            .decoder(Arc::new(EvmDecoder::new()))
            .decoder(Arc::new(OpaqueDecoder::new()))
            .backend(backend);
        let is_new = house.custodian.is_none();
        let custodian = match house.custodian {
            Some(id) => builder.open(id).await?,
            None => builder.create(genesis(&operator, &treasurers)?).await?,
        };
        if is_new {
            house.custodian = Some(custodian.id());
            fs::write(&house_file, serde_json::to_vec_pretty(&house)?)?;
        }
        // What a stopped process left allowed waits for this call, however long.
        let resumed = if is_new { Vec::new() } else { resumed(&custodian).await? };
        Ok(Self { custodian, store, log_key, clock, operator, treasurers, is_new, resumed })
    }
}

/// How what a stopped process left has ended. Nothing goes on by a clock that is behind what was
/// written, and nothing of it is lost: the house opens, so that people can have `confirm_clock`
/// done, and whoever keeps it calls [`Custodian::resume`] again after that.
pub async fn resumed(custodian: &Custodian) -> Result<Vec<Answer>, Failure> {
    match Box::pin(custodian.resume()).await {
        Err(Error::ClockJump) => Ok(Vec::new()),
        resumed => Ok(resumed?),
    }
}

/// The anchor beside the house. Only a house that has no custodian yet may have none.
fn anchor(directory: &Path, origin: &KeyName, is_new: bool) -> Result<DirectoryAnchor, Failure> {
    let directory = directory.canonicalize()?;
    let beside = directory.with_added_extension("anchor");
    match DirectoryAnchor::open(&beside, origin, &[&directory]) {
        Err(DirectoryAnchorError::Missing) if is_new => {
            Ok(DirectoryAnchor::create(&beside, origin, &[&directory])?)
        }
        opened => Ok(opened?),
    }
}

/// The decoders of the examples, for the verifier.
#[must_use]
pub fn decoders() -> Vec<Arc<dyn Decoder>> {
    vec![Arc::new(EvmDecoder::new()), Arc::new(OpaqueDecoder::new())]
}

/// The policy compiler of the examples.
pub fn compiler() -> Result<Arc<dyn PolicyCompiler>, Failure> {
    Ok(Arc::new(CedarCompiler::new()?))
}

/// The rule set of the examples.
pub fn policy() -> Result<PolicyDocument, Failure> {
    let roles = ["operator", "treasurer", "administrator"];
    let tiers = ["hot", "warm", "cold"];
    Ok(PolicyDocument {
        v: 1,
        roles: roles.iter().map(|role| RoleId::parse(role)).collect::<Result<_, _>>()?,
        tiers: tiers.iter().map(|tier| TierId::parse(tier)).collect::<Result<_, _>>()?,
        rules: TREASURY.to_owned(),
    })
}

fn genesis(operator: &Person, treasurers: &[Person; 2]) -> Result<Genesis, Failure> {
    let mut principals = vec![operator.enrolment()?];
    for treasurer in treasurers {
        principals.push(treasurer.enrolment()?);
    }
    Ok(Genesis {
        policy: policy()?,
        principals,
        assets: vec![Asset::new(AssetId::parse(ETHER)?, 18), Asset::new(AssetId::parse(USDC)?, 6)],
    })
}

fn backend(
    directory: &Path,
    passphrase: Secret,
    entropy: &Arc<dyn Entropy>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn KeyBackend>, Failure> {
    let path: PathBuf = directory.join("kek.json");
    let kek = if path.exists() {
        let document = KekDocument::parse(&fs::read(&path)?)?;
        PassphraseKek::open(passphrase, &document, Arc::clone(entropy))?
    } else {
        let parameters = KdfParameters::default();
        let (kek, document) = PassphraseKek::create(passphrase, parameters, Arc::clone(entropy))?;
        write_private(&path, document.to_json().as_bytes())?;
        kek
    };
    let id = BackendId::parse("software")?;
    let backend = SoftBackend::new(id, Arc::new(kek), Arc::clone(entropy), Arc::clone(clock))?;
    Ok(Arc::new(backend))
}

async fn load_house(path: &Path, backend: &dyn KeyBackend) -> Result<HouseFile, Failure> {
    if path.exists() {
        return Ok(serde_json::from_slice(&fs::read(path)?)?);
    }
    let request = KeyRequest {
        custodian: log_binding(),
        wallet: WalletId::parse("log")?,
        key: KeyId::parse("log")?,
        algorithm: Algorithm::Ed25519,
        exportability: Exportability::Never,
    };
    let made = backend.generate(&request).await?;
    let house = HouseFile {
        custodian: None,
        log_public_key: made.public_key,
        log_handle: HexBytes::new(made.handle.as_bytes().to_vec()),
    };
    fs::write(path, serde_json::to_vec_pretty(&house)?)?;
    Ok(house)
}

async fn log_signer(
    house: &HouseFile,
    backend: &dyn KeyBackend,
) -> Result<Arc<dyn Signer>, Failure> {
    let record = KeyRecord {
        custodian: log_binding(),
        wallet: WalletId::parse("log")?,
        key: KeyId::parse("log")?,
        public_key: house.log_public_key.clone(),
        handle: KeyHandle::new(house.log_handle.as_bytes().to_vec()),
    };
    Ok(backend.signer(&record).await?)
}

/// The log's key is older than the custodian, whose id covers it.
fn log_binding() -> CustodianId {
    CustodianId::new(Digest::of(b"custody/log-key"))
}
