//! Why an archive key is not wrapped or not got back.

use std::fmt;

use custody_core::seam::{BackendError, EntropyError};

use super::id::{RouteId, RouteKind};
use super::sealed_box::X25519KeyError;

/// Why an archive key was not wrapped or not got back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// A key encryption failed.
    #[error("a key encryption failed")]
    Backend(#[from] BackendError),
    /// There was no entropy.
    #[error("no entropy to seal with")]
    Entropy(#[from] EntropyError),
    /// A public key is of no use.
    #[error("a public key is of no use")]
    PublicKey(#[from] X25519KeyError),
    /// The routes do not go together.
    #[error("the routes do not go together")]
    Routes(#[from] RoutesError),
    /// None of the archive's routes opens with this.
    #[error(
        "no route of the archive opens with this {}; it offers {offered} (a wrong passphrase of a \
         SLIP-39 set gives another secret and no error, and looks like this too)",
        tried.as_str()
    )]
    WrongRoute {
        /// What was tried.
        tried: RouteKind,
        /// What the archive offers.
        offered: Offer,
    },
}

/// The routes that an archive offers, as its header says, which was not authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it is a list with a text")]
pub struct Offer(pub Vec<RouteId>);

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, id) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{id}")?;
        }
        Ok(())
    }
}

/// Why routes do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoutesError {
    /// There are none or too many.
    #[error("an archive has 1 to 32 routes, not {count}")]
    Count {
        /// How many, counted to 33.
        count: usize,
    },
    /// What a route holds has a length that it cannot have.
    #[error("the route {id} holds something of a length that it cannot have")]
    Length {
        /// Which.
        id: RouteId,
    },
    /// A route stands twice.
    #[error("the route {id} stands twice")]
    Twice {
        /// Which.
        id: RouteId,
    },
}
