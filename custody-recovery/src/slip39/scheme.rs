//! How a secret is split: groups, members and how many of them are needed.

use super::share::Parameters;

/// How many members a group has, and how many of them are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupScheme {
    threshold: u8,
    count: u8,
}

impl GroupScheme {
    /// A group of `count` members, at most 16, of whom `threshold` are needed.
    ///
    /// # Errors
    /// Fails if no members are needed, or more than there are, or if there are more than 16. Fails
    /// if one of several is needed: all would hold the same words, and nobody could say whose were
    /// found (SLIP-39, "Generating the shares"). Make a group of one for each of them instead.
    pub const fn new(threshold: u8, count: u8) -> Result<Self, SchemeError> {
        if threshold == 0 || threshold > count {
            return Err(SchemeError::Threshold { threshold, count });
        }
        if count > COUNT_MAX {
            return Err(SchemeError::Count { count: count as usize });
        }
        if threshold == 1 && count > 1 {
            return Err(SchemeError::SameForAll { count });
        }
        Ok(Self { threshold, count })
    }

    /// How many members are needed.
    #[must_use]
    pub const fn threshold(&self) -> u8 {
        self.threshold
    }

    /// How many members there are.
    #[must_use]
    pub const fn count(&self) -> u8 {
        self.count
    }
}

/// How a secret is split among groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheme {
    group_threshold: u8,
    groups: Vec<GroupScheme>,
    iteration_exponent: u8,
    is_extendable: bool,
}

impl Scheme {
    /// A scheme of these groups, at most 16, of which `group_threshold` are needed. The set is
    /// extendable and has the iteration exponent 1, as those of other wallets.
    ///
    /// # Errors
    /// Fails if no groups are needed, or more than there are, or if there are more than 16.
    pub fn new(group_threshold: u8, groups: Vec<GroupScheme>) -> Result<Self, SchemeError> {
        let too_many = SchemeError::Count { count: groups.len() };
        let count = u8::try_from(groups.len()).ok().filter(|count| *count <= COUNT_MAX);
        let count = count.ok_or(too_many)?;
        if group_threshold == 0 || group_threshold > count {
            return Err(SchemeError::Threshold { threshold: group_threshold, count });
        }
        Ok(Self { group_threshold, groups, iteration_exponent: 1, is_extendable: true })
    }

    /// With another iteration exponent, 0 to 15: the passphrase is stretched with 10,000 iterations
    /// of PBKDF2, doubled so many times.
    ///
    /// # Errors
    /// Fails for an exponent over 15.
    ///
    /// # Security
    /// The exponent is all that makes it slow to guess a passphrase for whoever has enough shares.
    /// At 15 a guess, and each recovery, takes minutes.
    pub fn iteration_exponent(self, exponent: u8) -> Result<Self, SchemeError> {
        if exponent > EXPONENT_MAX {
            return Err(SchemeError::IterationExponent { exponent });
        }
        Ok(Self { iteration_exponent: exponent, ..self })
    }

    /// With the extendable flag or without. Later sets of the same secret and passphrase decrypt to
    /// the same secret under every passphrase, also under a wrong one, if the flag is set; without
    /// it only under the right one. Old wallets read only sets without.
    #[must_use]
    pub fn extendable(self, is_extendable: bool) -> Self {
        Self { is_extendable, ..self }
    }

    /// How many groups are needed.
    #[must_use]
    pub const fn group_threshold(&self) -> u8 {
        self.group_threshold
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &[GroupScheme] {
        &self.groups
    }

    /// What the shares of a set of this scheme have in common.
    pub(crate) fn parameters(&self, identifier: u16) -> Parameters {
        Parameters {
            identifier,
            is_extendable: self.is_extendable,
            iteration_exponent: self.iteration_exponent,
            group_threshold: self.group_threshold,
            group_count: u8::try_from(self.groups.len()).unwrap_or(COUNT_MAX),
        }
    }
}

/// Why there is no such scheme.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemeError {
    /// There are too many members or groups.
    #[error(
        "a set has at most {COUNT_MAX} groups with at most {COUNT_MAX} members each, not {count}"
    )]
    Count {
        /// How many there are.
        count: usize,
    },
    /// The iteration exponent is too large.
    #[error("an iteration exponent is at most {EXPONENT_MAX}, not {exponent}")]
    IterationExponent {
        /// The exponent.
        exponent: u8,
    },
    /// One of several members is needed, who would all hold the same words.
    #[error("{count} members of whom one is needed would all hold the same words")]
    SameForAll {
        /// How many there are.
        count: u8,
    },
    /// None are needed, or more than there are.
    #[error("{threshold} of {count} cannot be needed")]
    Threshold {
        /// How many are needed.
        threshold: u8,
        /// How many there are.
        count: u8,
    },
}

const COUNT_MAX: u8 = 16;
const EXPONENT_MAX: u8 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_needs_some_of_its_members() {
        let threshold = |threshold, count| Err(SchemeError::Threshold { threshold, count });
        assert_eq!(GroupScheme::new(0, 0), threshold(0, 0));
        assert_eq!(GroupScheme::new(0, 3), threshold(0, 3));
        assert_eq!(GroupScheme::new(4, 3), threshold(4, 3));
        assert_eq!(GroupScheme::new(2, 17), Err(SchemeError::Count { count: 17 }));
        assert_eq!(GroupScheme::new(1, 2), Err(SchemeError::SameForAll { count: 2 }));
        for (threshold, count) in [(1, 1), (2, 2), (2, 16), (16, 16)] {
            let group = GroupScheme::new(threshold, count).unwrap();
            assert_eq!((group.threshold(), group.count()), (threshold, count));
        }
    }

    #[test]
    fn a_scheme_needs_some_of_its_groups() {
        let group = GroupScheme::new(2, 3).unwrap();
        let threshold = |threshold, count| Err(SchemeError::Threshold { threshold, count });
        assert_eq!(Scheme::new(0, Vec::new()), threshold(0, 0));
        assert_eq!(Scheme::new(1, Vec::new()), threshold(1, 0));
        assert_eq!(Scheme::new(0, vec![group]), threshold(0, 1));
        assert_eq!(Scheme::new(2, vec![group]), threshold(2, 1));
        assert_eq!(Scheme::new(2, vec![group; 17]), Err(SchemeError::Count { count: 17 }));
        assert_eq!(Scheme::new(2, vec![group; 300]), Err(SchemeError::Count { count: 300 }));
        assert_eq!(Scheme::new(16, vec![group; 16]).unwrap().groups().len(), 16);
    }

    #[test]
    fn an_iteration_exponent_has_four_bits() {
        let scheme = || Scheme::new(1, vec![GroupScheme::new(2, 3).unwrap()]).unwrap();
        let error = SchemeError::IterationExponent { exponent: 16 };
        assert_eq!(scheme().iteration_exponent(16), Err(error));
        assert_eq!(scheme().iteration_exponent(15).unwrap().parameters(1).iteration_exponent, 15);
    }

    #[test]
    fn a_set_is_extendable_and_of_exponent_one_if_nothing_else_is_said() {
        let scheme = Scheme::new(1, vec![GroupScheme::new(2, 3).unwrap()]).unwrap();
        let parameters = scheme.parameters(7);
        assert!(parameters.is_extendable);
        assert_eq!((parameters.identifier, parameters.iteration_exponent), (7, 1));
        assert!(!scheme.extendable(false).parameters(7).is_extendable);
    }
}
