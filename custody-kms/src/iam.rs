//! The least that AWS must allow, as IAM policies and key policies.
//!
//! A use is one thing that somebody does with keys: [`Use::Signing`], [`Use::Administration`] and so
//! on. [`identity_policy`] writes what is attached to the role that does some of them, [`key_policy`]
//! what is attached to a key itself. A role that does several things needs one policy of all of them:
//! each denies explicitly whatever of the dangerous actions it does not allow, so that nothing else
//! that is attached to the role, and no grant, adds to it.
//!
//! Whoever uses keys does not administer them: no policy is written for both.
//!
//! ```
//! use std::collections::BTreeSet;
//!
//! use custody_kms::iam::{IamScope, Use, identity_policy};
//!
//! let scope = IamScope::parse(
//!     r#"
//!     account = "111122223333"
//!     regions = ["eu-central-1"]
//!     custodian = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
//!     signing_keys = ["arn:aws:kms:eu-central-1:111122223333:key/1234abcd"]
//!     "#,
//! )?;
//! let policy = identity_policy(&scope, &BTreeSet::from([Use::Signing]))?;
//! assert!(policy.to_json().contains(r#""kms:SigningAlgorithm": "ECDSA_SHA_256""#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Statements
//!
//! - `Manage…` (admin): Switching keys, taking deletions back, ending grants that others gave.
//! - `WritePolicyOf…` (admin): Key policies; never past the check that somebody can still
//!   change them.
//! - `ScheduleDeletionOf…` (admin): Deletions that can be taken back for the days of the
//!   scope.
//! - `Read…` (admin): What an administrator must see, grants among it.
//! - `RemoveAliases`, `RemoveAliasesOf…` (admin): Aliases of keys that are gone. AWS asks for
//!   alias and key.
//! - `TakeNamesOfSealingKeys`, `NameSealingKeys` (admin): The aliases of the scope for keys that
//!   encrypt data keys, given and taken away; never one of a key that signs.
//! - `ListForAdministration`, `ListForAudit`, `ListForCreation`: Lists, which AWS allows for
//!   an account as a whole.
//! - `CreateSealingKeys` (admin): Keys that encrypt data keys; their material is made in KMS.
//! - `Replicate…`, `CreateReplicas` (admin): Replicas in the regions of the scope; only if it
//!   is multi-Region.
//! - `Audit…` (audit): Everything about a key, its policy, grants and rotations; nothing of
//!   what it sealed.
//! - `CreateSigningKeys` (create): Keys of the scope's algorithms, made in KMS, with the
//!   custodian's tags and no others.
//! - `TagNewKeys` (create): `CreateKey` with tags asks for it.
//! - `TakeAliases`, `NameNewKeys` (create): The alias that makes a key the one of its name.
//!   AWS asks for alias and key.
//! - `ReadNewKeys` (create): Finding a key again, by the id that a list told, and telling
//!   whether others were let in to it.
//! - `RemoveDuplicates` (create): The one of two keys made at once that got no alias. One that
//!   has an alias stays.
//! - `SignEcdsa`, `SignEd25519` (sign): Digests for ECDSA, messages for Ed25519, never by an
//!   alias, and never with a replica in another region.
//! - `ReadSigningKeys` (sign): The public key and the state, looked at before a key is used.
//! - `LookForSigning`, `LookForSealing` (sign, sealed): One alias, whichever, to tell whether
//!   KMS serves: where keys sign, and where data keys are opened.
//! - `Switch`, `ScheduleDeletion`, `ReadSwitchedKeys` (switch): What orders ask for: off, on,
//!   away, and back.
//! - `SealForWallets`, `SealOtherThings` (sealed): Data keys, each under the name of what it
//!   is for and nothing more.
//! - `ReadSealingKeys` (sealed): Whether the key is there and in use.
//! - `EnableRotation`, `RotateNow`, `ReadRotation` (rotation): Rotations, at least as often as
//!   the scope says.
//! - `DenyOtherContexts`: Data keys that are not the custodian's, whatever else is attached.
//! - `DenySigningByOthers`, `DenySealingByOthers` (key): Whoever has a grant or a policy of
//!   another origin.
//! - `DenyAllElse`: Every dangerous action that no statement allows, grants first of all.
//!
//! Invariant: no action and no principal that is allowed has a wildcard, and `*` stands as a resource
//! only where AWS takes no other (`CreateKey`, `ListAliases`, `ListKeys`) and in key policies, where it
//! means the key itself.
//!
//! # Security
//! Use an account for nothing else. Who may create keys may give tags to keys (`CreateKey` needs it), and
//! a foreign key that bears the custodian's tags is one of its keys where keys are told by their tags: in
//! policies, unless they name the keys (`signing_keys`). The backend itself takes no key for one of its
//! own that it did not see being made, unless nobody but the account was let in to it. Who may write key
//! policies can let others in: the deny of [`Use::Administration`] binds only the role that it is
//! attached to.

mod actions;
mod identity;
mod key;
mod policy;
mod principal;
mod scope;
mod template;

use std::collections::BTreeSet;
use std::fmt;

pub use policy::Policy;
pub use principal::{PrincipalArn, PrincipalArnError};
pub use scope::{IamScope, IamScopeError};

