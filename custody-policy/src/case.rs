//! One kind of request: who, what, about what, and the rules that can match.
//!
//! Invariant: the entities are built with the schema. Without it the groups of actions would be
//! missing, and a rule that forbids a group would silently never match.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use cedar_policy::{Entities, Entity, EntityUid, PolicySet, RestrictedExpression, Schema};
use custody_core::effect::{Action, Effect, GovernanceTarget};
use custody_core::id::{RoleId, TierId};
use custody_core::seam::{Facts, Subject};

use crate::leaf::Leaf;
use crate::lower::Points;
use crate::names::{self, Names};

/// The rules that can match, and what they read.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) rules: PolicySet,
    pub(crate) leaves: Vec<(Leaf, String)>,
    pub(crate) points: Points,
}

/// A request without its context.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) principal: EntityUid,
    pub(crate) action: EntityUid,
    pub(crate) resource: EntityUid,
    pub(crate) entities: Entities,
    pub(crate) slice: Arc<Slice>,
}

/// A case before its rules are looked up.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) principal: EntityUid,
    pub(crate) action: EntityUid,
    pub(crate) resource: EntityUid,
    pub(crate) entities: Entities,
    /// The principal, the resource, and everything that they are in.
    pub(crate) named: Vec<EntityUid>,
}

/// A request that no rule set can be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unanswerable;

/// What a scope is built from besides the facts.
#[derive(Debug)]
pub(crate) struct House<'a> {
    pub(crate) names: &'a Names,
    pub(crate) schema: &'a Schema,
    pub(crate) roles: &'a [RoleId],
    pub(crate) tiers: &'a [TierId],
}

/// A text that is the same exactly for facts with the same scope.
pub(crate) fn key(facts: &Facts<'_>, action: Action) -> Result<String, Unanswerable> {
    let requester = facts.requester;
    let mut key =
        format!("{action} {} {} {}", requester.id, requester.service, requester.organisation);
    let subject = match facts.subject {
        Subject::Book(id) => write!(key, " book {id}"),
        Subject::House => write!(key, " house"),
        Subject::Wallet { id, tier, chain } => write!(key, " wallet {id} {tier} {chain}"),
        _ => return Err(Unanswerable),
    };
    subject.map_err(|_| Unanswerable)?;
    for role in &requester.roles {
        write!(key, " {role}").map_err(|_| Unanswerable)?;
    }
    Ok(key)
}

/// Whether the effect is a known one that can be about the order's subject.
pub(crate) fn fits(effect: &Effect, subject: Subject<'_>) -> bool {
    match (effect, subject) {
        (
            Effect::Administer { .. }
            | Effect::Approve { .. }
            | Effect::Call { .. }
            | Effect::DelegateCall { .. }
            | Effect::Deploy
            | Effect::PayFee { .. }
            | Effect::SignMessage { .. }
            | Effect::SignOpaque { .. }
            | Effect::Transfer { .. },
            Subject::Wallet { .. },
        ) => true,
        (Effect::Govern { target, .. }, subject) => governs(target, subject),
        _ => false,
    }
}

fn governs(target: &GovernanceTarget, subject: Subject<'_>) -> bool {
    match (target, subject) {
        (GovernanceTarget::Book(book), Subject::Book(id)) => book == id,
        (GovernanceTarget::House, Subject::House) => true,
        (GovernanceTarget::Wallet(wallet), Subject::Wallet { id, .. }) => wallet == id,
        _ => false,
    }
}

impl House<'_> {
    pub(crate) fn scope(&self, facts: &Facts<'_>, action: Action) -> Result<Scope, Unanswerable> {
        let (principal, groups) = self.principal(facts)?;
        let (resource, tier) = self.resource(facts.subject)?;
        let action = names::entity(&self.names.action, action.as_str());
        let named = [principal.uid(), resource.uid()].into_iter().chain(groups).chain(tier);
        let named = named.collect();
        let (principal_uid, resource_uid) = (principal.uid(), resource.uid());
        let entities = Entities::from_entities([principal, resource], Some(self.schema))
            .map_err(|_| Unanswerable)?;
        Ok(Scope { principal: principal_uid, action, resource: resource_uid, entities, named })
    }

    /// A role that the rule set does not know cannot be named by a rule, so it is left out.
    fn principal(&self, facts: &Facts<'_>) -> Result<(Entity, HashSet<EntityUid>), Unanswerable> {
        let requester = facts.requester;
        let known = requester.roles.iter().filter(|role| self.roles.contains(role));
        let organisation = requester.organisation.as_str();
        let groups: HashSet<EntityUid> = known
            .map(|role| names::entity(&self.names.role, role.as_str()))
            .chain([names::entity(&self.names.organisation, organisation)])
            .collect();
        let uid = names::entity(&self.names.user, requester.id.as_str());
        let service = RestrictedExpression::new_bool(requester.service);
        let attributes = HashMap::from([("service".to_owned(), service)]);
        let user = Entity::new(uid, attributes, groups.clone()).map_err(|_| Unanswerable)?;
        Ok((user, groups))
    }

    /// A wallet of a tier that the rule set does not know is refused: nobody wrote rules for it.
    fn resource(&self, subject: Subject<'_>) -> Result<(Entity, Option<EntityUid>), Unanswerable> {
        match subject {
            Subject::Book(id) => {
                Ok((Entity::with_uid(names::entity(&self.names.book, id.as_str())), None))
            }
            Subject::House => {
                Ok((Entity::with_uid(names::entity(&self.names.house, "house")), None))
            }
            Subject::Wallet { tier, .. } if !self.tiers.contains(tier) => Err(Unanswerable),
            Subject::Wallet { id, tier, chain } => {
                let chain = RestrictedExpression::new_string(chain.as_str().to_owned());
                let attributes = HashMap::from([("chain".to_owned(), chain)]);
                let group = names::entity(&self.names.tier, tier.as_str());
                let uid = names::entity(&self.names.wallet, id.as_str());
                let wallet = Entity::new(uid, attributes, HashSet::from([group.clone()]));
                Ok((wallet.map_err(|_| Unanswerable)?, Some(group)))
            }
            _ => Err(Unanswerable),
        }
    }
}
