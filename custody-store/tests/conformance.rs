//! The store suites of the testkit, on the SQLite store.
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made fails its test")]

use std::path::PathBuf;
use std::sync::Arc;

use custody_core::seam::Store;
use custody_store::SqliteStore;
use custody_testkit::suite::store::StoreFixture;

mod contract {
    custody_testkit::store_suite!(super::fixture());
}

mod durability {
    custody_testkit::durable_store_suite!(super::fixture());
}

fn fixture() -> StoreFixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("custody.db");
    let again = path.clone();
    StoreFixture::new(open(&path))
        .with_reopen(move || {
            let path = again.clone();
            Box::pin(async move { open(&path) })
        })
        .with_guard(folder)
}

fn open(path: &PathBuf) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(path).unwrap())
}
