//! The actions of KMS that do harm in the wrong hands, and those that only look.

/// Actions that use a key.
pub(super) const USES: [&str; 11] = [
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

/// Actions that change a key, let others in, or bring key material in or elsewhere.
pub(super) const CHANGES: [&str; 20] = [
    "kms:CancelKeyDeletion",
    "kms:CreateGrant",
    "kms:DeleteAlias",
    "kms:DeleteImportedKeyMaterial",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetParametersForImport",
    "kms:ImportKeyMaterial",
    "kms:PutKeyPolicy",
    "kms:ReplicateKey",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
    "kms:UpdatePrimaryRegion",
];

/// What the backend reads of keys that it makes.
pub(super) const READ_NEW: [&str; 5] = [
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "kms:GetPublicKey",
    "kms:ListGrants",
    "kms:ListResourceTags",
];

/// What the backend reads of keys that it signs with.
pub(super) const READ_SIGNING: [&str; 2] = ["kms:DescribeKey", "kms:GetPublicKey"];

/// Lists of the whole account, which AWS allows for all of it or not at all.
pub(super) const LISTS: [&str; 2] = ["kms:ListAliases", "kms:ListKeys"];

/// What an administrator reads of a key.
pub(super) const READ_ADMINISTRATION: [&str; 5] = [
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
];

/// What an auditor reads of a key.
pub(super) const READ_AUDIT: [&str; 8] = [
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:GetPublicKey",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
];

/// What is read of a key's rotation.
pub(super) const READ_ROTATION: [&str; 2] = ["kms:DescribeKey", "kms:GetKeyRotationStatus"];

/// What an administrator changes without conditions of its own.
pub(super) const ADMINISTRATION: [&str; 5] = [
    "kms:CancelKeyDeletion",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:RevokeGrant",
    "kms:UpdateKeyDescription",
];

/// What orders switch without conditions of their own.
pub(super) const SWITCHING: [&str; 3] =
    ["kms:CancelKeyDeletion", "kms:DisableKey", "kms:EnableKey"];
