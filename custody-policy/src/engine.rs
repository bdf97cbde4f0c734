//! The engine: judges orders under one compiled rule set.
//!
//! Invariant: an order is allowed only if every effect is, and no rule failed. Whatever is
//! unknown, missing or failing denies; nothing here reads a clock.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, PolicyId as CedarId, PolicySet, Request,
    Schema,
};
use custody_core::id::{PolicyId, RoleId, RuleId, TierId};
use custody_core::seam::{
    EffectFacts, Facts, Judgement, Missing, PolicyDocument, PolicyEngine, PolicyError,
};

use crate::cache::Cache;
use crate::case::{self, Case, House, Slice, Unanswerable};
use crate::compiler;
use crate::index::Index;
use crate::lower::Points;
use crate::missing;
use crate::names::Names;
use crate::rule::Rule;
use crate::values::{Moment, Values};

/// A compiled rule set.
///
/// The same facts always get the same answer; what it remembers between calls only saves time and
/// is bounded.
pub struct CedarEngine {
    id: PolicyId,
    roles: Vec<RoleId>,
    tiers: Vec<TierId>,
    names: Names,
    schema: Schema,
    rules: Vec<Rule>,
    index: Index,
    authorizer: Authorizer,
    memory: Mutex<Memory>,
}

/// What was built for earlier orders.
struct Memory {
    cases: Cache<String, Arc<Case>>,
    slices: Cache<Vec<usize>, Arc<Slice>>,
}

/// What a compiled rule set is made of.
pub(crate) struct Parts {
    pub(crate) id: PolicyId,
    pub(crate) names: Names,
    pub(crate) schema: Schema,
    pub(crate) rules: Vec<Rule>,
}

/// The verdict on one effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    pub(crate) rules: Vec<RuleId>,
    pub(crate) errors: Vec<RuleId>,
}

impl CedarEngine {
    /// Compiles a rule set.
    ///
    /// # Errors
    /// Lists every finding with rule, line and column.
    pub fn new(document: &PolicyDocument) -> Result<Self, PolicyError> {
        let Parts { id, names, schema, rules } = compiler::parts(document)?;
        Ok(Self {
            id,
            roles: document.roles.clone(),
            tiers: document.tiers.clone(),
            names,
            schema,
            index: Index::new(&rules),
            rules,
            authorizer: Authorizer::new(),
            memory: Mutex::new(Memory { cases: Cache::new(CASES), slices: Cache::new(SLICES) }),
        })
    }

    pub(crate) fn roles(&self) -> &[RoleId] {
        &self.roles
    }

    /// The case that an effect of this order is.
    pub(crate) fn case(
        &self,
        facts: &Facts<'_>,
        effect: &EffectFacts<'_>,
    ) -> Result<Arc<Case>, Unanswerable> {
        if !case::fits(effect.effect, facts.subject) {
            return Err(Unanswerable);
        }
        let action = effect.effect.action();
        let key = case::key(facts, action)?;
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(case) = memory.cases.get(&key) {
            return Ok(case);
        }
        let house = House {
            names: &self.names,
            schema: &self.schema,
            roles: &self.roles,
            tiers: &self.tiers,
        };
        let scope = house.scope(facts, action)?;
        let hits = self.index.hits(action, &scope.named);
        let slice = match memory.slices.get(&hits) {
            Some(slice) => slice,
            None => {
                let slice = Arc::new(self.slice(&hits)?);
                memory.slices.insert(hits, Arc::clone(&slice));
                slice
            }
        };
        let case = Arc::new(Case {
            principal: scope.principal,
            action: scope.action,
            resource: scope.resource,
            entities: scope.entities,
            slice,
        });
        memory.cases.insert(key, Arc::clone(&case));
        Ok(case)
    }

