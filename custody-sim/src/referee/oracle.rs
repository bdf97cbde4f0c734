//! The one oracle of all tests of a whole custodian, over the lives of one world.
//!
//! Invariant: it is asked after the referee's own checks, which count without it.

use std::collections::BTreeMap;
use std::sync::Arc;

use custody_core::amount::Units;
use custody_core::command::{Command, FreezeScope};
use custody_core::digest::Digest;
use custody_core::id::{CustodianId, PrincipalId, RequestId};
use custody_core::replay::Report;
use custody_testkit::decoder::{TestDecoder, TestTransfer};
use custody_testkit::oracle::{Given, Heard, Invariant, Oracle, Promises};
use custody_testkit::policy::TestRules;

use super::{Check, Referee, State, broken};
use crate::house::RuleSet;

/// What the oracle has read of the log, and what it heard that callers were given.
#[derive(Debug, Default)]
pub(super) struct WorldOracle {
    /// None before the first event.
    oracle: Option<Oracle>,
    given: Vec<Given>,
    /// Every thaw that was ever asked for, each time that it was.
    thaws: Vec<Thaw>,
    /// Every freeze that was ever asked for.
    freezes: BTreeMap<Asker, Freeze>,
}

/// Who asks, under which request id.
type Asker = (PrincipalId, RequestId);

/// A thaw that was asked for.
#[derive(Debug)]
struct Thaw {
    scope: FreezeScope,
    request: Asker,
    life: u64,
}

/// A freeze that was asked for.
#[derive(Debug)]
struct Freeze {
    /// How many thaws had been asked for when it first was.
    since: usize,
    /// Whether those of its scope were over then, so that none of them can come after it.
    is_last: bool,
}

impl Referee {
    /// A command is about to be asked for: thaws and freezes are remembered.
    pub(crate) fn commands(&self, request: Asker, command: &Command) {
        let checked = match command {
            Command::Freeze { scope } => self.state().freezes(request, scope),
            Command::Thaw { scope } => self.state().thaws(request, scope),
            _ => Ok(()),
        };
        self.note(checked);
    }
}

impl State {
    fn thaws(&mut self, request: Asker, scope: &FreezeScope) -> Check {
        self.oracle.thaws(Thaw { scope: scope.clone(), request, life: self.life })
    }

    /// Only the first time counts: a freeze that is asked for again may be one that is thawed.
    fn freezes(&mut self, request: Asker, scope: &FreezeScope) -> Check {
        let Self { oracle, story, life, .. } = self;
        // An order that has ended does nothing any more, nor does a call of an earlier life that
        // came to no order. All else may still thaw.
        let is_over = |thaw: &Thaw| match story.order_of_request(&thaw.request) {
            Some(order) => story.tale(order).is_some_and(|tale| tale.state.is_terminal()),
            None => thaw.life != *life,
        };
        let is_last = oracle.thaws.iter().filter(|thaw| thaw.scope == *scope).all(is_over);
        let since = oracle.thaws.len();
        oracle.freezes.entry(request).or_insert(Freeze { since, is_last });
        Ok(())
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

    /// Takes that a freeze was answered as done. It lasts if nobody has ever asked for a thaw, or
    /// if all thaws were over when it was first asked for, and none was asked for since.
    pub(super) fn frozen(&mut self, request: &Asker, scope: &FreezeScope) -> Check {
        let thawed = |from: usize| self.thaws.iter().skip(from).any(|thaw| thaw.scope == *scope);
        let is_last = |freeze: &Freeze| freeze.is_last && !thawed(freeze.since);
        if thawed(0) && !self.freezes.get(request).is_some_and(is_last) {
            return Ok(());
        }
        self.hear(Given::Frozen(scope.clone()))
    }

    fn thaws(&mut self, thaw: Thaw) -> Check {
        let scope = thaw.scope.clone();
        self.thaws.push(thaw);
        self.given.retain(|given| !matches!(given, Given::Frozen(frozen) if *frozen == scope));
        let Some(oracle) = &mut self.oracle else { return Ok(()) };
        let heard = oracle.hear(&[Given::Thawing(scope)]);
        heard.or_else(|breach| broken(rule(breach.invariant()), breach))
    }

    /// Begins anew with the first event, and remembers what was given. A thaw whose end is lost may
    /// come after all: no freeze that was asked for so far is known to be the last.
    pub(super) fn begin_anew(&mut self) {
        self.oracle = None;
        self.freezes.values_mut().for_each(|freeze| freeze.is_last = false);
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
    use crate::house::{principal, request_id};
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
        assert_eq!(oracle.frozen(&asker("freeze"), &house), Ok(()));
        oracle.thaws.clear();
        assert!(oracle.frozen(&asker("freeze"), &house).is_err());
        let thaw = Thaw { scope: house.clone(), request: asker("thaw"), life: 1 };
        assert_eq!(oracle.thaws(thaw), Ok(()));
        assert_eq!(oracle.frozen(&asker("freeze"), &house), Ok(()));
    }

    #[test]
    fn a_freeze_lasts_again_once_all_earlier_thaws_are_over() {
        let _quiet = Quiet::new();
        let mut world = World::new(0, None);
        world.run();
        let mut guard = world.referee.state();
        let (state, house) = (&mut *guard, FreezeScope::House);
        // No order came of a call of an earlier life, and none will.
        state.oracle.thaws.clear();
        let thaw = Thaw { scope: house.clone(), request: asker("early"), life: 0 };
        assert_eq!(state.oracle.thaws(thaw), Ok(()));
        let counts = |state: &mut State, name: &str| {
            let counts = state.oracle.frozen(&asker(name), &house).is_err();
            // The house is not frozen, so that what counts is at once found lost.
            let thawed = state.oracle.oracle.as_mut().unwrap();
            assert_eq!(thawed.hear(&[Given::Thawing(house.clone())]), Ok(()));
            counts
        };
        assert_eq!(state.freezes(asker("first"), &house), Ok(()));
        assert!(counts(state, "first") && !counts(state, "of-nobody"));
        // A thaw of this life may still come, before or after.
        assert_eq!(state.thaws(asker("late"), &house), Ok(()));
        assert_eq!(state.freezes(asker("second"), &house), Ok(()));
        assert!(!counts(state, "first") && !counts(state, "second"));
        // In the next life it is over, but it may have come after what was asked for before.
        state.life += 1;
        for name in ["first", "second", "third"] {
            assert_eq!(state.freezes(asker(name), &house), Ok(()));
        }
        assert!(!counts(state, "first") && !counts(state, "second") && counts(state, "third"));
        let oracle = state.oracle.oracle.take();
        state.oracle.begin_anew();
        state.oracle.oracle = oracle;
        assert!(!counts(state, "third"), "what was over may be lost");
    }

    fn asker(name: &str) -> Asker {
        (principal("adam"), request_id(name))
    }
}
