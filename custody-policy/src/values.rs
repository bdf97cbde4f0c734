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
        if shape.has_money() && (scale.is_none() || effect.effect.amount().is_none()) {
            return Err(NotKnown);
        }
        let counterparty = effect.destination.is_some() && effect.effect.destination().is_some();
        if shape.has_destination() && !counterparty {
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
        let value = self.value(leaf, moment);
        if value.is_none() && !leaf.may_be_unknown() {
            return Err(NotKnown);
        }
        Ok(value)
    }

    fn value(&self, leaf: Leaf, moment: &Moment) -> Option<RestrictedExpression> {
        let authentication = self.facts.authentication;
        match leaf {
            Leaf::Age => Some(number(self.age(moment))),
            Leaf::AgeExact => Some(duration(self.age(moment))),
            Leaf::Amount => self.money(self.effect.effect.amount()?.units()),
            Leaf::Approvals(role) => Some(number(moment.counts.get(role)?.approvals.into())),
            Leaf::Arguments => Some(self.arguments()),
            Leaf::Asset => self.asset(),
            Leaf::Books => self.books(),
            Leaf::Clock => Some(number(clock(moment.now))),
            Leaf::Cooled => self.cooled(moment).map(number),
            Leaf::CooledExact => self.cooled(moment).map(duration),
            Leaf::Count => i64::try_from(self.facts.effects.len()).ok().map(number),
            Leaf::Day => Some(number(millis(moment.now).saturating_sub(clock(moment.now)))),
            Leaf::Destination => self.counterparty(),
            Leaf::Drilled => Some(number(self.drilled(moment))),
            Leaf::DrilledExact => Some(duration(self.drilled(moment))),
            Leaf::Facts => Some(self.decoded()),
            Leaf::Factors => Some(number(authentication.factors.into())),
            Leaf::Fee => self.money(self.effect.money.as_ref()?.fee),
            Leaf::FeeRate => self.fee_rate().map(number),
            Leaf::Ip => authentication.ip.map(|ip| RestrictedExpression::new_ip(ip.to_string())),
            Leaf::Kind | Leaf::Name | Leaf::Selector => self.label(leaf).map(text),
            Leaf::Known => Some(truth(self.destination()?.known_since.is_some())),
            Leaf::Login => Some(number(self.login())),
            Leaf::LoginExact => Some(duration(self.login())),
            Leaf::Loosens => self.loosens().map(truth),
            Leaf::Now => Some(number(millis(moment.now))),
            Leaf::NowExact => Some(RestrictedExpression::new_datetime(moment.now.to_string())),
            Leaf::Organisations(role) => {
                Some(number(moment.counts.get(role)?.organisations.into()))
            }
            Leaf::Resembles => Some(truth(self.destination()?.resembles)),
            Leaf::SelfOwned => Some(truth(self.destination()?.self_owned)),
            Leaf::Signed => Some(truth(authentication.signed)),
            Leaf::Spent(whose, span) => self.money(spent(self.effect.money.as_ref()?, whose, span)),
            Leaf::Total => self.money(self.effect.money.as_ref()?.order_total),
            Leaf::Value => self.worth(),
            Leaf::Weekday => Some(number(weekday(moment.now))),
        }
    }

    fn asset(&self) -> Option<RestrictedExpression> {
        let asset = self.effect.effect.amount()?.asset();
        Some(entity(&self.names.asset, asset.as_str()))
    }

    fn arguments(&self) -> RestrictedExpression {
        let arguments = match self.effect.effect {
            Effect::Administer { arguments, .. }
            | Effect::Call { arguments, .. }
            | Effect::DelegateCall { arguments, .. }
            | Effect::SignMessage { arguments, .. } => arguments.iter(),
            Effect::Approve { .. }
            | Effect::Deploy
            | Effect::Govern { .. }
            | Effect::PayFee { .. }
            | Effect::SignOpaque { .. }
            | Effect::Transfer { .. }
            | _ => return RestrictedExpression::new_set([]),
        };
        RestrictedExpression::new_set(
            arguments.map(|(name, value)| text(&format!("{name}={value}"))),
        )
    }

    /// A rate beyond what Cedar counts is the highest.
    fn fee_rate(&self) -> Option<i64> {
        let Effect::PayFee { rate, .. } = self.effect.effect else { return None };
        rate.map(|rate| i64::try_from(rate).unwrap_or(i64::MAX))
    }

    fn books(&self) -> Option<RestrictedExpression> {
        let books = self.destination()?.books.iter();
        let books = books.map(|book| entity(&self.names.book, book.as_str()));
        Some(RestrictedExpression::new_set(books))
    }

    fn counterparty(&self) -> Option<RestrictedExpression> {
        let account = self.effect.effect.destination()?;
        Some(entity(&self.names.address, account.as_str()))
    }

    fn decoded(&self) -> RestrictedExpression {
        RestrictedExpression::new_set(self.facts.facts.iter().map(|fact| text(fact.as_str())))
    }

    fn label(&self, leaf: Leaf) -> Option<&str> {
        match (leaf, self.effect.effect) {
            (Leaf::Kind, Effect::SignMessage { kind, .. } | Effect::SignOpaque { kind }) => {
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

    fn money(&self, units: Units) -> Option<RestrictedExpression> {
        Some(number(self.scale?.ticks(units)))
    }

    /// The value is in ten-thousandths of the house's currency.
    fn worth(&self) -> Option<RestrictedExpression> {
        let value = self.effect.money.as_ref()?.value.as_ref()?;
        Some(number(Scale::of(VALUE_DECIMALS).ticks(value.units())))
    }

    fn loosens(&self) -> Option<bool> {
        let Effect::Govern { loosens, .. } = self.effect.effect else { return None };
        *loosens
    }

    fn age(&self, moment: &Moment) -> i64 {
        span(moment.now.since(self.facts.submitted).as_millis())
    }

    fn cooled(&self, moment: &Moment) -> Option<i64> {
        let known = self.destination()?.known_since;
        Some(known.map_or(0, |since| span(moment.now.since(since).as_millis())))
    }

    fn drilled(&self, moment: &Moment) -> i64 {
        span(moment.now.since(self.facts.drilled).as_millis())
    }

    fn login(&self) -> i64 {
        span(self.facts.authentication.age().as_millis())
    }

    const fn destination(&self) -> Option<&DestinationFacts> {
        self.effect.destination.as_ref()
    }
}

/// 1 on Mondays, 7 on Sundays, in UTC. The epoch was a Thursday.
fn weekday(now: Timestamp) -> i64 {
    (millis(now) / DAY).saturating_add(3).rem_euclid(7).saturating_add(1)
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

/// Milliseconds since midnight, in UTC.
fn clock(now: Timestamp) -> i64 {
    millis(now) % DAY
}

fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn span(millis: u128) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

fn number(number: i64) -> RestrictedExpression {
    RestrictedExpression::new_long(number)
}

fn entity(kind: &EntityTypeName, id: &str) -> RestrictedExpression {
    RestrictedExpression::new_entity_uid(names::entity(kind, id))
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
