//! One rule as it was loaded: what it covers, what it reads, and how it is run.
//!
//! Invariant: a rule is left out of an evaluation only if its scope cannot match.

use cedar_policy::pst::Template;
use cedar_policy::{ActionConstraint, EntityUid, Policy, PrincipalConstraint, ResourceConstraint};
use custody_core::effect::Action;
use custody_core::id::RoleId;

use crate::lower::{self, Reading, Unreadable};
use crate::schema::Shape;

/// A loaded rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// The rewritten rule.
    pub(crate) policy: Policy,
    pub(crate) reading: Reading,
    /// The actions that its scope covers.
    pub(crate) actions: Vec<Action>,
    /// An entity that the request must be about, if the scope names one.
    pub(crate) key: Option<EntityUid>,
}

impl Rule {
    /// The rule `written`, whose syntax tree is `tree`.
    pub(crate) fn new(
        written: &Policy,
        tree: &Template,
        roles: &[RoleId],
    ) -> Result<Self, Unreadable> {
        let (lowered, reading) = lower::lower(tree, roles)?;
        let fixed = cedar_policy::pst::StaticPolicy::try_from(lowered).map_err(|_| Unreadable)?;
        let policy = Policy::from_pst(cedar_policy::pst::Policy::Static(fixed))
            .map_err(|_| Unreadable)?
            .new_id(written.id().clone());
        Ok(Self { policy, reading, actions: actions(written), key: key(written) })
    }
}

/// The actions that the rule's scope covers.
pub(crate) fn actions(rule: &Policy) -> Vec<Action> {
    let covers = |action: &Action| match rule.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => names(&uid, *action),
        ActionConstraint::In(uids) => uids.iter().any(|uid| holds(uid, *action)),
    };
    Action::ALL.iter().copied().filter(covers).collect()
}

fn names(uid: &EntityUid, action: Action) -> bool {
    uid.id().unescaped() == action.as_str()
}

fn holds(uid: &EntityUid, action: Action) -> bool {
    let group = Shape::of(action).group();
    names(uid, action) || group.is_some_and(|group| uid.id().unescaped() == group)
}

fn key(rule: &Policy) -> Option<EntityUid> {
    let resource = match rule.resource_constraint() {
        ResourceConstraint::Eq(uid)
        | ResourceConstraint::In(uid)
        | ResourceConstraint::IsIn(_, uid) => Some(uid),
        ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
    };
    resource.or_else(|| match rule.principal_constraint() {
        PrincipalConstraint::Eq(uid)
        | PrincipalConstraint::In(uid)
        | PrincipalConstraint::IsIn(_, uid) => Some(uid),
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
    })
}
