//! What policies allow, and above all what they do not.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests, which fail by panicking"
)]

#[path = "iam/grammar.rs"]
mod grammar;
#[path = "iam/rights.rs"]
mod rights;
#[path = "iam/scopes.rs"]
mod scopes;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use custody_kms::iam::{
    IamError, IamScope, IamScopeError, Policy, Use, identity_policy, key_policy,
};
use serde_json::Value;

const SCOPE: &str = include_str!("data/iam/scope.toml");
const TAGGED: &str = include_str!("data/iam/tagged.toml");

/// The uses of the process that is the custodian.
const CUSTODIAN: [Use; 4] = [Use::Creation, Use::Sealing, Use::Signing, Use::Switching];

/// Actions that use a key, and those that administer it.
const USING: [&str; 11] = [
    "kms:Decrypt",
    "kms:DeriveSharedSecret",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyPair",
    "kms:GenerateDataKeyPairWithoutPlaintext",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:GenerateMac",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:Sign",
];
const ADMINISTERING: [&str; 17] = [
    "kms:CancelKeyDeletion",
    "kms:CreateGrant",
    "kms:DeleteAlias",
    "kms:DeleteImportedKeyMaterial",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:ImportKeyMaterial",
    "kms:PutKeyPolicy",
    "kms:ReplicateKey",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
    "kms:UpdatePrimaryRegion",
];

fn scope() -> IamScope {
    IamScope::parse(SCOPE).unwrap()
}

fn tagged() -> IamScope {
    IamScope::parse(TAGGED).unwrap()
}

fn identity(scope: &IamScope, uses: &[Use]) -> Policy {
    identity_policy(scope, &uses.iter().copied().collect()).unwrap()
}

fn key(scope: &IamScope, uses: &[Use]) -> Policy {
    key_policy(scope, &uses.iter().copied().collect()).unwrap()
}

/// Every policy that is pinned, by its file.
fn policies() -> Vec<(String, Policy)> {
    let (named, tagged) = (scope(), tagged());
    let mut policies = Vec::new();
    for one in Use::ALL {
        policies.push((format!("identity-{one}.json"), identity(&named, &[one])));
        if !matches!(one, Use::Rotation | Use::Sealing) {
            policies.push((format!("identity-tagged-{one}.json"), identity(&tagged, &[one])));
        }
    }
    policies.push(("identity-custodian.json".to_owned(), identity(&named, &CUSTODIAN)));
    let (admin, audit) = (Use::Administration, Use::Audit);
    for (name, uses) in [
        ("key-signing.json", &[admin, audit, Use::Creation, Use::Signing, Use::Switching][..]),
        ("key-sealing.json", &[admin, audit, Use::Rotation, Use::Sealing]),
        ("key-administration.json", &[admin]),
    ] {
        policies.push((name.to_owned(), key(&named, uses)));
    }
    policies
}

fn is_of_key(name: &str) -> bool {
    name.starts_with("key-")
}

fn statements(policy: &Policy) -> Vec<Value> {
    let policy: Value = serde_json::from_str(&policy.to_json()).unwrap();
    policy["Statement"].as_array().unwrap().clone()
}

/// What stands there, alone or in a list.
fn listed(value: &Value) -> Vec<String> {
    let text = |one: &Value| one.as_str().unwrap().to_owned();
    value.as_array().map_or_else(|| vec![text(value)], |all| all.iter().map(text).collect())
}

/// The actions of statements with an effect.
fn actions(policy: &Policy, effect: &str) -> BTreeSet<String> {
    let statements = statements(policy);
    let with = statements.iter().filter(|statement| statement["Effect"] == effect);
    with.flat_map(|statement| listed(&statement["Action"])).collect()
}

fn allows_any(policy: &Policy, of: &[&str]) -> Vec<String> {
    let allowed = actions(policy, "Allow");
    allowed.into_iter().filter(|action| of.contains(&action.as_str())).collect()
}

/// The condition of the only statement that allows an action, by operator and key.
fn condition(policy: &Policy, sid: &str, operator: &str, key: &str) -> Vec<String> {
    let statements = statements(policy);
    let found = statements.iter().find(|statement| statement["Sid"] == sid);
    listed(&found.unwrap()["Condition"][operator][key])
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/iam").join(name)
}

#[cfg(feature = "cli")]
#[path = "iam/command.rs"]
mod command;
