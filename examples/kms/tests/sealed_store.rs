//! A house whose store and archives a key of KMS locks: it opens with that key, and with nothing else.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[expect(dead_code, reason = "more than is needed here")]
#[path = "../hot_wallet_kms/payments.rs"]
mod payments;
#[expect(dead_code, reason = "more than is needed here")]
#[path = "../hot_wallet_kms/wallets.rs"]
mod wallets;

use std::path::Path;
use std::sync::Arc;

use custody_core::id::CustodianId;
use custody_kms::KmsKek;
use custody_store::SealedStoreError;
use examples_kms::account::{self, Account};
use examples_kms::house::{House, Parts};
use examples_start::transactions::bundled;
use tokio::runtime::Runtime;
use wallets::SEALED;

const WALLETS: &str = "alias/hot-wallets";
const STORE: &str = "alias/stores";

/// The parts of a house whose store is locked by the key behind an alias, or by none.
async fn parts(account: &Account, store: Option<&str>) -> Parts {
    let sealed = account::sealed(account.kek(WALLETS).await.unwrap()).unwrap();
    let native = account.native().unwrap();
    let mut parts = Parts { native, sealed: Arc::new(sealed), sealed_by: None };
    if let Some(alias) = store {
        parts.sealed_by = Some(account.kek(alias).await.unwrap());
    }
    parts
}

/// A house that has paid once, and is closed.
fn closed(directory: &Path, store: Option<&str>) -> (Account, CustodianId) {
    Runtime::new().unwrap().block_on(async {
        let account = Account::of_environment().unwrap();
        for alias in [WALLETS, STORE] {
            account.symmetric_key(alias).await.unwrap();
        }
        let house = House::create(directory, parts(&account, store).await).await.unwrap();
        wallets::create(&house).await.unwrap();
        payments::at_once(&house, ("0.5 ETH", SEALED), bundled::SMALL).await.unwrap();
        let id = house.custodian().id();
        house.close().await.unwrap();
        (account, id)
    })
}

/// What opening it ends with.
fn opened(directory: &Path, account: &Account, store: Option<&str>, id: CustodianId) -> Opened {
    Runtime::new().unwrap().block_on(async {
        let house = match House::open(directory, parts(account, store).await, id).await {
            Ok(house) => house,
            Err(error) => {
                let error = error.downcast_ref::<SealedStoreError>();
                let is_key = matches!(error, Some(SealedStoreError::KeyEncryption { .. }));
                return if is_key { Opened::Locked } else { Opened::Unread };
            }
        };
        let paid =
            payments::at_once(&house, ("0.25 ETH", SEALED), bundled::SMALL_LEGACY).await.is_ok();
        house.close().await.unwrap();
        if paid { Opened::Paid } else { Opened::Unread }
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Opened {
    /// The key does not open it.
    Locked,
    /// It opens and pays.
    Paid,
    /// It is no store to whoever has no key.
    Unread,
}

#[test]
#[ignore = "needs a stand-in for KMS"]
fn a_locked_house_opens_with_its_key_and_with_no_other() {
    let place = tempfile::tempdir().unwrap();
    let (account, id) = closed(place.path(), Some(STORE));
    assert_eq!(opened(place.path(), &account, Some(WALLETS), id), Opened::Locked);
    assert_eq!(opened(place.path(), &account, None, id), Opened::Unread);
    // Nobody has changed it.
    assert_eq!(opened(place.path(), &account, Some(STORE), id), Opened::Paid);
}

#[test]
#[ignore = "needs a stand-in for KMS"]
fn a_locked_house_does_not_open_while_its_key_is_off() {
    let place = tempfile::tempdir().unwrap();
    let (account, id) = closed(place.path(), Some(STORE));
    Runtime::new().unwrap().block_on(async {
        let (sdk, kek) = (account.sdk(), account.kek(STORE).await.unwrap());
        let arn = kek.arn().as_str();
        sdk.disable_key().key_id(arn).send().await.unwrap();
        let again = KmsKek::open(&account.kms().unwrap(), STORE, entropy()).await;
        assert!(again.is_err(), "it is refused when it is opened");
        let mut parts = parts(&account, None).await;
        parts.sealed_by = Some(Arc::<KmsKek>::clone(&kek));
        let error = House::open(place.path(), parts, id).await.unwrap_err();
        let error = error.downcast_ref::<SealedStoreError>();
        assert!(matches!(error, Some(SealedStoreError::Unwrap(_))), "{error:?}");
        sdk.enable_key().key_id(arn).send().await.unwrap();
    });
    assert_eq!(opened(place.path(), &account, Some(STORE), id), Opened::Paid);
}

fn entropy() -> Arc<dyn custody_core::seam::Entropy> {
    Arc::new(examples_start::entropy::OsEntropy)
}

/// How often a text stands in the files of the store.
fn lies_in(directory: &Path, text: &str) -> usize {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let stored = files.filter(|path| path.to_string_lossy().contains("custody.sqlite"));
    let contents: Vec<_> = stored.map(|path| std::fs::read(path).unwrap()).collect();
    assert!(contents.iter().map(Vec::len).sum::<usize>() > 50_000, "there is no store");
    let found = contents.iter().flat_map(|bytes| bytes.windows(text.len()));
    found.filter(|window| *window == text.as_bytes()).count()
}

#[test]
#[ignore = "needs a stand-in for KMS"]
fn the_files_of_a_locked_house_tell_nothing_of_its_orders() {
    let (locked, plain) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    closed(locked.path(), Some(STORE));
    closed(plain.path(), None);
    for text in ["\"order_submitted\"", bundled::KNOWN[0], "\"sealed.seed\""] {
        assert_ne!(lies_in(plain.path(), text), 0, "{text}");
        assert_eq!(lies_in(locked.path(), text), 0, "{text}");
    }
}
