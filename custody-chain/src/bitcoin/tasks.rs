//! The digests of the wallet's inputs, and their signatures put into place.
//!
//! Invariant: a task for each signer of each input of ours, in their order; signatures are taken in
//! the same order.

use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{self, Secp256k1};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::{PublicKey, Transaction, TxOut, XOnlyPublicKey, ecdsa, taproot};
use custody_core::crypto::Algorithm;
use custody_core::seam::{SigningTask, TaskInput, TaskSignature};
use miniscript::psbt::PsbtExt;

use super::BitcoinError;
use super::inputs::{InputSigner, Own};
use super::keys::Kind;
use super::psbt::Reading;
use crate::signer::SignerError;

/// What gets signed.
pub(super) fn tasks(reading: &Reading<'_>) -> Result<Vec<SigningTask>, BitcoinError> {
    let count = reading.own.iter().map(|own| own.signers.len()).try_fold(0, usize::checked_add);
    if count.is_none_or(|count| count > TASKS_MAX) {
        return Err(BitcoinError::Limit { what: "signatures", limit: TASKS_MAX });
    }
    let mut cache = SighashCache::new(&reading.psbt.unsigned_tx);
    let mut tasks = Vec::new();
    for own in &reading.own {
        for signer in &own.signers {
            let digest = digest(reading, &mut cache, own, signer);
            let digest = digest.ok_or(BitcoinError::Sighash { input: own.index })?;
            tasks.push(SigningTask {
                key: signer.account.key.clone(),
                algorithm: signer.account.public_key.algorithm(),
                input: match own.kind.is_taproot() {
                    true => TaskInput::Message(digest.to_vec()),
                    false => TaskInput::Prehash(digest),
                },
            });
        }
    }
    Ok(tasks)
}

/// The digest of an input: of all transactions before BIP-141, of BIP-143, or of BIP-341 and 342.
fn digest(
    reading: &Reading<'_>,
    cache: &mut SighashCache<&Transaction>,
    own: &Own<'_>,
    signer: &InputSigner<'_>,
) -> Option<[u8; 32]> {
    let index = own.index;
    let TxOut { value, script_pubkey } = reading.spent.get(index)?;
    let input = reading.psbt.inputs.get(index)?;
    let kind = own.sighash.ecdsa();
    let all = Prevouts::All(reading.spent.as_slice());
    Some(match own.kind {
        Kind::KeyHash => {
            cache.legacy_signature_hash(index, script_pubkey, kind.to_u32()).ok()?.to_byte_array()
        }
        Kind::WitnessKeyHash => {
            cache.p2wpkh_signature_hash(index, script_pubkey, *value, kind).ok()?.to_byte_array()
        }
        Kind::NestedKeyHash => {
            let script = input.redeem_script.as_ref()?;
            cache.p2wpkh_signature_hash(index, script, *value, kind).ok()?.to_byte_array()
        }
        Kind::WitnessScript => {
            let script = input.witness_script.as_ref()?;
            cache.p2wsh_signature_hash(index, script, *value, kind).ok()?.to_byte_array()
        }
        Kind::Taproot => {
            let kind = own.sighash.taproot();
            let hash = match signer.leaf {
                None => cache.taproot_key_spend_signature_hash(index, &all, kind),
                Some(leaf) => cache.taproot_script_spend_signature_hash(index, &all, leaf, kind),
            };
            hash.ok()?.to_byte_array()
        }
    })
}

/// The PSBT with these signatures, and with final scripts for each input of ours that is complete.
pub(super) fn assemble(
    mut reading: Reading<'_>,
    signatures: &[TaskSignature],
) -> Result<Vec<u8>, BitcoinError> {
    let mut rest = signatures.iter();
    for own in &reading.own {
        for signer in &own.signers {
            let signature = rest.next().ok_or(SignerError::Count { found: signatures.len() })?;
            check(signature, signer)?;
            let placed = place(&mut reading.psbt, own, signer, signature);
            placed.ok_or(BitcoinError::Finalize { input: own.index })?;
        }
    }
    if rest.next().is_some() {
        return Err(SignerError::Count { found: signatures.len() }.into());
    }
    let secp = Secp256k1::verification_only();
    for own in &reading.own {
        let is_done = reading.psbt.finalize_inp_mut(&secp, own.index).is_ok();
        if !is_done && !may_need_others(own) {
            return Err(BitcoinError::Finalize { input: own.index });
        }
    }
    Ok(reading.psbt.serialize())
}

fn check(signature: &TaskSignature, signer: &InputSigner<'_>) -> Result<(), SignerError> {
    if signature.key != signer.account.key {
        return Err(SignerError::Key);
    }
    let expected = signer.account.public_key.algorithm();
    let found = signature.signature.algorithm();
    if found == expected { Ok(()) } else { Err(SignerError::Algorithm { expected, found }) }
}

fn place(
    psbt: &mut bitcoin::Psbt,
    own: &Own<'_>,
    signer: &InputSigner<'_>,
    signature: &TaskSignature,
) -> Option<()> {
    let input = psbt.inputs.get_mut(own.index)?;
    let key = signer.account.public_key.as_bytes();
    let bytes = signature.signature.as_bytes();
    if signer.account.public_key.algorithm() == Algorithm::EcdsaSecp256k1 {
        let signature = secp256k1::ecdsa::Signature::from_compact(bytes).ok()?;
        let signature = ecdsa::Signature { signature, sighash_type: own.sighash.ecdsa() };
        input.partial_sigs.insert(PublicKey::from_slice(key).ok()?, signature);
        return Some(());
    }
    let signature = secp256k1::schnorr::Signature::from_slice(bytes).ok()?;
    let signature = taproot::Signature { signature, sighash_type: own.sighash.taproot() };
    match signer.leaf {
        None => {
            input.tap_key_sig = Some(signature);
            // Finalisation looks for the signature only where an internal key is told, and drops
            // the key; the witness needs none.
            input.tap_internal_key.get_or_insert(XOnlyPublicKey::from_slice(key).ok()?);
        }
        Some(leaf) => {
            let key = XOnlyPublicKey::from_slice(key).ok()?;
            input.tap_script_sigs.insert((key, leaf), signature);
        }
    }
    Some(())
}

/// Whether an input may need signatures of others beside ours.
fn may_need_others(own: &Own<'_>) -> bool {
    own.kind == Kind::WitnessScript || own.signers.iter().any(|signer| signer.leaf.is_some())
}

/// Most signatures of one payload.
const TASKS_MAX: usize = 1_024;
