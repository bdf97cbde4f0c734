//! One call of KMS, as CloudTrail records it.

use std::fmt;

use custody_core::time::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::context::Context;
use super::fields::{FieldError, FieldFault, Object};
use super::time::parse_time;
use crate::arn::KeyArn;

macro_rules! trail_text {
    ($(#[$doc:meta])* $name:ident, $limit:literal, $alphabet:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            pub(super) fn parse(text: &str) -> Option<Self> {
                let is_fit = (1..=$limit).contains(&text.len()) && text.bytes().all($alphabet);
                is_fit.then(|| Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

trail_text! {
    /// Who called: an ARN, the name of a service, or `account` and its number where CloudTrail tells no
    /// more. 1 to 2,048 visible characters and spaces of ASCII.
    CallerName, 2_048, |byte| matches!(byte, b' '..=b'~')
}
trail_text! {
    /// Why a call failed, such as `AccessDenied`. 1 to 128 of `A-Z a-z 0-9 . : _ -`.
    ErrorCode, 128, is_code
}
trail_text! {
    /// The id that CloudTrail gives a call. 1 to 64 of `A-Z a-z 0-9 -`.
    EventId, 64, |byte| byte.is_ascii_alphanumeric() || byte == b'-'
}
trail_text! {
    /// The operation that was called, such as `Sign`. 1 to 64 of `A-Z a-z 0-9`.
    EventName, 64, |byte| byte.is_ascii_alphanumeric()
}

/// A call of KMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) id: EventId,
    /// The id that the copies of one call in the trails of several accounts share.
    pub(super) shared_id: Option<EventId>,
    /// The second in which it ended.
    pub(super) at: Timestamp,
    pub(super) name: EventName,
    pub(super) error: Option<ErrorCode>,
    pub(super) caller: Caller,
    pub(super) origin: Origin,
    /// The keys that it used, in the order in which KMS tells them.
    pub(super) keys: Vec<KeyArn>,
    pub(super) parameters: Parameters,
}

/// Who called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) name: CallerName,
    /// The role, if it was somebody in a role.
    pub(super) role: Option<CallerName>,
    /// Whether the name is an ARN.
    pub(super) is_named: bool,
}

/// Whether somebody called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Somebody did.
    Call,
    /// KMS did it by itself, such as a rotation that was due.
    Service,
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) signing_algorithm: Option<String>,
    pub(super) message_type: Option<String>,
    /// Of the one key, or of the first of two.
    pub(super) context: Option<Context>,
    /// Of the second of two keys.
    pub(super) second_context: Option<Context>,
}

/// What an operation does to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Anything else, such as another key policy.
    Manage,
    /// It tells something about it.
    Read,
    /// It encrypts or decrypts with it.
    Seal,
    /// It signs with it.
    Sign,
    /// It makes it, switches it or rotates it, which the custodian does too.
    Switch,
    /// It uses it in a way that the custodian never does.
    UseOtherwise,
}

impl EventName {
    pub(super) fn operation(&self) -> Operation {
        match self.as_str() {
            "Sign" => Operation::Sign,
            name if SEALING.contains(&name) => Operation::Seal,
            name if OTHER_USES.contains(&name) => Operation::UseOtherwise,
            name if READING.contains(&name) => Operation::Read,
            name if SWITCHING.contains(&name) => Operation::Switch,
            _ => Operation::Manage,
        }
    }
}

impl Operation {
    pub(super) const fn is_use(self) -> bool {
        matches!(self, Self::Seal | Self::Sign | Self::UseOtherwise)
    }
}

impl Record {
    /// Reads a record; none if it is of another service.
    pub(super) fn parse(raw: &RawValue) -> Result<Option<Self>, FieldError> {
        let object = Object::parse(raw, "Records")?;
        let source = object.parsed("eventSource", |text| Some(text.to_owned()))?;
        if source != KMS {
            return Ok(None);
        }
        let name = object.parsed("eventName", EventName::parse)?;
        let error = object.parsed_if_any("errorCode", ErrorCode::parse)?;
        let kind = object.text("eventType")?;
        let request = object.object("requestParameters")?;
        let is_use = name.operation().is_use();
        let keys = keys(&object, request.as_ref())?;
        if is_use && error.is_none() && keys.is_empty() {
            return Err(FieldError::new("resources", FieldFault::Missing));
        }
        let parameters = match &request {
            Some(request) => Parameters::parse(request)?,
            None => Parameters::default(),
        };
        let signs = name.operation() == Operation::Sign && error.is_none();
        if signs && parameters.signing_algorithm.is_none() {
            let field = "requestParameters.signingAlgorithm";
            return Err(FieldError::new(field, FieldFault::Missing));
        }
        Ok(Some(Self {
            id: object.parsed("eventID", EventId::parse)?,
            shared_id: object.parsed_if_any("sharedEventID", EventId::parse)?,
            at: object.parsed("eventTime", parse_time)?,
            name,
            error,
            caller: Caller::parse(&object)?,
            origin: match kind.as_deref() {
                Some("AwsServiceEvent") => Origin::Service,
                _ => Origin::Call,
            },
            keys,
            parameters,
        }))
    }

