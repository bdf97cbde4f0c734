//! A token for benches: a new one of SoftHSM, or one that is there.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::id::{BackendId, CustodianId, KeyId, WalletId};
use custody_core::seam::{Exportability, KeyBackend as _, KeyRecord, KeyRequest, Signer};
use custody_hsm::{HsmBackend, HsmConfig, Observer, PinSource, TokenSelector};

use crate::Failure;

/// Where a token is. Its processes are told by variables of their environment.
#[derive(Clone, Debug)]
pub struct BenchToken {
    /// The module.
    pub module: PathBuf,
    /// The token's label.
    pub label: String,
    /// The file with its PIN.
    pub pin: PathBuf,
}

impl BenchToken {
    /// The token that `HSM_BENCH_MODULE`, `HSM_BENCH_TOKEN` and `HSM_BENCH_PIN_FILE` name; none if
    /// they name none.
    #[must_use]
    pub fn told() -> Option<Self> {
        let told = |name| std::env::var_os(name);
        let module = PathBuf::from(told(MODULE)?);
        let label = told(TOKEN)?.into_string().ok()?;
        Some(Self { module, label, pin: PathBuf::from(told(PIN_FILE)?) })
    }

    /// A new token of SoftHSM in a folder, and the configuration of SoftHSM that knows it.
    pub fn new(folder: &Path) -> Result<(Self, PathBuf), Failure> {
        let module = softhsm()?;
        let (tokens, conf) = (folder.join("tokens"), folder.join("softhsm2.conf"));
        std::fs::create_dir_all(&tokens)?;
        let lines = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
        std::fs::write(&conf, lines)?;
        let pin = folder.join("pin");
        std::fs::write(&pin, "bench-of-tokens")?;
        let label = "bench".to_owned();
        let mut util = Command::new("softhsm2-util");
        util.args(["--init-token", "--free", "--label", &label, "--so-pin", "12345678"]);
        util.args(["--pin", "bench-of-tokens"]).env(SOFTHSM, &conf);
        let output = util.output()?;
        if output.status.success() {
            return Ok((Self { module, label, pin }, conf));
        }
        Err(String::from_utf8_lossy(&output.stderr).into())
    }

    /// The token of SoftHSM that [`Self::new`] has made in a folder.
    pub fn made(folder: &Path) -> Result<Self, Failure> {
        Ok(Self { module: softhsm()?, label: "bench".to_owned(), pin: folder.join("pin") })
    }

    /// A new token in the first slot of a module that needs no more than to be asked, such as
    /// kryoptic.
    pub fn of_module(module: &Path, folder: &Path) -> Result<Self, Failure> {
        let client = Pkcs11::new(module)?;
        client.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
        let slot = client.get_all_slots()?.into_iter().next().ok_or("there is no slot")?;
        let (officer, user) = (AuthPin::from("officer-of-benches"), "bench-of-tokens");
        client.init_token(slot, &officer, "bench")?;
        let session = client.open_rw_session(slot)?;
        session.login(UserType::So, Some(&officer))?;
        session.init_pin(&AuthPin::from(user))?;
        session.logout()?;
        session.close()?;
        client.finalize()?;
        let pin = folder.join("pin");
        std::fs::write(&pin, user)?;
        Ok(Self { module: module.to_owned(), label: "bench".to_owned(), pin })
    }

    /// A new token of openCryptoki, if `HSM_BENCH_OPENCRYPTOKI` asks for it.
    pub fn of_opencryptoki(folder: &Path) -> Result<Option<Self>, Failure> {
        if std::env::var_os(OPENCRYPTOKI).is_none() {
            return Ok(None);
        }
        Self::new_of_opencryptoki(folder).map(Some)
    }

