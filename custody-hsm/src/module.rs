//! Modules: shared libraries, each initialised once in a process.
//!
//! Invariant: no call reaches a module while it is being initialised again, and none from a process
//! that was forked from the one that opened it. A session is never closed after the module was
//! initialised again: its number may be that of a new one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, TryLockError};
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use custody_core::seam::ErrorKind;

use crate::fault::Fault;

/// A module that is open in this process.
#[derive(Debug)]
pub(crate) struct Module {
    client: Pkcs11,
    process: u32,
    /// Whether it was initialised here, and not by the host.
    is_ours: bool,
    /// How often it was initialised: what was opened before the last time is gone.
    life: RwLock<u64>,
    /// When it was initialised again last.
    again: Mutex<Option<Instant>>,
    /// Searches share it; whatever makes objects has it alone.
    objects: RwLock<()>,
}

/// Somebody who uses a module; the last one finalises it.
#[derive(Debug)]
pub(crate) struct ModuleUse {
    path: PathBuf,
    module: Arc<Module>,
}

/// Whether the sessions of a module are gone already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    All,
    Perhaps,
}

/// One entry for each module: it is a singleton of the process, whoever opened it.
static MODULES: Mutex<BTreeMap<PathBuf, Entry>> = Mutex::new(BTreeMap::new());

struct Entry {
    module: Arc<Module>,
    users: usize,
    /// Whether a thread is still inside, so that it can never be finalised.
    is_stuck: bool,
}

impl ModuleUse {
    /// Loads and initialises a module, unless it is open already.
    pub(crate) fn open(path: &Path) -> Result<Self, ModuleError> {
        let path = path
            .canonicalize()
            .map_err(|error| ModuleError::Path { path: path.into(), kind: error.kind() })?;
        let mut modules = modules();
        if let Some(entry) = modules.get_mut(&path) {
            entry.module.check_process().map_err(|_| ModuleError::Forked)?;
            entry.users = entry.users.saturating_add(1);
            return Ok(Self { path, module: Arc::clone(&entry.module) });
        }
        let client = Pkcs11::new(&path)
            .map_err(|error| ModuleError::Load { path: path.clone(), error: Box::new(error) })?;
        let is_ours = match client.initialize(arguments()) {
            Ok(()) => true,
            Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => false,
            Err(error) => {
                return Err(ModuleError::Initialise { path, error: Box::new(error) });
            }
        };
        let module = Arc::new(Module {
            client,
            process: std::process::id(),
            is_ours,
            life: RwLock::new(0),
            again: Mutex::new(None),
            objects: RwLock::new(()),
        });
        let entry = Entry { module: Arc::clone(&module), users: 1, is_stuck: false };
        modules.insert(path.clone(), entry);
        Ok(Self { path, module })
    }

    /// Says that a thread will not come back from the module: it stays as it is for good.
    pub(crate) fn is_stuck(&self) {
        if let Some(entry) = modules().get_mut(&self.path) {
            entry.is_stuck = true;
        }
    }
}

impl Drop for ModuleUse {
    fn drop(&mut self) {
        let mut modules = modules();
        let Some(entry) = modules.get_mut(&self.path) else { return };
        entry.users = entry.users.saturating_sub(1);
        if entry.users > 0 || entry.is_stuck || entry.module.check_process().is_err() {
            return;
        }
        if let Some(entry) = modules.remove(&self.path)
            && entry.module.is_ours
            && let Err(error) = entry.module.client.clone().finalize()
        {
            tracing::warn!(%error, "a module was not finalised");
        }
    }
}

impl std::ops::Deref for ModuleUse {
    type Target = Module;

    fn deref(&self) -> &Module {
        &self.module
    }
}

