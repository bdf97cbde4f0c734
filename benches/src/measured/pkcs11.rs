//! Tokens, and bare loops of cryptoki over the same keys.

use std::fmt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use async_trait::async_trait;
use cryptoki::context::Pkcs11;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use custody_bench::harness::{
    Answer, Job, Manner, Opened, OptionHelp, Peer, Provider, Target, Wanted, Wrong, new_signer,
};
use custody_core::crypto::{Algorithm, PublicKey};

use super::crypto;
use crate::Failure;
use crate::token::{BenchToken, SOFTHSM};

/// Any module.
#[derive(Debug)]
pub(super) struct Module;

#[async_trait]
impl Provider for Module {
    fn name(&self) -> &str {
        "pkcs11"
    }

    fn about(&self) -> &str {
        "a token of any PKCS#11 module"
    }

    fn options(&self) -> &[OptionHelp] {
        &[
            OptionHelp { name: "module", about: "the shared library" },
            OptionHelp { name: "token", about: "the token's label" },
            OptionHelp { name: "pin-file", about: "a file with the PIN of the user" },
            SESSIONS,
        ]
    }

    async fn open(&self, wanted: &Wanted) -> Result<Opened, String> {
        let options = &wanted.options;
        let token = BenchToken {
            module: PathBuf::from(options.needed("module")?),
            label: options.needed("token")?.to_owned(),
            pin: PathBuf::from(options.needed("pin-file")?),
        };
        open(&token, wanted).await.map_err(|error| error.to_string())
    }
}

/// A new token of SoftHSM.
#[derive(Debug)]
pub(super) struct SoftHsm;

#[async_trait]
impl Provider for SoftHsm {
    fn name(&self) -> &str {
        "softhsm"
    }

    fn about(&self) -> &str {
        "a new token of SoftHSM 2, where it is installed"
    }

    fn options(&self) -> &[OptionHelp] {
        &[SESSIONS]
    }

    async fn open(&self, wanted: &Wanted) -> Result<Opened, String> {
        let open = async || -> Result<Opened, Failure> {
            let folder = wanted.folder.join("softhsm");
            if !told(SOFTHSM, &folder) {
                clear(&folder)?;
                let (_, conf) = BenchToken::new(&folder)?;
                return Err(again(SOFTHSM, &conf));
            }
            open(&BenchToken::made(&folder)?, wanted).await
        };
        open().await.map_err(|error| error.to_string())
    }
}

/// A new token of kryoptic.
#[derive(Debug)]
pub(super) struct Kryoptic;

#[async_trait]
impl Provider for Kryoptic {
    fn name(&self) -> &str {
        "kryoptic"
    }

    fn about(&self) -> &str {
        "a new token of kryoptic; no secp256k1"
    }

    fn options(&self) -> &[OptionHelp] {
        &[OptionHelp { name: "module", about: "its shared library" }, SESSIONS]
    }

    async fn open(&self, wanted: &Wanted) -> Result<Opened, String> {
        let open = async || -> Result<Opened, Failure> {
            let module = PathBuf::from(wanted.options.needed("module")?);
            let folder = wanted.folder.join("kryoptic");
            if !told(KRYOPTIC, &folder) {
                clear(&folder)?;
                std::fs::create_dir_all(&folder)?;
                let folder = folder.canonicalize()?;
                let (conf, file) = (folder.join("kryoptic.conf"), folder.join("1.sql"));
                let file = file.display();
                let slot = format!("slot = 1\ndbtype = \"sqlite\"\ndbargs = \"{file}\"\n");
                std::fs::write(&conf, format!("[[slots]]\n{slot}"))?;
                return Err(again(KRYOPTIC, &conf));
            }
            open(&BenchToken::of_module(&module, &folder)?, wanted).await
        };
        open().await.map_err(|error| error.to_string())
    }
}

/// A new soft token of openCryptoki.
#[derive(Debug)]
pub(super) struct OpenCryptoki;

#[async_trait]
impl Provider for OpenCryptoki {
    fn name(&self) -> &str {
        "opencryptoki"
    }

    fn about(&self) -> &str {
        "a new soft token of openCryptoki, below `cargo xtask opencryptoki`"
    }

    fn options(&self) -> &[OptionHelp] {
        &[SESSIONS]
    }

