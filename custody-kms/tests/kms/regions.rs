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
    behind.proxy.rule("ListAliases", Times::Next(3), Answer::error(500, "KMSInternalException"));
    behind.proxy.rule("ListAliases", Times::Next(1), Answer::error(400, "AccessDeniedException"));
    let reports = kms.report().await;
    let reasons: Vec<_> = reports
        .iter()
        .map(|report| report.fault.as_ref().map(|fault| fault.reason.clone()))
        .collect();
    assert_eq!(reasons, [Some(KmsReason::Internal), Some(KmsReason::AccessDenied)]);
}

/// A key of several regions that has no replica abroad.
async fn without_replica(behind: &Behind) -> String {
    let made = behind.account.sdk(HOME).create_key().multi_region(true).send().await.unwrap();
    made.key_metadata.unwrap().arn.unwrap()
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_region_without_the_key_is_not_asked_whatever_happens_to_the_others() {
    // KMS tells where the key is, or does not, and then a region is asked once.
    for (is_told, expected) in
        [(true, vec![HOME; 4]), (false, vec![HOME, HOME, HOME, ABROAD, HOME])]
    {
        let behind = Behind::new();
        let key = without_replica(&behind).await;
        if !is_told {
            let silent = Fault::edit(|body| body.replace("MultiRegionConfiguration", "Nothing"));
            behind.proxy.rule("DescribeKey", Times::Next(1), silent);
        }
        let kms = behind.kms_with(config(&behind));
        let kek = KmsKek::open(&kms, &key, entropy()).await.unwrap();
        let wrapped = kek.wrap(&Secret::new(vec![1; 32]), &CONTEXT).await.unwrap();
        behind.proxy.rule("Decrypt", Times::Next(3), Answer::error(500, "KMSInternalException"));
        let error = kek.unwrap(&wrapped, &CONTEXT).await.err().unwrap();
        let told = (error.kind(), reason(&error));
        assert_eq!(told, (ErrorKind::Unavailable, KmsReason::Internal), "{is_told}");
        // Home comes last for a while, and is still the only one.
        kek.unwrap(&wrapped, &CONTEXT).await.unwrap();
        assert_eq!(asked(&behind), expected, "{is_told}");
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_key_is_opened_where_it_is() {
    let behind = Behind::new();
    let key = without_replica(&behind).await;
    let mut config = config(&behind);
    config.regions.reverse();
    let kek = KmsKek::open(&behind.kms_with(config.clone()), &key, entropy()).await.unwrap();
    let wrapped = kek.wrap(&Secret::new(vec![1; 32]), &CONTEXT).await.unwrap();
    kek.unwrap(&wrapped, &CONTEXT).await.unwrap();
    assert_eq!(asked(&behind), [HOME]);
    // That it is named in a region where it is not is no way in.
    let elsewhere = key.replace(HOME, ABROAD);
    let kms = behind.kms_with(config);
    let error = KmsKek::open(&kms, &elsewhere, entropy()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn our_own_limit_leads_to_no_other_region_where_a_closed_key_is_open() {
    let behind = Behind::new();
    let arn = kek(&behind).await.arn().as_str().to_owned();
    let mut config = config(&behind);
    config.limits.symmetric_per_second = 1.try_into().unwrap();
    config.limits.wait = std::time::Duration::ZERO;
    let kek = KmsKek::open(&behind.kms_with(config), &arn, entropy()).await.unwrap();
    let wrapped = kek.wrap(&Secret::new(vec![1; 32]), &CONTEXT).await.unwrap();
    let error = kek.unwrap(&wrapped, &CONTEXT).await.err().unwrap();
    assert!(matches!(reason(&error), KmsReason::OwnLimit { .. }), "{error}");
    assert!(matches!(error.kind(), ErrorKind::Throttled { retry_after: Some(_) }));
    behind.account.sdk(HOME).disable_key().key_id(&arn).send().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let error = kek.unwrap(&wrapped, &CONTEXT).await.err().unwrap();
    assert_eq!((error.kind(), reason(&error)), (ErrorKind::Refused, KmsReason::Disabled));
    assert_eq!((asked(&behind), behind.events()), (vec![HOME.to_owned()], vec![]));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_region_where_one_key_is_not_available_is_not_left_alone() {
    let behind = Behind::new();
    let kek = kek(&behind).await;
    let wrapped = kek.wrap(&Secret::new(vec![1; 32]), &CONTEXT).await.unwrap();
    behind.proxy.rule("Decrypt", Times::Next(3), Answer::error(500, "KeyUnavailableException"));
    kek.unwrap(&wrapped, &CONTEXT).await.unwrap();
    kek.unwrap(&wrapped, &CONTEXT).await.unwrap();
    assert_eq!(asked(&behind), [HOME, HOME, HOME, ABROAD, HOME]);
    assert_eq!(behind.events(), []);
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_key_of_several_regions_is_the_same_when_the_regions_change_places() {
    let behind = Behind::new();
    let arn = kek(&behind).await.arn().as_str().to_owned();
    for (region, key) in [(HOME, arn.clone()), (ABROAD, arn.replace(HOME, ABROAD))] {
        let alias = behind.account.sdk(region).create_alias().alias_name("alias/wallets");
        alias.target_key_id(key).send().await.unwrap();
    }
    let mut keks = Vec::new();
    for home in [HOME, ABROAD] {
        let mut config = config(&behind);
        config.regions.sort_by_key(|region| region.as_str() != home);
        let kms = behind.kms_with(config);
        let kek = KmsKek::open(&kms, "alias/wallets", entropy()).await.unwrap();
        assert_eq!(kek.arn().region().as_str(), home);
        keks.push(kek);
    }
    // A store that knows its key by this id opens as before.
    assert_eq!(keks[0].id(), keks[1].id());
    let wrapped = keks[0].wrap(&Secret::new(vec![1; 32]), &CONTEXT).await.unwrap();
    assert!(keks[1].unwrap(&wrapped, &CONTEXT).await.unwrap().expose() == [1; 32]);
    let wrapped = keks[1].wrap(&Secret::new(vec![2; 32]), &CONTEXT).await.unwrap();
    assert!(keks[0].unwrap(&wrapped, &CONTEXT).await.unwrap().expose() == [2; 32]);
    assert_eq!(asked(&behind), [ABROAD, HOME]);
}
