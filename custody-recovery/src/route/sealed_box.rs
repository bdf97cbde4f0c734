//! Sealing to an X25519 key by HPKE (RFC 9180). This file opens secrets.

use std::convert::Infallible;
use std::fmt;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{
    Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _, single_shot_open,
    single_shot_seal_with_rng,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use custody_core::bytes::HexBytes;
use custody_core::seam::{Entropy, EntropyError};
use custody_core::secret::Secret;

use super::RouteError;

type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;
type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type Encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey;

/// A public key of X25519 (RFC 7748); its text is 64 characters of lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct X25519PublicKey([u8; 32]);

impl X25519PublicKey {
    /// The key with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for X25519PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "X25519PublicKey({})", hex::encode(self.0))
    }
}

impl Serialize for X25519PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for X25519PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = HexBytes::deserialize(deserializer)?;
        let bytes = bytes.as_bytes().try_into();
        bytes.map(Self).map_err(|_| serde::de::Error::custom("an X25519 key has 32 bytes"))
    }
}

/// A secret key of X25519, wiped when dropped.
pub struct X25519SecretKey(PrivateKey);

impl X25519SecretKey {
    /// Draws a new key.
    ///
    /// # Errors
    /// Fails without entropy.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let material = Secret::try_fill(32, |bytes| entropy.fill(bytes))?;
        Ok(Self::derive(&material))
    }

    /// Reads a key.
    ///
    /// # Errors
    /// Fails on another length than 32 bytes.
    pub fn new(secret: &Secret) -> Result<Self, X25519KeyError> {
        let length = || X25519KeyError::Length { length: secret.len() };
        PrivateKey::from_bytes(secret.expose()).map(Self).map_err(|_| length())
    }

    /// DeriveKeyPair (RFC 9180, section 7.1.3).
    pub(super) fn derive(material: &Secret) -> Self {
        Self(X25519HkdfSha256::derive_keypair(material.expose()).0)
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> X25519PublicKey {
        X25519PublicKey(X25519HkdfSha256::sk_to_pk(&self.0).to_bytes().into())
    }

    /// The bytes, for whoever keeps them.
    ///
    /// # Security
    /// They open every archive that was sealed to the public key.
    #[must_use]
    pub fn to_secret(&self) -> Secret {
        let mut bytes = Zeroizing::new([0; 32]);
        self.0.write_exact(bytes.as_mut_slice());
        Secret::new(bytes.to_vec())
    }
}

impl fmt::Debug for X25519SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X25519SecretKey").finish_non_exhaustive()
    }
}

/// Something sealed to an X25519 key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SealedBox {
    encapsulated: Vec<u8>,
    sealed: Vec<u8>,
}

impl SealedBox {
    /// Seals `plain` to `public_key`, bound to `info`.
    pub(crate) fn seal(
        public_key: &X25519PublicKey,
        info: &[u8],
        plain: &Secret,
        entropy: &dyn Entropy,
    ) -> Result<Self, RouteError> {
        let public_key =
            PublicKey::from_bytes(&public_key.0).map_err(|_| X25519KeyError::NoPublicKey)?;
        let mut drawn = Drawn::from(entropy)?;
        let (encapsulated, sealed) =
            single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
                &OpModeS::Base,
                &public_key,
                info,
                plain.expose(),
                &[],
                &mut drawn,
            )
            .map_err(|_| X25519KeyError::NoPublicKey)?;
        if drawn.is_short {
            return Err(EntropyError::new().into());
        }
        Ok(Self { encapsulated: encapsulated.to_bytes().to_vec(), sealed })
    }

    /// Opens it; none for another key, other `info` and other bytes.
    pub(crate) fn open(&self, secret_key: &X25519SecretKey, info: &[u8]) -> Option<Secret> {
        let encapsulated = Encapsulated::from_bytes(&self.encapsulated).ok()?;
        let opened = single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &secret_key.0,
            &encapsulated,
            info,
            &self.sealed,
            &[],
        );
        opened.ok().map(Secret::new)
    }

    pub(crate) fn into_hex(self) -> (HexBytes, HexBytes) {
        (HexBytes::new(self.encapsulated), HexBytes::new(self.sealed))
    }

    pub(crate) fn from_hex(encapsulated: &HexBytes, sealed: &HexBytes) -> Self {
        let (encapsulated, sealed) = (encapsulated.as_bytes(), sealed.as_bytes());
        Self { encapsulated: encapsulated.to_vec(), sealed: sealed.to_vec() }
    }
}

/// Randomness drawn beforehand, as HPKE's generator cannot fail and the host's can. One ephemeral
/// key takes 32 bytes.
struct Drawn {
    bytes: Zeroizing<[u8; DRAWN]>,
    used: usize,
    /// More was asked for than was drawn.
    is_short: bool,
}

impl Drawn {
    fn from(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = Zeroizing::new([0; DRAWN]);
        entropy.fill(bytes.as_mut_slice())?;
        Ok(Self { bytes, used: 0, is_short: false })
    }

    fn take(&mut self, bytes: &mut [u8]) {
        let end = self.used.saturating_add(bytes.len());
        match self.bytes.get(self.used..end) {
            Some(drawn) => bytes.copy_from_slice(drawn),
            None => self.is_short = true,
        }
        self.used = end;
    }
}

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.take(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.take(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.take(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Drawn {}

/// Why a key of X25519 is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum X25519KeyError {
    /// Nothing can be derived from the secret.
    #[error("no key can be derived from the secret")]
    Derivation,
    /// The secret has another length than the key, or is too short for one.
    #[error("the secret of an X25519 key cannot have {length} bytes")]
    Length {
        /// Length found, in bytes.
        length: usize,
    },
    /// Nothing can be sealed to the bytes: they are of small order.
    #[error("nothing can be sealed to the public key")]
    NoPublicKey,
}

const DRAWN: usize = 64;
