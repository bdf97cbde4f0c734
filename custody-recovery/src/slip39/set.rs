//! Shares that came together: whether they are of one set, how many are missing, and what they
//! give. This file opens secrets.
//!
//! Invariant: which shares there are decides what is done, never what is in them; values are
//! compared in constant time.

use std::collections::BTreeMap;

use custody_core::secret::Secret;
use subtle::ConstantTimeEq as _;

use super::cipher::PassphraseError;
use super::shamir::{self, Points};
use super::share::{Parameters, Share};

/// Shares of one set.
pub(crate) struct Set<'a> {
    parameters: Parameters,
    groups: BTreeMap<u8, Group<'a>>,
}

/// Shares of one group, by the index of their members.
struct Group<'a> {
    threshold: u8,
    members: BTreeMap<u8, Member<'a>>,
}

struct Member<'a> {
    /// Which of the shares that were handed in it is, from 1.
    number: usize,
    share: &'a Share,
}

impl<'a> Set<'a> {
    /// Puts shares together that belong together.
    pub(crate) fn gather(shares: &'a [Share]) -> Result<Self, CombineError> {
        let first = shares.first().ok_or(CombineError::NoShares)?;
        let mut set = Self { parameters: *first.parameters(), groups: BTreeMap::new() };
        for (number, share) in (1..).zip(shares) {
            if let Some(difference) = Difference::between(first, share) {
                return Err(CombineError::AnotherSet { share: number, difference });
            }
            set.add(Member { number, share })?;
        }
        Ok(set)
    }

    fn add(&mut self, member: Member<'a>) -> Result<(), CombineError> {
        let Member { number, share } = member;
        let new = || Group { threshold: share.member_threshold(), members: BTreeMap::new() };
        let group = self.groups.entry(share.group_index()).or_insert_with(new);
        if group.threshold != share.member_threshold() {
            let group_index = share.group_index();
            return Err(CombineError::AnotherGroup { share: number, group_index });
        }
        let Some(there) = group.members.insert(share.member_index(), member) else { return Ok(()) };
        let is_same: bool = there.share.value().expose().ct_eq(share.value().expose()).into();
        let (first, share) = (there.number, number);
        Err(if is_same {
            CombineError::Repeated { share, first }
        } else {
            CombineError::Contradiction { share, first }
        })
    }

    pub(crate) const fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Whether there are as many shares as needed, and none that could not be checked.
    pub(crate) fn is_enough(&self) -> Result<(), CombineError> {
        let needed = usize::from(self.parameters.group_threshold);
        if self.groups.len() < needed {
            let missing = self.progress().missing_groups();
            return Err(CombineError::TooFewGroups { missing });
        }
        // The group that lacks least is the one to complete, or to leave away.
        let missing = self.groups.iter().map(|(index, group)| (group.missing(), *index));
        let Some((missing, group_index)) = missing.filter(|(missing, _)| *missing > 0).min() else {
            return Ok(());
        };
        let complete = self.groups.values().filter(|group| group.missing() == 0).count();
        Err(if complete < needed {
            CombineError::TooFewMembers { group_index, missing }
        } else {
            CombineError::TooManyGroups { group_index, missing }
        })
    }

    /// The encrypted master secret.
    pub(crate) fn recover(&self) -> Result<Secret, CombineError> {
        let mut parts = BTreeMap::new();
        for (index, group) in &self.groups {
            parts.insert(*index, group.recover(*index)?);
        }
        let needed = usize::from(self.parameters.group_threshold);
        let points: Points<'_> = parts.iter().take(needed).map(|(at, part)| (*at, part)).collect();
        let secret = shamir::recover(&points);
        let secret = secret.map_err(|shamir::DigestMismatch| CombineError::GroupsMismatch)?;
        let wrong =
            parts.iter().skip(needed).find(|(at, part)| !shamir::agrees(&points, **at, part));
        match wrong {
            Some((group_index, _)) => Err(CombineError::WrongGroup { group_index: *group_index }),
            None => Ok(secret),
        }
    }

