//! The decoder, timed.

use std::sync::Arc;

use custody_core::caip::{AccountId, ChainId};
use custody_core::crypto::PublicKey;
use custody_core::id::{DecoderId, PayloadFormat};
use custody_core::seam::{
    DecodeContext, DecodeError, Decoder, DescriptorReader, Intent, Payload, TaskSignature,
};

use super::{Stage, Stages};

/// A decoder that is timed while it decodes.
#[derive(Debug)]
pub struct TimedDecoder {
    decoder: Arc<dyn Decoder>,
    stages: Arc<Stages>,
}

impl TimedDecoder {
    /// Times what `decoder` decodes.
    #[must_use]
    pub fn new(decoder: Arc<dyn Decoder>, stages: Arc<Stages>) -> Self {
        Self { decoder, stages }
    }
}

impl Decoder for TimedDecoder {
    fn id(&self) -> &DecoderId {
        self.decoder.id()
    }

    fn reads(&self, format: &PayloadFormat, chain: &ChainId) -> bool {
        self.decoder.reads(format, chain)
    }

    fn account(&self, chain: &ChainId, key: &PublicKey) -> Option<AccountId> {
        self.decoder.account(chain, key)
    }

    fn descriptors(&self) -> Option<&dyn DescriptorReader> {
        self.decoder.descriptors()
    }

    fn decode(&self, payload: &Payload, context: &DecodeContext) -> Result<Intent, DecodeError> {
        self.stages.time(Stage::Decode, || self.decoder.decode(payload, context))
    }

    fn assemble(
        &self,
        payload: &Payload,
        context: &DecodeContext,
        signatures: &[TaskSignature],
    ) -> Result<Vec<u8>, DecodeError> {
        self.decoder.assemble(payload, context, signatures)
    }
}
