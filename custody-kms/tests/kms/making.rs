//! Making keys: one id, one key, whatever is lost on the way.

use std::sync::Arc;

use aws_sdk_kms::types::KeyState;
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::seam::{ErrorKind, KeyBackend as _, KeySwitch as _};
use custody_kms::{KmsBackend, KmsEvent, KmsReason, aws_sdk_kms};

use crate::account::{HOME, record, request};
use crate::proxy::{Answer, Fault, Times};
use crate::{Behind, reason};

const K1: Algorithm = Algorithm::EcdsaSecp256k1;

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_key_whose_making_was_not_answered_is_found_by_its_tags() {
    for (case, fault) in
        [("drop", Fault::DropAfter), ("hang", Fault::HangAfter), ("stall", Fault::StallBody)]
    {
        let behind = Behind::new();
        behind.proxy.rule("CreateKey", Times::Next(1), fault);
        let backend = behind.backend();
        let first = record(&backend, &request("key", K1)).await;
        let second = record(&backend, &request("key", K1)).await;
        assert_eq!(first.public_key, second.public_key, "{case}");
        assert_eq!(
            (behind.account.keys().await, behind.proxy.calls("CreateKey")),
            (1, 1),
            "{case}"
        );
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_key_that_was_not_made_is_made_at_the_next_asking() {
    let behind = Behind::new();
    behind.proxy.rule("CreateKey", Times::Next(1), Fault::DropBefore);
    let backend = behind.backend();
    let error = backend.generate(&request("key", K1)).await.unwrap_err();
    assert_eq!((error.kind(), behind.account.keys().await), (ErrorKind::Indeterminate, 0));
    record(&backend, &request("key", K1)).await;
    assert_eq!((behind.account.keys().await, behind.proxy.calls("CreateKey")), (1, 2));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_key_left_without_its_alias_is_taken_up_again() {
    let behind = Behind::new();
    behind.proxy.rule("CreateAlias", Times::Next(1), Answer::error(400, "AccessDeniedException"));
    let backend = behind.backend();
    let error = backend.generate(&request("key", K1)).await.unwrap_err();
    // A key is there: nobody may say that nothing happened.
    assert_eq!(error.kind(), ErrorKind::Indeterminate);
    assert_eq!(reason(&error), KmsReason::AccessDenied);
    record(&backend, &request("key", K1)).await;
    assert_eq!((behind.account.keys().await, behind.proxy.calls("CreateKey")), (1, 1));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn an_alias_whose_making_was_not_answered_is_ours() {
    let behind = Behind::new();
    behind.proxy.rule("CreateAlias", Times::Next(1), Fault::DropAfter);
    let backend = behind.backend();
    record(&backend, &request("key", K1)).await;
    assert_eq!((behind.account.keys().await, behind.proxy.calls("CreateKey")), (1, 1));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn of_keys_made_at_once_for_one_id_one_is_used_and_the_others_go() {
    let behind = Behind::new();
    let backends: Vec<_> = (0..4).map(|_| Arc::new(behind.backend())).collect();
    let tasks = backends.iter().map(|backend| {
        let backend = Arc::clone(backend);
        tokio::spawn(async move { record(&*backend, &request("key", K1)).await })
    });
    let records = futures::future::join_all(tasks).await;
    let records: Vec<_> = records.into_iter().map(Result::unwrap).collect();
    assert!(records.iter().all(|record| record.public_key == records[0].public_key));
    assert!(records.iter().all(|record| record.handle == records[0].handle));
    let sdk = behind.account.sdk(HOME);
    let mut alive = 0;
    let keys = sdk.list_keys().limit(1_000).send().await.unwrap();
    for key in keys.keys() {
        let told = sdk.describe_key().key_id(key.key_id().unwrap()).send().await.unwrap();
        let state = told.key_metadata.unwrap().key_state.unwrap();
        alive += usize::from(state != KeyState::PendingDeletion);
    }
    let removed = |event: &KmsEvent| matches!(event, KmsEvent::DuplicateRemoved { .. });
    let removed = behind.events().iter().filter(|event| removed(event)).count();
    assert_eq!((alive, removed + 1), (1, keys.keys().len()));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_moved_alias_changes_nothing_that_was_recorded() {
    let behind = Behind::new();
    let backend = behind.backend();
    let one = record(&backend, &request("one", K1)).await;
    let two = record(&backend, &request("two", K1)).await;
    let sdk = behind.account.sdk(HOME);
    let aliases = sdk.list_aliases().send().await.unwrap();
    let arn = |record: &custody_core::seam::KeyRecord| {
        String::from_utf8(record.handle.as_bytes()[33..].to_vec()).unwrap()
    };
    let of_one = aliases
        .aliases()
        .iter()
        .find(|alias| alias.target_key_id().is_some_and(|id| arn(&one).ends_with(id)));
    let name = of_one.unwrap().alias_name().unwrap();
    sdk.update_alias().alias_name(name).target_key_id(arn(&two)).send().await.unwrap();
    // Whoever asks for the key again must not be given the other one.
    let error = backend.generate(&request("one", K1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let input = SignInput::Prehash(&[7; 32]);
    let signer = backend.signer(&one).await.unwrap();
    assert_eq!(signer.sign(input).await.unwrap().verify(&one.public_key, input), Ok(()));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_replaced_key_is_refused_before_it_signs() {
    let behind = Behind::new();
    let made = behind.backend();
    let one = record(&made, &request("one", K1)).await;
    let two = record(&made, &request("two", K1)).await;
    // A new process, to which the public key of one is told as that of two.
    let sdk = behind.account.sdk(HOME);
    let arn = String::from_utf8(two.handle.as_bytes()[33..].to_vec()).unwrap();
    let told = sdk.get_public_key().key_id(&arn).send().await.unwrap();
    let key = told.public_key.unwrap().into_inner();
    behind.proxy.rule(
        "GetPublicKey",
        Times::Always,
        Fault::edit(move |body| {
            let mut told: serde_json::Value = serde_json::from_str(&body).unwrap();
            told["PublicKey"] = base64(&key).into();
            told.to_string()
        }),
    );
    let backend = behind.backend();
    let error = backend.signer(&one).await.err().unwrap();
    assert_eq!((error.kind(), behind.proxy.calls("Sign")), (ErrorKind::Corrupt, 0));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn an_algorithm_that_kms_does_not_have_is_told_once_and_not_asked_for_again() {
    let behind = Behind::new();
    behind.proxy.rule(
        "CreateKey",
        Times::Always,
        Answer::error(400, "UnsupportedOperationException"),
    );
    let backend = behind.backend();
    for key in ["one", "two", "three"] {
        let error = backend.generate(&request(key, Algorithm::Ed25519)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
    let told = |event: &KmsEvent| matches!(event, KmsEvent::AlgorithmUnsupported { .. });
    let told = behind.events().iter().filter(|event| told(event)).count();
    assert_eq!((behind.proxy.calls("CreateKey"), told), (1, 1));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_list_that_ends_without_saying_so_makes_no_key() {
    let behind = Behind::new();
    let truncated = Fault::edit(|body| {
        let mut told: serde_json::Value = serde_json::from_str(&body).unwrap();
        told["Truncated"] = true.into();
        told.to_string()
    });
    behind.proxy.rule("ListKeys", Times::Always, truncated);
    let error = behind.backend().generate(&request("key", K1)).await.unwrap_err();
    assert_eq!((error.kind(), behind.proxy.calls("CreateKey")), (ErrorKind::Unavailable, 0));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn switching_is_tried_again_and_ends_where_it_should() {
    let behind = Behind::new();
    let backend: KmsBackend = behind.backend();
    let record = record(&backend, &request("key", K1)).await;
    behind.proxy.rule("DisableKey", Times::Next(1), Fault::DropAfter);
    backend.disable(&record).await.unwrap();
    assert!(backend.signer(&record).await.is_err());
    behind.proxy.rule("ScheduleKeyDeletion", Times::Next(1), Fault::DropAfter);
    backend.destroy(&record).await.unwrap();
    let error = backend.enable(&record).await.unwrap_err();
    assert_eq!((error.kind(), reason(&error)), (ErrorKind::Refused, KmsReason::PendingDeletion));
    let error = backend.signer(&record).await.err().unwrap();
    assert_eq!((error.kind(), reason(&error)), (ErrorKind::Refused, KmsReason::PendingDeletion));
    backend.cancel_destroy(&record).await.unwrap();
    assert!(backend.signer(&record).await.is_err(), "a key that was brought back is disabled");
    backend.enable(&record).await.unwrap();
    backend.signer(&record).await.unwrap();
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
