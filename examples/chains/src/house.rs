//! A custodian with one hot wallet below a new seed, as a host would put it together. Its operator
//! may do all that its rules allow.

use std::path::Path;
use std::sync::Arc;

use custody_audit::TileLog;
use custody_audit::note::KeyName;
use custody_audit::storage::DirectoryTiles;
use custody_core::amount::Asset;
use custody_core::caip::ChainId;
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::Algorithm;
use custody_core::custodian::{Answer, Custodian, Genesis, Outcome, Request};
use custody_core::digest::Digest;
use custody_core::id::{
    BackendId, CustodianId, KeyId, PrincipalId, RequestId, RoleId, TierId, WalletId,
};
use custody_core::seam::{
    Clock, Decoder, DerivationPath, Entropy, Exportability, KeyBackend, KeyRecord, KeyRequest,
    Payload, PolicyDocument, Signer, Store,
};
use custody_core::secret::Secret;
use custody_core::tokio::{TokioClock, TokioSpawner};
use custody_soft::{KdfParameters, PassphraseKek, SoftBackend};
use custody_store::SqliteStore;
use examples_start::entropy::OsEntropy;
use examples_start::people::Person;

use crate::Failure;

/// What a house needs to know about its chain.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "examples build it")]
pub struct Plan {
    /// The wallet's chain.
    pub chain: ChainId,
    /// The coin, with its decimals.
    pub coin: Asset,
    /// What reads its payloads.
    pub decoder: Arc<dyn Decoder>,
    /// Where the first account is.
    pub path: DerivationPath,
    /// The algorithm of its key.
    pub algorithm: Algorithm,
    /// The rules.
    pub rules: &'static str,
}

/// A custodian and its operator.
#[derive(Debug)]
pub struct House {
    custodian: Custodian,
    operator: PrincipalId,
    wallet: WalletId,
    address: String,
}

impl House {
    /// Makes a house in an empty directory.
    pub async fn create(directory: &Path, plan: Plan) -> Result<Self, Failure> {
        let operator =
            Person::load(&directory.join("people"), "olivia", &["operator"], &OsEntropy)?;
        let custodian = custodian(directory, &operator, &plan).await?;
        let (operator, wallet) = (operator.id().clone(), WalletId::parse("hot")?);
        let mut house = Self { custodian, operator, wallet, address: String::new() };
        house.prepare(plan).await?;
        Ok(house)
    }

    /// Submits a payload under a name of its own.
    pub async fn submit(&self, name: &str, payload: Payload) -> Result<Answer, Failure> {
        let (operator, wallet) = (self.operator.clone(), self.wallet.clone());
        let request = Request::payload(operator, RequestId::parse(name)?, wallet, payload);
        Ok(self.custodian.submit(request).await?)
    }

    /// Stops the custodian.
    pub async fn close(self) -> Result<(), Failure> {
        Ok(self.custodian.close().await?)
    }

    /// The address of the wallet's account.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Makes a wallet with a new seed, and its first account.
    async fn prepare(&mut self, plan: Plan) -> Result<(), Failure> {
        let key = KeyId::parse("hot.0")?;
        let create = Command::CreateWallet {
            wallet: self.wallet.clone(),
            chain: plan.chain,
            tier: TierId::parse("hot")?,
            backend: BackendId::parse("software")?,
            seed: Some(KeyId::parse("hot.seed")?),
        };
        let derive = Command::DeriveAccount {
            wallet: self.wallet.clone(),
            key: key.clone(),
            path: plan.path,
            algorithm: plan.algorithm,
            start: KeyStart::Active,
        };
        for (name, command) in [("wallet", create), ("account", derive)] {
            let id = RequestId::parse(name)?;
            let request = Request::command(self.operator.clone(), id, command);
            let outcome = self.custodian.submit(request).await?.outcome;
            let Outcome::Released(_) = outcome else {
                return Err(format!("no {name}: {outcome:?}").into());
            };
        }
        let key = self.custodian.key(&key).ok_or("there is no key")?;
        let account = key.account().ok_or("the key has no account")?;
        account.address().clone_into(&mut self.address);
        Ok(())
    }
}

async fn custodian(directory: &Path, operator: &Person, plan: &Plan) -> Result<Custodian, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    let backend = backend(&clock)?;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.join("custody.sqlite"))?);
    let tiles = Arc::new(DirectoryTiles::open(directory.join("log"))?);
    let origin = KeyName::parse("example-chains/custody")?;
    let signers = vec![log_signer(backend.as_ref()).await?];
    let log = TileLog::open(origin, Arc::clone(&store), tiles, signers).await?;
    let genesis = Genesis {
        policy: PolicyDocument {
            v: 1,
            roles: vec![RoleId::parse("operator")?],
            tiers: vec![TierId::parse("hot")?],
            rules: plan.rules.to_owned(),
        },
        principals: vec![operator.enrolment()?],
        assets: vec![plan.coin.clone()],
    };
    let custodian = Custodian::builder()
        .store(store)
        .audit(Arc::new(log))
        .clock(clock)
        .entropy(Arc::new(OsEntropy))
        .spawner(Arc::new(TokioSpawner::new(tokio::runtime::Handle::current())))
        .policy(examples_start::house::compiler()?)
        .decoder(Arc::clone(&plan.decoder))
        .backend(backend)
        .create(genesis)
        .await?;
    Ok(custodian)
}

/// Software keys under a passphrase that nobody keeps: the house is gone with its directory.
fn backend(clock: &Arc<dyn Clock>) -> Result<Arc<dyn KeyBackend>, Failure> {
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let passphrase = Secret::try_fill(32, |bytes| OsEntropy.fill(bytes))?;
    let parameters = KdfParameters::default();
    let (kek, _) = PassphraseKek::create(passphrase, parameters, Arc::clone(&entropy))?;
    let id = BackendId::parse("software")?;
    Ok(Arc::new(SoftBackend::new(id, Arc::new(kek), entropy, Arc::clone(clock))?))
}

async fn log_signer(backend: &dyn KeyBackend) -> Result<Arc<dyn Signer>, Failure> {
    let request = KeyRequest {
        custodian: CustodianId::new(Digest::of(b"example-chains/log-key")),
        wallet: WalletId::parse("log")?,
        key: KeyId::parse("log")?,
        algorithm: Algorithm::Ed25519,
        exportability: Exportability::Never,
    };
    let made = backend.generate(&request).await?;
    let KeyRequest { custodian, wallet, key, .. } = request;
    let (public_key, handle) = (made.public_key, made.handle);
    Ok(backend.signer(&KeyRecord { custodian, wallet, key, public_key, handle }).await?)
}
