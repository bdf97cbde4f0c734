//! Wallets of BDK that watch a wallet of the custodian.
//!
//! BDK's own signers answer at once or not at all, so none is implemented: BDK builds, the
//! custodian signs, BDK finishes.

use bdk_wallet::Wallet;
use bitcoin::Psbt;
use custody_core::seam::WalletDescriptor;

use super::psbt::transaction;
use super::{AdapterError, SignedPsbt, WalletSigner};
use crate::bitcoin::network;

impl WalletSigner {
    /// Has a PSBT that `wallet` built signed as by [`Self::sign_psbt`], and finished by what
    /// `wallet` knows of its descriptors.
    ///
    /// # Errors
    /// As of [`Self::sign_psbt`]; [`AdapterError::Unsupported`] if `wallet` is of another network
    /// than the custodian's wallet.
    ///
    /// # Cancel safety
    /// The order goes on; ask for the same again.
    pub async fn sign_psbt_of(
        &self,
        wallet: &Wallet,
        psbt: &mut Psbt,
    ) -> Result<SignedPsbt, AdapterError> {
        let chain = self.custodian.wallet(&self.wallet).map(|own| own.chain().clone());
        if chain.and_then(|chain| network::of(&chain)) != Some(wallet.network()) {
            return Err(AdapterError::Unsupported { what: "a psbt of another network" });
        }
        let SignedPsbt { released, .. } = self.sign_psbt(psbt).await?;
        if wallet.try_finalize_psbt(psbt).is_err() {
            return Err(AdapterError::Release { order: released.order });
        }
        Ok(SignedPsbt { released, transaction: transaction(psbt) })
    }
}

/// The descriptors of a wallet of BDK, without private keys, for
/// [`RegisterDescriptor`](custody_core::command::Command::RegisterDescriptor): one, or one for each
/// branch.
///
/// # Errors
/// [`AdapterError::Unsupported`] for a descriptor above [`WalletDescriptor::MAX`].
pub fn bdk_descriptors(wallet: &Wallet) -> Result<Vec<WalletDescriptor>, AdapterError> {
    let texts = wallet.keychains().map(|(_, descriptor)| descriptor.to_string());
    texts
        .map(|text| WalletDescriptor::parse(&text))
        .collect::<Result<_, _>>()
        .map_err(|_| AdapterError::Unsupported { what: "a descriptor of this length" })
}
