//! What each use needs, and why.
//!
//! A statement here says what is allowed under which conditions. Which resources it is about follows
//! from its target: in the policy of a role these are ARNs, in that of a key it is the key.

use custody_core::crypto::Algorithm;

use super::actions::{
    ADMINISTRATION, LISTS, READ_ADMINISTRATION, READ_AUDIT, READ_NEW, READ_ROTATION, READ_SIGNING,
    SWITCHING,
};
use super::policy::Statement;
use super::scope::Reach;
use super::{IamScope, OTHER_PURPOSE, Use};
use crate::backend::spec;
use crate::config::RegionName;
use crate::create::{TAG_CUSTODIAN, TAGS};

/// What a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The account; AWS takes no resource but `*`.
    Account,
    /// The custodian's aliases.
    Aliases,
    /// Keys that sign and keys that encrypt data keys, and the replicas of both.
    Each,
    /// Keys that are being made: nothing tells them from others yet.
    NewKeys,
    /// Keys that encrypt data keys.
    Sealing,
    /// The aliases of keys that encrypt data keys.
    SealingAliases,
    /// Keys that sign, where they sign: not their replicas.
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
    if !scope.sealing_aliases().is_empty() {
        // Alias and key again.
        let actions = ["kms:CreateAlias", "kms:DeleteAlias"];
        statements.extend([
            (Target::SealingAliases, Statement::allow("TakeNamesOfSealingKeys", actions)),
            (Target::Sealing, Statement::allow("NameSealingKeys", ["kms:CreateAlias"])),
        ]);
    }
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
        (Target::Tagged, Statement::allow("ReadNewKeys", READ_NEW)),
        (Target::Account, lists(scope, "ListForCreation")),
        // Of two keys made at once one never gets an alias. A key that has one is not removed so.
        (
            Target::Unnamed,
            Statement::allow("RemoveDuplicates", ["kms:ScheduleKeyDeletion"])
                .when("NumericGreaterThanEquals", DELETION_WINDOW, [7])
                .when("Null", "kms:ResourceAliases", [true])
                .when("StringEquals", &resource_tag(), custodian),
        ),
    ]
}

fn rotation(scope: &IamScope) -> Vec<(Target, Statement)> {
    // What is sealed anew is opened and sealed by whoever seals: KMS itself has nothing to re-encrypt.
    vec![
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
    ]
}

fn sealing(scope: &IamScope) -> Vec<(Target, Statement)> {
    let mut statements = under_contexts(scope);
    statements.extend([
        (Target::Sealing, Statement::allow("ReadSealingKeys", ["kms:DescribeKey"])),
        (Target::Account, look("LookForSealing", scope.regions())),
    ]);
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
    statements.extend([
        (Target::Signing, Statement::allow("ReadSigningKeys", READ_SIGNING)),
        (Target::Account, look("LookForSigning", scope.regions().iter().take(1))),
    ]);
    statements
}

fn switching(scope: &IamScope) -> Vec<(Target, Statement)> {
    vec![
        (Target::Signing, Statement::allow("Switch", SWITCHING)),
        (Target::Signing, deletion(scope, "ScheduleDeletion")),
        (Target::Signing, Statement::allow("ReadSwitchedKeys", ["kms:DescribeKey"])),
    ]
}

/// Sealing and opening, which names what is sealed: a wallet of the custodian, or something else by its
/// digest. Both name exactly what they must.
fn under_contexts(scope: &IamScope) -> Vec<(Target, Statement)> {
    let actions = ["kms:Decrypt", "kms:GenerateDataKey"];
    let wallets = Statement::allow("SealForWallets", actions)
        .when("StringEquals", CONTEXT_CUSTODIAN, [scope.custodian()])
        .when("Null", "kms:EncryptionContext:custody:purpose", [false])
        .when("Null", "kms:EncryptionContext:custody:wallet", [false])
        .when(
            "ForAllValues:StringEquals",
            "kms:EncryptionContextKeys",
            ["custody:custodian", "custody:purpose", "custody:wallet"],
        );
    let mut names = vec!["custody:context", "custody:purpose"];
    names.extend(scope.house().map(|_| "custody:house"));
    let mut others = Statement::allow("SealOtherThings", actions)
        .when("StringEquals", CONTEXT_PURPOSE, [OTHER_PURPOSE])
        .when("Null", "kms:EncryptionContext:custody:context", [false])
        .when("ForAllValues:StringEquals", "kms:EncryptionContextKeys", names);
    if let Some(house) = scope.house() {
        others = others.when("StringEquals", CONTEXT_HOUSE, [house]);
    }
    vec![(Target::Sealing, wallets), (Target::Sealing, others)]
}

