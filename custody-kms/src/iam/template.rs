//! What each use needs, and why.
//!
//! A statement here says what is allowed under which conditions. Which resources it is about follows
//! from its target: in the policy of a role these are ARNs, in that of a key it is the key.

use custody_core::crypto::Algorithm;

use super::actions::{
    ADMINISTRATION, LISTS, READ_ADMINISTRATION, READ_AUDIT, READ_ROTATION, READ_SIGNING, SWITCHING,
};
use super::policy::Statement;
use super::scope::Reach;
use super::{IamScope, OTHER_PURPOSE, Use};
use crate::backend::spec;

/// What a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The account; AWS takes no resource but `*`.
    Account,
    /// The custodian's aliases.
    Aliases,
    /// Keys that sign and keys that encrypt data keys.
    Each,
    /// Keys that are being made: nothing tells them from others yet.
    NewKeys,
    /// Keys that encrypt data keys.
    Sealing,
    /// Keys that sign.
    Signing,
    /// Keys that bear the custodian's tag and no alias.
    Unnamed,
    /// Keys that bear the custodian's tag.
    Tagged,
}

/// What a use needs.
pub(super) fn statements(scope: &IamScope, one: Use) -> Vec<(Target, Statement)> {
    match one {
        Use::Administration => administration(scope),
        Use::Audit => audit(scope),
        Use::Creation => creation(scope),
        Use::Rotation => rotation(scope),
        Use::Sealing => sealing(scope),
        Use::Signing => signing(scope),
        Use::Switching => switching(scope),
    }
}

fn administration(scope: &IamScope) -> Vec<(Target, Statement)> {
    let mut statements = vec![
        (Target::Each, Statement::allow("Manage", ADMINISTRATION)),
        // Who could bypass the check could leave a key that nobody can manage.
        (Target::Each, checked(Statement::allow("WritePolicyOf", ["kms:PutKeyPolicy"]))),
        (Target::Each, deletion(scope, "ScheduleDeletionOf")),
        (Target::Each, Statement::allow("Read", READ_ADMINISTRATION)),
        // `DeleteAlias` is asked for twice: for the alias and for the key.
        (Target::Aliases, Statement::allow("RemoveAliases", ["kms:DeleteAlias"])),
        (Target::Each, Statement::allow("RemoveAliasesOf", ["kms:DeleteAlias"])),
        (Target::Account, lists(scope, "ListForAdministration")),
        // Keys that encrypt data keys are made by hand, and then named in the scope.
        (
            Target::Account,
            create(scope, "CreateSealingKeys")
                .when("StringEquals", "kms:KeySpec", ["SYMMETRIC_DEFAULT"])
                .when("StringEquals", "kms:KeyUsage", ["ENCRYPT_DECRYPT"]),
        ),
    ];
    if scope.reach() == Reach::MultiRegion {
        // A replica is made from its primary key and made as a key in its region.
        statements.extend([
            (
                Target::Each,
                Statement::allow("Replicate", ["kms:ReplicateKey"]).when(
                    "StringEquals",
                    "kms:ReplicaRegion",
                    scope.regions(),
                ),
            ),
            (
                Target::Account,
                Statement::allow("CreateReplicas", ["kms:CreateKey"])
                    .when("StringEquals", "aws:RequestedRegion", scope.regions())
                    .when("StringEquals", "kms:MultiRegionKeyType", ["REPLICA"]),
            ),
        ]);
    }
    statements
}

fn audit(scope: &IamScope) -> Vec<(Target, Statement)> {
    vec![
        (Target::Each, Statement::allow("Audit", READ_AUDIT)),
        (Target::Account, lists(scope, "ListForAudit")),
    ]
}

