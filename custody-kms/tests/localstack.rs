//! What ministack does not do as AWS does, over LocalStack.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "world/account.rs"]
mod account;
#[path = "world/stand_in.rs"]
mod stand_in;

use account::{Account, HOME, record, request};
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::seam::{ErrorKind, KeyBackend as _, KeyEncryption as _, KeySwitch as _};
use custody_core::secret::Secret;
use custody_kms::{KmsBackend, KmsConfig, Observer};
use stand_in::told;

const LOCALSTACK: &str = "CUSTODY_KMS_LOCALSTACK";
const CONTEXT: [&[u8]; 2] = [b"store", b"records"];

#[tokio::test]
#[ignore = "needs LocalStack"]
async fn keys_sign_are_switched_and_are_found_again() {
    let account = Account::new(&told(LOCALSTACK));
    let mut config: KmsConfig = account.config();
    // It has no Ed25519.
    config.algorithms.retain(|algorithm| *algorithm != Algorithm::Ed25519);
    let backend = KmsBackend::new(account.kms_with(config, Observer::default())).unwrap();
    for algorithm in [Algorithm::EcdsaP256, Algorithm::EcdsaSecp256k1] {
        let asked = request(&format!("key-{algorithm}"), algorithm);
        let key = record(&backend, &asked).await;
        assert_eq!(record(&backend, &asked).await.public_key, key.public_key);
        for fill in 0..20 {
            let digest = [fill; 32];
            let input = SignInput::Prehash(&digest);
            let signer = backend.signer(&key).await.unwrap();
            assert_eq!(signer.sign(input).await.unwrap().verify(&key.public_key, input), Ok(()));
        }
        backend.disable(&key).await.unwrap();
        assert_eq!(backend.signer(&key).await.err().unwrap().kind(), ErrorKind::Refused);
        backend.destroy(&key).await.unwrap();
        backend.destroy(&key).await.unwrap();
        backend.disable(&key).await.unwrap();
        assert_eq!(backend.enable(&key).await.unwrap_err().kind(), ErrorKind::Refused);
        backend.cancel_destroy(&key).await.unwrap();
        backend.cancel_destroy(&key).await.unwrap();
        backend.enable(&key).await.unwrap();
        backend.signer(&key).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs LocalStack"]
async fn a_key_that_its_alias_does_not_name_yet_is_found_among_many_pages() {
    let account = Account::new(&told(LOCALSTACK));
    let sdk = account.sdk(HOME);
    for number in 0..120 {
        let key = account.symmetric_key().await;
        let name = format!("alias/other-{number}");
        sdk.create_alias().alias_name(name).target_key_id(key).send().await.unwrap();
    }
    let backend = account.backend();
    let asked = request("key", Algorithm::EcdsaSecp256k1);
    let key = record(&*backend, &asked).await;
    // As if whoever made it had ended before the alias was made.
    let name = format!("alias/custody/{}", tag(&sdk, &key).await);
    sdk.delete_alias().alias_name(name).send().await.unwrap();
    assert_eq!(record(&*backend, &asked).await.public_key, key.public_key);
}

/// The name under which a key is found, from its tags.
async fn tag(
    sdk: &custody_kms::aws_sdk_kms::Client,
    key: &custody_core::seam::KeyRecord,
) -> String {
    let arn = std::str::from_utf8(key.handle.as_bytes().get(33..).unwrap()).unwrap();
    let tags = sdk.list_resource_tags().key_id(arn).send().await.unwrap();
    let name = tags.tags().iter().find(|tag| tag.tag_key() == "custody:name").unwrap();
    name.tag_value().to_owned()
}

#[tokio::test]
#[ignore = "needs LocalStack"]
async fn a_rotated_key_opens_what_was_wrapped_before() {
    let account = Account::new(&told(LOCALSTACK));
    let kek = account.kek(&account.symmetric_key().await).await;
    let wrapped = kek.wrap(&Secret::new(vec![7; 32]), &CONTEXT).await.unwrap();
    assert_eq!(kek.rotation().await.unwrap().period_days, None);
    for days in [1_u16, 89, 2_561] {
        assert_eq!(
            kek.enable_rotation(days.try_into().unwrap()).await.unwrap_err().kind(),
            ErrorKind::Refused
        );
    }
    kek.enable_rotation(180.try_into().unwrap()).await.unwrap();
    let rotation = kek.rotation().await.unwrap();
    assert_eq!(rotation.period_days, Some(180.try_into().unwrap()));
    kek.rotate_now().await.unwrap();
    kek.wipe();
    assert!(kek.unwrap(&wrapped, &CONTEXT).await.unwrap().expose() == [7; 32]);
    let after = kek.wrap(&Secret::new(vec![8; 32]), &CONTEXT).await.unwrap();
    kek.wipe();
    assert!(kek.unwrap(&after, &CONTEXT).await.unwrap().expose() == [8; 32]);
}

#[tokio::test]
#[ignore = "needs LocalStack"]
async fn changed_ciphertexts_are_refused_by_kms_itself() {
    let account = Account::new(&told(LOCALSTACK));
    let kek = account.kek(&account.symmetric_key().await).await;
    let wrapped = kek.wrap(&Secret::new(vec![7; 32]), &CONTEXT).await.unwrap();
    let ciphertext = 2 + kek.arn().as_str().len() + 2;
    for position in [ciphertext, ciphertext + 40, ciphertext + 70] {
        let mut changed = wrapped.clone();
        changed[position] ^= 1;
        let error = kek.unwrap(&changed, &CONTEXT).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {position}");
    }
}
