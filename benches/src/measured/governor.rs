//! A custodian over a backend: rules, a durable store, a log, all of them timed.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use custody_audit::TileLog;
use custody_audit::note::KeyName;
use custody_audit::storage::DirectoryTiles;
use custody_bench::harness::stage::{
    Stage, Stages, TimedBackend, TimedCompiler, TimedDecoder, TimedLog, TimedStore,
};
use custody_bench::harness::{Answer, Governed, Governor, Job, Manner, Target, Wrong};
use custody_chain::{EvmDecoder, OpaqueDecoder};
use custody_core::caip::ChainId;
use custody_core::command::{Command, CommandResult, KeyStart};
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::custodian::{Config, Custodian, Genesis, Outcome, Request};
use custody_core::id::{KeyId, PayloadFormat, PrincipalId, RequestId, TierId, WalletId};
use custody_core::seam::{
    Clock, ContextAccount, DecodeContext, Decoder, Entropy, Exportability, Payload, Store,
};
use custody_core::tokio::{TokioClock, TokioSpawner};
use custody_policy::CedarCompiler;
use custody_store::SqliteStore;
use tempfile::TempDir;

use crate::house::{self, OsEntropy};
use crate::{Failure, load};

/// A house as a host puts it together: SQLite on the disk of the results, fifty rules of which five
/// can match, a Merkle log whose heads are signed. With secp256k1 it pays on an EVM chain, with
/// other algorithms it signs opaque bytes, under one rule more.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct House;

#[async_trait]
impl Governor for House {
    async fn govern(&self, governed: Governed) -> Result<Arc<dyn Target>, String> {
        open(governed).await.map_err(|error| error.to_string())
    }
}

async fn open(governed: Governed) -> Result<Arc<dyn Target>, Failure> {
    // A run that was killed may have left a house of its own.
    let folder = tempfile::tempdir_in(&governed.folder)?;
    let (custodian, decoder) = custodian(&governed, folder.path()).await?;
    let backend = governed.backend.id().clone();
    let wallet = Command::CreateWallet {
        wallet: WalletId::parse(WALLET)?,
        chain: ChainId::parse(CHAIN)?,
        tier: TierId::parse("hot")?,
        backend,
        seed: None,
    };
    let key = Command::CreateKey {
        wallet: WalletId::parse(WALLET)?,
        key: KeyId::parse(KEY)?,
        algorithm: governed.algorithm,
        exportability: Exportability::Never,
        start: KeyStart::Active,
    };
    let mut public_key = None;
    for (number, command) in [wallet, key].into_iter().enumerate() {
        let id = RequestId::parse(&format!("0-setup-{number}"))?;
        let request = Request::command(PrincipalId::parse("operator")?, id, command);
        match custodian.submit(request).await?.outcome {
            Outcome::Released(release) => {
                if let Some(CommandResult::Key { public_key: made, .. }) = release.result {
                    public_key = Some(made);
                }
            }
            outcome => return Err(format!("the set-up was not released: {outcome:?}").into()),
        }
    }
    let public_key = public_key.ok_or("no key was made")?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let context = context(&public_key)?;
    let run = since.as_nanos();
    let stages = Arc::clone(&governed.stages);
    Ok(Arc::new(Wallet { custodian, decoder, context, public_key, run, stages, _folder: folder }))
}

async fn custodian(
    governed: &Governed,
    folder: &Path,
) -> Result<(Custodian, Arc<dyn Decoder>), Failure> {
    let stages = || Arc::<Stages>::clone(&governed.stages);
    let decoder: Arc<dyn Decoder> = match governed.algorithm {
        Algorithm::EcdsaSecp256k1 => Arc::new(EvmDecoder::new()),
        _ => Arc::new(OpaqueDecoder::new()),
    };
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.join("custody.sqlite"))?);
    let store: Arc<dyn Store> = Arc::new(TimedStore::new(store, stages()));
    let tiles = Arc::new(DirectoryTiles::open(folder.join("log"))?);
    let origin = KeyName::parse("benches")?;
    let log =
        TileLog::open(origin, Arc::clone(&store), tiles, vec![house::log_key().await?]).await?;
    let many = governed.concurrency.saturating_mul(2).max(100);
    let config = Config { open_per_requester: many, open_per_wallet: many, ..Config::default() };
    let custodian = Custodian::builder()
        .config(config)
        .store(store)
        .audit(Arc::new(TimedLog::new(Arc::new(log), stages())))
        .clock(clock)
        .entropy(entropy)
        .spawner(Arc::new(TokioSpawner::new(tokio::runtime::Handle::current())))
        .policy(Arc::new(TimedCompiler::new(Arc::new(CedarCompiler::new()?), stages())))
        .decoder(Arc::new(TimedDecoder::new(Arc::clone(&decoder), stages())))
        .backend(Arc::new(TimedBackend::new(Arc::clone(&governed.backend), stages())))
        .create(genesis(governed.algorithm)?)
        .await?;
    Ok((custodian, decoder))
}

