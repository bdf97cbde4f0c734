//! The suite that every log passes: over tiles in memory and over a directory.

use std::sync::Arc;

use custody_audit::TileLog;
use custody_audit::storage::{DirectoryTiles, MemoryTiles, TileStorage};
use custody_core::seam::{AuditLog, Signer};
use custody_testkit::store::MemoryStore;
use custody_testkit::suite::audit::AuditLogFixture;

use crate::support::{LogSigner, origin};

async fn open(store: MemoryStore, tiles: Arc<dyn TileStorage>) -> Arc<dyn AuditLog> {
    let signers: Vec<Arc<dyn Signer>> = vec![LogSigner::new(1), LogSigner::new(2)];
    Arc::new(TileLog::open(origin(), Arc::new(store), tiles, signers).await.unwrap())
}

async fn fixture(tiles: Arc<dyn TileStorage>) -> AuditLogFixture {
    let store = MemoryStore::new();
    let log = open(store.clone(), Arc::clone(&tiles)).await;
    let next = LogSigner::new(2).public().clone();
    AuditLogFixture::new(store.clone(), log, next)
        .with_reopen(move || Box::pin(open(store.clone(), Arc::clone(&tiles))))
}

mod over_memory {
    use super::*;

    custody_testkit::audit_log_suite!(fixture(Arc::new(MemoryTiles::default())).await);
}

mod over_a_directory {
    use super::*;

    custody_testkit::audit_log_suite!({
        let folder = tempfile::tempdir().unwrap();
        let tiles = Arc::new(DirectoryTiles::open(folder.path()).unwrap());
        fixture(tiles).await.with_guard(folder)
    });
}