    /// A new token of openCryptoki, where `cargo xtask opencryptoki` has made its daemon start.
    pub fn new_of_opencryptoki(folder: &Path) -> Result<Self, Failure> {
        let module = OPENCRYPTOKI_PLACES.iter().map(PathBuf::from).find(|path| path.exists());
        let module = module.ok_or("openCryptoki is not here")?;
        let client = Pkcs11::new(&module)?;
        client.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
        let slot = client.get_all_slots()?.into_iter().next().ok_or("there is no slot")?;
        // The PIN that new tokens give the security officer; PINs have 4 to 8 characters.
        let (officer, user) = (AuthPin::from("87654321"), "bench-pi");
        client.init_token(slot, &officer, "one")?;
        let session = client.open_rw_session(slot)?;
        session.login(UserType::So, Some(&officer))?;
        session.init_pin(&AuthPin::from(user))?;
        session.close()?;
        client.finalize()?;
        // Soft tokens have no serial number. `CK_TOKEN_INFO` begins with label, manufacturer and model.
        let kept = File::options().write(true).open("/var/lib/opencryptoki/one/NVTOK.DAT")?;
        kept.write_all_at(b"serial-bench    ", 80)?;
        let pin = folder.join("pin");
        std::fs::write(&pin, user)?;
        Ok(Self { module, label: "one".to_owned(), pin })
    }

    /// Tells a process about it.
    pub fn tell(&self, command: &mut Command) {
        command.env(MODULE, &self.module).env(TOKEN, &self.label).env(PIN_FILE, &self.pin);
    }

    /// A backend with so many sessions.
    pub async fn open(&self, sessions: u8) -> Result<HsmBackend, Failure> {
        let token = TokenSelector::Label(self.label.clone());
        let pin = PinSource::File(self.pin.clone());
        let mut config =
            HsmConfig::new(BackendId::parse("bench")?, self.module.clone(), token, pin);
        config.sessions = sessions.try_into()?;
        Ok(HsmBackend::open(config, Observer::default()).await?)
    }

    /// A session of the module and the key, for whoever uses them bare. A backend is open beside
    /// it, so that the module is initialised and the user logged in.
    pub fn bare(&self) -> Result<(Session, ObjectHandle), Failure> {
        self.bare_of(LABEL)
    }

    /// The same with the key of this label.
    pub fn bare_of(&self, label: &str) -> Result<(Session, ObjectHandle), Failure> {
        let client = Pkcs11::new(&self.module)?;
        let session = client.open_rw_session(self.slot(&client)?)?;
        let wanted = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Label(label.into())];
        let key = session.find_objects(&wanted)?.pop().ok_or("the token has no key")?;
        Ok((session, key))
    }

    fn slot(&self, client: &Pkcs11) -> Result<Slot, Failure> {
        for slot in client.get_slots_with_token()? {
            if client.get_token_info(slot)?.label() == self.label {
                return Ok(slot);
            }
        }
        Err("no token has the label".into())
    }
}

fn softhsm() -> Result<PathBuf, Failure> {
    let module = PLACES.iter().map(PathBuf::from).find(|path| path.exists());
    module.ok_or_else(|| "SoftHSM is not installed".into())
}

/// The signer of the key of secp256k1 that benches use, made if there is none.
pub async fn signer(backend: &HsmBackend) -> Result<std::sync::Arc<dyn Signer>, Failure> {
    let request = KeyRequest {
        custodian: CustodianId::new(Digest::of(b"bench")),
        wallet: WalletId::parse("bench")?,
        key: KeyId::parse("key")?,
        algorithm: Algorithm::EcdsaSecp256k1,
        exportability: Exportability::Never,
    };
    let made = backend.generate(&request).await?;
    let KeyRequest { custodian, wallet, key, .. } = request;
    let record =
        KeyRecord { custodian, wallet, key, public_key: made.public_key, handle: made.handle };
    Ok(backend.signer(&record).await?)
}

/// Tells SoftHSM where its tokens are.
pub const SOFTHSM: &str = "SOFTHSM2_CONF";
const MODULE: &str = "HSM_BENCH_MODULE";
const TOKEN: &str = "HSM_BENCH_TOKEN";
const PIN_FILE: &str = "HSM_BENCH_PIN_FILE";
const OPENCRYPTOKI: &str = "HSM_BENCH_OPENCRYPTOKI";
const OPENCRYPTOKI_PLACES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/pkcs11/libopencryptoki.so",
    "/usr/lib/aarch64-linux-gnu/pkcs11/libopencryptoki.so",
];
const LABEL: &str = "custody bench key ecdsa-secp256k1";
const PLACES: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];
