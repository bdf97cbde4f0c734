//! A key of several regions: who is asked, and who is not.

use custody_core::seam::{ErrorKind, KeyEncryption as _};
use custody_core::secret::Secret;
use custody_kms::{KmsConfig, KmsEvent, KmsKek, KmsReason, RegionName};

use crate::account::{HOME, entropy};
use crate::proxy::{Answer, Fault, Times};
use crate::{Behind, reason};

const ABROAD: &str = "eu-west-1";
const CONTEXT: [&[u8]; 2] = [b"store", b"records"];

/// A key with a replica abroad, opened at home.
async fn kek(behind: &Behind) -> KmsKek {
    let sdk = behind.account.sdk(HOME);
    let made = sdk.create_key().multi_region(true).send().await.unwrap();
    let arn = made.key_metadata.unwrap().arn.unwrap();
    sdk.replicate_key().key_id(&arn).replica_region(ABROAD).send().await.unwrap();
    KmsKek::open(&behind.kms_with(config(behind)), &arn, entropy()).await.unwrap()
}

fn config(behind: &Behind) -> KmsConfig {
    let mut config = behind.config();
    config.regions.push(RegionName::parse(ABROAD).unwrap());
    config
}

/// The regions whose key `Decrypt` was asked for, in order.
fn asked(behind: &Behind) -> Vec<String> {
    let region = |body: &String| {
        let asked: serde_json::Value = serde_json::from_str(body).unwrap();
        asked.get("KeyId").unwrap().as_str().unwrap().split(':').nth(3).unwrap().to_owned()
    };
    behind.proxy.bodies("Decrypt").iter().map(region).collect()
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_region_that_does_not_serve_is_got_round_and_left_alone_for_a_while() {
    for (fault, expected) in [
        (
            Answer::error(400, "ThrottlingException").into(),
            KmsReason::Throttled { retry_after: None },
        ),
        (Answer::error(500, "KMSInternalException").into(), KmsReason::Internal),
        (Fault::DropBefore, KmsReason::TimedOut),
    ] {
        let behind = Behind::new();
        let kek = kek(&behind).await;
        let wrapped = kek.wrap(&Secret::new(vec![1; 32]), &CONTEXT).await.unwrap();
        kek.wipe();
        behind.proxy.rule("Decrypt", Times::Next(3), fault);
        assert!(kek.unwrap(&wrapped, &CONTEXT).await.unwrap().expose() == [1; 32]);
        kek.wipe();
        kek.unwrap(&wrapped, &CONTEXT).await.unwrap();
        assert_eq!(asked(&behind), [HOME, HOME, HOME, ABROAD, ABROAD]);
        let region = RegionName::parse(HOME).unwrap();
        assert_eq!(behind.events(), [KmsEvent::RegionFailed { region, reason: expected }]);
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_region_that_denies_has_the_last_word() {
    let behind = Behind::new();
    let kek = kek(&behind).await;
    let wrapped = kek.wrap(&Secret::new(vec![1; 32]), &CONTEXT).await.unwrap();
    for (name, expected) in [
        ("AccessDeniedException", KmsReason::AccessDenied),
        ("DisabledException", KmsReason::Disabled),
        ("NotFoundException", KmsReason::NotFound),
    ] {
        kek.wipe();
        behind.proxy.rule("Decrypt", Times::Next(1), Answer::error(400, name));
        let error = kek.unwrap(&wrapped, &CONTEXT).await.err().unwrap();
        assert_eq!(reason(&error), expected);
    }
    assert_eq!(asked(&behind), [HOME, HOME, HOME]);
    assert_eq!(behind.events(), []);
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn if_no_region_serves_the_last_one_is_named() {
    let behind = Behind::new();
    let kek = kek(&behind).await;
    let wrapped = kek.wrap(&Secret::new(vec![1; 32]), &CONTEXT).await.unwrap();
    kek.wipe();
    behind.proxy.rule("Decrypt", Times::Always, Fault::DropBefore);
    let error = kek.unwrap(&wrapped, &CONTEXT).await.err().unwrap();
    assert_eq!((error.kind(), reason(&error)), (ErrorKind::Unavailable, KmsReason::TimedOut));
    assert_eq!(asked(&behind), [HOME, HOME, HOME, ABROAD, ABROAD, ABROAD]);
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_key_of_one_region_is_asked_for_there_alone() {
    let behind = Behind::new();
    let key = behind.account.symmetric_key().await;
    let kek = KmsKek::open(&behind.kms_with(config(&behind)), &key, entropy()).await.unwrap();
    let wrapped = kek.wrap(&Secret::new(vec![1; 32]), &CONTEXT).await.unwrap();
    kek.wipe();
    behind.proxy.rule("Decrypt", Times::Always, Answer::error(500, "KMSInternalException"));
    assert!(kek.unwrap(&wrapped, &CONTEXT).await.is_err());
    assert_eq!(asked(&behind), [HOME, HOME, HOME]);
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn regions_that_are_down_and_that_deny_are_told_apart() {
    let behind = Behind::new();
    let kms = behind.kms_with(config(&behind));
    assert!(kms.report().await.iter().all(|report| report.fault.is_none()));
    behind.proxy.rule("DescribeKey", Times::Next(3), Answer::error(500, "KMSInternalException"));
    behind.proxy.rule("DescribeKey", Times::Next(1), Answer::error(400, "AccessDeniedException"));
    let reports = kms.report().await;
    let reasons: Vec<_> = reports
        .iter()
        .map(|report| report.fault.as_ref().map(|fault| fault.reason.clone()))
        .collect();
    assert_eq!(reasons, [Some(KmsReason::Internal), Some(KmsReason::AccessDenied)]);
}
