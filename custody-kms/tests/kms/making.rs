//! Making keys: one id, one key, whatever is lost on the way.

use custody_core::crypto::Algorithm;
use custody_core::seam::{ErrorKind, KeyBackend as _, KeySwitch as _};
use custody_kms::{KmsEvent, KmsReason};

use crate::account::{HOME, record, request};
use crate::proxy::{Answer, Fault, Times};
use crate::{Behind, arn, reason};

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
async fn a_new_key_whose_tags_are_denied_is_not_made_again() {
    let behind = Behind::new();
    for operation in ["CreateAlias", "ListResourceTags"] {
        behind.deny(operation);
    }
    let backend = behind.backend();
    for _ in 0..3 {
        let error = backend.generate(&request("key", K1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Indeterminate);
    }
    assert_eq!((behind.account.keys().await, behind.proxy.calls("CreateKey")), (1, 1));
    // It was searched for once, before it was made.
    assert_eq!((behind.proxy.calls("ListAliases"), behind.proxy.calls("ListKeys")), (1, 1));
    behind.proxy.rule("CreateAlias", Times::Always, Fault::Pass);
    let made = record(&backend, &request("key", K1)).await;
    behind.proxy.rule("ListResourceTags", Times::Always, Fault::Pass);
    let again = record(&behind.backend(), &request("key", K1)).await;
    assert_eq!(made.public_key, again.public_key);
    assert_eq!((behind.account.keys().await, behind.proxy.calls("CreateKey")), (1, 1));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn only_who_may_not_see_tags_or_finds_no_key_passes_them_over() {
    for name in ["UnrecognizedClientException", "SignatureDoesNotMatch", "ValidationException"] {
        let behind = Behind::new();
        behind.deny("CreateAlias");
        behind.backend().generate(&request("key", K1)).await.unwrap_err();
        behind.proxy.rule("CreateAlias", Times::Always, Fault::Pass);
        behind.proxy.rule("ListResourceTags", Times::Always, Answer::error(400, name));
        let error = behind.backend().generate(&request("key", K1)).await.unwrap_err();
        assert!(error.kind().nothing_happened(), "{name}: {error}");
        assert_eq!(
            (behind.account.keys().await, behind.proxy.calls("CreateKey")),
            (1, 1),
            "{name}"
        );
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_key_that_was_made_is_not_given_to_another_wallet_or_algorithm() {
    let behind = Behind::new();
    behind.deny("CreateAlias");
    let backend = behind.backend();
    backend.generate(&request("key", K1)).await.unwrap_err();
    behind.proxy.rule("CreateAlias", Times::Always, Fault::Pass);
    let other = record(&backend, &request("key", Algorithm::EcdsaP256)).await;
    assert_eq!(other.public_key.algorithm(), Algorithm::EcdsaP256);
    // The name is taken by now: the first key is not given out under it.
    let error = backend.generate(&request("key", K1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate);
    assert_eq!(behind.proxy.calls("CreateKey"), 2);
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_key_that_is_there_is_never_called_nothing() {
    for (fault, expected) in [
        (
            Answer::error(400, "ThrottlingException").into(),
            KmsReason::Throttled { retry_after: None },
        ),
        (Answer::error(400, "AccessDeniedException").into(), KmsReason::AccessDenied),
        (Answer::error(400, "NotFoundException").into(), KmsReason::NotFound),
        (Fault::DropAfter, KmsReason::TimedOut),
    ] {
        let behind = Behind::new();
        behind.proxy.rule("GetPublicKey", Times::Always, fault);
        let backend = behind.backend();
        let error = backend.generate(&request("key", K1)).await.unwrap_err();
        assert_eq!((error.kind(), reason(&error)), (ErrorKind::Indeterminate, expected));
        behind.proxy.rule("GetPublicKey", Times::Always, Fault::Pass);
        record(&backend, &request("key", K1)).await;
        assert_eq!((behind.account.keys().await, behind.proxy.calls("CreateKey")), (1, 1));
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn keys_that_nobody_uses_are_told_once() {
    let behind = Behind::new();
    // Two processes make a key each, neither sees the other's, and neither may name it.
    for operation in ["CreateAlias", "ListResourceTags"] {
        behind.deny(operation);
    }
    for _ in 0..2 {
        behind.backend().generate(&request("key", K1)).await.unwrap_err();
    }
    for operation in ["CreateAlias", "ListResourceTags"] {
        behind.proxy.rule(operation, Times::Always, Fault::Pass);
    }
    let left_behind = || {
        let arn = |event: &KmsEvent| {
            let KmsEvent::KeyLeftBehind { key } = event else { return None };
            Some(key.as_str().to_owned())
        };
        behind.events().iter().filter_map(arn).collect::<Vec<_>>()
    };
    let backend = behind.backend();
    let record = record(&backend, &request("key", K1)).await;
    assert_eq!(behind.proxy.calls("CreateKey"), 2);
    let told = left_behind();
    assert_eq!(told.len(), 1);
    assert_ne!(told[0], arn(&record));
    // Whoever makes another key sees it too: its name is another's.
    for key in ["two", "three"] {
        crate::account::record(&backend, &request(key, K1)).await;
    }
    assert_eq!(left_behind(), told);
    let other = behind.backend();
    crate::account::record(&other, &request("four", K1)).await;
    assert_eq!(left_behind(), [told[0].clone(), told[0].clone()]);
    // One that is going to be deleted is nobody's concern.
    let sdk = behind.account.sdk(HOME);
    sdk.schedule_key_deletion().key_id(&told[0]).send().await.unwrap();
    crate::account::record(&behind.backend(), &request("five", K1)).await;
    assert_eq!(left_behind().len(), 2);
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_key_that_is_made_needs_few_calls_and_no_name_that_may_not_exist() {
    let behind = Behind::new();
    let backend = behind.backend();
    record(&backend, &request("key", K1)).await;
    let made = ["ListAliases", "ListKeys", "CreateKey", "CreateAlias", "GetPublicKey"];
    assert_eq!(behind.proxy.operations(), made);
    record(&behind.backend(), &request("key", K1)).await;
    let look = ["DescribeKey", "ListResourceTags", "GetKeyPolicy", "ListGrants"];
    let found = [&["ListAliases"][..], &look, &["GetPublicKey"]].concat();
    assert_eq!(behind.proxy.operations()[5..], found);
    for operation in ["DescribeKey", "ListResourceTags", "GetPublicKey"] {
        let bodies = behind.proxy.bodies(operation);
        assert!(bodies.iter().all(|body| !body.contains("alias/")), "{bodies:?}");
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_key_that_is_going_to_be_deleted_is_neither_found_nor_made_again() {
    let behind = Behind::new();
    let backend = behind.backend();
    let record = record(&backend, &request("key", K1)).await;
    backend.destroy(&record).await.unwrap();
    for backend in [&backend, &behind.backend()] {
        let error = backend.generate(&request("key", K1)).await.unwrap_err();
        assert_eq!(
            (error.kind(), reason(&error)),
            (ErrorKind::Refused, KmsReason::PendingDeletion)
        );
    }
    assert_eq!((behind.account.keys().await, behind.proxy.calls("CreateKey")), (1, 1));
    backend.cancel_destroy(&record).await.unwrap();
    let again = backend.generate(&request("key", K1)).await.unwrap();
    assert_eq!(again.public_key, record.public_key);
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

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
