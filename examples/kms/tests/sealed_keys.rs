//! Keys of a wallet that are sealed under a key of KMS: how often KMS is asked, how long they stay open,
//! and what is refused.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[expect(dead_code, reason = "more than is needed here")]
#[path = "../../../custody-kms/tests/world/proxy.rs"]
mod proxy;

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use custody_core::crypto::{Algorithm, SignInput};
use custody_core::digest::Digest;
use custody_core::id::{BackendId, CustodianId, KeyId, WalletId};
use custody_core::seam::{
    Clock, DerivationPath, ErrorKind, Exportability, KeyBackend as _, KeyDerivation as _,
    KeyHandle, KeyRecord, KeyRequest, SeedRecord, SeedRequest, Signer,
};
use custody_kms::KmsKek;
use custody_soft::{CacheLimits, SoftBackend};
use custody_testkit::runtime::TestClock;
use examples_kms::account::{self, Account};
use examples_start::entropy::OsEntropy;
use proxy::Proxy;

const ALIAS: &str = "alias/hot-wallets";
const MINUTE: Duration = Duration::from_secs(60);

/// An account behind a proxy that counts what KMS is asked.
struct World {
    account: Account,
    proxy: Proxy,
}

impl World {
    async fn new() -> Self {
        let account = Account::of_environment().unwrap();
        account.symmetric_key(ALIAS).await.unwrap();
        let proxy = Proxy::before(account.endpoint());
        let account = account.at(&proxy.url());
        Self { account, proxy }
    }

    /// A new process: nothing is open in it.
    async fn backend(&self) -> Arc<SoftBackend> {
        Arc::new(account::sealed(self.account.kek(ALIAS).await.unwrap()).unwrap())
    }

    /// One whose keys are open for a minute and three signatures, while KMS is asked for each opening.
    async fn brief(&self) -> (SoftBackend, TestClock) {
        let mut config = self.account.config().unwrap();
        config.data_keys.age = Duration::ZERO;
        let (kms, entropy) = (self.account.kms_with(config).unwrap(), Arc::new(OsEntropy));
        let kek = KmsKek::open(&kms, ALIAS, Arc::<OsEntropy>::clone(&entropy)).await.unwrap();
        let uses = NonZeroU64::new(3).unwrap();
        let limits = CacheLimits::new(NonZeroU32::new(8).unwrap(), MINUTE, uses);
        let clock = TestClock::new();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let id = BackendId::parse("brief").unwrap();
        let backend = SoftBackend::with_cache(id, Arc::new(kek), entropy, shared, limits);
        (backend.unwrap(), clock)
    }

    fn data_key_calls(&self) -> [usize; 2] {
        ["GenerateDataKey", "Decrypt"].map(|operation| self.proxy.calls(operation))
    }
}

fn request(wallet: &str, key: &str) -> KeyRequest {
    KeyRequest {
        custodian: CustodianId::new(Digest::of(b"house")),
        wallet: WalletId::parse(wallet).unwrap(),
        key: KeyId::parse(key).unwrap(),
        algorithm: Algorithm::EcdsaSecp256k1,
        exportability: Exportability::Never,
    }
}

async fn seed(backend: &SoftBackend) -> SeedRecord {
    let KeyRequest { custodian, wallet, key, .. } = request("hot", "hot.seed");
    let (owner, id) = (wallet.clone(), key.clone());
    let made = backend.generate_seed(&SeedRequest { custodian, wallet: owner, key: id }).await;
    SeedRecord { custodian, wallet, key, handle: made.unwrap().handle }
}

async fn derive(backend: &SoftBackend, seed: &SeedRecord, number: u32) -> KeyRecord {
    let path = DerivationPath::parse(&format!("m/44'/60'/0'/0/{number}")).unwrap();
    let request = request("hot", &format!("hot.{number}"));
    let made = backend.derive(seed, &path, &request).await.unwrap();
    let KeyRequest { custodian, wallet, key, .. } = request;
    KeyRecord { custodian, wallet, key, public_key: made.public_key, handle: made.handle }
}

/// Signs, and verifies under the recorded public key.
async fn sign(signer: &Arc<dyn Signer>, record: &KeyRecord) -> Result<(), ErrorKind> {
    let input = SignInput::Prehash(&[0x3e; 32]);
    let signature = signer.sign(input).await.map_err(|error| error.kind())?;
    signature.checked(&record.public_key, input).map(drop).map_err(|_| ErrorKind::Corrupt)
}

