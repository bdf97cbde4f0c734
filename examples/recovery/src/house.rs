//! A house that can be archived and rebuilt.
//!
//! ```text
//! DIR/custody.sqlite   records and events
//! DIR/log/             tiles and checkpoint of the log
//! DIR/keys/            how the software keys are found again
//! DIR.journal/         which ceremonies were begun
//! DIR.anchor/          the newest head, on another disk
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use custody_audit::TileLog;
use custody_audit::anchor::{DirectoryAnchor, DirectoryAnchorError};
use custody_audit::note::{KeyName, VerifierKey};
use custody_audit::storage::DirectoryTiles;
use custody_chain::EvmDecoder;
use custody_core::amount::Asset;
use custody_core::caip::AssetId;
use custody_core::command::Command;
use custody_core::custodian::{
    Answer, CommandHandler, Custodian, CustodianBuilder, Genesis, Outcome, Recovery, Release,
    Request,
};
use custody_core::id::{CustodianId, KeyId, RequestId, RoleId, TierId};
use custody_core::seam::{Clock, Entropy as _, KeyBackend, PolicyDocument, Store};
use custody_core::tokio::{TokioClock, TokioSpawner};
use custody_policy::CedarCompiler;
use custody_store::SqliteStore;
use examples_start::entropy::OsEntropy;
use examples_start::house::{ETHER, resumed};
use examples_start::people::Person;
use examples_start::place::InUse;

use crate::Failure;
use crate::holders::Holders;
use crate::keys::SoftKeys;

/// The rules.
pub const RULES: &str = include_str!("../disaster/house.cedar");
const ORIGIN: &str = "example-recovery/custody";

/// The people of the house but for the holders of shares.
#[derive(Debug)]
pub struct People {
    /// Who asks.
    pub operator: Person,
    /// Who approves.
    pub treasurers: [Person; 2],
}

/// What a house is made of.
#[derive(Debug)]
pub struct Parts {
    /// Where it lies.
    pub directory: PathBuf,
    /// The software keys, and the key of the log.
    pub keys: SoftKeys,
    /// Other backends.
    pub others: Vec<Arc<dyn KeyBackend>>,
    /// The commands of ceremonies and drills.
    pub handlers: Vec<Arc<dyn CommandHandler>>,
}

/// How a house is opened.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "an example")]
pub enum Way {
    /// It is new.
    Create(Genesis),
    /// It is there.
    Open(CustodianId),
    /// It was restored.
    Recover(CustodianId, Recovery),
}

/// A house that runs.
#[derive(Debug)]
pub struct House {
    /// The custodian.
    pub custodian: Custodian,
    /// Its store's file.
    pub file: Arc<SqliteStore>,
    /// Its log.
    pub log: Arc<TileLog>,
    /// The log's key, as verifiers take it.
    pub log_key: VerifierKey,
    /// How the orders ended that a stopped process had left allowed and not finished. A recovery
    /// ends them by itself.
    pub resumed: Vec<Answer>,
    clock: Arc<dyn Clock>,
}

impl People {
    /// The people whose keys lie in a folder of theirs.
    pub fn meet(folder: &Path) -> Result<Self, Failure> {
        let person = |name, role| Person::load(folder, name, &[role], &OsEntropy);
        let treasurers = [person("theo", "treasurer")?, person("tara", "treasurer")?];
        Ok(Self { operator: person("olivia", "operator")?, treasurers })
    }

    /// The first people, rules and assets.
    pub fn genesis(&self, holders: &Holders) -> Result<Genesis, Failure> {
        let mut principals = vec![self.operator.enrolment()?];
        for treasurer in &self.treasurers {
            principals.push(treasurer.enrolment()?);
        }
        principals.extend(holders.enrolments()?);
        let roles = ["operator", "treasurer", "holder"];
        Ok(Genesis {
            policy: PolicyDocument {
                v: 1,
                roles: roles.iter().map(|role| RoleId::parse(role)).collect::<Result<_, _>>()?,
                tiers: vec![TierId::parse("hot")?, TierId::parse("cold")?],
                rules: RULES.to_owned(),
            },
            principals,
            assets: vec![Asset::new(AssetId::parse(ETHER)?, 18)],
        })
    }
}

impl House {
    /// Puts a house together.
    pub async fn open(parts: Parts, way: Way) -> Result<Self, Failure> {
        fs::create_dir_all(&parts.directory)?;
        let file = Arc::new(SqliteStore::open(parts.directory.join("custody.sqlite"))?);
        let house = Self::over(parts, way, Arc::clone(&file)).await;
        if house.is_err() {
            file.close();
        }
        house
    }

