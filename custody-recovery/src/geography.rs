//! Who holds which share, for which organisation, and at which site.
//!
//! Invariant: a distribution in which one person, one organisation or one site alone has enough
//! shares does not exist as a value of [`Distribution`]. Which coalitions suffice is counted, never
//! estimated.

mod report;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use custody_core::id::{IdError, OrganisationId, PrincipalId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::report::{Ability, Archives, Power, SitePowers, SiteReport, SiteStanding};
use crate::commitment::SharePosition;
use crate::route::X25519PublicKey;

/// Who holds the shares of a set: one holder for each share, and how many of them suffice.
///
/// In JSON it is an object with `group_threshold` and `groups`, each with `threshold` and
/// `holders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Distribution {
    group_threshold: u8,
    groups: Vec<Group>,
}

/// A group of holders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it")]
pub struct Group {
    /// How many of its shares make the group's part of the secret.
    pub threshold: u8,
    /// One for each share, in the order of the shares.
    pub holders: Vec<Holder>,
}

/// Who holds one share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "hosts build it")]
pub struct Holder {
    /// The person.
    pub principal: PrincipalId,
    /// The organisation that the person belongs to.
    pub organisation: OrganisationId,
    /// Where the share is kept.
    pub site: SiteId,
    /// The key that the share is sealed to on its way, if it is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<X25519PublicKey>,
}

impl Distribution {
    /// Most groups, and most holders of a group (SLIP-39, "Format of the share mnemonic").
    pub const MAX: usize = 16;
    /// Most sites: each of their coalitions is looked at.
    pub const SITES_MAX: usize = 16;

    /// A distribution of which `group_threshold` groups recover.
    ///
    /// # Errors
    /// Fails on counts and thresholds that SLIP-39 does not have, on more sites than
    /// [`Self::SITES_MAX`], on a person of two organisations, and if one person, one organisation
    /// or one site alone could recover.
    pub fn new(group_threshold: u8, groups: Vec<Group>) -> Result<Self, GeographyError> {
        let shaped = Self::shaped(group_threshold, groups)?;
        match shaped.alone() {
            Some(party) => Err(GeographyError::Alone { party }),
            None => Ok(shaped),
        }
    }

    /// A distribution that may be in too few hands.
    fn shaped(group_threshold: u8, groups: Vec<Group>) -> Result<Self, GeographyError> {
        let count = groups.len();
        if count == 0 || count > Self::MAX {
            return Err(GeographyError::Groups { count });
        }
        if group_threshold == 0 || usize::from(group_threshold) > count {
            return Err(GeographyError::GroupThreshold { threshold: group_threshold, count });
        }
        for (number, group) in (0_u8..).zip(&groups) {
            check_group(number, group)?;
        }
        let distribution = Self { group_threshold, groups };
        let count = distribution.sites().len();
        if count > Self::SITES_MAX {
            return Err(GeographyError::Sites { count });
        }
        let mut organisations = BTreeMap::new();
        for (_, holder) in distribution.holders() {
            let first = organisations.entry(&holder.principal).or_insert(&holder.organisation);
            if *first != &holder.organisation {
                return Err(GeographyError::TwoOrganisations {
                    principal: holder.principal.clone(),
                });
            }
        }
        Ok(distribution)
    }

    /// How many groups recover.
    #[must_use]
    pub const fn group_threshold(&self) -> u8 {
        self.group_threshold
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The holder of a share.
    #[must_use]
    pub fn holder(&self, share: SharePosition) -> Option<&Holder> {
        self.groups.get(usize::from(share.group))?.holders.get(usize::from(share.member))
    }

    /// All shares with their holders, group by group.
    pub fn holders(&self) -> impl Iterator<Item = (SharePosition, &Holder)> {
        (0_u8..).zip(&self.groups).flat_map(|(group, holders)| {
            (0_u8..)
                .zip(&holders.holders)
                .map(move |(member, holder)| (SharePosition { group, member }, holder))
        })
    }

    /// All sites.
    #[must_use]
    pub fn sites(&self) -> BTreeSet<&SiteId> {
        self.holders().map(|(_, holder)| &holder.site).collect()
    }

    /// Whether the shares that `has` names recover the secret.
    pub fn recovers(&self, has: impl Fn(SharePosition, &Holder) -> bool) -> bool {
        let mut counts = vec![0_usize; self.groups.len()];
        for (share, holder) in self.holders() {
            if has(share, holder)
                && let Some(count) = counts.get_mut(usize::from(share.group))
            {
                *count = count.saturating_add(1);
            }
        }
        let reached = |(group, count): (&Group, &usize)| *count >= usize::from(group.threshold);
        let groups = self.groups.iter().zip(&counts).filter(|pair| reached(*pair)).count();
        groups >= usize::from(self.group_threshold)
    }

    /// Somebody who could recover alone.
    fn alone(&self) -> Option<Party> {
        let mut parties = BTreeSet::new();
        for (_, holder) in self.holders() {
            parties.insert(Party::Person(holder.principal.clone()));
            parties.insert(Party::Organisation(holder.organisation.clone()));
            parties.insert(Party::Site(holder.site.clone()));
        }
        parties.into_iter().find(|party| self.recovers(|_, holder| party.has(holder)))
    }
}

impl<'de> Deserialize<'de> for Distribution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Unchecked {
            group_threshold: u8,
            groups: Vec<Group>,
        }

