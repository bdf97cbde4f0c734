use std::collections::BTreeSet;

use custody_core::amount::{Amount, Units};
use custody_core::caip::{AccountId, AssetId, ChainId};
use custody_core::effect::{
    Action, Arguments, DecodeFact, Effect, GovernanceTarget, MessageKind, Selector,
};
use custody_core::id::{OrganisationId, PrincipalId, RoleId, TierId, WalletId};
use custody_core::seam::{
    ApprovalFacts, Authentication, DestinationFacts, EffectFacts, Facts, MoneyFacts,
    PolicyDocument, Requester, Requirement, RoleFacts, Spent, Subject, WindowSums,
};
use custody_core::time::Timestamp;

use crate::runtime::TestClock;

/// One day in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// An order with everything that is known about it when it is judged, owned.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "tests change what they are about")]
pub struct OrderFacts {
    /// Who asks.
    pub requester: Requester,
    /// Whether the order is about the house as a whole rather than the wallet.
    pub house: bool,
    /// The wallet.
    pub wallet: WalletId,
    /// The wallet's tier.
    pub tier: TierId,
    /// The wallet's chain.
    pub chain: ChainId,
    /// Its effects, in order.
    pub effects: Vec<EffectCase>,
    /// What a decoder found besides.
    pub decoded: BTreeSet<DecodeFact>,
    /// Who approved, and who could.
    pub approvals: ApprovalFacts,
    /// How the requester was authenticated.
    pub authentication: Authentication,
    /// When the order was submitted.
    pub submitted: Timestamp,
    /// When the last recovery drill was executed.
    pub drilled: Timestamp,
    /// Ledger time.
    pub now: Timestamp,
    /// When the order expires.
    pub expires: Timestamp,
}

/// One effect with what is known about it, owned.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "tests change what they are about")]
pub struct EffectCase {
    /// The effect.
    pub effect: Effect,
    /// About its money.
    pub money: Option<MoneyFacts>,
    /// About its destination.
    pub destination: Option<DestinationFacts>,
}

impl OrderFacts {
    /// An order without effects about a wallet of the document's first tier, by a person who holds
    /// every role, submitted now and right after a drill, with nothing approved and three people of two organisations
    /// eligible in every role.
    #[must_use]
    pub fn new(document: &PolicyDocument) -> Self {
        let eligible = RoleFacts { eligible: 3, eligible_organisations: 2, ..RoleFacts::default() };
        let mut roles = document.roles.clone();
        roles.sort();
        let tier = document.tiers.first().cloned();
        Self {
            approvals: ApprovalFacts {
                roles: roles.iter().map(|role| (role.clone(), eligible)).collect(),
            },
            requester: Requester {
                id: PrincipalId::parse("ann").unwrap(),
                roles,
                organisation: OrganisationId::parse("acme").unwrap(),
                service: false,
            },
            house: false,
            wallet: WalletId::parse("wallet-1").unwrap(),
            tier: tier.unwrap_or_else(|| TierId::parse("hot").unwrap()),
            chain: ChainId::parse("eip155:1").unwrap(),
            effects: Vec::new(),
            decoded: BTreeSet::new(),
            authentication: Authentication { factors: 2, ..Authentication::default() },
            submitted: TestClock::START,
            drilled: TestClock::START,
            now: TestClock::START,
            expires: Timestamp::from_millis(TestClock::START.as_millis() + DAY_MS),
        }
    }

    /// The order with one more effect, whose money is known to 18 decimals and whose destination
    /// has been known for ever.
    #[must_use]
    pub fn with(mut self, effect: Effect) -> Self {
        let units = effect.amount().map(Amount::units);
        let money = units.map(|units| {
            let sums = WindowSums { h1: units, h24: units, d7: units, d30: units };
            MoneyFacts {
                decimals: Some(18),
                order_total: units,
                fee: Units::ZERO,
                spent: Spent { wallet: sums, requester: sums, destination: sums },
                value: None,
            }
        });
        let known = || DestinationFacts {
            books: Vec::new(),
            known_since: Some(Timestamp::default()),
            self_owned: false,
            resembles: false,
        };
        let destination = effect.destination().map(|_| known());
        self.effects.push(EffectCase { effect, money, destination });
        self
    }