    fn progress(&self) -> Progress {
        let group = |(index, group): (&u8, &Group<'_>)| GroupProgress {
            index: *index,
            threshold: group.threshold,
            present: u8::try_from(group.members.len()).unwrap_or(u8::MAX),
        };
        Progress { parameters: self.parameters, groups: self.groups.iter().map(group).collect() }
    }
}

impl Group<'_> {
    fn missing(&self) -> u8 {
        let present = u8::try_from(self.members.len()).unwrap_or(u8::MAX);
        self.threshold.saturating_sub(present)
    }

    /// The part of the secret that the group has.
    fn recover(&self, group_index: u8) -> Result<Secret, CombineError> {
        let needed = usize::from(self.threshold);
        let values = self.members.iter().map(|(at, member)| (*at, member.share.value()));
        let points: Points<'_> = values.take(needed).collect();
        let part = shamir::recover(&points);
        let mismatch = |shamir::DigestMismatch| CombineError::MembersMismatch { group_index };
        let part = part.map_err(mismatch)?;
        let mut others = self.members.iter().skip(needed);
        let agrees =
            |at: u8, member: &Member<'_>| shamir::agrees(&points, at, member.share.value());
        match others.find(|(at, member)| !agrees(**at, member)) {
            Some((_, member)) => Err(CombineError::WrongMember { share: member.number }),
            None => Ok(part),
        }
    }
}

/// How far shares are from being enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    parameters: Parameters,
    groups: Vec<GroupProgress>,
}

impl Progress {
    /// How far these shares are, which belong together. No secret is computed.
    ///
    /// # Errors
    /// Fails if there are none, or if they do not belong together, as [`combine`](super::combine).
    pub fn of(shares: &[Share]) -> Result<Self, CombineError> {
        Set::gather(shares).map(|set| set.progress())
    }

    /// The random number that all shares of the set have.
    #[must_use]
    pub const fn identifier(&self) -> u16 {
        self.parameters.identifier
    }

    /// How many groups are needed.
    #[must_use]
    pub const fn group_threshold(&self) -> u8 {
        self.parameters.group_threshold
    }

    /// How many groups there are.
    #[must_use]
    pub const fn group_count(&self) -> u8 {
        self.parameters.group_count
    }

    /// The groups of which there are shares, by index.
    #[must_use]
    pub fn groups(&self) -> &[GroupProgress] {
        &self.groups
    }

    /// How many groups are needed beyond those of which there are shares.
    #[must_use]
    pub fn missing_groups(&self) -> u8 {
        let present = u8::try_from(self.groups.len()).unwrap_or(u8::MAX);
        self.group_threshold().saturating_sub(present)
    }

    /// Whether there are as many complete groups as needed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let complete = self.groups.iter().filter(|group| group.missing() == 0).count();
        complete >= usize::from(self.group_threshold())
    }
}

/// How far the shares of one group are from being enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupProgress {
    index: u8,
    threshold: u8,
    present: u8,
}

impl GroupProgress {
    /// Which group it is, from 0.
    #[must_use]
    pub const fn index(&self) -> u8 {
        self.index
    }

    /// How many members are needed.
    #[must_use]
    pub const fn threshold(&self) -> u8 {
        self.threshold
    }

    /// Of how many members there are shares.
    #[must_use]
    pub const fn present(&self) -> u8 {
        self.present
    }

    /// How many members are missing.
    #[must_use]
    pub const fn missing(&self) -> u8 {
        self.threshold.saturating_sub(self.present)
    }
}

/// What a share has that the first one of a set has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// Another extendable flag.
    Extendable,
    /// Another number of groups.
    GroupCount,
    /// Another number of needed groups.
    GroupThreshold,
    /// Another identifier.
    Identifier,
    /// Another iteration exponent.
    IterationExponent,
    /// A secret of another length.
    Length,
}

