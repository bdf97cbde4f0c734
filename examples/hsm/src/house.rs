//! A custodian whose log key lives in a token. Its operator asks, its two treasurers approve.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use custody_audit::TileLog;
use custody_audit::note::KeyName;
use custody_audit::storage::DirectoryTiles;
use custody_chain::{BitcoinDecoder, EvmDecoder};
use custody_core::amount::Asset;
use custody_core::caip::{AccountId, AssetId};
use custody_core::command::Command;
use custody_core::custodian::{Answer, Custodian, Genesis, Outcome, Request};
use custody_core::id::{BookId, CustodianId, KeyId, OrderId, RequestId, RoleId, TierId, WalletId};
use custody_core::seam::{Clock, KeyBackend, KeyEncryption, Payload, PolicyDocument, Store};
use custody_core::tokio::{TokioClock, TokioSpawner};
use custody_policy::CedarCompiler;
use custody_store::SqliteStore;
use examples_start::entropy::OsEntropy;
use examples_start::house::{ETHER, resumed};
use examples_start::people::Person;
use examples_start::place::{self, InUse};

use crate::{Failure, coin};

/// What an example chooses.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Where wallets' keys are.
    pub keys: Arc<dyn KeyBackend>,
    /// Where the key is that signs the log's heads.
    pub log: Arc<dyn KeyBackend>,
    /// What seals the store, if anything does.
    pub sealed_by: Option<Arc<dyn KeyEncryption>>,
    /// The rules.
    pub rules: &'static str,
}

/// A custodian and its people.
#[derive(Debug)]
pub struct House {
    /// The custodian.
    pub custodian: Custodian,
    /// Who asks.
    pub operator: Person,
    /// Who approves.
    pub treasurers: [Person; 2],
    /// How the orders ended that a stopped process had left allowed and not finished.
    pub resumed: Vec<Answer>,
    clock: Arc<dyn Clock>,
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

    /// Submits a payload under a name of its own.
    pub async fn submit(
        &self,
        name: &str,
        wallet: &WalletId,
        payload: Payload,
    ) -> Result<Answer, Failure> {
        let (operator, id) = (self.operator.id().clone(), RequestId::parse(name)?);
        Ok(self.custodian.submit(Request::payload(operator, id, wallet.clone(), payload)).await?)
    }

    /// A treasurer approves an order.
    pub async fn approve(&self, person: &Person, order: &OrderId) -> Result<Answer, Failure> {
        let answer = self.custodian.order(order).await?;
        let until = self.clock.now().after(Duration::from_secs(3_600));
        let word = person.approve(&self.custodian.id(), &answer, "treasurer", until)?;
        Ok(self.custodian.approve(word).await?)
    }

    /// Has a command done, approved by as many as it waits for.
    pub async fn execute(&self, name: &str, command: Command) -> Result<(), Failure> {
        let (operator, id) = (self.operator.id().clone(), RequestId::parse(name)?);
        let request = Request::command(operator, id, command);
        let mut answer = self.custodian.submit(request).await?;
        for treasurer in &self.treasurers {
            let Outcome::Pending { .. } = answer.outcome else { break };
            answer = self.approve(treasurer, &answer.order).await?;
        }
        let Outcome::Released(_) = answer.outcome else {
            return Err(format!("no {name}: {:?}", answer.outcome).into());
        };
        Ok(())
    }

    /// Registers a receiver.
    pub async fn register(&self, name: &str, account: &str) -> Result<(), Failure> {
        let (book, account) = (BookId::parse("receivers")?, AccountId::parse(account)?);
        self.execute(name, Command::AddAddress { book, account }).await
    }

    /// The address of a key.
    pub fn address(&self, key: &KeyId) -> Result<String, Failure> {
        let key = self.custodian.key(key).ok_or("there is no such key")?;
        Ok(key.account().ok_or("the key has no account")?.address().to_owned())
    }

    /// Stops the custodian, and waits until nobody writes to the directory any more.
    pub async fn close(self) -> Result<(), Failure> {
        self.custodian.close().await?;
        drop(self.custodian);
        self.in_use.end().await
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
        let person = |name, role| Person::load(&people, name, &[role], &OsEntropy);
        let operator = person("olivia", "operator")?;
        let treasurers = [person("theo", "treasurer")?, person("tara", "treasurer")?];
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
        let store = place::store(&file, parts.sealed_by).await?;
        let log = Arc::new(log(directory, &store, parts.log.as_ref()).await?);
        let builder = Custodian::builder()
            .store(store)
            .audit(Arc::<TileLog>::clone(&log))
            .clock(Arc::clone(&clock))
            .entropy(Arc::new(OsEntropy))
            .spawner(Arc::new(TokioSpawner::new(tokio::runtime::Handle::current())))
            .policy(Arc::new(CedarCompiler::new()?))
            .decoder(Arc::new(EvmDecoder::new()))
            .decoder(Arc::new(BitcoinDecoder::new()))
            .backend(parts.keys);
        let is_new = id.is_none();
        let custodian = match id {
            Some(id) => builder.open(id).await?,
            None => builder.create(genesis(parts.rules, &operator, &treasurers)?).await?,
        };
        // What a stopped process left allowed waits for this call, however long.
        let resumed = if is_new { Vec::new() } else { resumed(&custodian).await? };
        let in_use = InUse::new(file, &log);
        drop(log);
        Ok(Self { custodian, operator, treasurers, resumed, clock, in_use })
    }
}

/// What became of an order, in a few words.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "the others are alike here")]
pub fn outcome(answer: &Answer) -> String {
    match &answer.outcome {
        Outcome::Pending { missing } => {
            let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
            format!("pending, missing {}", missing.join(" or "))
        }
        Outcome::Released(release) => {
            format!("released, receipt at entry {}", release.receipt.index)
        }
        Outcome::Denied { rules } => {
            let rules: Vec<_> = rules.iter().map(ToString::to_string).collect();
            format!("denied by {}", rules.join(", "))
        }
        other => format!("{other:?}"),
    }
}

async fn log(
    directory: &Path,
    store: &Arc<dyn Store>,
    backend: &dyn KeyBackend,
) -> Result<TileLog, Failure> {
    let origin = KeyName::parse("example-hsm/custody")?;
    let tiles = Arc::new(DirectoryTiles::open(directory.join("log"))?);
    let signers = vec![place::log_signer(backend, "example-hsm/log-key").await?];
    Ok(TileLog::open(origin, Arc::clone(store), tiles, signers).await?)
}

fn genesis(rules: &str, operator: &Person, treasurers: &[Person; 2]) -> Result<Genesis, Failure> {
    let [theo, tara] = treasurers;
    Ok(Genesis {
        policy: PolicyDocument {
            v: 1,
            roles: vec![RoleId::parse("operator")?, RoleId::parse("treasurer")?],
            tiers: vec![TierId::parse("cold")?],
            rules: rules.to_owned(),
        },
        principals: vec![operator.enrolment()?, theo.enrolment()?, tara.enrolment()?],
        assets: vec![
            Asset::new(AssetId::parse(ETHER)?, 18),
            Asset::new(AssetId::parse(coin::ASSET)?, 8),
        ],
    })
}
