//! A custodian under the rules of the treasury, with two backends: keys that KMS keeps, and keys that are
//! sealed under a key of KMS. The key that signs the heads of its log is one that KMS keeps.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use custody_audit::TileLog;
use custody_audit::note::{KeyName, VerifierKey};
use custody_audit::storage::DirectoryTiles;
use custody_chain::EvmDecoder;
use custody_core::amount::Asset;
use custody_core::caip::AssetId;
use custody_core::command::Command;
use custody_core::custodian::{Answer, Custodian, Genesis, Outcome, Request};
use custody_core::id::{CustodianId, KeyId, PayloadFormat, RequestId, WalletId};
use custody_core::seam::{Authentication, Clock, KeyBackend, KeyEncryption, Payload};
use custody_core::tokio::{TokioClock, TokioSpawner};
use custody_kms::KmsBackend;
use custody_store::SqliteStore;
use examples_start::entropy::OsEntropy;
use examples_start::house::{self, ETHER, USDC};
use examples_start::people::Person;
use examples_start::place::{self, InUse};
use examples_start::reseal::{Passage, Progress, Resealing};
use examples_start::{hot, transactions};

use crate::Failure;

/// What an example chooses.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Keys that KMS keeps, the log's among them.
    pub native: Arc<KmsBackend>,
    /// Keys that are sealed under a key of KMS.
    pub sealed: Arc<dyn KeyBackend>,
    /// What seals the store, if anything does.
    pub sealed_by: Option<Arc<dyn KeyEncryption>>,
}

/// A custodian and its people.
#[derive(Debug)]
pub struct House {
    house: house::House,
    in_use: InUse,
}

impl House {
    /// Makes a house in an empty directory.
    pub async fn create(directory: &Path, parts: Parts) -> Result<Self, Failure> {
        Self::put_together(directory, parts, None).await
    }

    /// Opens the house in a directory.
    pub async fn open(directory: &Path, parts: Parts, id: CustodianId) -> Result<Self, Failure> {
        Self::put_together(directory, parts, Some(id)).await
    }

    /// The custodian.
    #[must_use]
    pub const fn custodian(&self) -> &Custodian {
        &self.house.custodian
    }

    /// How the orders ended that a stopped process had left allowed and not finished.
    pub fn resumed(&self) -> &[Answer] {
        &self.house.resumed
    }

    /// Has a command done, approved by as many as it waits for.
    pub async fn execute(&self, name: &str, command: Command) -> Result<(), Failure> {
        let (operator, id) = (self.house.operator.id().clone(), RequestId::parse(name)?);
        let asked = self.custodian().submit(Request::command(operator, id, command)).await?;
        let answer = hot::approve(&self.house, &asked.order).await?;
        let Outcome::Released(_) = answer.outcome else {
            return Err(format!("no {name}: {:?}", answer.outcome).into());
        };
        Ok(())
    }

    /// Asks for the signature of an unsigned transaction in hex, under a name of its own.
    pub async fn submit(&self, name: &str, wallet: &str, text: &str) -> Result<Answer, Failure> {
        let (operator, id) = (self.house.operator.id().clone(), RequestId::parse(name)?);
        let format = PayloadFormat::parse("evm/transaction")?;
        let payload = Payload { format, bytes: transactions::parse(text)? };
        let request = Request::payload(operator, id, WalletId::parse(wallet)?, payload);
        Ok(self.custodian().submit(request).await?)
    }

    /// What the order is after each of the treasurers has approved it, one after the other.
    pub async fn approve(&self, asked: &Answer) -> Result<[Answer; 2], Failure> {
        let [theo, tara] = hot::approvals(&self.house, asked)?;
        let first = self.custodian().approve(theo).await?;
        Ok([first, self.custodian().approve(tara).await?])
    }

