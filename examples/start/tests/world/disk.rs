use std::sync::Arc;

use async_trait::async_trait;
use custody_core::seam::{Batch, Event, Position, Record, RecordKey, Store, StoreError};
use custody_store::SqliteStore;
use custody_testkit::store::MemoryStore;
use tempfile::TempDir;

use super::tamper::Tamper;

/// Which store a world lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Sqlite,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Memory, Self::Sqlite];
}

/// An open store. Clones are one open store.
#[derive(Clone, Debug)]
pub(crate) enum Disk {
    Memory(MemoryStore),
    Sqlite { directory: Arc<TempDir>, store: Arc<SqliteStore> },
}

impl Disk {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Memory => Self::Memory(MemoryStore::new()),
            Kind::Sqlite => Self::sqlite(Arc::new(tempfile::tempdir().unwrap())),
        }
    }

    fn sqlite(directory: Arc<TempDir>) -> Self {
        let store = SqliteStore::open(directory.path().join("custody.sqlite")).unwrap();
        Self::Sqlite { directory, store: Arc::new(store) }
    }

    /// Ends this open store; what was committed stays.
    pub(crate) fn close(&self) {
        match self {
            Self::Memory(store) => store.close(),
            Self::Sqlite { store, .. } => store.close(),
        }
    }

    /// How many have this open store.
    pub(crate) fn handles(&self) -> usize {
        match self {
            Self::Memory(_) => 1,
            Self::Sqlite { store, .. } => Arc::strong_count(store),
        }
    }

    /// Opens what was committed anew.
    pub(crate) fn reopen(self) -> Self {
        match self {
            Self::Memory(store) => Self::Memory(store.reopen()),
            Self::Sqlite { directory, store } => {
                drop(store);
                Self::sqlite(directory)
            }
        }
    }

    /// What another program can do to it now.
    pub(crate) fn tamper(&self) -> Tamper {
        match self {
            Self::Memory(store) => Tamper::Memory(store.clone()),
            Self::Sqlite { directory, .. } => {
                Tamper::Sqlite(directory.path().join("custody.sqlite"))
            }
        }
    }

    fn open(&self) -> &dyn Store {
        match self {
            Self::Memory(store) => store,
            Self::Sqlite { store, .. } => store.as_ref(),
        }
    }
}

#[async_trait]
impl Store for Disk {
    async fn head(&self) -> Result<Position, StoreError> {
        self.open().head().await
    }

    async fn get(&self, key: &RecordKey) -> Result<Option<Record>, StoreError> {
        self.open().get(key).await
    }

    async fn scan(
        &self,
        prefix: &RecordKey,
        after: Option<&RecordKey>,
        limit: u16,
    ) -> Result<Vec<Record>, StoreError> {
        self.open().scan(prefix, after, limit).await
    }

    async fn commit(&self, expected: Position, batch: Batch) -> Result<Position, StoreError> {
        self.open().commit(expected, batch).await
    }

    async fn events(&self, from: Position, limit: u16) -> Result<Vec<Event>, StoreError> {
        self.open().events(from, limit).await
    }
}
