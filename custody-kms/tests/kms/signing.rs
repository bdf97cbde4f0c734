//! Signatures: nothing that may have been signed is asked for twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use custody_core::crypto::{Algorithm, SignInput};
use custody_core::seam::{BackendError, ErrorKind, KeyBackend as _, Signer};
use custody_kms::{KmsBackend, KmsEvent, KmsReason};

use crate::account::{record, request};
use crate::ports::{SilentPort, closed_port};
use crate::proxy::{Answer, Fault, Times};
use crate::{Behind, reason};

const INPUT: SignInput<'static> = SignInput::Prehash(&[7; 32]);

async fn signer(behind: &Behind) -> Arc<dyn Signer> {
    let backend = behind.backend();
    let record = record(&backend, &request("key", Algorithm::EcdsaSecp256k1)).await;
    backend.signer(&record).await.unwrap()
}

/// Signs once while the proxy does something for ever; the answer and how often KMS was asked.
async fn signs_under(fault: impl Into<Fault>) -> (BackendError, usize) {
    let behind = Behind::new();
    let signer = signer(&behind).await;
    behind.proxy.rule("Sign", Times::Always, fault);
    let error = signer.sign(INPUT).await.unwrap_err();
    (error, behind.proxy.calls("Sign"))
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn an_answer_that_is_lost_is_indeterminate_and_not_asked_for_again() {
    for (case, fault) in [
        ("drop before", Fault::DropBefore),
        ("drop after", Fault::DropAfter),
        ("stall", Fault::StallBody),
        ("hang", Fault::Hang),
        ("hang after", Fault::HangAfter),
    ] {
        let since = Instant::now();
        let (error, calls) = signs_under(fault).await;
        assert_eq!((error.kind(), calls), (ErrorKind::Indeterminate, 1), "{case}");
        assert_eq!(reason(&error), KmsReason::TimedOut, "{case}");
        assert!(since.elapsed() < Duration::from_secs(8), "{case}: {:?}", since.elapsed());
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_server_that_fails_may_have_signed() {
    for fault in [
        Answer::error(500, "KMSInternalException"),
        Answer::error(503, "DependencyTimeoutException"),
        Answer::html(503),
    ] {
        let (error, calls) = signs_under(fault).await;
        assert_eq!((error.kind(), calls), (ErrorKind::Indeterminate, 1));
        assert_eq!(reason(&error), KmsReason::Internal);
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn each_refusal_is_told_apart_and_never_tried_again() {
    for (status, name, expected) in [
        (400, "AccessDeniedException", KmsReason::AccessDenied),
        (400, "DisabledException", KmsReason::Disabled),
        (400, "KMSInvalidStateException", KmsReason::InvalidState),
        (400, "InvalidSignatureException", KmsReason::BadCredentials),
        (400, "UnrecognizedClientException", KmsReason::BadCredentials),
        (403, "RequestTimeTooSkewed", KmsReason::ClockSkew),
        (400, "RequestExpired", KmsReason::ClockSkew),
        (400, "InvalidKeyUsageException", KmsReason::Rejected),
        (400, "ValidationException", KmsReason::Rejected),
    ] {
        let (error, calls) = signs_under(Answer::error(status, name)).await;
        assert_eq!((error.kind(), calls), (ErrorKind::Refused, 1), "{name}");
        assert_eq!(reason(&error), expected, "{name}");
    }
    for (name, kind) in [
        ("NotFoundException", ErrorKind::NotFound),
        ("UnsupportedOperationException", ErrorKind::Unsupported),
    ] {
        let (error, calls) = signs_under(Answer::error(400, name)).await;
        assert_eq!((error.kind(), calls), (kind, 1), "{name}");
    }
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn an_answer_without_a_signature_is_corrupt_and_one_that_is_none_indeterminate() {
    let edited =
        |from: &'static str, to: &'static str| Fault::edit(move |body| body.replace(from, to));
    for (case, fault) in [
        ("no signature", edited("\"Signature\"", "\"Signatur\"")),
        ("another key", edited("key/", "key/0")),
        ("six bytes", edited("\"Signature\": \"", "\"Signature\": \"AAAAAAAA\", \"Was\": \"")),
        ("an empty object", Answer::json("{}").into()),
    ] {
        let (error, calls) = signs_under(fault).await;
        assert_eq!((error.kind(), calls), (ErrorKind::Corrupt, 1), "{case}");
    }
    let (error, calls) = signs_under(Answer::html(200)).await;
    assert_eq!((error.kind(), calls), (ErrorKind::Indeterminate, 1));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn throttling_is_waited_out_a_few_times() {
    let behind = Behind::new();
    let signer = signer(&behind).await;
    behind.proxy.rule("Sign", Times::Next(2), Answer::error(400, "ThrottlingException"));
    let signature = signer.sign(INPUT).await.unwrap();
    assert_eq!(signature.verify(signer.public_key(), INPUT), Ok(()));
    assert_eq!(behind.proxy.calls("Sign"), 3);
    let (error, calls) = signs_under(Answer::error(429, "TooManyRequestsException")).await;
    assert_eq!((error.kind(), calls), (ErrorKind::Throttled { retry_after: None }, 3));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn the_time_to_come_back_is_kept_to_and_told() {
    let fault = Answer::error(400, "ThrottlingException").with("retry-after", "1");
    let behind = Behind::new();
    let signer = signer(&behind).await;
    behind.proxy.rule("Sign", Times::Next(1), fault);
    let since = Instant::now();
    signer.sign(INPUT).await.unwrap();
    assert!(since.elapsed() >= Duration::from_secs(1), "{:?}", since.elapsed());
    // More than a call may take is for the caller to wait.
    let fault = Answer::error(400, "ThrottlingException").with("retry-after", "60");
    let (error, calls) = signs_under(fault).await;
    let retry_after = Some(Duration::from_secs(60));
    assert_eq!((error.kind(), calls), (ErrorKind::Throttled { retry_after }, 1));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn our_own_bursts_stay_under_the_quota() {
    let behind = Behind::new();
    let made = signer(&behind).await;
    let backend = {
        let mut config = behind.config();
        config.limits.sign_per_second = 2.try_into().unwrap();
        config.limits.wait = Duration::ZERO;
        KmsBackend::new(behind.kms_with(config)).unwrap()
    };
    let record = record(&backend, &request("key", Algorithm::EcdsaSecp256k1)).await;
    assert_eq!(record.public_key, *made.public_key());
    let signer = backend.signer(&record).await.unwrap();
    let mut turned_away = 0;
    for _ in 0..20 {
        match signer.sign(INPUT).await {
            Ok(_) => {}
            Err(error) => {
                let is_late = matches!(error.kind(), ErrorKind::Throttled { retry_after: Some(_) });
                assert!(is_late, "{error}");
                turned_away += 1;
            }
        }
    }
    assert_eq!(behind.proxy.calls("Sign") + turned_away, 20);
    assert!(turned_away >= 16, "{turned_away}");
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn expired_credentials_are_asked_for_again_once() {
    let behind = Behind::new();
    let signer = signer(&behind).await;
    behind.proxy.rule("Sign", Times::Next(1), Answer::error(400, "ExpiredTokenException"));
    signer.sign(INPUT).await.unwrap();
    assert_eq!(behind.proxy.calls("Sign"), 2);
    let is_told = |event: &KmsEvent| matches!(event, KmsEvent::CredentialsReloaded { .. });
    assert_eq!(behind.events().iter().filter(|event| is_told(event)).count(), 1);
    let (error, calls) = signs_under(Answer::error(400, "ExpiredTokenException")).await;
    assert_eq!((error.kind(), calls), (ErrorKind::Refused, 2));
    assert_eq!(reason(&error), KmsReason::ExpiredCredentials);
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn without_a_connection_nothing_happened_and_it_is_tried_again() {
    let behind = Behind::new();
    let made = behind.backend();
    let record = record(&made, &request("key", Algorithm::EcdsaSecp256k1)).await;
    let away = behind.account.at(&closed_port());
    let backend = KmsBackend::new(away.kms()).unwrap();
    let error = backend.signer(&record).await.err().unwrap();
    assert_eq!((error.kind(), reason(&error)), (ErrorKind::Unavailable, KmsReason::Unreachable));
    // Making a key is no exception: the request never left.
    let error = backend.generate(&request("other", Algorithm::EcdsaP256)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_server_that_reads_nothing_is_given_up_in_time() {
    let behind = Behind::new();
    let silent = SilentPort::open();
    let backend =
        KmsBackend::new(behind.account.at(&silent.url()).kms_of(behind.config())).unwrap();
    let since = Instant::now();
    let error = backend.generate(&request("key", Algorithm::EcdsaP256)).await.unwrap_err();
    // Nothing was made: the search before the making did not come back.
    assert_eq!((error.kind(), reason(&error)), (ErrorKind::Unavailable, KmsReason::TimedOut));
    assert!(since.elapsed() < Duration::from_secs(9), "{:?}", since.elapsed());
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn a_signature_needs_one_call() {
    let behind = Behind::new();
    let signer = signer(&behind).await;
    for _ in 0..10 {
        let signature = signer.sign(INPUT).await.unwrap();
        assert_eq!(signature.verify(signer.public_key(), INPUT), Ok(()));
    }
    assert_eq!((behind.proxy.calls("Sign"), behind.proxy.calls("GetPublicKey")), (10, 1));
}

#[tokio::test]
#[ignore = "needs a stand-in for KMS"]
async fn longer_messages_than_kms_takes_are_unsupported_without_a_call() {
    let behind = Behind::new();
    let backend = behind.backend();
    let record = record(&backend, &request("key", Algorithm::Ed25519)).await;
    let signer = backend.signer(&record).await.unwrap();
    let error = signer.sign(SignInput::Message(&[7; 4_097])).await.unwrap_err();
    assert_eq!((error.kind(), behind.proxy.calls("Sign")), (ErrorKind::Unsupported, 0));
}