    /// The order with a transfer of so many base units.
    #[must_use]
    pub fn with_transfer(self, units: u64) -> Self {
        let asset = AssetId::parse("eip155:1/slip44:60").unwrap();
        let account = |address: &str| AccountId::parse(&format!("eip155:1:{address}")).unwrap();
        self.with(Effect::Transfer {
            amount: Amount::new(asset, Units::from(units)),
            from: account("0x000000000000000000000000000000000000000a"),
            to: account("0x000000000000000000000000000000000000000b"),
        })
    }

    /// The order with so many people having approved in a role, all of one organisation.
    #[must_use]
    pub fn with_approvals(mut self, role: &RoleId, approvals: u32) -> Self {
        let facts = self.approvals.roles.entry(role.clone()).or_default();
        facts.approvals = approvals;
        facts.organisations = approvals.min(1);
        facts.eligible = facts.eligible.max(approvals);
        facts.eligible_organisations = facts.eligible_organisations.max(facts.organisations);
        self
    }

    /// The order with what the requirement asks for granted.
    #[must_use]
    pub fn granted(mut self, requirement: &Requirement) -> Self {
        for (role, more) in &requirement.approvals {
            let facts = self.approvals.roles.entry(role.clone()).or_default();
            facts.approvals += more;
            facts.organisations = facts.organisations.max(facts.approvals.min(1));
        }
        for (role, more) in &requirement.organisations {
            self.approvals.roles.entry(role.clone()).or_default().organisations += more;
        }
        self.now = self.now.max(requirement.not_before.unwrap_or_default());
        self
    }

    /// Sets the times: submitted so many milliseconds after the epoch, judged and expiring so many
    /// after that.
    pub fn set_times(&mut self, submitted: u64, age: u64, left: u64) {
        self.submitted = Timestamp::from_millis(submitted);
        self.now = Timestamp::from_millis(submitted.saturating_add(age));
        self.expires = Timestamp::from_millis(submitted.saturating_add(age).saturating_add(left));
    }

    /// One effect of each kind that is no command.
    #[must_use]
    pub fn every_effect() -> Vec<Effect> {
        let account = || AccountId::parse("eip155:1:0x0b").unwrap();
        let amount = || Amount::new(AssetId::parse("eip155:1/slip44:60").unwrap(), 7_u64.into());
        let selector = || Selector::parse("0xa9059cbb").unwrap();
        let kind = || MessageKind::parse("eip191").unwrap();
        vec![
            Effect::Administer {
                contract: account(),
                selector: selector(),
                arguments: Arguments::new(),
            },
            Effect::Approve { amount: amount(), spender: account() },
            Effect::Call { contract: account(), selector: selector(), arguments: Arguments::new() },
            Effect::DelegateCall {
                contract: account(),
                selector: selector(),
                arguments: Arguments::new(),
            },
            Effect::Deploy,
            Effect::PayFee { amount: amount(), rate: None },
            Effect::SignMessage { kind: kind(), arguments: Arguments::new() },
            Effect::SignOpaque { kind: kind() },
            Effect::Transfer { amount: amount(), from: account(), to: account() },
        ]
    }

    /// One command of each governance action but extensions, about the house.
    #[must_use]
    pub fn every_command() -> Vec<Effect> {
        let actions = Action::ALL.iter().filter(|action| action.is_governance());
        let command = |action: &Action| Effect::Govern {
            action: *action,
            target: GovernanceTarget::House,
            loosens: None,
            extension: None,
        };
        actions.filter(|action| **action != Action::Extension).map(command).collect()
    }

    /// The order as an engine sees it.
    #[must_use]
    pub fn facts(&self) -> Facts<'_> {
        let wallet = Subject::Wallet { id: &self.wallet, tier: &self.tier, chain: &self.chain };
        let effects = self.effects.iter().map(|case| EffectFacts {
            effect: &case.effect,
            money: case.money.clone(),
            destination: case.destination.clone(),
        });
        Facts {
            requester: &self.requester,
            subject: if self.house { Subject::House } else { wallet },
            effects: effects.collect(),
            facts: &self.decoded,
            approvals: &self.approvals,
            authentication: &self.authentication,
            submitted: self.submitted,
            drilled: self.drilled,
            now: self.now,
            expires: self.expires,
        }
    }
}
