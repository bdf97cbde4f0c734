//! The values of facts, as they are handed to Cedar.
//!
//! Invariant: a fact that an action must have and that is not known denies; it never becomes a
//! default.

use cedar_policy::{EntityTypeName, RestrictedExpression};
use custody_core::amount::Units;
use custody_core::effect::Effect;
use custody_core::id::RoleId;
use custody_core::seam::{DestinationFacts, EffectFacts, Facts, MoneyFacts, WindowSums};
use custody_core::time::Timestamp;

use crate::leaf::{Leaf, Span, Whose};
use crate::names::{self, Names};
use crate::schema::Shape;
use crate::ticks::Scale;

/// What moves while an order waits: time, and approvals by the role's index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) now: Timestamp,
    pub(crate) counts: Vec<Count>,
}

/// Approvals in one role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Count {
    pub(crate) approvals: u32,
    pub(crate) organisations: u32,
}

/// A fact that must be known is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotKnown;

/// Everything that the values of one effect come from.
#[derive(Debug)]
pub(crate) struct Values<'a> {
    facts: &'a Facts<'a>,
    effect: &'a EffectFacts<'a>,
    shape: Shape,
    scale: Option<Scale>,
    names: &'a Names,
}

impl Moment {
    /// The moment at which the facts were taken.
    pub(crate) fn of(facts: &Facts<'_>, roles: &[RoleId]) -> Self {
        let counts = roles.iter().map(|role| {
            let given = facts.approvals.roles.get(role).copied().unwrap_or_default();
            Count { approvals: given.approvals, organisations: given.organisations }
        });
        Self { now: facts.now, counts: counts.collect() }
    }
}

impl<'a> Values<'a> {
    /// The values of `effect`, if everything is known that its action needs.
    pub(crate) fn new(
        facts: &'a Facts<'a>,
        effect: &'a EffectFacts<'a>,
        names: &'a Names,
    ) -> Result<Self, NotKnown> {
        let shape = Shape::of(effect.effect.action());
        let decimals = effect.money.as_ref().and_then(|money| money.decimals);
        let scale = decimals.map(Scale::of);
        if shape.money && (scale.is_none() || effect.effect.amount().is_none()) {
            return Err(NotKnown);
        }
        let counterparty = effect.destination.is_some() && effect.effect.destination().is_some();
        if shape.destination && !counterparty {
            return Err(NotKnown);
        }
        Ok(Self { facts, effect, shape, scale, names })
    }

    /// The leaf's value; `None` for a fact that the action has not, or that may be unknown and is.
    pub(crate) fn of(
        &self,
        leaf: Leaf,
        moment: &Moment,
    ) -> Result<Option<RestrictedExpression>, NotKnown> {
        if !leaf.is_in(self.shape) {
            return Ok(None);
        }
        match leaf {
            Leaf::Ip => Ok(self
                .facts
                .authentication
                .ip
                .map(|ip| RestrictedExpression::new_ip(ip.to_string()))),
            Leaf::Loosens => Ok(self.loosens().map(RestrictedExpression::new_bool)),
            Leaf::Value => Ok(self.value().map(RestrictedExpression::new_long)),
            known => self.known(known, moment).map(Some).ok_or(NotKnown),
        }
    }

    fn known(&self, leaf: Leaf, moment: &Moment) -> Option<RestrictedExpression> {
        if leaf.is_money() {
            return self.money(leaf).map(RestrictedExpression::new_long);
        }
        let number = match leaf {
            Leaf::Age => Some(self.age(moment)),
            Leaf::Approvals(role) => Some(i64::from(moment.counts.get(role)?.approvals)),
            Leaf::Clock => Some(millis(moment.now) % DAY),
            Leaf::Cooled => Some(self.cooled(moment)?),
            Leaf::Count => Some(i64::try_from(self.facts.effects.len()).unwrap_or(i64::MAX)),
            Leaf::Day => Some(millis(moment.now).saturating_sub(millis(moment.now) % DAY)),
            Leaf::Factors => Some(i64::from(self.facts.authentication.factors)),
            Leaf::Login => Some(self.login()),
            Leaf::Now => Some(millis(moment.now)),
            Leaf::Organisations(role) => Some(i64::from(moment.counts.get(role)?.organisations)),
            Leaf::Weekday => Some(weekday(moment.now)),
            _ => None,
        };
        if let Some(number) = number {
            return Some(RestrictedExpression::new_long(number));
        }
        self.other(leaf, moment)
    }

