//! Comparisons of one fact with one literal: the only places where a rule's answer changes.
//!
//! Invariant: literals of decimals, durations and datetimes mean exactly what Cedar says they mean.

use std::str::FromStr;

use cedar_policy::pst::{BinaryOp, Expr, Literal, UnaryOp};
use cedar_policy::{
    Context, Entities, EntityUid, EvalResult, Expression, Request, eval_expression,
};
use custody_core::id::RoleId;

use crate::leaf::{self, Leaf, Target};
use crate::ticks;

/// `leaf operator literal`, whichever side the fact was written on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Comparison {
    pub(crate) leaf: Leaf,
    pub(crate) operator: Operator,
    /// A number, ticks, or milliseconds.
    pub(crate) literal: i64,
}

/// How a fact is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    NotEqual,
}

impl Comparison {
    /// Reads a comparison of a fact with a literal of the fact's own kind.
    pub(crate) fn read(expression: &Expr, roles: &[RoleId]) -> Option<Self> {
        let Expr::BinaryOp { op, left, right } = expression else { return None };
        let operator = Operator::read(*op)?;
        if let Some(leaf) = compared(left, roles) {
            let literal = literal(right, leaf)?;
            return Some(Self { leaf, operator, literal });
        }
        let leaf = compared(right, roles)?;
        let literal = literal(left, leaf)?;
        Some(Self { leaf, operator: operator.flipped(), literal })
    }

    /// The values from which on the answer is another one.
    pub(crate) fn changes(&self) -> impl Iterator<Item = i64> + use<> {
        let after = self.literal.saturating_add(1);
        let (first, second) = match self.operator {
            Operator::Equal | Operator::NotEqual => (self.literal, Some(after)),
            Operator::GreaterOrEqual | Operator::Less => (self.literal, None),
            Operator::Greater | Operator::LessOrEqual => (after, None),
        };
        [first].into_iter().chain(second)
    }
}

impl Operator {
    fn read(operator: BinaryOp) -> Option<Self> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "all others compare nothing")]
        Some(match operator {
            BinaryOp::Eq => Self::Equal,
            BinaryOp::NotEq => Self::NotEqual,
            BinaryOp::Less | BinaryOp::DecimalLessThan => Self::Less,
            BinaryOp::LessEq | BinaryOp::DecimalLessEq => Self::LessOrEqual,
            BinaryOp::Greater | BinaryOp::DecimalGreater => Self::Greater,
            BinaryOp::GreaterEq | BinaryOp::DecimalGreaterEq => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    /// The operator on whole numbers.
    pub(crate) const fn on_numbers(self) -> BinaryOp {
        match self {
            Self::Equal => BinaryOp::Eq,
            Self::Greater => BinaryOp::Greater,
            Self::GreaterOrEqual => BinaryOp::GreaterEq,
            Self::Less => BinaryOp::Less,
            Self::LessOrEqual => BinaryOp::LessEq,
            Self::NotEqual => BinaryOp::NotEq,
        }
    }

    const fn flipped(self) -> Self {
        match self {
            Self::Equal => Self::Equal,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::NotEqual => Self::NotEqual,
        }
    }
}

/// The fact that `expression` is; the time of day and the day count as facts.
fn compared(expression: &Expr, roles: &[RoleId]) -> Option<Leaf> {
    if let Expr::UnaryOp { op: op @ (UnaryOp::ToTime | UnaryOp::ToDate), expr } = expression {
        let now = target(expr, roles)? == Leaf::Now;
        let part = if *op == UnaryOp::ToTime { Leaf::Clock } else { Leaf::Day };
        return now.then_some(part);
    }
    target(expression, roles)
}

fn target(expression: &Expr, roles: &[RoleId]) -> Option<Leaf> {
    match leaf::target(&leaf::path(expression)?, roles) {
        Target::Leaf(leaf) => Some(leaf),
        Target::Record | Target::Unknown => None,
    }
}

/// The literal's number, if it is of the kind that the fact has.
fn literal(expression: &Expr, leaf: Leaf) -> Option<i64> {
    if leaf.is_money() {
        return ticks::of_literal(text(expression, UnaryOp::Decimal)?);
    }
    if matches!(leaf, Leaf::Age | Leaf::Clock | Leaf::Cooled | Leaf::Drilled | Leaf::Login) {
        let text = text(expression, UnaryOp::Duration)?;
        return evaluate(&format!("duration(\"{text}\").toMilliseconds()"));
    }
    if matches!(leaf, Leaf::Day | Leaf::Now) {
        let text = text(expression, UnaryOp::Datetime)?;
        return evaluate(&format!(
            "datetime(\"{text}\").durationSince(datetime(\"1970-01-01\")).toMilliseconds()"
        ));
    }
    let Expr::Literal(Literal::Long(number)) = expression else { return None };
    leaf.is_count().then_some(*number)
}

/// The text in `operator("text")`, if it has only characters of numbers, units and times.
fn text(expression: &Expr, operator: UnaryOp) -> Option<&str> {
    let Expr::UnaryOp { op, expr } = expression else { return None };
    let Expr::Literal(Literal::String(text)) = expr.as_ref() else { return None };
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b':' | b'.'));
    (*op == operator && plain).then_some(text.as_str())
}

/// What Cedar says the expression is.
fn evaluate(text: &str) -> Option<i64> {
    let expression = Expression::from_str(text).ok()?;
    let uid = EntityUid::from_str("House::\"house\"").ok()?;
    let request = Request::new(uid.clone(), uid.clone(), uid, Context::empty(), None).ok()?;
    match eval_expression(&request, &Entities::empty(), &expression) {
        Ok(EvalResult::Long(number)) => Some(number),
        _ => None,
    }
}
