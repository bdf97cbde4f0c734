//! Switching keys: a change that KMS may have made is never called none.

use aws_sdk_kms::types::KeyState;
use custody_core::crypto::Algorithm;
use custody_core::seam::{ErrorKind, KeyBackend as _, KeyRecord, KeySwitch as _};
use custody_kms::{KmsBackend, KmsReason, aws_sdk_kms};

use crate::account::{record, request};
use crate::proxy::{Answer, Fault, Times};
use crate::{Behind, reason};

const K1: Algorithm = Algorithm::EcdsaSecp256k1;

type Call<'a> = futures::future::BoxFuture<'a, Result<(), custody_core::seam::BackendError>>;

/// Each change of a key, what it is called in KMS, and the state that it is made in.
type Change = (&'static str, KeyState, for<'a> fn(&'a KmsBackend, &'a KeyRecord) -> Call<'a>);

const CHANGES: [Change; 4] = [
    ("DisableKey", KeyState::Enabled, |backend, key| backend.disable(key)),
    ("EnableKey", KeyState::Disabled, |backend, key| backend.enable(key)),
    ("ScheduleKeyDeletion", KeyState::Enabled, |backend, key| backend.destroy(key)),
    ("CancelKeyDeletion", KeyState::PendingDeletion, |backend, key| backend.cancel_destroy(key)),
];

/// An account with one key, in this state.
async fn one_key(state: &KeyState) -> (Behind, KmsBackend, KeyRecord) {
    let behind = Behind::new();
    let backend = behind.backend();
    let record = record(&backend, &request("key", K1)).await;
    if *state == KeyState::Disabled {
        backend.disable(&record).await.unwrap();
    } else if *state == KeyState::PendingDeletion {
        backend.destroy(&record).await.unwrap();
    }
    (behind, backend, record)
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

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_change_of_which_no_answer_came_is_told_by_the_key() {
    for (operation, state, change) in CHANGES {
        let (behind, backend, record) = one_key(&state).await;
        let before = behind.proxy.calls(operation);
        behind.proxy.rule(operation, Times::Always, Fault::DropAfter);
        change(&backend, &record).await.unwrap();
        assert_eq!(behind.proxy.calls(operation) - before, 1, "{operation} was sent again");
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_change_that_nobody_confirms_is_indeterminate() {
    for (operation, state, change) in CHANGES {
        let (behind, backend, record) = one_key(&state).await;
        // The first look at the key is answered, and nothing after it.
        behind.proxy.rule("DescribeKey", Times::Next(1), Fault::Pass);
        behind.proxy.rule("DescribeKey", Times::Always, Fault::DropAfter);
        behind.proxy.rule(operation, Times::Always, Fault::DropAfter);
        let error = change(&backend, &record).await.unwrap_err();
        let found = (error.kind(), reason(&error));
        assert_eq!(found, (ErrorKind::Indeterminate, KmsReason::TimedOut), "{operation}");
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_change_that_is_refused_after_one_was_lost_is_indeterminate() {
    for (operation, state, change) in CHANGES {
        for name in ["AccessDeniedException", "KMSInvalidStateException", "NotFoundException"] {
            let (behind, backend, record) = one_key(&state).await;
            behind.proxy.rule(operation, Times::Next(1), Fault::DropBefore);
            behind.proxy.rule(operation, Times::Always, Answer::error(400, name));
            let error = change(&backend, &record).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Indeterminate, "{operation}: {name}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn what_takes_a_right_away_is_sent_again_and_what_gives_one_is_not() {
    for (operation, state, change) in CHANGES {
        let (behind, backend, record) = one_key(&state).await;
        let before = behind.proxy.calls(operation);
        behind.proxy.rule(operation, Times::Next(2), Fault::DropBefore);
        let changed = change(&backend, &record).await;
        let sent = behind.proxy.calls(operation) - before;
        if ["CancelKeyDeletion", "EnableKey"].contains(&operation) {
            // It may be heard late, after whatever is sent next.
            assert_eq!(changed.unwrap_err().kind(), ErrorKind::Indeterminate, "{operation}");
            assert_eq!(sent, 1, "{operation}");
        } else {
            changed.unwrap();
            assert_eq!(sent, 3, "{operation}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_key_is_switched_whatever_kms_says_of_it() {
    for (operation, state, change, told) in [
        (
            "DisableKey",
            KeyState::Enabled,
            CHANGES.iter().find(|it| it.0 == "DisableKey"),
            "Disabled",
        ),
        ("EnableKey", KeyState::Disabled, CHANGES.iter().find(|it| it.0 == "EnableKey"), "Enabled"),
    ] {
        let (behind, backend, record) = one_key(&state).await;
        let was = format!("\"KeyState\":\"{}\"", state.as_str());
        let old = format!("\"KeyState\":\"{told}\"");
        let edit = Fault::edit(move |body| body.replace(": ", ":").replace(&was, &old));
        behind.proxy.rule("DescribeKey", Times::Next(1), edit);
        change.unwrap().2(&backend, &record).await.unwrap();
        assert_eq!(behind.proxy.calls(operation), 1, "what it says may be old");
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_change_that_is_refused_at_once_did_not_happen() {
    for (operation, state, change) in CHANGES {
        for name in ["AccessDeniedException", "KMSInvalidStateException"] {
            let (behind, backend, record) = one_key(&state).await;
            let before = behind.proxy.calls(operation);
            behind.proxy.rule(operation, Times::Always, Answer::error(400, name));
            let error = change(&backend, &record).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{operation}: {name}");
            assert_eq!(behind.proxy.calls(operation) - before, 1, "{operation}: {name}");
        }
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_key_that_goes_after_its_replicas_is_going() {
    let (behind, backend, record) = one_key(&KeyState::Enabled).await;
    let going = Fault::edit(|body| body.replace("\"Enabled\"", "\"PendingReplicaDeletion\""));
    behind.proxy.rule("DescribeKey", Times::Always, going);
    backend.destroy(&record).await.unwrap();
    backend.disable(&record).await.unwrap();
    let error = backend.enable(&record).await.unwrap_err();
    assert_eq!((error.kind(), reason(&error)), (ErrorKind::Refused, KmsReason::PendingDeletion));
    let calls = ["ScheduleKeyDeletion", "DisableKey", "EnableKey"].map(|it| behind.proxy.calls(it));
    assert_eq!(calls, [0, 0, 0]);
    backend.cancel_destroy(&record).await.unwrap();
    assert_eq!(behind.proxy.calls("CancelKeyDeletion"), 1);
}
