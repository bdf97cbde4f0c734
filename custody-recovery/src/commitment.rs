//! Public commitments to shares: how a holder proves to have the right one without showing it. This
//! file opens secrets.
//!
//! A commitment is the public key of an Ed25519 key that HKDF-SHA256 derives from the whole share:
//! its value is the input keying material, and `custody/share/commitment/v1`, 0 and its other
//! fields are the info. Whoever has the share can sign with that key, and nobody else can.
//!
//! With commitments the secrecy of shares is computational, no longer information-theoretic: fewer
//! shares than the threshold leave every secret possible, but a guessed secret can be checked
//! against the commitments of the other shares. With secrets of 256 random bits, which are the only
//! ones that ceremonies make, nobody can guess.

use std::collections::BTreeSet;
use std::fmt;

use custody_core::bytes::HexBytes;
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::digest::Digest;
use custody_core::id::{CustodianId, OrderId};
use custody_core::seam::{Entropy, EntropyError};
use custody_core::time::Timestamp;
use ed25519_dalek::{Signer as _, SigningKey};
use hkdf::Hkdf;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::slip39::Share;

/// A set of shares: a digest of the custodian and the order that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SetId(Digest);

impl SetId {
    /// The set that an order of a custodian makes.
    #[must_use]
    pub fn of(custodian: &CustodianId, order: &OrderId) -> Self {
        let fields: [&[u8]; 2] = [custodian.digest().as_bytes(), order.as_str().as_bytes()];
        Self(Digest::tagged("custody/share/set/v1", &fields))
    }

    /// The digest that is the id.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.0
    }
}

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which share of a set. Both numbers count from 0, as they stand in a share; in words they count
/// from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a share has a group and a place in it")]
pub struct SharePosition {
    /// The group.
    pub group: u8,
    /// The share within the group.
    pub member: u8,
}

impl SharePosition {
    /// The position that a share says it has.
    #[must_use]
    pub fn claimed(share: &Share) -> Self {
        Self { group: share.group_index(), member: share.member_index() }
    }
}

impl fmt::Display for SharePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (group, member) = (u16::from(self.group), u16::from(self.member));
        write!(f, "share {} of group {}", member.saturating_add(1), group.saturating_add(1))
    }
}

/// The key that a share is: only its holder has it.
pub struct ShareKey(SigningKey);

impl ShareKey {
    /// The key of a share.
    ///
    /// # Errors
    /// Fails if the key cannot be derived, which HKDF does not let happen for 32 bytes.
    pub fn of(share: &Share) -> Result<Self, CommitmentError> {
        let [high, low] = share.identifier().to_be_bytes();
        let mut info = b"custody/share/commitment/v1\0".to_vec();
        info.extend_from_slice(&[
            high,
            low,
            u8::from(share.is_extendable()),
            share.iteration_exponent(),
            share.group_index(),
            share.group_threshold(),
            share.group_count(),
            share.member_index(),
            share.member_threshold(),
        ]);
        let mut seed = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, share.value().expose())
            .expand(&info, seed.as_mut_slice())
            .map_err(|_| CommitmentError::Derivation)?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// The public commitment to the share.
    #[must_use]
    pub fn commitment(&self) -> Commitment {
        Commitment(self.0.verifying_key().to_bytes())
    }

    /// Proves that the share is here.
    ///
    /// # Security
    /// Answer challenges only for the custodian and set that the share belongs to: read them first.
    #[must_use]
    pub fn prove(&self, challenge: &Challenge) -> Possession {
        Possession(self.0.sign(challenge.digest().as_bytes()).to_bytes())
    }
}

impl fmt::Debug for ShareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShareKey").field("commitment", &self.commitment()).finish_non_exhaustive()
    }
}

/// The public commitment to a share. In JSON it is 64 characters of lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Commitment([u8; 32]);

impl Commitment {
    /// The commitment to a share.
    ///
    /// # Errors
    /// As for [`ShareKey::of`].
    pub fn of(share: &Share) -> Result<Self, CommitmentError> {
        Ok(ShareKey::of(share)?.commitment())
    }

    /// The public key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Checks that whoever answered the challenge has the share.
    ///
    /// # Errors
    /// Fails with one opaque variant.
    pub fn verify(&self, challenge: &Challenge, proof: &Possession) -> Result<(), CommitmentError> {
        let fail = |_| CommitmentError::Possession;
        let key = PublicKey::from_bytes(Algorithm::Ed25519, &self.0)
            .map_err(|_| CommitmentError::Possession)?;
        let signature = Signature::from_bytes(Algorithm::Ed25519, &proof.0).map_err(fail)?;
        let digest = challenge.digest();
        signature.verify(&key, SignInput::Message(digest.as_bytes())).map_err(fail)
    }
}

/// The commitments to all shares of a set, group by group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Commitments(Vec<Vec<Commitment>>);

impl Commitments {
    /// The commitments to these shares, in the order of the shares.
    ///
    /// # Errors
    /// As for [`ShareKey::of`].
    pub fn of(shares: &[Vec<Share>]) -> Result<Self, CommitmentError> {
        let group = |group: &Vec<Share>| group.iter().map(Commitment::of).collect();
        Self::new(shares.iter().map(group).collect::<Result<_, _>>()?)
    }