fn creation(scope: &IamScope) -> Vec<(Target, Statement)> {
    let custodian = [scope.custodian()];
    let specs: Vec<_> = scope.algorithms().iter().filter_map(|one| spec(*one)).collect();
    vec![
        (
            Target::Account,
            tagged(scope, create(scope, "CreateSigningKeys"))
                .when("StringEquals", "kms:KeySpec", specs)
                .when("StringEquals", "kms:KeyUsage", ["SIGN_VERIFY"]),
        ),
        // `CreateKey` with tags asks for this too, of a key that has no tags yet.
        (Target::NewKeys, tagged(scope, Statement::allow("TagNewKeys", ["kms:TagResource"]))),
        // `CreateAlias` is asked for twice: for the alias and for the key.
        (Target::Aliases, Statement::allow("TakeAliases", ["kms:CreateAlias"])),
        (Target::Tagged, Statement::allow("NameNewKeys", ["kms:CreateAlias"])),
        // A key is looked for by its ARN, or by an alias that only the custodian gives.
        (
            Target::Tagged,
            Statement::allow("ReadNewKeys", READ_SIGNING).when(
                "StringLikeIfExists",
                "kms:RequestAlias",
                [ALIASES],
            ),
        ),
        (Target::Account, lists(scope, "ListForCreation")),
        // Of two keys made at once one never gets an alias. A key that has one is not removed so.
        (
            Target::Unnamed,
            Statement::allow("RemoveDuplicates", ["kms:ScheduleKeyDeletion"])
                .when("NumericGreaterThanEquals", DELETION_WINDOW, [7])
                .when("Null", "kms:ResourceAliases", [true])
                .when("StringEquals", RESOURCE_TAG, custodian),
        ),
    ]
}

fn rotation(scope: &IamScope) -> Vec<(Target, Statement)> {
    let mut statements = vec![
        // A rotation that is due hardly ever is none.
        (
            Target::Sealing,
            Statement::allow("EnableRotation", ["kms:EnableKeyRotation"]).when(
                "NumericLessThanEqualsIfExists",
                "kms:RotationPeriodInDays",
                [scope.rotation_days()],
            ),
        ),
        (Target::Sealing, Statement::allow("RotateNow", ["kms:RotateKeyOnDemand"])),
        (Target::Sealing, Statement::allow("ReadRotation", READ_ROTATION)),
    ];
    // From one key of the scope to another, or to itself: never to a key outside.
    let actions = ["kms:ReEncryptFrom", "kms:ReEncryptTo"];
    statements.extend(under_contexts(scope, ["ReSealForWallets", "ReSealOtherThings"], actions));
    statements
}

fn sealing(scope: &IamScope) -> Vec<(Target, Statement)> {
    let actions = ["kms:Decrypt", "kms:GenerateDataKey"];
    let mut statements = under_contexts(scope, ["SealForWallets", "SealOtherThings"], actions);
    statements.push((Target::Sealing, Statement::allow("ReadSealingKeys", ["kms:DescribeKey"])));
    statements
}

fn signing(scope: &IamScope) -> Vec<(Target, Statement)> {
    let mut statements = Vec::new();
    let is_ecdsa = |algorithm: &Algorithm| algorithm.signs_prehash();
    // The digest comes from us for ECDSA, the message for Ed25519; the other way round KMS would sign
    // what no order names. An alias could be moved to another key: none is signed with.
    for (sid, algorithm, form, is_needed) in [
        ("SignEcdsa", "ECDSA_SHA_256", "DIGEST", scope.algorithms().iter().any(is_ecdsa)),
        ("SignEd25519", "ED25519_SHA_512", "RAW", scope.algorithms().contains(&Algorithm::Ed25519)),
    ] {
        if is_needed {
            let statement = Statement::allow(sid, ["kms:Sign"])
                .when("StringEquals", "kms:SigningAlgorithm", [algorithm])
                .when("StringEquals", "kms:MessageType", [form])
                .when("Null", "kms:RequestAlias", [true]);
            statements.push((Target::Signing, statement));
        }
    }
    statements.push((Target::Signing, Statement::allow("ReadSigningKeys", READ_SIGNING)));
    statements
}

fn switching(scope: &IamScope) -> Vec<(Target, Statement)> {
    vec![
        (Target::Signing, Statement::allow("Switch", SWITCHING)),
        (Target::Signing, deletion(scope, "ScheduleDeletion")),
        (Target::Signing, Statement::allow("ReadSwitchedKeys", ["kms:DescribeKey"])),
    ]
}