        let Unchecked { group_threshold, groups } = Unchecked::deserialize(deserializer)?;
        Self::new(group_threshold, groups).map_err(serde::de::Error::custom)
    }
}

fn check_group(number: u8, group: &Group) -> Result<(), GeographyError> {
    let count = group.holders.len();
    if count == 0 || count > Distribution::MAX {
        return Err(GeographyError::Holders { group: number, count });
    }
    let threshold = group.threshold;
    if threshold == 0 || usize::from(threshold) > count {
        return Err(GeographyError::Threshold { group: number, threshold, count });
    }
    if threshold == 1 && count > 1 {
        return Err(GeographyError::Copies { group: number, count });
    }
    Ok(())
}

/// Somebody, or some place, that may have several shares.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Party {
    /// An organisation with all its people.
    Organisation(OrganisationId),
    /// A person.
    Person(PrincipalId),
    /// A site with everything that is kept there.
    Site(SiteId),
}

impl Party {
    fn has(&self, holder: &Holder) -> bool {
        match self {
            Self::Organisation(organisation) => holder.organisation == *organisation,
            Self::Person(principal) => holder.principal == *principal,
            Self::Site(site) => holder.site == *site,
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organisation(organisation) => write!(f, "the organisation {organisation}"),
            Self::Person(principal) => write!(f, "the person {principal}"),
            Self::Site(site) => write!(f, "the site {site}"),
        }
    }
}

/// A site: a place that is lost, or broken into, as a whole. 1 to 64 of `a-z 0-9 - . _ @`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteId(Arc<str>);

impl SiteId {
    const MAX: usize = 64;

    /// Parses the text of a site.
    ///
    /// # Errors
    /// Fails on an empty or too long text and on a character outside the alphabet.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        const ID: &str = "SiteId";
        if text.is_empty() || text.len() > Self::MAX {
            return Err(IdError::Length { id: ID, length: text.len(), limit: Self::MAX });
        }
        let is_name =
            |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'@');
        match text.bytes().position(|byte| !is_name(byte)) {
            Some(position) => Err(IdError::Character { id: ID, position }),
            None => Ok(Self(text.into())),
        }
    }

    /// The site as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for SiteId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SiteId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Why shares are not distributed like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GeographyError {
    /// One party alone could recover.
    #[error("{party} alone has enough shares")]
    Alone {
        /// Who, or what.
        party: Party,
    },
    /// A group of threshold one has several holders, each of whom would hold the same share.
    #[error("group {group} has threshold 1 and {count} holders of one and the same share")]
    Copies {
        /// The group, from 0.
        group: u8,
        /// How many holders it has.
        count: usize,
    },
    /// The number of groups is none or too large.
    #[error("a set has 1 to 16 groups, not {count}")]
    Groups {
        /// How many there are.
        count: usize,
    },
    /// The group threshold is none or cannot be reached.
    #[error("of {count} groups, {threshold} cannot be needed")]
    GroupThreshold {
        /// The threshold.
        threshold: u8,
        /// How many groups there are.
        count: usize,
    },
    /// The number of holders of a group is none or too large.
    #[error("group {group} has {count} holders, allowed are 1 to 16")]
    Holders {
        /// The group, from 0.
        group: u8,
        /// How many there are.
        count: usize,
    },
    /// There are too many sites.
    #[error("there are {count} sites, allowed are 1 to 16")]
    Sites {
        /// How many there are.
        count: usize,
    },
    /// The threshold of a group is none or cannot be reached.
    #[error("of {count} holders of group {group}, {threshold} cannot be needed")]
    Threshold {
        /// The group, from 0.
        group: u8,
        /// The threshold.
        threshold: u8,
        /// How many holders the group has.
        count: usize,
    },
    /// A person is said to belong to two organisations.
    #[error("{principal} is said to belong to two organisations")]
    TwoOrganisations {
        /// The person.
        principal: PrincipalId,
    },
}
