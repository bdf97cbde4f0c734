//! A house whose store is locked by a key of its token: it opens with the token, and with nothing else.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

#[path = "../cold_wallet/bitcoin_payment.rs"]
mod bitcoin_payment;
#[path = "../cold_wallet/ethereum_payment.rs"]
mod ethereum_payment;
#[path = "softhsm/stage.rs"]
mod stage;
#[path = "../cold_wallet/wallets.rs"]
mod wallets;

use std::path::Path;
use std::sync::Arc;

use cryptoki::object::{Attribute, ObjectClass};
use custody_core::custodian::Outcome;
use custody_core::id::{CustodianId, WalletId};
use custody_core::seam::Payload;
use custody_hsm::HsmBackend;
use custody_store::SealedStoreError;
use examples_hsm::Failure;
use examples_hsm::house::{House, Parts};
use examples_hsm::tokens::Tokens;
use stage::with_tokens;

const TOKEN: &str = "lock";
const OTHER: &str = "other";
/// The name of the key that locks the store.
const KEK: &str = "store";

/// The parts of a house whose keys are in one token, and whose store is locked by a key of another.
async fn parts(token: &Arc<HsmBackend>, lock: &HsmBackend) -> Parts {
    let [keys, log] = [(); 2].map(|()| Arc::<HsmBackend>::clone(token));
    let kek = Arc::new(lock.key_encryption(KEK).await.unwrap());
    Parts { sealed_by: Some(kek), ..wallets::parts(keys, log) }
}

async fn paid(house: &House, name: &str, wallet: &WalletId, payload: Payload) -> Vec<u8> {
    let mut answer = house.submit(name, wallet, payload).await.unwrap();
    for treasurer in &house.treasurers {
        answer = house.approve(treasurer, &answer.order).await.unwrap();
    }
    let Outcome::Released(release) = answer.outcome else { panic!("{name}: {answer:?}") };
    release.signed.unwrap()
}

/// A house that has paid once, and is closed.
async fn closed(directory: &Path, tokens: &Tokens) -> CustodianId {
    let token = tokens.open(TOKEN).await.unwrap();
    let parts = parts(&token, &token).await;
    let house = wallets::create(directory, parts).await.unwrap();
    assert_eq!(wallets::tell(&house).unwrap().len(), 2);
    let ether = ethereum_payment::payload(0).unwrap();
    let raw = paid(&house, "ether", &wallets::ether().unwrap(), ether).await;
    ethereum_payment::check(&house, &raw).unwrap();
    let id = house.custodian.id();
    house.close().await.unwrap();
    id
}

#[track_caller]
fn assert_locked(opened: Result<House, Failure>, name: &str) {
    let error = opened.unwrap_err();
    let error = error.downcast_ref();
    assert!(matches!(error, Some(SealedStoreError::KeyEncryption { .. })), "{name}: {error:?}");
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_locked_house_opens_with_its_token_and_pays() {
    with_tokens(&[TOKEN], async |directory, tokens| {
        let id = closed(directory, tokens).await;
        let token = tokens.open(TOKEN).await.unwrap();
        let house = House::open(directory, parts(&token, &token).await, id).await.unwrap();
        // What was asked for before is known, and given again.
        let ether = ethereum_payment::payload(0).unwrap();
        let again = house.submit("ether", &wallets::ether().unwrap(), ether).await.unwrap();
        assert!(matches!(again.outcome, Outcome::Released(_)), "{again:?}");
        let psbt = bitcoin_payment::payload(&house).unwrap();
        let signed = paid(&house, "coins", &wallets::coins().unwrap(), psbt).await;
        bitcoin_payment::check(&house, &signed).unwrap();
        house.close().await.unwrap();
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_locked_house_does_not_open_with_another_token_or_another_key() {
    with_tokens(&[TOKEN, OTHER], async |directory, tokens| {
        let id = closed(directory, tokens).await;
        let (token, other) = (tokens.open(TOKEN).await.unwrap(), tokens.open(OTHER).await.unwrap());
        let opened = House::open(directory, parts(&token, &other).await, id).await;
        assert_locked(opened, "another token");
        let mut wrong = parts(&token, &token).await;
        wrong.sealed_by = Some(Arc::new(token.key_encryption("another").await.unwrap()));
        assert_locked(House::open(directory, wrong, id).await, "another key");
        let mut open = parts(&token, &token).await;
        open.sealed_by = None;
        assert!(House::open(directory, open, id).await.is_err(), "it is not read without a key");
        // Nobody has changed it.
        let house = House::open(directory, parts(&token, &token).await, id).await.unwrap();
        house.close().await.unwrap();
    });
}

#[test]
#[ignore = "needs SoftHSM"]
fn a_locked_house_is_lost_with_the_key_of_the_token() {
    with_tokens(&[TOKEN], async |directory, tokens| {
        let id = closed(directory, tokens).await;
        let token = tokens.open(TOKEN).await.unwrap();
        let bare = tokens.bare(TOKEN).unwrap();
        let label = Attribute::Label(format!("custody kek {KEK}").into_bytes());
        let wanted = [Attribute::Class(ObjectClass::SECRET_KEY), label];
        for key in bare.session().find_objects(&wanted).unwrap() {
            bare.session().destroy_object(key).unwrap();
        }
        drop(bare);
        // A new key of the same name is made, and is another key.
        let opened = House::open(directory, parts(&token, &token).await, id).await;
        assert_locked(opened, "a new key");
    });
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
#[ignore = "needs SoftHSM"]
fn the_files_of_a_locked_house_tell_nothing_of_its_orders() {
    with_tokens(&[TOKEN], async |directory, tokens| {
        let locked = directory.join("locked");
        let _id = closed(&locked, tokens).await;
        let token = tokens.open(TOKEN).await.unwrap();
        let plain = directory.join("plain");
        let open = Parts { sealed_by: None, ..parts(&token, &token).await };
        let house = wallets::create(&plain, open).await.unwrap();
        house.close().await.unwrap();
        let receiver = ethereum_payment::receiver();
        for text in ["\"order_submitted\"", receiver.as_str(), "\"never_extractable\""] {
            assert_ne!(lies_in(&plain, text), 0, "{text}");
            assert_eq!(lies_in(&locked, text), 0, "{text}");
        }
    });
}
