use std::collections::BTreeMap;

use custody_core::amount::Units;
use custody_core::document::{OrderDecided, Verdict};
use custody_core::effect::{Action, Effect};
use custody_core::id::OrderId;
use custody_core::order::OrderState;
use custody_core::time::Timestamp;

use super::super::{Check, broken};
use super::Story;
use crate::house::short;

impl Story {
    pub(super) fn decided(&mut self, index: u64, at: Timestamp, decided: &OrderDecided) -> Check {
        let rules = decided.rules.iter().chain(&decided.errors).map(ToString::to_string);
        let rules: Vec<_> = rules.collect();
        if let Some(tale) = self.tales.get_mut(&decided.order) {
            tale.rules = rules;
        }
        if decided.verdict == Verdict::Denied {
            return self.go(&decided.order, OrderState::Pending, OrderState::Denied, index);
        }
        self.go(&decided.order, OrderState::Pending, OrderState::Reserved, index)?;
        if self.tales.get(&decided.order).is_some_and(|tale| tale.is_left) {
            let rule = "nothing that waits outlives the removal of whoever asked for it";
            return broken(rule, short(&decided.order));
        }
        self.count_approvals(at, decided)?;
        self.count_limits(at, &decided.order)
    }

    /// Approvals that count are of distinct people who hold the role and are not the requester,
    /// unexpired when the order is decided.
    fn count_approvals(&mut self, at: Timestamp, decided: &OrderDecided) -> Check {
        let Some(tale) = self.tales.get_mut(&decided.order) else { return Ok(()) };
        let counting = tale.approvals.iter().map(|signed| &signed.statement).filter(|statement| {
            let person = self.people.get(&statement.principal);
            statement.valid_until >= at
                && statement.digest == tale.digest
                && statement.principal != tale.document.requester
                && statement.role.as_str() == "treasurer"
                && person.is_some_and(|person| person.roles.contains(&statement.role))
        });
        let mut counted = BTreeMap::new();
        for statement in counting {
            let until = counted.entry(statement.principal.clone()).or_insert(statement.valid_until);
            *until = statement.valid_until.max(*until);
        }
        let Some(rules) = self.rule_sets.get(&decided.policy) else {
            return broken("decisions name the rules in force", decided.policy.digest());
        };
        if decided.policy != self.in_force {
            return broken("decisions name the rules in force", short(&decided.order));
        }
        let wanted = match &tale.command {
            None => rules.approvals,
            Some(command) if is_stop(command.action()) => 0,
            Some(_) => 1,
        };
        if counted.len() < wanted {
            let detail =
                format_args!("{} has {} of {wanted}", short(&decided.order), counted.len());
            return broken("approvals are those of distinct people that count now", detail);
        }
        tale.until = counted.values().min().copied();
        tale.counted = counted.into_keys().collect();
        Ok(())
    }

    fn count_limits(&mut self, at: Timestamp, id: &OrderId) -> Check {
        const DAY_MS: u64 = 86_400_000;
        let (Some(tale), Some(rules)) = (self.tales.get(id), self.rule_sets.get(&self.in_force))
        else {
            return Ok(());
        };
        let Some(wallet) = tale.document.wallet.clone() else { return Ok(()) };
        let units = tale.document.effects.iter().filter_map(|effect| match effect {
            Effect::Transfer { amount, .. } => Some(amount.units()),
            _ => None,
        });
        let units = units.fold(Units::ZERO, |sum, units| sum.checked_add(units).unwrap());
        if units == Units::ZERO {
            return Ok(());
        }
        if self.is_exhausted(at, DAY_MS) {
            let rule = "after a recovery no limit has anything left for as long as it looks back";
            return broken(rule, short(id));
        }
        self.spent.insert(id.clone(), (at, wallet.clone(), units));
        let day = Timestamp::from_millis(at.as_millis().saturating_sub(DAY_MS));
        let within = self.spent.values().filter(|(since, of, _)| *of == wallet && *since > day);
        let sum = within.fold(Units::ZERO, |sum, (.., units)| sum.checked_add(*units).unwrap());
        if sum > Units::from(rules.day_max) || units > Units::from(rules.order_max) {
            let detail = format_args!("{}: {units}, {sum} of {wallet} in a day", short(id));
            return broken("what is allowed stands within the limits", detail);
        }
        Ok(())
    }
}

fn is_stop(action: Action) -> bool {
    matches!(action, Action::Freeze | Action::RemovePrincipal | Action::SuspendKey)
}
