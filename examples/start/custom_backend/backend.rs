//! A backend of one's own: each key is an HMAC of its binding under one master. Opens secrets.

use std::sync::Arc;

use custody_core::crypto::Algorithm::{self, EcdsaSecp256k1};
use custody_core::crypto::{PublicKey, SignInput, Signature};
use custody_core::id::{BackendId, BackendIdentity, CustodianId, KeyId, WalletId};
use custody_core::seam::*;
use hmac::{Hmac, Mac as _};

/// The host's name for it, what it is, and the master as the key of an HMAC.
#[derive(Debug)]
pub(crate) struct MasterBackend(pub BackendId, pub BackendIdentity, pub Hmac<sha2::Sha256>);
#[derive(Debug)]
struct MasterSigner(k256::ecdsa::SigningKey, PublicKey);

impl MasterBackend {
    fn key(&self, c: &CustodianId, w: &WalletId, k: &KeyId) -> Option<(KeyHandle, MasterSigner)> {
        let binding = format!("{c}/{w}/{k}").into_bytes(); // No id has a `/`: no two read alike.
        let secret = self.2.clone().chain_update(&binding).finalize().into_bytes();
        let key = k256::ecdsa::SigningKey::from_slice(&secret).ok()?;
        let public = PublicKey::from_bytes(EcdsaSecp256k1, &key.verifying_key().to_sec1_bytes());
        Some((KeyHandle::new(binding), MasterSigner(key, public.ok()?)))
    }
}

#[async_trait::async_trait]
#[rustfmt::skip] // An accessor is a line.
impl KeyBackend for MasterBackend {
    fn id(&self) -> &BackendId { &self.0 }
    fn identity(&self) -> &BackendIdentity { &self.1 }
    fn algorithms(&self) -> &[Algorithm] { &[EcdsaSecp256k1] }
    fn in_process(&self) -> bool { true }
    async fn health(&self) -> Health { Health::Ready }
    async fn generate(&self, asked: &KeyRequest) -> Result<NewKey, BackendError> {
        let made = self.key(&asked.custodian, &asked.wallet, &asked.key);
        let made = made.filter(|_| asked.algorithm == EcdsaSecp256k1);
        let made = made.ok_or(BackendError::new(ErrorKind::Unsupported, "make a key"))?;
        Ok(NewKey { public_key: made.1.1, handle: made.0 })
    }
    async fn signer(&self, kept: &KeyRecord) -> Result<Arc<dyn Signer>, BackendError> {
        let made = self.key(&kept.custodian, &kept.wallet, &kept.key);
        let same = made.filter(|(handle, own)| *handle == kept.handle && own.1 == kept.public_key);
        Ok(Arc::new(same.ok_or(BackendError::new(ErrorKind::Corrupt, "open a key"))?.1))
    }
}

#[async_trait::async_trait]
#[rustfmt::skip]
impl Signer for MasterSigner {
    fn algorithm(&self) -> Algorithm { EcdsaSecp256k1 }
    fn public_key(&self) -> &PublicKey { &self.1 }
    async fn sign(&self, input: SignInput<'_>) -> Result<Signature, BackendError> {
        let unsupported = BackendError::new(ErrorKind::Unsupported, "sign");
        let SignInput::Prehash(digest) = input else { return Err(unsupported) };
        let signature = self.0.sign_prehash_recoverable(digest).0.to_bytes();
        Signature::from_bytes(EcdsaSecp256k1, &signature).map_err(|_| unsupported)
    }
}
