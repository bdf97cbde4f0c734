//! The life of a key: the six states of NIST SP 800-57 part 1 revision 5, section 7, and what each
//! allows.
//!
//! Invariant: one table says which state follows which, and one which operation a state allows;
//! nothing else in this crate decides either.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A state of a key (NIST SP 800-57 part 1 revision 5, section 7.1), in the order of its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the standard has six states")]
pub enum KeyState {
    /// Made, not yet authorised for use.
    PreActivation,
    /// In use.
    Active,
    /// Out of use for a while.
    Suspended,
    /// Out of use for good; may still sweep to its successor.
    Deactivated,
    /// Known or suspected to be known to others.
    Compromised,
    /// Gone.
    Destroyed,
}

/// What somebody wants to do with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "these are the uses of a signing key")]
pub enum KeyOperation {
    /// Sign whatever the rules allow.
    Sign,
    /// Sign a transfer to another account of the same wallet.
    Sweep,
    /// Verify signatures made earlier.
    Verify,
}

impl KeyState {
    /// All states, in the order of a key's life.
    pub const ALL: [Self; 6] = [
        Self::PreActivation,
        Self::Active,
        Self::Suspended,
        Self::Deactivated,
        Self::Compromised,
        Self::Destroyed,
    ];

    /// Whether `next` may follow this state.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::PreActivation, Self::Active | Self::Compromised | Self::Destroyed)
                | (Self::Active, Self::Suspended | Self::Deactivated | Self::Compromised)
                | (Self::Suspended, Self::Active | Self::Deactivated | Self::Compromised)
                | (Self::Deactivated, Self::Compromised | Self::Destroyed)
                | (Self::Compromised, Self::Destroyed)
        )
    }

    /// Whether assets may be sent to the key's account as to one of the house's own: its key is not
    /// out of use for good, nor known to others.
    #[must_use]
    pub const fn may_receive(self) -> bool {
        matches!(self, Self::PreActivation | Self::Active | Self::Suspended)
    }

    /// Whether this state allows the operation.
    #[must_use]
    pub const fn allows(self, operation: KeyOperation) -> bool {
        match operation {
            KeyOperation::Sign => matches!(self, Self::Active),
            KeyOperation::Sweep => matches!(self, Self::Active | Self::Deactivated),
            KeyOperation::Verify => !matches!(self, Self::PreActivation),
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PreActivation => "pre-activation",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deactivated => "deactivated",
            Self::Compromised => "compromised",
            Self::Destroyed => "destroyed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_36_pairs_of_states_is_allowed_or_refused_by_the_table() {
        const TABLE: [[bool; 6]; 6] = [
            // to: pre, active, suspended, deactivated, compromised, destroyed
            [false, true, false, false, true, true],
            [false, false, true, true, true, false],
            [false, true, false, true, true, false],
            [false, false, false, false, true, true],
            [false, false, false, false, false, true],
            [false, false, false, false, false, false],
        ];
        for (from, row) in KeyState::ALL.iter().zip(TABLE) {
            for (to, allowed) in KeyState::ALL.iter().zip(row) {
                assert_eq!(from.may_become(*to), allowed, "{from} to {to}");
            }
        }
    }

    #[test]
    fn only_an_active_key_signs_and_only_a_deactivated_one_also_sweeps() {
        for state in KeyState::ALL {
            let active = state == KeyState::Active;
            assert_eq!(state.allows(KeyOperation::Sign), active, "{state}");
            let sweeps = active || state == KeyState::Deactivated;
            assert_eq!(state.allows(KeyOperation::Sweep), sweeps, "{state}");
        }
    }
}
