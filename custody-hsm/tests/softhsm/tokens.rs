//! Tokens of SoftHSM in a folder of their own.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking")]

#[path = "../world/folder.rs"]
pub(crate) mod folder;
#[path = "../world/keys.rs"]
pub(crate) mod keys;
#[path = "../world/variables.rs"]
mod variables;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use custody_core::id::BackendId;
use custody_hsm::{HsmBackend, HsmConfig, Observer, PinSource, TokenSelector};

pub(crate) use variables::set;

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
    let folder = folder::of_this_process("softhsm");
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