impl Difference {
    fn between(one: &Share, other: &Share) -> Option<Self> {
        let rows = [
            (Self::Identifier, one.identifier() == other.identifier()),
            (Self::Extendable, one.is_extendable() == other.is_extendable()),
            (Self::IterationExponent, one.iteration_exponent() == other.iteration_exponent()),
            (Self::GroupThreshold, one.group_threshold() == other.group_threshold()),
            (Self::GroupCount, one.group_count() == other.group_count()),
            (Self::Length, one.value().len() == other.value().len()),
        ];
        rows.into_iter().find(|(_, is_same)| !is_same).map(|(difference, _)| difference)
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Extendable => "extendable flag",
            Self::GroupCount => "number of groups",
            Self::GroupThreshold => "number of needed groups",
            Self::Identifier => "identifier",
            Self::IterationExponent => "iteration exponent",
            Self::Length => "length",
        })
    }
}

/// Why shares do not give a secret. Shares are counted from 1, in the order in which they came.
/// Groups have the index that stands in their shares, from 0; a message for people counts from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CombineError {
    /// A share says of its group that another number of members is needed than an earlier one says.
    #[error(
        "share {share} is not of the group {} that the shares before it are of",
        number(*group_index)
    )]
    AnotherGroup {
        /// Which share it is.
        share: usize,
        /// The group that both say they are of.
        group_index: u8,
    },
    /// A share is of another set than the first one.
    #[error("share {share} is of another set than share 1: its {difference} is another")]
    AnotherSet {
        /// Which share it is.
        share: usize,
        /// What is different.
        difference: Difference,
    },
    /// Two shares stand in one place and are not the same: at least one is of another set.
    #[error("share {share} has the place of share {first} and is another one")]
    Contradiction {
        /// Which share it is.
        share: usize,
        /// The earlier share in its place.
        first: usize,
    },
    /// The groups do not give what was split: one of them is swapped for one of another set.
    #[error("each group agrees within itself, but the groups are not of one secret")]
    GroupsMismatch,
    /// The members of a group do not give what was split: one of them has a share of another set.
    #[error("the shares of group {} are not of one secret", number(*group_index))]
    MembersMismatch {
        /// The group.
        group_index: u8,
    },
    /// There are no shares.
    #[error("there are no shares")]
    NoShares,
    /// The passphrase cannot be used.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// A share is there twice.
    #[error("share {share} is share {first} again")]
    Repeated {
        /// Which share it is.
        share: usize,
        /// The same share before it.
        first: usize,
    },
    /// There are shares of too few groups.
    #[error("shares of {missing} more groups are needed")]
    TooFewGroups {
        /// How many groups are needed beyond those of which there are shares.
        missing: u8,
    },
    /// There are too few complete groups. Of the others, this one lacks least.
    #[error("{missing} more shares of group {} are needed", number(*group_index))]
    TooFewMembers {
        /// The group.
        group_index: u8,
        /// How many members are missing.
        missing: u8,
    },
    /// There are enough complete groups, and one that is not complete and so cannot be checked.
    #[error(
        "group {} is not needed, and cannot be checked without {missing} more shares",
        number(*group_index)
    )]
    TooManyGroups {
        /// The group.
        group_index: u8,
        /// How many members are missing.
        missing: u8,
    },
    /// A complete group more than needed does not agree with the others, which agree.
    #[error("group {} is not of the secret that the groups before it give", number(*group_index))]
    WrongGroup {
        /// The group.
        group_index: u8,
    },
    /// A share more than its group needs does not agree with the others, which agree.
    #[error("share {share} is not of the secret that the others of its group give")]
    WrongMember {
        /// Which share it is.
        share: usize,
    },
}

/// A group as people count.
const fn number(index: u8) -> u8 {
    index.saturating_add(1)
}

#[cfg(test)]
mod tests;
