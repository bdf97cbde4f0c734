//! Opens secrets, of tests only.

use async_trait::async_trait;
use custody_core::digest::Digest;
use custody_core::envelope;
use custody_core::id::KekId;
use custody_core::seam::{
    Attestation, BackendError, DerivationPath, ErrorKind, Exportability, ExtendedPublicKey,
    KeyDerivation, KeyEncryption as _, KeyHandle, KeyImport, KeyRecord, KeyRequest, KeySwitch,
    KeyWrapping, NewKey, NewSeed, SeedRecord, SeedRequest,
};
use custody_core::secret::Secret;

use super::super::derive::{extended_public_key, private_key};
use super::{MemoryBackend, Owner, State, Switch};

impl MemoryBackend {
    fn keep_seed(&self, request: &SeedRequest, seed: Secret) -> NewSeed {
        let owner = Owner {
            custodian: request.custodian,
            wallet: request.wallet.clone(),
            key: request.key.clone(),
        };
        let handle = self.handle("seed", &owner);
        let mut state = self.state();
        if !state.seeds.contains_key(&handle) {
            state.seeds.insert(handle.clone(), (owner, seed));
            self.seals.note(&mut state, &handle);
        }
        NewSeed { handle: KeyHandle::new(handle) }
    }

    /// What is derived from a seed.
    fn below<T>(
        &self,
        seed: &SeedRecord,
        derive: impl FnOnce(&Secret) -> Option<T>,
    ) -> Result<T, BackendError> {
        let state = self.state();
        let bytes = self.find_seed(&state, seed, "derive")?;
        derive(bytes).ok_or_else(|| BackendError::new(ErrorKind::Unsupported, "derive"))
    }

    /// The seed of a record, if the record is its own.
    pub(super) fn find_seed<'a>(
        &self,
        state: &'a State,
        seed: &SeedRecord,
        operation: &'static str,
    ) -> Result<&'a Secret, BackendError> {
        let refused = |kind| BackendError::new(kind, operation);
        let first = self.seals.open(state, &seed.handle, operation)?;
        let found = state.seeds.get(&first);
        let (owner, bytes) = found.ok_or_else(|| refused(ErrorKind::NotFound))?;
        let same = (owner.custodian, &owner.wallet, &owner.key)
            == (seed.custodian, &seed.wallet, &seed.key);
        if same { Ok(bytes) } else { Err(refused(ErrorKind::Corrupt)) }
    }

    /// The key under which keys are wrapped: one for the whole backend.
    fn wrapping_key(&self) -> Secret {
        let fields = [self.seals.identity()];
        Secret::new(Digest::tagged("custody-testkit/wrapping", &fields).as_bytes().to_vec())
    }

    fn set(
        &self,
        key: &KeyRecord,
        operation: &'static str,
        next: impl FnOnce(Switch) -> Option<Switch>,
    ) -> Result<(), BackendError> {
        let mut state = self.state();
        let entry = self.find(&mut state, key, operation)?;
        let refused = || BackendError::new(ErrorKind::Refused, operation);
        entry.switch = next(entry.switch).ok_or_else(refused)?;
        Ok(())
    }
}

#[async_trait]
impl KeyDerivation for MemoryBackend {
    async fn generate_seed(&self, request: &SeedRequest) -> Result<NewSeed, BackendError> {
        let failed = |error| BackendError::new(ErrorKind::Unavailable, "seed").with_source(error);
        let seed = Secret::try_fill(32, |bytes| self.entropy.fill(bytes)).map_err(failed)?;
        Ok(self.keep_seed(request, seed))
    }

    async fn derive(
        &self,
        seed: &SeedRecord,
        path: &DerivationPath,
        request: &KeyRequest,
    ) -> Result<NewKey, BackendError> {
        let found = self.below(seed, |bytes| private_key(bytes, path, request.algorithm))?;
        self.keep(request, found)
    }

    async fn extended_public_key(
        &self,
        seed: &SeedRecord,
        path: &DerivationPath,
    ) -> Result<ExtendedPublicKey, BackendError> {
        self.below(seed, |bytes| extended_public_key(bytes, path))
    }
}

