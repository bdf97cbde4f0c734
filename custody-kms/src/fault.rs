//! What went wrong in a call of KMS, and what that means.
//!
//! Invariant: whatever is not known to have left nothing behind counts as done, where a call leaves
//! something behind at all.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::operation::RequestId;
use custody_core::seam::{BackendError, ErrorKind};

use crate::config::RegionName;

/// A call of KMS failed. It is the source of each [`BackendError`] that comes from one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("KMS in {region} did not {operation}: {reason}{}", Request(.request.as_deref()))]
#[non_exhaustive]
pub struct KmsFault {
    /// What was asked.
    pub operation: &'static str,
    /// Where.
    pub region: RegionName,
    /// Why it failed.
    pub reason: KmsReason,
    /// The id under which AWS knows the call, if there was an answer.
    pub request: Option<String>,
}

/// Why a call of KMS failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KmsReason {
    /// IAM, the key's policy or an organisation's denies it.
    AccessDenied,
    /// The thing exists already.
    AlreadyExists,
    /// The answer is none.
    BadAnswer,
    /// The credentials that were sent are not known, or the signature of the request is wrong.
    BadCredentials,
    /// The clocks of this machine and of AWS differ by minutes.
    ClockSkew,
    /// The key is disabled.
    Disabled,
    /// The credentials have expired, and those that were asked for after it too.
    ExpiredCredentials,
    /// KMS failed, or what stands before it.
    Internal,
    /// The ciphertext or its context is not what this key encrypted.
    InvalidCiphertext,
    /// The key's state does not allow it.
    InvalidState,
    /// The key cannot be used just now.
    KeyUnavailable,
    /// A quota of the account is used up; waiting does not help.
    LimitExceeded,
    /// Whoever gives credentials gave none, or not in time; nothing was sent.
    NoCredentials,
    /// There is no such key or alias.
    NotFound,
    /// Too many calls for our own limits; nothing was sent.
    OwnLimit {
        /// When to come back.
        retry_after: Duration,
    },
    /// The key is going to be deleted.
    PendingDeletion,
    /// KMS refuses the request for another reason.
    Rejected,
    /// Too many calls, says AWS.
    Throttled {
        /// When to come back, if known.
        retry_after: Option<Duration>,
    },
    /// No answer came in time, or the connection broke, after the request had left or may have.
    TimedOut,
    /// There was no connection; the request never left.
    Unreachable,
    /// KMS cannot do this here.
    UnsupportedOperation,
}

/// What a call leaves behind if it is not known how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing that matters, or what a second call would leave as well.
    None,
    /// A signature, a key.
    Some,
}

impl KmsFault {
    /// The fault of a call of the SDK.
    pub(crate) fn of<E>(
        operation: &'static str,
        region: &RegionName,
        error: &SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let (reason, request) = match error {
            SdkError::ServiceError(answered) => {
                let answer = Answer {
                    status: answered.raw().status().as_u16(),
                    code: answered.err().code().unwrap_or_default(),
                    message: answered.err().message().unwrap_or_default(),
                    retry_after: retry_after(answered.raw()),
                };
                (answer.reason(), answered.raw().request_id())
            }
            SdkError::ResponseError(answered) => {
                let status = answered.raw().status().as_u16();
                let (code, message) = ("", "");
                let retry_after = retry_after(answered.raw());
                let answer = Answer { status, code, message, retry_after };
                (answer.reason(), answered.raw().request_id())
            }
            SdkError::ConstructionFailure(_) => (KmsReason::Rejected, None),
            SdkError::DispatchFailure(_) => (not_dispatched(error), None),
            SdkError::TimeoutError(_) | _ => (KmsReason::TimedOut, None),
        };
        let request = request.filter(|id| is_plain(id)).map(str::to_owned);
        Self { operation, region: region.clone(), reason, request }
    }

    /// A fault that was found without asking, or in an answer.
    pub(crate) fn found(operation: &'static str, region: &RegionName, reason: KmsReason) -> Self {
        Self { operation, region: region.clone(), reason, request: None }
    }

