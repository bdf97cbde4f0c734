//! What an engine is asked about a transfer out of the hot wallet and its fee.

use std::time::Duration;

use custody_chain::EvmDecoder;
use custody_core::amount::Units;
use custody_core::caip::ChainId;
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::effect::Effect;
use custody_core::id::{
    KeyId, OrganisationId, PayloadFormat, PrincipalId, RoleId, TierId, WalletId,
};
use custody_core::seam::{
    ApprovalFacts, Authentication, ContextAccount, DecodeContext, Decoder as _, DestinationFacts,
    EffectFacts, Facts, Intent, Judgement, MoneyFacts, Payload, PolicyCompiler as _,
    PolicyDocument, PolicyEngine, Requester, RoleFacts, Spent, Subject, WindowSums,
};
use custody_core::time::Timestamp;
use custody_policy::CedarCompiler;

use crate::{Failure, load};

/// An order ready to be judged, and what is known about it.
#[derive(Debug)]
pub struct Case {
    requester: Requester,
    approvals: ApprovalFacts,
    authentication: Authentication,
    wallet: WalletId,
    tier: TierId,
    intent: Intent,
}

impl Case {
    /// The transfer of the load.
    pub fn new() -> Result<Self, Failure> {
        let key = k256::ecdsa::SigningKey::from_slice(&[1; 32])?;
        let point = key.verifying_key().to_sec1_point(true);
        let public_key = PublicKey::from_bytes(Algorithm::EcdsaSecp256k1, point.as_bytes())?;
        let intent = EvmDecoder::new().decode(&payload()?, &context(&public_key)?)?;
        let role = RoleId::parse("operator")?;
        Ok(Self {
            requester: Requester {
                id: PrincipalId::parse("operator")?,
                roles: vec![role.clone()],
                organisation: OrganisationId::parse("house")?,
                service: true,
            },
            approvals: ApprovalFacts { roles: [(role, RoleFacts::default())].into() },
            authentication: Authentication::default(),
            wallet: WalletId::parse("hot")?,
            tier: TierId::parse("hot")?,
            intent,
        })
    }

    /// Puts the facts together and asks the engine.
    pub fn judge(&self, engine: &dyn PolicyEngine) -> Judgement {
        let now = Timestamp::from_millis(1_767_780_000_000);
        engine.judge(&Facts {
            requester: &self.requester,
            subject: Subject::Wallet {
                id: &self.wallet,
                tier: &self.tier,
                chain: &self.intent.chain,
            },
            effects: effects(&self.intent),
            facts: &self.intent.facts,
            approvals: &self.approvals,
            authentication: &self.authentication,
            submitted: now,
            drilled: now,
            now,
            expires: now.after(Duration::from_secs(86_400)),
        })
    }
}

/// An engine of these rules.
pub fn engine(rules: String) -> Result<std::sync::Arc<dyn PolicyEngine>, Failure> {
    let tiers = ["hot", "warm", "cold"];
    Ok(CedarCompiler::new()?.compile(&PolicyDocument {
        v: 1,
        roles: vec![RoleId::parse("operator")?],
        tiers: tiers.iter().map(|tier| TierId::parse(tier)).collect::<Result<_, _>>()?,
        rules,
    })?)
}

/// The payload of a transfer.
pub fn payload() -> Result<Payload, Failure> {
    Ok(Payload { format: PayloadFormat::parse("evm/transaction")?, bytes: load::transfer(7) })
}

/// The wallet's account.
pub fn context(public_key: &PublicKey) -> Result<DecodeContext, Failure> {
    let account =
        ContextAccount { key: KeyId::parse("hot.0")?, public_key: public_key.clone(), path: None };
    Ok(DecodeContext {
        v: 1,
        wallet: WalletId::parse("hot")?,
        chain: ChainId::parse("eip155:1")?,
        accounts: vec![account],
        descriptors: Vec::new(),
    })
}

fn effects(intent: &Intent) -> Vec<EffectFacts<'_>> {
    let amounts = intent.effects.iter().filter_map(Effect::amount);
    let total = amounts.fold(Units::default(), |sum, amount| sum.saturating_add(amount.units()));
    let sums = WindowSums { h1: total, h24: total, d7: total, d30: total };
    let spent = Spent { wallet: sums, requester: sums, destination: sums };
    let money = |effect: &Effect| {
        let units = effect.amount()?.units();
        let fee = if matches!(effect, Effect::PayFee { .. }) { units } else { Units::default() };
        Some(MoneyFacts { decimals: Some(18), order_total: total, fee, spent, value: None })
    };
    intent
        .effects
        .iter()
        .map(|effect| EffectFacts {
            effect,
            money: money(effect),
            destination: effect.destination().map(|_| DestinationFacts::default()),
        })
        .collect()
}
