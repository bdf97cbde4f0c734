//! Keys as a custodian asks for them and records them.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use custody_core::crypto::Algorithm;
use custody_core::digest::Digest;
use custody_core::id::{CustodianId, KeyId, WalletId};
use custody_core::seam::{Exportability, KeyBackend as _, KeyRecord, KeyRequest};
use custody_hsm::HsmBackend;

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
