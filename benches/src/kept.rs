//! A house that stays in its directory, for benches that need a large one or open it again.
//!
//! Keys are spread over many wallets; payments go through all of them or through one.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use custody_audit::TileLog;
use custody_audit::note::KeyName;
use custody_audit::storage::DirectoryTiles;
use custody_chain::EvmDecoder;
use custody_core::bytes::HexBytes;
use custody_core::caip::ChainId;
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::custodian::{Config, Custodian, Outcome, Request};
use custody_core::digest::Digest;
use custody_core::id::{BackendId, CustodianId, KeyId, PrincipalId, RequestId, TierId, WalletId};
use custody_core::seam::{
    Clock, Entropy, Exportability, KeyBackend, KeyHandle, KeyRecord, KeyRequest, Signer, Store,
};
use custody_core::secret::Secret;
use custody_core::tokio::{TokioClock, TokioSpawner};
use custody_policy::CedarCompiler;
use custody_soft::{KdfParameters, KekDocument, PassphraseKek, SoftBackend};
use custody_store::SqliteStore;
use serde::{Deserialize, Serialize};

use crate::house::{OsEntropy, genesis};
use crate::{Failure, load};

/// A house in a directory that is open.
#[derive(Debug)]
pub struct Kept {
    /// Its custodian.
    pub custodian: Custodian,
    /// How long store, log and custodian took to open.
    pub opened_in: Duration,
    /// How many events it has.
    pub events: u64,
}

/// What a host keeps in its own configuration.
#[derive(Serialize, Deserialize)]
struct HouseFile {
    custodian: Option<CustodianId>,
    log_public_key: PublicKey,
    log_handle: HexBytes,
}

/// Opens the house in `directory`, or makes one.
pub async fn open(directory: &Path, in_flight: usize) -> Result<Kept, Failure> {
    fs::create_dir_all(directory)?;
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    let backend = software(directory, &entropy, &clock)?;
    let (path, mut house) = (directory.join("house.json"), house_file(directory, &backend).await?);
    let signer = log_signer(&house, backend.as_ref()).await?;
    let many = in_flight.saturating_mul(2).max(100);
    let config = Config { open_per_requester: many, open_per_wallet: many, ..Config::default() };
    let started = Instant::now();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.join("custody.sqlite"))?);
    let tiles = Arc::new(DirectoryTiles::open(directory.join("log"))?);
    let origin = KeyName::parse("benches")?;
    let log = TileLog::open(origin, Arc::clone(&store), tiles, vec![signer]).await?;
    let builder = Custodian::builder()
        .config(config)
        .store(Arc::clone(&store))
        .audit(Arc::new(log))
        .clock(clock)
        .entropy(entropy)
        .spawner(Arc::new(TokioSpawner::new(tokio::runtime::Handle::current())))
        .policy(Arc::new(CedarCompiler::new()?))
        .decoder(Arc::new(EvmDecoder::new()))
        .backend(backend);
    let custodian = match house.custodian {
        Some(id) => builder.open(id).await?,
        None => builder.create(genesis()?).await?,
    };
    let opened_in = started.elapsed();
    if house.custodian.is_none() {
        house.custodian = Some(custodian.id());
        fs::write(path, serde_json::to_vec(&house)?)?;
    }
    let events = store.head().await?.value();
    Ok(Kept { custodian, opened_in, events })
}

/// What a closed house is archived from: its store, its log and its custodian.
pub async fn closed(directory: &Path) -> Result<(Arc<SqliteStore>, TileLog, CustodianId), Failure> {
    let backend = backend(directory)?;
    let house = house_file(directory, &backend).await?;
    let signer = log_signer(&house, backend.as_ref()).await?;
    let file = Arc::new(SqliteStore::open(directory.join("custody.sqlite"))?);
    let store: Arc<dyn Store> = Arc::<SqliteStore>::clone(&file);
    let tiles = Arc::new(DirectoryTiles::open(directory.join("log"))?);
    let log = TileLog::open(KeyName::parse("benches")?, store, tiles, vec![signer]).await?;
    Ok((file, log, house.custodian.ok_or("the house has no custodian")?))
}

/// The software keys of a house.
pub fn backend(directory: &Path) -> Result<Arc<dyn KeyBackend>, Failure> {
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    software(directory, &entropy, &clock)
}

/// Makes wallets `w-0` to `w-(wallets - 1)` with `keys` keys each.
pub async fn make_wallets(custodian: &Custodian, wallets: u64, keys: u64) -> Result<(), Failure> {
    each(wallets, custodian, move |custodian, number| async move {
        let wallet = wallet(number)?;
        let create = Command::CreateWallet {
            wallet: wallet.clone(),
            chain: ChainId::parse("eip155:1")?,
            tier: TierId::parse("hot")?,
            backend: BackendId::parse("software")?,
            seed: None,
        };
        command(&custodian, &format!("0-{number:08}"), create).await?;
        for index in 0..keys {
            let key = Command::CreateKey {
                wallet: wallet.clone(),
                key: KeyId::parse(&format!("{wallet}.{index}"))?,
                algorithm: Algorithm::EcdsaSecp256k1,
                exportability: Exportability::Never,
                start: KeyStart::Active,
            };
            command(&custodian, &format!("0-{number:08}-{index:04}"), key).await?;
        }
        Ok(())
    })
    .await
}

