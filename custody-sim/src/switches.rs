//! Which keys of the vault are off: it outlives every life.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use custody_core::id::KeyId;
use custody_core::seam::{BackendError, ErrorKind, KeyRecord, KeySwitch};

use crate::sabotage::Sabotage;
use crate::vault::Vault;
use crate::weather::Fate;

/// How keys stand that are not on. Clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Switches(Arc<Mutex<BTreeMap<KeyId, Off>>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Off {
    Disabled,
    /// Told to be destroyed, and not taken back.
    Scheduled,
}

#[derive(Clone, Copy, Debug)]
enum Switch {
    CancelDestroy,
    Destroy,
    Disable,
    Enable,
}

impl Switches {
    pub(crate) fn is_on(&self, key: &KeyId) -> bool {
        !self.0.lock().unwrap().contains_key(key)
    }

    fn set(&self, key: &KeyId, switch: Switch) -> Result<(), ErrorKind> {
        let mut off = self.0.lock().unwrap();
        let next = match (switch, off.get(key)) {
            (Switch::Enable, Some(Off::Scheduled)) => return Err(ErrorKind::Refused),
            (Switch::Disable, Some(Off::Scheduled)) => Some(Off::Scheduled),
            (Switch::Enable, _) => None,
            (Switch::Disable | Switch::CancelDestroy, _) => Some(Off::Disabled),
            (Switch::Destroy, _) => Some(Off::Scheduled),
        };
        match next {
            None => drop(off.remove(key)),
            Some(next) => drop(off.insert(key.clone(), next)),
        }
        Ok(())
    }
}

impl Vault {
    /// Switches, if nothing comes between, and says so, if nothing comes between: late, and for nobody,
    /// if the caller is gone.
    async fn switched(&self, key: &KeyRecord, switch: Switch) -> Result<(), BackendError> {
        self.referee.begins("a switch");
        let (vault, key) = (self.clone(), key.key.clone());
        let call = async move {
            let fate = vault.struck("switch").await?;
            vault.weather.trace.note(format_args!("vault: {switch:?} {key}"));
            vault.weather.trace.count("keys switched by the vault");
            let failed = |kind| BackendError::new(kind, "switch");
            let is_sabotaged = vault.sabotage == Some(Sabotage::BackendLeavesKeysOn);
            if is_sabotaged && matches!(switch, Switch::Disable) {
                return Ok(());
            }
            vault.switches.set(&key, switch).map_err(failed)?;
            vault.weather.pass(&vault.weather.sky().backend).await;
            fate.strike_after().await;
            if fate == Fate::FailsAfter { Err(failed(vault.weather.doubt())) } else { Ok(()) }
        };
        self.weather.make(call).await
    }
}

#[async_trait]
impl KeySwitch for Vault {
    async fn disable(&self, key: &KeyRecord) -> Result<(), BackendError> {
        self.switched(key, Switch::Disable).await
    }

    async fn enable(&self, key: &KeyRecord) -> Result<(), BackendError> {
        self.switched(key, Switch::Enable).await
    }

    async fn destroy(&self, key: &KeyRecord) -> Result<(), BackendError> {
        self.switched(key, Switch::Destroy).await
    }

    async fn cancel_destroy(&self, key: &KeyRecord) -> Result<(), BackendError> {
        self.switched(key, Switch::CancelDestroy).await
    }
}
