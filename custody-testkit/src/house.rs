//! House tests: the rules of the workspace that a compiler does not check.
//!
//! Each check is a pure function of the tree that was read; it returns what it found and changes
//! nothing. A tree that cannot be read panics, because a check that saw nothing must not pass.

mod arrows;
mod papers;
mod sizes;
mod workspace;

use std::fmt;

pub use arrows::arrows;
pub use papers::{lints, module_files, papers, rust_versions};
pub use sizes::sizes;
pub use workspace::{Member, Workspace};

/// One breach of a house rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    place: String,
    what: String,
}

impl Violation {
    pub(crate) fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }

    /// Where: a package, or a file as a path from the root of the workspace.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What is wrong there.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}