    /// Whether it may be tried again: nothing can have happened, and it may go better.
    pub(crate) const fn may_pass(&self, effect: Effect) -> bool {
        // Whoever met our own limit could not have its turn within the time of a call.
        if matches!(self.reason, KmsReason::OwnLimit { .. }) {
            return false;
        }
        match self.kind(effect) {
            ErrorKind::Throttled { .. } | ErrorKind::Unavailable => true,
            ErrorKind::Conflict
            | ErrorKind::Corrupt
            | ErrorKind::Indeterminate
            | ErrorKind::NotFound
            | ErrorKind::Refused
            | ErrorKind::Unsupported
            | _ => false,
        }
    }

    /// Whether another region may serve: neither our own limits and credentials are at fault, which
    /// are the same there, nor anybody who denies.
    pub(crate) const fn may_pass_elsewhere(&self) -> bool {
        let is_ours = matches!(self.reason, KmsReason::NoCredentials);
        self.may_pass(Effect::None) && !is_ours
    }

    /// Whether it is the region that does not serve, and not a key alone.
    pub(crate) const fn is_of_region(&self) -> bool {
        let is_of_key = matches!(self.reason, KmsReason::KeyUnavailable);
        self.may_pass_elsewhere() && !is_of_key
    }

    /// What it means to the caller of a seam.
    pub(crate) const fn kind(&self, effect: Effect) -> ErrorKind {
        match self.reason {
            KmsReason::AlreadyExists => ErrorKind::Conflict,
            KmsReason::InvalidCiphertext => ErrorKind::Corrupt,
            KmsReason::NotFound => ErrorKind::NotFound,
            KmsReason::Throttled { retry_after } => ErrorKind::Throttled { retry_after },
            KmsReason::OwnLimit { retry_after } => {
                ErrorKind::Throttled { retry_after: Some(retry_after) }
            }
            KmsReason::KeyUnavailable | KmsReason::NoCredentials | KmsReason::Unreachable => {
                ErrorKind::Unavailable
            }
            KmsReason::UnsupportedOperation => ErrorKind::Unsupported,
            KmsReason::BadAnswer | KmsReason::Internal | KmsReason::TimedOut => match effect {
                Effect::None => ErrorKind::Unavailable,
                Effect::Some => ErrorKind::Indeterminate,
            },
            KmsReason::AccessDenied
            | KmsReason::BadCredentials
            | KmsReason::ClockSkew
            | KmsReason::Disabled
            | KmsReason::ExpiredCredentials
            | KmsReason::InvalidState
            | KmsReason::LimitExceeded
            | KmsReason::PendingDeletion
            | KmsReason::Rejected => ErrorKind::Refused,
        }
    }

    /// The error of a seam.
    pub(crate) fn into_error(self, operation: &'static str, effect: Effect) -> BackendError {
        BackendError::new(self.kind(effect), operation).with_source(self)
    }
}

impl KmsReason {
    /// When to come back, if KMS or our own limits said so.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        if let Self::OwnLimit { retry_after } = self {
            return Some(*retry_after);
        }
        if let Self::Throttled { retry_after } = self { *retry_after } else { None }
    }
}

impl fmt::Display for KmsReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccessDenied => "access denied",
            Self::AlreadyExists => "it exists already",
            Self::BadAnswer => "the answer is none",
            Self::BadCredentials => "the credentials are not accepted",
            Self::ClockSkew => "the clocks differ: check the time of this machine",
            Self::Disabled => "the key is disabled",
            Self::ExpiredCredentials => "the credentials have expired",
            Self::Internal => "it failed",
            Self::InvalidCiphertext => "the ciphertext or its context is another",
            Self::InvalidState => "the key's state does not allow it",
            Self::KeyUnavailable => "the key cannot be used now",
            Self::LimitExceeded => "a quota of the account is used up",
            Self::NoCredentials => "there are no credentials; nothing was sent",
            Self::NotFound => "there is no such key",
            Self::OwnLimit { .. } => "too many calls for our own limits; nothing was sent",
            Self::PendingDeletion => "the key is going to be deleted",
            Self::Rejected => "it refuses the request",
            Self::Throttled { .. } => "too many calls",
            Self::TimedOut => "no answer came in time",
            Self::Unreachable => "there is no connection",
            Self::UnsupportedOperation => "it cannot do this here",
        })
    }
}

/// An answer that says that a call failed.
struct Answer<'a> {
    status: u16,
    code: &'a str,
    message: &'a str,
    retry_after: Option<Duration>,
}

