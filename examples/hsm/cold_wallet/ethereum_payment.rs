//! 2 ETH to a registered receiver, as an EIP-1559 transaction.

use alloy_consensus::{SignableTransaction as _, Transaction as _, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Decodable2718 as _;
use alloy_primitives::{TxKind, U256};
use custody_core::id::{KeyId, PayloadFormat};
use custody_core::seam::Payload;
use examples_hsm::Failure;
use examples_hsm::house::House;
use examples_start::transactions::sender;

use crate::wallets;

/// Mainnet.
pub(crate) const CHAIN: &str = "eip155:1";

/// The unsigned transaction with this nonce.
pub(crate) fn payload(nonce: u64) -> Result<Payload, Failure> {
    let bytes = transaction(nonce)?.encoded_for_signing();
    Ok(Payload { format: PayloadFormat::parse("evm/transaction")?, bytes })
}

/// Whether a signed transaction is the one that was asked for, signed by the wallet's key.
pub(crate) fn check(house: &House, signed: &[u8]) -> Result<String, Failure> {
    let address = house.address(&KeyId::parse(wallets::ETHER)?)?;
    let (envelope, asked) = (TxEnvelope::decode_2718_exact(signed)?, transaction(0)?);
    if envelope.signature_hash() != asked.signature_hash() || envelope.value() != asked.value {
        return Err("another transaction was signed".into());
    }
    let recovered = sender(signed)?;
    if recovered != address {
        return Err(format!("it recovers to {recovered}").into());
    }
    Ok(format!("  {} bytes, recover to {recovered}", signed.len()))
}

/// Who may be paid, as CAIP-10 writes it.
pub(crate) fn receiver() -> String {
    format!("{CHAIN}:{RECEIVER}")
}

fn transaction(nonce: u64) -> Result<TxEip1559, Failure> {
    Ok(TxEip1559 {
        chain_id: 1,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 30_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(RECEIVER.parse()?),
        value: U256::from(2_000_000_000_000_000_000_u64),
        ..TxEip1559::default()
    })
}

const RECEIVER: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
