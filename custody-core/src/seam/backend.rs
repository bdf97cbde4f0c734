use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::error::seam_error;
use super::key::{
    DerivationPath, ExtendedPublicKey, KeyHandle, KeyRecord, KeyRequest, NewKey, NewSeed,
    SeedRecord, SeedRequest,
};
use crate::crypto::{Algorithm, PublicKey, SignInput, Signature};
use crate::id::{BackendId, BackendIdentity, KekId};
use crate::secret::Secret;

seam_error! {
    /// A backend failed.
    BackendError, "the backend"
}

/// Where keys live.
///
/// A backend is stateless: what it needs to find a key again is the key's handle, which the
/// custodian keeps. It must bind custodian, wallet and key id into whatever it creates, where the
/// technology allows it, and must refuse a handle that was made for others.
#[async_trait]
pub trait KeyBackend: Debug + Send + Sync {
    /// The host's name for it.
    fn id(&self) -> &BackendId;

    /// What it is (KEK fingerprint, token serial, KMS account and region). Registered by an order;
    /// must be the same for as long as its handles open.
    fn identity(&self) -> &BackendIdentity;

    /// The algorithms it can generate keys for. It must refuse the others as `Unsupported`.
    fn algorithms(&self) -> &[Algorithm];

    /// Whether nobody outside this process can see a key being used. Then an open key may sign an
    /// allowed order before its reservation is durable; what it signed is released no earlier.
    fn in_process(&self) -> bool;

    /// Makes a new key. Where the key outlives the call (HSM, KMS), a second call with the same key
    /// id must return the same key. Two key ids must never share a key.
    ///
    /// # Errors
    /// `Unsupported` for an algorithm it has not, and the kinds of [`super::ErrorKind`].
    async fn generate(&self, request: &KeyRequest) -> Result<NewKey, BackendError>;

    /// Opens a key for signing. Must refuse (`Corrupt`) if the opened key's public key is not the
    /// recorded one, or if the handle was made for another custodian, wallet or key.
    ///
    /// # Errors
    /// `Corrupt` as above, `NotFound` for a handle without a key, and the other kinds.
    async fn signer(&self, key: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError>;

    /// Whether it can serve now.
    async fn health(&self) -> Health;

    /// Derivation of keys from seeds.
    fn derivation(&self) -> Option<&dyn KeyDerivation> {
        None
    }

    /// Import of existing keys.
    fn import(&self) -> Option<&dyn KeyImport> {
        None
    }

    /// Backup of a key under another key.
    fn wrapping(&self) -> Option<&dyn KeyWrapping> {
        None
    }

    /// Sealing keys and seeds anew.
    fn resealing(&self) -> Option<&dyn KeyResealing> {
        None
    }

    /// Switching keys off and on, and destroying them.
    fn switch(&self) -> Option<&dyn KeySwitch> {
        None
    }

    /// Encryption of data keys.
    fn kek(&self) -> Option<Arc<dyn KeyEncryption>> {
        None
    }

    /// Proof of where a key lives.
    fn attestation(&self) -> Option<&dyn Attestation> {
        None
    }
}

/// One key that signs; software, HSM, KMS and threshold alike.
#[async_trait]
pub trait Signer: Debug + Send + Sync {
    /// The key's algorithm.
    fn algorithm(&self) -> Algorithm;

    /// The key's public key.
    fn public_key(&self) -> &PublicKey;

    /// Signs. The signature must verify under [`Self::public_key`]; ECDSA may come with high s in
    /// bytes that are read by [`Signature::from_bytes`] or [`Signature::from_der`].
    ///
    /// # Errors
    /// `Unsupported` for an input the algorithm does not sign; `Corrupt` for an answer that is no
    /// signature, such as a truncated or empty one: the key is then suspended; `Indeterminate`
    /// whenever a signature may exist that was not returned; else the kinds of
    /// [`super::ErrorKind`].
    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError>;
}

/// Seeds and the keys below them.
#[async_trait]
pub trait KeyDerivation: Debug + Send + Sync {
    /// Makes a new seed.
    ///
    /// # Errors
    /// The kinds of [`super::ErrorKind`].
    async fn generate_seed(&self, request: &SeedRequest) -> Result<NewSeed, BackendError>;

    /// Derives a key: BIP-32 for ECDSA and BIP-340 over secp256k1, SLIP-10 for Ed25519. The same
    /// seed, path and algorithm must give the same public key.
    ///
    /// # Errors
    /// `Unsupported` for an algorithm or path that cannot be derived, `Corrupt` for a seed made for
    /// another custodian, wallet or key id, else the kinds of [`super::ErrorKind`].
    async fn derive(
        &self,
        seed: &SeedRecord,
        path: &DerivationPath,
        request: &KeyRequest,
    ) -> Result<NewKey, BackendError>;

    /// The extended public key at `path` (BIP-32). What is below it by unhardened steps must be the
    /// public keys that [`Self::derive`] gives for ECDSA over secp256k1.
    ///
    /// # Errors
    /// `Unsupported` if such keys are not derived, `Corrupt` for a seed made for another custodian,
    /// wallet or key id, else the kinds of [`super::ErrorKind`].
    async fn extended_public_key(
        &self,
        seed: &SeedRecord,
        path: &DerivationPath,
    ) -> Result<ExtendedPublicKey, BackendError>;
}

/// Import of existing keys and seeds.
#[async_trait]
pub trait KeyImport: Debug + Send + Sync {
    /// Takes over a private key: 32 bytes, big-endian scalar or Ed25519 seed.
    ///
    /// # Errors
    /// `Refused` for bytes that are not a private key of the algorithm.
    async fn import_key(&self, request: &KeyRequest, key: Secret) -> Result<NewKey, BackendError>;

