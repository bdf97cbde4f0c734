//! The suite that every log passes: over tiles in memory and over a directory.

use std::sync::Arc;

use custody_audit::TileLog;
use custody_audit::storage::{DirectoryTiles, MemoryTiles, TileStorage};
use custody_core::seam::{AnchorError, AuditLog, Head, Signer};
use custody_testkit::store::MemoryStore;
use custody_testkit::suite::audit::AuditLogFixture;
use tempfile::TempDir;

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

mod an_anchor_in_a_directory {
    use custody_audit::anchor::DirectoryAnchor;
    use custody_core::seam::HeadAnchor;

    use super::*;

    /// An anchor whose directory goes with it.
    #[derive(Debug)]
    struct Kept(DirectoryAnchor, #[expect(dead_code, reason = "removed with it")] TempDir);

    #[async_trait::async_trait]
    impl HeadAnchor for Kept {
        async fn load(&self) -> Result<Option<Head>, AnchorError> {
            self.0.load().await
        }

        async fn advance(&self, old: Option<Head>, new: Head) -> Result<(), AnchorError> {
            self.0.advance(old, new).await
        }
    }

    fn anchor() -> Arc<dyn HeadAnchor> {
        let folder = tempfile::tempdir().unwrap();
        let anchor = DirectoryAnchor::create(folder.path(), &origin(), &[]).unwrap();
        Arc::new(Kept(anchor, folder))
    }

    custody_testkit::head_anchor_suite!(anchor());
}
