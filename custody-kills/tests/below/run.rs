//! Counts the calls of a workload, has some of them go wrong, and looks at what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use custody_core::id::CustodianId;
use custody_kills::Failure;
use custody_kills::failpoints::disk::{Disk, copy};
use custody_kills::failpoints::judge::{Engine, List, judge, recover};
use custody_kills::failpoints::workload::Workload;
use custody_kills::line::Line;
use custody_testkit::failpoint::Failpoints;
use custody_testkit::runtime::TestClock;
use tempfile::TempDir;

use crate::life::{Call, Life, Phase};
use crate::shim::{Fault, Order, Shim};

/// A workload over a disk that fails when it is told to.
pub(crate) struct Below {
    workload: Workload,
    id: CustodianId,
    folder: TempDir,
    shim: Shim,
    /// The calls of a life in which nothing fails.
    calls: Vec<Call>,
    words: Vec<&'static str>,
    _turn: MutexGuard<'static, ()>,
}

/// One test of a process at a time: a process that another thread is about to start has a moment's
/// hold on every lock on a file.
static TURN: Mutex<()> = Mutex::new(());

/// Calls of one kind on some files. A failpoint is called by their name and their number, such as
/// `sqlite.sync.3`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) name: &'static str,
    /// The kind, as the shim calls it.
    pub(crate) kind: &'static str,
    /// What is in the paths.
    pub(crate) part: &'static str,
}

/// How much it took to have one call go wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    lives: u32,
    /// Whether it went wrong while callers were at work.
    at_work: bool,
}

impl Point {
    fn holds(&self, call: &Call) -> bool {
        call.kind == self.kind && call.path.contains(self.part)
    }

    /// What else can become of such a call. Only a write can be cut short; of another call, the
    /// process ends once it took effect.
    fn rare(&self) -> &'static [Fault] {
        if self.kind == "write" {
            &[Fault::Enospc, Fault::Short, Fault::Torn]
        } else {
            &[Fault::Enospc, Fault::Torn]
        }
    }
}