    /// Takes over a seed: 16 to 64 bytes as BIP-32 reads them.
    ///
    /// # Errors
    /// `Refused` for a seed of another length.
    async fn import_seed(
        &self,
        request: &SeedRequest,
        seed: Secret,
    ) -> Result<NewSeed, BackendError>;
}

/// Backup of keys whose template allowed it at creation.
#[async_trait]
pub trait KeyWrapping: Debug + Send + Sync {
    /// The key encrypted under the key that `under` names.
    ///
    /// # Errors
    /// `Refused` for a key created as not exportable.
    async fn wrap(&self, key: &KeyRecord, under: &KekId) -> Result<Vec<u8>, BackendError>;

    /// Brings a wrapped key back; the public key must be the recorded one.
    ///
    /// # Errors
    /// `Corrupt` if the wrapped bytes do not open or are another key.
    async fn unwrap(
        &self,
        key: &KeyRecord,
        wrapped: &[u8],
        under: &KekId,
    ) -> Result<KeyHandle, BackendError>;
}

/// Sealing keys and seeds anew, under a fresh data key and the key-encrypting key that the backend
/// has now.
///
/// A new handle must open the same key or seed without any earlier key-encrypting key. The old
/// handle must go on opening it for as long as the backend is given the key-encrypting key that it
/// was sealed under, so that a new handle that nobody records is lost without harm and a call can
/// be made again. Each call must refuse (`Corrupt`) what was made for another custodian, wallet or
/// key, and a key whose public key is not the recorded one.
#[async_trait]
pub trait KeyResealing: Debug + Send + Sync {
    /// A new handle of a key.
    ///
    /// # Errors
    /// `Corrupt` as above and for a handle whose key-encrypting key is not there, `NotFound` for a
    /// handle without a key, and the other kinds of [`super::ErrorKind`].
    async fn reseal_key(&self, key: &KeyRecord) -> Result<KeyHandle, BackendError>;

    /// A new handle of a seed.
    ///
    /// # Errors
    /// As for [`Self::reseal_key`].
    async fn reseal_seed(&self, seed: &SeedRecord) -> Result<KeyHandle, BackendError>;
}

/// Switching keys off and on at the backend itself.
///
/// The custodian has keys switched off that it does not sign with, and asks for it again at every
/// start; before a key is active again it has it switched on.
#[async_trait]
pub trait KeySwitch: Debug + Send + Sync {
    /// Makes the key unusable until enabled. Idempotent. A key whose destruction is scheduled is
    /// unusable already, and may be refused.
    ///
    /// # Errors
    /// The kinds of [`super::ErrorKind`].
    async fn disable(&self, key: &KeyRecord) -> Result<(), BackendError>;

    /// Makes the key usable. Idempotent.
    ///
    /// # Errors
    /// The kinds of [`super::ErrorKind`].
    async fn enable(&self, key: &KeyRecord) -> Result<(), BackendError>;

    /// Destroys the key, or schedules its destruction. Idempotent.
    ///
    /// # Errors
    /// The kinds of [`super::ErrorKind`].
    async fn destroy(&self, key: &KeyRecord) -> Result<(), BackendError>;

    /// Takes a scheduled destruction back. The key may be unusable until enabled.
    ///
    /// # Errors
    /// `Conflict` if the key is destroyed already.
    async fn cancel_destroy(&self, key: &KeyRecord) -> Result<(), BackendError>;
}

/// Encrypts data keys with an authenticated context.
///
/// `unwrap` must fail (`Refused` or `Corrupt`) for another context, another key and changed bytes.
#[async_trait]
pub trait KeyEncryption: Debug + Send + Sync {
    /// Which key encrypts; must change when the key changes.
    fn id(&self) -> &KekId;

    /// Whether nobody outside this process can see the key being used.
    fn in_process(&self) -> bool;

    /// Encrypts a data key of 32 bytes.
    ///
    /// # Errors
    /// The kinds of [`super::ErrorKind`].
    async fn wrap(&self, data_key: &Secret, context: &[&[u8]]) -> Result<Vec<u8>, BackendError>;

    /// Decrypts a data key.
    ///
    /// # Errors
    /// As above, and the other kinds of [`super::ErrorKind`].
    async fn unwrap(&self, wrapped: &[u8], context: &[&[u8]]) -> Result<Secret, BackendError>;
}

/// Proof, made by the backend, of where a key lives and how it is protected.
#[async_trait]
pub trait Attestation: Debug + Send + Sync {
    /// The proof in the backend's own format.
    ///
    /// # Errors
    /// The kinds of [`super::ErrorKind`].
    async fn attest(&self, key: &KeyRecord, nonce: &[u8]) -> Result<Vec<u8>, BackendError>;
}

/// Whether a backend can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It serves.
    Ready,
    /// It does not serve now.
    Unavailable,
}
