//! What policies allow, and above all what they do not.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests, which fail by panicking"
)]

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

#[test]
fn policies_are_as_pinned() {
    for (name, policy) in policies() {
        let pinned = std::fs::read_to_string(data(&name)).unwrap_or_default();
        let text = policy.to_json() + "\n";
        assert!(pinned == text, "{name} is not as pinned, but:\n{text}");
    }
}

#[test]
fn nothing_is_pinned_that_is_no_policy() {
    let known: BTreeSet<_> = policies().into_iter().map(|(name, _)| name).collect();
    for entry in std::fs::read_dir(data("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.ends_with(".toml") || known.contains(&name), "{name}");
    }
}

#[test]
fn the_reason_of_each_statement_is_documented() {
    let documented = include_str!("../src/iam.rs");
    for (name, policy) in policies() {
        for statement in statements(&policy) {
            let sid = statement["Sid"].as_str().unwrap();
            let stem = ["SigningKeys", "SealingKeys", "Key"]
                .into_iter()
                .find_map(|end| sid.strip_suffix(end))
                .map(|stem| format!("`{stem}…`"));
            let has = |text: &str| documented.contains(text);
            let is_documented = has(&format!("`{sid}`")) || stem.is_some_and(|stem| has(&stem));
            assert!(is_documented, "{name}: {sid}");
        }
    }
}

/// IAM user guide, "Grammar of the IAM JSON policy language".
#[test]
fn policies_keep_the_grammar() {
    const OPERATORS: [&str; 10] = [
        "ArnNotEquals",
        "Bool",
        "BoolIfExists",
        "ForAllValues:StringEquals",
        "Null",
        "NumericGreaterThanEquals",
        "NumericLessThanEqualsIfExists",
        "StringEquals",
        "StringLikeIfExists",
        "StringNotEquals",
    ];
    for (name, policy) in policies() {
        let whole: BTreeMap<String, Value> = serde_json::from_str(&policy.to_json()).unwrap();
        assert!(whole.keys().eq(["Statement", "Version"]), "{name}");
        assert_eq!(whole["Version"], "2012-10-17", "{name}");
        let mut sids = BTreeSet::new();
        for statement in statements(&policy) {
            let sid = statement["Sid"].as_str().unwrap().to_owned();
            assert!(sid.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{name}: {sid}");
            assert!(sids.insert(sid.clone()), "{name}: {sid} twice");
            assert!(["Allow", "Deny"].contains(&statement["Effect"].as_str().unwrap()), "{sid}");
            assert_eq!(statement.get("Principal").is_some(), is_of_key(&name), "{name}: {sid}");
            assert!(!listed(&statement["Action"]).is_empty(), "{name}: {sid}");
            assert!(!listed(&statement["Resource"]).is_empty(), "{name}: {sid}");
            for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
                assert!(OPERATORS.contains(&operator.as_str()), "{name}: {sid}: {operator}");
                for (key, values) in keys.as_object().unwrap() {
                    let is_known = key.starts_with("aws:") || key.starts_with("kms:");
                    assert!(is_known && !listed(values).is_empty(), "{name}: {sid}: {key}");
                }
            }
        }
    }
}

#[test]
fn no_action_has_a_wildcard() {
    for (name, policy) in policies() {
        for effect in ["Allow", "Deny"] {
            for action in actions(&policy, effect) {
                let call = action.strip_prefix("kms:").unwrap_or_default();
                let is_plain = call.bytes().all(|byte| byte.is_ascii_alphabetic());
                assert!(is_plain && !call.is_empty(), "{name}: {action}");
            }
        }
    }
}

#[test]
fn every_resource_is_named_where_aws_takes_a_name() {
    const UNNAMED: [&str; 3] = ["kms:CreateKey", "kms:ListAliases", "kms:ListKeys"];
    for (name, policy) in policies().into_iter().filter(|(name, _)| !is_of_key(name)) {
        for statement in statements(&policy) {
            let resources = listed(&statement["Resource"]);
            let actions = listed(&statement["Action"]);
            let is_unnamed = actions.iter().all(|action| UNNAMED.contains(&action.as_str()));
            assert_eq!(resources == ["*"], is_unnamed, "{name}: {statement}");
            if is_unnamed {
                let region = &statement["Condition"]["StringEquals"]["aws:RequestedRegion"];
                assert!(!listed(region).is_empty(), "{name}: {statement}");
                continue;
            }
            for resource in resources {
                assert!(resource.starts_with("arn:aws:kms:"), "{name}: {resource}");
                assert!(resource.contains(":111122223333:"), "{name}: {resource}");
                let is_wide = resource.contains('*') && statement["Effect"] == "Allow";
                let is_alias = resource.ends_with(":alias/custody/*");
                let tag = "aws:ResourceTag/custody:custodian";
                let has_tag = !statement["Condition"]["StringEquals"][tag].is_null();
                let makes_tag = statement["Sid"] == "TagNewKeys";
                assert!(!is_wide || is_alias || has_tag || makes_tag, "{name}: {statement}");
            }
        }
    }
}

#[test]
fn whoever_uses_keys_administers_none() {
    for scope in [scope(), tagged()] {
        for uses in [&[Use::Signing][..], &[Use::Audit], &[Use::Audit, Use::Signing]] {
            let policy = identity(&scope, uses);
            assert_eq!(allows_any(&policy, &ADMINISTERING), [""; 0]);
            let denied = actions(&policy, "Deny");
            assert!(ADMINISTERING.iter().all(|action| denied.contains(*action)));
        }
    }
    for uses in [&[Use::Sealing][..], &[Use::Rotation], &[Use::Sealing, Use::Signing]] {
        let policy = identity(&scope(), uses);
        assert_eq!(allows_any(&policy, &ADMINISTERING), [""; 0]);
        let denied = actions(&policy, "Deny");
        assert!(ADMINISTERING.iter().all(|action| denied.contains(*action)));
    }
}

#[test]
fn whoever_administers_keys_uses_none() {
    for scope in [scope(), tagged()] {
        for uses in [
            &[Use::Administration][..],
            &[Use::Administration, Use::Audit],
            &[Use::Administration, Use::Creation, Use::Switching],
            &[Use::Creation],
            &[Use::Switching],
        ] {
            let policy = identity(&scope, uses);
            assert_eq!(allows_any(&policy, &USING), [""; 0]);
            let denied = actions(&policy, "Deny");
            assert!(USING.iter().all(|action| denied.contains(*action)));
        }
    }
}

#[test]
fn one_role_does_not_both_use_and_administer() {
    for one in Use::ALL {
        for other in Use::ALL {
            let (smaller, larger) = (one.min(other), one.max(other));
            let uses = matches!(larger, Use::Rotation | Use::Sealing | Use::Signing);
            let expected = (smaller == Use::Administration && uses)
                .then_some(IamError::Excluded { one: smaller, other: larger });
            let policy = identity_policy(&scope(), &BTreeSet::from([one, other]));
            assert_eq!(policy.err(), expected, "{one} and {other}");
        }
    }
}

#[test]
fn what_changes_a_key_is_denied_to_the_custodian_but_for_what_orders_switch() {
    let policy = identity(&scope(), &CUSTODIAN);
    let allowed = allows_any(&policy, &ADMINISTERING);
    let switched = [
        "kms:CancelKeyDeletion",
        "kms:DisableKey",
        "kms:EnableKey",
        "kms:ScheduleKeyDeletion",
        "kms:TagResource",
    ];
    assert_eq!(allowed, switched);
    let denied = actions(&policy, "Deny");
    for action in ["kms:CreateGrant", "kms:PutKeyPolicy", "kms:ReplicateKey", "kms:UpdateAlias"] {
        assert!(denied.contains(action), "{action}");
    }
}

#[test]
fn nobody_gives_grants() {
    for (name, policy) in policies() {
        assert_eq!(allows_any(&policy, &["kms:CreateGrant"]), [""; 0], "{name}");
        assert!(actions(&policy, "Deny").contains("kms:CreateGrant"), "{name}");
    }
}

#[test]
fn nothing_is_allowed_and_denied_without_a_condition() {
    for (name, policy) in policies() {
        let allowed = actions(&policy, "Allow");
        for statement in statements(&policy) {
            let is_plain = statement["Effect"] == "Deny" && statement.get("Condition").is_none();
            for action in listed(&statement["Action"]).iter().filter(|_| is_plain) {
                assert!(!allowed.contains(action), "{name}: {action}");
            }
        }
    }
}

#[test]
fn each_call_of_the_backend_is_allowed() {
    let cases: [(&[Use], &[&str]); 5] = [
        (
            &[Use::Creation],
            &[
                "kms:CreateAlias",
                "kms:CreateKey",
                "kms:DescribeKey",
                "kms:GetPublicKey",
                "kms:ListAliases",
                "kms:ListKeys",
                "kms:ListResourceTags",
                "kms:ScheduleKeyDeletion",
                "kms:TagResource",
            ],
        ),
        (
            &[Use::Signing],
            &["kms:DescribeKey", "kms:GetPublicKey", "kms:ListResourceTags", "kms:Sign"],
        ),
        (
            &[Use::Switching],
            &[
                "kms:CancelKeyDeletion",
                "kms:DescribeKey",
                "kms:DisableKey",
                "kms:EnableKey",
                "kms:ScheduleKeyDeletion",
            ],
        ),
        (&[Use::Sealing], &["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]),
        (
            &[Use::Rotation],
            &[
                "kms:DescribeKey",
                "kms:EnableKeyRotation",
                "kms:GetKeyRotationStatus",
                "kms:ListKeyRotations",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
                "kms:RotateKeyOnDemand",
            ],
        ),
    ];
    for (uses, calls) in cases {
        let allowed = actions(&identity(&scope(), uses), "Allow");
        assert!(allowed.iter().eq(calls), "{uses:?}: {allowed:?}");
    }
}

#[test]
fn a_signature_is_allowed_in_the_one_form_of_its_algorithm() {
    let equals = "StringEquals";
    for (sid, algorithm, form) in
        [("SignEcdsa", "ECDSA_SHA_256", "DIGEST"), ("SignEd25519", "ED25519_SHA_512", "RAW")]
    {
        let policy = identity(&scope(), &[Use::Signing]);
        assert_eq!(condition(&policy, sid, equals, "kms:SigningAlgorithm"), [algorithm]);
        assert_eq!(condition(&policy, sid, equals, "kms:MessageType"), [form]);
        assert_eq!(condition(&policy, sid, "Null", "kms:RequestAlias"), ["true"]);
    }
    let ed25519 = SCOPE.replace("\"ecdsa-secp256k1\", \"ecdsa-p256\", ", "");
    let only = identity(&IamScope::parse(&ed25519).unwrap(), &[Use::Signing]);
    let text = only.to_json();
    assert!(text.contains("ED25519_SHA_512") && !text.contains("ECDSA"), "{text}");
    let text = identity(&tagged(), &[Use::Signing]).to_json();
    assert!(!text.contains("ED25519"), "{text}");
}

#[test]
fn keys_that_are_not_named_are_told_by_their_tag() {
    let custodian = "c".repeat(64);
    let tag = "aws:ResourceTag/custody:custodian";
    let policy = identity(&tagged(), &[Use::Signing]);
    assert_eq!(condition(&policy, "SignEcdsa", "StringEquals", tag), [custodian.as_str()]);
    let policy = identity(&scope(), &[Use::Signing]);
    assert!(!policy.to_json().contains(tag));
    let policy = identity(&scope(), &[Use::Creation]);
    let tag = "aws:RequestTag/custody:custodian";
    for sid in ["CreateSigningKeys", "TagNewKeys"] {
        assert_eq!(condition(&policy, sid, "StringEquals", tag), [custodian.as_str()]);
    }
}

#[test]
fn data_keys_are_sealed_under_the_custodians_contexts_alone() {
    let custodian = "c".repeat(64);
    let key = "kms:EncryptionContext:custody:custodian";
    for (one, wallets, others) in [
        (Use::Sealing, "SealForWallets", "SealOtherThings"),
        (Use::Rotation, "ReSealForWallets", "ReSealOtherThings"),
    ] {
        let policy = identity(&scope(), &[one]);
        assert_eq!(condition(&policy, wallets, "StringEquals", key), [custodian.as_str()]);
        let purpose = "kms:EncryptionContext:custody:purpose";
        assert_eq!(condition(&policy, others, "StringEquals", purpose), ["custody/other/v1"]);
        let denied = condition(&policy, "DenyOtherContexts", "StringNotEquals", key);
        assert_eq!(denied, [custodian.as_str()]);
    }
}

#[test]
fn deletions_can_be_taken_back_long_enough() {
    let window = "kms:ScheduleKeyDeletionPendingWindowInDays";
    let operator = "NumericGreaterThanEquals";
    for (scope, days) in [(scope(), "14"), (tagged(), "30")] {
        let policy = identity(&scope, &[Use::Switching]);
        assert_eq!(condition(&policy, "ScheduleDeletion", operator, window), [days]);
        let policy = identity(&scope, &[Use::Administration]);
        let sid = "ScheduleDeletionOfSigningKeys";
        assert_eq!(condition(&policy, sid, operator, window), [days]);
    }
    let policy = identity(&scope(), &[Use::Creation]);
    let aliases = condition(&policy, "RemoveDuplicates", "Null", "kms:ResourceAliases");
    assert_eq!(aliases, ["true"], "a key that is in use has an alias");
}

#[test]
fn new_keys_are_what_the_scope_says() {
    let policy = identity(&scope(), &[Use::Creation]);
    let sid = "CreateSigningKeys";
    let specs = ["ECC_NIST_EDWARDS25519", "ECC_NIST_P256", "ECC_SECG_P256K1"];
    assert_eq!(condition(&policy, sid, "StringEquals", "kms:KeySpec"), specs);
    assert_eq!(condition(&policy, sid, "StringEquals", "kms:KeyUsage"), ["SIGN_VERIFY"]);
    assert_eq!(condition(&policy, sid, "StringEquals", "kms:KeyOrigin"), ["AWS_KMS"]);
    assert_eq!(condition(&policy, sid, "Bool", "kms:MultiRegion"), ["true"]);
    let policy = identity(&tagged(), &[Use::Creation]);
    assert_eq!(condition(&policy, sid, "Bool", "kms:MultiRegion"), ["false"]);
    assert!(actions(&policy, "Deny").contains("kms:ReplicateKey"));
}

#[test]
fn a_multi_region_key_is_meant_in_all_regions_and_another_in_its_own() {
    let text = identity(&scope(), &[Use::Sealing]).to_json();
    let arn = |region: &str| format!("arn:aws:kms:{region}:111122223333:key/mrk-1234");
    assert!(text.contains(&arn("eu-central-1")) && text.contains(&arn("eu-west-1")), "{text}");
    let text = identity(&scope(), &[Use::Signing]).to_json();
    assert!(!text.contains("eu-west-1"), "{text}");
}

#[test]
fn the_policy_of_a_key_names_everybody_and_shuts_others_out() {
    let signing = key(&scope(), &[Use::Administration, Use::Signing]);
    let others = "DenySigningByOthers";
    let role = "arn:aws:iam::111122223333:role/custody";
    assert_eq!(condition(&signing, others, "ArnNotEquals", "aws:PrincipalArn"), [role]);
    for (name, policy) in policies().into_iter().filter(|(name, _)| is_of_key(name)) {
        for statement in statements(&policy) {
            assert_eq!(statement["Resource"], "*", "{name}");
            for principal in listed(&statement["Principal"]["AWS"]) {
                let is_all = principal == "*" && statement["Effect"] == "Deny";
                let is_role = principal.starts_with("arn:aws:iam::111122223333:role/");
                assert!(is_all || is_role && !principal.contains('*'), "{name}: {principal}");
            }
        }
        assert!(!policy.to_json().contains(":root"), "{name}");
        let denied = actions(&policy, "Deny");
        assert!(USING.iter().all(|action| denied.contains(*action)), "{name}");
    }
}

#[test]
fn the_policy_of_a_key_keeps_users_and_administrators_apart() {
    let policy = key(&scope(), &[Use::Administration, Use::Signing]);
    for statement in statements(&policy).iter().filter(|one| one["Effect"] == "Allow") {
        let actions = listed(&statement["Action"]);
        let has = |of: &[&str]| actions.iter().any(|action| of.contains(&action.as_str()));
        let principals = listed(&statement["Principal"]["AWS"]);
        let is_admin = principals == ["arn:aws:iam::111122223333:role/custody-admin"];
        assert!(!has(&USING) || !is_admin, "{statement}");
        assert!(!has(&ADMINISTERING) || is_admin, "{statement}");
    }
    let shared = SCOPE.replace("role/custody-admin", "role/custody");
    let refused = key_policy(
        &IamScope::parse(&shared).unwrap(),
        &BTreeSet::from([Use::Administration, Use::Signing]),
    );
    let expected = IamError::Excluded { one: Use::Administration, other: Use::Signing };
    assert_eq!(refused, Err(expected));
}

#[test]
fn policies_that_make_no_sense_are_refused() {
    use Use::{Administration, Audit, Creation, Rotation, Sealing, Signing};
    let set = |uses: &[Use]| uses.iter().copied().collect::<BTreeSet<_>>();
    for (uses, error) in [
        (&[][..], IamError::Empty),
        (&[Sealing], IamError::NoSealingKeys { one: Sealing }),
        (&[Rotation], IamError::NoSealingKeys { one: Rotation }),
        (&[Administration, Signing], IamError::Excluded { one: Administration, other: Signing }),
    ] {
        assert_eq!(identity_policy(&tagged(), &set(uses)), Err(error), "{uses:?}");
    }
    for (uses, error) in [
        (&[][..], IamError::Unmanaged),
        (&[Signing], IamError::Unmanaged),
        (&[Administration, Creation, Sealing], IamError::Mixed { one: Creation, other: Sealing }),
        (&[Administration, Rotation, Signing], IamError::Mixed { one: Signing, other: Rotation }),
    ] {
        assert_eq!(key_policy(&scope(), &set(uses)), Err(error), "{uses:?}");
    }
    let nobody = key_policy(&tagged(), &set(&[Administration, Audit]));
    assert_eq!(nobody, Err(IamError::NoPrincipal { one: Administration }));
}

#[test]
fn a_policy_that_is_too_long_for_aws_is_refused() {
    let with = |count: usize| {
        let arn = |index| format!("\"arn:aws:kms:eu-central-1:111122223333:key/{index:036}\"");
        let keys: Vec<_> = (0..count).map(arn).collect();
        let text = format!("signing_keys = [{}]\n{TAGGED}", keys.join(", "));
        identity_policy(&IamScope::parse(&text).unwrap(), &BTreeSet::from([Use::Signing]))
    };
    let length =
        |policy: &Policy| policy.to_json().chars().filter(|one| !one.is_whitespace()).count();
    let fits = (1..400).take_while(|count| with(*count).is_ok()).last().unwrap();
    assert!((10_100..=10_240).contains(&length(&with(fits).unwrap())), "{fits} keys fit");
    let Err(IamError::TooLong { length, limit: 10_240 }) = with(fits.saturating_add(1)) else {
        panic!("one more does not fit");
    };
    assert!(length > 10_240, "{length}");
}

#[test]
fn each_partition_has_its_own_names() {
    for (region, partition) in [
        ("eu-central-1", "aws"),
        ("us-east-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("eusc-de-east-1", "aws-eusc"),
    ] {
        let text = TAGGED.replace("eu-central-1", region);
        let text = identity(&IamScope::parse(&text).unwrap(), &[Use::Signing]).to_json();
        let arn = format!("arn:{partition}:kms:{region}:111122223333:key/*");
        assert!(text.contains(&arn), "{text}");
    }
}

#[test]
fn a_scope_that_is_malformed_is_named_by_its_field() {
    let field = |field| IamScopeError::Field { field };
    let malformed = |line, name: &str| IamScopeError::Malformed { line, field: name.to_owned() };
    let more = |text: &str| format!("{text}\n{TAGGED}");
    let cn = "arn:aws-cn:iam::111122223333:role/custody";
    for (text, error) in [
        (String::new(), IamScopeError::Missing { field: "account" }),
        (TAGGED.replace("account", "owner"), malformed(1, "owner")),
        (TAGGED.replace("\"111122223333\"", "7"), malformed(1, "account")),
        (TAGGED.replace("111122223333", "11112222333"), field("account")),
        (TAGGED.replace("111122223333", "s3cret-input"), field("account")),
        (TAGGED.replace("regions", "#"), IamScopeError::Missing { field: "regions" }),
        (TAGGED.replace("\"eu-central-1\"", ""), field("regions")),
        (TAGGED.replace("eu-central-1", "EU"), field("regions")),
        (TAGGED.replace("\"eu-central-1\"", "\"eu-west-1\", \"eu-west-1\""), field("regions")),
        (TAGGED.replace("\"eu-central-1\"", "\"eu-west-1\", \"cn-north-1\""), field("regions")),
        (TAGGED.replace("custodian", "#"), IamScopeError::Missing { field: "custodian" }),
        (TAGGED.replace("cccc", "CCCC"), field("custodian")),
        (more("algorithms = [\"s3cret-input\"]"), malformed(1, "algorithms")),
        (more("algorithms = []"), field("algorithms")),
        (more("algorithms = [\"bip340\"]"), field("algorithms")),
        (more("deletion_days = 6"), field("deletion_days")),
        (more("deletion_days = 31"), field("deletion_days")),
        (more("deletion_days = 300"), malformed(1, "deletion_days")),
        (more("rotation_days = 89"), field("rotation_days")),
        (more("rotation_days = 2561"), field("rotation_days")),
        (more("multi_region = \"s3cret-input\""), malformed(1, "multi_region")),
        (more("signing_keys = [\"alias/custody/s3cret-input\"]"), field("signing_keys")),
        (
            more("signing_keys = [\"arn:aws:kms:eu-west-1:111122223333:key/12\"]"),
            field("signing_keys"),
        ),
        (
            more("sealing_keys = [\"arn:aws:kms:eu-central-1:444455556666:key/12\"]"),
            field("sealing_keys"),
        ),
        (
            more("sealing_keys = [\"arn:aws-cn:kms:eu-central-1:111122223333:key/12\"]"),
            field("sealing_keys"),
        ),
        (
            SCOPE.replace(
                "1234abcd-12ab-34cd-56ef-1234567890ab",
                "mrk-1234abcd12ab34cd56ef1234567890ab",
            ),
            field("sealing_keys"),
        ),
        (SCOPE.replace("sign = [", "s3cret-input = ["), field("principals")),
        (SCOPE.replace("role/auditor", "*"), field("principals")),
        (SCOPE.replace("arn:aws:iam::111122223333:role/auditor", cn), field("principals")),
        ("s3cret-input".to_owned(), malformed(1, "")),
        (format!("{TAGGED}account = \"444455556666\""), malformed(4, "account")),
    ] {
        let found = IamScope::parse(&text).unwrap_err();
        assert_eq!(found, error, "{text}");
        assert!(!format!("{found} {found:?}").contains("s3cret-input"), "{found}");
    }
    for (text, days) in [("deletion_days = 7", 7), ("deletion_days = 30", 30)] {
        assert!(IamScope::parse(&more(text)).is_ok(), "{days}");
    }
}

#[test]
fn every_use_has_a_name_that_is_read_back() {
    for one in Use::ALL {
        assert_eq!(Use::parse(one.as_str()), Some(one));
    }
    for text in ["", "Sign", "signing", "all", "*"] {
        assert_eq!(Use::parse(text), None, "{text}");
    }
}

#[cfg(feature = "cli")]
mod command {
    use std::process::{Command, Output};

    use super::*;

    fn run(config: &str, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_custody-kms"))
            .args(["iam", "--config"])
            .arg(data(config))
            .args(more)
            .output()
            .unwrap()
    }

    fn pinned(name: &str) -> Vec<u8> {
        std::fs::read(data(name)).unwrap()
    }

    #[test]
    fn the_command_prints_what_is_pinned() {
        for (config, more, name) in [
            ("scope.toml", &["--use", "sign"][..], "identity-sign.json"),
            ("scope.toml", &["--use", "admin", "--identity"], "identity-admin.json"),
            ("tagged.toml", &["--use", "create"], "identity-tagged-create.json"),
            ("scope.toml", &["--use", "sign,create,sealed,switch"], "identity-custodian.json"),
            (
                "scope.toml",
                &["--use", "admin,audit,rotation,sealed", "--key-policy"],
                "key-sealing.json",
            ),
        ] {
            let output = run(config, more);
            assert_eq!(output.status.code(), Some(0), "{more:?}");
            assert_eq!(output.stdout, pinned(name), "{more:?}");
        }
    }

    #[test]
    fn a_policy_that_is_not_written_exits_with_2() {
        for (config, more, said) in [
            ("scope.toml", &["--use", "sign,admin"][..], "nobody has both"),
            ("scope.toml", &["--use", "sign", "--key-policy"], "nobody can manage"),
            ("tagged.toml", &["--use", "sealed"], "`sealing_keys`"),
            ("no-such.toml", &["--use", "sign"], "cannot be read"),
            ("identity-sign.json", &["--use", "sign"], "malformed at line 1"),
            ("scope.toml", &["--use", "everything"], "one of admin"),
            ("scope.toml", &[], "--use"),
            ("scope.toml", &["--use", "sign", "--identity", "--key-policy"], "cannot be used"),
        ] {
            let output = run(config, more);
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{more:?}: {error}");
            assert!(output.stdout.is_empty(), "{more:?}");
            assert!(error.contains(said), "{more:?}: {error}");
        }
    }
}
