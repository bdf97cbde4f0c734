use std::time::Duration;

use custody_core::document::V1;
use custody_core::id::{BackendId, KeyId, WalletId};
use custody_core::seam::{
    DerivationPath, KeyBackend as _, KeyDerivation as _, SeedRecord, SeedRequest,
};
use custody_core::time::Timestamp;
use custody_recovery::ceremony::{CeremonyCommand as _, Permit, Purpose, Recover};
use custody_recovery::restore::PermitError;
use examples_recovery::acts::WALLET;
use examples_recovery::house::House;
use examples_recovery::keys::{SoftKeys, Words, drawn};

use crate::world::{World, run};

const DAY: Duration = Duration::from_secs(86_400);

/// Has an order say that shares may be combined for a purpose.
async fn permit(world: &World, house: &House, purpose: Purpose) -> Permit {
    let until = house.clock().now().after(DAY);
    let recover = Recover { v: V1, set: world.record.set, purpose, until };
    let command = recover.to_command().unwrap();
    let release = house.execute(&world.people, &world.people.operator, command).await.unwrap();
    serde_json::from_slice(&release.extension.unwrap()).unwrap()
}

fn wallet(name: &str) -> WalletId {
    WalletId::parse(name).unwrap()
}

#[test]
fn a_seed_is_written_in_words_only_for_an_order_that_names_it() {
    run(async {
        let (world, house) = World::new().await;
        let seed = KeyId::parse("hot.seed").unwrap();
        let words = |seed: &KeyId| Purpose::Words { wallet: wallet(WALLET), seed: seed.clone() };
        let permitted = permit(&world, &house, words(&seed)).await;
        let others = [
            permit(&world, &house, words(&KeyId::parse("other.seed").unwrap())).await,
            permit(&world, &house, Purpose::Wallet { wallet: wallet(WALLET) }).await,
            permit(&world, &house, Purpose::Custodian {}).await,
        ];
        let now = house.clock().now();
        let made = world.archive(&house).await;
        world.lose(house).await;
        let (restored, keys) = world.restore(&made).await;
        let backend = Words(&keys.backend);
        for (other, number) in others.iter().zip(0..) {
            let error = restored.permitted_words(other, now, &backend).await.err().unwrap();
            let is_right = match number {
                0 => matches!(error, PermitError::NoSeed { .. }),
                _ => matches!(error, PermitError::Purpose),
            };
            assert!(is_right, "{number}: {error:?}");
        }
        let late = now.after(2 * DAY);
        let error = restored.permitted_words(&permitted, late, &backend).await.err().unwrap();
        assert!(matches!(error, PermitError::Late), "{error:?}");

        let words = restored.permitted_words(&permitted, now, &backend).await.unwrap();
        assert_eq!(public_key_of(words).await, restored.keys().keys()[0].record.public_key);
    });
}

/// The key of the account below these words, in a backend that never saw the house.
async fn public_key_of(words: custody_core::secret::Secret) -> custody_core::crypto::PublicKey {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = SoftKeys::create(folder.path(), drawn().unwrap()).await.unwrap().backend;
    let custodian = custody_core::id::CustodianId::new(custody_core::digest::Digest::of(b"x"));
    let (wallet, key) = (wallet("w"), KeyId::parse("s").unwrap());
    let request = SeedRequest { custodian, wallet: wallet.clone(), key: key.clone() };
    let none = custody_core::secret::Secret::new(Vec::new());
    let seed = elsewhere.import_mnemonic(&request, words, none).await.unwrap();
    let record = SeedRecord { custodian, wallet, key, handle: seed.handle };
    let path = DerivationPath::parse("m/44'/60'/0'/0/0").unwrap();
    elsewhere.extended_public_key(&record, &path).await.unwrap().public_key
}

#[test]
fn one_wallet_comes_back_alone_and_only_for_an_order_that_names_it() {
    run(async {
        let (world, house) = World::new().await;
        let permitted = permit(&world, &house, Purpose::Wallet { wallet: wallet(WALLET) }).await;
        let missing = permit(&world, &house, Purpose::Wallet { wallet: wallet("other") }).await;
        let made = world.archive(&house).await;
        world.lose(house).await;
        let (restored, keys) = world.restore(&made).await;
        let now = Timestamp::from_millis(permitted.until.as_millis() - 1);
        let error = restored.permitted_wallet(&missing, now).unwrap_err();
        assert!(matches!(error, PermitError::NoWallet { .. }), "{error:?}");
        let mut other = permitted.clone();
        other.custodian =
            custody_core::id::CustodianId::new(custody_core::digest::Digest::of(b"x"));
        let error = restored.permitted_wallet(&other, now).unwrap_err();
        assert!(matches!(error, PermitError::Custodian), "{error:?}");
        let found = restored.permitted_wallet(&permitted, now).unwrap();
        assert_eq!((found.keys().len(), found.seeds().len()), (1, 1));
        assert!(found.backends().contains_key(&BackendId::parse("software").unwrap()));
        let signer = keys.backend.signer(&found.keys()[0].record).await.unwrap();
        assert_eq!(*signer.public_key(), found.keys()[0].record.public_key);
    });
}
