//! A signature that was released, as a signer of the Solana SDK.
//!
//! The SDK's own trait `Signer` is synchronous and signs any bytes, so no wallet implements it:
//! whoever holds one could have a transaction signed as if it were a message. What a wallet gives is
//! the signature of one message that the custodian has released.

use custody_core::seam::Payload;
use solana_presigner::Presigner;

use super::{AdapterError, WalletSigner};

impl WalletSigner {
    /// The key's signature of a payload, for whatever takes a signer of the Solana SDK.
    ///
    /// There are two phases. First the payload goes through the custodian: `solana/message` with
    /// the bytes of the transaction's message, or `solana/resolved` if it loads accounts from
    /// lookup tables. Once it is released, `Transaction::try_sign` takes the [`Presigner`] for the
    /// very same message, its blockhash included; for all other bytes it fails.
    ///
    /// # Errors
    /// [`AdapterError::Unsupported`] for a key that is not an Ed25519 key, before anything is asked
    /// for; [`AdapterError::Pending`] while the order waits; otherwise what became of it.
    ///
    /// # Cancel safety
    /// The order goes on; ask for the same again.
    pub async fn presigner(&self, payload: Payload) -> Result<Presigner, AdapterError> {
        let address = self.solana_address()?;
        Ok(Presigner::new(&address, &self.solana_signature(payload).await?))
    }
}