impl Answer<'_> {
    fn reason(&self) -> KmsReason {
        match self.code {
            "AccessDenied" | "AccessDeniedException" => KmsReason::AccessDenied,
            "AlreadyExistsException" => KmsReason::AlreadyExists,
            "ExpiredToken" | "ExpiredTokenException" => KmsReason::ExpiredCredentials,
            "RequestExpired" | "RequestTimeTooSkewed" => KmsReason::ClockSkew,
            // A signature that is too old or too new comes under this name too.
            "InvalidSignatureException" | "SignatureDoesNotMatch"
                if self.says("expired") || self.says("not yet current") =>
            {
                KmsReason::ClockSkew
            }
            "IncompleteSignature"
            | "IncompleteSignatureException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClientException" => KmsReason::BadCredentials,
            "DisabledException" => KmsReason::Disabled,
            "IncorrectKeyException" | "InvalidCiphertextException" => KmsReason::InvalidCiphertext,
            "KMSInvalidStateException" if self.says("pending") && self.says("delet") => {
                KmsReason::PendingDeletion
            }
            "KMSInvalidStateException" => KmsReason::InvalidState,
            "KeyUnavailableException" => KmsReason::KeyUnavailable,
            "LimitExceededException" => KmsReason::LimitExceeded,
            "NotFoundException" => KmsReason::NotFound,
            "RequestLimitExceeded"
            | "SlowDown"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequestsException" => self.throttled(),
            "UnsupportedOperationException" => KmsReason::UnsupportedOperation,
            "DependencyTimeoutException"
            | "InternalFailure"
            | "InternalServerError"
            | "KMSInternalException"
            | "ServiceUnavailable"
            | "ServiceUnavailableException" => KmsReason::Internal,
            _ => match self.status {
                429 => self.throttled(),
                400..=499 => KmsReason::Rejected,
                500.. => KmsReason::Internal,
                _ => KmsReason::BadAnswer,
            },
        }
    }

    const fn throttled(&self) -> KmsReason {
        KmsReason::Throttled { retry_after: self.retry_after }
    }

    fn says(&self, word: &str) -> bool {
        self.message.to_ascii_lowercase().contains(word)
    }
}

/// The id of a request, as the end of a sentence.
struct Request<'a>(Option<&'a str>);

impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |id| write!(f, " (request {id})"))
    }
}

/// Why there was no answer. That the request never left is believed only if whoever connects or whoever
/// gives credentials says so.
fn not_dispatched(error: &(dyn Error + 'static)) -> KmsReason {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<CredentialsError>() {
            return KmsReason::NoCredentials;
        }
        let client = error.downcast_ref::<hyper_util::client::legacy::Error>();
        if client.is_some_and(hyper_util::client::legacy::Error::is_connect) {
            return KmsReason::Unreachable;
        }
        next = error.source();
    }
    KmsReason::TimedOut
}

/// `Retry-After` in seconds (RFC 9110, section 10.2.3), of at most an hour.
fn retry_after(answer: &HttpResponse) -> Option<Duration> {
    let seconds = answer.headers().get("retry-after")?.trim().parse().ok()?;
    (seconds <= RETRY_AFTER_MAX_S).then(|| Duration::from_secs(seconds))
}

/// Whether a text from outside may stand in a log.
fn is_plain(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    text.len() <= REQUEST_MAX && text.bytes().all(is_part)
}