/// Denies sealing and opening under contexts that are neither the custodian's nor of something else,
/// whatever else is attached. Where the house has a name, something else is what bears it.
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
    let statement = Statement::deny("DenyOtherContexts", actions).when(
        "StringNotEquals",
        CONTEXT_CUSTODIAN,
        [scope.custodian()],
    );
    match scope.house() {
        None => statement.when("StringNotEquals", CONTEXT_PURPOSE, [OTHER_PURPOSE]),
        Some(house) => statement.when("StringNotEquals", CONTEXT_HOUSE, [house]),
    }
}

fn lists(scope: &IamScope, sid: &str) -> Statement {
    Statement::allow(sid, LISTS).when("StringEquals", "aws:RequestedRegion", scope.regions())
}

/// What is asked for to tell whether KMS serves. It names no key: who is denied it is denied for himself.
fn look<'a>(sid: &str, regions: impl IntoIterator<Item = &'a RegionName>) -> Statement {
    let look = Statement::allow(sid, ["kms:ListAliases"]);
    look.when("StringEquals", "aws:RequestedRegion", regions)
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
    let tag = format!("aws:RequestTag/{TAG_CUSTODIAN}");
    statement.when("StringEquals", &tag, [scope.custodian()]).when(
        "ForAllValues:StringEquals",
        "aws:TagKeys",
        TAGS,
    )
}

/// The key of the condition on the tag that tells whose a key is.
pub(super) fn resource_tag() -> String {
    format!("aws:ResourceTag/{TAG_CUSTODIAN}")
}

const CONTEXT_CUSTODIAN: &str = "kms:EncryptionContext:custody:custodian";
const CONTEXT_HOUSE: &str = "kms:EncryptionContext:custody:house";
const CONTEXT_PURPOSE: &str = "kms:EncryptionContext:custody:purpose";
const DELETION_WINDOW: &str = "kms:ScheduleKeyDeletionPendingWindowInDays";

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: &str = "account = '111122223333'\nregions = ['eu-central-1']\n\
        custodian = 'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc'\n";

    /// The statements about things besides wallets, as text.
    fn others(more: &str) -> [String; 2] {
        let scope = IamScope::parse(&format!("{SCOPE}{more}")).unwrap();
        let allowed = sealing(&scope).into_iter().map(|(_, statement)| statement);
        let text = |statement: &Statement| serde_json::to_string(statement).unwrap();
        let allowed = allowed.map(|one| text(&one)).find(|one| one.contains("SealOtherThings"));
        [allowed.unwrap(), text(&deny_other_contexts(&scope))]
    }

    #[test]
    fn things_besides_wallets_are_sealed_under_the_name_of_the_house_alone() {
        let [allowed, denied] = others("house = 'house-1'");
        let name = r#""kms:EncryptionContext:custody:house":"house-1""#;
        assert!(allowed.contains(name) && denied.contains(name), "{allowed}\n{denied}");
        let names = r#"["custody:context","custody:house","custody:purpose"]"#;
        assert!(allowed.contains(names), "{allowed}");
        assert!(!denied.contains("custody:purpose"), "{denied}");
        for text in others("") {
            assert!(!text.contains("custody:house"), "{text}");
        }
        for wrong in ["house = ''", "house = '*'", "house = 'a b'"] {
            let read = IamScope::parse(&format!("{SCOPE}{wrong}"));
            let expected = crate::iam::IamScopeError::Field { field: "house" };
            assert_eq!(read.unwrap_err(), expected, "{wrong}");
        }
    }
}
