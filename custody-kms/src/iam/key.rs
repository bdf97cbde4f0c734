//! The policy of a key.

use std::collections::BTreeSet;

use super::actions::USES;
use super::policy::{Policy, Statement};
use super::template::{Target, deny_other_contexts, statements};
use super::{IamError, IamScope, PrincipalArn, Use};

/// What the principals of each use may do with the key, and an explicit no to all others: it holds
/// against grants too, which no statement of a role could take back.
pub(super) fn write(scope: &IamScope, uses: &BTreeSet<Use>) -> Result<Policy, IamError> {
    let find = |kind: fn(Use) -> bool| uses.iter().copied().find(|one| kind(*one));
    let (one, other) = (find(is_of_signing), find(is_of_sealing));
    if let (Some(one), Some(other)) = (one, other) {
        return Err(IamError::Mixed { one, other });
    }
    let mut written = Vec::new();
    let mut denied = Vec::new();
    for one in uses {
        let principals = scope.principals(*one);
        let own: Vec<_> = statements(scope, *one)
            .into_iter()
            .filter(|(target, _)| *target != Target::Sealing || other.is_some())
            .filter_map(|(target, it)| aim(target, it))
            .collect();
        denied.extend(deny_to_others(*one, &own, principals));
        written.extend(own.into_iter().map(|statement| statement.by(principals)));
    }
    // A grant would let somebody in whom no policy names.
    let rest = Policy::denied(&written, USES.into_iter().chain(["kms:CreateGrant"]));
    written.append(&mut denied);
    if uses.contains(&Use::Sealing) {
        written.push(deny_other_contexts(scope).by(["*"]).on(["*"]));
    }
    written.push(Statement::deny("DenyAllElse", rest).by(["*"]).on(["*"]));
    Ok(Policy::new(written))
}

/// The statement about the key itself; none if it is about something else.
fn aim(target: Target, statement: Statement) -> Option<Statement> {
    match target {
        Target::Account
        | Target::Aliases
        | Target::NewKeys
        | Target::SealingAliases
        | Target::Unnamed => None,
        Target::Each => Some(statement.named("Key").on(["*"])),
        Target::Sealing | Target::Signing | Target::Tagged => Some(statement.on(["*"])),
    }
}

/// Denies to everybody else how these principals use the key.
fn deny_to_others(
    one: Use,
    own: &[Statement],
    principals: &BTreeSet<PrincipalArn>,
) -> Option<Statement> {
    let not_used = Policy::denied(own, USES);
    let used: Vec<_> = USES.into_iter().filter(|action| !not_used.contains(action)).collect();
    let sid = if one == Use::Sealing { "DenySealingByOthers" } else { "DenySigningByOthers" };
    (!used.is_empty()).then(|| {
        let statement = Statement::deny(sid, used).by(["*"]).on(["*"]);
        statement.when("ArnNotEquals", "aws:PrincipalArn", principals)
    })
}

const fn is_of_signing(one: Use) -> bool {
    matches!(one, Use::Creation | Use::Signing | Use::Switching)
}

const fn is_of_sealing(one: Use) -> bool {
    matches!(one, Use::Rotation | Use::Sealing)
}
