use std::sync::Arc;

use custody_core::caip::{AccountId, ChainId};
use custody_core::crypto::PublicKey;
use custody_core::id::{DecoderId, PayloadFormat};
use custody_core::seam::{DecodeContext, DecodeError, Decoder, Intent, Payload, TaskSignature};

/// A decoder that says it reads what `inner` reads, and refuses every payload: to decode it, and
/// to put it together with its signatures.
#[derive(Clone, Debug)]
pub struct DenyingDecoder {
    inner: Arc<dyn Decoder>,
}

impl DenyingDecoder {
    /// A decoder in the place of `inner`, under its name.
    #[must_use]
    pub const fn new(inner: Arc<dyn Decoder>) -> Self {
        Self { inner }
    }
}

impl Decoder for DenyingDecoder {
    fn id(&self) -> &DecoderId {
        self.inner.id()
    }

    fn reads(&self, format: &PayloadFormat, chain: &ChainId) -> bool {
        self.inner.reads(format, chain)
    }

    fn account(&self, chain: &ChainId, key: &PublicKey) -> Option<AccountId> {
        self.inner.account(chain, key)
    }

    fn decode(&self, payload: &Payload, _: &DecodeContext) -> Result<Intent, DecodeError> {
        Err(DecodeError::new(payload.format.clone(), "every payload is denied"))
    }

    fn assemble(
        &self,
        payload: &Payload,
        _: &DecodeContext,
        _: &[TaskSignature],
    ) -> Result<Vec<u8>, DecodeError> {
        Err(DecodeError::new(payload.format.clone(), "every payload is denied"))
    }
}
