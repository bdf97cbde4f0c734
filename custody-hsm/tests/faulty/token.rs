//! A token behind a module that fails and lies.

use std::num::NonZeroU8;
use std::sync::Arc;

use custody_core::crypto::{Algorithm, SignInput};
use custody_core::seam::{
    ErrorKind, Exportability, KeyBackend as _, KeyRecord, KeyRequest, Signer,
};
use custody_hsm::{HsmBackend, HsmConfig, Observer};
use pollster::block_on;

use crate::pkcs11_faults::FaultyModule;
use crate::softhsm::{self, Tokens};

const DIGEST: [u8; 32] = [7; 32];
pub(crate) const INPUT: SignInput<'static> = SignInput::Prehash(&DIGEST);

/// A token behind a module that does what it is told.
pub(crate) struct FaultyToken {
    pub(crate) tokens: Tokens,
    pub(crate) module: FaultyModule,
}

impl FaultyToken {
    pub(crate) fn new() -> Self {
        let tokens = Tokens::new(&["one"]);
        let module = FaultyModule::before(&softhsm::module(), tokens.folder(), softhsm::set);
        module.order(&[]);
        Self { tokens, module }
    }

    /// One session, so that calls come in an order.
    pub(crate) fn config(&self) -> HsmConfig {
        let mut config = self.tokens.config("one");
        config.module = FaultyModule::path();
        config.sessions = NonZeroU8::MIN;
        config
    }

    pub(crate) fn open(&self) -> HsmBackend {
        block_on(HsmBackend::open(self.config(), Observer::default())).unwrap()
    }

    /// A backend, and a signer of a key that it made.
    pub(crate) fn signing(&self) -> (HsmBackend, KeyRecord, Arc<dyn Signer>) {
        let backend = self.open();
        let record = block_on(record(&backend));
        let signer = block_on(backend.signer(&record)).unwrap();
        (backend, record, signer)
    }

    /// Whether all that was asked to be signed since the last order was signed once: cryptoki asks
    /// for the length first.
    pub(crate) fn signed(&self) -> usize {
        self.module.answers("Sign").len() / 2
    }
}

pub(crate) async fn record(backend: &HsmBackend) -> KeyRecord {
    softhsm::keys::record(backend, request()).await
}

pub(crate) fn request() -> KeyRequest {
    softhsm::keys::request("key", Algorithm::EcdsaSecp256k1, Exportability::Never)
}

/// Signs; `Corrupt` is what core says of a signature that does not verify.
pub(crate) fn sign(signer: &Arc<dyn Signer>) -> Result<(), ErrorKind> {
    let signed = block_on(signer.sign(INPUT)).map_err(|error| error.kind())?;
    signed.checked(signer.public_key(), INPUT).map(drop).map_err(|_| ErrorKind::Corrupt)
}