const RETRY_AFTER_MAX_S: u64 = 3_600;
const REQUEST_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(status: u16, code: &str, message: &str) -> KmsReason {
        Answer { status, code, message, retry_after: None }.reason()
    }

    #[test]
    fn codes_that_are_not_known_are_told_apart_by_the_status() {
        for (status, expected) in [
            (429, KmsReason::Throttled { retry_after: None }),
            (400, KmsReason::Rejected),
            (403, KmsReason::Rejected),
            (500, KmsReason::Internal),
            (503, KmsReason::Internal),
            (200, KmsReason::BadAnswer),
            (302, KmsReason::BadAnswer),
        ] {
            assert_eq!(reason(status, "NobodyKnowsException", "x"), expected, "{status}");
        }
    }

    #[test]
    fn a_wrong_clock_and_a_wrong_secret_are_told_apart() {
        let code = "InvalidSignatureException";
        let old = "Signature expired: 20261129T120000Z is now earlier than 20261129T123000Z";
        let new = "Signature not yet current: 20261129T130000Z is still later than";
        assert_eq!(reason(400, code, old), KmsReason::ClockSkew);
        assert_eq!(reason(400, code, new), KmsReason::ClockSkew);
        assert_eq!(
            reason(400, code, "The request signature does not match"),
            KmsReason::BadCredentials
        );
    }

    #[test]
    fn a_key_that_will_be_deleted_is_told_apart_from_other_states() {
        let code = "KMSInvalidStateException";
        assert_eq!(reason(400, code, "arn is pending deletion."), KmsReason::PendingDeletion);
        assert_eq!(reason(400, code, "Key is PendingDeletion"), KmsReason::PendingDeletion);
        assert_eq!(reason(400, code, "arn is pending import."), KmsReason::InvalidState);
    }

    #[test]
    fn what_may_have_happened_is_never_tried_again_nor_called_nothing() {
        let region = RegionName::parse("eu-central-1").unwrap();
        for reason in [KmsReason::BadAnswer, KmsReason::Internal, KmsReason::TimedOut] {
            let fault = KmsFault::found("sign", &region, reason);
            assert!(!fault.may_pass(Effect::Some) && fault.may_pass(Effect::None));
            assert_eq!(fault.kind(Effect::Some), ErrorKind::Indeterminate);
            assert_eq!(fault.kind(Effect::None), ErrorKind::Unavailable);
        }
    }

    #[test]
    fn what_is_refused_is_not_tried_again() {
        let region = RegionName::parse("eu-central-1").unwrap();
        for reason in [
            KmsReason::AccessDenied,
            KmsReason::AlreadyExists,
            KmsReason::BadCredentials,
            KmsReason::ClockSkew,
            KmsReason::Disabled,
            KmsReason::ExpiredCredentials,
            KmsReason::InvalidCiphertext,
            KmsReason::InvalidState,
            KmsReason::LimitExceeded,
            KmsReason::NotFound,
            KmsReason::PendingDeletion,
            KmsReason::Rejected,
            KmsReason::UnsupportedOperation,
        ] {
            let fault = KmsFault::found("sign", &region, reason);
            assert!(!fault.may_pass(Effect::None) && !fault.may_pass_elsewhere(), "{fault}");
            let kind = fault.kind(Effect::Some);
            assert!(kind.nothing_happened() || kind == ErrorKind::Corrupt, "{fault}");
        }
    }

    #[test]
    fn a_region_is_left_alone_for_its_own_faults_and_not_for_ours_nor_for_those_of_a_key() {
        let region = RegionName::parse("eu-central-1").unwrap();
        let throttled = KmsReason::Throttled { retry_after: None };
        let own = KmsReason::OwnLimit { retry_after: Duration::from_secs(1) };
        for (reason, is_elsewhere, is_of_region) in [
            (throttled, true, true),
            (KmsReason::Internal, true, true),
            (KmsReason::TimedOut, true, true),
            (KmsReason::Unreachable, true, true),
            (KmsReason::KeyUnavailable, true, false),
            (KmsReason::NoCredentials, false, false),
            (own, false, false),
            (KmsReason::Disabled, false, false),
            (KmsReason::NotFound, false, false),
        ] {
            let fault = KmsFault::found("decrypt", &region, reason);
            let told = (fault.may_pass_elsewhere(), fault.is_of_region());
            assert_eq!(told, (is_elsewhere, is_of_region), "{fault}");
        }
    }

    #[test]
    fn without_credentials_nothing_was_sent() {
        let region = RegionName::parse("eu-central-1").unwrap();
        let fault = KmsFault::found("sign", &region, KmsReason::NoCredentials);
        assert_eq!(fault.kind(Effect::Some), ErrorKind::Unavailable);
        assert!(fault.may_pass(Effect::Some));
    }

    #[test]
    fn texts_from_outside_do_not_reach_logs() {
        assert!(is_plain("4f1a0e9c-6a0b-4c43-9f0e-2d8f6c1a7b3e"));
        for text in ["a b", "a\nb", "<html>", &"a".repeat(65)] {
            assert!(!is_plain(text));
        }
    }
}
