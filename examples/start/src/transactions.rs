//! Unsigned transactions that come with the examples, and who signed a signed one.

use alloy_consensus::TxEnvelope;
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::keccak256;
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};

use crate::Failure;

/// Reads hex with or without `0x`.
pub fn parse(text: &str) -> Result<Vec<u8>, Failure> {
    let text = text.trim();
    Ok(hex::decode(text.strip_prefix("0x").unwrap_or(text))?)
}

/// The address whose key signed a raw transaction, as `0x` and lower-case hex.
///
/// It shares no code with the library that made the signature but the curve.
pub fn sender(raw: &[u8]) -> Result<String, Failure> {
    let envelope = TxEnvelope::decode_2718_exact(raw)?;
    let hash = envelope.signature_hash();
    let signature = envelope.signature();
    let parity = RecoveryId::new(signature.v(), false);
    let scalars = Signature::from_scalars(
        signature.r().to_be_bytes::<32>(),
        signature.s().to_be_bytes::<32>(),
    )?;
    let key = VerifyingKey::recover_from_prehash(hash.as_slice(), &scalars, parity)?;
    let point = key.to_sec1_point(false);
    let digest = keccak256(point.as_bytes().get(1..).unwrap_or_default());
    Ok(format!("0x{}", hex::encode(digest.get(12..).unwrap_or_default())))
}

/// The transactions that come with the examples.
pub mod bundled {
    /// 0.5 ETH to a known address.
    pub const SMALL: &str = include_str!("../transactions/small-1559.hex");
    /// 0.25 ETH to a known address, in the old format.
    pub const SMALL_LEGACY: &str = include_str!("../transactions/small-legacy.hex");
    /// 25 ETH to a known address.
    pub const LARGE: &str = include_str!("../transactions/large.hex");
    /// An allowance without limit.
    pub const ALLOWANCE: &str = include_str!("../transactions/unlimited-allowance.hex");
    /// A call of a contract that is in no book.
    pub const UNKNOWN_CALL: &str = include_str!("../transactions/unknown-call.hex");
    /// A transfer with a fee that would eat the wallet.
    pub const FEE_EATER: &str = include_str!("../transactions/fee-eater.hex");
    /// 10 ETH each; the last one passes the daily limit.
    pub const LIMIT: [&str; 4] = [
        include_str!("../transactions/limit-1.hex"),
        include_str!("../transactions/limit-2.hex"),
        include_str!("../transactions/limit-3.hex"),
        include_str!("../transactions/limit-4.hex"),
    ];
    /// The addresses that the transfers go to.
    pub const KNOWN: [&str; 2] = [
        "eip155:1:0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
        "eip155:1:0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc",
    ];
}
