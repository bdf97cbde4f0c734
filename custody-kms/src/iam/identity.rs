//! The policy of a role.

use std::collections::BTreeSet;

use super::actions::{CHANGES, USES};
use super::policy::{Policy, Statement};
use super::template::{Target, deny_other_contexts, resource_tag, statements};
use super::{IamError, IamScope, Use};
use crate::arn::KeyArn;
use crate::create::ALIASES;

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
    if uses.contains(&Use::Sealing) {
        written.push(deny_other_contexts(scope).on(scope.sealing_keys()));
    }
    let denied = Policy::denied(&written, USES.into_iter().chain(CHANGES));
    written.push(Statement::deny("DenyAllElse", denied).on([scope.all_keys()]));
    Ok(Policy::new(written))
}

/// The statement for its resources; one for each kind of keys where it is about both.
fn aim(scope: &IamScope, target: Target, statement: Statement) -> Vec<Statement> {
    let tagged = |statement: Statement, keys: Vec<String>| {
        statement.on(keys).when("StringEquals", &resource_tag(), [scope.custodian()])
    };
    let everywhere = || scope.in_regions("key/*");
    let named = |statement: Statement, keys: &BTreeSet<KeyArn>, others: Vec<String>| {
        if keys.is_empty() { tagged(statement, others) } else { statement.on(keys) }
    };
    match target {
        Target::Account => vec![statement.on(["*"])],
        Target::Aliases => vec![statement.on(scope.in_regions(&format!("{ALIASES}*")))],
        Target::Each => {
            let signing = statement.clone().named("SigningKeys");
            let mut each = vec![named(signing, scope.signing_keys_and_replicas(), everywhere())];
            if !scope.sealing_keys().is_empty() {
                each.push(statement.named("SealingKeys").on(scope.sealing_keys()));
            }
            each
        }
        Target::NewKeys => vec![statement.on(everywhere())],
        Target::Sealing => vec![statement.on(scope.sealing_keys())],
        Target::SealingAliases => {
            let aliases = scope.sealing_aliases().iter();
            vec![statement.on(aliases.flat_map(|alias| scope.in_regions(alias)))]
        }
        Target::Signing => {
            vec![named(statement, scope.signing_keys(), scope.at_home("key/*"))]
        }
        Target::Tagged | Target::Unnamed => vec![tagged(statement, everywhere())],
    }
}
