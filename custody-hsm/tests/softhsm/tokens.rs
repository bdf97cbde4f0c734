//! Tokens of SoftHSM in a folder of their own.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock, Mutex};

use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::id::{BackendId, CustodianId, KeyId, WalletId};
use custody_core::seam::{Exportability, KeyBackend as _, KeyRecord, KeyRequest};
use custody_hsm::{HsmBackend, HsmConfig, Observer, PinSource, TokenSelector};

pub(crate) const PIN: &str = "pin-of-the-user-7f3a";

/// Tokens, each with a PIN, of this process alone.
#[derive(Clone, Debug)]
pub(crate) struct Tokens(Arc<Folder>);

/// What makes labels differ.
#[derive(Debug)]
struct Folder {
    prefix: String,
}

/// The module reads where its tokens are once in a process.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("softhsm");
    let folder = place.join(std::process::id().to_string());
    std::fs::create_dir_all(&place).unwrap();
    // Those of processes that have ended; others may be taking them away too.
    for older in std::fs::read_dir(&place).unwrap() {
        let older = older.unwrap();
        if older.path() == folder || !Path::new("/proc").join(older.file_name()).exists() {
            let _taken = std::fs::remove_dir_all(older.path());
        }
    }
    std::fs::create_dir_all(folder.join("tokens")).unwrap();
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        folder.join("tokens").display()
    );
    std::fs::write(folder.join("softhsm2.conf"), text).unwrap();
    std::fs::write(folder.join("pin"), PIN).unwrap();
    set("SOFTHSM2_CONF", folder.join("softhsm2.conf").to_str().unwrap());
    folder
});

impl Tokens {
    /// Makes tokens with these labels.
    pub(crate) fn new(labels: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let tokens = Self(Arc::new(Folder { prefix }));
        for label in labels {
            let mut util = Command::new("softhsm2-util");
            util.args(["--init-token", "--free", "--pin", PIN, "--so-pin", "12345678"]);
            util.args(["--label", &tokens.label(label)]);
            util.env("SOFTHSM2_CONF", FOLDER.join("softhsm2.conf"));
            let output = util.output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        tokens
    }

    /// The label that the module knows.
    pub(crate) fn label(&self, label: &str) -> String {
        format!("{label}-{}", self.0.prefix)
    }

    pub(crate) fn folder(&self) -> &Path {
        &FOLDER
    }

    pub(crate) fn config(&self, label: &str) -> HsmConfig {
        HsmConfig::new(
            BackendId::parse("vault").unwrap(),
            module(),
            TokenSelector::Label(self.label(label)),
            PinSource::File(self.folder().join("pin")),
        )
    }

    pub(crate) async fn open(&self, label: &str) -> Arc<HsmBackend> {
        Arc::new(HsmBackend::open(self.config(label), Observer::default()).await.unwrap())
    }
}

/// A variable of the environment, and who waits until it is set.
type Variable = (&'static str, String, Sender<()>);

/// The one thread that sets variables: what was set before stays set while it waits for more.
static SETTER: LazyLock<Mutex<Sender<Variable>>> = LazyLock::new(|| {
    let (sender, receiver) = channel();
    std::thread::spawn(move || set_next(&receiver));
    Mutex::new(sender)
});

fn set_next(variables: &Receiver<Variable>) {
    let Ok((name, value, done)) = variables.recv() else { return };
    temp_env::with_var(name, Some(value), || {
        done.send(()).unwrap();
        set_next(variables);
    });
}

/// Sets a variable for as long as the process lives.
pub(crate) fn set(name: &'static str, value: &str) {
    let (done, wait) = channel();
    SETTER.lock().unwrap().send((name, value.to_owned(), done)).unwrap();
    wait.recv().unwrap();
}

/// A request for a key.
pub(crate) fn request(key: &str, algorithm: Algorithm, exportability: Exportability) -> KeyRequest {
    KeyRequest {
        custodian: CustodianId::new(Digest::of(b"house")),
        wallet: WalletId::parse("cold").unwrap(),
        key: KeyId::parse(key).unwrap(),
        algorithm,
        exportability,
    }
}

/// A key made in a backend, as a custodian records it.
pub(crate) async fn record(backend: &HsmBackend, request: KeyRequest) -> KeyRecord {
    let made = backend.generate(&request).await.unwrap();
    KeyRecord {
        custodian: request.custodian,
        wallet: request.wallet,
        key: request.key,
        public_key: made.public_key,
        handle: made.handle,
    }
}

/// Where Debian and others put the module.
pub(crate) fn module() -> PathBuf {
    let places = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
    ];
    let found = places.iter().map(PathBuf::from).find(|path| path.exists());
    found.expect("SoftHSM is not installed; `cargo xtask test` installs it")
}
