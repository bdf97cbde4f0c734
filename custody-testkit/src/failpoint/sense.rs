use std::sync::Arc;

use custody_core::caip::{AccountId, ChainId};
use custody_core::crypto::PublicKey;
use custody_core::id::{DecoderId, EngineId, PayloadFormat, PolicyId, RuleId};
use custody_core::seam::{
    ContextAccount, DecodeContext, DecodeError, Decoder, DescriptorError, DescriptorReader, Facts,
    Finding, Intent, Judgement, Missing, Payload, PolicyCompiler, PolicyDocument, PolicyEngine,
    PolicyError, TaskSignature, WalletDescriptor,
};

use super::Pointed;

impl Decoder for Pointed<dyn Decoder> {
    fn id(&self) -> &DecoderId {
        self.inner.id()
    }

    fn reads(&self, format: &PayloadFormat, chain: &ChainId) -> bool {
        self.points.plain_now("decoder.reads", || self.inner.reads(format, chain))
    }

    fn account(&self, chain: &ChainId, key: &PublicKey) -> Option<AccountId> {
        self.points.plain_now("decoder.account", || self.inner.account(chain, key))
    }

    fn descriptors(&self) -> Option<&dyn DescriptorReader> {
        self.inner.descriptors().map(|_| self as _)
    }

    fn decode(&self, payload: &Payload, context: &DecodeContext) -> Result<Intent, DecodeError> {
        let failed = || Err(DecodeError::new(payload.format.clone(), "a failpoint"));
        self.points.now("decoder.decode", failed, || self.inner.decode(payload, context))
    }

    fn assemble(
        &self,
        payload: &Payload,
        context: &DecodeContext,
        signatures: &[TaskSignature],
    ) -> Result<Vec<u8>, DecodeError> {
        let failed = || Err(DecodeError::new(payload.format.clone(), "a failpoint"));
        let inner = || self.inner.assemble(payload, context, signatures);
        self.points.now("decoder.assemble", failed, inner)
    }
}

impl DescriptorReader for Pointed<dyn Decoder> {
    fn check(
        &self,
        chain: &ChainId,
        descriptor: &WalletDescriptor,
        accounts: &[ContextAccount],
    ) -> Result<(), DescriptorError> {
        let failed = || Err(DescriptorError::new("a failpoint"));
        let inner = || self.inner.descriptors().unwrap().check(chain, descriptor, accounts);
        self.points.now("decoder.check", failed, inner)
    }
}

impl PolicyCompiler for Pointed<dyn PolicyCompiler> {
    fn engine(&self) -> &EngineId {
        self.inner.engine()
    }

    fn compile(&self, rules: &PolicyDocument) -> Result<Arc<dyn PolicyEngine>, PolicyError> {
        let failed = || {
            let message = "a failpoint".to_owned();
            Err(PolicyError::new(vec![Finding { rule: None, line: 0, column: 0, message }]))
        };
        let engine = self.points.now("compiler.compile", failed, || self.inner.compile(rules))?;
        Ok(self.points.around(engine))
    }
}

impl PolicyEngine for Pointed<dyn PolicyEngine> {
    fn id(&self) -> PolicyId {
        self.inner.id()
    }

    fn judge(&self, facts: &Facts<'_>) -> Judgement {
        let failed = || {
            let errors = vec![RuleId::parse("failpoint").unwrap()];
            Judgement { allowed: false, rules: Vec::new(), errors }
        };
        self.points.now("engine.judge", failed, || self.inner.judge(facts))
    }

    fn missing(&self, facts: &Facts<'_>) -> Missing {
        self.points.now("engine.missing", || Missing::Never, || self.inner.missing(facts))
    }
}
