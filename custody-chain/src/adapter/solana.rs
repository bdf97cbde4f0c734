//! What a wallet's key is on Solana, in the types of its SDK.

use custody_core::crypto::Algorithm;
use custody_core::seam::Payload;
use solana_address::Address;
use solana_signature::Signature;

use super::{AdapterError, WalletSigner};

impl WalletSigner {
    /// The one signature of a payload.
    pub(super) async fn solana_signature(
        &self,
        payload: Payload,
    ) -> Result<Signature, AdapterError> {
        let signature = self.signature_of(payload).await?;
        let what = "a payload whose signature has another length";
        Signature::try_from(signature.as_bytes().as_slice())
            .map_err(|_| AdapterError::Unsupported { what })
    }

    /// The address of the key: its 32 bytes.
    pub(super) fn solana_address(&self) -> Result<Address, AdapterError> {
        const OTHER: AdapterError =
            AdapterError::Unsupported { what: "a Solana payload with a key of another algorithm" };
        if self.public_key.algorithm() != Algorithm::Ed25519 {
            return Err(OTHER);
        }
        Address::try_from(self.public_key.as_bytes()).map_err(|_| OTHER)
    }
}
