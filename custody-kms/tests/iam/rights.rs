//! Who may do what, and what is denied.

use super::*;

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
                "kms:GetKeyPolicy",
                "kms:GetPublicKey",
                "kms:ListAliases",
                "kms:ListGrants",
                "kms:ListKeys",
                "kms:ListResourceTags",
                "kms:ScheduleKeyDeletion",
                "kms:TagResource",
            ],
        ),
        (&[Use::Signing], &["kms:DescribeKey", "kms:GetPublicKey", "kms:ListAliases", "kms:Sign"]),
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
        (
            &[Use::Sealing],
            &["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "kms:ListAliases"],
        ),
        (
            &[Use::Rotation],
            &[
                "kms:DescribeKey",
                "kms:EnableKeyRotation",
                "kms:GetKeyRotationStatus",
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
    let under = "kms:EncryptionContext:custody:custodian";
    let uses = [Use::Administration, Use::Audit, Use::Rotation, Use::Sealing];
    for policy in [identity(&scope(), &[Use::Sealing]), key(&scope(), &uses)] {
        let wallets = condition(&policy, "SealForWallets", "StringEquals", under);
        assert_eq!(wallets, [custodian.as_str()]);
        let purpose = "kms:EncryptionContext:custody:purpose";
        let others = condition(&policy, "SealOtherThings", "StringEquals", purpose);
        assert_eq!(others, ["custody/other/v1"]);
        let denied = condition(&policy, "DenyOtherContexts", "StringNotEquals", under);
        assert_eq!(denied, [custodian.as_str()]);
    }
}

#[test]
fn who_rotates_keys_neither_opens_nor_seals_nor_encrypts_anew() {
    let policy = identity(&scope(), &[Use::Rotation]);
    assert_eq!(allows_any(&policy, &USING), [""; 0]);
    for (name, policy) in policies() {
        let allowed = allows_any(&policy, &["kms:ReEncryptFrom", "kms:ReEncryptTo"]);
        assert_eq!(allowed, [""; 0], "{name}");
        let denied = actions(&policy, "Deny");
        assert!(
            denied.contains("kms:ReEncryptFrom") && denied.contains("kms:ReEncryptTo"),
            "{name}"
        );
    }
}

#[test]
fn who_signs_or_seals_sees_whether_kms_serves_there_and_nowhere_else() {
    for (one, sid, regions) in [
        (Use::Signing, "LookForSigning", &["eu-central-1"][..]),
        (Use::Sealing, "LookForSealing", &["eu-central-1", "eu-west-1"]),
    ] {
        let policy = identity(&scope(), &[one]);
        assert_eq!(condition(&policy, sid, "StringEquals", "aws:RequestedRegion"), regions);
        assert_eq!(allows_any(&policy, &["kms:ListKeys"]), [""; 0], "{one}");
    }
}

#[test]
fn keys_are_read_by_their_ids_and_never_by_a_name() {
    let policies = policies();
    let text = |name: &str| {
        let found = policies.iter().find(|(other, _)| other == name);
        found.unwrap().1.to_json()
    };
    assert!(!text("identity-create.json").contains("kms:RequestAlias"));
    assert!(!text("key-sealing.json").contains("kms:RequestAlias"));
}

#[test]
fn a_replica_is_administered_and_does_not_sign() {
    let replicated = SCOPE
        .replace("1234abcd-12ab-34cd-56ef-1234567890ab", "mrk-99999999999999999999999999999999");
    let replicated = IamScope::parse(&replicated).unwrap();
    let replica = "arn:aws:kms:eu-west-1:111122223333:key/mrk-99999999999999999999999999999999";
    for uses in [&[Use::Signing][..], &[Use::Switching], &[Use::Signing, Use::Switching]] {
        let text = identity(&replicated, uses).to_json();
        assert!(!text.contains(replica), "{uses:?}: {text}");
    }
    for one in [Use::Administration, Use::Audit] {
        assert!(identity(&replicated, &[one]).to_json().contains(replica), "{one}");
    }
    // Keys that are told by their tag sign where they are made.
    let tagged = TAGGED.replace("\"eu-central-1\"", "\"eu-central-1\", \"eu-west-1\"");
    let tagged = IamScope::parse(&format!("multi_region = true\n{tagged}")).unwrap();
    for (one, sid) in [(Use::Signing, "SignEcdsa"), (Use::Switching, "Switch")] {
        let statements = statements(&identity(&tagged, &[one]));
        let found = statements.iter().find(|statement| statement["Sid"] == sid).unwrap();
        let home = "arn:aws:kms:eu-central-1:111122223333:key/*";
        assert_eq!(listed(&found["Resource"]), [home], "{sid}");
    }
}

#[test]
fn the_administration_gives_the_aliases_of_the_scope_to_keys_that_seal_and_no_others() {
    let alias = |region: &str| format!("arn:aws:kms:{region}:111122223333:alias/custody-wallets");
    let policy = identity(&scope(), &[Use::Administration]);
    for statement in statements(&policy) {
        if !listed(&statement["Action"]).contains(&"kms:CreateAlias".to_owned()) {
            continue;
        }
        let resources = listed(&statement["Resource"]);
        let is_alias = resources == [alias("eu-central-1"), alias("eu-west-1")];
        let is_key =
            resources.iter().all(|arn| arn.ends_with("key/mrk-1234abcd12ab34cd56ef1234567890ab"));
        assert!(is_alias || is_key, "{statement}");
    }
    assert_eq!(allows_any(&policy, &["kms:CreateAlias"]), ["kms:CreateAlias"]);
    let (admin, audit) = (Use::Administration, Use::Audit);
    let sealing = key(&scope(), &[admin, audit, Use::Rotation, Use::Sealing]);
    assert_eq!(allows_any(&sealing, &["kms:CreateAlias"]), ["kms:CreateAlias"]);
    for policy in [
        identity(&tagged(), &[admin]),
        key(&scope(), &[admin, Use::Signing]),
        key(&scope(), &[admin]),
    ] {
        assert_eq!(allows_any(&policy, &["kms:CreateAlias"]), [""; 0]);
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
