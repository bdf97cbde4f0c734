//! What handles are sealed under, as numbers: each rotation has a higher one.

use async_trait::async_trait;
use custody_core::digest::Digest;
use custody_core::id::BackendIdentity;
use custody_core::seam::{BackendError, ErrorKind, KeyHandle, KeyRecord, KeyResealing, SeedRecord};

use super::{MemoryBackend, State};

/// Which key-encrypting keys a backend has: all from the oldest to the one of now.
#[derive(Clone, Debug)]
pub(super) struct Seals {
    /// The identity of the backend before its first rotation.
    first: BackendIdentity,
    oldest: u64,
    now: u64,
}

/// What a handle was sealed under.
#[derive(Clone, Debug)]
pub(super) struct Seal {
    /// The handle that the key or seed had at first.
    pub(super) first: Vec<u8>,
    under: u64,
}

impl Seals {
    pub(super) fn first(identity: &BackendIdentity) -> Self {
        Self { first: identity.clone(), oldest: 0, now: 0 }
    }

    /// What stays the same whatever is rotated.
    pub(super) fn identity(&self) -> &[u8] {
        self.first.as_str().as_bytes()
    }

    /// Remembers the first handle of something.
    pub(super) fn note(&self, state: &mut State, handle: &[u8]) {
        state.sealed.insert(handle.to_vec(), Seal { first: handle.to_vec(), under: self.now });
    }

    /// The first handle of what a handle opens.
    pub(super) fn open(
        &self,
        state: &State,
        handle: &KeyHandle,
        operation: &'static str,
    ) -> Result<Vec<u8>, BackendError> {
        let seal = state.sealed.get(handle.as_bytes());
        let seal = seal.ok_or_else(|| BackendError::new(ErrorKind::NotFound, operation))?;
        if (self.oldest..=self.now).contains(&seal.under) {
            return Ok(seal.first.clone());
        }
        Err(BackendError::new(ErrorKind::Corrupt, operation))
    }

    /// A new handle of what the first handle opens.
    fn anew(&self, state: &mut State, first: Vec<u8>) -> KeyHandle {
        let number = state.sealed.len().to_string();
        let fields = [self.identity(), &first, number.as_bytes()];
        let handle = Digest::tagged("custody-testkit/resealed", &fields).as_bytes().to_vec();
        state.sealed.insert(handle.clone(), Seal { first, under: self.now });
        KeyHandle::new(handle)
    }
}

impl MemoryBackend {
    /// The same backend after its key-encrypting key was replaced: it has another identity, seals
    /// under the new one, and opens what was sealed under those before.
    ///
    /// # Panics
    /// If its identity gets too long.
    #[must_use]
    pub fn rotated(&self) -> Self {
        let seals = Seals { now: self.seals.now + 1, ..self.seals.clone() };
        let identity = format!("{}.{}", seals.first, seals.now);
        Self { identity: BackendIdentity::parse(&identity).unwrap(), seals, ..self.clone() }
    }

    /// The same backend without the key-encrypting keys before the one of now: it refuses what was
    /// sealed under them.
    #[must_use]
    pub fn without_previous(mut self) -> Self {
        self.seals.oldest = self.seals.now;
        self
    }
}

#[async_trait]
impl KeyResealing for MemoryBackend {
    async fn reseal_key(&self, key: &KeyRecord) -> Result<KeyHandle, BackendError> {
        let mut state = self.state();
        self.find(&mut state, key, "reseal")?;
        let first = self.seals.open(&state, &key.handle, "reseal")?;
        Ok(self.seals.anew(&mut state, first))
    }

    async fn reseal_seed(&self, seed: &SeedRecord) -> Result<KeyHandle, BackendError> {
        let mut state = self.state();
        self.find_seed(&state, seed, "reseal")?;
        let first = self.seals.open(&state, &seed.handle, "reseal")?;
        Ok(self.seals.anew(&mut state, first))
    }
}
