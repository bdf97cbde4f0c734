use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;
use custody_core::id::CustodianId;
use custody_core::seam::{BackendError, Entropy, ErrorKind};
use custody_core::secret::Secret;

use super::{Address, Packet, Purpose, ShareDesk, SharePlace};
use crate::commitment::{SetId, SharePosition};
use crate::geography::Holder;
use crate::route::{SealedBox, X25519PublicKey, X25519SecretKey};
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
/// [`Self::key`] with the purpose [`Purpose::Reshare`] and its order, once that waits for approvals.
/// The desk passes over packets that were sealed for another purpose, order or set, or do not open,
/// and takes one for each position. A share of another set in a packet that opens is not passed over:
/// the ceremony names it, and fails.
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
    /// Whether something can be sealed to the holder's key.
    fn reaches(&self, holder: &Holder) -> bool {
        let nothing = Secret::new(Vec::new());
        let seal = |key| SealedBox::seal(&key, b"", &nothing, self.entropy.as_ref());
        holder.recipient.is_some_and(|key| seal(key).is_ok())
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
        let mut shares = BTreeMap::new();
        for packet in self.post.received(set, purpose).await? {
            let address = packet.address();
            let is_meant = address.custodian == *custodian
                && address.set == *set
                && address.purpose.as_ref() == Some(purpose);
            // Anybody may leave packets: those that are of no use must not be in the way of others.
            if !is_meant {
                tracing::warn!(share = %address.share, "a packet is for something else");
                continue;
            }
            match packet.open(&self.key) {
                Ok(share) => {
                    shares.entry(SharePosition::claimed(&share)).or_insert(share);
                }
                Err(error) => {
                    tracing::warn!(share = %address.share, %error, "a packet is of no use")
                }
            }
        }
        Ok(shares.into_values().collect())
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
