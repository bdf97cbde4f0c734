//! A custodian with one hot wallet below a seed, as a host would put it together. Its operator asks,
//! its treasurer approves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use custody_audit::TileLog;
use custody_audit::note::KeyName;
use custody_audit::storage::DirectoryTiles;
use custody_chain::WalletSigner;
use custody_core::amount::Asset;
use custody_core::caip::ChainId;
use custody_core::command::{Command, KeyStart};
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::custodian::{Answer, Custodian, Genesis, Outcome, Request};
use custody_core::digest::Digest;
use custody_core::id::{
    BackendId, CredentialId, CustodianId, KeyId, OrderId, OrganisationId, PrincipalId, RequestId,
    RoleId, TierId, WalletId,
};
use custody_core::principal::{Credential, Principal, Statement, Verb};
use custody_core::seam::{
    Clock, Decoder, DerivationPath, Entropy, Exportability, ExtendedPublicKey, KeyBackend,
    KeyRecord, KeyRequest, Payload, PolicyDocument, Signer, Store,
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

/// A custodian and its people.
#[derive(Debug)]
pub struct House {
    custodian: Custodian,
    clock: Arc<dyn Clock>,
    operator: PrincipalId,
    treasurer: Person,
    wallet: WalletId,
    address: String,
}

/// A person, and what signs for them. In a real house it is on the person's own device.
#[derive(Debug)]
struct Person {
    id: PrincipalId,
    role: RoleId,
    credential: CredentialId,
    key: Arc<dyn Signer>,
}

impl House {
    /// Makes a house in an empty directory, with a wallet below a new seed.
    pub async fn create(directory: &Path, plan: Plan) -> Result<Self, Failure> {
        let backend: Arc<dyn KeyBackend> = Arc::new(backend()?);
        let operator = Person::of("olivia", "operator", backend.as_ref()).await?;
        let treasurer = Person::of("theo", "treasurer", backend.as_ref()).await?;
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
        let people = [&operator, &treasurer];
        let custodian = custodian(directory, (backend, Arc::clone(&clock)), people, &plan).await?;
        let (operator, wallet) = (operator.id, WalletId::parse("hot")?);
        let address = String::new();
        let mut house = Self { custodian, clock, operator, treasurer, wallet, address };
        house.prepare(plan).await?;
        Ok(house)
    }

    /// Submits a payload under a name of its own.
    pub async fn submit(&self, name: &str, payload: Payload) -> Result<Answer, Failure> {
        let (operator, wallet) = (self.operator.clone(), self.wallet.clone());
        let request = Request::payload(operator, RequestId::parse(name)?, wallet, payload);
        Ok(self.custodian.submit(request).await?)
    }

    /// Has a command done, with the treasurer's approval where it waits for one.
    pub async fn execute(&self, name: &str, command: Command) -> Result<(), Failure> {
        let request = Request::command(self.operator.clone(), RequestId::parse(name)?, command);
        let mut answer = self.custodian.submit(request).await?;
        if let Outcome::Pending { .. } = answer.outcome {
            answer = self.approve(&answer.order).await?;
        }
        let Outcome::Released(_) = answer.outcome else {
            return Err(format!("no {name}: {:?}", answer.outcome).into());
        };
        Ok(())
    }

    /// The treasurer approves an order.
    pub async fn approve(&self, order: &OrderId) -> Result<Answer, Failure> {
        let Answer { digest, .. } = self.custodian.order(order).await?;
        let Person { id, role, credential, key } = &self.treasurer;
        let statement = Statement {
            verb: Verb::Approve,
            order: order.clone(),
            digest,
            principal: id.clone(),
            credential: credential.clone(),
            role: role.clone(),
            valid_until: self.clock.now().after(Duration::from_secs(3_600)),
        };
        let digest = statement.signing_digest(&self.custodian.id());
        let signature = key.sign(SignInput::Message(digest.as_bytes())).await?;
        Ok(self.custodian.approve(statement.signed(signature)).await?)
    }

    /// What a payload does, in words. Nothing is signed.
    pub fn effects(&self, payload: Payload) -> Result<Vec<String>, Failure> {
        let (operator, wallet) = (self.operator.clone(), self.wallet.clone());
        let request = Request::payload(operator, RequestId::parse("effects")?, wallet, payload);
        Ok(self.custodian.simulate(request)?.summary)
    }

    /// The wallet as a signer of other libraries, for the operator.
    pub fn signer(&self) -> Result<WalletSigner, Failure> {
        let (custodian, operator) = (self.custodian.clone(), self.operator.clone());
        Ok(WalletSigner::new(custodian, operator, self.wallet.clone(), KeyId::parse(FIRST)?)?)
    }

    /// The extended public key of an account of the wallet, for watching.
    pub async fn account_key(&self, path: &DerivationPath) -> Result<ExtendedPublicKey, Failure> {
        Ok(self.custodian.account_key(&self.wallet, path).await?)
    }

    /// Stops the custodian.
    pub async fn close(self) -> Result<(), Failure> {
        Ok(self.custodian.close().await?)
    }

    /// The wallet.
    #[must_use]
    pub const fn wallet(&self) -> &WalletId {
        &self.wallet
    }

    /// The address of the wallet's first account.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Derives an account of the wallet.
    pub async fn derive(
        &self,
        key: &str,
        path: DerivationPath,
        algorithm: Algorithm,
    ) -> Result<(), Failure> {
        let (wallet, start) = (self.wallet.clone(), KeyStart::Active);
        let id = KeyId::parse(key)?;
        let command = Command::DeriveAccount { wallet, key: id, path, algorithm, start };
        self.execute(key, command).await
    }

    /// Makes the wallet with its seed, and its first account.
    async fn prepare(&mut self, plan: Plan) -> Result<(), Failure> {
        let create = Command::CreateWallet {
            wallet: self.wallet.clone(),
            chain: plan.chain,
            tier: TierId::parse("hot")?,
            backend: BackendId::parse("software")?,
            seed: Some(KeyId::parse("hot.seed")?),
        };
        self.execute("wallet", create).await?;
        self.derive(FIRST, plan.path, plan.algorithm).await?;
        let key = self.custodian.key(&KeyId::parse(FIRST)?).ok_or("there is no key")?;
        let account = key.account().ok_or("the key has no account")?;
        account.address().clone_into(&mut self.address);
        Ok(())
    }
}

impl Person {
    /// A person whose key is older than the custodian.
    async fn of(name: &str, role: &str, backend: &dyn KeyBackend) -> Result<Self, Failure> {
        Ok(Self {
            id: PrincipalId::parse(name)?,
            role: RoleId::parse(role)?,
            credential: CredentialId::parse(&format!("{name}-key"))?,
            key: house_signer(backend, name).await?,
        })
    }

    fn enrolment(&self) -> Result<Principal, Failure> {
        let credential = Credential::new(self.key.public_key().clone())?;
        Ok(Principal {
            id: self.id.clone(),
            organisation: OrganisationId::parse("example-chains")?,
            service: false,
            roles: BTreeSet::from([self.role.clone()]),
            credentials: BTreeMap::from([(self.credential.clone(), credential)]),
        })
    }
}

async fn custodian(
    directory: &Path,
    (backend, clock): (Arc<dyn KeyBackend>, Arc<dyn Clock>),
    people: [&Person; 2],
    plan: &Plan,
) -> Result<Custodian, Failure> {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.join("custody.sqlite"))?);
    let tiles = Arc::new(DirectoryTiles::open(directory.join("log"))?);
    let origin = KeyName::parse("example-chains/custody")?;
    let signers = vec![house_signer(backend.as_ref(), "log").await?];
    let log = TileLog::open(origin, Arc::clone(&store), tiles, signers).await?;
    let genesis = Genesis {
        policy: PolicyDocument {
            v: 1,
            roles: people.iter().map(|person| person.role.clone()).collect(),
            tiers: vec![TierId::parse("hot")?],
            rules: plan.rules.to_owned(),
        },
        principals: people.map(Person::enrolment).into_iter().collect::<Result<_, _>>()?,
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
fn backend() -> Result<SoftBackend, Failure> {
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let passphrase = Secret::try_fill(32, |bytes| OsEntropy.fill(bytes))?;
    let parameters = KdfParameters::default();
    let (kek, _) = PassphraseKek::create(passphrase, parameters, Arc::clone(&entropy))?;
    let (id, clock) = (BackendId::parse("software")?, Arc::new(TokioClock::new()));
    Ok(SoftBackend::new(id, Arc::new(kek), entropy, clock)?)
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

/// The wallet's first key.
const FIRST: &str = "hot.0";
