use std::fs::{File, OpenOptions};
use std::io::{ErrorKind as IoKind, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use custody_core::seam::{BackendError, ErrorKind};

use super::{Begun, Journal};
use crate::commitment::SetId;

/// A journal in a folder: for each set an empty file `ID.begun`, and its record in `ID.json`.
///
/// The files are written with blocking calls; they are few and small.
#[derive(Clone, Debug)]
pub struct FolderJournal {
    folder: PathBuf,
}

impl FolderJournal {
    /// A journal in this folder, which must exist and outlive the process.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn path(&self, set: &SetId, ending: &str) -> PathBuf {
        self.folder.join(format!("{set}.{ending}"))
    }

    fn record_now(&self, set: &SetId) -> std::io::Result<Option<Vec<u8>>> {
        match std::fs::read(self.path(set, "json")) {
            Ok(record) => Ok(Some(record)),
            Err(error) if error.kind() == IoKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn begin_now(&self, set: &SetId) -> std::io::Result<Begun> {
        if let Some(record) = self.record_now(set)? {
            return Ok(Begun::Done(record));
        }
        let mark = OpenOptions::new().write(true).create_new(true).open(self.path(set, "begun"));
        match mark {
            Ok(file) => {
                file.sync_all()?;
                sync_folder(&self.folder)?;
                Ok(Begun::First)
            }
            Err(error) if error.kind() == IoKind::AlreadyExists => Ok(Begun::BrokenOff),
            Err(error) => Err(error),
        }
    }

    /// The record is whole or not there: it gets its name when it is on the disk, and loses it
    /// again if the name is not durable, since the set then does not count. One that was there
    /// before stays.
    fn finish_now(&self, set: &SetId, record: &[u8]) -> std::io::Result<()> {
        let (unnamed, named) = (self.path(set, "part"), self.path(set, "json"));
        let mut file = File::create(&unnamed)?;
        file.write_all(record)?;
        file.sync_all()?;
        let was_there = named.try_exists()?;
        std::fs::rename(&unnamed, &named)?;
        let synced = sync_folder(&self.folder);
        if synced.is_err() && !was_there {
            std::fs::remove_file(&named)?;
        }
        synced
    }
}

#[async_trait]
impl Journal for FolderJournal {
    async fn begin(&self, set: &SetId) -> Result<Begun, BackendError> {
        self.begin_now(set).map_err(|error| failed("begin a set", &error))
    }

    async fn finish(&self, set: &SetId, record: &[u8]) -> Result<(), BackendError> {
        self.finish_now(set, record).map_err(|error| failed("keep a record", &error))
    }

    async fn record(&self, set: &SetId) -> Result<Option<Vec<u8>>, BackendError> {
        self.record_now(set).map_err(|error| failed("read a record", &error))
    }
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

fn failed(operation: &'static str, error: &std::io::Error) -> BackendError {
    BackendError::new(ErrorKind::Indeterminate, operation).with_source(error.kind().to_string())
}

#[cfg(test)]
mod tests {
    use custody_core::digest::Digest;
    use custody_core::id::{CustodianId, OrderId};

    use super::*;

    fn set(order: &str) -> SetId {
        let custodian = CustodianId::new(Digest::of(b"custodian"));
        SetId::of(&custodian, &OrderId::parse(order).unwrap())
    }

    #[test]
    fn a_set_is_begun_once_whoever_asks() {
        let folder = tempfile::tempdir().unwrap();
        let journal = FolderJournal::new(folder.path());
        assert_eq!(journal.begin_now(&set("a")).unwrap(), Begun::First);
        let reopened = FolderJournal::new(folder.path());
        assert_eq!(reopened.begin_now(&set("a")).unwrap(), Begun::BrokenOff);
        assert_eq!(reopened.begin_now(&set("b")).unwrap(), Begun::First);
    }

    #[test]
    fn a_finished_set_gives_its_record_verbatim() {
        let folder = tempfile::tempdir().unwrap();
        let journal = FolderJournal::new(folder.path());
        journal.begin_now(&set("a")).unwrap();
        journal.finish_now(&set("a"), b"record").unwrap();
        assert_eq!(journal.begin_now(&set("a")).unwrap(), Begun::Done(b"record".to_vec()));
        assert_eq!(journal.record_now(&set("a")).unwrap(), Some(b"record".to_vec()));
    }

    #[test]
    fn half_a_record_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let journal = FolderJournal::new(folder.path());
        journal.begin_now(&set("a")).unwrap();
        std::fs::write(journal.path(&set("a"), "part"), b"rec").unwrap();
        assert_eq!(journal.record_now(&set("a")).unwrap(), None);
        assert_eq!(journal.begin_now(&set("a")).unwrap(), Begun::BrokenOff);
    }

    #[test]
    fn a_folder_that_is_not_there_begins_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let journal = FolderJournal::new(folder.path().join("missing"));
        assert!(journal.begin_now(&set("a")).is_err());
        assert!(journal.finish_now(&set("a"), b"record").is_err());
    }
}
