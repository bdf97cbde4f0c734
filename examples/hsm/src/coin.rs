//! A coin on regtest that belongs to one key, a PSBT that spends it, and whether Bitcoin Core would
//! take what came of it. Nothing here knows a private key.

use std::str::FromStr as _;

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash as _;
use bitcoin::psbt::Input;
use bitcoin::transaction::Version;
use bitcoin::{
    Address, Amount, CompressedPublicKey, Network, OutPoint, Psbt, ScriptBuf, Transaction, TxIn,
    TxOut, Txid, consensus,
};
use custody_core::crypto::PublicKey;
use custody_core::id::PayloadFormat;
use custody_core::seam::Payload;

use crate::Failure;

/// Regtest.
pub const CHAIN: &str = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328";
/// Its coin.
pub const ASSET: &str = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1";
/// One coin.
pub const SATOSHI: u64 = 100_000_000;

/// A coin for a P2WPKH address, from a transaction that was never mined.
#[derive(Clone, Debug)]
pub struct Coin {
    previous: Transaction,
    output: TxOut,
}

impl Coin {
    /// A coin of so many satoshi for a key.
    pub fn of(key: &PublicKey, satoshi: u64) -> Result<Self, Failure> {
        let key = CompressedPublicKey::from_slice(key.as_bytes())?;
        let script_pubkey = ScriptBuf::new_p2wpkh(&key.wpubkey_hash());
        let output = TxOut { value: Amount::from_sat(satoshi), script_pubkey };
        let point = OutPoint::new(Txid::from_byte_array([9; 32]), 0);
        Ok(Self { previous: transaction(point, output.clone()), output })
    }

    /// A PSBT that pays all of it to a receiver, but for the fee.
    pub fn spend(&self, receiver: &str, fee: u64) -> Result<Psbt, Failure> {
        let receiver = Address::from_str(receiver)?.require_network(Network::Regtest)?;
        let value = self.output.value.checked_sub(Amount::from_sat(fee)).ok_or("a fee too high")?;
        let output = TxOut { value, script_pubkey: receiver.script_pubkey() };
        let point = OutPoint::new(self.previous.compute_txid(), 0);
        let mut psbt = Psbt::from_unsigned_tx(transaction(point, output))?;
        let previous = Some(self.previous.clone());
        psbt.inputs = vec![Input { non_witness_utxo: previous, ..Input::default() }];
        Ok(psbt)
    }

    /// Whether Bitcoin Core finds that a transaction may spend it.
    #[must_use]
    pub fn may_be_spent_by(&self, transaction: &Transaction) -> bool {
        let (script, value) = (self.output.script_pubkey.as_bytes(), self.output.value.to_sat());
        let bytes = consensus::serialize(transaction);
        bitcoinconsensus::verify(script, value, &bytes, None, 0).is_ok()
    }
}

/// What is asked of a custodian.
pub fn payload(psbt: &Psbt) -> Result<Payload, Failure> {
    Ok(Payload { format: PayloadFormat::parse("bitcoin/psbt")?, bytes: psbt.serialize() })
}

/// The transaction of a signed PSBT.
pub fn finished(signed: &[u8]) -> Result<Transaction, Failure> {
    Ok(Psbt::deserialize(signed)?.extract_tx()?)
}

/// The transaction with one satoshi less for its receiver.
pub fn changed(transaction: &Transaction) -> Result<Transaction, Failure> {
    let mut changed = transaction.clone();
    let output = changed.output.first_mut().ok_or("there is no output")?;
    output.value = output.value.checked_sub(Amount::ONE_SAT).ok_or("the output is empty")?;
    Ok(changed)
}

fn transaction(previous_output: OutPoint, output: TxOut) -> Transaction {
    let input = vec![TxIn { previous_output, ..TxIn::default() }];
    Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input, output: vec![output] }
}
