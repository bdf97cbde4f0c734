//! What routes are called.

use std::fmt;

/// What a route opens with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RouteKind {
    /// A key encryption.
    Kek,
    /// An officer's key.
    Officer,
    /// A recovery set.
    Set,
}

impl RouteKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Kek => "kek",
            Self::Officer => "officer",
            Self::Set => "set",
        }
    }
}

/// Which route.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId {
    pub(super) kind: RouteKind,
    pub(super) id: Box<str>,
}

impl RouteId {
    /// What it opens with.
    #[must_use]
    pub const fn kind(&self) -> RouteKind {
        self.kind
    }

    /// The id of the key encryption, officer or set.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.id)
    }
}
