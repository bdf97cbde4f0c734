//! What the orders of ceremonies carry, and what their handlers answer.
//!
//! All are JSON objects with `v` first, without unknown fields; bytes are lower-case hex. None of
//! them holds a secret: they stand in the log, and anybody may read them.

use custody_core::bytes::HexBytes;
use custody_core::command::Command;
use custody_core::document::{DocumentError, V1, parse};
use custody_core::id::{
    CustodianId, ExtensionName, IdError, KeyId, OrderId, PrincipalId, WalletId,
};
use custody_core::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::commitment::{
    Challenge, ChallengeNonce, Commitment, Commitments, Possession, SetId, ShareKey, SharePosition,
};
use crate::geography::Distribution;
use crate::route::X25519PublicKey;

/// Makes a new recovery secret of 256 bits, splits it and hands the shares out.
///
/// Its command is `recovery/split`, and it is answered with a [`CeremonyRecord`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it")]
pub struct Split {
    /// Version: 1.
    pub v: V1,
    /// Who is to hold what.
    pub distribution: Distribution,
    /// How many must confirm before the set is in force.
    pub confirmations: Confirmations,
}

/// Makes new shares of the same secret. Once they are in force the old ones are void.
///
/// Its command is `recovery/rotate`, and it is answered with a [`CeremonyRecord`].
///
/// # Security
/// Old shares are void by the record, not by arithmetic: whoever keeps enough of them has the same
/// secret. Have them destroyed. After a theft split a new secret and make the archives anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it")]
pub struct Rotate {
    /// Version: 1.
    pub v: V1,
    /// The set in force.
    pub from: SetReference,
    /// Who is to hold what.
    pub distribution: Distribution,
    /// How many must confirm before the set is in force.
    pub confirmations: Confirmations,
}

/// Puts another person in a holder's place: a rotation in which nothing else changes.
///
/// Its command is `recovery/replace`, and it is answered with a [`CeremonyRecord`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it")]
pub struct Replace {
    /// Version: 1.
    pub v: V1,
    /// The set in force.
    pub from: SetReference,
    /// Who leaves.
    pub leaving: PrincipalId,
    /// Who is to hold what.
    pub distribution: Distribution,
    /// How many must confirm before the set is in force.
    pub confirmations: Confirmations,
}

/// Says that a holder has the share: the first time that it arrived, later that it is still there.
///
/// Its command is `recovery/confirm`, and it is answered with a [`Confirmed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it")]
pub struct Confirm {
    /// Version: 1.
    pub v: V1,
    /// The set.
    pub set: SetId,
    /// The share.
    pub share: SharePosition,
    /// The commitment to it.
    pub commitment: Commitment,
    /// The challenge's nonce.
    pub nonce: ChallengeNonce,
    /// Until when the answer counts.
    pub expires: Timestamp,
    /// The answer.
    pub possession: Possession,
}

/// Says that shares may be combined for a purpose, and for no other.
///
/// Its command is `recovery/recover`, and it is answered with a [`Permit`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it")]
pub struct Recover {
    /// Version: 1.
    pub v: V1,
    /// The set.
    pub set: SetId,
    /// What for: not [`Purpose::Reshare`], which is an order of its own.
    pub purpose: Purpose,
    /// Until when: at most 31 days after the order is submitted.
    pub until: Timestamp,
}

/// What shares are brought together for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Purpose {
    /// The whole custodian is restored.
    Custodian {},
    /// New shares are made, by this order and no other.
    Reshare {
        /// The order.
        order: OrderId,
    },
    /// One wallet is restored.
    Wallet {
        /// The wallet.
        wallet: WalletId,
    },
    /// One seed is written down in words.
    Words {
        /// The wallet.
        wallet: WalletId,
        /// The seed.
        seed: KeyId,
    },
}

/// How many holders must confirm before a set is in force. Those who did must always be able to
/// recover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "all of them or some")]
pub enum Confirmations {
    /// At least so many of the shares.
    AtLeast(u16),
    /// Each share.
    Every,
}

/// An existing set, with what is needed to tell its shares from others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it")]
pub struct SetReference {
    /// The set.
    pub set: SetId,
    /// The public key of its secret.
    pub public_key: X25519PublicKey,
    /// The commitments to its shares.
    pub commitments: Commitments,
}

/// What a ceremony that made a set leaves behind. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "whoever restores reads it")]
pub struct CeremonyRecord {
    /// Version: 1.
    pub v: V1,
    /// The custodian.
    pub custodian: CustodianId,
    /// The order that made the set.
    pub order: OrderId,
    /// The set.
    pub set: SetId,
    /// The set that it follows, if it has the same secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<SetId>,
    /// The identifier in each share, by which a holder knows it.
    pub identifier: u16,
    /// Who holds what, and how many shares recover.
    pub distribution: Distribution,
    /// How many must confirm before the set is in force.
    pub confirmations: Confirmations,
    /// The public key of the secret: archives are sealed to it.
    pub public_key: X25519PublicKey,
    /// The commitments to the shares.
    pub commitments: Commitments,
}

