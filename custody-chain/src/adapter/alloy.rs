//! The traits of alloy: `TxSigner` and `Signer`, and with them its wallets.
//!
//! A pending or denied transaction keeps its nonce for itself: see the README on nonces.

use alloy_consensus::SignableTransaction;
use alloy_dyn_abi::TypedData;
use alloy_network::TxSigner;
use alloy_primitives::{Address, B256, ChainId, Signature, U256, keccak256};
use alloy_signer::{Error, Result, Signer, UnsupportedSignerOperation};
use async_trait::async_trait;
use custody_core::crypto::{RecoveryId, Signature as OwnSignature};

use super::{AdapterError, Foreign, WalletSigner};

/// Signs transactions of the format `evm/transaction`.
#[async_trait]
impl TxSigner<Signature> for WalletSigner {
    fn address(&self) -> Address {
        address(self)
    }

    async fn sign_transaction(
        &self,
        transaction: &mut dyn SignableTransaction<Signature>,
    ) -> Result<Signature> {
        if let Some(signer) = self.chain_id
            && !transaction.set_chain_id_checked(signer)
        {
            let tx = transaction.chain_id().unwrap_or_default();
            return Err(Error::TransactionChainIdMismatch { signer, tx });
        }
        sign(self, "evm/transaction", transaction.encoded_for_signing()).await
    }
}

/// Signs messages and typed data; never a hash.
#[async_trait]
impl Signer<Signature> for WalletSigner {
    /// Refused: nobody can say what stands behind a hash.
    async fn sign_hash(&self, _hash: &B256) -> Result<Signature> {
        Err(Error::UnsupportedOperation(UnsupportedSignerOperation::SignHash))
    }

    async fn sign_message(&self, message: &[u8]) -> Result<Signature> {
        sign(self, "evm/message", message.to_vec()).await
    }

    async fn sign_dynamic_typed_data(&self, payload: &TypedData) -> Result<Signature> {
        let document = serde_json::to_vec(payload).map_err(Error::other)?;
        sign(self, "evm/typed-data", document).await
    }

    fn address(&self) -> Address {
        address(self)
    }

    fn chain_id(&self) -> Option<ChainId> {
        self.chain_id
    }

    fn set_chain_id(&mut self, chain_id: Option<ChainId>) {
        self.chain_id = chain_id;
    }
}

async fn sign(signer: &WalletSigner, format: &str, bytes: Vec<u8>) -> Result<Signature> {
    let signature =
        signer.sign(format, bytes).await.map_err(|error| Error::other(Foreign(error)))?;
    let what = "a key of another algorithm";
    to_foreign(&signature).ok_or_else(|| Error::other(Foreign(AdapterError::Unsupported { what })))
}

fn to_foreign(signature: &OwnSignature) -> Option<Signature> {
    let odd = match signature.recovery_id().map(RecoveryId::value)? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let (r, s) = signature.as_bytes().split_at(32);
    Some(Signature::new(U256::from_be_slice(r), U256::from_be_slice(s), odd))
}

/// The address of the key; zero for a key that has none, which signs nothing here.
fn address(signer: &WalletSigner) -> Address {
    let point = signer.public_key().to_uncompressed();
    let coordinates = point.as_ref().and_then(|point| point.get(1..));
    coordinates.map_or(Address::ZERO, |bytes| Address::from_word(keccak256(bytes)))
}
