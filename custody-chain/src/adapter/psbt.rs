//! PSBTs of rust-bitcoin, signed by a whole wallet.
//!
//! Invariant: a PSBT changes only into that which was released for it, of the same transaction.

use bitcoin::{Psbt, Transaction};
use custody_core::id::PayloadFormat;
use custody_core::seam::Payload;

use super::{AdapterError, Released, WalletSigner};

/// What became of a PSBT that was signed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SignedPsbt {
    /// The order, the signatures and the receipt.
    pub released: Released,
    /// The transaction to send; none as long as an input needs signatures of others.
    pub transaction: Option<Transaction>,
}

impl WalletSigner {
    /// Has a PSBT signed by all active keys of the wallet that it needs, whichever key this signer
    /// is of. The PSBT becomes the signed one, whose inputs are finished where they are complete.
    ///
    /// Keep a PSBT that waits as it is: the same bytes get the signed one once people have
    /// approved, other bytes are another order.
    ///
    /// # Errors
    /// [`AdapterError::Pending`] while it waits; otherwise what became of it. The PSBT is then as
    /// it was.
    ///
    /// # Cancel safety
    /// The order goes on; ask for the same again.
    pub async fn sign_psbt(&self, psbt: &mut Psbt) -> Result<SignedPsbt, AdapterError> {
        let payload =
            Payload { format: PayloadFormat::parse("bitcoin/psbt")?, bytes: psbt.serialize() };
        let released = self.submit(None, payload).await?;
        let signed = released.release.signed.as_deref().map(Psbt::deserialize);
        match signed {
            Some(Ok(signed)) if signed.unsigned_tx == psbt.unsigned_tx => *psbt = signed,
            Some(_) | None => return Err(AdapterError::Release { order: released.order }),
        }
        Ok(SignedPsbt { released, transaction: transaction(psbt) })
    }
}

/// The transaction of a PSBT, once every input is finished. The rules have judged its fee.
pub(super) fn transaction(psbt: &Psbt) -> Option<Transaction> {
    let mut inputs = psbt.inputs.iter();
    let is_finished = inputs
        .all(|input| input.final_script_sig.is_some() || input.final_script_witness.is_some());
    is_finished.then(|| psbt.clone().extract_tx_unchecked_fee_rate())
}