/// The answer to [`Confirm`]: the share's holder showed to have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "verifiers read it")]
pub struct Confirmed {
    /// Version: 1.
    pub v: V1,
    /// The custodian.
    pub custodian: CustodianId,
    /// The order.
    pub order: OrderId,
    /// The set.
    pub set: SetId,
    /// The share.
    pub share: SharePosition,
    /// The commitment that the answer verified under.
    pub commitment: Commitment,
}

/// The answer to [`Recover`]: shares of the set may be combined for the purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "whoever restores reads it")]
pub struct Permit {
    /// Version: 1.
    pub v: V1,
    /// The custodian.
    pub custodian: CustodianId,
    /// The order.
    pub order: OrderId,
    /// The set.
    pub set: SetId,
    /// What for.
    pub purpose: Purpose,
    /// Until when.
    pub until: Timestamp,
}

impl Split {
    /// The name of its command.
    pub const NAME: &str = "recovery/split";
}

impl Rotate {
    /// The name of its command.
    pub const NAME: &str = "recovery/rotate";
}

impl Replace {
    /// The name of its command.
    pub const NAME: &str = "recovery/replace";
}

impl Confirm {
    /// The name of its command.
    pub const NAME: &str = "recovery/confirm";

    /// The answer of a share's holder to a challenge.
    ///
    /// # Security
    /// It is made where the share is. Only what it returns leaves.
    #[must_use]
    pub fn answer(challenge: &Challenge, key: &ShareKey) -> Self {
        Self {
            v: V1,
            set: challenge.set,
            share: challenge.share,
            commitment: key.commitment(),
            nonce: challenge.nonce,
            expires: challenge.expires,
            possession: key.prove(challenge),
        }
    }

    /// The challenge of a custodian that this answers.
    #[must_use]
    pub const fn challenge(&self, custodian: CustodianId) -> Challenge {
        Challenge {
            custodian,
            set: self.set,
            share: self.share,
            nonce: self.nonce,
            expires: self.expires,
        }
    }
}

impl Recover {
    /// The name of its command.
    pub const NAME: &str = "recovery/recover";
}

impl CeremonyRecord {
    /// Reads the answer of an order that made a set.
    ///
    /// # Errors
    /// Fails on anything else.
    pub fn read(bytes: &[u8]) -> Result<Self, DocumentError> {
        parse(bytes)
    }

    /// How later orders name the set.
    #[must_use]
    pub fn reference(&self) -> SetReference {
        SetReference {
            set: self.set,
            public_key: self.public_key,
            commitments: self.commitments.clone(),
        }
    }

    /// Whether the shares that `has` names are enough to confirm the set.
    pub(crate) fn is_confirmed(&self, has: impl Fn(SharePosition) -> bool) -> bool {
        let holders = || self.distribution.holders().map(|(share, _)| share);
        let enough = match self.confirmations {
            Confirmations::AtLeast(count) => {
                holders().filter(|share| has(*share)).count() >= usize::from(count)
            }
            Confirmations::Every => holders().all(&has),
        };
        enough && self.distribution.recovers(|share, _| has(share))
    }
}

impl Permit {
    /// Reads the answer of an order that permits.
    ///
    /// # Errors
    /// Fails on anything else.
    pub fn read(bytes: &[u8]) -> Result<Self, DocumentError> {
        parse(bytes)
    }
}

/// What an order of a ceremony carries.
///
/// It is implemented here only.
pub trait CeremonyCommand: Serialize + DeserializeOwned + sealed::Sealed {
    /// The command's name.
    ///
    /// # Errors
    /// Never fails: the names are fixed, and well-formed.
    fn name() -> Result<ExtensionName, IdError>;

    /// The command of an order.
    ///
    /// # Errors
    /// Fails if the document cannot be written.
    fn to_command(&self) -> Result<Command, DocumentError> {
        let name = Self::name().map_err(|_| DocumentError::Write)?;
        Ok(Command::Extension { name, document: HexBytes::new(to_bytes(self)?) })
    }
}

macro_rules! ceremony_commands {
    ($($name:ident)*) => {$(
        impl sealed::Sealed for $name {}
        impl CeremonyCommand for $name {
            fn name() -> Result<ExtensionName, IdError> {
                ExtensionName::parse(Self::NAME)
            }
        }
    )*};
}

ceremony_commands!(Confirm Recover Replace Rotate Split);

mod sealed {
    #[expect(unnameable_types, reason = "nobody else implements it")]
    pub trait Sealed {}
}

/// The bytes of a document that is written here, once.
pub(crate) fn to_bytes(document: &impl Serialize) -> Result<Vec<u8>, DocumentError> {
    serde_json::to_vec(document).map_err(|_| DocumentError::Write)
}
