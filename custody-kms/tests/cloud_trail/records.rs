//! Records as CloudTrail writes them of KMS.

use serde_json::{Value, json};

use custody_core::time::Timestamp;

pub(crate) const HOT: &str =
    "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
pub(crate) const WARM: &str =
    "arn:aws:kms:eu-central-1:111122223333:key/5678abcd-12ab-34cd-56ef-1234567890ab";
pub(crate) const KEK: &str =
    "arn:aws:kms:eu-central-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";
pub(crate) const NEW_KEK: &str =
    "arn:aws:kms:eu-central-1:111122223333:key/9abcabcd-12ab-34cd-56ef-1234567890ab";
pub(crate) const FOREIGN: &str =
    "arn:aws:kms:eu-central-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";
pub(crate) const ROLE: &str = "arn:aws:iam::111122223333:role/custody";
pub(crate) const ADMIN: &str = "arn:aws:iam::111122223333:role/custody-admin";
pub(crate) const MALLORY: &str = "arn:aws:iam::111122223333:user/Mallory";

/// Records with ids of their own.
#[derive(Clone, Default)]
pub(crate) struct Records {
    pub(crate) all: Vec<Value>,
}

impl Records {
    pub(crate) fn push(&mut self, mut record: Value) -> &mut Value {
        let number = self.all.len();
        record["eventID"] = json!(format!("107b3cac-b125-4556-9702-{number:012x}"));
        self.all.push(record);
        &mut self.all[number]
    }

    pub(crate) fn sign(&mut self, arn: &str, at: u64) -> &mut Value {
        self.push(sign(arn, at))
    }

    /// As a log file.
    pub(crate) fn file(&self) -> Vec<u8> {
        serde_json::to_vec(&json!({ "Records": self.all })).unwrap()
    }

    /// One on each line.
    pub(crate) fn lines(&self) -> Vec<u8> {
        self.all.iter().flat_map(|record| format!("{record}\n").into_bytes()).collect()
    }
}

/// A call by the custodian's role; seconds only.
pub(crate) fn call(name: &str, arn: &str, at: u64, parameters: Value) -> Value {
    let time = Timestamp::from_millis(at / 1_000 * 1_000).to_string().replace(".000Z", "Z");
    json!({
        "eventVersion": "1.11",
        "userIdentity": session(ROLE),
        "eventTime": time,
        "eventSource": "kms.amazonaws.com",
        "eventName": name,
        "awsRegion": "eu-central-1",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "aws-sdk-rust/1.3 os/linux lang/rust",
        "requestParameters": parameters,
        "responseElements": null,
        "requestID": "8d0b35e0-46cf-48b9-be99-bf2ebc9ab9fb",
        "eventID": "107b3cac-b125-4556-9702-12a2b9afcff7",
        "readOnly": true,
        "resources": [resource(arn)],
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": "111122223333",
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_256_GCM_SHA384",
            "clientProvidedHostHeader": "kms.eu-central-1.amazonaws.com",
        },
    })
}

pub(crate) fn sign(arn: &str, at: u64) -> Value {
    let parameters =
        json!({ "keyId": arn, "messageType": "DIGEST", "signingAlgorithm": "ECDSA_SHA_256" });
    call("Sign", arn, at, parameters)
}

pub(crate) fn decrypt(arn: &str, at: u64, context: &Value) -> Value {
    let parameters = json!({
        "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "keyId": arn,
        "encryptionContext": context,
    });
    let mut record = call("Decrypt", arn, at, parameters);
    record["additionalEventData"] = json!({ "keyMaterialId": "96083e4fb6dbc41d77578a213a6b6669" });
    record
}

/// From the first of two keys to the second.
pub(crate) fn re_encrypt(from: &str, to: &str, at: u64, contexts: [&Value; 2]) -> Value {
    let parameters = json!({
        "sourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "sourceEncryptionContext": contexts[0],
        "sourceKeyId": from,
        "destinationKeyId": to,
        "destinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "destinationEncryptionContext": contexts[1],
    });
    let mut record = call("ReEncrypt", from, at, parameters);
    record["resources"] = json!([resource(from), resource(to)]);
    record
}

/// As a call that failed is recorded.
pub(crate) fn failing(mut record: Value, code: &str) -> Value {
    record["errorCode"] = json!(code);
    record["errorMessage"] = json!("The request failed.");
    record
}

/// As a call by somebody else is recorded.
pub(crate) fn by(mut record: Value, identity: Value) -> Value {
    record["userIdentity"] = identity;
    record
}

/// Somebody in a role.
pub(crate) fn session(role: &str) -> Value {
    let name = role.rsplit('/').next().unwrap();
    json!({
        "type": "AssumedRole",
        "principalId": "AROAEXAMPLE:i-0123456789abcdef0",
        "arn": format!("arn:aws:sts::111122223333:assumed-role/{name}/i-0123456789abcdef0"),
        "accountId": "111122223333",
        "accessKeyId": "ASIAEXAMPLE",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAEXAMPLE",
                "arn": role,
                "accountId": "111122223333",
                "userName": name,
            },
            "attributes": { "creationDate": "2026-03-01T11:00:00Z", "mfaAuthenticated": "false" },
        },
    })
}

pub(crate) fn user(arn: &str) -> Value {
    json!({
        "type": "IAMUser",
        "principalId": "EX_PRINCIPAL_ID",
        "arn": arn,
        "accountId": "111122223333",
        "accessKeyId": "EXAMPLE_KEY_ID",
        "userName": arn.rsplit('/').next(),
    })
}

/// What KMS does by itself.
pub(crate) fn rotate_key(arn: &str, at: u64) -> Value {
    let mut record = call("RotateKey", arn, at, Value::Null);
    record["userIdentity"] = json!({ "accountId": "111122223333", "invokedBy": "AWS Internal" });
    record["eventType"] = json!("AwsServiceEvent");
    record["serviceEventDetails"] = json!({ "rotationType": "AUTOMATIC" });
    record
}

pub(crate) fn resource(arn: &str) -> Value {
    json!({ "accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": arn })
}
