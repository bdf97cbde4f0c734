//! What would allow an order that is not allowed now: a bounded search.
//!
//! Only approvals and time can move while an order waits, approvals up and time forward. The
//! search judges the order at the points where a rule's answer can change, and nowhere else. A
//! recovery drill is neither: an order that only a drill would let through waits for nothing.
//!
//! Invariant: an option is a point that was judged and allowed. If the search ends early it says
//! so.

mod points;

use std::collections::BTreeMap;
use std::sync::Arc;

use custody_core::id::RoleId;
use custody_core::seam::{Facts, Missing, Requirement};

use crate::case::{Case, Unanswerable};
use crate::engine::CedarEngine;
use crate::lower::Points;
use crate::values::{Moment, Values};

/// What would allow the order.
pub(crate) fn search(engine: &CedarEngine, facts: &Facts<'_>) -> Missing {
    match Search::new(engine, facts) {
        Ok(search) => search.run(),
        Err(Unanswerable) => Missing::Never,
    }
}

struct Search<'a> {
    engine: &'a CedarEngine,
    facts: &'a Facts<'a>,
    effects: Vec<(Arc<Case>, Values<'a>)>,
    given: Moment,
    points: Points,
    /// Which effect denied last: it is asked first the next time.
    denier: usize,
    /// How many judgements are left.
    left: usize,
}

impl<'a> Search<'a> {
    fn new(engine: &'a CedarEngine, facts: &'a Facts<'a>) -> Result<Self, Unanswerable> {
        let mut effects = Vec::with_capacity(facts.effects.len());
        let mut points = Points::default();
        for effect in &facts.effects {
            let case = engine.case(facts, effect)?;
            points.extend(&case.slice.points);
            effects.push((case, engine.values(facts, effect)?));
        }
        if effects.is_empty() {
            return Err(Unanswerable);
        }
        let given = Moment::of(facts, engine.roles());
        Ok(Self { engine, facts, effects, given, points, denier: 0, left: JUDGEMENTS })
    }

    fn run(mut self) -> Missing {
        let times = points::times(&self.points, self.facts);
        let combinations = points::combinations(&self.points, self.facts, self.engine.roles());
        let mut complete = times.complete && combinations.complete;
        let mut open = Vec::new();
        for now in times.all {
            let top = Moment { now, counts: combinations.top.clone() };
            if self.allows(&top) == Some(true) {
                open.push(top);
            }
        }
        if open.is_empty() {
            return Missing::Never;
        }
        let mut found: Vec<Moment> = Vec::new();
        let tries = open.iter().flat_map(|top| {
            combinations.all.iter().map(|counts| Moment { now: top.now, counts: counts.clone() })
        });
        for moment in tries {
            if found.iter().any(|option| points::covers(option, &moment)) {
                continue;
            }
            match self.allows(&moment) {
                Some(true) => found.push(moment),
                Some(false) => {}
                None => {
                    complete = false;
                    break;
                }
            }
        }
        if found.is_empty() {
            complete = false;
            found.extend(open.into_iter().next());
        }
        let options = found.iter().map(|option| self.requirement(option)).collect();
        Missing::Await { options, complete }
    }

    /// Whether the whole order is allowed at this moment; `None` when no judgement is left.
    fn allows(&mut self, moment: &Moment) -> Option<bool> {
        self.left = self.left.checked_sub(1)?;
        let count = self.effects.len();
        let turn = |step: usize| self.denier.saturating_add(step).checked_rem(count);
        for position in (0..count).filter_map(turn) {
            let (case, values) = self.effects.get(position)?;
            let verdict = self.engine.verdict(case, values, moment);
            if !verdict.is_ok_and(|verdict| verdict.allowed) {
                self.denier = position;
                return Some(false);
            }
        }
        Some(true)
    }

    fn requirement(&self, option: &Moment) -> Requirement {
        let mut requirement = Requirement::default();
        let roles = self.engine.roles().iter().zip(&option.counts).zip(&self.given.counts);
        for ((role, wanted), given) in roles {
            let approvals = wanted.approvals.saturating_sub(given.approvals);
            note(&mut requirement.approvals, role, approvals);
            let organisations = wanted.organisations.saturating_sub(given.organisations);
            note(&mut requirement.organisations, role, organisations);
        }
        requirement.not_before = (option.now > self.given.now).then_some(option.now);
        requirement
    }
}

fn note(counts: &mut BTreeMap<RoleId, u32>, role: &RoleId, more: u32) {
    if more > 0 {
        counts.insert(role.clone(), more);
    }
}

/// How often the order is judged at most.
const JUDGEMENTS: usize = 256;
