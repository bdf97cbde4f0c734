//! A PSBT (BIP-174, BIP-371), read and proved.
//!
//! Invariant: every byte is accounted for, or the payload is refused: what was read, written again,
//! is the payload.

use std::collections::{BTreeSet, HashSet};

use bitcoin::psbt::{Error, Input};
use bitcoin::{Amount, Network, Psbt, TxOut};
use custody_core::seam::{DecodeContext, Payload};

use super::inputs::{self, Own};
use super::keys::Keys;
use super::sighash::SighashAllowance;
use super::{BitcoinError, network};
use crate::signer;

/// A PSBT, what it spends, and which of it is the wallet's.
pub(super) struct Reading<'a> {
    pub(super) network: Network,
    pub(super) psbt: Psbt,
    /// The outputs that are spent, one for each input.
    pub(super) spent: Vec<TxOut>,
    /// The wallet's inputs, in order, at least one.
    pub(super) own: Vec<Own<'a>>,
    /// Inputs minus outputs, in satoshi.
    pub(super) fee: u64,
}

impl<'a> Reading<'a> {
    pub(super) fn of(
        payload: &Payload,
        context: &'a DecodeContext,
        allowed: &BTreeSet<SighashAllowance>,
    ) -> Result<Self, BitcoinError> {
        let network = network::of(&context.chain).ok_or(BitcoinError::ContextChain)?;
        signer::first(context)?;
        let psbt = parse(&payload.bytes)?;
        check(&psbt)?;
        let spent = (0..psbt.inputs.len())
            .map(|index| previous_output(&psbt, index))
            .collect::<Result<Vec<_>, _>>()?;
        let fee = fee(&psbt, &spent)?;
        let keys = Keys::of(&context.accounts, &spent);
        let own = inputs::own(&psbt, &spent, &keys, allowed)?;
        check_proved(&psbt, &own)?;
        Ok(Self { network, psbt, spent, own, fee })
    }
}

fn parse(bytes: &[u8]) -> Result<Psbt, BitcoinError> {
    let length = bytes.len();
    if length > LIMIT {
        return Err(BitcoinError::TooLong { length, limit: LIMIT });
    }
    let psbt = Psbt::deserialize(bytes).map_err(|error| {
        let is_version = matches!(error, Error::Version(_));
        if is_version { BitcoinError::Version } else { BitcoinError::Encoding }
    })?;
    if psbt.serialize() == bytes { Ok(psbt) } else { Err(BitcoinError::Encoding) }
}

/// What must hold of every PSBT, whoever signs it.
fn check(psbt: &Psbt) -> Result<(), BitcoinError> {
    let transaction = &psbt.unsigned_tx;
    if transaction.input.is_empty() || transaction.is_coinbase() {
        return Err(BitcoinError::NoInputs);
    }
    if transaction.output.is_empty() {
        return Err(BitcoinError::NoOutputs);
    }
    if transaction.output.len() > OUTPUTS_MAX {
        return Err(BitcoinError::Limit { what: "outputs", limit: OUTPUTS_MAX });
    }
    let leaves = psbt.inputs.iter().map(|input| input.tap_scripts.len());
    if leaves.fold(0, usize::saturating_add) > LEAVES_MAX {
        return Err(BitcoinError::Limit { what: "leaves", limit: LEAVES_MAX });
    }
    let (weight, limit) = (transaction.weight().to_wu(), WEIGHT_MAX);
    if weight > limit {
        return Err(BitcoinError::TooHeavy { weight, limit });
    }
    let mut seen = HashSet::new();
    let mut inputs = transaction.input.iter();
    if let Some(input) = inputs.position(|input| !seen.insert(input.previous_output)) {
        return Err(BitcoinError::DuplicateInput { input });
    }
    let known = psbt.unknown.is_empty()
        && psbt.inputs.iter().all(|input| input.unknown.is_empty())
        && psbt.outputs.iter().all(|output| output.unknown.is_empty());
    if known { Ok(()) } else { Err(BitcoinError::UnknownKey) }
}

/// The output that an input spends: out of the whole transaction, whose id the input names, or of
/// taproot, whose signatures cover what is spent (BIP-341, "Common signature message").
fn previous_output(psbt: &Psbt, index: usize) -> Result<TxOut, BitcoinError> {
    let refused = BitcoinError::PreviousOutput { input: index };
    let (Some(input), Some(spends)) = (psbt.inputs.get(index), psbt.unsigned_tx.input.get(index))
    else {
        return Err(refused);
    };
    let point = spends.previous_output;
    match (&input.non_witness_utxo, &input.witness_utxo) {
        (Some(whole), told) if whole.compute_txid() == point.txid => {
            let position = usize::try_from(point.vout).ok();
            let output = position.and_then(|position| whole.output.get(position));
            let output = output.ok_or_else(|| refused.clone())?;
            let is_told = told.as_ref().is_none_or(|told| told == output);
            if is_told { Ok(output.clone()) } else { Err(refused) }
        }
        (None, Some(told)) if told.script_pubkey.is_p2tr() => Ok(told.clone()),
        (None, Some(_)) => Err(BitcoinError::FullTransaction { input: index }),
        (Some(_) | None, _) => Err(refused),
    }
}

/// Inputs minus outputs.
fn fee(psbt: &Psbt, spent: &[TxOut]) -> Result<u64, BitcoinError> {
    let inputs = total(spent)?;
    let outputs = total(&psbt.unsigned_tx.output)?;
    inputs.checked_sub(outputs).ok_or(BitcoinError::NegativeFee)
}

fn total(outputs: &[TxOut]) -> Result<u64, BitcoinError> {
    let total = outputs.iter().try_fold(Amount::ZERO, |sum, output| sum.checked_add(output.value));
    let total = total.filter(|total| *total <= Amount::MAX_MONEY);
    total.map(Amount::to_sat).ok_or(BitcoinError::AmountRange)
}

/// An output that is told by itself is believed only if a signature of ours fails where it is a
/// lie: one of taproot that covers all inputs.
fn check_proved(psbt: &Psbt, own: &[Own<'_>]) -> Result<(), BitcoinError> {
    let covers = |own: &Own<'_>| own.kind.is_taproot() && !own.sighash.is_anyone_can_pay();
    if own.iter().any(covers) {
        return Ok(());
    }
    let is_told = |input: &Input| input.non_witness_utxo.is_none();
    psbt.inputs
        .iter()
        .position(is_told)
        .map_or(Ok(()), |input| Err(BitcoinError::Unproved { input }))
}

/// Largest PSBT, in bytes.
const LIMIT: usize = 8 * 1024 * 1024;
/// Most scripts of taproot, of all inputs together: each costs a multiplication on the curve.
const LEAVES_MAX: usize = 4_096;
/// Most outputs; each that may be change costs a few derivations.
const OUTPUTS_MAX: usize = 1_024;
/// The largest transaction that nodes relay, in weight units (Bitcoin Core, `policy.h`,
/// `MAX_STANDARD_TX_WEIGHT`).
pub(super) const WEIGHT_MAX: u64 = 400_000;
