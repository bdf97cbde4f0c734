//! The backend.
//!
//! Invariant: stateless but for the cache. No private key or seed is written anywhere; what leaves
//! is a sealed handle and a public key. Log lines name ids, algorithms and kinds of failures, never
//! an argument of a call or the source of an error.

mod resealing;
mod words;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tracing::{debug, instrument};

use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::id::{BackendId, BackendIdentity, IdError};
use custody_core::seam::{
    BackendError, Clock, DerivationPath, Entropy, ErrorKind, Exportability, ExtendedPublicKey,
    Health, KeyBackend, KeyDerivation, KeyEncryption, KeyImport, KeyRecord, KeyRequest,
    KeyResealing, NewKey, NewSeed, SeedRecord, SeedRequest, Signer,
};
use custody_core::secret::Secret;

use crate::cache::{CacheLimits, OpenKeys};
use crate::derive::{self, Start};
use crate::extended_key;
use crate::mnemonic;
use crate::private_key::PrivateKey;
use crate::sealed::{Binding, Sealer};
use crate::seed::Seed;
use crate::signer::{SoftSigner, Vault, slot};

/// Software keys, sealed under a key-encrypting key.
pub struct SoftBackend {
    id: BackendId,
    identity: BackendIdentity,
    vault: Arc<Vault>,
}

impl SoftBackend {
    /// A backend that seals under `kek`, with the default [`CacheLimits`].
    ///
    /// # Errors
    /// Fails only if the identity made from the id of `kek` is not one, which it always is.
    pub fn new(
        id: BackendId,
        kek: Arc<dyn KeyEncryption>,
        entropy: Arc<dyn Entropy>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IdError> {
        Self::with_cache(id, kek, entropy, clock, CacheLimits::default())
    }

    /// A backend that keeps opened keys only within `limits`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_cache(
        id: BackendId,
        kek: Arc<dyn KeyEncryption>,
        entropy: Arc<dyn Entropy>,
        clock: Arc<dyn Clock>,
        limits: CacheLimits,
    ) -> Result<Self, IdError> {
        let fingerprint = Digest::tagged(IDENTITY, &[kek.id().as_str().as_bytes()]);
        let identity = BackendIdentity::parse(&format!("soft:{fingerprint}"))?;
        let sealer = Sealer { kek, previous: Vec::new(), entropy };
        let vault = Vault { sealer, clock, open_keys: OpenKeys::new(limits) };
        Ok(Self { id, identity, vault: Arc::new(vault) })
    }

    /// The backend, opening also what was sealed under these key-encrypting keys. It seals nothing under
    /// them, and its identity is still that of its own.
    ///
    /// This is how a wallet moves to another key-encrypting key: open the custodian with the new one
    /// and the old one as previous, register the identity with a `register_backend` order, have every
    /// wallet sealed anew with `reseal_keys` orders, and from the next start on leave the old one away.
    /// Handles that were not sealed anew are then refused. Between the registration and the end
    /// every key signs as before.
    ///
    /// # Security
    /// An old handle and the key-encrypting key that it was sealed under give the key, wherever a
    /// copy of the store was kept. Destroy the old key-encrypting key once nothing needs it.
    #[must_use]
    pub fn with_previous(self, previous: Vec<Arc<dyn KeyEncryption>>) -> Self {
        let Vault { sealer, clock, open_keys } = self.vault.as_ref();
        let (kek, entropy) = (Arc::clone(&sealer.kek), Arc::clone(&sealer.entropy));
        let vault = Vault {
            sealer: Sealer { kek, previous, entropy },
            clock: Arc::clone(clock),
            open_keys: OpenKeys::new(open_keys.limits()),
        };
        Self { vault: Arc::new(vault), ..self }
    }

