use std::collections::{BTreeMap, BTreeSet};

use custody_core::id::{BackendId, KekId, PrincipalId};

use super::words::{alone, coalitions};
use super::{Distribution, GeographyError, SiteId};

/// What is at a site besides shares.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Power {
    /// A copy of the newest archive.
    ArchiveCopy,
    /// A key-encrypting key that opens archives.
    Kek(KekId),
    /// The key of an officer to whom archives are sealed.
    Officer(PrincipalId),
    /// A backend that signs for whoever has the site.
    Signing(BackendId),
}

/// From where archives can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "copies are within reach or at named sites")]
pub enum Archives {
    /// From wherever one is: copies in a public place count as if each site had one.
    Everywhere,
    /// From the sites that [`Power::ArchiveCopy`] names, and from nowhere else.
    Named,
}

/// What is at which site, as the host knows it.
///
/// # Security
/// The report is only as true as this: a key that is forgotten here opens archives all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SitePowers {
    archives: Archives,
    powers: BTreeMap<SiteId, BTreeSet<Power>>,
}

impl SitePowers {
    /// No powers yet.
    #[must_use]
    pub const fn new(archives: Archives) -> Self {
        Self { archives, powers: BTreeMap::new() }
    }

    /// With a power more at a site.
    #[must_use]
    pub fn with(mut self, site: SiteId, power: Power) -> Self {
        self.powers.entry(site).or_default().insert(power);
        self
    }

    fn any(&self, sites: &BTreeSet<&SiteId>, is: impl Fn(&Power) -> bool) -> bool {
        let powers = sites.iter().filter_map(|site| self.powers.get(*site)).flatten();
        powers.into_iter().any(is)
    }
}

/// What sites can do, each one including what the ones before it in this list need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Ability {
    /// Put the secret of the set together.
    Combine,
    /// Open an archive: with the secret, an officer's key or a key-encrypting key.
    Open,
    /// Restore: have an archive and open it.
    Restore,
    /// Sign: with a backend on the site, or with what was restored.
    Sign,
}

impl Ability {
    /// All abilities.
    pub const ALL: [Self; 4] = [Self::Combine, Self::Open, Self::Restore, Self::Sign];
}

/// What each site can and cannot do, alone and with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteReport {
    sites: BTreeMap<SiteId, SiteStanding>,
    smallest: BTreeMap<Ability, Vec<BTreeSet<SiteId>>>,
}

/// What one site can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SiteStanding {
    /// What the site can do alone: what is lost to whoever breaks into it.
    pub alone: BTreeSet<Ability>,
    /// What nobody can do without the site: what is lost with it.
    pub needed_for: BTreeSet<Ability>,
}

impl SiteReport {
    /// Looks at each coalition of sites.
    ///
    /// # Errors
    /// Fails if shares and powers are at more than [`Distribution::SITES_MAX`] sites.
    pub fn of(distribution: &Distribution, powers: &SitePowers) -> Result<Self, GeographyError> {
        let mut sites = distribution.sites();
        sites.extend(powers.powers.keys());
        let sites: Vec<&SiteId> = sites.into_iter().collect();
        if sites.len() > Distribution::SITES_MAX {
            return Err(GeographyError::Sites { count: sites.len() });
        }
        let table: Vec<_> = coalitions_of(&sites)
            .map(|members| abilities(distribution, powers, &members.collect()))
            .collect();
        let mut smallest = BTreeMap::new();
        for ability in Ability::ALL {
            smallest.insert(ability, minimal(&sites, &table, ability));
        }
        let standings = sites.iter().map(|site| ((*site).clone(), standing(site, &smallest)));
        Ok(Self { sites: standings.collect(), smallest })
    }

    /// The sites, and how each stands.
    #[must_use]
    pub const fn sites(&self) -> &BTreeMap<SiteId, SiteStanding> {
        &self.sites
    }

    /// The coalitions that can do something and could not without any one of them, smaller ones
    /// first. Empty if all sites together cannot.
    #[must_use]
    pub fn smallest(&self, ability: Ability) -> &[BTreeSet<SiteId>] {
        self.smallest.get(&ability).map_or(&[], Vec::as_slice)
    }