    /// A list of commitments.
    ///
    /// # Errors
    /// Fails if one stands twice: it would name two shares.
    pub fn new(groups: Vec<Vec<Commitment>>) -> Result<Self, CommitmentError> {
        let mut seen = BTreeSet::new();
        if groups.iter().flatten().all(|commitment| seen.insert(commitment)) {
            Ok(Self(groups))
        } else {
            Err(CommitmentError::Twice)
        }
    }

    /// How many shares each group has.
    pub fn counts(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(Vec::len)
    }

    /// The commitment to a share.
    #[must_use]
    pub fn get(&self, share: SharePosition) -> Option<&Commitment> {
        self.0.get(usize::from(share.group))?.get(usize::from(share.member))
    }

    /// Which share of the set a commitment is to.
    #[must_use]
    pub fn position(&self, commitment: &Commitment) -> Option<SharePosition> {
        // A record may have more of them than a set: they are nobody's.
        (0..=u8::MAX).zip(&self.0).find_map(|(group, members)| {
            let mut members = (0..=u8::MAX).zip(members);
            let (member, _) = members.find(|(_, other)| *other == commitment)?;
            Some(SharePosition { group, member })
        })
    }

    /// Which share of the set this is.
    ///
    /// # Errors
    /// Fails if it is none of them, whatever it says of itself.
    pub fn locate(&self, share: &Share) -> Result<SharePosition, CommitmentError> {
        let unknown = CommitmentError::Unknown { claimed: SharePosition::claimed(share) };
        self.position(&Commitment::of(share)?).ok_or(unknown)
    }

    /// Checks that this is the share of a position.
    ///
    /// # Errors
    /// Says which other share of the set it is, or that it is none of them.
    pub fn check(&self, expected: SharePosition, share: &Share) -> Result<(), CommitmentError> {
        match self.locate(share)? {
            found if found == expected => Ok(()),
            found => Err(CommitmentError::Other { expected, found }),
        }
    }
}

/// What a holder is asked to sign: that the share is there now, for this asker.
///
/// The signature is over SHA-256(`custody/share/possession/v1` ‖ 0 ‖ custodian id ‖ set id ‖ group
/// ‖ member ‖ nonce ‖ expiry), every field length-prefixed, the expiry as eight big-endian bytes of
/// milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "holders read it before they sign")]
pub struct Challenge {
    /// The custodian whose set it is.
    pub custodian: CustodianId,
    /// The set.
    pub set: SetId,
    /// The share.
    pub share: SharePosition,
    /// What makes the challenge one of its own.
    pub nonce: ChallengeNonce,
    /// Until when the answer counts.
    pub expires: Timestamp,
}

impl Challenge {
    /// Asks for a share.
    ///
    /// # Errors
    /// Fails without entropy.
    pub fn ask(
        custodian: CustodianId,
        set: SetId,
        share: SharePosition,
        expires: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Self, EntropyError> {
        let mut nonce = [0; 32];
        entropy.fill(&mut nonce)?;
        Ok(Self { custodian, set, share, nonce: ChallengeNonce(nonce), expires })
    }

    /// The digest that is signed.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let fields: [&[u8]; 6] = [
            self.custodian.digest().as_bytes(),
            self.set.digest().as_bytes(),
            &[self.share.group],
            &[self.share.member],
            &self.nonce.0,
            &self.expires.as_millis().to_be_bytes(),
        ];
        Digest::tagged("custody/share/possession/v1", &fields)
    }
}

/// The 32 random bytes of a challenge. In JSON they are lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChallengeNonce([u8; 32]);

/// The answer to a challenge. In JSON it is 128 characters of lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Possession([u8; 64]);

macro_rules! public_bytes {
    ($name:ident, $check:expr) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), hex::encode(self.0))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&hex::encode(self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let bytes = HexBytes::deserialize(deserializer)?;
                let bytes = bytes.as_bytes().try_into();
                let fail = || serde::de::Error::custom(concat!("no ", stringify!($name)));
                let checked = bytes.ok().filter($check);
                checked.map(Self).ok_or_else(fail)
            }
        }
    };
}

public_bytes!(ChallengeNonce, |_| true);
public_bytes!(Commitment, |bytes: &[u8; 32]| {
    PublicKey::from_bytes(Algorithm::Ed25519, bytes).is_ok()
});
public_bytes!(Possession, |_| true);

impl<'de> Deserialize<'de> for Commitments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Vec::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What is wrong with a share, or with the proof that somebody has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitmentError {
    /// The key of the share cannot be derived.
    #[error("the key of the share cannot be derived")]
    Derivation,
    /// Another share of the same set.
    #[error("this is {found}, not {expected}")]
    Other {
        /// The share that was to be shown.
        expected: SharePosition,
        /// The share that it is.
        found: SharePosition,
    },
    /// The answer does not prove that the share is there.
    #[error("the answer does not prove that the share is there")]
    Possession,
    /// Two shares have one commitment.
    #[error("two shares have one commitment")]
    Twice,
    /// None of the shares of the set.
    #[error("what says to be {claimed} is no share of this set")]
    Unknown {
        /// The position that the share says it has.
        claimed: SharePosition,
    },
}
