//! Each failpoint in each workload ends a process that works over SQLite.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use custody_core::id::CustodianId;
use custody_testkit::failpoint::{Action, Failpoint, Failpoints};
use custody_testkit::runtime::TestClock;
use tempfile::TempDir;

use super::callers::Ear;
use super::disk::{Disk, copy};
use super::judge::{Engine, List, judge, recover, work};
use super::matrix::Tally;
use super::seams::World as _;
use super::workload::Workload;
use crate::Failure;
use crate::line::{Line, Pipe};

/// A workload over SQLite, ready to be ended.
#[derive(Debug)]
pub struct Aborts {
    program: PathBuf,
    workload: Workload,
    id: CustodianId,
    start: TempDir,
    reached: BTreeMap<Failpoint, u64>,
    words: Vec<&'static str>,
}

/// How a process ended, and what it had told.
struct Ended {
    aborted: bool,
    told: Vec<Line>,
}

impl Aborts {
    /// Prepares the workload, and lets `program` do it once without a fault.
    pub fn new(program: PathBuf, workload: Workload) -> Result<Self, Failure> {
        let start = tempfile::tempdir()?;
        let id = workload.prepare(&mut Disk::at(start.path()), &points())?;
        let mut this =
            Self { program, workload, id, start, reached: BTreeMap::new(), words: Vec::new() };
        let place = this.copy()?;
        let ended = this.child(place.path(), None)?;
        if ended.aborted {
            return Err("nothing strikes, and it aborts".into());
        }
        let reached = ended
            .told
            .iter()
            .find_map(|line| if let Line::Reached(reached) = line { Some(reached) } else { None });
        let known = |(name, count): (&String, &u64)| Some((Failpoint::parse(name)?, *count));
        this.reached =
            reached.ok_or("it did not come to its end")?.iter().filter_map(known).collect();
        this.words = this.recovered(place.path(), ended)?;
        Ok(this)
    }

    /// The failpoints that the workload reaches.
    #[must_use]
    pub fn reached(&self) -> BTreeSet<Failpoint> {
        self.reached.keys().copied().collect()
    }

    /// Has every failpoint that it reaches end the process: the first time, and halfway.
    pub fn run(&self) -> Result<Tally, Failure> {
        let mut tally = Tally { points: self.reached.len(), strikes: 0 };
        for (point, count) in &self.reached {
            let mut nths = vec![0];
            nths.extend((*count > 1).then_some(count / 2));
            for nth in nths {
                let place = self.copy()?;
                let struck = self.strike(place.path(), *point, nth).map_err(|failure| {
                    let kept = place.keep();
                    let name = self.workload.name();
                    format!("{name}: {point} at call {nth}, kept in {}: {failure}", kept.display())
                })?;
                // How often a process comes by is its own affair, but it comes by once.
                if !struck && nth == 0 {
                    return Err(format!("{point} was not reached").into());
                }
                tally.strikes += usize::from(struck);
            }
        }
        Ok(tally)
    }

    fn strike(&self, place: &Path, point: Failpoint, nth: u64) -> Result<bool, Failure> {
        let ended = self.child(place, Some((point, nth)))?;
        let aborted = ended.aborted;
        let words = self.recovered(place, ended)?;
        if words != self.words {
            return Err(format!("the next round ended as {words:?}, not {:?}", self.words).into());
        }
        Ok(aborted)
    }

    /// Opens what the process left, goes on with it, and holds it against what the process told.
    fn recovered(&self, place: &Path, ended: Ended) -> Result<Vec<&'static str>, Failure> {
        let list = List::default();
        for line in ended.told {
            if let Line::Given(given) = line {
                list.add(given);
            }
        }
        let mut world = Disk::at(place);
        let words = recover(&mut world, &list, (self.id, self.workload), &points())?;
        judge(&mut world, &list, self.id, Engine::Sane)?;
        Ok(words)
    }

    fn child(&self, place: &Path, strike: Option<(Failpoint, u64)>) -> Result<Ended, Failure> {
        let mut command = Command::new(&self.program);
        command.arg("abort").arg(place).arg(serde_json::to_string(&self.id)?);
        command.arg(self.workload.name());
        if let Some((point, nth)) = strike {
            command.arg(point.to_string()).arg(nth.to_string());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = command.spawn()?.wait_with_output()?;
        let mut told = Vec::new();
        for line in BufReader::new(output.stdout.as_slice()).lines() {
            // A line that an abort cut short was never given to anybody.
            told.extend(Line::parse(line?.as_bytes()));
        }
        match (output.status.signal(), output.status.success()) {
            (Some(SIGABRT), _) if strike.is_some() => Ok(Ended { aborted: true, told }),
            (None, true) => Ok(Ended { aborted: false, told }),
            _ => {
                let errors = String::from_utf8_lossy(&output.stderr);
                Err(format!("it ended by itself: {}: {errors}", output.status).into())
            }
        }
    }

    fn copy(&self) -> Result<TempDir, Failure> {
        let place = tempfile::tempdir()?;
        copy(self.start.path(), place.path())?;
        Ok(place)
    }
}

/// The process that is ended: opens, does the workload, closes, and tells what was reached.
pub fn live(mut arguments: impl Iterator<Item = String>) -> Result<(), Failure> {
    let mut next = || arguments.next().ok_or("usage: abort DIRECTORY ID WORKLOAD [FAILPOINT NTH]");
    let (directory, id) = (PathBuf::from(next()?), serde_json::from_str(&next()?)?);
    let workload = Workload::parse(&next()?).ok_or("no such workload")?;
    let points = points();
    if let Ok(name) = next() {
        let point = Failpoint::parse(&name).ok_or("no such failpoint")?;
        points.arm(point, next()?.parse()?, Action::Abort, false);
    }
    let pipe = Arc::new(Pipe::default());
    let teller = Arc::clone(&pipe);
    Disk::at(&directory).live(async |seams| {
        let note = move |given| teller.tell(&Line::Given(given));
        let ear = Ear::new(&seams, LIMIT, note);
        if !work(&seams, &points, &ear, (id, workload)).await? {
            return Err("it does not open".into());
        }
        ear.check()
    })?;
    let reached = points.reached().into_iter();
    pipe.tell(&Line::Reached(reached.map(|(point, count)| (point.to_string(), count)).collect()));
    Ok(())
}

/// Failpoints that never stall, so that no clock need be moved.
fn points() -> Failpoints {
    Failpoints::new(TestClock::new())
}

const LIMIT: Duration = Duration::from_secs(60);
const SIGABRT: i32 = 6;
