//! Data keys: how often KMS is asked, how long they are kept, and what is refused. Opens secrets.

use std::sync::Arc;
use std::time::Duration;

use custody_core::seam::{ErrorKind, KeyEncryption as _};
use custody_core::secret::Secret;
use custody_kms::{HouseName, KmsKek, KmsReason};
use futures::future::join_all;

use crate::account::entropy;
use crate::proxy::{Answer, Fault, Times};
use crate::{Behind, reason};

const HOUSE: [u8; 32] = [7; 32];

/// The context of a sealed key of a wallet, as custody-soft writes it.
fn context<'a>(wallet: &'a [u8], key: &'a [u8]) -> [&'a [u8]; 5] {
    [b"custody/soft/v1", &HOUSE, wallet, key, b"ecdsa-secp256k1"]
}

fn data_key(fill: u8) -> Secret {
    Secret::new(vec![fill; 32])
}

async fn kek(behind: &Behind) -> Arc<KmsKek> {
    let key = behind.account.symmetric_key().await;
    Arc::new(KmsKek::open(&behind.kms(), &key, entropy()).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a stand-in for KMS"]
async fn ten_thousand_keys_of_a_wallet_cost_one_call_to_seal_and_one_to_open() {
    let behind = Behind::new();
    let key = behind.account.symmetric_key().await;
    let open = || async { Arc::new(KmsKek::open(&behind.kms(), &key, entropy()).await.unwrap()) };
    let sealing = open().await;
    let mut wrapped = Vec::new();
    for number in 0..10_000_u32 {
        let id = number.to_be_bytes();
        let secret = Secret::new(id.repeat(8));
        wrapped.push(sealing.wrap(&secret, &context(b"hot", &id)).await.unwrap());
    }
    assert_eq!(behind.proxy.calls("GenerateDataKey"), 1);
    // Another process, and many callers at once.
    let opening = open().await;
    let tasks = wrapped.chunks(100).zip(0_u32..).map(|(chunk, first)| {
        let (opening, chunk) = (Arc::clone(&opening), chunk.to_vec());
        tokio::spawn(async move {
            for (one, number) in chunk.iter().zip(first * 100..) {
                let id = number.to_be_bytes();
                let opened = opening.unwrap(one, &context(b"hot", &id)).await.unwrap();
                assert!(opened.expose() == id.repeat(8));
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
    assert_eq!((behind.proxy.calls("Decrypt"), behind.proxy.calls("GenerateDataKey")), (1, 1));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn an_opened_data_key_is_asked_for_again_after_its_time_and_its_uses() {
    let behind = Behind::new();
    let key = behind.account.symmetric_key().await;
    let mut config = behind.config();
    config.data_keys.age = Duration::from_millis(200);
    config.data_keys.uses = 3.try_into().unwrap();
    let kek = KmsKek::open(&behind.kms_with(config), &key, entropy()).await.unwrap();
    let context = context(b"hot", b"key");
    let wrapped = kek.wrap(&data_key(1), &context).await.unwrap();
    // The use that asked counts.
    for calls in [0, 0, 1, 1, 1, 2] {
        kek.unwrap(&wrapped, &context).await.unwrap();
        assert_eq!(behind.proxy.calls("Decrypt"), calls);
    }
    tokio::time::sleep(Duration::from_millis(250)).await;
    kek.unwrap(&wrapped, &context).await.unwrap();
    assert_eq!(behind.proxy.calls("Decrypt"), 3);
    kek.wipe();
    kek.unwrap(&wrapped, &context).await.unwrap();
    assert_eq!(behind.proxy.calls("Decrypt"), 4);
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn wallets_do_not_share_data_keys_nor_open_each_others() {
    let behind = Behind::new();
    let kek = kek(&behind).await;
    let hot = kek.wrap(&data_key(1), &context(b"hot", b"key")).await.unwrap();
    let warm = kek.wrap(&data_key(2), &context(b"warm", b"key")).await.unwrap();
    assert_eq!(behind.proxy.calls("GenerateDataKey"), 2);
    for (wrapped, context) in [
        (&hot, context(b"warm", b"key")),
        (&warm, context(b"hot", b"key")),
        (&hot, context(b"hot", b"kez")),
    ] {
        let error = kek.unwrap(wrapped, &context).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
    // What KMS authenticates and CloudTrail shows.
    let body = &behind.proxy.bodies("GenerateDataKey")[0];
    let asked: serde_json::Value = serde_json::from_str(body).unwrap();
    let expected = serde_json::json!({
        "custody:custodian": "07".repeat(32),
        "custody:purpose": "custody/soft/v1",
        "custody:wallet": "hot",
    });
    assert_eq!(asked["EncryptionContext"], expected);
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_ciphertext_that_kms_opens_wrongly_is_found_by_the_envelope() {
    let behind = Behind::new();
    let key = behind.account.symmetric_key().await;
    let kms = behind.kms();
    let kek = KmsKek::open(&kms, &key, entropy()).await.unwrap();
    let context = context(b"hot", b"key");
    let wrapped = kek.wrap(&data_key(1), &context).await.unwrap();
    // Behind version, ARN and length there is the id of the key, which this stand-in does not look at.
    let first = 2 + key.len() + 2;
    for position in [first, first + 35] {
        let mut changed = wrapped.clone();
        changed[position] ^= 1;
        for again in [KmsKek::open(&kms, &key, entropy()).await.unwrap()] {
            let error = again.unwrap(&changed, &context).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            // Nothing of it is kept: what was sealed opens, and the changed one does not.
            again.unwrap(&wrapped, &context).await.unwrap();
            assert!(again.unwrap(&changed, &context).await.is_err());
        }
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn another_key_s_blob_is_refused_without_a_call() {
    let behind = Behind::new();
    let (one, two) = (kek(&behind).await, kek(&behind).await);
    let context = context(b"hot", b"key");
    let wrapped = one.wrap(&data_key(1), &context).await.unwrap();
    let error = two.unwrap(&wrapped, &context).await.err().unwrap();
    assert_eq!((error.kind(), behind.proxy.calls("Decrypt")), (ErrorKind::Corrupt, 0));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn an_answer_that_is_no_data_key_is_not_used() {
    let behind = Behind::new();
    let kek = kek(&behind).await;
    let edit = |edit: fn(&mut serde_json::Value)| {
        Fault::edit(move |body| {
            let mut told: serde_json::Value = serde_json::from_str(&body).unwrap();
            edit(&mut told);
            told.to_string()
        })
    };
    let edits: [fn(&mut serde_json::Value); 4] = [
        |told| drop(told.as_object_mut().unwrap().remove("Plaintext")),
        |told| told["Plaintext"] = "AAAA".into(),
        |told| drop(told.as_object_mut().unwrap().remove("KeyId")),
        |told| drop(told.as_object_mut().unwrap().remove("CiphertextBlob")),
    ];
    for change in edits {
        behind.proxy.rule("GenerateDataKey", Times::Next(1), edit(change));
        let error = kek.wrap(&data_key(1), &context(b"hot", b"key")).await.err().unwrap();
        assert_eq!((error.kind(), reason(&error)), (ErrorKind::Unavailable, KmsReason::BadAnswer));
    }
    kek.wrap(&data_key(1), &context(b"hot", b"key")).await.unwrap();
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn what_is_lost_is_asked_for_again_and_what_is_denied_is_not() {
    let behind = Behind::new();
    let kek = kek(&behind).await;
    let context = context(b"hot", b"key");
    let internal = Answer::error(500, "KMSInternalException");
    for fault in [Fault::DropAfter, Fault::DropBefore, internal.into()] {
        behind.proxy.rule("GenerateDataKey", Times::Next(1), fault);
        kek.wipe();
        kek.wrap(&data_key(1), &context).await.unwrap();
    }
    assert_eq!(behind.proxy.calls("GenerateDataKey"), 6);
    let wrapped = kek.wrap(&data_key(1), &context).await.unwrap();
    for (name, expected, calls) in [
        ("AccessDeniedException", KmsReason::AccessDenied, 1),
        ("DisabledException", KmsReason::Disabled, 1),
        // Credentials are asked for again once.
        ("ExpiredTokenException", KmsReason::ExpiredCredentials, 2),
    ] {
        let before = behind.proxy.calls("Decrypt");
        behind.proxy.rule("Decrypt", Times::Next(calls), Answer::error(400, name));
        kek.wipe();
        let error = kek.unwrap(&wrapped, &context).await.err().unwrap();
        assert_eq!((error.kind(), reason(&error)), (ErrorKind::Refused, expected), "{name}");
        assert_eq!(behind.proxy.calls("Decrypt") - before, calls, "{name}");
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn keys_that_are_not_for_data_keys_are_refused_when_they_are_opened() {
    let behind = Behind::new();
    let kms = behind.kms();
    let sdk = behind.account.sdk(crate::account::HOME);
    let signing = sdk.create_key().key_spec("ECC_NIST_P256".into()).key_usage("SIGN_VERIFY".into());
    let signing = signing.send().await.unwrap().key_metadata.unwrap().arn.unwrap();
    let off = behind.account.symmetric_key().await;
    sdk.disable_key().key_id(&off).send().await.unwrap();
    let going = behind.account.symmetric_key().await;
    sdk.schedule_key_deletion().key_id(&going).pending_window_in_days(7).send().await.unwrap();
    let foreign = off.replace(&behind.account.number, "999999999999");
    let elsewhere = off.replace("eu-central-1", "us-east-1");
    for (key, kind) in [
        (signing.as_str(), ErrorKind::Refused),
        (&off, ErrorKind::Refused),
        (&going, ErrorKind::Refused),
        (&elsewhere, ErrorKind::Refused),
        ("1234abcd-12ab-34cd-56ef-1234567890ab", ErrorKind::Refused),
        ("", ErrorKind::Refused),
        ("alias/nobody", ErrorKind::NotFound),
        (&foreign, ErrorKind::NotFound),
    ] {
        let error = KmsKek::open(&kms, key, entropy()).await.err().unwrap();
        assert_eq!(error.kind(), kind, "{key}");
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn an_alias_is_pinned_when_it_is_opened() {
    let behind = Behind::new();
    let (one, two) = (behind.account.symmetric_key().await, behind.account.symmetric_key().await);
    let sdk = behind.account.sdk(crate::account::HOME);
    sdk.create_alias().alias_name("alias/wallets").target_key_id(&one).send().await.unwrap();
    let kek = KmsKek::open(&behind.kms(), "alias/wallets", entropy()).await.unwrap();
    assert_eq!(kek.arn().as_str(), one);
    let context = context(b"hot", b"key");
    let wrapped = kek.wrap(&data_key(1), &context).await.unwrap();
    sdk.update_alias().alias_name("alias/wallets").target_key_id(&two).send().await.unwrap();
    kek.wipe();
    kek.unwrap(&wrapped, &context).await.unwrap();
    let moved = KmsKek::open(&behind.kms(), "alias/wallets", entropy()).await.unwrap();
    assert_ne!(moved.id(), kek.id());
    assert_eq!(moved.unwrap(&wrapped, &context).await.err().unwrap().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn what_is_of_no_wallet_is_asked_for_each_time_so_that_a_probe_is_one() {
    let behind = Behind::new();
    let key = behind.account.symmetric_key().await;
    let kek = KmsKek::open(&behind.kms(), &key, entropy()).await.unwrap();
    // As custody-soft asks whether its key-encrypting key serves.
    let probe: [&[u8]; 1] = [b"custody/soft/health/v1"];
    let mut wrapped = Vec::new();
    for calls in 1..=3 {
        wrapped = kek.wrap(&data_key(1), &probe).await.unwrap();
        kek.unwrap(&wrapped, &probe).await.unwrap();
        let asked = ["GenerateDataKey", "Decrypt"].map(|operation| behind.proxy.calls(operation));
        assert_eq!(asked, [calls, calls]);
    }
    behind.account.sdk(crate::account::HOME).disable_key().key_id(&key).send().await.unwrap();
    for error in [
        kek.wrap(&data_key(1), &probe).await.err().unwrap(),
        kek.unwrap(&wrapped, &probe).await.err().unwrap(),
    ] {
        assert_eq!((error.kind(), reason(&error)), (ErrorKind::Refused, KmsReason::Disabled));
    }
    behind.proxy.rule("Decrypt", Times::Always, Fault::DropBefore);
    let error = kek.unwrap(&wrapped, &probe).await.err().unwrap();
    assert_eq!((error.kind(), reason(&error)), (ErrorKind::Unavailable, KmsReason::TimedOut));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a stand-in for KMS"]
async fn a_data_key_that_was_asked_for_before_the_wipe_is_not_kept_after_it() {
    let behind = Behind::new();
    let kek = kek(&behind).await;
    let late = || Fault::Delay(Duration::from_millis(500));
    behind.proxy.rule("GenerateDataKey", Times::Next(1), late());
    let (wrapping, unwrapping) = (Arc::clone(&kek), Arc::clone(&kek));
    let task = tokio::spawn(async move {
        wrapping.wrap(&data_key(1), &context(b"hot", b"key")).await.unwrap()
    });
    behind.proxy.wait_for("GenerateDataKey", 1);
    kek.wipe();
    let wrapped = task.await.unwrap();
    kek.wrap(&data_key(2), &context(b"hot", b"other")).await.unwrap();
    assert_eq!(behind.proxy.calls("GenerateDataKey"), 2, "what was wiped sealed again");

    behind.proxy.rule("Decrypt", Times::Next(1), late());
    let late = wrapped.clone();
    let task = tokio::spawn(async move {
        unwrapping.unwrap(&late, &context(b"hot", b"key")).await.map(drop).unwrap();
    });
    behind.proxy.wait_for("Decrypt", 1);
    kek.wipe();
    task.await.unwrap();
    kek.unwrap(&wrapped, &context(b"hot", b"key")).await.unwrap();
    assert_eq!(behind.proxy.calls("Decrypt"), 2, "what was wiped opened again");
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn callers_that_need_the_same_data_key_share_a_failure() {
    let behind = Behind::new();
    let kek = kek(&behind).await;
    let context = context(b"hot", b"key");
    let wrapped = kek.wrap(&data_key(1), &context).await.unwrap();
    kek.wipe();
    for operation in ["Decrypt", "GenerateDataKey"] {
        let before = behind.proxy.calls(operation);
        behind.proxy.rule(operation, Times::Always, Answer::error(500, "KMSInternalException"));
        let secret = data_key(1);
        let failed = match operation {
            "Decrypt" => join_all((0..50).map(|_| kek.unwrap(&wrapped, &context)))
                .await
                .into_iter()
                .filter_map(Result::err)
                .collect::<Vec<_>>(),
            _ => join_all((0..50).map(|_| kek.wrap(&secret, &context)))
                .await
                .into_iter()
                .filter_map(Result::err)
                .collect(),
        };
        assert_eq!((failed.len(), behind.proxy.calls(operation) - before), (50, 3), "{operation}");
        assert!(failed.iter().all(|error| error.kind() == ErrorKind::Unavailable), "{operation}");
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn what_is_of_no_wallet_opens_under_the_name_of_its_house_alone() {
    let behind = Behind::new();
    let key = behind.account.symmetric_key().await;
    let mut keks = Vec::new();
    for house in [None, Some("one"), Some("two")] {
        let mut config = behind.config();
        config.house = house.map(|name| HouseName::parse(name).unwrap());
        keks.push(KmsKek::open(&behind.kms_with(config), &key, entropy()).await.unwrap());
    }
    let store: [&[u8]; 2] = [b"store", b"records"];
    let wallet = context(b"hot", b"key");
    for (sealer, sealing) in keks.iter().enumerate() {
        let of_store = sealing.wrap(&data_key(1), &store).await.unwrap();
        let of_wallet = sealing.wrap(&data_key(2), &wallet).await.unwrap();
        for (opener, opening) in keks.iter().enumerate() {
            let opened = opening.unwrap(&of_store, &store).await;
            assert_eq!(opened.is_ok(), sealer == opener, "{sealer} {opener}");
            if let Err(error) = opened {
                assert_eq!(error.kind(), ErrorKind::Corrupt);
            }
            // Those of a wallet name the custodian.
            assert!(opening.unwrap(&of_wallet, &wallet).await.unwrap().expose() == [2; 32]);
        }
    }
    // What policies can ask for.
    let bodies = behind.proxy.bodies("GenerateDataKey");
    let named = |body: &String| {
        let asked: serde_json::Value = serde_json::from_str(body).unwrap();
        asked["EncryptionContext"].get("custody:house").cloned()
    };
    let named: Vec<_> = bodies.iter().map(named).collect();
    // The data key of the wallet, which the first made, is opened and used by the others.
    assert_eq!(named, [None, None, Some("one".into()), Some("two".into())]);
}