#[async_trait]
impl KeyImport for MemoryBackend {
    async fn import_key(&self, request: &KeyRequest, key: Secret) -> Result<NewKey, BackendError> {
        if !self.algorithms.contains(&request.algorithm) {
            return Err(BackendError::new(ErrorKind::Unsupported, "import"));
        }
        self.keep(request, key)
    }

    async fn import_seed(
        &self,
        request: &SeedRequest,
        seed: Secret,
    ) -> Result<NewSeed, BackendError> {
        if !(16..=64).contains(&seed.len()) {
            return Err(BackendError::new(ErrorKind::Refused, "import"));
        }
        Ok(self.keep_seed(request, seed))
    }
}

#[async_trait]
impl KeyWrapping for MemoryBackend {
    async fn wrap(&self, key: &KeyRecord, under: &KekId) -> Result<Vec<u8>, BackendError> {
        let refused = |kind| BackendError::new(kind, "wrap");
        if under != self.kek.id() {
            return Err(refused(ErrorKind::NotFound));
        }
        let wrapping_key = self.wrapping_key();
        let mut state = self.state();
        let entry = self.find(&mut state, key, "wrap")?;
        if entry.exportability == Exportability::Never {
            return Err(refused(ErrorKind::Refused));
        }
        let context = [key.handle.as_bytes(), key.public_key.as_bytes()];
        envelope::seal(&wrapping_key, &context, &entry.secret, &*self.entropy)
            .map_err(|error| refused(ErrorKind::Unavailable).with_source(error))
    }

    async fn unwrap(
        &self,
        key: &KeyRecord,
        wrapped: &[u8],
        under: &KekId,
    ) -> Result<KeyHandle, BackendError> {
        let refused = |kind| BackendError::new(kind, "unwrap");
        if under != self.kek.id() {
            return Err(refused(ErrorKind::NotFound));
        }
        let context = [key.handle.as_bytes(), key.public_key.as_bytes()];
        let secret = envelope::open(&self.wrapping_key(), &context, wrapped)
            .map_err(|error| refused(ErrorKind::Corrupt).with_source(error))?;
        let request = KeyRequest {
            custodian: key.custodian,
            wallet: key.wallet.clone(),
            key: key.key.clone(),
            algorithm: key.public_key.algorithm(),
            exportability: Exportability::Wrapped,
        };
        let kept = self.keep(&request, secret)?;
        let same = kept.public_key == key.public_key;
        if same { Ok(kept.handle) } else { Err(refused(ErrorKind::Corrupt)) }
    }
}

#[async_trait]
impl KeySwitch for MemoryBackend {
    async fn disable(&self, key: &KeyRecord) -> Result<(), BackendError> {
        self.set(key, "disable", |now| (now != Switch::Scheduled).then_some(Switch::Off))
    }

    async fn enable(&self, key: &KeyRecord) -> Result<(), BackendError> {
        self.set(key, "enable", |now| (now != Switch::Scheduled).then_some(Switch::On))
    }

    async fn destroy(&self, key: &KeyRecord) -> Result<(), BackendError> {
        self.set(key, "destroy", |_| Some(Switch::Scheduled))
    }

    async fn cancel_destroy(&self, key: &KeyRecord) -> Result<(), BackendError> {
        let first = self.seals.open(&self.state(), &key.handle, "cancel destroy");
        let is_there = first.is_ok_and(|first| self.state().keys.contains_key(&first));
        if !is_there {
            return Err(BackendError::new(ErrorKind::Conflict, "cancel destroy"));
        }
        self.set(key, "cancel destroy", |_| Some(Switch::Off))
    }
}

#[async_trait]
impl Attestation for MemoryBackend {
    async fn attest(&self, key: &KeyRecord, nonce: &[u8]) -> Result<Vec<u8>, BackendError> {
        self.find(&mut self.state(), key, "attest")?;
        let fields = [key.handle.as_bytes(), key.public_key.as_bytes(), nonce];
        Ok(Digest::tagged("custody-testkit/attestation", &fields).as_bytes().to_vec())
    }
}
