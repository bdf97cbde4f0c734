//! The policy of a role.

use std::collections::BTreeSet;

use super::actions::{CHANGES, USES};
use super::policy::{Policy, Statement};
use super::template::{ALIASES, RESOURCE_TAG, Target, deny_other_contexts, statements};
use super::{IamError, IamScope, Use};

/// Everything that the uses need, and an explicit no to all other dangerous actions: a deny holds
/// whatever else is attached to the role or granted to it.
pub(super) fn write(scope: &IamScope, uses: &BTreeSet<Use>) -> Result<Policy, IamError> {
    let mut written = Vec::new();
    for one in uses {
        let seals = matches!(one, Use::Rotation | Use::Sealing);
        if seals && scope.sealing_keys().is_empty() {
            return Err(IamError::NoSealingKeys { one: *one });
        }
        for (target, statement) in statements(scope, *one) {
            written.extend(aim(scope, target, statement));
        }
    }
    if uses.iter().any(|one| matches!(one, Use::Rotation | Use::Sealing)) {
        written.push(deny_other_contexts(scope).on(scope.sealing_keys()));
    }
    let denied = Policy::denied(&written, USES.into_iter().chain(CHANGES));
    written.push(Statement::deny("DenyAllElse", denied).on([scope.all_keys()]));
    Ok(Policy::new(written))
}

/// The statement for its resources; one for each kind of keys where it is about both.
fn aim(scope: &IamScope, target: Target, statement: Statement) -> Vec<Statement> {
    let tagged = |statement: Statement| {
        let statement = statement.on(scope.in_regions("key/*"));
        statement.when("StringEquals", RESOURCE_TAG, [scope.custodian()])
    };
    let signing = |statement: Statement| match scope.signing_keys() {
        keys if keys.is_empty() => tagged(statement),
        keys => statement.on(keys),
    };
    match target {
        Target::Account => vec![statement.on(["*"])],
        Target::Aliases => vec![statement.on(scope.in_regions(ALIASES))],
        Target::Each => {
            let mut each = vec![signing(statement.clone().named("SigningKeys"))];
            if !scope.sealing_keys().is_empty() {
                each.push(statement.named("SealingKeys").on(scope.sealing_keys()));
            }
            each
        }
        Target::NewKeys => vec![statement.on(scope.in_regions("key/*"))],
        Target::Sealing => vec![statement.on(scope.sealing_keys())],
        Target::Signing => vec![signing(statement)],
        Target::Tagged | Target::Unnamed => vec![tagged(statement)],
    }
}
