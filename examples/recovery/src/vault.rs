//! Archives of the house, their copies, and drills with the newest.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Failure;
use crate::cold::WRAPPED;
use crate::drilled::{Drilled, KEYS};
use crate::entropy::OsEntropy;
use crate::house::House;
use crate::keys::BACKEND;
use async_trait::async_trait;
use custody_core::bytes::HexBytes;
use custody_core::command::Command;
use custody_core::id::{BackendId, ExtensionName, PrincipalId};
use custody_core::seam::{AuditLog as _, Entropy};
use custody_core::secret::Secret;
use custody_core::tokio::TokioClock;
use custody_recovery::archive::{
    ArchiveId, Folder, LocalFile, LockedArchive, Pack, SecretName, Summary,
};
use custody_recovery::ceremony::CeremonyRecord;
use custody_recovery::drill::{DRILL, DrillDocument, DrillError, Driller, Evidence, drill};
use custody_recovery::{
    Archives, Copies, OfficerKey, Opener, Place, PlaceName, Power, Recipient, RecoveryKey, SiteId,
    SitePowers, SiteReport, X25519SecretKey,
};

/// Where archives are, and an officer who can open them for drills.
pub struct Vault {
    folder: PathBuf,
    copies: Copies,
    officer: PrincipalId,
    key: X25519SecretKey,
    drilled: Drilled,
}

/// An archive that was made.
#[derive(Debug)]
pub struct Made {
    /// The archive.
    pub summary: Summary,
    /// How the copies stand.
    pub copies: String,
}

impl Vault {
    /// A vault with a place of its own and two for copies. `drilled` says what drills open.
    pub fn open(world: &Path, drilled: Drilled) -> Result<Self, Failure> {
        let folder = world.join("archives");
        std::fs::create_dir_all(&folder)?;
        let place = |name: &str| -> Result<Place, Failure> {
            let path = world.join(format!("copies-{name}"));
            std::fs::create_dir_all(&path)?;
            Ok(Place::folder(PlaceName::parse(name)?, &path)?)
        };
        Ok(Self {
            folder,
            copies: Copies::new(vec![place("lisbon")?, place("oslo")?])?,
            officer: PrincipalId::parse("otto")?,
            key: X25519SecretKey::generate(&OsEntropy)?,
            drilled,
        })
    }

    /// The newest archive at home.
    #[must_use]
    pub fn newest_path(&self) -> PathBuf {
        self.folder.join("newest.custody")
    }

    /// Where the copy of an archive lies in a place.
    pub fn copy_in(&self, place: &str, archive: &Summary) -> Result<PathBuf, Failure> {
        let found = self.copies.places().iter().find(|found| found.name().as_str() == place);
        let found = found.ok_or("there is no such place")?;
        Ok(self
            .folder
            .with_file_name(format!("copies-{place}"))
            .join(found.location(archive).as_ref()))
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("folder", &self.folder).finish_non_exhaustive()
    }
}

#[async_trait]
impl Driller for Vault {
    async fn drill(&self, _archive: Option<&ArchiveId>) -> Result<Evidence, DrillError> {
        let failed = |error: &dyn fmt::Display| DrillError::Backends { reason: error.to_string() };
        let file = LocalFile::open(&self.newest_path()).map_err(|error| failed(&error))?;
        let locked = LockedArchive::peek(file).await.map_err(|error| failed(&error))?;
        let key = locked.open_route(Opener::Officer(&self.key)).await;
        let key = key.map_err(|error| failed(&error))?;
        let reader = locked.unlock(&key).map_err(|error| failed(&error))?;
        let drilled = drill(reader, &self.drilled, &TokioClock::new(), &OsEntropy).await;
        // Whatever came of it, no key stays where it was proved.
        self.drilled.forget().map_err(|error| failed(&error))?;
        drilled
    }
}

/// Archives the house while it runs, under two routes, and copies the archive to both places.
pub async fn make(
    house: &House,
    directory: &Path,
    record: &CeremonyRecord,
    vault: &Vault,
    secrets: &[(&str, &Secret)],
) -> Result<Made, Failure> {
    // The head first, which must be over what is in the archive, then the log's key, which must be
    // the one at that head or since.
    let head = house.log.head().await?.ok_or("the log has no head")?;
    let log_key = house.log.public_key().await;
    let moment = house.file.moment().await?;
    // The files of a log that goes on change while they are read: what is archived is made from the
    // moment. Its documents are in the store.
    let temporary = tempfile::tempdir_in(&vault.folder)?;
    let exported = temporary.path().join("log");
    custody_audit::export(&moment, &head, &exported).await?;
    std::fs::remove_dir_all(exported.join("documents"))?;
    let log = Folder::new("log", &exported)?;
    let keys = Folder::new(KEYS, directory.join(KEYS))?;
    std::fs::create_dir_all(directory.join(WRAPPED))?;
    let wrapped = Folder::new(WRAPPED, directory.join(WRAPPED))?;
    let mut pack = Pack::at(house.custodian.id(), &moment, log_key, head)
        .with_files(&log)
        .with_files(&keys)
        .with_files(&wrapped);
    for (name, secret) in secrets {
        pack = pack.with_secret(SecretName::parse(name)?, secret);
    }
    let officer = OfficerKey { officer: vault.officer.clone(), public_key: vault.key.public_key() };
    let set = RecoveryKey::new(record.set, record.public_key);
    let recipients = [Recipient::Officer(&officer), Recipient::Set(&set)];
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let path = vault.newest_path();
    let summary = pack.write_file(&path, &recipients, house.clock(), &entropy).await?;
    temporary.close()?;
    let report = vault.copies.put(&path, &summary).await?;
    if !report.is_complete() {
        return Err(format!("a copy is missing: {report:?}").into());
    }
    let copies: Vec<_> =
        report.states().map(|(place, state)| format!("{place} {state:?}")).collect();
    Ok(Made { summary, copies: copies.join(", ") })
}

/// The command of a drill with the newest archive.
pub fn drill_command() -> Result<Command, Failure> {
    let document = DrillDocument { v: custody_core::document::V1, archive: None }.to_bytes()?;
    Ok(Command::Extension { name: ExtensionName::parse(DRILL)?, document: HexBytes::new(document) })
}

/// What each site can do alone, in words. The house counts as a site: it drills alone, so it can
/// restore alone.
pub fn sites(record: &CeremonyRecord) -> Result<Vec<String>, Failure> {
    // At home the newest archive lies beside the key that opens it for drills, and the keys themselves.
    let home = SiteId::parse("home")?;
    let powers = SitePowers::new(Archives::Named)
        .with(home.clone(), Power::ArchiveCopy)
        .with(home.clone(), Power::Officer(PrincipalId::parse("otto")?))
        .with(home, Power::Signing(BackendId::parse(BACKEND)?))
        .with(SiteId::parse("lisbon")?, Power::ArchiveCopy)
        .with(SiteId::parse("oslo")?, Power::ArchiveCopy);
    let report = SiteReport::of(&record.distribution, &powers)?;
    Ok(report.words().iter().map(|line| format!("sites: {line}")).collect())
}
