use std::collections::BTreeSet;

use bitcoin::Psbt;
use bitcoin::key::XOnlyPublicKey;
use custody_core::caip::ChainId;
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::seam::Payload;
use solana_message::VersionedMessage;

use crate::Failure;

/// The public keys that a payload itself names, for whoever looks at it without a wallet. A payload
/// that names none gets the key whose secret is 1, which is nobody's.
///
/// What a payload says about keys proves nothing: a wallet goes by its own records.
///
/// # Errors
/// Fails if the payload cannot be read.
pub fn named_keys(chain: &ChainId, payload: &Payload) -> Result<Vec<PublicKey>, Failure> {
    let mut keys = match (chain.namespace(), payload.format.as_str()) {
        ("bip122", "bitcoin/psbt") => of_psbt(&payload.bytes)?,
        ("solana", "solana/message") => of_message(&payload.bytes)?,
        _ => Vec::new(),
    };
    if keys.is_empty() {
        let nobody = hex::decode(NOBODY)?;
        keys.push(PublicKey::from_bytes(Algorithm::EcdsaSecp256k1, &nobody)?);
    }
    Ok(keys)
}

/// Those of the derivations of inputs, and the output keys of taproot.
fn of_psbt(bytes: &[u8]) -> Result<Vec<PublicKey>, Failure> {
    let psbt = Psbt::deserialize(bytes)?;
    let mut found = BTreeSet::new();
    let mut bip340 = |key: XOnlyPublicKey| {
        found.insert((Algorithm::Bip340, key.serialize().to_vec()));
    };
    for input in &psbt.inputs {
        input.tap_key_origins.keys().for_each(|key| bip340(*key));
        let script = input.witness_utxo.as_ref().map(|output| output.script_pubkey.as_bytes());
        let program = script.filter(|_| input.tap_internal_key.is_some());
        let key = program.and_then(|script| XOnlyPublicKey::from_slice(script.get(2..)?).ok());
        key.into_iter().for_each(&mut bip340);
    }
    for input in &psbt.inputs {
        for key in input.bip32_derivation.keys() {
            found.insert((Algorithm::EcdsaSecp256k1, key.serialize().to_vec()));
        }
    }
    let keys = found.iter().map(|(algorithm, key)| PublicKey::from_bytes(*algorithm, key));
    Ok(keys.collect::<Result<_, _>>()?)
}

/// Those that must sign.
fn of_message(bytes: &[u8]) -> Result<Vec<PublicKey>, Failure> {
    let message: VersionedMessage = wincode::deserialize(bytes)?;
    let signers = usize::from(message.header().num_required_signatures);
    let keys = message.static_account_keys().iter().take(signers);
    let keys = keys.map(|key| PublicKey::from_bytes(Algorithm::Ed25519, key.as_array()));
    Ok(keys.collect::<Result<_, _>>()?)
}

const NOBODY: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
