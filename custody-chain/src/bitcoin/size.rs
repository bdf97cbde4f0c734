//! How large the signed transaction will be.
//!
//! Invariant: an estimate is never below the size of what the wallet's own signatures make, and
//! differs from it by at most a byte for each ECDSA signature of a single key. What others add
//! counts with the least that it can be: whatever they say of it, the rate is rather told too high.

use std::collections::BTreeMap;

use bitcoin::psbt::Input;
use bitcoin::taproot::ControlBlock;
use bitcoin::{ScriptBuf, TxOut, VarInt, XOnlyPublicKey};
use miniscript::{Descriptor, Miniscript, Segwitv0, Tap};

use super::BitcoinError;
use super::inputs::Own;
use super::keys::Kind;
use super::psbt::{Reading, WEIGHT_MAX};

/// The fee in satoshi for 1,000 virtual bytes, rounded up.
pub(super) fn rate(reading: &Reading<'_>) -> Result<u64, BitcoinError> {
    let (weight, limit) = (weight(reading).unwrap_or(u64::MAX), WEIGHT_MAX);
    if weight > limit {
        return Err(BitcoinError::TooHeavy { weight, limit });
    }
    let size = weight.div_ceil(4).max(1);
    reading.fee.checked_mul(1_000).map(|fee| fee.div_ceil(size)).ok_or(BitcoinError::AmountRange)
}

/// The weight of the signed transaction (BIP-141, "Transaction size calculations").
fn weight(reading: &Reading<'_>) -> Option<u64> {
    let own: BTreeMap<usize, &Own<'_>> = reading.own.iter().map(|own| (own.index, own)).collect();
    let mut scripts = 0_u64;
    let mut witnesses = 0_u64;
    let mut has_witness = false;
    for (index, (input, spent)) in reading.psbt.inputs.iter().zip(&reading.spent).enumerate() {
        let added = match own.get(&index) {
            Some(own) => Added::by_us(input, own)?,
            None => Added::by_others(input, spent)?,
        };
        scripts = scripts.checked_add(added.script)?;
        // A transaction with a witness has one for each input, at least a count of nothing.
        witnesses = witnesses.checked_add(added.witness.max(1))?;
        has_witness |= added.witness > 0;
    }
    let weight = reading.psbt.unsigned_tx.weight().to_wu();
    let weight = weight.checked_add(scripts.checked_mul(4)?)?;
    if has_witness { weight.checked_add(witnesses)?.checked_add(MARKER) } else { Some(weight) }
}

/// What signing adds to an input: bytes of its script, weight of its witness.
#[derive(Default)]
struct Added {
    script: u64,
    witness: u64,
}

impl Added {
    /// What the wallet's signatures add.
    fn by_us(input: &Input, own: &Own<'_>) -> Option<Self> {
        Some(match own.kind {
            Kind::KeyHash => Self { script: KEY_HASH, witness: 0 },
            Kind::WitnessKeyHash => Self { script: 0, witness: WITNESS_KEY_HASH },
            Kind::NestedKeyHash => Self { script: NESTED, witness: WITNESS_KEY_HASH },
            Kind::WitnessScript => {
                Self { script: 0, witness: witness_script(input).unwrap_or_default() }
            }
            Kind::Taproot => Self { script: 0, witness: taproot(input, own)? },
        })
    }

    /// The least that others add. What a PSBT says of their inputs is not signed, so it is not
    /// looked at, except for a script that the spent output commits to: whoever spends it shows it.
    /// What is not known counts as nothing.
    fn by_others(input: &Input, spent: &TxOut) -> Option<Self> {
        let script = &spent.script_pubkey;
        if script.is_p2pkh() {
            return Some(Self { script: KEY_HASH_MIN, witness: 0 });
        }
        if script.is_p2wpkh() {
            return Some(Self { script: 0, witness: WITNESS_KEY_HASH_MIN });
        }
        if script.is_p2tr() {
            return Some(Self { script: 0, witness: TAPROOT_MIN });
        }
        let is_nested = |it: &ScriptBuf| it.is_p2wpkh() && it.to_p2sh() == *script;
        if input.redeem_script.as_ref().is_some_and(is_nested) {
            return Some(Self { script: NESTED, witness: WITNESS_KEY_HASH_MIN });
        }
        let shown = input.witness_script.as_ref().filter(|it| it.to_p2wsh() == *script);
        let Some(shown) = shown else { return Some(Self::default()) };
        let size = u64::try_from(with_length(shown.len())?).ok()?;
        Some(Self { script: 0, witness: COUNT.checked_add(size)? })
    }
}

/// The weight of a witness that satisfies a witness script.
fn witness_script(input: &Input) -> Option<u64> {
    let script = input.witness_script.as_ref()?;
    let miniscript = Miniscript::<bitcoin::PublicKey, Segwitv0>::decode(script).ok()?;
    let weight = Descriptor::new_wsh(miniscript).ok()?.max_weight_to_satisfy().ok()?;
    weight.to_wu().checked_add(COUNT)
}

/// The weight of a witness that satisfies an output of taproot.
fn taproot(input: &Input, own: &Own<'_>) -> Option<u64> {
    if own.signers.iter().any(|signer| signer.leaf.is_none()) {
        let signature = if own.sighash.is_default() { SCHNORR } else { SCHNORR.checked_add(1)? };
        return COUNT.checked_add(signature);
    }
    let is_own = |script: &ScriptBuf| {
        let leaf = script.tapscript_leaf_hash();
        own.signers.iter().any(|signer| signer.leaf == Some(leaf))
    };
    let leaves = input.tap_scripts.iter().filter(|(_, (script, _))| is_own(script));
    leaves.filter_map(|(control, (script, _))| leaf(control, script)).min()
}

/// The weight of a witness that satisfies a leaf.
fn leaf(control: &ControlBlock, script: &ScriptBuf) -> Option<u64> {
    let miniscript = Miniscript::<XOnlyPublicKey, Tap>::decode(script).ok()?;
    let satisfaction = miniscript.max_satisfaction_size().ok()?;
    let parts = [satisfaction, with_length(script.len())?, with_length(control.size())?];
    let size = parts.into_iter().try_fold(0_usize, usize::checked_add)?;
    u64::try_from(size).ok()?.checked_add(COUNT)
}

/// The size of bytes with their length before them.
fn with_length(length: usize) -> Option<usize> {
    VarInt(u64::try_from(length).ok()?).size().checked_add(length)
}

/// Marker and flag of BIP-144.
const MARKER: u64 = 2;
/// The count of a witness's elements.
const COUNT: u64 = 1;
/// A push of a signature of 72 bytes, of low s and high r, and one of a key of 33.
const KEY_HASH: u64 = 1 + 72 + 1 + 33;
const WITNESS_KEY_HASH: u64 = COUNT + KEY_HASH;
/// A push of the shortest signature that BIP-66 knows, and one of a key of 33.
const KEY_HASH_MIN: u64 = 1 + 9 + 1 + 33;
const WITNESS_KEY_HASH_MIN: u64 = COUNT + KEY_HASH_MIN;
/// A push of the redeem script of P2SH-P2WPKH.
const NESTED: u64 = 1 + 22;
/// A signature of BIP-340 with its length, of the default type.
const SCHNORR: u64 = 1 + 64;
/// A leaf that is one opcode, with the shortest control block: shorter than a signature.
const TAPROOT_MIN: u64 = COUNT + 1 + 1 + 1 + 33;
