//! Tokens of SoftHSM 2 in a directory of their own, for examples and their tests.
//!
//! ```text
//! DIR/softhsm2.conf   where the tokens are; SOFTHSM2_CONF names it
//! DIR/pin             the PIN of all tokens, for its owner's eyes
//! DIR/tokens/         the tokens
//! ```
//!
//! What plays the officers here is this program: it draws the PIN, and gives it to `softhsm2-util` on
//! its command line, where other users of the machine may see it. Nobody does that to a real token.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use custody_core::id::BackendId;
use custody_core::seam::Entropy as _;
use custody_hsm::{HsmBackend, HsmConfig, Observer, PinSource, TokenSelector};
use examples_start::entropy::OsEntropy;
use examples_start::people::write_private;

use crate::Failure;
use crate::bare::Bare;
use crate::pin::Pin;

/// The variable that tells SoftHSM where its configuration is. It is read when the module starts.
pub const VARIABLE: &str = "SOFTHSM2_CONF";

/// Tokens in a directory.
#[derive(Clone, Debug)]
pub struct Tokens(PathBuf);

impl Tokens {
    /// A place for tokens in an empty directory, with a PIN that was drawn.
    pub fn create(directory: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(directory.join("tokens"))?;
        let tokens = Self(directory.canonicalize()?);
        let text = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.0.join("tokens").display()
        );
        fs::write(tokens.configuration(), text)?;
        write_private(&tokens.pin_file(), drawn()?.as_bytes())?;
        Ok(tokens)
    }

    /// A place that was made before.
    #[must_use]
    pub const fn of(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// Makes a token with this label. Its officer's PIN is drawn, and nobody keeps it.
    pub fn add(&self, label: &str) -> Result<(), Failure> {
        let pin = fs::read_to_string(self.pin_file())?;
        let mut util = Command::new("softhsm2-util");
        util.args(["--init-token", "--free", "--label", label, "--pin", &pin]);
        util.args(["--so-pin", &drawn()?]).env(VARIABLE, self.configuration());
        let output = util.output().map_err(|error| {
            format!("softhsm2-util: {error}; `cargo xtask test` installs SoftHSM")
        })?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("softhsm2-util: {}", String::from_utf8_lossy(&output.stderr)).into())
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.0
    }

    /// What [`VARIABLE`] must say.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.0.join("softhsm2.conf")
    }

    /// A file with the PIN.
    #[must_use]
    pub fn pin_file(&self) -> PathBuf {
        self.0.join("pin")
    }

    /// How the token with this label is opened as a backend.
    pub fn config(&self, label: &str) -> Result<HsmConfig, Failure> {
        let (id, token) = (BackendId::parse(BACKEND)?, TokenSelector::Label(label.to_owned()));
        let mut config = HsmConfig::new(id, module()?, token, PinSource::File(self.pin_file()));
        // Drills and examples of a loss destroy keys again.
        config.destroyable = true;
        Ok(config)
    }

    /// The token with this label as a backend.
    pub async fn open(&self, label: &str) -> Result<Arc<HsmBackend>, Failure> {
        Ok(Arc::new(HsmBackend::open(self.config(label)?, Observer::default()).await?))
    }

    /// A session at the token with this label that goes past custody.
    pub fn bare(&self, label: &str) -> Result<Bare, Failure> {
        let token = TokenSelector::Label(label.to_owned());
        Ok(Bare::open(&module()?, Some(&token), &Pin::read(&self.pin_file())?)?)
    }
}

/// The SoftHSM of the system, or that of `CUSTODY_SOFTHSM`.
pub fn module() -> Result<PathBuf, Failure> {
    if let Some(path) = std::env::var_os("CUSTODY_SOFTHSM") {
        return Ok(path.into());
    }
    let found = PLACES.iter().map(PathBuf::from).find(|path| path.exists());
    found.ok_or_else(|| "SoftHSM is missing; `cargo xtask test` installs it".into())
}

fn drawn() -> Result<String, Failure> {
    let mut bytes = [0; 8];
    OsEntropy.fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}

/// The host's name for a token as a backend.
pub const BACKEND: &str = "vault";
/// Where Debian and others put the module.
const PLACES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];
