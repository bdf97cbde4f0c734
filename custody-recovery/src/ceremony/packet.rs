//! Shares on their way, sealed to whom they are for. This file opens secrets.
//!
//! A packet is HPKE (RFC 9180) in base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and
//! ChaCha20Poly1305. The info is a digest of custodian, set, share, recipient and purpose under the
//! tag `custody/share/packet/v1`. What is sealed are the words of the share, filled up to a
//! multiple of 512 bytes, so that the length of a packet tells nothing about them.

use custody_core::bytes::HexBytes;
use custody_core::digest::Digest;
use custody_core::document::{DocumentError, V1, parse};
use custody_core::id::CustodianId;
use custody_core::seam::Entropy;
use custody_core::secret::Secret;
use serde::{Deserialize, Serialize};

use super::Purpose;
use super::document::to_bytes;
use crate::commitment::{SetId, SharePosition};
use crate::route::{SealedBox, X25519PublicKey, X25519SecretKey};
use crate::slip39::Share;

/// A share on its way: may be sent anywhere and kept anywhere, and opens for its recipient only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packet {
    v: V1,
    address: Address,
    encapsulated: HexBytes,
    sealed: HexBytes,
}

/// What a packet says in the clear, and what its seal covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "holders read it and build it")]
pub struct Address {
    /// The custodian.
    pub custodian: CustodianId,
    /// The set.
    pub set: SetId,
    /// The share.
    pub share: SharePosition,
    /// Whom it is for.
    pub to: X25519PublicKey,
    /// What it is brought for; none on its way to its holder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
}

impl Packet {
    /// Seals a share.
    ///
    /// # Errors
    /// Fails without entropy and on a key that is none.
    ///
    /// # Security
    /// Whoever has the private key of `address.to` has the share.
    pub fn seal(
        address: Address,
        share: &Share,
        entropy: &dyn Entropy,
    ) -> Result<Self, PacketError> {
        let info = address.info()?;
        let sealed = SealedBox::seal(&address.to, &info, &padded(&share.to_words())?, entropy);
        let (encapsulated, sealed) = sealed.map_err(|_| PacketError::Seal)?.into_hex();
        Ok(Self { v: V1, address, encapsulated, sealed })
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// Fails on anything else, and on more than 64 KiB.
    pub fn read(bytes: &[u8]) -> Result<Self, PacketError> {
        if bytes.len() > Self::MAX {
            return Err(PacketError::Length { length: bytes.len() });
        }
        Ok(parse(bytes)?)
    }

    /// What it says in the clear.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// The packet as it is sent.
    ///
    /// # Errors
    /// Fails if it cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PacketError> {
        Ok(to_bytes(self)?)
    }

    /// Opens the packet. The holder then holds the share against the commitment in the ceremony's
    /// record.
    ///
    /// # Errors
    /// Fails with one opaque variant if it is not for this key or was changed; and if what is
    /// inside is no share.
    pub fn open(&self, key: &X25519SecretKey) -> Result<Share, PacketError> {
        let sealed = SealedBox::from_hex(&self.encapsulated, &self.sealed);
        let opened = sealed.open(key, &self.address.info()?).ok_or(PacketError::Open)?;
        let words = unpadded(&opened).ok_or(PacketError::Content)?;
        Share::parse(&words).map_err(|_| PacketError::Content)
    }

    const MAX: usize = 64 * 1024;
}

impl Address {
    fn info(&self) -> Result<Vec<u8>, PacketError> {
        let purpose = to_bytes(&self.purpose)?;
        let fields: [&[u8]; 6] = [
            self.custodian.digest().as_bytes(),
            self.set.digest().as_bytes(),
            &[self.share.group],
            &[self.share.member],
            self.to.as_bytes(),
            &purpose,
        ];
        Ok(Digest::tagged("custody/share/packet/v1", &fields).as_bytes().to_vec())
    }
}

/// Length in two bytes, words, zeros.
fn padded(words: &Secret) -> Result<Secret, PacketError> {
    let length = u16::try_from(words.len()).map_err(|_| PacketError::Seal)?;
    let whole = words.len().saturating_add(2).next_multiple_of(STEP);
    let mut bytes = Vec::with_capacity(whole);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(words.expose());
    bytes.resize(whole, 0);
    Ok(Secret::new(bytes))
}

fn unpadded(opened: &Secret) -> Option<Secret> {
    let (length, rest) = opened.expose().split_first_chunk()?;
    let words = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
    Some(Secret::new(words.to_vec()))
}

/// Why a packet was not sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// What is inside is no share.
    #[error("what is inside is no share")]
    Content,
    /// It is no packet.
    #[error("it is no packet")]
    Document(#[from] DocumentError),
    /// It is too long.
    #[error("a packet has at most 65536 bytes, not {length}")]
    Length {
        /// Length found, in bytes.
        length: usize,
    },
    /// It is not for this key, or was changed.
    #[error("the packet does not open")]
    Open,
    /// The share cannot be sealed: there is no entropy, or the key is none.
    #[error("the share cannot be sealed")]
    Seal,
}

/// Packets have one of few lengths.
const STEP: usize = 512;
