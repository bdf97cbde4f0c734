//! A house with a wallet, a set of shares and an archive, on its way to be lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use custody_core::custodian::Recovery;
use custody_core::id::CustodianId;
use custody_core::seam::{Head, KeyBackend};
use custody_core::secret::Secret;
use custody_recovery::ceremony::CeremonyRecord;
use custody_recovery::restore::Restored;
use examples_recovery::drilled::Drilled;
use examples_recovery::holders::{Holders, Post};
use examples_recovery::house::{House, People, Way};
use examples_recovery::keys::{self, SoftKeys};
use examples_recovery::vault::{self, Made, Vault};
use examples_recovery::{Failure, acts, rebuild};

/// What is outside of the house, and the house's id.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) people: People,
    pub(crate) holders: Holders,
    pub(crate) post: Post,
    pub(crate) vault: Arc<Vault>,
    pub(crate) record: CeremonyRecord,
    pub(crate) custodian: CustodianId,
    pub(crate) address: String,
    passphrase: Secret,
}

impl World {
    /// A house that runs, with a wallet and shares that were confirmed.
    pub(crate) async fn new() -> (Self, House) {
        Self::with(Drilled::default(), Vec::new()).await
    }

    /// A house with other backends besides.
    pub(crate) async fn with(drilled: Drilled, others: Vec<Arc<dyn KeyBackend>>) -> (Self, House) {
        let folder = tempfile::tempdir().unwrap();
        let people = People::meet(&folder.path().join("people")).unwrap();
        let holders = Holders::meet(&folder.path().join("holders")).unwrap();
        let (post, passphrase) = (Post::default(), keys::drawn().unwrap());
        let directory = folder.path().join("house");
        let keys =
            SoftKeys::create(&directory.join("keys"), keys::copy(&passphrase)).await.unwrap();
        let vault = Arc::new(Vault::open(folder.path(), drilled).unwrap());
        let mut parts = acts::parts(&directory, keys, &post, &vault).unwrap();
        parts.others = others;
        let genesis = people.genesis(&holders).unwrap();
        let house = House::open(parts, Way::Create(genesis)).await.unwrap();
        let address = acts::wallet(&house, &people).await.unwrap();
        let record = acts::ceremony(&house, &people, &holders, &post).await.unwrap();
        let custodian = house.custodian.id();
        let world =
            Self { folder, people, holders, post, vault, record, custodian, address, passphrase };
        (world, house)
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.folder.path().join("house")
    }

    pub(crate) async fn archive(&self, house: &House) -> Made {
        self.archive_with(house, &[]).await
    }

    /// An archive with more secrets than the passphrase.
    pub(crate) async fn archive_with(&self, house: &House, more: &[(&str, &Secret)]) -> Made {
        let (record, vault) = (&self.record, &self.vault);
        let secrets = [&[(keys::PASSPHRASE, &self.passphrase)], more].concat();
        vault::make(house, &self.directory(), record, vault, &secrets).await.unwrap()
    }

    pub(crate) async fn head(&self, house: &House) -> Head {
        house.custodian.checkpoint().await.unwrap().unwrap().head
    }

    /// The house is closed and everything in its directory deleted.
    pub(crate) async fn lose(&self, house: House) {
        house.close().await.unwrap();
        fs::remove_dir_all(self.directory()).unwrap();
    }

    /// The anchor is lost as well.
    pub(crate) fn lose_anchor(&self) {
        fs::remove_dir_all(self.folder.path().join("house.anchor")).unwrap();
    }

    pub(crate) async fn restore(&self, made: &Made) -> (Restored, SoftKeys) {
        let shares = rebuild::bring(&self.holders, &self.record, &self.post).unwrap();
        rebuild::restore(&self.directory(), &self.vault, made, shares).await.unwrap()
    }

    /// Opens what was restored.
    pub(crate) async fn recover(
        &self,
        keys: SoftKeys,
        recovery: Recovery,
    ) -> Result<House, Failure> {
        let parts = acts::parts(&self.directory(), keys, &self.post, &self.vault).unwrap();
        House::open(parts, Way::Recover(self.custodian, recovery)).await
    }

    /// Opens the directory as if nothing had happened.
    pub(crate) async fn open(&self, keys: SoftKeys) -> Result<House, Failure> {
        let parts = acts::parts(&self.directory(), keys, &self.post, &self.vault).unwrap();
        House::open(parts, Way::Open(self.custodian)).await
    }

    pub(crate) async fn pay(&self, house: &House, transaction: &str) -> Result<String, Failure> {
        acts::pay(house, &self.people, transaction, &self.address).await
    }
}

/// Runs a test on a runtime of its own.
pub(crate) fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().unwrap().block_on(test);
}

/// An example of this package, which is built with its tests.
pub(crate) fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).map(|folder: &Path| folder.join("examples").join(name));
    program.filter(|program| program.exists()).expect("the example is built with the tests")
}