    /// The values of an effect's facts.
    pub(crate) fn values<'a>(
        &'a self,
        facts: &'a Facts<'a>,
        effect: &'a EffectFacts<'a>,
    ) -> Result<Values<'a>, Unanswerable> {
        Values::new(facts, effect, &self.names).map_err(|_| Unanswerable)
    }

    /// Judges one effect at a moment.
    pub(crate) fn verdict(
        &self,
        case: &Case,
        values: &Values<'_>,
        moment: &Moment,
    ) -> Result<Verdict, Unanswerable> {
        let mut pairs = Vec::with_capacity(case.slice.leaves.len());
        for (leaf, attribute) in &case.slice.leaves {
            if let Some(value) = values.of(*leaf, moment).map_err(|_| Unanswerable)? {
                pairs.push((attribute.clone(), value));
            }
        }
        let context = Context::from_pairs(pairs).map_err(|_| Unanswerable)?;
        let (principal, action) = (case.principal.clone(), case.action.clone());
        let request = Request::new(principal, action, case.resource.clone(), context, None)
            .map_err(|_| Unanswerable)?;
        let answer = self.authorizer.is_authorized(&request, &case.slice.rules, &case.entities);
        let errors: Vec<RuleId> = answer
            .diagnostics()
            .errors()
            .filter_map(|AuthorizationError::PolicyEvaluationError(error)| {
                rule_id(error.policy_id())
            })
            .collect();
        let failed = answer.diagnostics().errors().next().is_some();
        let allows = answer.decision() == Decision::Allow;
        // The permits that an error overrules did not make the verdict.
        let rules = if allows && failed {
            Vec::new()
        } else {
            answer.diagnostics().reason().filter_map(rule_id).collect()
        };
        Ok(Verdict { allowed: allows && !failed, rules, errors })
    }

    fn slice(&self, hits: &[usize]) -> Result<Slice, Unanswerable> {
        let rules: Vec<&Rule> = hits.iter().filter_map(|hit| self.rules.get(*hit)).collect();
        let leaves: BTreeSet<_> =
            rules.iter().flat_map(|rule| rule.reading.leaves.iter().copied()).collect();
        let mut points = Points::default();
        for rule in &rules {
            points.extend(&rule.reading.points);
        }
        let policies = rules.iter().map(|rule| rule.policy.clone());
        Ok(Slice {
            rules: PolicySet::from_policies(policies).map_err(|_| Unanswerable)?,
            leaves: leaves.into_iter().map(|leaf| (leaf, leaf.attribute())).collect(),
            points,
        })
    }

    fn judge_effect(
        &self,
        facts: &Facts<'_>,
        effect: &EffectFacts<'_>,
        moment: &Moment,
    ) -> Result<Verdict, Unanswerable> {
        let values = self.values(facts, effect)?;
        let case = self.case(facts, effect)?;
        self.verdict(&case, &values, moment)
    }
}

impl PolicyEngine for CedarEngine {
    fn id(&self) -> PolicyId {
        self.id
    }

    fn judge(&self, facts: &Facts<'_>) -> Judgement {
        let moment = Moment::of(facts, &self.roles);
        let mut whole = Whole::default();
        for effect in &facts.effects {
            whole.add(self.judge_effect(facts, effect, &moment));
        }
        whole.judgement()
    }

    fn missing(&self, facts: &Facts<'_>) -> Missing {
        missing::search(self, facts)
    }
}

impl fmt::Debug for CedarEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CedarEngine")
            .field("id", &self.id)
            .field("rules", &self.rules.len())
            .finish_non_exhaustive()
    }
}

/// The verdicts on all effects of an order.
#[derive(Debug, Default)]
struct Whole {
    effects: usize,
    denied: bool,
    permits: BTreeSet<RuleId>,
    forbids: BTreeSet<RuleId>,
    errors: BTreeSet<RuleId>,
}

impl Whole {
    fn add(&mut self, verdict: Result<Verdict, Unanswerable>) {
        self.effects = self.effects.saturating_add(1);
        match verdict {
            Ok(Verdict { allowed: true, rules, .. }) => self.permits.extend(rules),
            Ok(Verdict { allowed: false, rules, errors }) => {
                self.denied = true;
                if rules.is_empty() {
                    self.forbids.extend(no_permit());
                }
                self.forbids.extend(rules);
                self.errors.extend(errors);
            }
            Err(Unanswerable) => {
                self.denied = true;
                self.forbids.extend(no_permit());
            }
        }
    }

    fn judgement(mut self) -> Judgement {
        if self.effects == 0 {
            self.denied = true;
            self.forbids.extend(no_permit());
        }
        let rules = if self.denied { self.forbids } else { self.permits };
        Judgement {
            allowed: !self.denied,
            rules: rules.into_iter().collect(),
            errors: self.errors.into_iter().collect(),
        }
    }
}

fn rule_id(id: &CedarId) -> Option<RuleId> {
    RuleId::parse(id.as_ref()).ok()
}

fn no_permit() -> Option<RuleId> {
    RuleId::parse(NO_PERMIT).ok()
}

/// Stands for a denial in which no rule spoke.
pub(crate) const NO_PERMIT: &str = "no-permit";
/// How many kinds of requests are remembered.
const CASES: usize = 4_096;
/// How many sets of rules are remembered.
const SLICES: usize = 256;