fn genesis(algorithm: Algorithm) -> Result<Genesis, Failure> {
    let mut genesis = house::genesis()?;
    if algorithm != Algorithm::EcdsaSecp256k1 {
        genesis.policy.rules.push_str(OPAQUE);
    }
    Ok(genesis)
}

fn context(public_key: &PublicKey) -> Result<DecodeContext, Failure> {
    let account =
        ContextAccount { key: KeyId::parse(KEY)?, public_key: public_key.clone(), path: None };
    Ok(DecodeContext {
        v: 1,
        wallet: WalletId::parse(WALLET)?,
        chain: ChainId::parse(CHAIN)?,
        accounts: vec![account],
        descriptors: Vec::new(),
    })
}

#[derive(Debug)]
struct Wallet {
    custodian: Custodian,
    decoder: Arc<dyn Decoder>,
    context: DecodeContext,
    public_key: PublicKey,
    /// What tells the requests of this run from those of others.
    run: u128,
    stages: Arc<Stages>,
    /// Where the house lies; it goes with it.
    _folder: TempDir,
}

impl Wallet {
    fn payload(&self, job: &Job) -> Result<Payload, Failure> {
        let (format, bytes) = match self.public_key.algorithm() {
            Algorithm::EcdsaSecp256k1 => ("evm/transaction", transfer(job)),
            _ => ("opaque", job.digest.to_vec()),
        };
        Ok(Payload { format: PayloadFormat::parse(format)?, bytes })
    }

    fn request(&self, job: &Job) -> Result<Request, Failure> {
        let id = RequestId::parse(&format!("1-{:020}-{:016}", self.run, job.number))?;
        let (requester, wallet) = (PrincipalId::parse("operator")?, WalletId::parse(WALLET)?);
        Ok(Request::payload(requester, id, wallet, self.payload(job)?))
    }
}

#[async_trait]
impl Target for Wallet {
    fn manner(&self) -> Manner {
        Manner::Tasks
    }

    async fn sign(&self, job: &Job) -> Result<Answer, String> {
        let request = self.request(job).map_err(|error| error.to_string())?;
        let answer = self.custodian.submit(request).await.map_err(|error| error.to_string())?;
        match answer.outcome {
            Outcome::Released(release) => {
                let first = release.signatures.into_iter().next().ok_or("nothing was signed")?;
                Ok(Answer::Signature(first.signature))
            }
            outcome => Err(format!("not released: {outcome:?}")),
        }
    }

    fn verify(&self, job: &Job, answer: &Answer) -> Result<(), Wrong> {
        let Answer::Signature(signature) = answer else {
            return Err(Wrong::new("it is of another form"));
        };
        let payload = self.payload(job).map_err(Wrong::new)?;
        let intent = self.decoder.decode(&payload, &self.context).map_err(Wrong::new)?;
        let task = intent.tasks.first().ok_or_else(|| Wrong::new("nothing was to be signed"))?;
        // As the custodian does before it releases.
        let (signature, input) = (signature.clone(), task.input.as_input());
        let checked = || signature.checked(&self.public_key, input);
        self.stages.time(Stage::Verify, checked).map(drop).map_err(Wrong::new)
    }
}

/// A payment whose nonce is the job's number and whose destination follows from its digest.
fn transfer(job: &Job) -> Vec<u8> {
    let [a, b, c, d, e, f, g, h, ..] = job.digest;
    load::transfer_to(job.number, u64::from_be_bytes([a, b, c, d, e, f, g, h]))
}

const WALLET: &str = "hot";
const KEY: &str = "hot.0";
const CHAIN: &str = "eip155:1";
const OPAQUE: &str = r#"
@id("opaque")
permit (principal in Role::"operator", action == Action::"sign_opaque", resource == Wallet::"hot");
"#;
