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

#[cfg(test)]
mod tests {
    use bitcoin::psbt::PsbtSighashType;
    use bitcoin::{Amount, Network, Psbt, ScriptBuf, consensus};
    use custody_core::crypto::PublicKey;
    use custody_core::id::KeyId;
    use custody_core::seam::ContextAccount;
    use custody_testkit::key::TestKey;
    use custody_testkit::vectors;
    use serde_json::Value;

    use super::super::inputs;
    use super::super::keys::Keys;
    use super::super::sighash::SighashAllowance;
    use super::*;

    fn unhex(value: &Value) -> Vec<u8> {
        hex::decode(value.as_str().unwrap()).unwrap()
    }

    fn spent(script: &str, value: u64) -> TxOut {
        let script_pubkey = ScriptBuf::from_hex(script).unwrap();
        TxOut { value: Amount::from_sat(value), script_pubkey }
    }

    /// The digests of the inputs of this key.
    fn digests(psbt: Psbt, spent: Vec<TxOut>, key: PublicKey) -> Vec<Vec<u8>> {
        let accounts =
            [ContextAccount { key: KeyId::parse("own").unwrap(), public_key: key, path: None }];
        let allowed = [
            SighashAllowance::AllAnyoneCanPay,
            SighashAllowance::None,
            SighashAllowance::NoneAnyoneCanPay,
            SighashAllowance::Single,
            SighashAllowance::SingleAnyoneCanPay,
        ];
        let own =
            inputs::own(&psbt, &spent, &Keys::of(&accounts, &spent), &allowed.into()).unwrap();
        let reading = Reading { network: Network::Bitcoin, psbt, spent, own, fee: 0 };
        let tasks = tasks(&reading).unwrap();
        tasks.iter().map(|task| task.input.as_input().as_bytes().to_vec()).collect()
    }

    #[test]
    fn the_digests_of_bip_341_are_those_of_its_wallet_vectors() {
        let json = vectors::json("bip341/wallet-test-vectors.json");
        let case = &json["keyPathSpending"][0];
        let transaction: Transaction =
            consensus::deserialize(&unhex(&case["given"]["rawUnsignedTx"])).unwrap();
        let utxos = case["given"]["utxosSpent"].as_array().unwrap().iter();
        let spent: Vec<TxOut> = utxos
            .map(|utxo| {
                let script = utxo["scriptPubKey"].as_str().unwrap();
                spent(script, utxo["amountSats"].as_u64().unwrap())
            })
            .collect();
        let inputs = case["inputSpending"].as_array().unwrap();
        for input in inputs {
            let key = unhex(&input["intermediary"]["tweakedPrivkey"]);
            let key = TestKey::from_bytes(Algorithm::Bip340, &key).unwrap();
            let index = usize::try_from(input["given"]["txinIndex"].as_u64().unwrap()).unwrap();
            let kind = u32::try_from(input["given"]["hashType"].as_u64().unwrap()).unwrap();
            let mut psbt = Psbt::from_unsigned_tx(transaction.clone()).unwrap();
            psbt.inputs[index].sighash_type = Some(PsbtSighashType::from_u32(kind));
            let digests = digests(psbt, spent.clone(), key.public_key().clone());
            assert_eq!(digests, [unhex(&input["intermediary"]["sigHash"])], "input {index}");
        }
        assert_eq!(inputs.len(), 7);
    }

    #[test]
    fn the_digests_of_bip_143_are_those_of_its_examples() {
        let json = vectors::json("bip143/bip143.json");
        let case = |example: usize, key: usize| {
            let bytes = unhex(&json["examples"][example]["unsigned_tx"][0]);
            let transaction: Transaction = consensus::deserialize(&bytes).unwrap();
            let key = unhex(&json["examples"][example]["private_keys"][key]);
            let key = TestKey::from_bytes(Algorithm::EcdsaSecp256k1, &key).unwrap();
            // Only the unsigned transaction counts here.
            let mut transaction = transaction;
            for input in &mut transaction.input {
                input.script_sig = ScriptBuf::new();
            }
            (Psbt::from_unsigned_tx(transaction).unwrap(), key.public_key().clone())
        };
        let (psbt, key) = case(0, 1);
        let others =
            spent("2103c9f4836b9a4f77fc0d81f7bcb01b7f1b35916864b9476c241ce9fc198bd25432ac", 1);
        let own = spent("00141d0f172a0ecb48aee1be1f2687d2963ae33f71a1", 600_000_000);
        let found = digests(psbt, vec![others, own], key);
        assert_eq!(found, [unhex(&json["sighash"][0]["sighash"])], "P2WPKH");
        let (mut psbt, key) = case(1, 0);
        let redeem = ScriptBuf::from_hex("001479091972186c449eb1ded22b78e40d009bdf0089").unwrap();
        psbt.inputs[0].redeem_script = Some(redeem);
        let own = spent("a9144733f37cf4db86fbc2efed2500b4f4e49f31202387", 1_000_000_000);
        let found = digests(psbt, vec![own], key);
        assert_eq!(found, [unhex(&json["sighash"][1]["sighash"])], "P2SH-P2WPKH");
    }
}
