#![doc = include_str!("../README.md")]

pub mod archive;
pub mod ceremony;
mod commitment;
mod copies;
pub mod drill;
mod geography;
pub mod restore;
mod route;
pub mod slip39;

pub use commitment::{
    Challenge, ChallengeNonce, Commitment, CommitmentError, Commitments, Possession, SetId,
    ShareKey, SharePosition,
};
pub use copies::{
    ArchiveSource, Copies, CopiesError, CopyReport, CopyState, Place, PlaceError, PlaceName,
    PlaceNameError, PruneReport, Pruned, object_store,
};
pub use geography::{
    Ability, Archives, Distribution, GeographyError, Group, Holder, Party, Power, SiteId,
    SitePowers, SiteReport, SiteStanding,
};
pub use route::{
    Offer, OfficerKey, Opener, Recipient, RecoveryKey, RouteError, RouteId, RouteKind, Routes,
    RoutesError, X25519KeyError, X25519PublicKey, X25519SecretKey,
};
