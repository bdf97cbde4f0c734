//! The times and counts at which a rule's answer can change.
//!
//! Invariant: all lists here are bounded, and say so when they were cut.

use std::collections::BTreeSet;

use custody_core::id::RoleId;
use custody_core::seam::{Facts, RoleFacts};
use custody_core::time::Timestamp;

use crate::leaf::Leaf;
use crate::lower::Points;
use crate::values::{Count, DAY, Moment};

/// Candidate times, ascending, beginning now.
#[derive(Debug)]
pub(crate) struct Times {
    pub(crate) all: Vec<Timestamp>,
    pub(crate) complete: bool,
}

/// Candidate counts for every role.
#[derive(Debug)]
pub(crate) struct Combinations {
    /// By how much is missing, the least first.
    pub(crate) all: Vec<Vec<Count>>,
    /// Everybody approved.
    pub(crate) top: Vec<Count>,
    pub(crate) complete: bool,
}

/// The times at which the answer can change, from now until the order expires.
pub(crate) fn times(points: &Points, facts: &Facts<'_>) -> Times {
    let now = millis(facts.now);
    let mut later = BTreeSet::new();
    for age in &points.ages {
        later.insert(millis(facts.submitted).saturating_add(*age));
    }
    for drilled in &points.drilled {
        later.insert(millis(facts.drilled).saturating_add(*drilled));
    }
    for effect in &facts.effects {
        let known = effect.destination.as_ref().and_then(|destination| destination.known_since);
        if let Some(since) = known {
            later.extend(points.cooled.iter().map(|cooled| millis(since).saturating_add(*cooled)));
        }
    }
    later.extend(&points.instants);
    if points.daily {
        later.extend(daily(points, now, millis(facts.expires)));
    }
    let mut later: Vec<i64> =
        later.into_iter().filter(|time| *time > now && *time < millis(facts.expires)).collect();
    let complete = later.len() < TIMES && !points.open;
    later.truncate(TIMES.saturating_sub(1));
    let later = later.into_iter().filter_map(|time| u64::try_from(time).ok());
    let all = [facts.now].into_iter().chain(later.map(Timestamp::from_millis)).collect();
    Times { all, complete }
}

/// Each day's midnight and times of day.
fn daily(points: &Points, now: i64, expires: i64) -> Vec<i64> {
    let today = now.saturating_sub(now % DAY);
    let mut times = Vec::new();
    let mut midnight = today;
    while midnight < expires && times.len() <= TIMES {
        times.push(midnight);
        times.extend(points.clocks.iter().map(|clock| midnight.saturating_add(*clock)));
        midnight = midnight.saturating_add(DAY);
    }
    times
}

/// The counts at which the answer can change, up to the people who could approve.
pub(crate) fn combinations(points: &Points, facts: &Facts<'_>, roles: &[RoleId]) -> Combinations {
    let mut all = vec![Vec::new()];
    let mut top = Vec::with_capacity(roles.len());
    let mut complete = true;
    for (index, role) in roles.iter().enumerate() {
        let given = facts.approvals.roles.get(role).copied().unwrap_or_default();
        let steps = role_steps(points, index, given);
        top.push(steps.iter().copied().fold(Count::default(), most));
        if all.len().saturating_mul(steps.len()) > COMBINATIONS {
            complete = false;
            continue;
        }
        all = extended(&all, &steps);
    }
    if !complete {
        all.clear();
    }
    let given = Moment::of(facts, roles).counts;
    all.sort_by_key(|counts| (total_missing(counts, &given), counts.clone()));
    all.dedup();
    Combinations { all, top, complete }
}

fn extended(all: &[Vec<Count>], steps: &[Count]) -> Vec<Vec<Count>> {
    let longer = |counts: &Vec<Count>, step: &Count| {
        counts.iter().copied().chain([*step]).collect::<Vec<_>>()
    };
    all.iter().flat_map(|counts| steps.iter().map(move |step| longer(counts, step))).collect()
}

/// The counts of one role that matter, the given one first.
///
/// Each more organisation takes at least one more person.
fn role_steps(points: &Points, role: usize, given: RoleFacts) -> Vec<Count> {
    let people = steps(points, Leaf::Approvals(role), given.approvals, given.eligible);
    let most = given.eligible_organisations;
    let houses = steps(points, Leaf::Organisations(role), given.organisations, most);
    let mut all = Vec::new();
    for organisations in houses {
        let more = organisations.saturating_sub(given.organisations);
        let least = given.approvals.saturating_add(more);
        for approvals in &people {
            let count = Count { approvals: least.max(*approvals), organisations };
            if count.approvals <= given.eligible.max(given.approvals) && !all.contains(&count) {
                all.push(count);
            }
        }
    }
    all
}

fn steps(points: &Points, leaf: Leaf, given: u32, limit: u32) -> Vec<u32> {
    let changes = points.counts.get(&leaf).into_iter().flatten();
    let more = changes.filter_map(|change| u32::try_from(*change).ok());
    [given].into_iter().chain(more.filter(|count| *count > given && *count <= limit)).collect()
}

/// Whether whoever has `moment` also has `option`: no earlier, and no approval less.
pub(crate) fn covers(option: &Moment, moment: &Moment) -> bool {
    let enough = option.counts.iter().zip(&moment.counts).all(|(option, moment)| {
        option.approvals <= moment.approvals && option.organisations <= moment.organisations
    });
    enough && option.now <= moment.now
}

fn most(one: Count, other: Count) -> Count {
    Count {
        approvals: one.approvals.max(other.approvals),
        organisations: one.organisations.max(other.organisations),
    }
}

fn total_missing(counts: &[Count], given: &[Count]) -> u64 {
    let more = |(count, given): (&Count, &Count)| {
        let approvals = count.approvals.saturating_sub(given.approvals);
        let organisations = count.organisations.saturating_sub(given.organisations);
        u64::from(approvals).saturating_add(u64::from(organisations))
    };
    counts.iter().zip(given).map(more).fold(0, u64::saturating_add)
}

fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// How many times are looked at.
const TIMES: usize = 64;
/// How many combinations of counts are looked at.
const COMBINATIONS: usize = 4_096;