pub(crate) use crate::context::OTHER_PURPOSE;

/// What somebody does with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Use {
    /// Disabling, enabling and deleting keys, and writing their policies.
    Administration,
    /// Looking at keys and their policies.
    Audit,
    /// Making keys that sign, as the backend does.
    Creation,
    /// Rotating keys that encrypt data keys. Whoever seals anew what they protect seals.
    Rotation,
    /// Sealing and opening data keys.
    Sealing,
    /// Signing.
    Signing,
    /// Disabling, enabling and scheduling the deletion of keys that sign, as orders of the custodian
    /// ask the backend to. Without it such orders hold in the custodian alone, and the administration
    /// does the same in KMS.
    Switching,
}

impl Use {
    /// All uses.
    pub const ALL: [Self; 7] = [
        Self::Administration,
        Self::Audit,
        Self::Creation,
        Self::Rotation,
        Self::Sealing,
        Self::Signing,
        Self::Switching,
    ];

    /// The use with this name: `admin`, `audit`, `create`, `rotation`, `sealed`, `sign` or `switch`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Administration => "admin",
            Self::Audit => "audit",
            Self::Creation => "create",
            Self::Rotation => "rotation",
            Self::Sealing => "sealed",
            Self::Signing => "sign",
            Self::Switching => "switch",
        }
    }

    /// Whether one who does this may not do the other.
    const fn excludes(self, other: Self) -> bool {
        const fn uses(one: Use) -> bool {
            matches!(one, Use::Rotation | Use::Sealing | Use::Signing)
        }
        const fn administers(one: Use) -> bool {
            matches!(one, Use::Administration)
        }
        uses(self) && administers(other) || administers(self) && uses(other)
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The policy of a role that does all of these and nothing else.
///
/// # Errors
/// Fails for no use, for two uses that one role must not have, for a use of keys that the scope does
/// not name, and for a policy that is longer than AWS takes: 10,240 characters without white space as
/// the inline policy of a role. One of more than 6,144 is no managed policy.
pub fn identity_policy(scope: &IamScope, uses: &BTreeSet<Use>) -> Result<Policy, IamError> {
    if uses.is_empty() {
        return Err(IamError::Empty);
    }
    for one in uses {
        if let Some(other) = uses.iter().find(|other| one.excludes(**other)) {
            return Err(IamError::Excluded { one: *one, other: *other });
        }
    }
    let policy = identity::write(scope, uses)?;
    policy.fitting(IDENTITY_POLICY_MAX)
}

/// The policy of a key that is used by the scope's principals in these ways and in no other.
///
/// It replaces the whole policy of a key, and leaves no way in through IAM alone: not for the account's
/// root user either. The administration is part of each, since nobody could ever change it otherwise.
///
/// # Errors
/// Fails as [`identity_policy`] does for the principals, for a use without principals, without
/// [`Use::Administration`], and for uses of both kinds of keys.
pub fn key_policy(scope: &IamScope, uses: &BTreeSet<Use>) -> Result<Policy, IamError> {
    if !uses.contains(&Use::Administration) {
        return Err(IamError::Unmanaged);
    }
    for one in uses {
        let principals = scope.principals(*one);
        if principals.is_empty() {
            return Err(IamError::NoPrincipal { one: *one });
        }
        let shares = |other: &&Use| {
            one.excludes(**other) && !scope.principals(**other).is_disjoint(principals)
        };
        if let Some(other) = uses.iter().find(shares) {
            return Err(IamError::Excluded { one: *one, other: *other });
        }
    }
    let policy = key::write(scope, uses)?;
    policy.fitting(KEY_POLICY_MAX)
}

/// Why a policy is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IamError {
    /// No use was named.
    #[error("a policy allows something")]
    Empty,
    /// Nobody may do both.
    #[error("nobody has both of the uses `{one}` and `{other}`")]
    Excluded {
        /// The one.
        one: Use,
        /// The other.
        other: Use,
    },
    /// A key either signs or encrypts data keys.
    #[error("no key has both of the uses `{one}` and `{other}`")]
    Mixed {
        /// A use of keys that sign.
        one: Use,
        /// A use of keys that encrypt data keys.
        other: Use,
    },
    /// The scope names nobody for a use.
    #[error("the field `principals.{one}` names nobody")]
    NoPrincipal {
        /// The use.
        one: Use,
    },
    /// The scope names no key that encrypts data keys.
    #[error("the use `{one}` needs keys in the field `sealing_keys`")]
    NoSealingKeys {
        /// The use.
        one: Use,
    },
    /// The policy is too long; less keys fit into one.
    #[error("the policy has {length} characters, AWS takes {limit}")]
    TooLong {
        /// Its characters, without white space.
        length: usize,
        /// Most of them.
        limit: usize,
    },
    /// A key whose policy nobody may change cannot be managed any more.
    #[error("a key policy without the use `admin` leaves a key that nobody can manage")]
    Unmanaged,
}

/// Characters of a role's inline policies, without white space (IAM user guide, "IAM and AWS STS
/// quotas").
const IDENTITY_POLICY_MAX: usize = 10_240;
/// Bytes of a key policy (KMS developer guide, "Resource quotas").
const KEY_POLICY_MAX: usize = 32_768;