    /// Takes over the seed of a mnemonic (BIP-39) of 12 to 24 words, in any language of the
    /// standard, with its passphrase, which may be empty.
    ///
    /// # Errors
    /// `Refused` for words that are not a mnemonic; else the kinds of [`ErrorKind`].
    ///
    /// # Cancel safety
    /// Nothing is kept of a call that did not return.
    #[instrument(
        level = "debug",
        skip_all,
        fields(wallet = %request.wallet, seed = %request.key),
        err(level = "debug")
    )]
    pub async fn import_mnemonic(
        &self,
        request: &SeedRequest,
        words: Secret,
        passphrase: Secret,
    ) -> Result<NewSeed, BackendError> {
        let seed = mnemonic::read(&words, &passphrase).map_err(refused)?;
        self.seal_seed(request, &seed).await
    }

    /// Takes over an extended private key of BIP-32, as text (`xprv…` or `tprv…`), and the keys
    /// below it on secp256k1. Paths then start at that key.
    ///
    /// # Errors
    /// `Refused` for a text that is not an extended private key; else the kinds of [`ErrorKind`].
    ///
    /// # Cancel safety
    /// Nothing is kept of a call that did not return.
    #[instrument(
        level = "debug",
        skip_all,
        fields(wallet = %request.wallet, seed = %request.key),
        err(level = "debug")
    )]
    pub async fn import_extended_key(
        &self,
        request: &SeedRequest,
        text: Secret,
    ) -> Result<NewSeed, BackendError> {
        let seed = extended_key::read(&text).map_err(refused)?;
        self.seal_seed(request, &seed).await
    }

    /// Wipes the opened keys whose time is over. Every call of the backend does this too; a host
    /// whose keys are idle calls it from a timer.
    pub fn wipe_expired(&self) {
        self.vault.open_keys.wipe_expired(self.vault.clock.monotonic());
    }

    /// Wipes all opened keys. A signature asked for later opens its key again.
    pub fn wipe(&self) {
        debug!("wipes all opened keys");
        self.vault.open_keys.wipe();
    }

    /// What derivation from a seed starts from.
    async fn start(&self, seed: &SeedRecord) -> Result<Start, BackendError> {
        let corrupt = |error| failed(ErrorKind::Corrupt).with_source(error);
        let stored = self.vault.sealer.open(&Binding::of_seed_record(seed), &seed.handle).await?;
        Seed::read(&stored).and_then(Seed::into_start).map_err(corrupt)
    }

    async fn seal_seed(&self, request: &SeedRequest, seed: &Seed) -> Result<NewSeed, BackendError> {
        let binding = Binding::of_seed_request(request);
        let stored = seed.to_stored();
        let handle = self.vault.sealer.seal(&binding, Exportability::Never, &stored).await?;
        debug!("sealed a seed");
        Ok(NewSeed { handle })
    }

    async fn seal_key(
        &self,
        request: &KeyRequest,
        secret: &Secret,
        key: &PrivateKey,
    ) -> Result<NewKey, BackendError> {
        let public_key = key.public_key()?;
        let binding = Binding::of_request(request);
        let handle = self.vault.sealer.seal(&binding, request.exportability, secret).await?;
        debug!("sealed a key");
        Ok(NewKey { public_key, handle })
    }
}

#[async_trait]
impl KeyBackend for SoftBackend {
    fn id(&self) -> &BackendId {
        &self.id
    }

    fn identity(&self) -> &BackendIdentity {
        &self.identity
    }

    fn algorithms(&self) -> &[Algorithm] {
        &PrivateKey::ALGORITHMS
    }

    fn in_process(&self) -> bool {
        self.vault.sealer.in_process()
    }

    #[instrument(
        level = "debug",
        skip_all,
        fields(wallet = %request.wallet, key = %request.key, algorithm = %request.algorithm),
        err(level = "debug")
    )]
    async fn generate(&self, request: &KeyRequest) -> Result<NewKey, BackendError> {
        let entropy = self.vault.sealer.entropy.as_ref();
        let (secret, key) = PrivateKey::generate(request.algorithm, entropy)?;
        self.seal_key(request, &secret, &key).await
    }

    #[instrument(
        level = "debug",
        skip_all,
        fields(wallet = %key.wallet, key = %key.key),
        err(level = "debug")
    )]
    async fn signer(&self, key: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        let slot = slot(key);
        self.vault.ensure_open(slot, key).await?;
        Ok(Arc::new(SoftSigner::new(Arc::clone(&self.vault), key.clone(), slot)))
    }

    /// Asks the key-encrypting key to wrap and unwrap a data key that protects nothing.
    async fn health(&self) -> Health {
        self.wipe_expired();
        let Sealer { kek, entropy, .. } = &self.vault.sealer;
        let Ok(probe) = Secret::try_fill(32, |bytes| entropy.fill(bytes)) else {
            return Health::Unavailable;
        };
        let Ok(wrapped) = kek.wrap(&probe, &[HEALTH]).await else {
            return Health::Unavailable;
        };
        match kek.unwrap(&wrapped, &[HEALTH]).await {
            Ok(_) => Health::Ready,
            Err(_) => Health::Unavailable,
        }
    }

    fn derivation(&self) -> Option<&dyn KeyDerivation> {
        Some(self)
    }

    fn import(&self) -> Option<&dyn KeyImport> {
        Some(self)
    }

    fn resealing(&self) -> Option<&dyn KeyResealing> {
        Some(self)
    }

    fn kek(&self) -> Option<Arc<dyn KeyEncryption>> {
        Some(Arc::clone(&self.vault.sealer.kek))
    }
}

