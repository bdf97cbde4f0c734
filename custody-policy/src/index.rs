//! Which rules can match a request: an index over their scopes.
//!
//! Scope is evaluated before conditions and cannot fail, so a rule whose scope does not match
//! neither allows, nor denies, nor fails. Leaving it out changes nothing but the time.
//!
//! Invariant: [`Index::hits`] holds every rule whose scope matches.

use std::collections::HashMap;

use cedar_policy::EntityUid;
use custody_core::effect::Action;

use crate::rule::Rule;

/// Rules by action and by an entity that their scope names.
#[derive(Debug, Default)]
pub(crate) struct Index {
    buckets: HashMap<(Action, Option<EntityUid>), Vec<usize>>,
}

impl Index {
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (position, rule) in rules.iter().enumerate() {
            for action in &rule.actions {
                let bucket = (*action, rule.key.clone());
                index.buckets.entry(bucket).or_default().push(position);
            }
        }
        index
    }

    /// Positions of the rules that can match, ascending. `entities` are the principal, the
    /// resource and everything that they are in.
    pub(crate) fn hits(&self, action: Action, entities: &[EntityUid]) -> Vec<usize> {
        let named = entities.iter().map(|entity| (action, Some(entity.clone())));
        let keys = named.chain([(action, None)]);
        let mut hits: Vec<usize> =
            keys.filter_map(|key| self.buckets.get(&key)).flatten().copied().collect();
        hits.sort_unstable();
        hits.dedup();
        hits
    }
}