    /// Whether both can be of one call. The trails of two accounts tell the caller, and what was asked
    /// for, in as much detail as concerns each of them.
    pub(super) fn is_copy(&self, other: &Self) -> bool {
        self.at == other.at
            && self.origin == other.origin
            && self.name == other.name
            && self.error == other.error
            && self.keys == other.keys
    }
}

impl Caller {
    fn parse(object: &Object<'_>) -> Result<Self, FieldError> {
        let missing = |field| FieldError::new(field, FieldFault::Missing);
        let identity = object.object("userIdentity")?.ok_or(missing("userIdentity"))?;
        let parse = CallerName::parse;
        let session = identity.object("userIdentity.sessionContext")?;
        let issuer = match session {
            Some(session) => session.object("userIdentity.sessionContext.sessionIssuer")?,
            None => None,
        };
        let role = match issuer {
            Some(issuer) => {
                issuer.parsed_if_any("userIdentity.sessionContext.sessionIssuer.arn", parse)?
            }
            None => None,
        };
        if let Some(name) = identity.parsed_if_any("userIdentity.arn", parse)? {
            return Ok(Self { name, role, is_named: true });
        }
        // Services and callers of other accounts have no ARN here.
        if let Some(name) = identity.parsed_if_any("userIdentity.invokedBy", parse)? {
            return Ok(Self { name, role: None, is_named: false });
        }
        let account = |text: &str| CallerName::parse(&format!("account {text}"));
        let name = identity.parsed_if_any("userIdentity.accountId", account)?;
        let name = name.ok_or(missing("userIdentity.arn"))?;
        Ok(Self { name, role: None, is_named: false })
    }
}

impl Parameters {
    fn parse(request: &Object<'_>) -> Result<Self, FieldError> {
        let first = if request.has("sourceEncryptionContext") {
            "requestParameters.sourceEncryptionContext"
        } else {
            "requestParameters.encryptionContext"
        };
        let second = "requestParameters.destinationEncryptionContext";
        let context = |field| request.object(field)?.map(|it| Context::parse(&it)).transpose();
        Ok(Self {
            signing_algorithm: request.text("requestParameters.signingAlgorithm")?,
            message_type: request.text("requestParameters.messageType")?,
            context: context(first)?,
            second_context: context(second)?,
        })
    }
}

/// The keys that KMS tells; where it tells none, such as of a call that failed, those that were asked
/// for. What was asked for by the name of an alias is not known.
fn keys(object: &Object<'_>, request: Option<&Object<'_>>) -> Result<Vec<KeyArn>, FieldError> {
    let mut keys = Vec::new();
    for raw in object.list("resources")?.unwrap_or_default() {
        let resource = Object::parse(raw, "resources")?;
        let parse = |text: &str| KeyArn::parse(text).ok();
        if resource.text("resources.type")?.as_deref() == Some("AWS::KMS::Key") {
            keys.push(resource.parsed("resources.ARN", parse)?);
        } else {
            // KMS does not tell the type in records of each operation (AWS KMS, "CloudTrail log
            // entries": `Encrypt`, `GenerateDataKey`).
            keys.extend(resource.text("resources.ARN")?.and_then(|text| parse(&text)));
        }
    }
    let Some(request) = request.filter(|_| keys.is_empty()) else { return Ok(keys) };
    let region = object.text("awsRegion")?.unwrap_or_default();
    let account = object.text("recipientAccountId")?.unwrap_or_default();
    for field in [
        "requestParameters.keyId",
        "requestParameters.sourceKeyId",
        "requestParameters.destinationKeyId",
    ] {
        let Some(text) = request.text(field)? else { continue };
        // An id alone is one of the account; the partition does not tell keys apart.
        let arn = format!("arn:aws:kms:{region}:{account}:key/{text}");
        let arn = KeyArn::parse(&text).or_else(|_| KeyArn::parse(&arn));
        keys.extend(arn.ok());
    }
    Ok(keys)
}

const fn is_code(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'_' | b'-')
}

const KMS: &str = "kms.amazonaws.com";
const SEALING: [&str; 7] = [
    "Decrypt",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncrypt",
];
const OTHER_USES: [&str; 2] = ["DeriveSharedSecret", "GenerateMac"];
const READING: [&str; 13] = [
    "DescribeKey",
    "GetKeyPolicy",
    "GetKeyRotationStatus",
    "GetPublicKey",
    "ListAliases",
    "ListGrants",
    "ListKeyPolicies",
    "ListKeyRotations",
    "ListKeys",
    "ListResourceTags",
    "ListRetirableGrants",
    "Verify",
    "VerifyMac",
];
const SWITCHING: [&str; 9] = [
    "CancelKeyDeletion",
    "CreateAlias",
    "CreateKey",
    "DisableKey",
    "EnableKey",
    "EnableKeyRotation",
    "RotateKeyOnDemand",
    "ScheduleKeyDeletion",
    "TagResource",
];
