use custody_core::caip::ChainId;
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::digest::Digest;
use custody_core::id::{KeyId, WalletId};
use custody_core::seam::{
    ContextAccount, DecodeContext, Intent, Payload, TaskInput, WalletDescriptor,
};
use serde_json::{Value, json};

use crate::{Failure, decoders};

/// Decodes a payload for a wallet with these keys, which are called `key-0`, `key-1` and so on, and
/// tells everything about it: `effects`, `facts`, `tasks` with the `digest` that is signed, and
/// `summary`. A key of BIP-340 signs the digest of BIP-341 as its message, so that the message is
/// the digest; of a longer message, as Solana signs it, the digest is SHA-256.
///
/// # Errors
/// Fails if no decoder reads the payload, and if it is refused.
pub fn inspect(
    chain: &ChainId,
    payload: &Payload,
    keys: &[PublicKey],
    descriptors: Vec<WalletDescriptor>,
) -> Result<Value, Failure> {
    let accounts = keys.iter().enumerate().map(|(number, public_key)| {
        let key = KeyId::parse(&format!("key-{number}"))?;
        Ok::<_, Failure>(ContextAccount { key, public_key: public_key.clone(), path: None })
    });
    let context = DecodeContext {
        v: 1,
        wallet: WalletId::parse("inspected")?,
        chain: chain.clone(),
        accounts: accounts.collect::<Result<_, _>>()?,
        descriptors,
    };
    let decoders = decoders();
    let decoder = decoders
        .iter()
        .find(|decoder| decoder.reads(&payload.format, chain))
        .ok_or("no decoder reads this format on this chain")?;
    let intent = decoder.decode(payload, &context)?;
    report(decoder.id().as_str(), payload, &intent)
}

fn report(decoder: &str, payload: &Payload, intent: &Intent) -> Result<Value, Failure> {
    let tasks: Vec<_> = intent
        .tasks
        .iter()
        .map(|task| {
            let (kind, digest) = match &task.input {
                TaskInput::Message(bytes)
                    if task.algorithm == Algorithm::Bip340 && bytes.len() == 32 =>
                {
                    ("message", hex::encode(bytes))
                }
                TaskInput::Message(bytes) => ("message", Digest::of(bytes).to_string()),
                TaskInput::Prehash(digest) => ("prehash", hex::encode(digest)),
            };
            json!({
                "key": task.key.as_str(), "algorithm": task.algorithm.as_str(), "input": kind,
                "digest": format!("0x{digest}"),
            })
        })
        .collect();
    Ok(json!({
        "chain": intent.chain.as_str(),
        "format": payload.format.as_str(),
        "decoder": decoder,
        "effects": serde_json::to_value(&intent.effects)?,
        "facts": serde_json::to_value(&intent.facts)?,
        "tasks": tasks,
        "summary": intent.summary,
    }))
}