/// What opening a record ends with.
async fn refusal(backend: &SoftBackend, record: &KeyRecord) -> Option<ErrorKind> {
    backend.signer(record).await.err().map(|error| error.kind())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a stand-in for KMS"]
async fn ten_thousand_addresses_of_a_wallet_open_with_one_call() {
    let world = World::new().await;
    let sealing = world.backend().await;
    let seed = seed(&sealing).await;
    let mut records = Vec::new();
    for number in 0..10_000 {
        records.push(derive(&sealing, &seed, number).await);
    }
    assert_eq!(world.data_key_calls(), [1, 0]);
    let opening = world.backend().await;
    let before = world.proxy.operations().len();
    let records = Arc::new(records);
    let tasks = (0..4).map(|part| {
        let (opening, records) = (Arc::clone(&opening), Arc::clone(&records));
        tokio::spawn(async move {
            for record in records.iter().skip(part).step_by(4) {
                let signer = opening.signer(record).await.unwrap();
                sign(&signer, record).await.unwrap();
            }
        })
    });
    futures::future::join_all(tasks).await.into_iter().for_each(Result::unwrap);
    let asked = world.proxy.operations();
    assert_eq!(asked[before..], ["Decrypt"], "since the key of KMS was found");
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn an_open_key_signs_without_kms() {
    let world = World::new().await;
    let backend = world.backend().await;
    let record = derive(&backend, &seed(&backend).await, 0).await;
    let signer = backend.signer(&record).await.unwrap();
    let before = world.proxy.operations();
    for _ in 0..100 {
        sign(&signer, &record).await.unwrap();
    }
    assert_eq!(world.proxy.operations(), before);
    // Without KMS too.
    let World { account, proxy } = world;
    drop(proxy);
    sign(&signer, &record).await.unwrap();
    drop(account);
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_key_is_opened_again_after_its_uses_and_after_its_time() {
    let world = World::new().await;
    let (backend, clock) = world.brief().await;
    let record = derive(&backend, &seed(&backend).await, 0).await;
    let signer = backend.signer(&record).await.unwrap();
    let [_, opened] = world.data_key_calls();
    let calls = || world.data_key_calls()[1] - opened;
    for expected in [0, 0, 0, 1, 1, 1, 2] {
        sign(&signer, &record).await.unwrap();
        assert_eq!(calls(), expected, "three signatures an opening");
    }
    clock.advance(MINUTE - Duration::from_millis(1));
    sign(&signer, &record).await.unwrap();
    assert_eq!(calls(), 2, "a moment before its time is over");
    clock.advance(Duration::from_millis(1));
    sign(&signer, &record).await.unwrap();
    assert_eq!(calls(), 3, "its time is over");
    backend.wipe();
    sign(&signer, &record).await.unwrap();
    assert_eq!(calls(), 4, "it was wiped");
    clock.advance(MINUTE);
    backend.wipe_expired();
    drop(world.proxy);
    assert_eq!(sign(&signer, &record).await, Err(ErrorKind::Unavailable));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_blob_of_another_place_is_refused_without_a_call() {
    let world = World::new().await;
    let backend = world.backend().await;
    let record = derive(&backend, &seed(&backend).await, 0).await;
    let before = world.proxy.operations().len();
    let other = derive_elsewhere(&record);
    for (name, moved) in other {
        assert_eq!(refusal(&backend, &moved).await, Some(ErrorKind::Corrupt), "{name}");
    }
    assert_eq!(world.proxy.operations().len(), before);
    // Nor is it opened under another key of the account.
    world.account.symmetric_key("alias/others").await.unwrap();
    let elsewhere = account::sealed(world.account.kek("alias/others").await.unwrap()).unwrap();
    assert_ne!(elsewhere.identity(), backend.identity());
    let calls = world.data_key_calls();
    assert_eq!(refusal(&elsewhere, &record).await, Some(ErrorKind::Corrupt));
    assert_eq!(world.data_key_calls(), calls);
    assert_eq!(refusal(&backend, &record).await, None);
}

/// The record as that of another custodian, wallet and key.
fn derive_elsewhere(record: &KeyRecord) -> [(&'static str, KeyRecord); 3] {
    let custodian = CustodianId::new(Digest::of(b"other"));
    let (wallet, key) = (WalletId::parse("warm").unwrap(), KeyId::parse("hot.1").unwrap());
    [
        ("another custodian", KeyRecord { custodian, ..record.clone() }),
        ("another wallet", KeyRecord { wallet, ..record.clone() }),
        ("another key", KeyRecord { key, ..record.clone() }),
    ]
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn each_changed_byte_and_each_cut_of_a_blob_is_refused() {
    let world = World::new().await;
    let sealing = world.backend().await;
    let record = derive(&sealing, &seed(&sealing).await, 0).await;
    let bytes = record.handle.as_bytes();
    for position in 0..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[position] ^= 1;
        for (name, changed) in [("flipped", changed), ("cut", bytes[..position].to_vec())] {
            let record = KeyRecord { handle: KeyHandle::new(changed), ..record.clone() };
            let kind = refusal(&sealing, &record).await;
            assert_eq!(kind, Some(ErrorKind::Corrupt), "{name} at byte {position}");
        }
    }
    sign(&sealing.signer(&record).await.unwrap(), &record).await.unwrap();
}