    async fn open(&self, wanted: &Wanted) -> Result<Opened, String> {
        let open = async || -> Result<Opened, Failure> {
            open(&BenchToken::new_of_opencryptoki(&wanted.folder)?, wanted).await
        };
        open().await.map_err(|error| error.to_string())
    }
}

async fn open(token: &BenchToken, wanted: &Wanted) -> Result<Opened, Failure> {
    let sessions = match wanted.options.value("sessions") {
        Some(text) => text.parse().map_err(|_| "--option sessions=… is a number up to 255")?,
        None => u8::try_from(wanted.concurrency.min(SESSIONS_MOST))?,
    };
    let backend = Arc::new(token.open(sessions).await?);
    let algorithm = wanted.algorithm;
    // Initialised by the backend.
    let told = Pkcs11::new(&token.module)?.get_library_info()?;
    let name = token.module.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let library = format!("{} {}", told.library_description().trim(), told.library_version());
    let mut opened = Opened::new(Arc::clone(&backend) as _)
        .with_fact("module", name)
        .with_fact("library", library)
        .with_fact("sessions", sessions);
    if mechanism(algorithm).is_some() {
        // The same key: a token is asked for it again by the same name.
        let signer = new_signer(backend.as_ref(), algorithm, "key").await?;
        let label = format!("custody bench key {algorithm}");
        let pool: Result<Vec<_>, Failure> =
            (0..sessions.max(1)).map(|_| token.bare_of(&label)).collect();
        let free = Mutex::new(pool?);
        let public_key = signer.public_key().clone();
        let target = Loop { free, freed: Condvar::new(), public_key };
        opened = opened.with_peer(Peer::primitive("bare cryptoki loop", Arc::new(target)));
    }
    Ok(opened)
}

fn mechanism(algorithm: Algorithm) -> Option<Mechanism<'static>> {
    match algorithm {
        Algorithm::EcdsaP256 | Algorithm::EcdsaSecp256k1 => Some(Mechanism::Ecdsa),
        Algorithm::Ed25519 => Some(Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure))),
        _ => None,
    }
}

/// As many sessions as the backend has, and nothing else. A caller without a session waits.
struct Loop {
    free: Mutex<Vec<(Session, ObjectHandle)>>,
    freed: Condvar,
    public_key: PublicKey,
}

impl fmt::Debug for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loop").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}

impl Loop {
    fn sign_now(&self, input: &[u8]) -> Result<Vec<u8>, String> {
        let mechanism = mechanism(self.public_key.algorithm()).ok_or("there is no mechanism")?;
        let taken = {
            let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self.freed.wait_while(free, |free| free.is_empty());
            waited.unwrap_or_else(PoisonError::into_inner).pop()
        };
        let (session, key) = taken.ok_or("no session is free")?;
        let signed = session.sign(&mechanism, key, input);
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push((session, key));
        self.freed.notify_one();
        signed.map_err(|error| error.to_string())
    }
}

#[async_trait]
impl Target for Loop {
    fn manner(&self) -> Manner {
        Manner::Threads
    }

    async fn sign(&self, job: &Job) -> Result<Answer, String> {
        self.sign_now(&job.digest).map(Answer::Bytes)
    }

    fn verify(&self, job: &Job, answer: &Answer) -> Result<(), Wrong> {
        crypto::verify(&self.public_key, job, answer)
    }
}

/// Whether this process was started with a variable that names a file in the folder.
fn told(variable: &str, folder: &Path) -> bool {
    let named = std::env::var_os(variable).map(PathBuf::from);
    let folder = folder.canonicalize().unwrap_or_default();
    named.and_then(|path| path.parent()?.canonicalize().ok()).is_some_and(|own| own == folder)
}

/// Takes away the tokens that a run which was killed has left.
fn clear(folder: &Path) -> std::io::Result<()> {
    if folder.exists() { std::fs::remove_dir_all(folder) } else { Ok(()) }
}

/// Starts this program again in its own place, with a variable that modules read when they are
/// loaded. It returns only if that fails.
fn again(variable: &str, file: &Path) -> Failure {
    let Ok(program) = std::env::current_exe() else { return "the program has no path".into() };
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).env(variable, file).exec().into()
}

const SESSIONS: OptionHelp =
    OptionHelp { name: "sessions", about: "sessions at once; as many as callers, up to 8" };
const SESSIONS_MOST: usize = 8;
const KRYOPTIC: &str = "KRYOPTIC_CONF";