    fn other(&self, leaf: Leaf, moment: &Moment) -> Option<RestrictedExpression> {
        match leaf {
            Leaf::AgeExact => Some(duration(self.age(moment))),
            Leaf::Asset => {
                let asset = self.effect.effect.amount()?.asset();
                Some(self.entity(&self.names.asset, asset.as_str()))
            }
            Leaf::Books => {
                let books = self.destination()?.books.iter();
                let books = books.map(|book| self.entity(&self.names.book, book.as_str()));
                Some(RestrictedExpression::new_set(books))
            }
            Leaf::CooledExact => Some(duration(self.cooled(moment)?)),
            Leaf::Destination => {
                let account = self.effect.effect.destination()?;
                Some(self.entity(&self.names.address, account.as_str()))
            }
            Leaf::Facts => {
                let facts = self.facts.facts.iter();
                Some(RestrictedExpression::new_set(facts.map(|fact| text(fact.as_str()))))
            }
            Leaf::Known => Some(truth(self.destination()?.known_since.is_some())),
            Leaf::LoginExact => Some(duration(self.login())),
            Leaf::NowExact => Some(RestrictedExpression::new_datetime(moment.now.to_string())),
            Leaf::SelfOwned => Some(truth(self.destination()?.self_owned)),
            Leaf::Signed => Some(truth(self.facts.authentication.signed)),
            Leaf::Kind | Leaf::Name | Leaf::Selector => self.label(leaf).map(text),
            _ => None,
        }
    }

    fn label(&self, leaf: Leaf) -> Option<&str> {
        match (leaf, self.effect.effect) {
            (Leaf::Kind, Effect::SignMessage { kind } | Effect::SignOpaque { kind }) => {
                Some(kind.as_str())
            }
            (Leaf::Name, Effect::Govern { extension: Some(name), .. }) => Some(name.as_str()),
            (
                Leaf::Selector,
                Effect::Administer { selector, .. }
                | Effect::Call { selector, .. }
                | Effect::DelegateCall { selector, .. },
            ) => Some(selector.as_str()),
            _ => None,
        }
    }

    fn money(&self, leaf: Leaf) -> Option<i64> {
        let money = self.effect.money.as_ref()?;
        let units = match leaf {
            Leaf::Amount => self.effect.effect.amount()?.units(),
            Leaf::Fee => money.fee,
            Leaf::Spent(whose, span) => spent(money, whose, span),
            Leaf::Total => money.order_total,
            _ => return None,
        };
        Some(self.scale?.ticks(units))
    }

    /// The value is in whole units of the house's currency with four decimals.
    fn value(&self) -> Option<i64> {
        let value = self.effect.money.as_ref()?.value.as_ref()?;
        Some(Scale::of(VALUE_DECIMALS).ticks(value.units()))
    }

    fn loosens(&self) -> Option<bool> {
        match self.effect.effect {
            Effect::Govern { loosens, .. } => *loosens,
            _ => None,
        }
    }

    fn age(&self, moment: &Moment) -> i64 {
        span(moment.now.since(self.facts.submitted).as_millis())
    }

    fn cooled(&self, moment: &Moment) -> Option<i64> {
        let known = self.destination()?.known_since;
        Some(known.map_or(0, |since| span(moment.now.since(since).as_millis())))
    }

    fn login(&self) -> i64 {
        span(self.facts.authentication.age().as_millis())
    }

    const fn destination(&self) -> Option<&DestinationFacts> {
        self.effect.destination.as_ref()
    }

    fn entity(&self, kind: &EntityTypeName, id: &str) -> RestrictedExpression {
        RestrictedExpression::new_entity_uid(names::entity(kind, id))
    }
}

/// 1 on Mondays, 7 on Sundays, in UTC. The epoch was a Thursday.
fn weekday(now: Timestamp) -> i64 {
    (millis(now) / DAY).saturating_add(3) % 7 + 1
}

fn spent(money: &MoneyFacts, whose: Whose, span: Span) -> Units {
    let WindowSums { h1, h24, d7, d30 } = match whose {
        Whose::Destination => money.spent.destination,
        Whose::Requester => money.spent.requester,
        Whose::Wallet => money.spent.wallet,
    };
    match span {
        Span::H1 => h1,
        Span::H24 => h24,
        Span::D7 => d7,
        Span::D30 => d30,
    }
}

fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn span(millis: u128) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

fn duration(millis: i64) -> RestrictedExpression {
    RestrictedExpression::new_duration(format!("{millis}ms"))
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn truth(truth: bool) -> RestrictedExpression {
    RestrictedExpression::new_bool(truth)
}

/// Milliseconds of a day.
pub(crate) const DAY: i64 = 86_400_000;
/// Decimals of the house's currency.
const VALUE_DECIMALS: u8 = 4;
