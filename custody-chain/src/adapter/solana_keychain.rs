//! A wallet's key as a signer of solana-keychain.
//!
//! The errors of solana-keychain carry a text and no cause, so the order's id is in the text and
//! [`KeychainSigner::order_in`] reads it again.

use std::error::Error as StdError;

use async_trait::async_trait;
use custody_core::custodian::Error;
use custody_core::id::{OrderId, PayloadFormat};
use custody_core::key::KeyState;
use custody_core::seam::Payload;
use solana_address::Address;
use solana_keychain::transaction_util::TransactionUtil;
use solana_keychain::{SignTransactionResult, SignerError, SolanaSigner};
use solana_sdk_transaction::Transaction;
use solana_signature::Signature;

use super::{AdapterError, WalletSigner};

/// Stands before the order's id in the text of an error.
const ORDER: &str = "order ";

/// A wallet's Ed25519 key as a `SolanaSigner` of solana-keychain, whose transactions are those of
/// version 4 of Solana's SDK.
///
/// `sign_transaction` has the message of the transaction released and puts the signature into its
/// place; `sign_message` signs off-chain messages only, never the bytes of a transaction.
///
/// | solana-keychain's error | what became of the order |
/// |---|---|
/// | `NotAvailable` | it waits for approvals, or the custodian is busy, closed or not sure of its clock: ask for the same again later |
/// | `SigningFailed` | denied, ended or failed, or the request was refused: there is no signature |
/// | `RemoteApiError` | anything else: there may be a signature; ask for the same again |
#[derive(Clone, Debug)]
pub struct KeychainSigner {
    signer: WalletSigner,
    address: Address,
}

impl WalletSigner {
    /// The key as a signer of solana-keychain.
    ///
    /// # Errors
    /// [`AdapterError::Unsupported`] for a key that is not an Ed25519 key.
    pub fn keychain(&self) -> Result<KeychainSigner, AdapterError> {
        Ok(KeychainSigner { signer: self.clone(), address: self.solana_address()? })
    }
}

impl KeychainSigner {
    /// The order that an error of this signer is about.
    #[must_use]
    pub fn order_in(error: &SignerError) -> Option<OrderId> {
        let (SignerError::NotAvailable(text)
        | SignerError::SigningFailed(text)
        | SignerError::RemoteApiError(text)) = error
        else {
            return None;
        };
        let (order, _) = text.strip_prefix(ORDER)?.split_once(':')?;
        OrderId::parse(order).ok()
    }

    async fn signature(&self, format: &str, bytes: Vec<u8>) -> Result<Signature, SignerError> {
        let format = PayloadFormat::parse(format).map_err(|error| foreign(&error.into()))?;
        let payload = Payload { format, bytes };
        self.signer.solana_signature(payload).await.map_err(|error| foreign(&error))
    }
}

#[async_trait]
impl SolanaSigner for KeychainSigner {
    fn pubkey(&self) -> Address {
        self.address
    }

    async fn sign_transaction(
        &self,
        tx: &mut Transaction,
    ) -> Result<SignTransactionResult, SignerError> {
        let _place = TransactionUtil::get_signing_keypair_position(tx, &self.address)?;
        let signature = self.signature("solana/message", tx.message_data()).await?;
        TransactionUtil::add_signature_to_transaction(tx, &self.address, signature)?;
        let signed = (TransactionUtil::serialize_transaction(tx)?, signature);
        Ok(TransactionUtil::classify_signed_transaction(tx, signed))
    }

    async fn sign_message(&self, message: &[u8]) -> Result<Signature, SignerError> {
        self.signature("solana/offchain", message.to_vec()).await
    }

    /// Whether the custodian knows the key as an active one.
    async fn is_available(&self) -> bool {
        let key = self.signer.custodian.key(&self.signer.key);
        key.is_some_and(|key| key.state() == KeyState::Active)
    }
}

fn foreign(error: &AdapterError) -> SignerError {
    let mut text = match error.order() {
        Some(order) => format!("{ORDER}{order}: {error}"),
        None => error.to_string(),
    };
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    use AdapterError as Adapter;
    match error {
        Adapter::Pending { .. }
        | Adapter::Custodian(
            Error::Busy { .. } | Error::ClockJump | Error::Closed | Error::Unavailable { .. },
        ) => SignerError::NotAvailable(text),
        Adapter::Denied { .. }
        | Adapter::Ended { .. }
        | Adapter::Failed { .. }
        | Adapter::Id(_)
        | Adapter::Key
        | Adapter::Unsupported { .. }
        | Adapter::Custodian(
            Error::Command(_)
            | Error::Decode(_)
            | Error::Decoder { .. }
            | Error::NotFound { .. }
            | Error::Policy(_)
            | Error::Request { .. }
            | Error::RequestReused { .. },
        ) => SignerError::SigningFailed(text),
        Adapter::Custodian(_) | Adapter::Release { .. } | Adapter::Unknown { .. } => {
            SignerError::RemoteApiError(text)
        }
    }
}
