use std::sync::atomic::{AtomicU64, Ordering};

use custody_core::caip::{AccountId, ChainId};
use custody_core::crypto::PublicKey;
use custody_core::effect::Effect;
use custody_core::id::{DecoderId, PayloadFormat};
use custody_core::seam::{
    DecodeContext, DecodeError, Decoder, Intent, Payload, TaskInput, TaskSignature,
};

use super::TestDecoder;

/// How a [`LyingDecoder`] breaks the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecoderLie {
    /// It puts a payload together without any signature.
    AssemblesWithout,
    /// Tasks are for a key that is no account of the wallet.
    ForeignTasks,
    /// Bytes behind the payload are left out, also out of what is signed.
    IgnoresTheRest,
    /// Two decodings differ.
    Impure,
    /// Payloads of every format and chain are decoded, although it says it does not read them.
    ReadsEverything,
    /// A refusal quotes the payload.
    ShowsThePayload,
    /// A payload above the limit is decoded.
    Unlimited,
    /// Intents have no effects.
    WithoutEffects,
}

/// [`TestDecoder`] that breaks the contract in one way, to show that a check finds it.
#[derive(Debug)]
pub struct LyingDecoder {
    inner: TestDecoder,
    lie: DecoderLie,
    calls: AtomicU64,
}

impl LyingDecoder {
    /// A decoder with this lie.
    #[must_use]
    pub fn new(lie: DecoderLie) -> Self {
        Self { inner: TestDecoder::new(), lie, calls: AtomicU64::new(0) }
    }

    fn tells(&self, lie: DecoderLie) -> bool {
        self.lie == lie
    }

    /// The payload and context as the inner decoder gets them.
    fn bent(&self, payload: &Payload, context: &DecodeContext) -> (Payload, DecodeContext) {
        let (mut payload, mut context) = (payload.clone(), context.clone());
        if self.tells(DecoderLie::IgnoresTheRest) {
            let end = payload.bytes.iter().rposition(|byte| *byte == b'}');
            payload.bytes.truncate(end.map_or(0, |end| end + 1));
        }
        if self.tells(DecoderLie::ReadsEverything) {
            payload.format = PayloadFormat::parse("test/transfer").unwrap();
            context.chain = ChainId::parse("testn:1").unwrap();
        }
        (payload, context)
    }
}

impl Decoder for LyingDecoder {
    fn id(&self) -> &DecoderId {
        self.inner.id()
    }

    fn reads(&self, format: &PayloadFormat, chain: &ChainId) -> bool {
        self.inner.reads(format, chain)
    }

    fn account(&self, chain: &ChainId, key: &PublicKey) -> Option<AccountId> {
        self.inner.account(chain, key)
    }

    fn decode(&self, payload: &Payload, context: &DecodeContext) -> Result<Intent, DecodeError> {
        let (bent, bent_context) = self.bent(payload, context);
        let answer = self.inner.decode(&bent, &bent_context);
        let long = payload.bytes.len() > 1_024;
        let mut intent = match answer {
            Err(_) if self.tells(DecoderLie::Unlimited) && long => Intent {
                chain: context.chain.clone(),
                effects: vec![Effect::Deploy],
                facts: std::collections::BTreeSet::new(),
                tasks: Vec::new(),
                summary: Vec::new(),
            },
            Err(_) if self.tells(DecoderLie::ShowsThePayload) => {
                let quoted = String::from_utf8_lossy(&payload.bytes).into_owned();
                return Err(DecodeError::new(payload.format.clone(), quoted));
            }
            answer => answer?,
        };
        if self.tells(DecoderLie::WithoutEffects) {
            intent.effects.clear();
        }
        for task in &mut intent.tasks {
            if self.tells(DecoderLie::ForeignTasks) {
                task.key = custody_core::id::KeyId::parse("foreign").unwrap();
            }
            if self.tells(DecoderLie::Impure) {
                let call = self.calls.fetch_add(1, Ordering::SeqCst);
                task.input = TaskInput::Message(call.to_be_bytes().to_vec());
            }
        }
        Ok(intent)
    }

    fn assemble(
        &self,
        payload: &Payload,
        context: &DecodeContext,
        signatures: &[TaskSignature],
    ) -> Result<Vec<u8>, DecodeError> {
        if self.tells(DecoderLie::AssemblesWithout) {
            self.inner.decode(payload, context)?;
            return Ok(payload.bytes.clone());
        }
        self.inner.assemble(payload, context, signatures)
    }
}

/// A decoder that reads what [`TestDecoder`] reads and panics.
#[derive(Clone, Debug, Default)]
pub struct PanickingDecoder {
    inner: TestDecoder,
}

impl PanickingDecoder {
    /// The decoder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Decoder for PanickingDecoder {
    fn id(&self) -> &DecoderId {
        self.inner.id()
    }

    fn reads(&self, format: &PayloadFormat, chain: &ChainId) -> bool {
        self.inner.reads(format, chain)
    }

    fn account(&self, chain: &ChainId, key: &PublicKey) -> Option<AccountId> {
        self.inner.account(chain, key)
    }

    fn decode(&self, _: &Payload, _: &DecodeContext) -> Result<Intent, DecodeError> {
        panic!("the decoder panics");
    }

    fn assemble(
        &self,
        _: &Payload,
        _: &DecodeContext,
        _: &[TaskSignature],
    ) -> Result<Vec<u8>, DecodeError> {
        panic!("the decoder panics");
    }
}
