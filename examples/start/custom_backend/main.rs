//! Keys in a backend of one's own: `backend.rs` is all of it, and a custodian with it signs what
//! the rules allow. This file opens secrets.
#![expect(clippy::print_stdout, reason = "a program that talks")]

mod backend;

use std::path::Path;
use std::sync::Arc;

use custody_audit::TileLog;
use custody_audit::note::KeyName;
use custody_audit::storage::DirectoryTiles;
use custody_chain::EvmDecoder;
use custody_core::amount::Asset;
use custody_core::caip::{AssetId, ChainId};
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Custodian, Genesis, Outcome, Request};
use custody_core::digest::Digest;
use custody_core::id::{
    BackendId, BackendIdentity, CustodianId, KeyId, PayloadFormat, PrincipalId, RequestId, RoleId,
    TierId, WalletId,
};
use custody_core::seam::{
    Clock, Entropy, Exportability, KeyBackend, KeyRecord, KeyRequest, Payload, PolicyDocument,
    Signer, Store,
};
use custody_core::secret::Secret;
use custody_core::tokio::{TokioClock, TokioSpawner};
use custody_soft::{KdfParameters, PassphraseKek, SoftBackend};
use custody_store::SqliteStore;
use examples_start::Failure;
use examples_start::entropy::OsEntropy;
use examples_start::house::{self, ETHER};
use examples_start::people::Person;
use examples_start::transactions::{self, bundled};
use hmac::{Hmac, KeyInit as _, Mac as _};

use backend::MasterBackend;

fn main() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let done = runtime.block_on(run(directory.path()));
    // Whatever still held the store is gone with the runtime, and nothing is written any more.
    drop(runtime);
    directory.close()?;
    done
}

async fn run(directory: &Path) -> Result<(), Failure> {
    let operator = Person::load(&directory.join("people"), "olivia", &["operator"], &OsEntropy)?;
    let master = Secret::try_fill(32, |bytes| OsEntropy.fill(bytes))?;
    let custodian = open(directory, &operator, master_backend(&master)?).await?;
    prepare(&custodian, operator.id()).await?;
    for (number, text) in (1..).zip([bundled::SMALL, bundled::LARGE]) {
        pay(&custodian, operator.id(), number, text).await?;
    }
    Ok(custodian.close().await?)
}

/// The backend over a master secret, which a real host takes from where it keeps such secrets.
fn master_backend(master: &Secret) -> Result<Arc<dyn KeyBackend>, Failure> {
    let master = Hmac::new_from_slice(master.expose())?;
    let print = master.clone().chain_update(b"identity").finalize().into_bytes();
    let identity = BackendIdentity::parse(&format!("master:{}", hex::encode(print)))?;
    Ok(Arc::new(MasterBackend(BackendId::parse("master")?, identity, master)))
}

/// A new custodian whose wallets' keys are in `backend`.
async fn open(
    directory: &Path,
    operator: &Person,
    backend: Arc<dyn KeyBackend>,
) -> Result<Custodian, Failure> {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.join("custody.sqlite"))?);
    let tiles = Arc::new(DirectoryTiles::open(directory.join("log"))?);
    let origin = KeyName::parse("custom-backend/custody")?;
    let signers = vec![log_signer().await?];
    let log = TileLog::open(origin, Arc::clone(&store), tiles, signers).await?;
    let genesis = Genesis {
        policy: PolicyDocument {
            v: 1,
            roles: vec![RoleId::parse("operator")?],
            tiers: vec![TierId::parse("hot")?],
            rules: RULES.to_owned(),
        },
        principals: vec![operator.enrolment()?],
        assets: vec![Asset::new(AssetId::parse(ETHER)?, 18)],
    };
    let custodian = Custodian::builder()
        .store(store)
        .audit(Arc::new(log))
        .clock(Arc::new(TokioClock::new()))
        .entropy(Arc::new(OsEntropy))
        .spawner(Arc::new(TokioSpawner::new(tokio::runtime::Handle::current())))
        .policy(house::compiler()?)
        .decoder(Arc::new(EvmDecoder::new()))
        .backend(backend)
        .create(genesis)
        .await?;
    Ok(custodian)
}

