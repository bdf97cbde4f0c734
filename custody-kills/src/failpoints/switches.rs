//! Keys that are switched off and on where they are kept: what is off stays off when the process
//! ends.
//!
//! Invariant: no key that is off signs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use custody_core::crypto::{Algorithm, PublicKey, SignInput, Signature};
use custody_core::id::{BackendId, BackendIdentity, KeyId};
use custody_core::seam::{
    BackendError, ErrorKind, Health, KeyBackend, KeyDerivation, KeyRecord, KeyRequest,
    KeyResealing, KeySwitch, NewKey, Signer,
};

use super::disk::write_whole;

/// Which keys are off, or about to be destroyed. Clones are one.
#[derive(Clone, Debug)]
pub struct Switches(Place);

#[derive(Clone, Debug)]
enum Place {
    Folder(PathBuf),
    Memory(Arc<Mutex<BTreeMap<KeyId, Switch>>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switch {
    Off,
    On,
    Scheduled,
}

impl Switches {
    /// In a folder, with a file for each key that was ever switched.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self(Place::Folder(folder.to_owned()))
    }

    /// In memory, with every key on.
    #[must_use]
    pub fn in_memory() -> Self {
        Self(Place::Memory(Arc::default()))
    }

    /// Whether a key signs.
    pub fn is_on(&self, key: &KeyId) -> io::Result<bool> {
        Ok(self.find(key)? == Switch::On)
    }

    fn set(&self, key: &KeyId, switch: Switch) -> io::Result<()> {
        match &self.0 {
            Place::Folder(folder) => {
                fs::create_dir_all(folder)?;
                write_whole(&folder.join(key.as_str()), switch.word())
            }
            Place::Memory(switches) => {
                let mut switches = switches.lock().unwrap_or_else(PoisonError::into_inner);
                switches.insert(key.clone(), switch);
                Ok(())
            }
        }
    }

    fn find(&self, key: &KeyId) -> io::Result<Switch> {
        match &self.0 {
            Place::Folder(folder) => match fs::read_to_string(folder.join(key.as_str())) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Switch::On),
                read => Switch::parse(&read?).ok_or_else(|| io::ErrorKind::InvalidData.into()),
            },
            Place::Memory(switches) => {
                let switches = switches.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(switches.get(key).copied().unwrap_or(Switch::On))
            }
        }
    }
}

impl Switch {
    const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Scheduled => "scheduled",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Off, Self::On, Self::Scheduled].into_iter().find(|switch| switch.word() == word)
    }
}

/// A backend whose keys are switched.
#[derive(Debug)]
pub(super) struct Switched {
    inner: Arc<dyn KeyBackend>,
    switches: Switches,
}

impl Switched {
    pub(super) const fn new(inner: Arc<dyn KeyBackend>, switches: Switches) -> Self {
        Self { inner, switches }
    }

    /// Switches a key off or on, unless it is about to be destroyed.
    fn turn(
        &self,
        key: &KeyRecord,
        next: Switch,
        operation: &'static str,
    ) -> Result<(), BackendError> {
        let now = self.switches.find(&key.key).map_err(|error| failed(operation, error))?;
        if now == Switch::Scheduled {
            return Err(BackendError::new(ErrorKind::Refused, operation));
        }
        self.set(key, next, operation)
    }

    fn set(
        &self,
        key: &KeyRecord,
        next: Switch,
        operation: &'static str,
    ) -> Result<(), BackendError> {
        self.switches.set(&key.key, next).map_err(|error| failed(operation, error))
    }
}

#[async_trait]
impl KeyBackend for Switched {
    fn id(&self) -> &BackendId {
        self.inner.id()
    }

    fn identity(&self) -> &BackendIdentity {
        self.inner.identity()
    }

    fn algorithms(&self) -> &[Algorithm] {
        self.inner.algorithms()
    }

    fn in_process(&self) -> bool {
        self.inner.in_process()
    }

    async fn generate(&self, request: &KeyRequest) -> Result<NewKey, BackendError> {
        self.inner.generate(request).await
    }

    async fn signer(&self, key: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        let inner = self.inner.signer(key).await?;
        let switches = self.switches.clone();
        Ok(Arc::new(SwitchedSigner { inner, key: key.key.clone(), switches }))
    }

    async fn health(&self) -> Health {
        self.inner.health().await
    }

    fn derivation(&self) -> Option<&dyn KeyDerivation> {
        self.inner.derivation()
    }

    fn resealing(&self) -> Option<&dyn KeyResealing> {
        self.inner.resealing()
    }

    fn switch(&self) -> Option<&dyn KeySwitch> {
        Some(self)
    }
}

#[async_trait]
impl KeySwitch for Switched {
    async fn disable(&self, key: &KeyRecord) -> Result<(), BackendError> {
        self.turn(key, Switch::Off, "disable")
    }

    async fn enable(&self, key: &KeyRecord) -> Result<(), BackendError> {
        self.turn(key, Switch::On, "enable")
    }

    async fn destroy(&self, key: &KeyRecord) -> Result<(), BackendError> {
        self.set(key, Switch::Scheduled, "destroy")
    }

    async fn cancel_destroy(&self, key: &KeyRecord) -> Result<(), BackendError> {
        self.set(key, Switch::Off, "cancel destroy")
    }
}

/// A key that is looked at anew before each signature.
#[derive(Debug)]
struct SwitchedSigner {
    inner: Arc<dyn Signer>,
    key: KeyId,
    switches: Switches,
}

#[async_trait]
impl Signer for SwitchedSigner {
    fn algorithm(&self) -> Algorithm {
        self.inner.algorithm()
    }

    fn public_key(&self) -> &PublicKey {
        self.inner.public_key()
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        if !self.switches.is_on(&self.key).map_err(|error| failed("sign", error))? {
            return Err(BackendError::new(ErrorKind::Refused, "sign"));
        }
        self.inner.sign(input).await
    }
}

fn failed(operation: &'static str, error: io::Error) -> BackendError {
    BackendError::new(ErrorKind::Unavailable, operation).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_stays_as_it_was_left_and_what_is_not_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (key, other) = (KeyId::parse("key").unwrap(), KeyId::parse("other").unwrap());
        let reopen = || Switches::in_folder(folder.path());
        let memory = Switches::in_memory();
        for switch in [Switch::Off, Switch::On, Switch::Scheduled] {
            for switches in [memory.clone(), reopen()] {
                switches.set(&key, switch).unwrap();
            }
            for switches in [memory.clone(), reopen()] {
                assert_eq!(switches.find(&key).unwrap(), switch);
                assert_eq!(switches.is_on(&key).unwrap(), switch == Switch::On);
                assert!(switches.is_on(&other).unwrap(), "one that was never switched");
            }
        }
        fs::write(folder.path().join("key"), "o").unwrap();
        assert_eq!(reopen().is_on(&key).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
