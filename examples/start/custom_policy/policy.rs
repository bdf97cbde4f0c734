//! An engine of one's own: rules are rows of a table in JSON, and each effect needs one that fits it.

use std::collections::BTreeSet;
use std::sync::Arc;

use custody_core::amount::Units;
use custody_core::caip::AssetId;
use custody_core::effect::Action;
use custody_core::id::{EngineId, PolicyId, RoleId, RuleId};
use custody_core::seam::*;
use serde::Deserialize;

/// Compiles such tables.
#[derive(Debug)]
pub(crate) struct TableCompiler(pub EngineId);

/// A table, with the id of its document.
#[derive(Debug)]
struct Table(PolicyId, Vec<Row>);

/// A row permits an action; what it does not say does not matter to it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: RuleId,
    action: Option<Action>,
    asset: Option<AssetId>,
    /// The most of the asset that the whole order may move; of a fee, the most that it may be.
    most: Option<Units>,
    /// Who has to approve, and how many of them.
    role: Option<RoleId>,
    #[serde(default)]
    approvals: u32,
}

impl PolicyCompiler for TableCompiler {
    fn engine(&self) -> &EngineId {
        &self.0
    }

    fn compile(&self, rules: &PolicyDocument) -> Result<Arc<dyn PolicyEngine>, PolicyError> {
        let refused = |line: usize, rule: Option<&Row>, message: String| {
            let line = u32::try_from(line).unwrap_or_default();
            let rule = rule.map(|row| row.id.clone());
            PolicyError::new(vec![Finding { rule, line, column: 0, message }])
        };
        let bytes = rules.to_bytes().map_err(|error| refused(0, None, error.to_string()))?;
        if rules.v != 1 || bytes.len() > PolicyDocument::MAX {
            return Err(refused(0, None, "another version, or too long".to_owned()));
        }
        let text = if rules.rules.is_empty() { "[]" } else { &rules.rules };
        let table: Vec<Row> = serde_json::from_str(text)
            .map_err(|error| refused(error.line(), None, error.to_string()))?;
        let mut ids = BTreeSet::new();
        for row in &table {
            let is_known = row.role.as_ref().is_none_or(|role| rules.roles.contains(role));
            let is_whole = row.role.is_some() == (row.approvals > 0)
                && row.asset.is_some() == row.most.is_some();
            if !is_known || !is_whole || !ids.insert(&row.id) {
                let message = "an unknown role, half a condition, or an id twice";
                return Err(refused(0, Some(row), message.to_owned()));
            }
        }
        Ok(Arc::new(Table(PolicyDocument::id_of(&bytes), table)))
    }
}

impl Row {
    /// Whether the row permits an effect, approvals aside.
    fn fits(&self, effect: &EffectFacts<'_>) -> bool {
        let is_action = self.action.is_none_or(|action| action == effect.effect.action());
        let is_within = match (&self.asset, self.most, effect.effect.amount(), &effect.money) {
            (None, ..) => true,
            (Some(asset), Some(most), Some(amount), Some(money)) => {
                let is_fee = effect.effect.action() == Action::PayFee;
                let moved = if is_fee { money.fee } else { money.order_total };
                amount.asset() == asset && moved <= most
            }
            _ => false,
        };
        is_action && is_within
    }

    fn is_approved(&self, approvals: &ApprovalFacts) -> bool {
        let Some(role) = &self.role else { return true };
        approvals.roles.get(role).is_some_and(|facts| facts.approvals >= self.approvals)
    }

    /// What is missing until it is approved, if so many people could.
    fn missing(&self, approvals: &ApprovalFacts) -> Option<Requirement> {
        let role = self.role.as_ref()?;
        let facts = approvals.roles.get(role).filter(|facts| facts.eligible >= self.approvals)?;
        let more = self.approvals.checked_sub(facts.approvals).filter(|more| *more > 0)?;
        Some(Requirement { approvals: [(role.clone(), more)].into(), ..Requirement::default() })
    }
}

impl PolicyEngine for Table {
    fn id(&self) -> PolicyId {
        self.0
    }

    /// Each effect needs a row; money of an asset without decimals has none, and no effects are none.
    fn judge(&self, facts: &Facts<'_>) -> Judgement {
        let mut rules = BTreeSet::new();
        let mut allowed = !facts.effects.is_empty();
        for effect in &facts.effects {
            let is_known = effect.effect.amount().is_none()
                || effect.money.as_ref().is_some_and(|money| money.decimals.is_some());
            let mut rows = self.1.iter().filter(|row| is_known && row.fits(effect));
            match rows.find(|row| row.is_approved(facts.approvals)) {
                Some(row) => drop(rules.insert(row.id.clone())),
                None => allowed = false,
            }
        }
        if !allowed {
            rules = RuleId::parse("no-permit").into_iter().collect();
        }
        Judgement { allowed, rules: rules.into_iter().collect(), errors: Vec::new() }
    }

    /// Tries what each row waits for, by itself.
    fn missing(&self, facts: &Facts<'_>) -> Missing {
        let mut options: Vec<Requirement> = Vec::new();
        for option in self.1.iter().filter_map(|row| row.missing(facts.approvals)) {
            let mut approvals = facts.approvals.clone();
            for (role, more) in &option.approvals {
                let facts = approvals.roles.entry(role.clone()).or_default();
                facts.approvals = facts.approvals.saturating_add(*more);
            }
            let is_enough = self.judge(&Facts { approvals: &approvals, ..facts.clone() }).allowed;
            let is_more = |known: &Requirement| {
                known
                    .approvals
                    .iter()
                    .all(|(role, count)| option.approvals.get(role) >= Some(count))
            };
            if is_enough && !options.iter().any(is_more) {
                options.push(option);
            }
        }
        if options.is_empty() {
            Missing::Never
        } else {
            Missing::Await { options, complete: false }
        }
    }
}