/// Heads of the log are signed with Ed25519, which the backend does not have: a software key does.
async fn log_signer() -> Result<Arc<dyn Signer>, Failure> {
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    let passphrase = Secret::try_fill(32, |bytes| OsEntropy.fill(bytes))?;
    let parameters = KdfParameters::default();
    let (kek, _) = PassphraseKek::create(passphrase, parameters, Arc::clone(&entropy))?;
    let soft = SoftBackend::new(BackendId::parse("software")?, Arc::new(kek), entropy, clock)?;
    let request = KeyRequest {
        custodian: CustodianId::new(Digest::of(b"custom-backend/log-key")),
        wallet: WalletId::parse("log")?,
        key: KeyId::parse("log")?,
        algorithm: Algorithm::Ed25519,
        exportability: Exportability::Never,
    };
    let made = soft.generate(&request).await?;
    let KeyRequest { custodian, wallet, key, .. } = request;
    let (public_key, handle) = (made.public_key, made.handle);
    Ok(soft.signer(&KeyRecord { custodian, wallet, key, public_key, handle }).await?)
}

/// Makes a wallet with one key, in the backend.
async fn prepare(custodian: &Custodian, operator: &PrincipalId) -> Result<(), Failure> {
    let wallet = WalletId::parse("hot")?;
    let create = Command::CreateWallet {
        wallet: wallet.clone(),
        chain: ChainId::parse("eip155:1")?,
        tier: TierId::parse("hot")?,
        backend: BackendId::parse("master")?,
        seed: None,
    };
    let key = Command::CreateKey {
        wallet,
        key: KeyId::parse("hot.0")?,
        algorithm: Algorithm::EcdsaSecp256k1,
        exportability: Exportability::Never,
        start: KeyStart::Active,
    };
    for (id, command) in [("wallet", create), ("key", key)] {
        let request = Request::command(operator.clone(), RequestId::parse(id)?, command);
        let answer = custodian.submit(request).await?;
        let Outcome::Released(_) = answer.outcome else {
            return Err(format!("no {id}: {:?}", answer.outcome).into());
        };
    }
    let key = custodian.key(&KeyId::parse("hot.0")?).ok_or("there is no key")?;
    let account = key.account().ok_or("the key has no account")?;
    println!("wallet hot, key hot.0 in the backend master: {}", account.address());
    Ok(())
}

/// Submits a transaction and prints what became of it.
async fn pay(
    custodian: &Custodian,
    operator: &PrincipalId,
    number: u8,
    text: &str,
) -> Result<(), Failure> {
    let format = PayloadFormat::parse("evm/transaction")?;
    let payload = Payload { format, bytes: transactions::parse(text)? };
    let id = RequestId::parse(&format!("payment-{number}"))?;
    let request = Request::payload(operator.clone(), id, WalletId::parse("hot")?, payload);
    let outcome = custodian.submit(request).await?.outcome;
    if let Outcome::Denied { rules } = &outcome {
        let rules: Vec<_> = rules.iter().map(ToString::to_string).collect();
        println!("denied by {}", rules.join(", "));
        return Ok(());
    }
    let Outcome::Released(release) = outcome else {
        return Err(format!("neither released nor denied: {outcome:?}").into());
    };
    let raw = release.signed.ok_or("nothing was signed")?;
    println!("released: 0x{}", hex::encode(&raw));
    println!("signed by {}", transactions::sender(&raw)?);
    println!("receipt: entry {}", release.receipt.index);
    Ok(())
}

const RULES: &str = r#"
@id("small")
permit (principal in Role::"operator", action == Action::"transfer", resource in Tier::"hot")
when { context.asset == Asset::"eip155:1/slip44:60"
    && context.order.total.lessThanOrEqual(decimal("1.0"))
    && context.spent.wallet.h24.lessThanOrEqual(decimal("10.0")) };
@id("fee")
permit (principal in Role::"operator", action == Action::"pay_fee", resource in Tier::"hot")
when { context.asset == Asset::"eip155:1/slip44:60"
    && context.amount.lessThanOrEqual(decimal("0.05")) };
@id("too-large")
forbid (principal, action == Action::"transfer", resource)
when { context.asset == Asset::"eip155:1/slip44:60"
    && context.order.total.greaterThan(decimal("1.0")) };
@id("house")
permit (principal in Role::"operator", action in [Action::"create_wallet", Action::"create_key",
    Action::"update_policy"], resource);
"#;
