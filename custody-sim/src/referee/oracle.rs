//! The one oracle of all tests of a whole custodian, over the lives of one world.
//!
//! Invariant: it is asked after the referee's own checks, which count without it.

use std::collections::BTreeMap;
use std::sync::Arc;

use custody_core::amount::Units;
use custody_core::command::FreezeScope;
use custody_core::digest::Digest;
use custody_core::id::CustodianId;
use custody_core::replay::Report;
use custody_testkit::decoder::{TestDecoder, TestTransfer};
use custody_testkit::oracle::{Given, Heard, Invariant, Oracle, Promises};
use custody_testkit::policy::TestRules;

use super::{Check, Referee, broken};
use crate::house::RuleSet;

/// What the oracle has read of the log, and what it heard that callers were given.
#[derive(Debug, Default)]
pub(super) struct WorldOracle {
    /// None before the first event.
    oracle: Option<Oracle>,
    given: Vec<Given>,
    /// What somebody has asked to thaw, if only once: nobody can tell when it was done.
    thawed: Vec<FreezeScope>,
}

impl Referee {
    /// A thaw is about to be asked for.
    pub(crate) fn thaws(&self, scope: &FreezeScope) {
        let checked = self.state().oracle.thaws(scope);
        self.note(checked);
    }
}

impl WorldOracle {
    /// Takes the next event.
    pub(super) fn event(
        &mut self,
        custodian: CustodianId,
        index: u64,
        bytes: &[u8],
        documents: &BTreeMap<Digest, Vec<u8>>,
    ) -> Check {
        let oracle = self.oracle.get_or_insert_with(|| {
            let rules = Arc::new(TestRules::new());
            Oracle::new(custodian, rules, vec![Arc::new(TestDecoder::new())], promises())
        });
        oracle.event(bytes, documents).or_else(|breach| {
            broken(rule(breach.invariant()), format_args!("event {index}: {breach}"))
        })
    }

    /// Takes what a caller was given.
    pub(super) fn hear(&mut self, given: Given) -> Check {
        let Some(oracle) = &mut self.oracle else { return Ok(()) };
        oracle
            .hear(std::slice::from_ref(&given))
            .or_else(|breach| broken(rule(breach.invariant()), breach))?;
        if stays(&given) {
            self.given.push(given);
        }
        Ok(())
    }

    /// Takes that a freeze was answered as done; it lasts if nobody has ever asked for a thaw.
    pub(super) fn frozen(&mut self, scope: &FreezeScope) -> Check {
        if self.thawed.contains(scope) {
            return Ok(());
        }
        self.hear(Given::Frozen(scope.clone()))
    }

    fn thaws(&mut self, scope: &FreezeScope) -> Check {
        if !self.thawed.contains(scope) {
            self.thawed.push(scope.clone());
        }
        self.given.retain(|given| !matches!(given, Given::Frozen(frozen) if frozen == scope));
        let Some(oracle) = &mut self.oracle else { return Ok(()) };
        let heard = oracle.hear(&[Given::Thawing(scope.clone())]);
        heard.or_else(|breach| broken(rule(breach.invariant()), breach))
    }

    /// Begins anew with the first event, and remembers what was given.
    pub(super) fn begin_anew(&mut self) {
        self.oracle = None;
    }

    /// Everything that was ever given holds for the events that are there now.
    pub(super) fn still_holds(&mut self) -> Check {
        let Some(oracle) = &mut self.oracle else { return Ok(()) };
        oracle.hear(&self.given).or_else(|breach| broken("what was answered stays", breach))
    }

    /// Forgets what was given and is lost with the disk, and what is frozen.
    pub(super) fn forget_lost(&mut self) {
        let Some(oracle) = &mut self.oracle else { return self.given.clear() };
        self.given.retain(|given| {
            let is_answer = matches!(given, Given::Answer { .. });
            is_answer && oracle.hear(std::slice::from_ref(given)).is_ok()
        });
    }

    /// What the replay of all events has counted.
    pub(super) fn report(&self) -> Report {
        self.oracle.as_ref().map(|oracle| *oracle.report()).unwrap_or_default()
    }
}

/// Whether a crash that loses what no head is over leaves what was given: that an outcome is unknown
/// is said before it is sealed.
fn stays(given: &Given) -> bool {
    !matches!(given, Given::Answer { heard, .. } if **heard == Heard::Unknown)
}

/// What all rule sets of the house keep to.
fn promises() -> Promises {
    let sets = RuleSet::all();
    let a_day = sets.iter().map(|rules| rules.day_max).max();
    let alone = sets.iter().filter(|rules| rules.approvals == 0).map(|rules| rules.order_max).max();
    Promises {
        asset: Some(TestTransfer::coin()),
        a_day: a_day.map(Units::from),
        alone: alone.map(|most| (Units::from(most), 1)),
    }
}

/// How the referee calls what the oracle finds broken.
const fn rule(invariant: Invariant) -> &'static str {
    match invariant {
        Invariant::Answers => "no answer contradicts an earlier one",
        Invariant::Approvals => "approvals are those of distinct people that count now",
        Invariant::Durable => "what is given out is durable",
        Invariant::Freezes => "what was answered as frozen stays frozen",
        Invariant::Keys => "keys move only between states that may follow each other",
        Invariant::Limits => "what is allowed stands within the limits",
        Invariant::Log => "the log only grows, and each head continues all earlier ones",
        Invariant::OneRequest => "one request id is one order",
        Invariant::Replay => "the log replays",
        Invariant::Signatures => "every signature verifies over the logged bytes",
        _ => "what the oracle asks for holds",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quiet::Quiet;
    use crate::world::World;

    #[test]
    fn what_callers_were_given_is_remembered_and_held_against_the_log() {
        let _quiet = Quiet::new();
        let mut world = World::new(0, None);
        world.run();
        let mut state = world.referee.state();
        let oracle = &mut state.oracle;
        assert_eq!(oracle.still_holds(), Ok(()));
        let (given, mut released) = (oracle.given.clone(), 0);
        for one in given {
            let Given::Answer { request, order, heard, .. } = one else { continue };
            released += u64::from(matches!(*heard, Heard::Released { .. }));
            let other = Given::Answer { request, order, digest: Digest::of(b"other"), heard };
            assert!(oracle.hear(other).is_err());
        }
        assert!(released > 5, "only {released} releases were heard of");
    }

    #[test]
    fn a_freeze_lasts_until_somebody_asks_for_a_thaw() {
        let _quiet = Quiet::new();
        let mut world = World::new(0, None);
        world.run();
        let mut state = world.referee.state();
        let (oracle, house) = (&mut state.oracle, FreezeScope::House);
        // At the end of a world nothing is frozen any more, and a thaw was asked for.
        assert_eq!(oracle.frozen(&house), Ok(()));
        oracle.thawed.clear();
        assert!(oracle.frozen(&house).is_err());
        assert_eq!(oracle.thaws(&house), Ok(()));
        assert_eq!(oracle.frozen(&house), Ok(()));
    }
}
