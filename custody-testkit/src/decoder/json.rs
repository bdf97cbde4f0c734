use std::collections::BTreeSet;

use custody_core::amount::{Amount, Units};
use custody_core::caip::{AccountId, AssetId, ChainId};
use custody_core::crypto::PublicKey;
use custody_core::digest::Digest;
use custody_core::effect::{DecodeFact, Effect};
use custody_core::id::{DecoderId, KeyId, PayloadFormat};
use custody_core::seam::{
    DecodeContext, DecodeError, Decoder, Intent, Payload, SigningTask, TaskInput, TaskSignature,
};
use serde::{Deserialize, Serialize};

/// The one format of [`TestDecoder`].
const FORMAT: &str = "test/transfer";
/// Largest payload, in bytes.
const LIMIT: usize = 64 * 1_024;

/// Decodes `test/transfer`, a JSON object, on chains of the namespace `testn`.
///
/// The payload names its effects and the keys that sign it. Each key signs the SHA-256 of its
/// index and the whole payload, ECDSA as a digest and the others as a message of 32 bytes, so
/// that every byte of the payload is in every signature. The bytes must be what
/// [`TestTransfer::to_bytes`] writes; anything else is refused.
#[derive(Clone, Debug)]
pub struct TestDecoder {
    id: DecoderId,
    format: PayloadFormat,
}

/// A payload of [`TestDecoder`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "tests build it")]
pub struct TestTransfer {
    /// What the payload does, at least one effect.
    pub effects: Vec<Effect>,
    /// The keys that sign, at least one; each must be an account of the wallet.
    pub signers: Vec<KeyId>,
    /// What a rule may speak about besides.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub facts: BTreeSet<DecodeFact>,
    /// Makes two payloads differ.
    pub nonce: u64,
}

impl TestTransfer {
    /// The chain of these payloads.
    #[must_use]
    pub fn chain() -> ChainId {
        ChainId::parse("testn:1").unwrap()
    }

    /// The coin of that chain.
    #[must_use]
    pub fn coin() -> AssetId {
        AssetId::parse("testn:1/slip44:1").unwrap()
    }

    /// An account on that chain.
    #[must_use]
    pub fn account(address: &str) -> AccountId {
        AccountId::new(&Self::chain(), address).unwrap()
    }

    /// A payload that moves so many units of the coin to `to`, signed by `signer`.
    #[must_use]
    pub fn of(units: u64, to: &str, signer: &KeyId, nonce: u64) -> Self {
        let effect = Effect::Transfer {
            amount: Amount::new(Self::coin(), Units::from(units)),
            from: Self::account("own"),
            to: Self::account(to),
        };
        let signers = vec![signer.clone()];
        Self { effects: vec![effect], signers, facts: BTreeSet::new(), nonce }
    }

    /// The bytes of the payload.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap()
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> Payload {
        Payload { format: PayloadFormat::parse(FORMAT).unwrap(), bytes: self.to_bytes() }
    }
}

impl TestDecoder {
    /// The decoder.
    #[must_use]
    pub fn new() -> Self {
        let id = DecoderId::parse("test/1").unwrap();
        Self { id, format: PayloadFormat::parse(FORMAT).unwrap() }
    }

    /// The same as another version of itself.
    #[must_use]
    pub fn with_id(self, id: DecoderId) -> Self {
        Self { id, ..self }
    }

    fn intent(&self, payload: &Payload, context: &DecodeContext) -> Result<Intent, &'static str> {
        if !self.reads(&payload.format, &context.chain) {
            return Err("another format or chain");
        }
        if payload.bytes.len() > LIMIT {
            return Err("above the limit");
        }
        let parsed: TestTransfer =
            serde_json::from_slice(&payload.bytes).map_err(|_| "no object of the format")?;
        if parsed.to_bytes() != payload.bytes {
            return Err("not written plainly");
        }
        let listed = |length: usize| (1..=1_024).contains(&length);
        if !listed(parsed.effects.len()) || !listed(parsed.signers.len()) {
            return Err("no effects or signers, or too many");
        }
        let tasks = parsed.signers.iter().enumerate();
        let tasks = tasks.map(|(index, key)| task(index as u64, key, payload, context));
        Ok(Intent {
            chain: context.chain.clone(),
            tasks: tasks.collect::<Option<_>>().ok_or("a signer is no account of the wallet")?,
            summary: parsed.effects.iter().map(|effect| effect.action().to_string()).collect(),
            effects: parsed.effects,
            facts: parsed.facts,
        })
    }
}

fn task(
    index: u64,
    key: &KeyId,
    payload: &Payload,
    context: &DecodeContext,
) -> Option<SigningTask> {
    let account = context.accounts.iter().find(|account| account.key == *key)?;
    let algorithm = account.public_key.algorithm();
    let digest = Digest::tagged("test/transfer", &[&index.to_be_bytes(), &payload.bytes]);
    let input = match algorithm.signs_prehash() {
        true => TaskInput::Prehash(*digest.as_bytes()),
        false => TaskInput::Message(digest.as_bytes().to_vec()),
    };
    Some(SigningTask { key: key.clone(), algorithm, input })
}

impl Default for TestDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder for TestDecoder {
    fn id(&self) -> &DecoderId {
        &self.id
    }

    fn reads(&self, format: &PayloadFormat, chain: &ChainId) -> bool {
        *format == self.format && chain.namespace() == "testn"
    }

    fn account(&self, chain: &ChainId, key: &PublicKey) -> Option<AccountId> {
        let address = Digest::of(key.as_bytes()).to_string();
        let own = chain.namespace() == "testn";
        own.then(|| AccountId::new(chain, &address).ok()).flatten()
    }

    fn decode(&self, payload: &Payload, context: &DecodeContext) -> Result<Intent, DecodeError> {
        let refused = |reason| DecodeError::new(payload.format.clone(), reason);
        self.intent(payload, context).map_err(refused)
    }

    /// The payload followed by the signatures, in the order of its tasks.
    fn assemble(
        &self,
        payload: &Payload,
        context: &DecodeContext,
        signatures: &[TaskSignature],
    ) -> Result<Vec<u8>, DecodeError> {
        let refused = |reason| DecodeError::new(payload.format.clone(), reason);
        let intent = self.intent(payload, context).map_err(refused)?;
        if signatures.len() != intent.tasks.len() {
            return Err(refused("another number of signatures than tasks"));
        }
        let mut signed = payload.bytes.clone();
        for (task, signature) in intent.tasks.iter().zip(signatures) {
            let fits =
                signature.key == task.key && signature.signature.algorithm() == task.algorithm;
            if !fits {
                return Err(refused("the signature of a task is missing"));
            }
            signed.extend_from_slice(signature.signature.as_bytes());
        }
        Ok(signed)
    }
}
