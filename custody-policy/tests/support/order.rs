//! Orders as tests write them: owned facts with one line for each thing that a test is about.

use std::collections::{BTreeMap, BTreeSet};

use custody_core::amount::{Amount, Units};
use custody_core::caip::{AccountId, AssetId, ChainId};
use custody_core::effect::{
    Action, Arguments, DecodeFact, Effect, GovernanceTarget, MessageKind, Selector,
};
use custody_core::id::{
    BookId, ExtensionName, OrganisationId, PrincipalId, RoleId, TierId, WalletId,
};
use custody_core::seam::{
    ApprovalFacts, Authentication, DestinationFacts, EffectFacts, Facts, MoneyFacts,
    PolicyDocument, Requester, RoleFacts, Spent, Subject,
};
use custody_core::time::Timestamp;

pub(crate) const ETHER: &str = "eip155:1/slip44:60";
pub(crate) const USDC: &str = "eip155:1/erc20:0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48";
pub(crate) const PAYEE: &str = "eip155:1:0x00000000000000000000000000000000000000aa";
pub(crate) const HOUR: u64 = 3_600_000;
pub(crate) const DAY: u64 = 24 * HOUR;
/// Wednesday, 2026-01-07, 10:00 UTC.
pub(crate) const NOW: u64 = 1_767_780_000_000;

/// What the order is about.
#[derive(Clone, Debug)]
pub(crate) enum About {
    Book(BookId),
    House,
    Wallet(WalletId, TierId, ChainId),
}

/// One effect with its facts.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) effect: Effect,
    pub(crate) money: Option<MoneyFacts>,
    pub(crate) destination: Option<DestinationFacts>,
}

/// An order with everything known about it.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) requester: Requester,
    pub(crate) about: About,
    pub(crate) parts: Vec<Part>,
    pub(crate) decoded: BTreeSet<DecodeFact>,
    pub(crate) approvals: ApprovalFacts,
    pub(crate) authentication: Authentication,
    pub(crate) submitted: Timestamp,
    pub(crate) drilled: Timestamp,
    pub(crate) now: Timestamp,
    pub(crate) expires: Timestamp,
}

impl Order {
    /// An order about the wallet `hot-1` by a person with these roles, submitted now and right after
    /// a drill, with nothing approved and three people of two organisations in every role of the
    /// document.
    pub(crate) fn by(roles: &[&str], document: &PolicyDocument) -> Self {
        let eligible = RoleFacts { eligible: 3, eligible_organisations: 2, ..RoleFacts::default() };
        let known = document.roles.iter().map(|role| (role.clone(), eligible)).collect();
        Self {
            requester: Requester {
                id: PrincipalId::parse("ann").unwrap(),
                roles: roles.iter().map(|role| RoleId::parse(role).unwrap()).collect(),
                organisation: OrganisationId::parse("acme").unwrap(),
                service: false,
            },
            about: About::Wallet(
                WalletId::parse("hot-1").unwrap(),
                TierId::parse("hot").unwrap(),
                ChainId::parse("eip155:1").unwrap(),
            ),
            parts: Vec::new(),
            decoded: BTreeSet::new(),
            approvals: ApprovalFacts { roles: known },
            authentication: Authentication { factors: 2, ..Authentication::default() },
            submitted: Timestamp::from_millis(NOW),
            drilled: Timestamp::from_millis(NOW),
            now: Timestamp::from_millis(NOW),
            expires: Timestamp::from_millis(NOW + DAY),
        }
    }

    pub(crate) fn tier(mut self, tier: &str) -> Self {
        let wallet = WalletId::parse(&format!("{tier}-1")).unwrap();
        let chain = ChainId::parse("eip155:1").unwrap();
        self.about = About::Wallet(wallet, TierId::parse(tier).unwrap(), chain);
        self
    }

    pub(crate) fn approved(mut self, role: &str, approvals: u32, organisations: u32) -> Self {
        let facts = self.approvals.roles.entry(RoleId::parse(role).unwrap()).or_default();
        (facts.approvals, facts.organisations) = (approvals, organisations);
        self
    }

