//! A set as an order asks for it.
//!
//! Invariant: what new shares follow is checked before the first one goes out, and again where the
//! log is folded.

use custody_core::id::PrincipalId;

use super::{CeremonyRecord, Confirmations, Refusal, Replace, Rotate, SetReference, Split};
use crate::geography::{Distribution, Group};

/// A set that is to be made.
pub(super) struct Plan {
    pub(super) follows: Option<Follows>,
    pub(super) distribution: Distribution,
    pub(super) confirmations: Confirmations,
}

/// Which set gets new shares, and who leaves if nothing else changes.
pub(super) struct Follows {
    pub(super) from: SetReference,
    leaving: Option<PrincipalId>,
}

impl Plan {
    pub(super) fn from(&self) -> Option<&SetReference> {
        self.follows.as_ref().map(|follows| &follows.from)
    }

    /// Whether the order describes the set that it follows as its record does, and changes what it
    /// may.
    pub(super) fn check(&self, old: &CeremonyRecord) -> Result<(), Refusal> {
        let Some(Follows { from, leaving }) = &self.follows else { return Ok(()) };
        if old.reference() != *from {
            return Err(Refusal::OtherReference { set: from.set });
        }
        let Some(leaving) = leaving else { return Ok(()) };
        let is_same = old.confirmations == self.confirmations
            && only_leaves(leaving, &old.distribution, &self.distribution);
        if is_same { Ok(()) } else { Err(Refusal::MoreThanOneHolder) }
    }
}

impl From<Split> for Plan {
    fn from(Split { distribution, confirmations, .. }: Split) -> Self {
        Self { follows: None, distribution, confirmations }
    }
}

impl From<Rotate> for Plan {
    fn from(Rotate { from, distribution, confirmations, .. }: Rotate) -> Self {
        Self { follows: Some(Follows { from, leaving: None }), distribution, confirmations }
    }
}

impl From<Replace> for Plan {
    fn from(Replace { from, leaving, distribution, confirmations, .. }: Replace) -> Self {
        let follows = Follows { from, leaving: Some(leaving) };
        Self { follows: Some(follows), distribution, confirmations }
    }
}

/// Whether all that changes is that one other person has each share of the one who leaves.
fn only_leaves(leaving: &PrincipalId, old: &Distribution, new: &Distribution) -> bool {
    let shape = |distribution: &Distribution| -> Vec<(u8, usize)> {
        let group = |group: &Group| (group.threshold, group.holders.len());
        distribution.groups().iter().map(group).collect()
    };
    if old.group_threshold() != new.group_threshold() || shape(old) != shape(new) {
        return false;
    }
    let pairs = || old.holders().zip(new.holders()).map(|((_, old), (_, new))| (old, new));
    let mut comers = pairs().filter(|(old, _)| old.principal == *leaving);
    let Some((_, comer)) = comers.next() else { return false };
    let is_other = comer.principal != *leaving;
    let has_all = comers.all(|(_, new)| new.principal == comer.principal);
    let mut stayers = pairs().filter(|(old, _)| old.principal != *leaving);
    is_other && has_all && stayers.all(|(old, new)| old == new)
}
