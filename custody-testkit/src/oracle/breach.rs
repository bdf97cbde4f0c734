use std::fmt;

/// What must hold, whatever fails; the numbers are those of the table in SECURITY.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Invariant {
    /// 1: what is released has a durable and sealed reservation, and such an outcome.
    Durable,
    /// 2: window sums stay within the limits.
    Limits,
    /// 3: one request is one submission, one order and at most one set of signatures.
    OneRequest,
    /// 4: what counted were enough approvals of distinct people, unexpired.
    Approvals,
    /// 5: the log only grows, and there is one root for a size.
    Log,
    /// 6: keys move only as the standard lets them.
    Keys,
    /// 7: every signature verifies over bytes decoded again.
    Signatures,
    /// 8: what is replayed comes out as it was.
    Replay,
    /// 10: what was answered stays so.
    Answers,
    /// 11: what was answered as frozen stays frozen until a thaw is asked for, and what is frozen
    /// lets no payload go on.
    Freezes,
}

impl Invariant {
    /// The breach of this invariant by `what`.
    #[must_use]
    pub fn broken(self, what: impl Into<String>) -> Breach {
        Breach { invariant: self, what: what.into() }
    }
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Breach {
    invariant: Invariant,
    what: String,
}

impl Breach {
    /// Which one.
    #[must_use]
    pub const fn invariant(&self) -> Invariant {
        self.invariant
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.what)
    }
}
