//! Readers of what tokens and files say, for the fuzz targets: no part of the API.
//!
//! Invariant: each is the reader itself, and reads nothing more.

use custody_core::crypto::{Algorithm, PublicKey, Signature};
use custody_core::id::KekId;

use crate::wrap::Wrapped;
use crate::{point, report, signer};

/// The public key in the attribute `CKA_EC_POINT`.
#[must_use]
pub fn point(algorithm: Algorithm, bytes: &[u8]) -> Option<PublicKey> {
    point::read(algorithm, bytes)
}

/// The attribute `CKA_EC_POINT` of a public key.
#[must_use]
pub fn point_of(key: &PublicKey) -> Option<Vec<u8>> {
    point::write(key)
}

/// A signature as modules write it.
#[must_use]
pub fn signature(algorithm: Algorithm, bytes: &[u8]) -> Option<Signature> {
    signer::read(algorithm, bytes)
}

/// What a token wrapped: a key with this public key, under this key.
#[must_use]
pub fn wrapped(bytes: &[u8], under: &KekId, public_key: &PublicKey) -> Option<Vec<u8>> {
    Wrapped::read(bytes, under, public_key)
}

/// What is kept of a token from one start to the next, written again.
#[must_use]
pub fn facts(bytes: &[u8]) -> Option<Vec<u8>> {
    report::kept_again(bytes)
}
