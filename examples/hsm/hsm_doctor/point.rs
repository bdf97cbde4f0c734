//! The attribute `CKA_EC_POINT`, whose form is told by its length.

use custody_core::crypto::{Algorithm, PublicKey};

/// A public key, and how the token writes it.
pub(crate) fn read(algorithm: Algorithm, bytes: &[u8]) -> Option<(PublicKey, &'static str)> {
    let (raw, form) = match bytes {
        [0x04, 0x20, raw @ ..] if raw.len() == 32 => (raw, DER),
        [0x04, 0x41, raw @ ..] if raw.len() == 65 => (raw, DER),
        [0x04, 0x21, raw @ ..] if raw.len() == 33 => (raw, DER),
        [0x03, 0x21, 0x00, raw @ ..] if raw.len() == 32 => (raw, BITS),
        [0x03, 0x42, 0x00, raw @ ..] if raw.len() == 65 => (raw, BITS),
        raw => (raw, "a raw point"),
    };
    PublicKey::from_bytes(algorithm, raw).ok().map(|key| (key, form))
}

const DER: &str = "an octet string of DER";
const BITS: &str = "a bit string of DER";
