//! What places have.

use std::fmt;

use custody_core::time::Timestamp;

use super::place::PlaceName;

/// What a place has of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopyState {
    /// The copy was read and is what was written.
    Good,
    /// There is something under its name that is not what was written.
    Damaged,
    /// There is no archive at all.
    Missing,
    /// There are other archives only.
    Stale {
        /// When the newest of them was made, as its name says.
        newest: Timestamp,
    },
    /// The place does not answer, or refuses.
    Unreachable,
}

impl fmt::Display for CopyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => f.write_str("good"),
            Self::Damaged => f.write_str("damaged"),
            Self::Missing => f.write_str("missing"),
            Self::Stale { newest } => write!(f, "stale, the newest is of {newest}"),
            Self::Unreachable => f.write_str("unreachable"),
        }
    }
}

/// What each place has of an archive. A fact for the host: whatever is not good wants looking after.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct CopyReport(Vec<(PlaceName, CopyState)>);

impl CopyReport {
    pub(super) const fn new(states: Vec<(PlaceName, CopyState)>) -> Self {
        Self(states)
    }

    /// What each place has, in the order of the places.
    pub fn states(&self) -> impl Iterator<Item = (&PlaceName, CopyState)> {
        self.0.iter().map(|(name, state)| (name, *state))
    }

    /// What one place has; none if there is no such place.
    #[must_use]
    pub fn state(&self, place: &PlaceName) -> Option<CopyState> {
        self.states().find(|(name, _)| *name == place).map(|(_, state)| state)
    }

    /// How many good copies there are.
    #[must_use]
    pub fn good(&self) -> usize {
        self.states().filter(|(_, state)| *state == CopyState::Good).count()
    }

    /// Whether every place has a good copy.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.good() == self.0.len()
    }

    /// The places without a good copy.
    pub fn faulty(&self) -> impl Iterator<Item = &PlaceName> {
        self.states().filter(|(_, state)| *state != CopyState::Good).map(|(name, _)| name)
    }
}

impl fmt::Display for CopyReport {
    /// Writes a line for each place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.states().try_for_each(|(name, state)| writeln!(f, "{name}: {state}"))
    }
}

/// What became of older copies in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pruned {
    /// So many were deleted.
    Deleted {
        /// How many.
        copies: usize,
    },
    /// There are fewer good copies than are to be kept: nothing was deleted.
    TooFew {
        /// How many good ones there are.
        good: usize,
    },
    /// The place does not answer, or refuses: nothing, or not everything, was deleted.
    Unreachable,
}

/// What became of older copies in each place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct PruneReport(Vec<(PlaceName, Pruned)>);

impl PruneReport {
    pub(super) const fn new(places: Vec<(PlaceName, Pruned)>) -> Self {
        Self(places)
    }

    /// What became of them in each place, in the order of the places.
    pub fn places(&self) -> impl Iterator<Item = (&PlaceName, Pruned)> {
        self.0.iter().map(|(name, pruned)| (name, *pruned))
    }
}
