//! What conditions must not do with amounts and approvals.
//!
//! Invariants: an amount is compared only where its asset is known, only with a literal, and only
//! by the two operators that are exact in base units; more approvals never turn an answer from
//! allow to deny.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "Cedar's syntax tree is open: the walk refuses or descends into what it does not name"
)]

use cedar_policy::pst::{BinaryOp, Clause, Effect, Expr, Template, UnaryOp};
use custody_core::id::RoleId;

use crate::comparison::{Comparison, Operator};
use crate::leaf::{self, Leaf, Target};
use crate::lint::scope;

/// What is wrong with the rule's conditions.
pub(crate) fn errors(rule: &Template, roles: &[RoleId]) -> Vec<String> {
    let mut walk = Walk { roles, messages: Vec::new() };
    let asset = rule.clauses().iter().any(|clause| match clause {
        Clause::When(expression) => walk.fixes_asset(expression),
        Clause::Unless(_) => false,
    });
    let true_means = match rule.effect {
        Effect::Permit => More::Helps,
        Effect::Forbid => More::Hurts,
    };
    for clause in rule.clauses() {
        let (expression, more) = match clause {
            Clause::When(expression) => (expression, true_means),
            Clause::Unless(expression) => (expression, true_means.flipped()),
        };
        walk.check(expression, Place { asset, more });
    }
    walk.messages
}

/// What is known about the place of an expression.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Whether the effect's asset is one of the assets that the rule names.
    asset: bool,
    more: More,
}

/// What it means for the order when the expression becomes true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum More {
    /// It can only help to allow.
    Helps,
    /// It can only help to deny.
    Hurts,
    /// It depends.
    Unclear,
}

impl More {
    const fn flipped(self) -> Self {
        match self {
            Self::Helps => Self::Hurts,
            Self::Hurts => Self::Helps,
            Self::Unclear => Self::Unclear,
        }
    }
}

struct Walk<'a> {
    roles: &'a [RoleId],
    messages: Vec<String>,
}

impl Walk<'_> {
    fn check(&mut self, expression: &Expr, place: Place) {
        if let Some(comparison) = Comparison::read(expression, self.roles) {
            return self.comparison(comparison, place);
        }
        if let Some(path) = leaf::path(expression) {
            return self.fact(&path);
        }
        match expression {
            Expr::UnaryOp { op: UnaryOp::Not, expr } => {
                self.check(expr, Place { more: place.more.flipped(), ..place });
            }
            Expr::BinaryOp { op: BinaryOp::And, left, right } => {
                let asset = place.asset || self.fixes_asset(expression);
                self.check(left, Place { asset, ..place });
                self.check(right, Place { asset, ..place });
            }
            Expr::BinaryOp { op: BinaryOp::Or, left, right } => {
                self.check(left, place);
                self.check(right, place);
            }
            Expr::IfThenElse { cond, then_expr, else_expr } => {
                let asset = place.asset || self.fixes_asset(cond);
                self.check(cond, Place { more: More::Unclear, ..place });
                self.check(then_expr, Place { asset, ..place });
                self.check(else_expr, place);
            }
            other => self.other(other, place),
        }
    }

    fn other(&mut self, expression: &Expr, place: Place) {
        let place = Place { more: More::Unclear, ..place };
        match expression {
            Expr::HasAttr { expr, attrs } => {
                let Some(mut path) = leaf::path(expr) else { return self.check(expr, place) };
                path.extend(attrs.iter().map(|name| name.as_str()));
                if leaf::target(&path, self.roles) == Target::Record {
                    self.record(&path);
                }
            }
            Expr::BinaryOp { op, left, right } => {
                if *op == BinaryOp::Offset {
                    self.messages.push("`offset` can overflow, and so can fail".to_owned());
                }
                self.check(left, place);
                self.check(right, place);
            }
            Expr::UnaryOp { expr, .. } | Expr::GetAttr { expr, .. } | Expr::Like { expr, .. } => {
                self.check(expr, place);
            }
            Expr::Is { expr, in_expr, .. } => {
                self.check(expr, place);
                if let Some(group) = in_expr {
                    self.check(group, place);
                }
            }
            Expr::Set(members) => members.iter().for_each(|member| self.check(member, place)),
            Expr::Record(fields) => fields.values().for_each(|field| self.check(field, place)),
            _ => {}
        }
    }

    fn comparison(&mut self, comparison: Comparison, place: Place) {
        if comparison.leaf.is_money() {
            self.money(comparison, place);
        } else if comparison.leaf.is_count() {
            self.count(comparison.operator, place.more);
        }
    }

    fn money(&mut self, comparison: Comparison, place: Place) {
        let exact = matches!(comparison.operator, Operator::Greater | Operator::LessOrEqual);
        if !exact {
            self.messages.push(
                "amounts are rounded up: only `lessThanOrEqual` and `greaterThan` are exact"
                    .to_owned(),
            );
        }
        if comparison.literal >= SATURATED {
            self.messages.push("an amount in a rule has at most 14 whole digits".to_owned());
        }
        if comparison.leaf != Leaf::Value && !place.asset {
            self.messages.push(
                "an amount means nothing without its asset: add `context.asset == Asset::\"…\" &&`"
                    .to_owned(),
            );
        }
    }

    fn count(&mut self, operator: Operator, more: More) {
        let monotone = match operator {
            Operator::Greater | Operator::GreaterOrEqual => more == More::Helps,
            Operator::Less | Operator::LessOrEqual => more == More::Hurts,
            Operator::Equal | Operator::NotEqual => false,
        };
        if !monotone {
            self.messages.push(
                "more approvals would turn an allow into a deny: ask for a least number only"
                    .to_owned(),
            );
        }
    }

    fn fact(&mut self, path: &[&str]) {
        match leaf::target(path, self.roles) {
            Target::Record => self.record(path),
            Target::Leaf(leaf) if leaf.is_money() => {
                let text = path.join(".");
                self.messages.push(format!("`context.{text}` is compared with a literal only"));
            }
            Target::Leaf(leaf) if leaf.is_count() => {
                let text = path.join(".");
                self.messages.push(format!(
                    "`context.{text}` is compared with a number only, and not by calculation"
                ));
            }
            Target::Leaf(_) | Target::Unknown => {}
        }
    }

    fn record(&mut self, path: &[&str]) {
        let text = ["context"].iter().chain(path).copied().collect::<Vec<_>>().join(".");
        self.messages.push(format!("`{text}` is a record: read one of its facts"));
    }

    /// Whether the expression can only be true for assets that it names.
    fn fixes_asset(&self, expression: &Expr) -> bool {
        match expression {
            Expr::BinaryOp { op: BinaryOp::And, left, right } => {
                self.fixes_asset(left) || self.fixes_asset(right)
            }
            Expr::BinaryOp { op: BinaryOp::Eq, left, right } => {
                (self.is_asset(left) && scope::entities(right))
                    || (self.is_asset(right) && scope::entities(left))
            }
            Expr::BinaryOp { op: BinaryOp::In, left, right } => {
                self.is_asset(left) && scope::entities(right)
            }
            Expr::BinaryOp { op: BinaryOp::Contains, left, right } => {
                scope::entities(left) && self.is_asset(right)
            }
            _ => false,
        }
    }

    fn is_asset(&self, expression: &Expr) -> bool {
        leaf::path(expression)
            .is_some_and(|path| leaf::target(&path, self.roles) == Target::Leaf(Leaf::Asset))
    }
}

/// 10^14 whole units, in ticks: below where amounts saturate.
const SATURATED: i64 = 1_000_000_000_000_000_000;
