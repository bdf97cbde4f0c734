//! What the scope of a permit must say.
//!
//! Invariant: no permit covers an action that it does not name, and none lets opaque bytes be
//! signed with a wallet that it does not name.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "Cedar's syntax tree is open: what is not named here bounds nothing"
)]

use cedar_policy::pst::{BinaryOp, Clause, Expr, Literal, ResourceConstraint, Var};
use cedar_policy::{ActionConstraint, Effect};
use custody_core::effect::Action;

use crate::compiler::Written;
use crate::rule;

pub(crate) fn errors(rule: &Written) -> Vec<String> {
    let mut messages = Vec::new();
    if rule.policy.effect() != Effect::Permit {
        return messages;
    }
    if rule.policy.action_constraint() == ActionConstraint::Any {
        messages.push("a permit names its action".to_owned());
        return messages;
    }
    let opaque = rule::actions(&rule.policy).contains(&Action::SignOpaque);
    if opaque && !matches!(rule.tree.resource, ResourceConstraint::Eq(_)) {
        messages.push(
            "a permit that covers `sign_opaque` names its one wallet: resource == Wallet::\"…\""
                .to_owned(),
        );
    }
    messages
}

pub(crate) fn warnings(rule: &Written) -> Vec<String> {
    let permit = rule.policy.effect() == Effect::Permit;
    let spends = rule::actions(&rule.policy).iter().any(|action| !action.is_governance());
    if permit && spends && !names_wallets(rule) {
        return vec!["the permit covers every wallet".to_owned()];
    }
    Vec::new()
}

/// Whether the scope, or a conjunct of a `when`, says which wallets or tiers are meant.
fn names_wallets(rule: &Written) -> bool {
    match rule.tree.resource {
        ResourceConstraint::Any | ResourceConstraint::Is(_) => {}
        ResourceConstraint::Eq(_) | ResourceConstraint::In(_) | ResourceConstraint::IsIn(..) => {
            return true;
        }
    }
    rule.tree.clauses().iter().any(|clause| match clause {
        Clause::When(expression) => bounds_resource(expression),
        Clause::Unless(_) => false,
    })
}

fn bounds_resource(expression: &Expr) -> bool {
    match expression {
        Expr::BinaryOp { op: BinaryOp::And, left, right } => {
            bounds_resource(left) || bounds_resource(right)
        }
        Expr::BinaryOp { op: BinaryOp::Eq | BinaryOp::In, left, right } => {
            matches!(left.as_ref(), Expr::Var(Var::Resource)) && entities(right)
        }
        Expr::Is { expr, in_expr: Some(group), .. } => {
            matches!(expr.as_ref(), Expr::Var(Var::Resource)) && entities(group)
        }
        _ => false,
    }
}

/// Whether the expression is an entity or a list of entities.
pub(super) fn entities(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(Literal::EntityUID(_)) => true,
        Expr::Set(members) => !members.is_empty() && members.iter().all(|member| entities(member)),
        _ => false,
    }
}