/// Actions that name what they seal or open: a wallet of the custodian, or something else by its
/// digest. Both name exactly what they must.
fn under_contexts(
    scope: &IamScope,
    [for_wallets, others]: [&str; 2],
    actions: [&'static str; 2],
) -> Vec<(Target, Statement)> {
    let wallets = Statement::allow(for_wallets, actions)
        .when("StringEquals", CONTEXT_CUSTODIAN, [scope.custodian()])
        .when("Null", "kms:EncryptionContext:custody:purpose", [false])
        .when("Null", "kms:EncryptionContext:custody:wallet", [false])
        .when(
            "ForAllValues:StringEquals",
            "kms:EncryptionContextKeys",
            ["custody:custodian", "custody:purpose", "custody:wallet"],
        );
    let others = Statement::allow(others, actions)
        .when("StringEquals", CONTEXT_PURPOSE, [OTHER_PURPOSE])
        .when("Null", "kms:EncryptionContext:custody:context", [false])
        .when(
            "ForAllValues:StringEquals",
            "kms:EncryptionContextKeys",
            ["custody:context", "custody:purpose"],
        );
    vec![(Target::Sealing, wallets), (Target::Sealing, others)]
}

/// Denies sealing and opening under contexts that are neither the custodian's nor of something else,
/// whatever else is attached.
pub(super) fn deny_other_contexts(scope: &IamScope) -> Statement {
    let actions = [
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyPair",
        "kms:GenerateDataKeyPairWithoutPlaintext",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
    ];
    Statement::deny("DenyOtherContexts", actions)
        .when("StringNotEquals", CONTEXT_CUSTODIAN, [scope.custodian()])
        .when("StringNotEquals", CONTEXT_PURPOSE, [OTHER_PURPOSE])
}

fn lists(scope: &IamScope, sid: &str) -> Statement {
    Statement::allow(sid, LISTS).when("StringEquals", "aws:RequestedRegion", scope.regions())
}

/// A deletion that can be taken back long enough. KMS itself takes seven days.
fn deletion(scope: &IamScope, sid: &str) -> Statement {
    let days = [scope.deletion_days()];
    let statement = Statement::allow(sid, ["kms:ScheduleKeyDeletion"]);
    statement.when("NumericGreaterThanEquals", DELETION_WINDOW, days)
}

/// Making keys whose material KMS makes and keeps.
fn create(scope: &IamScope, sid: &str) -> Statement {
    let is_multi_region = scope.reach() == Reach::MultiRegion;
    checked(Statement::allow(sid, ["kms:CreateKey"]))
        .when("StringEquals", "aws:RequestedRegion", scope.regions())
        .when("StringEquals", "kms:KeyOrigin", ["AWS_KMS"])
        .when("Bool", "kms:MultiRegion", [is_multi_region])
}

fn checked(statement: Statement) -> Statement {
    statement.when("BoolIfExists", "kms:BypassPolicyLockoutSafetyCheck", [false])
}

/// With the tags of the custodian and no others.
fn tagged(scope: &IamScope, statement: Statement) -> Statement {
    statement.when("StringEquals", "aws:RequestTag/custody:custodian", [scope.custodian()]).when(
        "ForAllValues:StringEquals",
        "aws:TagKeys",
        TAGS,
    )
}

/// The tag that tells whose a key is.
pub(super) const RESOURCE_TAG: &str = "aws:ResourceTag/custody:custodian";
/// The aliases of the custodian's keys.
pub(super) const ALIASES: &str = "alias/custody/*";
const TAGS: [&str; 4] = ["custody:custodian", "custody:key", "custody:name", "custody:wallet"];
const CONTEXT_CUSTODIAN: &str = "kms:EncryptionContext:custody:custodian";
const CONTEXT_PURPOSE: &str = "kms:EncryptionContext:custody:purpose";
const DELETION_WINDOW: &str = "kms:ScheduleKeyDeletionPendingWindowInDays";