    async fn over(parts: Parts, way: Way, file: Arc<SqliteStore>) -> Result<Self, Failure> {
        let Parts { directory, keys, others, handlers } = parts;
        let origin = KeyName::parse(ORIGIN)?;
        let log_key = VerifierKey::new(origin.clone(), keys.log.public_key().clone())?;
        let store: Arc<dyn Store> = Arc::<SqliteStore>::clone(&file);
        let tiles = Arc::new(DirectoryTiles::open(directory.join("log"))?);
        let log = TileLog::open(origin.clone(), Arc::clone(&store), tiles, vec![keys.log]).await?;
        let (log, clock) = (Arc::new(log), Arc::new(TokioClock::new()) as Arc<dyn Clock>);
        // A house that goes on from an older state needs a fresh anchor: none ever goes back.
        let may_be_fresh = matches!(way, Way::Create(_) | Way::Recover(..));
        let mut builder: CustodianBuilder = Custodian::builder()
            .store(store)
            .audit(Arc::<TileLog>::clone(&log))
            .anchor(Arc::new(anchor(&directory, &origin, may_be_fresh)?))
            .clock(Arc::clone(&clock))
            .entropy(Arc::new(OsEntropy))
            .spawner(Arc::new(TokioSpawner::new(tokio::runtime::Handle::current())))
            .policy(Arc::new(CedarCompiler::new()?))
            .decoder(Arc::new(EvmDecoder::new()))
            .backend(keys.backend);
        builder = others.into_iter().fold(builder, CustodianBuilder::backend);
        builder = handlers.into_iter().fold(builder, CustodianBuilder::extension);
        // What a stopped process left allowed waits for this, however long.
        let resumes = matches!(way, Way::Open(_));
        let custodian = match way {
            Way::Create(genesis) => builder.create(genesis).await?,
            Way::Open(id) => builder.open(id).await?,
            Way::Recover(id, recovery) => builder.recover(id, recovery).await?,
        };
        let resumed = if resumes { resumed(&custodian).await? } else { Vec::new() };
        Ok(Self { custodian, file, log, log_key, resumed, clock })
    }

    /// Stops the house, and waits until nobody writes to its directory any more.
    pub async fn close(self) -> Result<(), Failure> {
        let Self { custodian, file, log, .. } = self;
        custodian.close().await?;
        drop(custodian);
        let in_use = InUse::new(file, &log);
        drop(log);
        in_use.end().await
    }

    /// A request of somebody, signed with the own credential.
    pub async fn ask(&self, person: &Person, mut request: Request) -> Result<Answer, Failure> {
        let digest = self.custodian.submission_digest(&request)?;
        request.signature = Some(person.submit(&digest)?);
        Ok(self.custodian.submit(request).await?)
    }

    /// Has a command done: asked for by somebody, approved by as many treasurers as it waits for.
    pub async fn execute(
        &self,
        people: &People,
        by: &Person,
        command: Command,
    ) -> Result<Release, Failure> {
        let request = Request::command(by.id().clone(), request_id()?, command);
        let answer = self.ask(by, request).await?;
        let answer = self.approved(people, answer).await?;
        let Outcome::Released(release) = answer.outcome else {
            return Err(format!("a command was not done: {:?}", answer.outcome).into());
        };
        Ok(*release)
    }

    /// The answer once as many treasurers approved as the order waits for.
    pub async fn approved(&self, people: &People, answer: Answer) -> Result<Answer, Failure> {
        let mut answer = answer;
        for treasurer in &people.treasurers {
            let Outcome::Pending { .. } = answer.outcome else { break };
            let until = self.clock.now().after(Duration::from_secs(3_600));
            let word = treasurer.approve(&self.custodian.id(), &answer, "treasurer", until)?;
            answer = self.custodian.approve(word).await?;
        }
        Ok(answer)
    }

    /// The address of a key.
    pub fn address(&self, key: &KeyId) -> Result<String, Failure> {
        let key = self.custodian.key(key).ok_or("there is no such key")?;
        Ok(key.account().ok_or("the key has no account")?.address().to_owned())
    }

    /// Where time comes from.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }
}

/// A name for a request, never used before.
pub fn request_id() -> Result<RequestId, Failure> {
    let mut random = [0; 12];
    OsEntropy.fill(&mut random)?;
    Ok(RequestId::parse(&format!("request-{}", hex::encode(random)))?)
}

/// The anchor beside the house, made only where there may be a fresh one.
fn anchor(
    directory: &Path,
    origin: &KeyName,
    may_be_fresh: bool,
) -> Result<DirectoryAnchor, Failure> {
    let directory = directory.canonicalize()?;
    let beside = directory.with_added_extension("anchor");
    match DirectoryAnchor::open(&beside, origin, &[&directory]) {
        Err(DirectoryAnchorError::Missing) if may_be_fresh => {
            Ok(DirectoryAnchor::create(&beside, origin, &[&directory])?)
        }
        opened => Ok(opened?),
    }
}