#[async_trait]
impl KeyDerivation for SoftBackend {
    #[instrument(
        level = "debug",
        skip_all,
        fields(wallet = %request.wallet, seed = %request.key),
        err(level = "debug")
    )]
    async fn generate_seed(&self, request: &SeedRequest) -> Result<NewSeed, BackendError> {
        let seed = Seed::generate(self.vault.sealer.entropy.as_ref())
            .map_err(|error| failed(ErrorKind::Unavailable).with_source(error))?;
        self.seal_seed(request, &seed).await
    }

    #[instrument(
        level = "debug",
        skip_all,
        fields(wallet = %request.wallet, key = %request.key, algorithm = %request.algorithm, %path),
        err(level = "debug")
    )]
    async fn derive(
        &self,
        seed: &SeedRecord,
        path: &DerivationPath,
        request: &KeyRequest,
    ) -> Result<NewKey, BackendError> {
        let of_another = seed.custodian != request.custodian || seed.wallet != request.wallet;
        if of_another {
            return Err(failed(ErrorKind::Corrupt));
        }
        let start = self.start(seed).await?;
        let unsupported = |error| failed(ErrorKind::Unsupported).with_source(error);
        let secret = derive::derive(&start, path, request.algorithm).map_err(unsupported)?;
        let key = PrivateKey::read(request.algorithm, &secret).map_err(refused)?;
        self.seal_key(request, &secret, &key).await
    }

    #[instrument(
        level = "debug",
        skip_all,
        fields(wallet = %seed.wallet, seed = %seed.key, %path),
        err(level = "debug")
    )]
    async fn extended_public_key(
        &self,
        seed: &SeedRecord,
        path: &DerivationPath,
    ) -> Result<ExtendedPublicKey, BackendError> {
        let start = self.start(seed).await?;
        derive::extended_public_key(&start, path)
            .map_err(|error| failed(ErrorKind::Unsupported).with_source(error))
    }
}

#[async_trait]
impl KeyImport for SoftBackend {
    #[instrument(
        level = "debug",
        skip_all,
        fields(wallet = %request.wallet, key = %request.key, algorithm = %request.algorithm),
        err(level = "debug")
    )]
    async fn import_key(&self, request: &KeyRequest, key: Secret) -> Result<NewKey, BackendError> {
        let read = PrivateKey::read(request.algorithm, &key).map_err(refused)?;
        self.seal_key(request, &key, &read).await
    }

    #[instrument(
        level = "debug",
        skip_all,
        fields(wallet = %request.wallet, seed = %request.key),
        err(level = "debug")
    )]
    async fn import_seed(
        &self,
        request: &SeedRequest,
        seed: Secret,
    ) -> Result<NewSeed, BackendError> {
        let seed = Seed::of_root(seed).map_err(refused)?;
        self.seal_seed(request, &seed).await
    }
}

impl fmt::Debug for SoftBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftBackend")
            .field("id", &self.id)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

fn refused(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> BackendError {
    BackendError::new(ErrorKind::Refused, "import a key").with_source(error)
}

const fn failed(kind: ErrorKind) -> BackendError {
    BackendError::new(kind, "derive a key")
}

const IDENTITY: &str = "custody/soft/identity/v1";
const HEALTH: &[u8] = b"custody/soft/health/v1";
