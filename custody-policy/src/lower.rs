//! Rules as they are run: facts under flat names, money and time as whole numbers.
//!
//! Parsing decimals and durations again at every evaluation is what makes rules slow. A rule is
//! therefore rewritten once, when it is loaded: `context.amount.lessThanOrEqual(decimal("5.0"))`
//! becomes `context.Amount <= 50000`.
//!
//! Invariant: the rewritten rule gives the answer of the written one, for all facts. Validation,
//! lints, ids and records stay on the written text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy::pst::{Clause, Expr, Literal, NonEmpty, Template, Var};
use custody_core::id::RoleId;

use crate::comparison::Comparison;
use crate::leaf::{self, Leaf, Target};

/// What a rule reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    /// The facts.
    pub(crate) leaves: BTreeSet<Leaf>,
    /// Where its answer can change.
    pub(crate) points: Points,
}

/// The numbers and times from which on the answer of rules can be another one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Points {
    /// Approvals and organisations.
    pub(crate) counts: BTreeMap<Leaf, BTreeSet<i64>>,
    /// Ages of the order, in milliseconds.
    pub(crate) ages: BTreeSet<i64>,
    /// Ages of a known destination.
    pub(crate) cooled: BTreeSet<i64>,
    /// Times since the last drill.
    pub(crate) drilled: BTreeSet<i64>,
    /// Times of day.
    pub(crate) clocks: BTreeSet<i64>,
    /// Points in time.
    pub(crate) instants: BTreeSet<i64>,
    /// Whether each midnight can change the answer.
    pub(crate) daily: bool,
    /// Whether a time is read in a way that has no known points.
    pub(crate) open: bool,
}

/// A rule has an expression that this crate does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// The rule as it is run, and what it reads.
pub(crate) fn lower(rule: &Template, roles: &[RoleId]) -> Result<(Template, Reading), Unreadable> {
    let mut lowering = Lowering { roles, reading: Reading::default() };
    let clauses = rule.clauses().iter().map(|clause| match clause {
        Clause::When(expression) => lowering.lower(expression).map(Clause::When),
        Clause::Unless(expression) => lowering.lower(expression).map(Clause::Unless),
    });
    let clauses: Vec<Clause> = clauses.collect::<Result<_, _>>()?;
    let bare = Template::new(
        rule.id.clone(),
        rule.effect,
        rule.principal.clone(),
        rule.action.clone(),
        rule.resource.clone(),
    );
    let lowered = bare.try_with_clauses(clauses).map_err(|_| Unreadable)?;
    Ok((lowered, lowering.reading))
}

impl Points {
    /// All points of both.
    pub(crate) fn extend(&mut self, other: &Self) {
        for (leaf, literals) in &other.counts {
            self.counts.entry(*leaf).or_default().extend(literals);
        }
        self.ages.extend(&other.ages);
        self.cooled.extend(&other.cooled);
        self.drilled.extend(&other.drilled);
        self.clocks.extend(&other.clocks);
        self.instants.extend(&other.instants);
        self.daily |= other.daily;
        self.open |= other.open;
    }
}

struct Lowering<'a> {
    roles: &'a [RoleId],
    reading: Reading,
}

