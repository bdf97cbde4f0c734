//! A decoder that says what its payload says, and engines that answer as they are told.

use std::collections::BTreeSet;
use std::sync::Arc;

use custody_core::amount::{Amount, Units};
use custody_core::caip::{AccountId, AssetId, ChainId};
use custody_core::crypto::PublicKey;
use custody_core::custodian::Request;
use custody_core::digest::Digest;
use custody_core::document::parse;
use custody_core::effect::Effect;
use custody_core::id::{DecoderId, EngineId, PayloadFormat, PolicyId, RequestId, RuleId, WalletId};
use custody_core::seam::{
    DecodeContext, DecodeError, Decoder, Facts, Intent, Judgement, Missing, Payload,
    PolicyCompiler, PolicyDocument, PolicyEngine, PolicyError, SigningTask, TaskInput,
    TaskSignature,
};
use examples_start::house::ETHER;

use crate::world::people::Person;
use crate::world::work::{KNOWN, STRANGER};

/// Reads payloads that are lists of effects.
#[derive(Debug)]
pub(crate) struct EffectDecoder(DecoderId);

impl EffectDecoder {
    pub(crate) fn new() -> Self {
        Self(DecoderId::parse("effects/1").unwrap())
    }
}

impl Decoder for EffectDecoder {
    fn id(&self) -> &DecoderId {
        &self.0
    }

    fn reads(&self, format: &PayloadFormat, _: &ChainId) -> bool {
        *format == effects_format()
    }

    fn account(&self, _: &ChainId, _: &PublicKey) -> Option<AccountId> {
        None
    }

    fn decode(&self, payload: &Payload, context: &DecodeContext) -> Result<Intent, DecodeError> {
        let effects: Vec<Effect> = parse(&payload.bytes)
            .map_err(|error| DecodeError::new(payload.format.clone(), error))?;
        let account = &context.accounts[0];
        Ok(Intent {
            chain: context.chain.clone(),
            effects,
            facts: BTreeSet::new(),
            tasks: vec![SigningTask {
                key: account.key.clone(),
                algorithm: account.public_key.algorithm(),
                input: TaskInput::Prehash(*Digest::of(&payload.bytes).as_bytes()),
            }],
            summary: Vec::new(),
        })
    }

    fn assemble(
        &self,
        payload: &Payload,
        _: &DecodeContext,
        _: &[TaskSignature],
    ) -> Result<Vec<u8>, DecodeError> {
        Ok(payload.bytes.clone())
    }
}

fn effects_format() -> PayloadFormat {
    PayloadFormat::parse("test/effects").unwrap()
}

/// A request to sign a payload with these effects, from the wallet `hot`.
pub(crate) fn effects(person: &Person, id: &str, effects: &[Effect]) -> Request {
    let payload = Payload { format: effects_format(), bytes: serde_json::to_vec(effects).unwrap() };
    let (id, wallet) = (RequestId::parse(id).unwrap(), WalletId::parse("hot").unwrap());
    Request::payload(person.id.clone(), id, wallet, payload)
}

/// A transfer of ether to a known address.
pub(crate) fn transfer(units: impl Into<Units>) -> Effect {
    transfer_of(ETHER, units)
}

/// A transfer of an asset to a known address.
pub(crate) fn transfer_of(asset: &str, units: impl Into<Units>) -> Effect {
    let account = |address| AccountId::parse(&format!("eip155:1:{address}")).unwrap();
    let amount = Amount::new(AssetId::parse(asset).unwrap(), units.into());
    Effect::Transfer { amount, from: account(STRANGER), to: account(KNOWN) }
}

/// What an engine answers about an order.
pub(crate) type Judge = fn(&Facts<'_>) -> Judgement;

/// Compiles any rule set to an engine that answers as it is told.
#[derive(Debug)]
pub(crate) struct CompilerDouble {
    engine: EngineId,
    judge: Judge,
}

#[derive(Debug)]
struct EngineDouble {
    id: PolicyId,
    judge: Judge,
}

impl CompilerDouble {
    pub(crate) fn new(judge: Judge) -> Self {
        Self { engine: EngineId::parse("double/1").unwrap(), judge }
    }
}

impl PolicyCompiler for CompilerDouble {
    fn engine(&self) -> &EngineId {
        &self.engine
    }

    fn compile(&self, rules: &PolicyDocument) -> Result<Arc<dyn PolicyEngine>, PolicyError> {
        let id = PolicyDocument::id_of(&rules.to_bytes().unwrap());
        Ok(Arc::new(EngineDouble { id, judge: self.judge }))
    }
}

impl PolicyEngine for EngineDouble {
    fn id(&self) -> PolicyId {
        self.id
    }

    fn judge(&self, facts: &Facts<'_>) -> Judgement {
        (self.judge)(facts)
    }

    fn missing(&self, _: &Facts<'_>) -> Missing {
        Missing::Never
    }
}

/// An answer with these rules and errors.
pub(crate) fn judgement(allowed: bool, rules: &[&str], errors: &[&str]) -> Judgement {
    let ids = |texts: &[&str]| texts.iter().map(|text| RuleId::parse(text).unwrap()).collect();
    Judgement { allowed, rules: ids(rules), errors: ids(errors) }
}

/// Whether the order is about the custodian itself.
pub(crate) fn is_governance(facts: &Facts<'_>) -> bool {
    facts.effects.iter().all(|effect| effect.effect.action().is_governance())
}
