//! A policy as AWS reads it (IAM user guide, "Grammar of the IAM JSON policy language").

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};

use super::IamError;

/// A policy. The same scope and uses always give the same text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Policy {
    version: &'static str,
    statement: Vec<Statement>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Statement {
    sid: String,
    effect: Effect,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Principals>,
    action: BTreeSet<&'static str>,
    resource: Values,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    condition: BTreeMap<&'static str, BTreeMap<String, Values>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
struct Principals {
    aws: Values,
}

/// One value stands alone, several in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Values(BTreeSet<String>);

impl Policy {
    pub(super) const fn new(statement: Vec<Statement>) -> Self {
        Self { version: "2012-10-17", statement }
    }

    /// The policy, if it is not longer than this without white space.
    pub(super) fn fitting(self, limit: usize) -> Result<Self, IamError> {
        let length = self.to_json().chars().filter(|one| !one.is_whitespace()).count();
        if length > limit { Err(IamError::TooLong { length, limit }) } else { Ok(self) }
    }

    /// All dangerous actions of a list that no statement allows.
    pub(super) fn denied(
        statements: &[Statement],
        dangerous: impl IntoIterator<Item = &'static str>,
    ) -> Vec<&'static str> {
        let is_allowed = |action: &&str| {
            let allows =
                |one: &Statement| one.effect == Effect::Allow && one.action.contains(action);
            statements.iter().any(allows)
        };
        dangerous.into_iter().filter(|action| !is_allowed(action)).collect()
    }

    /// The text that AWS takes.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Nothing here can fail to be written: all keys are text.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl Statement {
    pub(super) fn allow(sid: &str, actions: impl IntoIterator<Item = &'static str>) -> Self {
        Self::new(sid, Effect::Allow, actions)
    }

    pub(super) fn deny(sid: &str, actions: impl IntoIterator<Item = &'static str>) -> Self {
        Self::new(sid, Effect::Deny, actions)
    }

    fn new(sid: &str, effect: Effect, actions: impl IntoIterator<Item = &'static str>) -> Self {
        Self {
            sid: sid.to_owned(),
            effect,
            principal: None,
            action: actions.into_iter().collect(),
            resource: Values::default(),
            condition: BTreeMap::new(),
        }
    }

    /// With this behind its name.
    pub(super) fn named(mut self, end: &str) -> Self {
        self.sid.push_str(end);
        self
    }

    pub(super) fn by<T: ToString>(mut self, principals: impl IntoIterator<Item = T>) -> Self {
        self.principal = Some(Principals { aws: values(principals) });
        self
    }

    pub(super) fn on<T: ToString>(mut self, resources: impl IntoIterator<Item = T>) -> Self {
        self.resource = values(resources);
        self
    }

    /// Adds a condition; all must hold.
    pub(super) fn when<T: ToString>(
        mut self,
        operator: &'static str,
        key: &str,
        of: impl IntoIterator<Item = T>,
    ) -> Self {
        self.condition.entry(operator).or_default().insert(key.to_owned(), values(of));
        self
    }
}

fn values<T: ToString>(list: impl IntoIterator<Item = T>) -> Values {
    Values(list.into_iter().map(|one| one.to_string()).collect())
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut values = self.0.iter();
        match (values.next(), values.next()) {
            (Some(only), None) => serializer.serialize_str(only),
            _ => self.0.serialize(serializer),
        }
    }
}
