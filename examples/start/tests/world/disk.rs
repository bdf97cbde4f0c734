use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use custody_core::seam::{Batch, Event, Position, Record, RecordKey, Store, StoreError};
use custody_store::{SealedStore, SealedStoreError, SqliteStore};
use custody_testkit::backend::MemoryKeyEncryption;
use custody_testkit::runtime::TestEntropy;
use custody_testkit::store::MemoryStore;
use tempfile::TempDir;

use super::tamper::Tamper;

/// Which store a world lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    /// SQLite below a store that seals what it keeps.
    Sealed,
    Sqlite,
}

impl Kind {
    /// The stores that are used as they are.
    pub(crate) const ALL: [Self; 2] = [Self::Memory, Self::Sqlite];
}

/// An open store. Clones are one open store.
#[derive(Clone, Debug)]
pub(crate) enum Disk {
    Memory(MemoryStore),
    Sealed { directory: Arc<TempDir>, below: Arc<SqliteStore>, store: Arc<SealedStore> },
    Sqlite { directory: Arc<TempDir>, store: Arc<SqliteStore> },
}

impl Disk {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Memory => Self::Memory(MemoryStore::new()),
            Kind::Sealed => Self::sealed(Arc::new(tempfile::tempdir().unwrap())),
            Kind::Sqlite => Self::sqlite(Arc::new(tempfile::tempdir().unwrap())),
        }
    }

    fn sqlite(directory: Arc<TempDir>) -> Self {
        let store = SqliteStore::open(directory.path().join(FILE)).unwrap();
        Self::Sqlite { directory, store: Arc::new(store) }
    }

    fn sealed(directory: Arc<TempDir>) -> Self {
        let below = Arc::new(SqliteStore::open(directory.path().join(FILE)).unwrap());
        let store = seal(&below, MemoryKeyEncryption::seeded(SEALED_BY)).unwrap();
        Self::Sealed { directory, below, store: Arc::new(store) }
    }

    /// The directory of the file; none if there is no file.
    pub(crate) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Memory(_) => None,
            Self::Sealed { directory, .. } | Self::Sqlite { directory, .. } => {
                Some(directory.path())
            }
        }
    }

    /// Ends this open store; what was committed stays.
    pub(crate) fn close(&self) {
        match self {
            Self::Memory(store) => store.close(),
            Self::Sealed { below: store, .. } | Self::Sqlite { store, .. } => store.close(),
        }
    }

    /// How many have this open store.
    pub(crate) fn handles(&self) -> usize {
        match self {
            Self::Memory(_) => 1,
            Self::Sealed { store, .. } => Arc::strong_count(store),
            Self::Sqlite { store, .. } => Arc::strong_count(store),
        }
    }

    /// Opens what was committed anew.
    pub(crate) fn reopen(self) -> Self {
        match self {
            Self::Memory(store) => Self::Memory(store.reopen()),
            Self::Sealed { directory, below, store } => {
                drop((store, below));
                Self::sealed(directory)
            }
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
            Self::Sealed { directory, .. } | Self::Sqlite { directory, .. } => {
                Tamper::Sqlite(directory.path().join(FILE))
            }
        }
    }

    fn open(&self) -> &dyn Store {
        match self {
            Self::Memory(store) => store,
            Self::Sealed { store, .. } => store.as_ref(),
            Self::Sqlite { store, .. } => store.as_ref(),
        }
    }
}

/// The sealed store over a file, under this key encryption.
pub(crate) fn seal(
    below: &Arc<SqliteStore>,
    kek: MemoryKeyEncryption,
) -> Result<SealedStore, SealedStoreError> {
    static OPENED: AtomicU64 = AtomicU64::new(7_000);
    // Another sequence each time, or data keys and nonces would come again.
    let entropy = TestEntropy::seeded(OPENED.fetch_add(1, Ordering::Relaxed));
    let below: Arc<dyn Store> = Arc::<SqliteStore>::clone(below);
    pollster::block_on(SealedStore::open(below, Arc::new(kek), Arc::new(entropy)))
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

/// The seed of the key encryption that sealed stores are opened with.
pub(crate) const SEALED_BY: u64 = 70;
/// The name of the database in its directory.
pub(crate) const FILE: &str = "custody.sqlite";