    /// Seals the keys of a wallet anew, so many an order, and tells how far it has come.
    pub async fn reseal(
        &self,
        name: &str,
        (wallet, limit): (&str, u16),
        progress: impl FnMut(&Progress),
    ) -> Result<Passage, Failure> {
        let resealing = Resealing {
            requester: self.house.operator.id().clone(),
            authentication: Authentication::default(),
            name: name.to_owned(),
            wallet: WalletId::parse(wallet)?,
            limit,
        };
        Ok(resealing.run(self.custodian(), progress).await?)
    }

    /// The address of a key.
    pub fn address(&self, key: &str) -> Result<String, Failure> {
        let key = self.custodian().key(&KeyId::parse(key)?).ok_or("there is no such key")?;
        Ok(key.account().ok_or("the key has no account")?.address().to_owned())
    }

    /// Stops the custodian, and waits until nobody writes to the directory any more.
    pub async fn close(self) -> Result<(), Failure> {
        let Self { house, in_use } = self;
        house.custodian.close().await?;
        drop(house);
        in_use.end().await
    }

    async fn put_together(
        directory: &Path,
        parts: Parts,
        id: Option<CustodianId>,
    ) -> Result<Self, Failure> {
        fs::create_dir_all(directory)?;
        let file = Arc::new(SqliteStore::open(directory.join("custody.sqlite"))?);
        let house = Self::over(directory, parts, id, Arc::clone(&file)).await;
        if house.is_err() {
            file.close();
        }
        house
    }

    async fn over(
        directory: &Path,
        parts: Parts,
        id: Option<CustodianId>,
        file: Arc<SqliteStore>,
    ) -> Result<Self, Failure> {
        let people = directory.join("people");
        let person = |name, roles: &[&str]| Person::load(&people, name, roles, &OsEntropy);
        let operator = person("olivia", &["operator", "administrator"])?;
        let treasurers = [person("theo", &["treasurer"])?, person("tara", &["treasurer"])?];
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
        let store = place::store(&file, parts.sealed_by).await?;
        let origin = KeyName::parse("example-kms/custody")?;
        let signer = place::log_signer(parts.native.as_ref(), "example-kms/log-key").await?;
        let log_key = VerifierKey::new(origin.clone(), signer.public_key().clone())?;
        let tiles = Arc::new(DirectoryTiles::open(directory.join("log"))?);
        let log = TileLog::open(origin, Arc::clone(&store), tiles, vec![signer]).await?;
        let log = Arc::new(log);
        let builder = Custodian::builder()
            .store(Arc::clone(&store))
            .audit(Arc::<TileLog>::clone(&log))
            .clock(Arc::clone(&clock))
            .entropy(Arc::new(OsEntropy))
            .spawner(Arc::new(TokioSpawner::new(tokio::runtime::Handle::current())))
            .policy(house::compiler()?)
            .decoder(Arc::new(EvmDecoder::new()))
            .backend(parts.native)
            .backend(parts.sealed);
        let is_new = id.is_none();
        let custodian = match id {
            Some(id) => builder.open(id).await?,
            None => builder.create(genesis(&operator, &treasurers)?).await?,
        };
        // What a stopped process left allowed waits for this call, however long.
        let resumed = if is_new { Vec::new() } else { house::resumed(&custodian).await? };
        let house = house::House {
            custodian,
            store,
            log_key,
            clock,
            operator,
            treasurers,
            is_new,
            resumed,
        };
        Ok(Self { house, in_use: InUse::new(file, &log) })
    }
}

fn genesis(operator: &Person, treasurers: &[Person; 2]) -> Result<Genesis, Failure> {
    let people = std::iter::once(operator).chain(treasurers);
    Ok(Genesis {
        policy: house::policy()?,
        principals: people.map(Person::enrolment).collect::<Result<_, _>>()?,
        assets: vec![Asset::new(AssetId::parse(ETHER)?, 18), Asset::new(AssetId::parse(USDC)?, 6)],
    })
}