    pub(crate) fn eligible(mut self, role: &str, people: u32, organisations: u32) -> Self {
        let facts = self.approvals.roles.entry(RoleId::parse(role).unwrap()).or_default();
        (facts.eligible, facts.eligible_organisations) = (people, organisations);
        self
    }

    pub(crate) fn decoded(mut self, fact: &str) -> Self {
        self.decoded.insert(DecodeFact::parse(fact).unwrap());
        self
    }

    /// Time since submission.
    pub(crate) fn waited(mut self, millis: u64) -> Self {
        self.now = Timestamp::from_millis(self.submitted.as_millis() + millis);
        self
    }

    pub(crate) fn submitted_at(mut self, millis: u64) -> Self {
        self.submitted = Timestamp::from_millis(millis);
        self.now = self.submitted;
        self.expires = Timestamp::from_millis(millis + DAY);
        self
    }

    /// When the last drill was executed.
    pub(crate) fn drilled_at(mut self, millis: u64) -> Self {
        self.drilled = Timestamp::from_millis(millis);
        self
    }

    pub(crate) fn expires_after(mut self, millis: u64) -> Self {
        self.expires = Timestamp::from_millis(self.submitted.as_millis() + millis);
        self
    }

    /// A transfer of base units to a known address.
    pub(crate) fn transfer(self, asset: &str, units: &str) -> Self {
        let effect = Effect::Transfer {
            amount: amount(asset, units),
            from: AccountId::parse("eip155:1:0x0b").unwrap(),
            to: AccountId::parse(PAYEE).unwrap(),
        };
        self.spending(effect, known())
    }

    pub(crate) fn approve(self, asset: &str, units: &str) -> Self {
        let spender = AccountId::parse(PAYEE).unwrap();
        self.spending(Effect::Approve { amount: amount(asset, units), spender }, known())
    }

    pub(crate) fn fee(mut self, asset: &str, units: &str) -> Self {
        let effect = Effect::PayFee { amount: amount(asset, units), rate: None };
        let money = Some(money(&effect));
        self.parts.push(Part { effect, money, destination: None });
        self
    }

    pub(crate) fn call(mut self, action: Action) -> Self {
        let contract = AccountId::parse(PAYEE).unwrap();
        let selector = Selector::parse("0xa9059cbb").unwrap();
        let arguments = arguments();
        let effect = match action {
            Action::Administer => Effect::Administer { contract, selector, arguments },
            Action::Call => Effect::Call { contract, selector, arguments },
            Action::DelegateCall => Effect::DelegateCall { contract, selector, arguments },
            other => panic!("{other} calls nothing"),
        };
        self.parts.push(Part { effect, money: None, destination: Some(known()) });
        self
    }

    pub(crate) fn plain(mut self, effect: Effect) -> Self {
        self.parts.push(Part { effect, money: None, destination: None });
        self
    }

    pub(crate) fn sign(self, action: Action, kind: &str) -> Self {
        let kind = MessageKind::parse(kind).unwrap();
        self.plain(match action {
            Action::SignMessage => Effect::SignMessage { kind, arguments: arguments() },
            Action::SignOpaque => Effect::SignOpaque { kind },
            other => panic!("{other} signs nothing"),
        })
    }

    /// A command about the house.
    pub(crate) fn command(mut self, action: Action) -> Self {
        self.about = About::House;
        let extension =
            (action == Action::Extension).then(|| ExtensionName::parse("recovery/split").unwrap());
        let target = GovernanceTarget::House;
        self.plain(Effect::Govern { action, target, loosens: None, extension })
    }

    /// The last effect's destination stands in this book.
    pub(crate) fn in_book(mut self, book: &str) -> Self {
        let destination = self.parts.last_mut().unwrap().destination.as_mut().unwrap();
        destination.books.push(BookId::parse(book).unwrap());
        destination.books.sort();
        self
    }

    /// The last effect's destination stands in no book.
    pub(crate) fn unknown(mut self) -> Self {
        *self.destination() = DestinationFacts::default();
        self
    }

    pub(crate) fn known_since(mut self, millis: u64) -> Self {
        self.destination().known_since = Some(Timestamp::from_millis(millis));
        self
    }

    pub(crate) fn self_owned(mut self) -> Self {
        self.destination().self_owned = true;
        self
    }

