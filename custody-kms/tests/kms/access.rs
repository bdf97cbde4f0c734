//! Who may do what: denials of IAM, of key policies and of signatures, as ministack really makes them.

use std::collections::BTreeSet;

use custody_core::crypto::{Algorithm, SignInput};
use custody_core::digest::Digest;
use custody_core::seam::{
    ErrorKind, Health, KeyBackend as _, KeyEncryption as _, KeyRecord, KeySwitch as _,
};
use custody_core::secret::Secret;
use custody_kms::iam::{IamScope, Use, identity_policy};
use custody_kms::{KmsBackend, KmsKek, KmsReason};
use serde_json::Value;

use crate::MINISTACK;
use crate::account::{Account, HOME, entropy, record, request};
use crate::reason;
use crate::stand_in::{self, told};

const INPUT: SignInput<'static> = SignInput::Prehash(&[7; 32]);

/// What whoever signs may do.
const SIGNER: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
    "Action":["kms:DescribeKey","kms:GetPublicKey","kms:Sign"],"Resource":"*"}]}"#;

/// What whoever looks after keys may do.
const KEEPER: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
    "Action":["kms:DescribeKey","kms:DisableKey","kms:EnableKey","kms:GetPublicKey"],"Resource":"*"}]}"#;

/// An account, its root, and a user of it who may do what a policy says.
fn people(policy: &str) -> (Account, Account) {
    let endpoint = told(MINISTACK);
    let there = stand_in::Account::new();
    let user = there.user(policy);
    let root = Account::of(&there, &there.root(), &endpoint);
    (root, Account::of(&there, &user.credentials, &endpoint))
}

/// The printed policy of an account's role, as far as ministack understands it: it knows no conditions of
/// KMS, and an alias is created by whoever may for everything. The denial of other contexts is left out:
/// without its conditions it would be one of all contexts.
fn printed(account: &str, more: &str, uses: &[Use]) -> String {
    let custodian = Digest::of(b"house");
    let text = format!(
        "account = \"{account}\"\nregions = [\"{HOME}\"]\ncustodian = \"{custodian}\"\n{more}"
    );
    let scope = IamScope::parse(&text).unwrap();
    let policy = identity_policy(&scope, &uses.iter().copied().collect::<BTreeSet<_>>()).unwrap();
    let mut policy: Value = serde_json::from_str(&policy.to_json()).unwrap();
    let statements = policy.get_mut("Statement").unwrap().as_array_mut().unwrap();
    statements.retain(|statement| statement["Sid"] != "DenyOtherContexts");
    for statement in statements {
        if statement["Action"] == serde_json::json!(["kms:CreateAlias"]) {
            statement["Resource"] = "*".into();
            statement.as_object_mut().unwrap().remove("Condition");
        }
        let Some(conditions) = statement.get_mut("Condition") else { continue };
        let conditions = conditions.as_object_mut().unwrap();
        for keys in conditions.values_mut() {
            keys.as_object_mut().unwrap().retain(|key, _| !key.starts_with("kms:"));
        }
        conditions.retain(|_, keys| !keys.as_object().unwrap().is_empty());
    }
    policy.to_string()
}

