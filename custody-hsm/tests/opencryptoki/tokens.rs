//! Tokens of openCryptoki, made anew for this process.
//!
//! The module keeps its tokens where its daemon says. `cargo xtask test` gives each process a daemon
//! of its own, with two tokens that are new.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking")]

#[path = "../world/keys.rs"]
pub(crate) mod keys;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use custody_core::id::BackendId;
use custody_core::secret::Secret;
use custody_hsm::{HsmBackend, HsmConfig, Observer, PinSource, TokenSelector};

/// Tokens, each with a PIN. Nobody else has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokens(());

impl Tokens {
    /// Makes the tokens "one", or "one" and "two", with serial numbers.
    pub(crate) fn new(labels: &[&str]) -> Self {
        let tokens = Self::without_serials(labels);
        for label in labels {
            number(label);
        }
        tokens
    }

    /// Makes them as the module does, which gives them no serial number.
    pub(crate) fn without_serials(labels: &[&str]) -> Self {
        let client = client();
        let slots = client.get_all_slots().unwrap();
        let officer = AuthPin::from(OFFICER);
        // The module's daemon has a slot for each, in this order.
        for (slot, label) in slots.into_iter().zip(labels) {
            client.init_token(slot, &officer, label).unwrap();
            let session = client.open_rw_session(slot).unwrap();
            session.login(UserType::So, Some(&officer)).unwrap();
            session.init_pin(&AuthPin::from(PIN)).unwrap();
            session.close().unwrap();
        }
        client.finalize().unwrap();
        Self(())
    }

    pub(crate) fn config(self, label: &str, pin: &'static str) -> HsmConfig {
        HsmConfig::new(
            BackendId::parse("vault").unwrap(),
            module(),
            TokenSelector::Label(label.to_owned()),
            PinSource::Callback(Arc::new(|| Some(Secret::new(pin.as_bytes().to_vec())))),
        )
    }

    pub(crate) async fn open(self, label: &str) -> Arc<HsmBackend> {
        let config = self.config(label, PIN);
        Arc::new(HsmBackend::open(config, Observer::default()).await.unwrap())
    }

    /// The same token, used by somebody else in this process while a backend has it open.
    pub(crate) fn somebody(self, label: &str) -> Session {
        let client = Pkcs11::new(module()).unwrap();
        client.open_rw_session(slot(&client, label).0).unwrap()
    }
}

/// The module, initialised by us.
pub(crate) fn client() -> Pkcs11 {
    let client = Pkcs11::new(module()).unwrap();
    client.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    client
}

/// Where a token is, and what it says about itself.
pub(crate) fn slot(client: &Pkcs11, label: &str) -> (Slot, TokenInfo) {
    let slots = client.get_slots_with_token().unwrap().into_iter();
    let mut tokens = slots.map(|slot| (slot, client.get_token_info(slot).unwrap()));
    tokens.find(|(_, info)| info.label() == label).unwrap()
}

/// Gives a token a serial number, where the module keeps what the token says about itself: soft
/// tokens have none, and a backend takes no token without one.
fn number(label: &str) {
    let path = format!("/var/lib/opencryptoki/{label}/NVTOK.DAT");
    let file = File::options().read(true).write(true).open(path).unwrap();
    // `CK_TOKEN_INFO` begins with the label (32 bytes), the manufacturer (32) and the model (16).
    let mut info = [0; 96];
    file.read_exact_at(&mut info, 0).unwrap();
    assert_eq!(info[..32], *format!("{label:32}").as_bytes());
    assert_eq!(info[80..], [b' '; 16], "it has a serial number");
    file.write_all_at(format!("serial-{label:9}").as_bytes(), 80).unwrap();
}

/// Where Debian puts the module.
fn module() -> PathBuf {
    let places = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .map(|machine| format!("/usr/lib/{machine}/pkcs11/libopencryptoki.so"));
    let found = places.into_iter().map(PathBuf::from).find(|path| path.exists());
    found.expect("openCryptoki is not installed here; `cargo xtask test custody-hsm` brings it")
}

/// The PIN of the user: 4 to 8 characters.
pub(crate) const PIN: &str = "pin-7f3a";
/// The PIN that new tokens give the security officer.
const OFFICER: &str = "87654321";