/// Makes `count` payments of one wei from the first key of one wallet after the other, to 5,000
/// destinations.
pub async fn make_payments(custodian: &Custodian, wallets: u64, count: u64) -> Result<(), Failure> {
    each(count, custodian, move |custodian, number| async move {
        let from = number % wallets;
        let id = format!("1-{number:012}");
        pay(&custodian, from, &id, load::transfer_to(number, number % 5_000)).await
    })
    .await
}

/// Payments for `duration` with `in_flight` at once, from `wallets` wallets in turn; how many were
/// released a second.
pub async fn payments_for(
    custodian: &Custodian,
    in_flight: u64,
    duration: Duration,
    wallets: u64,
) -> Result<f64, Failure> {
    let run = format!("2-{:020}", std::time::UNIX_EPOCH.elapsed()?.as_nanos());
    let (next, run) = (Arc::new(AtomicU64::new(0)), Arc::new(run));
    let started = Instant::now();
    let end = started + duration;
    each(in_flight, custodian, move |custodian, _| {
        let (next, run) = (Arc::clone(&next), Arc::clone(&run));
        async move {
            while Instant::now() < end {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let payload = load::transfer_to(number, number % 5_000);
                pay(&custodian, number % wallets, &format!("{run}-{number:012}"), payload).await?;
                RELEASED.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }
    })
    .await?;
    let released = u32::try_from(RELEASED.swap(0, Ordering::Relaxed))?;
    Ok(f64::from(released) / started.elapsed().as_secs_f64())
}

static RELEASED: AtomicU64 = AtomicU64::new(0);

/// Does `what` for each number below `count`, 256 at a time.
async fn each<F, R>(count: u64, custodian: &Custodian, what: F) -> Result<(), Failure>
where
    F: Fn(Custodian, u64) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<(), Failure>> + Send,
{
    const AT_ONCE: u64 = 256;
    let next = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..AT_ONCE.min(count))
        .map(|_| {
            let (custodian, next, what) = (custodian.clone(), Arc::clone(&next), what.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return Ok::<_, Failure>(());
                    }
                    what(custodian.clone(), number).await?;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await??;
    }
    Ok(())
}

async fn command(custodian: &Custodian, id: &str, command: Command) -> Result<(), Failure> {
    let request = Request::command(PrincipalId::parse("operator")?, RequestId::parse(id)?, command);
    released(custodian, request).await
}

async fn pay(custodian: &Custodian, from: u64, id: &str, bytes: Vec<u8>) -> Result<(), Failure> {
    let (who, payload) = (PrincipalId::parse("operator")?, load::payload(bytes)?);
    let request = Request::payload(who, RequestId::parse(id)?, wallet(from)?, payload);
    released(custodian, request).await
}

async fn released(custodian: &Custodian, request: Request) -> Result<(), Failure> {
    let answer = custodian.submit(request).await?;
    match answer.outcome {
        Outcome::Released(_) => Ok(()),
        outcome => Err(format!("not released: {outcome:?}").into()),
    }
}

fn wallet(number: u64) -> Result<WalletId, Failure> {
    Ok(WalletId::parse(&format!("w-{number}"))?)
}

fn software(
    directory: &Path,
    entropy: &Arc<dyn Entropy>,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn KeyBackend>, Failure> {
    let (path, passphrase) = (directory.join("kek.json"), Secret::new(b"benches only".to_vec()));
    let kek = if path.exists() {
        let document = KekDocument::parse(&fs::read(&path)?)?;
        PassphraseKek::open(passphrase, &document, Arc::clone(entropy))?
    } else {
        let parameters = KdfParameters::new(19 * 1024, 2, 1)?;
        let (kek, document) = PassphraseKek::create(passphrase, parameters, Arc::clone(entropy))?;
        fs::write(&path, document.to_json())?;
        kek
    };
    let id = BackendId::parse("software")?;
    Ok(Arc::new(SoftBackend::new(id, Arc::new(kek), Arc::clone(entropy), Arc::clone(clock))?))
}

async fn house_file(directory: &Path, backend: &Arc<dyn KeyBackend>) -> Result<HouseFile, Failure> {
    let path = directory.join("house.json");
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
    fs::write(path, serde_json::to_vec(&house)?)?;
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

fn log_binding() -> CustodianId {
    CustodianId::new(Digest::of(b"benches/log-key"))
}
