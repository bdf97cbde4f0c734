//! Modules: shared libraries, each initialised once in a process.
//!
//! Invariant: no call reaches a module while it is being initialised again, and none from a process
//! that was forked from the one that opened it. A session is never closed after the module was
//! initialised again: its number may be that of a new one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard, TryLockError};
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use custody_core::seam::ErrorKind;

use crate::fault::Fault;
use crate::turn::{Taken, Turn, lock};

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
    /// Whoever searches for objects or makes some has it.
    objects: Turn<()>,
    /// Whether a thread is still inside for good, so that it can never be finalised.
    is_stuck: AtomicBool,
}

/// Somebody who uses a module; the last one finalises it.
#[derive(Debug)]
pub(crate) struct ModuleUse {
    path: PathBuf,
    module: Arc<Module>,
    is_over: AtomicBool,
}

/// Whether the sessions of a module are gone already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    All,
    Perhaps,
}

/// One place for each module: it is a singleton of the process, whoever opened it. A place is held
/// while its module is initialised or finalised, which may hang; the others are not.
static MODULES: Mutex<BTreeMap<PathBuf, Arc<Place>>> = Mutex::new(BTreeMap::new());

type Place = Turn<Option<Entry>>;

struct Entry {
    module: Arc<Module>,
    users: usize,
}

impl ModuleUse {
    /// Loads and initialises a module, unless it is open already.
    pub(crate) fn open(path: &Path) -> Result<Self, ModuleError> {
        let path = path
            .canonicalize()
            .map_err(|error| ModuleError::Path { path: path.into(), kind: error.kind() })?;
        let place = place(&path);
        let busy = |_| ModuleError::Busy { path: path.clone() };
        let mut entry = place.take("the module is being opened").map_err(busy)?;
        let is_over = AtomicBool::new(false);
        if let Some(entry) = entry.as_mut() {
            entry.module.check_process().map_err(|_| ModuleError::Forked)?;
            entry.users = entry.users.saturating_add(1);
            return Ok(Self { path, module: Arc::clone(&entry.module), is_over });
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
        let module = Arc::new(Module::new(client, is_ours));
        *entry = Some(Entry { module: Arc::clone(&module), users: 1 });
        Ok(Self { path, module, is_over })
    }

    /// Says that it is not used here any more: the last one finalises the module, which may hang.
    pub(crate) fn let_go(&self) {
        if self.is_over.swap(true, Ordering::AcqRel) {
            return;
        }
        let place = place(&self.path);
        let Ok(mut held) = place.take("the module is being opened") else { return };
        let Some(entry) = held.as_mut() else { return };
        entry.users = entry.users.saturating_sub(1);
        if entry.users > 0 || entry.module.is_stuck() || entry.module.check_process().is_err() {
            return;
        }
        if let Some(entry) = held.take()
            && entry.module.is_ours
            && let Err(error) = entry.module.client.clone().finalize()
        {
            tracing::warn!(%error, "a module was not finalised");
        }
    }
}

impl Drop for ModuleUse {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl std::ops::Deref for ModuleUse {
    type Target = Module;

    fn deref(&self) -> &Module {
        &self.module
    }
}

impl Module {
    fn new(client: Pkcs11, is_ours: bool) -> Self {
        Self {
            client,
            process: std::process::id(),
            is_ours,
            life: RwLock::new(0),
            again: Mutex::new(None),
            objects: Turn::default(),
            is_stuck: AtomicBool::new(false),
        }
    }

    /// Says that a thread will not come back from the module: it stays as it is for good.
    pub(crate) fn set_stuck(&self) {
        self.is_stuck.store(true, Ordering::Release);
    }

    /// Whether a thread is inside for good.
    pub(crate) fn is_stuck(&self) -> bool {
        self.is_stuck.load(Ordering::Acquire)
    }

    /// The module, for as long as it is not initialised again, and how often it was. A thread may
    /// enter twice: whoever initialises it again never waits in line.
    pub(crate) fn enter(&self) -> Result<(&Pkcs11, RwLockReadGuard<'_, u64>), Fault> {
        self.check_process()?;
        let until = Instant::now().checked_add(AGAIN_MAX);
        loop {
            match self.life.try_read() {
                Ok(life) => return Ok((&self.client, life)),
                Err(TryLockError::Poisoned(poisoned)) => {
                    return Ok((&self.client, poisoned.into_inner()));
                }
                Err(TryLockError::WouldBlock) => wait(until, "the module is initialised again")?,
            }
        }
    }

    /// Keeps others from searching for objects and from making some: modules lose those that are
    /// made while somebody searches.
    pub(crate) fn objects(&self) -> Result<Taken<'_, ()>, Fault> {
        self.objects.take("another thread searches for keys or makes one")
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
                Err(TryLockError::WouldBlock) => wait(until, "calls of the module do not return")?,
            }
        };
        if *now != life {
            return Ok(());
        }
        let mut again = lock(&self.again);
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

    pub(crate) fn check_process(&self) -> Result<(), Fault> {
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

fn place(path: &Path) -> Arc<Place> {
    Arc::clone(lock(&MODULES).entry(path.to_owned()).or_default())
}

/// Waits a moment, unless it is too late.
fn wait(until: Option<Instant>, what: &'static str) -> Result<(), Fault> {
    if until.is_none_or(|until| Instant::now() > until) {
        return Err(Fault::found(ErrorKind::Unavailable, what));
    }
    std::thread::sleep(AGAIN_PAUSE);
    Ok(())
}

/// Why a module is not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// Somebody else opens or closes it, and does not come back.
    #[error("`module`: {path} is being opened or closed", path = path.display())]
    Busy {
        /// The module.
        path: PathBuf,
    },
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
        let mut module = Module::new(Pkcs11::new(path).unwrap(), true);
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
