//! Tokens of kryoptic in a folder of their own.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking")]

#[path = "../world/folder.rs"]
mod folder;
#[path = "../world/keys.rs"]
pub(crate) mod keys;
#[path = "../world/variables.rs"]
mod variables;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use custody_core::id::BackendId;
use custody_hsm::{HsmBackend, HsmConfig, Observer, PinSource, TokenSelector};

/// At least 8 characters.
pub(crate) const PIN: &str = "pin-of-the-user-b29d";

/// Two tokens, `one` and `two`, each with a PIN, of this process alone.
#[derive(Clone, Debug)]
pub(crate) struct Tokens(PathBuf);

impl Tokens {
    /// Makes the tokens; once in a process, for the module is told where they are once.
    pub(crate) fn new() -> Self {
        let path = folder::of_this_process("kryoptic");
        let slots = [1, 2].map(|slot| {
            let file = path.join(format!("{slot}.sql"));
            let file = file.display();
            format!("[[slots]]\nslot = {slot}\ndbtype = \"sqlite\"\ndbargs = \"{file}\"\n")
        });
        std::fs::write(path.join("kryoptic.conf"), slots.concat()).unwrap();
        std::fs::write(path.join("pin"), PIN).unwrap();
        variables::set("KRYOPTIC_CONF", path.join("kryoptic.conf").to_str().unwrap());
        let client = client();
        for (slot, label) in client.get_all_slots().unwrap().into_iter().zip(["one", "two"]) {
            let officer = AuthPin::from(OFFICER);
            client.init_token(slot, &officer, label).unwrap();
            let session = client.open_rw_session(slot).unwrap();
            session.login(UserType::So, Some(&officer)).unwrap();
            session.init_pin(&AuthPin::from(PIN)).unwrap();
            session.logout().unwrap();
            session.close().unwrap();
        }
        client.finalize().unwrap();
        Self(path)
    }

    pub(crate) fn config(&self, label: &str) -> HsmConfig {
        HsmConfig::new(
            BackendId::parse("vault").unwrap(),
            module(),
            TokenSelector::Label(label.to_owned()),
            PinSource::File(self.0.join("pin")),
        )
    }

    pub(crate) async fn open(&self, label: &str) -> Arc<HsmBackend> {
        Arc::new(HsmBackend::open(self.config(label), Observer::default()).await.unwrap())
    }

    /// A session at the token "one" of somebody else in this process, where a backend has logged in.
    pub(crate) fn somebody() -> Session {
        let client = Pkcs11::new(module()).unwrap();
        let slots = client.get_slots_with_token().unwrap();
        client.open_rw_session(*slots.first().unwrap()).unwrap()
    }

    /// Has public keys written in another form, which is `DER` or `BYTES`.
    pub(crate) fn write_points_as(form: &str) {
        variables::set("KRYOPTIC_EC_POINT_ENCODING", form);
    }
}

/// The module, initialised by us.
pub(crate) fn client() -> Pkcs11 {
    let client = Pkcs11::new(module()).unwrap();
    client.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    client
}

/// What is built from `shims/kryoptic`.
fn module() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the folder of targets");
    let module = target.join("shims/kryoptic/release/libkryoptic_module.so");
    assert!(module.exists(), "kryoptic is not built; `cargo xtask test custody-hsm` builds it");
    module
}

const OFFICER: &str = "pin-of-the-officer-c04e";
