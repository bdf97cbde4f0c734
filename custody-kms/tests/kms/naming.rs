//! The alias that makes a key the one of its name, whoever else asks for it or moves it.

use std::sync::Arc;

use aws_sdk_kms::types::KeyState;
use custody_core::crypto::{Algorithm, SignInput};
use custody_core::seam::{ErrorKind, KeyBackend as _};
use custody_kms::{KmsEvent, KmsReason, aws_sdk_kms};

use crate::account::{HOME, record, request};
use crate::proxy::{Answer, Fault, Times};
use crate::{Behind, arn, reason};

const K1: Algorithm = Algorithm::EcdsaSecp256k1;

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_key_left_without_its_alias_is_taken_up_again() {
    // By whoever made it, and by another process.
    for is_same in [true, false] {
        let behind = Behind::new();
        behind.deny("CreateAlias");
        let backend = behind.backend();
        let error = backend.generate(&request("key", K1)).await.unwrap_err();
        // A key is there: nobody may say that nothing happened.
        assert_eq!(error.kind(), ErrorKind::Indeterminate);
        assert_eq!(reason(&error), KmsReason::AccessDenied);
        behind.proxy.rule("CreateAlias", Times::Always, Fault::Pass);
        let backend = if is_same { backend } else { behind.backend() };
        record(&backend, &request("key", K1)).await;
        assert_eq!((behind.account.keys().await, behind.proxy.calls("CreateKey")), (1, 1));
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn an_alias_that_is_denied_for_a_moment_is_asked_for_again() {
    for name in ["AccessDeniedException", "NotFoundException"] {
        let behind = Behind::new();
        behind.proxy.rule("CreateAlias", Times::Next(2), Answer::error(400, name));
        record(&behind.backend(), &request("key", K1)).await;
        assert_eq!((behind.proxy.calls("CreateAlias"), behind.proxy.calls("CreateKey")), (3, 1));
    }
    let behind = Behind::new();
    behind.deny("CreateAlias");
    behind.backend().generate(&request("key", K1)).await.unwrap_err();
    assert_eq!(behind.proxy.calls("CreateAlias"), 4, "it ends");
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn an_alias_that_is_not_listed_yet_is_whose_kms_says_it_is() {
    let behind = Behind::new();
    behind.proxy.rule("ListAliases", Times::Always, Answer::json("{\"Aliases\":[]}"));
    let one = behind.backend();
    let made = record(&one, &request("key", K1)).await;
    // Another process makes a second key, learns that the name is taken, and not by whom.
    let two = behind.backend();
    behind.deny("ListResourceTags");
    let error = two.generate(&request("key", K1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate);
    assert_eq!(behind.proxy.calls("ListAliases"), 5, "one search each, and three looks");
    assert_eq!(behind.proxy.calls("ScheduleKeyDeletion"), 0);
    behind.proxy.rule("ListAliases", Times::Always, Fault::Pass);
    behind.proxy.rule("ListResourceTags", Times::Always, Fault::Pass);
    let found = record(&two, &request("key", K1)).await;
    assert_eq!(found.public_key, made.public_key);
    assert_eq!(behind.proxy.calls("CreateKey"), 2);
    let removed = |event: &KmsEvent| matches!(event, KmsEvent::DuplicateRemoved { .. });
    assert_eq!(behind.events().iter().filter(|event| removed(event)).count(), 1);
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_duplicate_that_has_another_name_is_not_removed() {
    let behind = Behind::new();
    let (one, two) = (behind.backend(), behind.backend());
    for operation in ["CreateAlias", "ListResourceTags"] {
        behind.deny(operation);
    }
    one.generate(&request("key", K1)).await.unwrap_err();
    behind.proxy.rule("CreateAlias", Times::Always, Fault::Pass);
    let used = record(&two, &request("key", K1)).await;
    behind.proxy.rule("ListResourceTags", Times::Always, Fault::Pass);
    let sdk = behind.account.sdk(HOME);
    let keys = sdk.list_keys().send().await.unwrap();
    let mut others = keys.keys().iter().filter(|key| key.key_arn() != Some(&arn(&used)));
    let other = others.next().unwrap().key_id().unwrap();
    sdk.create_alias().alias_name("alias/kept").target_key_id(other).send().await.unwrap();
    assert_eq!(record(&one, &request("key", K1)).await.public_key, used.public_key);
    assert_eq!(behind.proxy.calls("ScheduleKeyDeletion"), 0);
    let told = sdk.describe_key().key_id(other).send().await.unwrap();
    assert_eq!(told.key_metadata.unwrap().key_state, Some(KeyState::Enabled));
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
