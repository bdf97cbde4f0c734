//! Where shares leave, and what is remembered of it: what a host gives to ceremonies.

use std::fmt::Debug;

use async_trait::async_trait;
use custody_core::id::CustodianId;
use custody_core::seam::BackendError;

use super::Purpose;
use crate::commitment::{SetId, SharePosition};
use crate::geography::Holder;
use crate::slip39::Share;

/// The one place where shares leave a ceremony and come back to one.
///
/// A call ends within the time that the custodian gives a command, so a desk hands over and does
/// not wait for people: what people bring must be there before the order is allowed.
///
/// # Security
/// A desk sees shares in the clear. It must keep none, and log none.
#[async_trait]
pub trait ShareDesk: Debug + Send + Sync {
    /// Whether a share can be handed to this holder at all. Pure: it is asked before anything is
    /// done.
    fn reaches(&self, holder: &Holder) -> bool;

    /// Hands a share to its holder, or to what surely brings it there.
    ///
    /// # Errors
    /// `Indeterminate` if the holder may have it.
    async fn hand_out(&self, place: SharePlace<'_>, share: Share) -> Result<(), BackendError>;

    /// The shares of a set that their holders have brought for this purpose.
    ///
    /// # Errors
    /// `Unavailable` if they cannot be had now.
    async fn collect(
        &self,
        custodian: &CustodianId,
        set: &SetId,
        purpose: &Purpose,
    ) -> Result<Vec<Share>, BackendError>;
}

/// Which share goes to whom.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "desks take it apart")]
pub struct SharePlace<'a> {
    /// The custodian.
    pub custodian: &'a CustodianId,
    /// The set.
    pub set: &'a SetId,
    /// Which share of it.
    pub share: SharePosition,
    /// Its holder.
    pub holder: &'a Holder,
}

/// Remembers which sets were begun and which were finished, so that a ceremony is held once.
///
/// It keeps nothing secret.
#[async_trait]
pub trait Journal: Debug + Send + Sync {
    /// Notes that a set is being made; durable on return. Of several calls for a set one at most
    /// may be told that it is the first.
    ///
    /// # Errors
    /// Whatever the kind, the ceremony does not begin, and its order is unknown: an earlier run may
    /// have begun it.
    async fn begin(&self, set: &SetId) -> Result<Begun, BackendError>;

    /// Keeps the record of a set whose shares are handed out; durable on return.
    ///
    /// # Errors
    /// Whatever the kind, the set does not count.
    async fn finish(&self, set: &SetId, record: &[u8]) -> Result<(), BackendError>;

    /// The record of a set; none if the set is not done.
    ///
    /// # Errors
    /// Whatever the kind, the set gets no new shares.
    async fn record(&self, set: &SetId) -> Result<Option<Vec<u8>>, BackendError>;
}

/// How far a set had come before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a set is new, broken off or done")]
pub enum Begun {
    /// It was begun before and has no record: some of its shares may be out, and it is void.
    BrokenOff,
    /// It is done; this is its record.
    Done(Vec<u8>),
    /// It is new.
    First,
}