impl Below {
    /// Prepares the workload, and lets a process do it once without a fault.
    pub(crate) fn new(workload: Workload) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = made.unwrap();
        let root = folder.path().canonicalize().unwrap();
        let start = root.join(START);
        fs::create_dir(&start).unwrap();
        let id = workload.prepare(&mut Disk::at(&start), &points()).unwrap();
        let (directory, control, trace) =
            (root.join("watched"), root.join("control"), root.join("trace"));
        let shim = Shim { directory, control, trace };
        let (calls, words) = (Vec::new(), Vec::new());
        let mut this = Self { workload, id, folder, shim, calls, words, _turn: turn };
        let life = this.live(&Order::counting());
        assert!(life.ended_well(Fault::Count), "{}: {}", workload.name(), life.end());
        this.words = this.recovered(life.lines).unwrap();
        this.calls = life.calls;
        this
    }

    /// Has the chosen calls go wrong, each in a life of its own.
    pub(crate) fn run(&self) {
        let (mut strikes, mut lives, mut at_work) = (0, 1, BTreeMap::<String, u32>::new());
        for point in POINTS {
            for (number, fault) in self.strikes(point) {
                let tally = self.strike_near(&point, number, fault);
                strikes += 1;
                lives += tally.lives;
                *at_work.entry(format!("{fault:?}")).or_default() += u32::from(tally.at_work);
            }
        }
        let counts: BTreeMap<_, _> =
            POINTS.iter().map(|point| (point.name, self.count(*point))).collect();
        println!(
            "figures: below SQLite: {}: {strikes} strikes, of them while callers were at work: \
             {at_work:?}, {lives} lives; calls: {counts:?}",
            self.workload.name()
        );
        assert_eq!(at_work.len(), 6, "a kind of fault is missing");
        let missed: Vec<_> = at_work.iter().filter(|(_, count)| **count == 0).collect();
        assert!(missed.is_empty(), "not while callers were at work: {missed:?}");
        let all: u32 = at_work.values().sum();
        assert!(all >= 20, "only {all} calls went wrong while callers were at work");
    }

    /// Has a call go wrong. How many calls a life makes is its own affair: one that makes fewer is
    /// followed by another, in which an earlier call goes wrong.
    pub(crate) fn strike_near(&self, point: &Point, mut number: usize, fault: Fault) -> Tally {
        for lives in 1..=LIVES_MAX {
            let life = self.strike(*point, number, fault);
            if let Some(call) = life.struck() {
                return Tally { lives, at_work: call.phase == Phase::Working };
            }
            let made = life.calls.iter().filter(|call| point.holds(call)).count();
            if made == 0 {
                break;
            }
            number = made - made / 8;
        }
        panic!("{}: {}.{number} is not met", self.workload.name(), point.name);
    }

    /// Which calls go wrong, and how. An error and the end of the process meet every chosen one;
    /// what disks do less often meets the marked ones, and every third of the others in turn.
    fn strikes(&self, point: Point) -> Vec<(usize, Fault)> {
        let (chosen, marked) = (self.chosen(point), self.marked(point));
        let mut strikes = Vec::new();
        for fault in [Fault::Abort, Fault::Eio] {
            strikes.extend(chosen.union(&marked).map(|number| (*number, fault)));
        }
        for (turn, fault) in (0..).zip(point.rare()) {
            let some: BTreeSet<_> = chosen.iter().skip(turn).step_by(3).copied().collect();
            strikes.extend(some.union(&marked).map(|number| (*number, *fault)));
        }
        strikes.extend(marked.iter().map(|number| (*number, Fault::Hang)));
        strikes
    }

    /// Every call; of the many writes, each after the same number of others, and the last.
    fn chosen(&self, point: Point) -> BTreeSet<usize> {
        let count = self.count(point);
        if point.kind != "write" {
            return (1..=count).collect();
        }
        let step = (count.saturating_sub(1) / (WRITES_MIN - 1)).max(1);
        let chosen: BTreeSet<_> = (1..=count).step_by(step).chain([count]).collect();
        assert!(chosen.len() >= WRITES_MIN, "only {count} calls are a {}", point.name);
        chosen
    }

    /// The first call, the first and the middle one while callers are at work, and the last. Some
    /// kinds have no call at work: SQLite truncates where it opens and closes, and in between only
    /// once its log is longer than any workload makes it.
    fn marked(&self, point: Point) -> BTreeSet<usize> {
        let of_point = self.calls.iter().filter(|call| point.holds(call));
        let numbered = || (1_usize..).zip(of_point.clone());
        let at_work = numbered().filter(|(_, call)| call.phase == Phase::Working);
        let at_work: Vec<_> = at_work.map(|(number, _)| number).collect();
        let last = numbered().map(|(number, _)| number).last();
        let last = last.unwrap_or_else(|| panic!("there is no {}", point.name));
        let middle = at_work.get(at_work.len() / 2).copied().unwrap_or(last.div_ceil(2));
        let first = at_work.first().copied().unwrap_or(1);
        BTreeSet::from([1, first, middle, last])
    }

    fn count(&self, point: Point) -> usize {
        self.calls.iter().filter(|call| point.holds(call)).count()
    }

    /// Has one call go wrong if it is made, and looks at what is left.
    fn strike(&self, point: Point, number: usize, fault: Fault) -> Life {
        let (kind, part) = (point.kind, point.part.to_owned());
        let mut life = self.live(&Order { fault, goes_on: false, kind, number, part });
        let name = format!("{}: {}.{number} {fault:?}", self.workload.name(), point.name);
        let told = format!("{name}: {:?}, {}", life.struck(), life.end());
        assert!(life.ended_well(fault), "{told}");
        match self.recovered(std::mem::take(&mut life.lines)) {
            Ok(words) => assert_eq!(words, self.words, "{told}"),
            Err(failure) => panic!("{told}: {failure:?}"),
        }
        life
    }

    /// Has a process do the workload in a copy of what it begins with.
    fn live(&self, order: &Order) -> Life {
        let place = &self.shim.directory;
        if place.exists() {
            fs::remove_dir_all(place).unwrap();
        }
        copy(&self.folder.path().join(START), place).unwrap();
        let limit = if order.fault == Fault::Count { PATIENT } else { IMPATIENT };
        let mut command = Command::new(env!("CARGO_BIN_EXE_custody-kills"));
        command.arg("below").arg(place).arg(serde_json::to_string(&self.id).unwrap());
        command.arg(self.workload.name()).arg(limit.as_millis().to_string());
        Life::of(command, &self.shim, order)
    }

    /// Opens what a life left, goes on with it, and holds it against what the life told.
    fn recovered(&self, lines: Vec<Line>) -> Result<Vec<&'static str>, Failure> {
        let list = List::default();
        for line in lines {
            if let Line::Given(given) = line {
                list.add(given);
            }
        }
        let mut world = Disk::at(&self.shim.directory);
        let words = recover(&mut world, &list, (self.id, self.workload), &points())?;
        judge(&mut world, &list, self.id, Engine::Sane)?;
        Ok(words)
    }
}

/// Failpoints that are never armed.
fn points() -> Failpoints {
    Failpoints::new(TestClock::new())
}

/// Where the store's files are.
pub(crate) const SQLITE: &str = "/custody.sqlite";

/// What goes wrong. SQLite renames nothing, the audit log does: it replaces its files as a whole.
const POINTS: [Point; 4] = [
    Point { name: "log.rename", kind: "rename", part: "/log/" },
    Point { name: "sqlite.sync", kind: "sync", part: SQLITE },
    Point { name: "sqlite.truncate", kind: "truncate", part: SQLITE },
    Point { name: "sqlite.write", kind: "write", part: SQLITE },
];

/// The folder with what each life begins with.
const START: &str = "start";
/// How many of the writes go wrong at least.
const WRITES_MIN: usize = 12;
/// Lives until a call is met that another life had.
const LIVES_MAX: u32 = 5;
/// How long a call of the store may take when nothing goes wrong, and when something does.
const PATIENT: Duration = Duration::from_secs(10);
const IMPATIENT: Duration = Duration::from_millis(150);
