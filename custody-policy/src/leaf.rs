//! Leaves: the single facts that a rule can read.
//!
//! Invariant: every fact of the schema is exactly one leaf; a record of facts is never a value of
//! its own.

use cedar_policy::pst::{Expr, Var};
use custody_core::id::RoleId;

use crate::schema::Shape;

/// One fact. Money is in ticks and time in milliseconds, but for the leaves that say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Leaf {
    Age,
    /// The age as Cedar's own duration, for a rule that does more than compare it with a literal.
    AgeExact,
    Amount,
    /// Approvals in the role with this index.
    Approvals(usize),
    Arguments,
    Asset,
    Books,
    /// Time of day.
    Clock,
    Cooled,
    CooledExact,
    Count,
    Destination,
    /// Midnight of today.
    Day,
    Drilled,
    DrilledExact,
    Facts,
    Factors,
    Fee,
    FeeRate,
    Ip,
    Kind,
    Known,
    Login,
    LoginExact,
    Loosens,
    Name,
    Now,
    NowExact,
    /// Organisations of the approvals in the role with this index.
    Organisations(usize),
    Resembles,
    Selector,
    SelfOwned,
    Signed,
    Spent(Whose, Span),
    Total,
    Value,
    Weekday,
}

/// Whose spending a window sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Whose {
    Destination,
    Requester,
    Wallet,
}

/// The length of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Span {
    H1,
    H24,
    D7,
    D30,
}

/// What a path into the context leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Leaf(Leaf),
    /// A record of facts, such as `context.spent`.
    Record,
    /// Nothing that the schema knows.
    Unknown,
}

impl Leaf {
    /// The attribute under which the leaf is handed to Cedar.
    pub(crate) fn attribute(self) -> String {
        if let Self::Approvals(role) = self {
            return format!("Approvals{role}");
        }
        if let Self::Organisations(role) = self {
            return format!("Organisations{role}");
        }
        if let Self::Spent(whose, span) = self {
            return format!("{whose:?}{span:?}");
        }
        format!("{self:?}")
    }

    /// Whether the leaf is an amount of money.
    pub(crate) const fn is_money(self) -> bool {
        matches!(self, Self::Amount | Self::Fee | Self::Spent(..) | Self::Total | Self::Value)
    }

    /// Whether the leaf counts approvals or their organisations.
    pub(crate) const fn is_count(self) -> bool {
        matches!(self, Self::Approvals(_) | Self::Organisations(_))
    }

    /// Whether an action that has the fact may still not know it; rules ask `has` first.
    pub(crate) const fn may_be_unknown(self) -> bool {
        matches!(self, Self::FeeRate | Self::Ip | Self::Loosens | Self::Value)
    }

    /// Cedar's own form of a time, where it is not the same leaf.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others have one form")]
    pub(crate) const fn exact(self) -> Self {
        match self {
            Self::Age => Self::AgeExact,
            Self::Cooled => Self::CooledExact,
            Self::Drilled => Self::DrilledExact,
            Self::Login => Self::LoginExact,
            Self::Now => Self::NowExact,
            other => other,
        }
    }

    /// Whether an action of this shape has the fact at all.
    pub(crate) const fn is_in(self, shape: Shape) -> bool {
        match self {
            Self::Amount
            | Self::Asset
            | Self::Fee
            | Self::Spent(..)
            | Self::Total
            | Self::Value => shape.has_money(),
            Self::Books
            | Self::Cooled
            | Self::CooledExact
            | Self::Destination
            | Self::Known
            | Self::Resembles
            | Self::SelfOwned => shape.has_destination(),
            Self::Arguments => matches!(shape, Shape::Call | Shape::Message),
            Self::FeeRate => matches!(shape, Shape::Fee),
            Self::Kind => matches!(shape, Shape::Message),
            Self::Loosens => matches!(shape, Shape::Command | Shape::Extension),
            Self::Name => matches!(shape, Shape::Extension),
            Self::Selector => matches!(shape, Shape::Call),
            Self::Age
            | Self::AgeExact
            | Self::Approvals(_)
            | Self::Clock
            | Self::Count
            | Self::Day
            | Self::Drilled
            | Self::DrilledExact
            | Self::Facts
            | Self::Factors
            | Self::Ip
            | Self::Login
            | Self::LoginExact
            | Self::Now
            | Self::NowExact
            | Self::Organisations(_)
            | Self::Signed
            | Self::Weekday => true,
        }
    }
}

/// The attributes after `context`, if `expression` is a path into the context.
pub(crate) fn path(expression: &Expr) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    let mut rest = expression;
    while let Expr::GetAttr { expr, attr } = rest {
        names.push(attr.as_str());
        rest = expr;
    }
    if !matches!(rest, Expr::Var(Var::Context)) {
        return None;
    }
    names.reverse();
    Some(names)
}

/// What the path leads to in a house with these roles.
pub(crate) fn target(path: &[&str], roles: &[RoleId]) -> Target {
    let leaf = match path {
        []
        | ["approvals" | "organisations" | "authn" | "order" | "spent"]
        | ["spent", "wallet" | "requester" | "destination"] => return Target::Record,
        ["approvals", role] => index(role, roles).map(Leaf::Approvals),
        ["organisations", role] => index(role, roles).map(Leaf::Organisations),
        ["spent", whose, span] => spent(whose, span),
        ["authn", "age"] => Some(Leaf::Login),
        ["authn", "factors"] => Some(Leaf::Factors),
        ["authn", "ip"] => Some(Leaf::Ip),
        ["authn", "signed"] => Some(Leaf::Signed),
        ["order", "count"] => Some(Leaf::Count),
        ["order", "total"] => Some(Leaf::Total),
        [name] => single(name),
        _ => None,
    };
    leaf.map_or(Target::Unknown, Target::Leaf)
}

fn single(name: &str) -> Option<Leaf> {
    Some(match name {
        "age" => Leaf::Age,
        "amount" => Leaf::Amount,
        "arguments" => Leaf::Arguments,
        "asset" => Leaf::Asset,
        "books" => Leaf::Books,
        "cooled" => Leaf::Cooled,
        "destination" => Leaf::Destination,
        "drilled" => Leaf::Drilled,
        "facts" => Leaf::Facts,
        "fee" => Leaf::Fee,
        "fee_rate" => Leaf::FeeRate,
        "kind" => Leaf::Kind,
        "known" => Leaf::Known,
        "loosens" => Leaf::Loosens,
        "name" => Leaf::Name,
        "now" => Leaf::Now,
        "resembles" => Leaf::Resembles,
        "selector" => Leaf::Selector,
        "self_owned" => Leaf::SelfOwned,
        "value" => Leaf::Value,
        "weekday" => Leaf::Weekday,
        _ => return None,
    })
}

fn spent(whose: &str, span: &str) -> Option<Leaf> {
    let whose = match whose {
        "destination" => Whose::Destination,
        "requester" => Whose::Requester,
        "wallet" => Whose::Wallet,
        _ => return None,
    };
    let span = match span {
        "h1" => Span::H1,
        "h24" => Span::H24,
        "d7" => Span::D7,
        "d30" => Span::D30,
        _ => return None,
    };
    Some(Leaf::Spent(whose, span))
}

fn index(role: &str, roles: &[RoleId]) -> Option<usize> {
    roles.iter().position(|known| known.as_str() == role)
}
