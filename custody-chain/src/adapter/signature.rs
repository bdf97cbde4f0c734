//! The traits of the crate `signature`.
//!
//! Everything that is signed here is opaque: **it is denied unless a rule names it**, and whoever
//! permits `sign_opaque` permits whatever the key can do.

use custody_core::crypto::{PublicKey, Signature};
use signature::hazmat::AsyncPrehashSigner;
use signature::{AsyncSigner, Error, Keypair};

use super::{AdapterError, Foreign, WalletSigner};

/// **Opaque.** Submits the message as the format `opaque`, of kind `opaque/message`,
/// `opaque/keccak256` or `opaque/sha256` as [`OpaqueDecoder`](crate::OpaqueDecoder) says: it is
/// denied unless a rule permits `sign_opaque` for the wallet.
impl AsyncSigner<Signature> for WalletSigner {
    async fn sign_async(&self, message: &[u8]) -> Result<Signature, Error> {
        self.sign("opaque", message.to_vec()).await.map_err(foreign)
    }
}

/// **Opaque.** Submits the digest as the format `opaque/prehash`, which signs it as it is: it is
/// denied unless a rule permits `sign_opaque` for the wallet, and such a rule permits whatever the
/// key can do.
impl AsyncPrehashSigner<Signature> for WalletSigner {
    async fn sign_prehash_async(&self, digest: &[u8]) -> Result<Signature, Error> {
        self.sign("opaque/prehash", digest.to_vec()).await.map_err(foreign)
    }
}

impl Keypair for WalletSigner {
    type VerifyingKey = PublicKey;

    fn verifying_key(&self) -> PublicKey {
        self.public_key.clone()
    }
}

fn foreign(error: AdapterError) -> Error {
    Error::from_source(Foreign(error))
}
