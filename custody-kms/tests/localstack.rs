//! The conformance suites, and what ministack does not do as AWS does, over LocalStack.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "world/account.rs"]
mod account;
#[path = "localstack/conformance.rs"]
mod conformance;
#[path = "world/proxy.rs"]
#[expect(dead_code, reason = "what is lost before LocalStack is tested over ministack")]
mod proxy;
#[path = "world/stand_in.rs"]
mod stand_in;

use std::time::Duration;

use account::{Account, HOME, record, request};
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::seam::{
    ErrorKind, KeyBackend as _, KeyEncryption as _, KeyRecord, KeySwitch as _,
};
use custody_core::secret::Secret;
use custody_kms::{KmsBackend, Observer};
use proxy::{Fault, Proxy, Times};
use stand_in::told;

const LOCALSTACK: &str = "CUSTODY_KMS_LOCALSTACK";
const CONTEXT: [&[u8]; 2] = [b"store", b"records"];

#[tokio::test]
#[ignore = "needs LocalStack"]
async fn keys_sign_are_switched_and_are_found_again() {
    let account = Account::new(&told(LOCALSTACK));
    let backend = conformance::keys(&account);
    for algorithm in [Algorithm::EcdsaP256, Algorithm::EcdsaSecp256k1] {
        let asked = request(&format!("key-{algorithm}"), algorithm);
        let key = record(&*backend, &asked).await;
        assert_eq!(record(&*backend, &asked).await.public_key, key.public_key);
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

/// An account behind a proxy, and one key of it.
async fn one_key() -> (Proxy, KmsBackend, KeyRecord) {
    let endpoint = told(LOCALSTACK);
    let proxy = Proxy::before(&endpoint);
    let account = Account { endpoint: proxy.url(), ..Account::new(&endpoint) };
    let mut config = account.config();
    config.limits.connect = Duration::from_millis(500);
    config.limits.attempt = Duration::from_secs(2);
    let backend = KmsBackend::new(account.kms_with(config, Observer::default())).unwrap();
    let key = record(&backend, &request("key", Algorithm::EcdsaSecp256k1)).await;
    (proxy, backend, key)
}

/// LocalStack refuses, as AWS does, to delete a key that is going to be deleted, to take back a deletion
/// of one that is not, and to disable one that is.
#[tokio::test]
#[ignore = "needs LocalStack"]
async fn a_change_whose_answers_are_lost_is_seen_in_the_key() {
    let (proxy, backend, key) = one_key().await;
    for operation in ["DisableKey", "EnableKey", "ScheduleKeyDeletion", "CancelKeyDeletion"] {
        proxy.rule(operation, Times::Always, Fault::DropAfter);
    }
    backend.disable(&key).await.unwrap();
    backend.enable(&key).await.unwrap();
    backend.signer(&key).await.unwrap();
    backend.destroy(&key).await.unwrap();
    assert_eq!(backend.signer(&key).await.err().unwrap().kind(), ErrorKind::Refused);
    backend.cancel_destroy(&key).await.unwrap();
    backend.enable(&key).await.unwrap();
    backend.signer(&key).await.unwrap();
}

#[tokio::test]
#[ignore = "needs LocalStack"]
async fn a_deletion_that_is_refused_the_second_time_was_scheduled_the_first() {
    let (proxy, backend, key) = one_key().await;
    proxy.rule("ScheduleKeyDeletion", Times::Next(1), Fault::DropAfter);
    // What the key tells is old twice: before the change and after it.
    let old = || Fault::edit(|body| body.replace("\"PendingDeletion\"", "\"Enabled\""));
    proxy.rule("DescribeKey", Times::Next(2), old());
    backend.destroy(&key).await.unwrap();
    assert_eq!(proxy.calls("ScheduleKeyDeletion"), 2);
    // As if an earlier process had not seen its end, and the key's state were old once more.
    proxy.rule("DescribeKey", Times::Next(1), old());
    backend.destroy(&key).await.unwrap();
    // Nobody is told that it did not happen while the key's state stays old.
    proxy.rule("DescribeKey", Times::Always, old());
    assert_eq!(backend.destroy(&key).await.unwrap_err().kind(), ErrorKind::Indeterminate);
}

#[tokio::test]
#[ignore = "needs LocalStack"]
async fn a_deletion_that_nobody_confirms_is_indeterminate() {
    let (proxy, backend, key) = one_key().await;
    proxy.rule("ScheduleKeyDeletion", Times::Always, Fault::DropAfter);
    proxy.rule("DescribeKey", Times::Next(1), Fault::Pass);
    proxy.rule("DescribeKey", Times::Always, Fault::DropAfter);
    assert_eq!(backend.destroy(&key).await.unwrap_err().kind(), ErrorKind::Indeterminate);
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
