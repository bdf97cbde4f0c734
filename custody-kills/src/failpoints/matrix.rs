//! Each failpoint, each thing that it can do, in each workload, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use custody_core::id::CustodianId;
use custody_testkit::failpoint::{Action, Failpoint, Failpoints};

use super::judge::{Engine, LIMIT, List, Words, judge, recover, rounds, work};
use super::memory::{Forgets, Memory, Moment};
use super::seams::World as _;
use super::workload::Workload;
use crate::Failure;

/// A workload as it goes when nothing fails.
#[derive(Debug)]
pub struct Rehearsal {
    workload: Workload,
    id: CustodianId,
    moment: Moment,
    reached: BTreeMap<Failpoint, u64>,
    words: Vec<&'static str>,
}

/// One strike.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "tests build it")]
pub struct Strike {
    /// Where.
    pub point: Failpoint,
    /// Which time it is reached, from 0.
    pub nth: u64,
    /// What happens.
    pub action: Action,
    /// Whether it happens every time from then on, until the custodian is opened again.
    pub lasting: bool,
}

/// How much was done.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "tests take it apart")]
pub struct Tally {
    /// Failpoints that were reached.
    pub points: usize,
    /// Strikes.
    pub strikes: usize,
}

impl Rehearsal {
    /// Does the workload without any fault.
    pub fn of(workload: Workload) -> Result<Self, Failure> {
        let mut world = Memory::new();
        let points = Failpoints::new(world.clock());
        let id = workload.prepare(&mut world, &points)?;
        let moment = world.moment();
        let points = Failpoints::new(world.clock());
        let list = List::default();
        let opened = world.live(async |seams| {
            let ear = list.ear(&seams, LIMIT).pausing(PAUSE);
            let opened = work(&seams, &points, &ear, (id, workload)).await?;
            ear.check()?;
            Ok(opened)
        })?;
        if !opened {
            return Err("nothing fails, and it does not open".into());
        }
        let reached = points.reached();
        let Words { first, next } = rounds(&mut world, &list, (id, workload), &points)?;
        judge(&mut world, &list, id, Engine::Sane)?;
        // Nothing failed, so that whoever asks again hears the same as in a new round.
        if first != next {
            return Err(format!("asked for again, {next:?} became {first:?}").into());
        }
        Ok(Self { workload, id, moment, reached, words: next })
    }

    /// The failpoints that the workload reaches.
    #[must_use]
    pub fn reached(&self) -> BTreeSet<Failpoint> {
        self.reached.keys().copied().collect()
    }

    /// How the orders of a round end.
    #[must_use]
    pub fn words(&self) -> &[&'static str] {
        &self.words
    }

    /// Has every failpoint that it reaches do everything that it can, several times.
    pub fn run(&self) -> Result<Tally, Failure> {
        let mut tally = Tally { points: self.reached.len(), strikes: 0 };
        let mut failures = Vec::new();
        for (point, count) in &self.reached {
            for strike in strikes(*point, *count) {
                if let Err(failure) = self.strike(strike, None) {
                    failures.push(format!("{}: {strike}: {failure}", self.workload.name()));
                }
                tally.strikes += 1;
            }
        }
        if failures.is_empty() { Ok(tally) } else { Err(failures.join("\n").into()) }
    }

    /// One strike in a world of its own, which forgets what happened then, if it `forgets`.
    pub fn strike(&self, strike: Strike, forgets: Option<Forgets>) -> Result<(), Failure> {
        let mut world = Memory::from(&self.moment);
        let points = Failpoints::new(world.clock());
        let list = List::default();
        points.arm(strike.point, strike.nth, strike.action, strike.lasting);
        world.forget(forgets);
        for _ in 0..OPENED_MAX {
            let opened = world.live(async |seams| {
                let ear = list.ear(&seams, LIMIT).pausing(PAUSE);
                let opened = work(&seams, &points, &ear, (self.id, self.workload)).await?;
                ear.check()?;
                Ok(opened)
            })?;
            if opened {
                break;
            }
        }
        world.forget(None);
        if points.struck() == 0 {
            return Err("it was not reached".into());
        }
        let words = recover(&mut world, &list, (self.id, self.workload), &points)?;
        judge(&mut world, &list, self.id, strike.engine())?;
        if words != self.words {
            return Err(format!("the next round ended as {words:?}, not {:?}", self.words).into());
        }
        Ok(())
    }
}

impl Strike {
    /// What the strike lets a verifier find.
    fn engine(self) -> Engine {
        let lies = self.point.call() == "engine.judge" && self.action != Action::Hang;
        if lies { Engine::MayHaveLied } else { Engine::Sane }
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { point, nth, action, lasting } = self;
        let from = if *lasting { "from call" } else { "at call" };
        write!(f, "{point} {action:?} {from} {nth}")
    }
}

/// At the first time, the last and two between; calls that another program answers also go on
/// failing or hanging.
fn strikes(point: Failpoint, count: u64) -> Vec<Strike> {
    let nths: BTreeSet<_> = [0, count / 3, count * 2 / 3, count - 1].into();
    let mut strikes = Vec::new();
    for action in [Action::Error, Action::Hang, Action::Panic] {
        for nth in nths.iter().copied().filter(|_| point.knows(action)) {
            strikes.push(Strike { point, nth, action, lasting: false });
            if is_outside(point) && action != Action::Panic {
                strikes.push(Strike { point, nth, action, lasting: true });
            }
        }
    }
    strikes
}

/// Whether somebody else answers the call, who may be gone for longer than a call.
fn is_outside(point: Failpoint) -> bool {
    let seam = point.call().split('.').next().unwrap_or_default();
    let outside = ["anchor", "backend", "kek", "log", "signer", "store", "switch"];
    outside.contains(&seam) || point.call() == "handler.run"
}

/// How often a host tries to open its custodian before it looks for the reason.
const OPENED_MAX: u32 = 3;
/// Longer than a custodian waits before it looks whether something is due.
const PAUSE: Duration = Duration::from_secs(6);
