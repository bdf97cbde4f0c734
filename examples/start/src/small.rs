//! A custodian of parts that an example chooses: where keys live, what judges, and who is there.

use std::path::Path;
use std::sync::Arc;

use custody_audit::TileLog;
use custody_audit::note::KeyName;
use custody_audit::storage::DirectoryTiles;
use custody_chain::EvmDecoder;
use custody_core::custodian::{Answer, Custodian, Genesis, Outcome};
use custody_core::id::BackendId;
use custody_core::seam::{Clock, Entropy, KeyBackend, PolicyCompiler, Signer, Store};
use custody_core::secret::Secret;
use custody_core::tokio::{TokioClock, TokioSpawner};
use custody_soft::{KdfParameters, PassphraseKek, SoftBackend};
use custody_store::SqliteStore;

use crate::Failure;
use crate::entropy::OsEntropy;
use crate::{place, transactions};

/// What an example chooses.
#[derive(Debug)]
pub struct Choice {
    /// Where wallets' keys live.
    pub backend: Arc<dyn KeyBackend>,
    /// What compiles and judges the rules.
    pub compiler: Arc<dyn PolicyCompiler>,
    /// The first rules, people and assets.
    pub genesis: Genesis,
}

/// A new custodian in an empty directory: SQLite and a log of files.
pub async fn create(directory: &Path, choice: Choice) -> Result<Custodian, Failure> {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.join("custody.sqlite"))?);
    let tiles = Arc::new(DirectoryTiles::open(directory.join("log"))?);
    let origin = KeyName::parse("example-small/custody")?;
    let signers = vec![log_signer().await?];
    let log = TileLog::open(origin, Arc::clone(&store), tiles, signers).await?;
    let custodian = Custodian::builder()
        .store(store)
        .audit(Arc::new(log))
        .clock(Arc::new(TokioClock::new()))
        .entropy(Arc::new(OsEntropy))
        .spawner(Arc::new(TokioSpawner::new(tokio::runtime::Handle::current())))
        .policy(choice.compiler)
        .decoder(Arc::new(EvmDecoder::new()))
        .backend(choice.backend)
        .create(choice.genesis)
        .await?;
    Ok(custodian)
}

/// Software keys under a passphrase that nobody keeps.
pub fn software() -> Result<SoftBackend, Failure> {
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    let passphrase = Secret::try_fill(32, |bytes| OsEntropy.fill(bytes))?;
    let parameters = KdfParameters::default();
    let (kek, _) = PassphraseKek::create(passphrase, parameters, Arc::clone(&entropy))?;
    Ok(SoftBackend::new(BackendId::parse("software")?, Arc::new(kek), entropy, clock)?)
}

/// Heads of the log are signed with Ed25519, by a key that belongs to no wallet.
async fn log_signer() -> Result<Arc<dyn Signer>, Failure> {
    place::log_signer(&software()?, "example-small/log-key").await
}

/// What became of a payment, in lines; an error if it neither ended nor waits.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
pub fn tell(answer: &Answer) -> Result<Vec<String>, Failure> {
    match &answer.outcome {
        Outcome::Released(release) => {
            let raw = release.signed.as_ref().ok_or("nothing was signed")?;
            Ok(vec![
                format!("released: 0x{}", hex::encode(raw)),
                format!("signed by {}", transactions::sender(raw)?),
                format!("receipt: entry {}", release.receipt.index),
            ])
        }
        Outcome::Pending { missing } => {
            let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
            Ok(vec![format!("waits for {}", missing.join(" or "))])
        }
        Outcome::Denied { rules } => {
            let rules: Vec<_> = rules.iter().map(ToString::to_string).collect();
            Ok(vec![format!("denied by {}", rules.join(", "))])
        }
        other => Err(format!("neither released nor denied: {other:?}").into()),
    }
}