/// An account, its root, and a user of it who may do what is printed for these uses.
fn people_who(more: &str, uses: &[Use]) -> (Account, Account) {
    let endpoint = told(MINISTACK);
    let there = stand_in::Account::new();
    let user = there.user(&printed(there.id(), more, uses));
    let root = Account::of(&there, &there.root(), &endpoint);
    (root, Account::of(&there, &user.credentials, &endpoint))
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn the_printed_rights_are_enough_to_make_keys_switch_them_and_sign() {
    let (root, user) = people_who("", &[Use::Creation, Use::Signing, Use::Switching]);
    // Others' keys are closed to the user, and in nobody's way.
    root.symmetric_key().await;
    let backend = user.backend();
    let key = record(&*backend, &request("key", Algorithm::EcdsaSecp256k1)).await;
    let again = record(&*user.backend(), &request("key", Algorithm::EcdsaSecp256k1)).await;
    assert_eq!(again.public_key, key.public_key);
    record(&*backend, &request("other", Algorithm::EcdsaP256)).await;
    assert_eq!(root.keys().await, 3);
    let signer = backend.signer(&key).await.unwrap();
    assert_eq!(signer.sign(INPUT).await.unwrap().verify(&key.public_key, INPUT), Ok(()));
    backend.disable(&key).await.unwrap();
    backend.enable(&key).await.unwrap();
    backend.destroy(&key).await.unwrap();
    backend.cancel_destroy(&key).await.unwrap();
    assert_eq!(backend.health().await, Health::Ready);
    assert!(user.kms().report().await.iter().all(|report| report.fault.is_none()));
}

async fn assert_signs_and_no_more(backend: &KmsBackend, key: &KeyRecord) {
    let signer = backend.signer(key).await.unwrap();
    assert_eq!(signer.sign(INPUT).await.unwrap().verify(&key.public_key, INPUT), Ok(()));
    for error in [
        backend.disable(key).await.unwrap_err(),
        backend.destroy(key).await.unwrap_err(),
        backend.generate(&request("other", Algorithm::EcdsaSecp256k1)).await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), reason(&error)), (ErrorKind::Refused, KmsReason::AccessDenied));
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn the_printed_rights_of_one_use_show_health_and_do_not_reach_further() {
    let (root, user) = people_who("", &[Use::Signing]);
    let key = record(&*root.backend(), &request("key", Algorithm::EcdsaSecp256k1)).await;
    let backend = user.backend();
    assert_eq!(backend.health().await, Health::Ready);
    assert_signs_and_no_more(&backend, &key).await;
    let (_, user) = people(SIGNER);
    assert_eq!(user.backend().health().await, Health::Unavailable, "a denial is seen");
    let report = user.kms().report().await;
    assert_eq!(report[0].fault.as_ref().unwrap().reason, KmsReason::AccessDenied);
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn the_printed_rights_are_enough_to_seal() {
    let endpoint = told(MINISTACK);
    let there = stand_in::Account::new();
    let root = Account::of(&there, &there.root(), &endpoint);
    let key = root.symmetric_key().await;
    let more = format!("sealing_keys = [\"{key}\"]");
    let user = there.user(&printed(there.id(), &more, &[Use::Sealing]));
    let user = Account::of(&there, &user.credentials, &endpoint);
    let kek = user.kek(&key).await;
    let wrapped = kek.wrap(&Secret::new(vec![7; 32]), &[b"store", b"records"]).await.unwrap();
    kek.wipe();
    let opened = kek.unwrap(&wrapped, &[b"store", b"records"]).await.unwrap();
    assert!(opened.expose() == [7; 32]);
    assert!(user.kms().report().await.iter().all(|report| report.fault.is_none()));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn who_signs_may_not_switch_nor_make_keys() {
    let (root, user) = people(SIGNER);
    let key = record(&*root.backend(), &request("key", Algorithm::EcdsaSecp256k1)).await;
    let backend = user.backend();
    assert_signs_and_no_more(&backend, &key).await;
    assert_eq!(root.keys().await, 1, "a key was made all the same");
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn who_looks_after_keys_may_not_sign() {
    let (root, user) = people(KEEPER);
    let key = record(&*root.backend(), &request("key", Algorithm::EcdsaSecp256k1)).await;
    let backend = user.backend();
    let signer = backend.signer(&key).await.unwrap();
    let error = signer.sign(INPUT).await.unwrap_err();
    assert_eq!((error.kind(), reason(&error)), (ErrorKind::Refused, KmsReason::AccessDenied));
    backend.disable(&key).await.unwrap();
    let error = backend.signer(&key).await.err().unwrap();
    assert_eq!((error.kind(), reason(&error)), (ErrorKind::Refused, KmsReason::Disabled));
    backend.enable(&key).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_key_s_own_policy_binds_who_may_do_everything_else() {
    let all = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}"#;
    let (root, user) = people(all);
    let key = record(&*root.backend(), &request("key", Algorithm::EcdsaSecp256k1)).await;
    let arn = String::from_utf8(key.handle.as_bytes()[33..].to_vec()).unwrap();
    let backend = user.backend();
    let signer = backend.signer(&key).await.unwrap();
    signer.sign(INPUT).await.unwrap();
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[
        {{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{0}:root"}},"Action":"kms:*","Resource":"*"}},
        {{"Effect":"Deny","Principal":"*","Action":"kms:Sign","Resource":"*"}}]}}"#,
        root.number
    );
    let sdk = root.sdk(HOME);
    sdk.put_key_policy().key_id(&arn).policy(policy).send().await.unwrap();
    let error = signer.sign(INPUT).await.unwrap_err();
    assert_eq!((error.kind(), reason(&error)), (ErrorKind::Refused, KmsReason::AccessDenied));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn credentials_that_are_wrong_unknown_or_expired_are_told_apart() {
    let endpoint = told(MINISTACK);
    let there = stand_in::Account::new();
    let user = there.user(SIGNER);
    let wrong = stand_in::Credentials {
        secret_access_key: "not-the-secret".to_owned(),
        ..user.credentials.clone()
    };
    let unknown = stand_in::Credentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        ..user.credentials.clone()
    };
    user.set_access_key("Inactive");
    for (who, expected) in [
        (&wrong, KmsReason::BadCredentials),
        (&unknown, KmsReason::BadCredentials),
        (&user.credentials, KmsReason::BadCredentials),
        (&there.session(0), KmsReason::ExpiredCredentials),
    ] {
        let account = Account::of(&there, who, &endpoint);
        let error = KmsKek::open(&account.kms(), "alias/any", entropy()).await.err().unwrap();
        assert_eq!((error.kind(), reason(&error)), (ErrorKind::Refused, expected));
        assert_eq!(account.backend().health().await, Health::Unavailable);
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn who_may_only_wrap_does_not_unwrap() {
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
        "Action":["kms:DescribeKey","kms:GenerateDataKey"],"Resource":"*"}]}"#;
    let (root, user) = people(policy);
    let key = root.symmetric_key().await;
    let kek = user.kek(&key).await;
    let context: [&[u8]; 2] = [b"store", b"records"];
    let wrapped = kek.wrap(&Secret::new(vec![7; 32]), &context).await.unwrap();
    kek.wipe();
    let error = kek.unwrap(&wrapped, &context).await.err().unwrap();
    assert_eq!((error.kind(), reason(&error)), (ErrorKind::Refused, KmsReason::AccessDenied));
    let opened = root.kek(&key).await.unwrap(&wrapped, &context).await.unwrap();
    assert!(opened.expose() == [7; 32]);
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn an_account_does_not_use_another_account_s_keys() {
    let (one, _) = people(SIGNER);
    let (two, _) = people(SIGNER);
    let key = record(&*one.backend(), &request("key", Algorithm::EcdsaSecp256k1)).await;
    let error = two.backend().signer(&key).await.err().unwrap();
    assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt), "{error}");
    // The same credentials, under a configuration that names another account.
    let mut config = two.config();
    config.account = custody_kms::Account::parse(&one.number).unwrap();
    let backend = KmsBackend::new(two.kms_of(config)).unwrap();
    let error = backend.generate(&request("key", Algorithm::EcdsaSecp256k1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate, "a key of another account was made");
}