impl Lowering<'_> {
    fn lower(&mut self, expression: &Expr) -> Result<Arc<Expr>, Unreadable> {
        if let Some(comparison) = Comparison::read(expression, self.roles) {
            return Ok(self.comparison(comparison));
        }
        if let Some(path) = leaf::path(expression)
            && !path.is_empty()
        {
            return Ok(self.fact(leaf::target(&path, self.roles)));
        }
        if let Expr::HasAttr { expr, attrs } = expression
            && let Some(mut path) = leaf::path(expr)
        {
            path.extend(attrs.iter().map(|name| name.as_str()));
            return Ok(self.presence(leaf::target(&path, self.roles)));
        }
        self.parts(expression).map(Arc::new)
    }

    fn comparison(&mut self, comparison: Comparison) -> Arc<Expr> {
        let Comparison { leaf, operator, literal } = comparison;
        let points = &mut self.reading.points;
        let changes = comparison.changes();
        #[expect(clippy::wildcard_enum_match_arm, reason = "all others do not move with time")]
        match leaf {
            Leaf::Age => points.ages.extend(changes),
            Leaf::Cooled => points.cooled.extend(changes),
            Leaf::Drilled => points.drilled.extend(changes),
            Leaf::Clock => points.clocks.extend(changes),
            Leaf::Now => points.instants.extend(changes),
            Leaf::Approvals(_) | Leaf::Organisations(_) => {
                points.counts.entry(leaf).or_default().extend(changes);
            }
            _ => {}
        }
        points.daily |= matches!(leaf, Leaf::Clock | Leaf::Day);
        let left = self.read(leaf);
        let right = Arc::new(Expr::Literal(Literal::Long(literal)));
        Arc::new(Expr::BinaryOp { op: operator.on_numbers(), left, right })
    }

    fn fact(&mut self, target: Target) -> Arc<Expr> {
        let Target::Leaf(leaf) = target else {
            return Arc::new(attribute(NOWHERE));
        };
        self.reading.points.daily |= leaf == Leaf::Weekday;
        self.reading.points.open |=
            matches!(leaf, Leaf::Age | Leaf::Cooled | Leaf::Drilled | Leaf::Now);
        self.read(leaf.exact())
    }

    fn presence(&mut self, target: Target) -> Arc<Expr> {
        let Target::Leaf(leaf) = target else {
            return Arc::new(Expr::Literal(Literal::Bool(false)));
        };
        self.reading.leaves.insert(leaf);
        let expr = Arc::new(Expr::Var(Var::Context));
        Arc::new(Expr::HasAttr { expr, attrs: NonEmpty::new(leaf.attribute().into()) })
    }

    fn read(&mut self, leaf: Leaf) -> Arc<Expr> {
        self.reading.leaves.insert(leaf);
        Arc::new(attribute(&leaf.attribute()))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not known here is refused")]
    fn parts(&mut self, expression: &Expr) -> Result<Expr, Unreadable> {
        Ok(match expression {
            Expr::Literal(_) | Expr::Var(_) => expression.clone(),
            Expr::UnaryOp { op, expr } => Expr::UnaryOp { op: *op, expr: self.lower(expr)? },
            Expr::BinaryOp { op, left, right } => {
                let (left, right) = (self.lower(left)?, self.lower(right)?);
                Expr::BinaryOp { op: *op, left, right }
            }
            Expr::GetAttr { expr, attr } => {
                Expr::GetAttr { expr: self.lower(expr)?, attr: attr.clone() }
            }
            Expr::HasAttr { expr, attrs } => {
                Expr::HasAttr { expr: self.lower(expr)?, attrs: attrs.clone() }
            }
            Expr::Like { expr, pattern } => {
                Expr::Like { expr: self.lower(expr)?, pattern: pattern.clone() }
            }
            Expr::Is { expr, entity_type, in_expr } => Expr::Is {
                expr: self.lower(expr)?,
                entity_type: entity_type.clone(),
                in_expr: in_expr.as_ref().map(|group| self.lower(group)).transpose()?,
            },
            Expr::IfThenElse { cond, then_expr, else_expr } => Expr::IfThenElse {
                cond: self.lower(cond)?,
                then_expr: self.lower(then_expr)?,
                else_expr: self.lower(else_expr)?,
            },
            Expr::Set(members) => Expr::Set(
                members.iter().map(|member| self.lower(member)).collect::<Result<_, _>>()?,
            ),
            Expr::Record(fields) => Expr::Record(
                fields
                    .iter()
                    .map(|(name, field)| Ok((name.clone(), self.lower(field)?)))
                    .collect::<Result<_, _>>()?,
            ),
            _ => return Err(Unreadable),
        })
    }
}

fn attribute(name: &str) -> Expr {
    Expr::GetAttr { expr: Arc::new(Expr::Var(Var::Context)), attr: name.into() }
}

/// A fact that no order has.
const NOWHERE: &str = "?";
