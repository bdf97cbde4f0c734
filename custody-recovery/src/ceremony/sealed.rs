use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;
use custody_core::id::CustodianId;
use custody_core::seam::{BackendError, Entropy, ErrorKind};

use super::{Address, Packet, Purpose, ShareDesk, SharePlace};
use crate::commitment::SetId;
use crate::geography::Holder;
use crate::route::{X25519PublicKey, X25519SecretKey};
use crate::slip39::Share;

/// Where packets go and come from. They are not secret: a folder, a mailbox, a chat will do.
#[async_trait]
pub trait PacketPost: Debug + Send + Sync {
    /// Sends a packet to a holder, or keeps it until the holder comes.
    ///
    /// # Errors
    /// `Indeterminate` if it may have been sent.
    async fn send(&self, holder: &Holder, packet: &Packet) -> Result<(), BackendError>;

    /// The packets of a set that holders have brought for this purpose.
    ///
    /// # Errors
    /// `Unavailable` if they cannot be had now.
    async fn received(&self, set: &SetId, purpose: &Purpose) -> Result<Vec<Packet>, BackendError>;
}

/// A desk at which every share is sealed to its holder's key, and comes back sealed to the desk's.
///
/// The key of each holder stands in the order, so whoever approves the order approves the key.
///
/// To bring a share for a rotation, its holder opens the own packet, and seals the share to
/// [`Self::key`] with the purpose [`Purpose::Reshare`]. The desk opens no packet that was sealed
/// for another purpose or set.
pub struct SealedDesk {
    post: Arc<dyn PacketPost>,
    key: X25519SecretKey,
    entropy: Arc<dyn Entropy>,
}

impl SealedDesk {
    /// A desk with a key of its own.
    ///
    /// # Security
    /// Make a new key for each ceremony: with it whoever has the packets has the shares that were
    /// brought.
    #[must_use]
    pub const fn new(
        post: Arc<dyn PacketPost>,
        key: X25519SecretKey,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { post, key, entropy }
    }

    /// The key that holders seal to what they bring.
    #[must_use]
    pub fn key(&self) -> X25519PublicKey {
        self.key.public_key()
    }
}

#[async_trait]
impl ShareDesk for SealedDesk {
    fn reaches(&self, holder: &Holder) -> bool {
        holder.recipient.is_some()
    }

    async fn hand_out(&self, place: SharePlace<'_>, share: Share) -> Result<(), BackendError> {
        let refused = || BackendError::new(ErrorKind::Refused, "seal a share");
        let address = Address {
            custodian: *place.custodian,
            set: *place.set,
            share: place.share,
            to: place.holder.recipient.ok_or_else(refused)?,
            purpose: None,
        };
        let packet = Packet::seal(address, &share, self.entropy.as_ref());
        let packet = packet.map_err(|error| refused().with_source(error))?;
        drop(share);
        self.post.send(place.holder, &packet).await
    }

    async fn collect(
        &self,
        custodian: &CustodianId,
        set: &SetId,
        purpose: &Purpose,
    ) -> Result<Vec<Share>, BackendError> {
        let packets = self.post.received(set, purpose).await?;
        let open = |packet: &Packet| {
            let address = packet.address();
            let is_meant = address.custodian == *custodian
                && address.set == *set
                && address.purpose.as_ref() == Some(purpose);
            let refused = || BackendError::new(ErrorKind::Refused, "open a packet");
            if !is_meant {
                return Err(refused());
            }
            packet.open(&self.key).map_err(|error| refused().with_source(error))
        };
        packets.iter().map(open).collect()
    }
}

impl fmt::Debug for SealedDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key();
        f.debug_struct("SealedDesk")
            .field("post", &self.post)
            .field("key", &key)
            .finish_non_exhaustive()
    }
}