impl Module {
    /// The module, for as long as it is not initialised again, and how often it was. A thread may
    /// enter twice: whoever initialises it again never waits in line.
    pub(crate) fn enter(&self) -> Result<(&Pkcs11, RwLockReadGuard<'_, u64>), Fault> {
        self.check_process()?;
        Ok((&self.client, self.life.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Keeps objects from being made while somebody searches.
    pub(crate) fn search(&self) -> RwLockReadGuard<'_, ()> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps everybody from searching while an object is made.
    pub(crate) fn make(&self) -> std::sync::RwLockWriteGuard<'_, ()> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Initialises the module again, unless somebody did since its `life`. Nobody may be inside: if
    /// somebody does not come out in time, nothing is done.
    pub(crate) fn initialise_again(&self, life: u64, lost: Lost) -> Result<(), Fault> {
        self.check_process()?;
        if !self.is_ours {
            return Err(Fault::found(ErrorKind::Unavailable, "the host initialised the module"));
        }
        let until = Instant::now().checked_add(AGAIN_MAX);
        let mut now = loop {
            match self.life.try_write() {
                Ok(guard) => break guard,
                Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    if until.is_none_or(|until| Instant::now() > until) {
                        let what = "calls of the module do not return";
                        return Err(Fault::found(ErrorKind::Unavailable, what));
                    }
                    std::thread::sleep(AGAIN_PAUSE);
                }
            }
        };
        if *now != life {
            return Ok(());
        }
        let mut again = self.again.lock().unwrap_or_else(PoisonError::into_inner);
        if lost == Lost::Perhaps && again.is_some_and(|last| last.elapsed() < AGAIN_APART) {
            let what = "the module was initialised again a moment ago";
            return Err(Fault::found(ErrorKind::Unavailable, what));
        }
        *again = Some(Instant::now());
        let finalised = self.client.clone().finalize();
        if let Err(error) = finalised {
            tracing::warn!(%error, "a module was not finalised before it is initialised again");
        }
        *now = now.saturating_add(1);
        match self.client.initialize(arguments()) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
            Err(error) => Err(Fault::read(error)),
        }
    }

    fn check_process(&self) -> Result<(), Fault> {
        if std::process::id() == self.process {
            return Ok(());
        }
        let what = "the process was forked from the one that opened the module";
        Err(Fault::found(ErrorKind::Unavailable, what))
    }
}

fn arguments() -> CInitializeArgs {
    CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)
}

fn modules() -> MutexGuard<'static, BTreeMap<PathBuf, Entry>> {
    MODULES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a module is not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// The process was forked from one that had opened the module.
    #[error("the process was forked from one that had opened the module: start a program instead")]
    Forked,
    /// The module did not start.
    #[error("`module`: {path} does not initialise", path = path.display())]
    Initialise {
        /// The module.
        path: PathBuf,
        /// What it answered.
        #[source]
        error: Box<Error>,
    },
    /// The file is no PKCS#11 module.
    #[error("`module`: {path} is no PKCS#11 module that can be loaded", path = path.display())]
    Load {
        /// The module.
        path: PathBuf,
        /// Why.
        #[source]
        error: Box<Error>,
    },
    /// There is no such file.
    #[error("`module`: {path} cannot be found: {kind}", path = path.display())]
    Path {
        /// The module.
        path: PathBuf,
        /// Why.
        kind: std::io::ErrorKind,
    },
}

/// How long calls may take to leave a module that is to be initialised again.
const AGAIN_MAX: Duration = Duration::from_secs(2);
/// Each time all sessions of all its tokens are lost.
const AGAIN_APART: Duration = Duration::from_millis(500);
const AGAIN_PAUSE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// A process is known by its number: what a fork leaves has another one.
    #[test]
    #[ignore = "needs SoftHSM"]
    fn nothing_enters_a_module_in_a_process_that_was_forked() {
        let places = [
            "/usr/lib/softhsm/libsofthsm2.so",
            "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
            "/usr/local/lib/softhsm/libsofthsm2.so",
        ];
        let path = places.iter().map(Path::new).find(|path| path.exists()).unwrap();
        let mut module = Module {
            client: Pkcs11::new(path).unwrap(),
            process: std::process::id(),
            is_ours: true,
            life: RwLock::new(0),
            again: Mutex::new(None),
            objects: RwLock::new(()),
        };
        assert!(module.enter().is_ok());
        module.process = module.process.wrapping_add(1);
        for refused in [
            module.enter().map(drop).unwrap_err(),
            module.initialise_again(0, Lost::All).unwrap_err(),
        ] {
            assert_eq!(refused.kind(), ErrorKind::Unavailable);
        }
    }
}
