//! A custodian with one hot wallet below a new seed, as a host would put it together. Its operator
//! may do all that its rules allow.

use std::collections::{BTreeMap, BTreeSet};
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
    BackendId, CredentialId, CustodianId, KeyId, OrganisationId, PrincipalId, RequestId, RoleId,
    TierId, WalletId,
};
use custody_core::principal::{Credential, Principal};
use custody_core::seam::{
    Clock, Decoder, DerivationPath, Entropy, Exportability, KeyBackend, KeyRecord, KeyRequest,
    Payload, PolicyDocument, Signer, Store,
};
use custody_core::secret::Secret;
use custody_core::tokio::{TokioClock, TokioSpawner};
use custody_policy::CedarCompiler;
use custody_soft::{KdfParameters, PassphraseKek, SoftBackend};
use custody_store::SqliteStore;

use crate::Failure;
use crate::entropy::OsEntropy;

/// What a house needs to know about its chain.
#[derive(Debug)]
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
        let (operator, wallet) = (PrincipalId::parse("olivia")?, WalletId::parse("hot")?);
        let custodian = custodian(directory, &operator, &plan).await?;
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

async fn custodian(
    directory: &Path,
    operator: &PrincipalId,
    plan: &Plan,
) -> Result<Custodian, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    let backend = backend(&clock)?;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.join("custody.sqlite"))?);
    let tiles = Arc::new(DirectoryTiles::open(directory.join("log"))?);
    let origin = KeyName::parse("example-chains/custody")?;
    let signers = vec![house_signer(backend.as_ref(), "log").await?];
    let log = TileLog::open(origin, Arc::clone(&store), tiles, signers).await?;
    let genesis = Genesis {
        policy: PolicyDocument {
            v: 1,
            roles: vec![RoleId::parse("operator")?],
            tiers: vec![TierId::parse("hot")?],
            rules: plan.rules.to_owned(),
        },
        principals: vec![principal(operator.clone(), backend.as_ref()).await?],
        assets: vec![plan.coin.clone()],
    };
    let custodian = Custodian::builder()
        .store(store)
        .audit(Arc::new(log))
        .clock(clock)
        .entropy(Arc::new(OsEntropy))
        .spawner(Arc::new(TokioSpawner::new(tokio::runtime::Handle::current())))
        .policy(Arc::new(CedarCompiler::new()?))
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

/// The operator. Nothing here is approved, so nobody needs the private key of the credential; in a
/// real house it is on the operator's own device.
async fn principal(id: PrincipalId, backend: &dyn KeyBackend) -> Result<Principal, Failure> {
    let key = house_signer(backend, "operator").await?.public_key().clone();
    Ok(Principal {
        id,
        organisation: OrganisationId::parse("example-chains")?,
        service: false,
        roles: BTreeSet::from([RoleId::parse("operator")?]),
        credentials: BTreeMap::from([(
            CredentialId::parse("operator-key")?,
            Credential::new(key)?,
        )]),
    })
}

/// A key that belongs to no wallet: it is older than the custodian, whose id covers it.
async fn house_signer(backend: &dyn KeyBackend, name: &str) -> Result<Arc<dyn Signer>, Failure> {
    let request = KeyRequest {
        custodian: CustodianId::new(Digest::of(b"example-chains/house-key")),
        wallet: WalletId::parse("house")?,
        key: KeyId::parse(name)?,
        algorithm: Algorithm::Ed25519,
        exportability: Exportability::Never,
    };
    let made = backend.generate(&request).await?;
    let KeyRequest { custodian, wallet, key, .. } = request;
    let (public_key, handle) = (made.public_key, made.handle);
    Ok(backend.signer(&KeyRecord { custodian, wallet, key, public_key, handle }).await?)
}