    /// The sites that can do something alone.
    pub fn alone(&self, ability: Ability) -> impl Iterator<Item = &SiteId> {
        let able = move |standing: &SiteStanding| standing.alone.contains(&ability);
        self.sites.iter().filter(move |(_, standing)| able(standing)).map(|(site, _)| site)
    }

    /// Whether these sites together can do something.
    #[must_use]
    pub fn can(&self, sites: &BTreeSet<SiteId>, ability: Ability) -> bool {
        self.smallest(ability).iter().any(|coalition| coalition.is_subset(sites))
    }

    /// The report in words, one line for each ability: `any two of a, b, c restore; no site alone
    /// can restore`.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let line = |ability: Ability| {
            let able = coalitions(ability, self.smallest(ability));
            format!("{able}; {}", alone(ability, &self.alone(ability).collect::<Vec<_>>()))
        };
        Ability::ALL.into_iter().map(line).collect()
    }
}

fn abilities(
    distribution: &Distribution,
    powers: &SitePowers,
    sites: &BTreeSet<&SiteId>,
) -> BTreeSet<Ability> {
    let combine = distribution.recovers(|_, holder| sites.contains(&holder.site));
    let opens = |power: &Power| matches!(power, Power::Kek(_) | Power::Officer(_));
    let open = combine || powers.any(sites, opens);
    let archive = match powers.archives {
        Archives::Everywhere => !sites.is_empty(),
        Archives::Named => powers.any(sites, |power| *power == Power::ArchiveCopy),
    };
    let restore = open && archive;
    let sign = restore || powers.any(sites, |power| matches!(power, Power::Signing(_)));
    let able = [combine, open, restore, sign];
    Ability::ALL
        .into_iter()
        .zip(able)
        .filter(|(_, able)| *able)
        .map(|(ability, _)| ability)
        .collect()
}

/// Every coalition. Its number in this order has the bits of its members.
fn coalitions_of<'a>(
    sites: &[&'a SiteId],
) -> impl Iterator<Item = impl Iterator<Item = &'a SiteId>> {
    let end = bits().nth(sites.len()).unwrap_or(0);
    (0..end).map(move |coalition| members(sites, coalition))
}

fn members<'a>(sites: &[&'a SiteId], coalition: usize) -> impl Iterator<Item = &'a SiteId> {
    bits().zip(sites).filter(move |(bit, _)| coalition & bit != 0).map(|(_, site)| *site)
}

fn bits() -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1_usize), |bit| bit.checked_mul(2))
}

/// The coalitions that are able and are not without any one of their members. What sites can do,
/// more sites can do, so a part that is able shows in a part that lacks one member only.
fn minimal(
    sites: &[&SiteId],
    table: &[BTreeSet<Ability>],
    ability: Ability,
) -> Vec<BTreeSet<SiteId>> {
    let able = |coalition: usize| table.get(coalition).is_some_and(|able| able.contains(&ability));
    let is_minimal = |coalition: &usize| {
        let parts = bits().take(sites.len()).filter(|bit| coalition & bit != 0);
        able(*coalition) && !parts.into_iter().any(|bit| able(coalition & !bit))
    };
    let minimal = (0..table.len()).filter(is_minimal);
    let mut minimal: Vec<BTreeSet<SiteId>> =
        minimal.map(|coalition| members(sites, coalition).cloned().collect()).collect();
    minimal.sort_by_cached_key(|members| (members.len(), members.clone()));
    minimal
}

fn standing(site: &SiteId, smallest: &BTreeMap<Ability, Vec<BTreeSet<SiteId>>>) -> SiteStanding {
    let mut standing = SiteStanding::default();
    for (ability, coalitions) in smallest {
        if coalitions.iter().any(|members| members.len() <= 1 && members.contains(site)) {
            standing.alone.insert(*ability);
        }
        if !coalitions.is_empty() && coalitions.iter().all(|members| members.contains(site)) {
            standing.needed_for.insert(*ability);
        }
    }
    standing
}