    pub(crate) fn resembling(mut self) -> Self {
        self.destination().resembles = true;
        self
    }

    /// What the last effect's wallet spent in 24 hours.
    pub(crate) fn spent_today(mut self, units: &str) -> Self {
        self.money().spent.wallet.h24 = Units::parse(units).unwrap();
        self
    }

    pub(crate) fn order_total(mut self, units: &str) -> Self {
        self.money().order_total = Units::parse(units).unwrap();
        self
    }

    pub(crate) fn decimals(mut self, decimals: Option<u8>) -> Self {
        self.money().decimals = decimals;
        self
    }

    pub(crate) fn money(&mut self) -> &mut MoneyFacts {
        self.parts.last_mut().unwrap().money.as_mut().unwrap()
    }

    pub(crate) fn destination(&mut self) -> &mut DestinationFacts {
        self.parts.last_mut().unwrap().destination.as_mut().unwrap()
    }

    pub(crate) fn facts(&self) -> Facts<'_> {
        let effect = |part: &'_ Part| (part.money.clone(), part.destination.clone());
        Facts {
            requester: &self.requester,
            subject: match &self.about {
                About::Book(id) => Subject::Book(id),
                About::House => Subject::House,
                About::Wallet(id, tier, chain) => Subject::Wallet { id, tier, chain },
            },
            effects: self
                .parts
                .iter()
                .map(|part| {
                    let (money, destination) = effect(part);
                    EffectFacts { effect: &part.effect, money, destination }
                })
                .collect(),
            facts: &self.decoded,
            approvals: &self.approvals,
            authentication: &self.authentication,
            submitted: self.submitted,
            drilled: self.drilled,
            now: self.now,
            expires: self.expires,
        }
    }

    fn spending(mut self, effect: Effect, destination: DestinationFacts) -> Self {
        let money = Some(money(&effect));
        self.parts.push(Part { effect, money, destination: Some(destination) });
        self
    }
}

/// A document for the roles and tiers of the treasury.
pub(crate) fn document(rules: &str) -> PolicyDocument {
    PolicyDocument {
        v: 1,
        roles: ["operator", "treasurer", "administrator"]
            .map(|role| RoleId::parse(role).unwrap())
            .to_vec(),
        tiers: ["hot", "warm", "cold"].map(|tier| TierId::parse(tier).unwrap()).to_vec(),
        rules: rules.to_owned(),
    }
}

/// `whole` whole units of an asset with this many decimals, in base units.
pub(crate) fn whole(whole: u64, decimals: usize) -> String {
    if whole == 0 { "0".to_owned() } else { format!("{whole}{}", "0".repeat(decimals)) }
}

pub(crate) fn amount(asset: &str, units: &str) -> Amount {
    Amount::new(AssetId::parse(asset).unwrap(), Units::parse(units).unwrap())
}

pub(crate) fn ids(names: &[&str]) -> Vec<custody_core::id::RuleId> {
    names.iter().map(|name| custody_core::id::RuleId::parse(name).unwrap()).collect()
}

pub(crate) fn counts(entries: &[(&str, u32)]) -> BTreeMap<RoleId, u32> {
    entries.iter().map(|(role, count)| (RoleId::parse(role).unwrap(), *count)).collect()
}

fn known() -> DestinationFacts {
    DestinationFacts {
        books: vec![BookId::parse("partners").unwrap()],
        known_since: Some(Timestamp::from_millis(NOW - 30 * DAY)),
        self_owned: false,
        resembles: false,
    }
}

/// The effect is all that moves; the windows hold it and nothing else.
fn money(effect: &Effect) -> MoneyFacts {
    let amount = effect.amount().unwrap();
    let units = amount.units();
    let sums = custody_core::seam::WindowSums { h1: units, h24: units, d7: units, d30: units };
    MoneyFacts {
        decimals: Some(if amount.asset().as_str() == USDC { 6 } else { 18 }),
        order_total: units,
        fee: Units::ZERO,
        spent: Spent { wallet: sums, requester: sums, destination: sums },
        value: None,
    }
}

fn arguments() -> Arguments {
    let mut arguments = Arguments::new();
    arguments.insert("to", "0x00").unwrap();
    arguments.insert("amount", "5").unwrap();
    arguments
}
