//! The doctor as its users run it: the program itself, over what stands in for KMS. What those do not do
//! as AWS does is known, and must be found.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[path = "../../hsm/tests/softhsm/program.rs"]
mod program;

use std::collections::BTreeSet;
use std::env;
use std::path::Path;

use custody_kms::aws_sdk_kms::types::KeyState;
use examples_kms::account::{Account, HOME};
use serde_json::Value;

/// What the doctor answered.
struct Answer {
    code: Option<i32>,
    out: String,
    errors: String,
}

/// The doctor at an endpoint, as the root of an account.
fn examined(endpoint: &str, account: &str, arguments: &[&str]) -> Answer {
    let usual = ["--measure-ms", "20", "--endpoint", endpoint, "--region", HOME];
    let variables =
        [("AWS_ACCESS_KEY_ID", account), ("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_SESSION_TOKEN", "")];
    let variables = variables.map(|(name, value)| (name, Path::new(value)));
    let output = program::run("kms_doctor", &[&usual, arguments].concat(), &variables);
    Answer {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Answer {
    #[track_caller]
    fn rows(&self) -> Vec<Value> {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.errors);
        let rows: Value = serde_json::from_str(&self.out).unwrap();
        rows.as_array().unwrap().clone()
    }
}

/// What was tried, and does not work.
fn lacking(rows: &[Value]) -> Vec<String> {
    let rows = rows.iter().filter(|row| row["works"] == false);
    let named = rows.map(|row| {
        let (topic, key) = (row["topic"].as_str().unwrap(), row["key"].as_str().unwrap_or("any"));
        format!("{topic} {key}: {}", row["what"].as_str().unwrap())
    });
    named.collect()
}

fn told<'a>(rows: &'a [Value], what: &str) -> &'a str {
    rows.iter().find(|row| row["what"] == what).unwrap()["told"].as_str().unwrap()
}

#[test]
#[ignore = "needs a stand-in for KMS"]
fn ministack_is_told_from_aws() {
    let account = Account::of_environment().unwrap();
    let answer = examined(account.endpoint(), account.number(), &["--json"]);
    assert!(answer.errors.starts_with("makes keys at "), "{}", answer.errors);
    let rows = answer.rows();
    let fields = BTreeSet::from(["topic", "key", "what", "works", "a_second", "told"]);
    for row in &rows {
        let names: BTreeSet<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, fields, "{row}");
        assert_eq!(row["topic"] == "rate", row["a_second"].is_u64(), "{row}");
    }
    let lacks = [
        "state any: pending deletion: enable, sign",
        "state any: pending deletion: enable, decrypt",
        "encryption any: another key",
        "encryption any: a flipped bit",
        "encryption any: a cut",
        "encryption any: re-encrypt",
        "rotation any: rotate on demand",
        "rotation any: list rotations",
        "list any: keys in pages",
    ];
    assert_eq!(lacking(&rows), lacks);
}

#[test]
#[ignore = "needs a stand-in for KMS"]
fn moto_is_found_to_hash_digests_once_more() {
    let endpoint = env::var("CUSTODY_KMS_MOTO").expect("CUSTODY_KMS_MOTO is not set");
    let rows = examined(&endpoint, "test", &["--json"]).rows();
    let lacks = lacking(&rows);
    for key in ["ecdsa-secp256k1", "ecdsa-p256"] {
        assert!(lacks.contains(&format!("sign {key}: sign with DIGEST")), "{lacks:?}");
    }
    assert_eq!(told(&rows, "sign with DIGEST"), "it signs the hash of the digest");
    assert!(lacks.contains(&"key ed25519: make a key".to_owned()), "{lacks:?}");
    assert!(!lacks.contains(&"encryption any: re-encrypt".to_owned()), "{lacks:?}");
    // It finds no key by its ARN to delete it.
    assert_eq!(rows.last().unwrap()["works"], true, "{rows:?}");
}

#[test]
#[ignore = "needs a stand-in for KMS"]
fn every_key_that_was_made_will_be_deleted() {
    let account = Account::of_environment().unwrap();
    let rows = examined(account.endpoint(), account.number(), &["--json"]).rows();
    let told = rows.last().unwrap()["told"].as_str().unwrap();
    let made: usize = told.split(' ').next().unwrap().parse().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let sdk = account.sdk();
        let keys = sdk.list_keys().send().await.unwrap();
        for key in keys.keys() {
            let told = sdk.describe_key().key_id(key.key_arn().unwrap()).send().await.unwrap();
            let state = told.key_metadata.unwrap().key_state.unwrap();
            let going = [KeyState::PendingDeletion, KeyState::PendingReplicaDeletion];
            assert!(going.contains(&state), "{state:?}");
        }
        assert_eq!(keys.keys().len() + 1, made, "and a replica");
        assert!(sdk.list_aliases().send().await.unwrap().aliases().is_empty());
    });
}

#[test]
#[ignore = "needs a stand-in for KMS"]
fn a_table_has_the_rows_of_the_json() {
    let account = Account::of_environment().unwrap();
    let rows = examined(account.endpoint(), account.number(), &["--json"]).rows();
    let answer = examined(account.endpoint(), account.number(), &[]);
    let lines: Vec<_> = answer.out.lines().collect();
    assert_eq!(lines.len(), rows.len() + 1, "and a header");
    assert!(lines[0].starts_with("topic"), "{}", lines[0]);
    for (line, row) in lines[1..].iter().zip(&rows) {
        assert!(line.starts_with(row["topic"].as_str().unwrap()), "{line}");
        let is_drawn = row["topic"] == "left";
        assert!(is_drawn || line.contains(row["what"].as_str().unwrap()), "{line}");
    }
}

#[test]
fn what_is_wrong_is_named_before_anything_is_made() {
    let closed = "http://127.0.0.1:1";
    for (name, endpoint, arguments, reason) in [
        ("no such place", closed, vec![], "`endpoint`: no list of keys: dispatch failure"),
        ("in clear, elsewhere", "http://kms.example:80", vec![], "`endpoint`: endpoint must be"),
        ("no URL", "kms", vec![], "`endpoint`: endpoint must be"),
        ("one region", closed, vec!["--replica-region", HOME], "`replica-region`: it is the same"),
        ("no region", closed, vec!["--replica-region", "EU"], "`replica-region`: `region`: "),
    ] {
        let answer = examined(endpoint, "111122223333", &arguments);
        assert_eq!((answer.code, answer.out.as_str()), (Some(2), ""), "{name}");
        assert!(
            answer.errors.starts_with(&format!("refused: {reason}")),
            "{name}: {}",
            answer.errors
        );
    }
}
