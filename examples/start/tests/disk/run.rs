//! Counts the calls of a workload, has each of them go wrong, and checks what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::after;
use crate::house::House;
use crate::life::{self, CLOSING, Case, OPENED, SAID, Work};
use crate::power::Journal;
use crate::shim::{Fault, JOURNAL, Order, Shim};

/// A workload whose calls are known.
pub(crate) struct Run {
    test: &'static str,
    work: Work,
    folder: TempDir,
    shim: Shim,
    calls: Vec<Call>,
    _turn: MutexGuard<'static, ()>,
}

/// One test of a process at a time: a process that another thread is about to start has a moment's
/// hold on every lock on a file.
static TURN: Mutex<()> = Mutex::new(());

/// One call that changes a file.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// `write`, `sync`, and so on.
    pub(crate) kind: String,
    /// The path below the case's folder.
    pub(crate) path: String,
    pub(crate) phase: Phase,
    /// Where it belongs to, of [`PLACES`].
    place: usize,
    /// The number of the call among those of its place: one thread makes them all, so that they
    /// have the same numbers each time.
    number: usize,
}

/// How far a life was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Opening,
    Working,
    Closing,
}

/// What a process said about one case, and what the shim saw of it.
#[derive(Default)]
struct Heard {
    lines: Vec<String>,
    calls: Vec<(bool, Call)>,
}

impl Run {
    /// Counts the calls of `work`; nothing if this is the process under the shim, which has done
    /// its work then. `test` is the name of the calling test.
    pub(crate) fn of(test: &'static str, work: Work) -> Option<Self> {
        if let Some(shim) = Shim::of_this_process() {
            life::live(&shim);
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = made.unwrap();
        let root = folder.path().canonicalize().unwrap();
        let shim = Shim {
            directory: root.join("watched"),
            control: root.join("control"),
            trace: root.join("trace"),
        };
        for name in ["watched", "image"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        run(async {
            let house = House::open(&life::image_of(&shim), 0, Duration::from_secs(10)).await;
            let house = house.unwrap();
            house.furnish().await.unwrap();
            house.custodian.close().await.unwrap();
        });
        let mut run = Self { test, work, folder, shim, calls: Vec::new(), _turn: turn };
        let heard = run.process(&[run.case("count", &Order::counting())], None);
        run.calls = heard["count"].calls.iter().map(|(_, call)| call.clone()).collect();
        run.report_calls();
        Some(run)
    }

    /// Lets each call go wrong in its turn, if `is_meant`, in a house of its own.
    pub(crate) fn each(&self, fault: Fault, goes_on: bool, is_meant: impl Fn(&Call) -> bool) {
        let meant: Vec<_> = self.calls.iter().filter(|call| is_meant(call)).collect();
        let cases = meant.iter().enumerate().map(|(index, call)| {
            let name = format!("{fault:?}{index}").to_lowercase();
            let order = call.order(fault, goes_on, &name);
            (self.case(&name, &order), fault)
        });
        let mut left: Vec<_> = cases.collect();
        assert!(left.len() >= 10, "too few calls to tell");
        let (mut cases, mut struck, mut told) = (0, 0, BTreeMap::<&str, u32>::new());
        while !left.is_empty() {
            let some: Vec<_> = left.iter().map(|(case, _)| case.clone()).collect();
            let mut heard = self.process(&some, None);
            let lived = some.iter().take_while(|case| heard.contains_key(&case.name)).count();
            assert!(lived > 0, "the process did not begin: {:?}", some[0]);
            for (case, fault) in left.drain(..lived) {
                let heard = heard.remove(&case.name).unwrap();
                cases += 1;
                struck += u32::from(self.judge(&case, fault, &heard));
                *told.entry(heard.in_short()).or_default() += 1;
            }
        }
        let kind = if goes_on { "from then on" } else { "once" };
        println!(
            "figures: {:?}, {fault:?} {kind}: {cases} cases, {struck} struck; {told:?}",
            self.work
        );
        assert!(struck * 10 >= cases * 9, "the calls were others than those that were counted");
    }

    /// Takes the power away after each call: what was not synced is gone, or some of it is.
    pub(crate) fn each_without_power(&self) {
        let lost = self.without_power(None, &[None, Some(1), Some(2)]);
        assert!(lost.is_empty(), "see above: {lost:#?}");
    }

    /// The same on a disk that lies about syncs of files whose names end so, which must be found.
    pub(crate) fn each_on_a_lying_disk(&self, deaf_to: &'static str) {
        let lost = self.without_power(Some(deaf_to), &[None]);
        assert!(!lost.is_empty(), "syncs of {deaf_to} are for nothing, or this test is");
    }

    /// The states that do not pass.
    fn without_power(&self, deaf_to: Option<&'static str>, seeds: &[Option<u64>]) -> Vec<String> {
        const CASE: &str = "power";
        let written = self.folder.path().join("journal");
        let cases = [self.case(CASE, &Order::counting())];
        let heard = self.process(&cases, Some(&written)).remove(CASE).unwrap();
        let image = (self.work == Work::Pay).then(|| life::image_of(&self.shim));
        let root = self.shim.directory.join(CASE);
        let mut journal = Journal::read(&written, &root, image.as_deref(), deaf_to);
        let (mut points, mut lost) = (0_usize, Vec::new());
        while journal.step() {
            points += 1;
            let lines = heard.lines.get(..journal.said()).unwrap();
            for seed in seeds {
                let seed = seed.map(|seed| seed + points as u64 * 1_000);
                let root = self.folder.path().join("left");
                fs::create_dir(&root).unwrap();
                journal.leave(&root, seed);
                let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    run(after::check(&root, self.work, lines));
                }));
                if checked.is_err() {
                    lost.push(format!("{seed:?}, after {}: {lines:?}", journal.last()));
                }
                fs::remove_dir_all(root).unwrap();
            }
        }
        let (states, failed) = (points * seeds.len(), lost.len());
        println!(
            "figures: {:?}, power lost after each of {points} calls, deaf to {deaf_to:?}: \
             {states} states, {failed} do not pass",
            self.work
        );
        // The calls of this very life: what is written behind the callers may be written at once, so
        // that another life has a few more or fewer.
        let calls = heard.calls.len();
        assert!(calls >= 40 && points >= calls, "{points} calls of {calls}");
        assert_eq!(journal.said(), heard.lines.len() - 1);
        lost
    }

    fn case(&self, name: &str, order: &Order) -> Case {
        Case { name: name.to_owned(), work: self.work, order: order.to_string() }
    }

    /// Checks one case; whether the fault struck.
    fn judge(&self, case: &Case, fault: Fault, heard: &Heard) -> bool {
        let root = self.shim.directory.join(&case.name);
        let place = format!("{case:?}: {:#?}", heard.lines);
        let struck = heard.calls.iter().find(|(struck, _)| *struck).map(|(_, call)| call);
        let ended = heard.lines.iter().any(|line| line == "end");
        let dies = matches!(fault, Fault::Abort | Fault::Torn);
        assert!(!heard.lines.iter().any(|line| line == "hangs"), "{place}");
        assert!(ended != (dies && struck.is_some()), "{place}");
        let failed = heard.lines.iter().any(|line| line.starts_with("refused") || is_error(line));
        if let Some(call) = struck.filter(|_| !dies) {
            let in_log = call.path.ends_with("-wal") && ["write", "sync"].contains(&&*call.kind);
            if in_log && call.phase != Phase::Closing {
                assert!(failed, "nobody heard of {call:?}: {place}");
            }
            let fails = in_log && call.kind == "sync" && fault != Fault::Hang;
            if fails && call.phase == Phase::Working {
                let refused = heard.lines.iter().any(|line| line == "no head Unavailable");
                assert!(refused, "a read after a sync that failed: {place}");
            }
        }
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            run(after::check(&root, self.work, &heard.lines));
        }));
        assert!(checked.is_ok(), "see above: {struck:?} {place}");
        fs::remove_dir_all(root).unwrap();
        struck.is_some()
    }

    /// Has a process live through the cases, as far as it gets.
    fn process(&self, cases: &[Case], journal: Option<&Path>) -> BTreeMap<String, Heard> {
        fs::write(life::list_of(&self.shim), cases.iter().map(Case::to_line).collect::<String>())
            .unwrap();
        fs::write(&self.shim.control, "").unwrap();
        drop(fs::remove_file(&self.shim.trace));
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([self.test, "--exact", "--nocapture", "--test-threads", "1"]);
        command.env_remove("RUST_LOG").env_remove("CUSTODY_SECRET_TAP");
        self.shim.over(&mut command);
        command.envs(journal.map(|path| (JOURNAL, path)));
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        let code = output.status.code();
        if !matches!(code, Some(0 | 137)) {
            panic!("{code:?}: {told} {}", String::from_utf8_lossy(&output.stderr));
        }
        // Nobody was told a line that a dying process had not ended.
        let whole = told.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut heard = BTreeMap::<String, Heard>::new();
        for line in whole.lines().filter_map(|line| line.strip_prefix('@')) {
            let (name, text) = line.split_once('\t').unwrap();
            heard.entry(name.to_owned()).or_default().lines.push(text.to_owned());
        }
        self.trace(&mut heard);
        heard
    }

    /// Adds what the shim saw.
    fn trace(&self, heard: &mut BTreeMap<String, Heard>) {
        let watched = format!("{}/", self.shim.directory.display());
        let trace = fs::read_to_string(&self.shim.trace).unwrap_or_default();
        let mut phases = BTreeMap::<String, Phase>::new();
        let mut numbers = BTreeMap::<(String, usize), usize>::new();
        for line in trace.lines() {
            let [struck, kind, path] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            let path = path.strip_prefix(&watched).unwrap_or_else(|| panic!("{line}"));
            let (name, path) = path.split_once('/').unwrap_or((path, ""));
            let phase = phases.entry(name.to_owned()).or_insert(Phase::Opening);
            match path {
                OPENED => *phase = Phase::Working,
                CLOSING => *phase = Phase::Closing,
                _ => {}
            }
            if [OPENED, CLOSING].contains(&path) || path.starts_with(SAID) {
                continue;
            }
            let place = PLACES.iter().position(|place| place.holds(path)).unwrap();
            let number = numbers.entry((name.to_owned(), place)).or_default();
            *number += 1;
            let (kind, path) = (kind.to_owned(), path.to_owned());
            let call = Call { kind, path, phase: *phase, place, number: *number };
            heard.entry(name.to_owned()).or_default().calls.push((struck == "!", call));
        }
    }

    fn report_calls(&self) {
        let mut kinds = BTreeMap::<(String, &str), u32>::new();
        for call in &self.calls {
            let place = PLACES[call.place].part;
            *kinds.entry((call.kind.clone(), place)).or_default() += 1;
        }
        println!("figures: {:?}: {} calls: {kinds:?}", self.work, self.calls.len());
        let distinct: BTreeSet<_> =
            self.calls.iter().map(|call| (call.place, call.number)).collect();
        assert!(distinct.len() >= 40 && distinct.len() == self.calls.len(), "{kinds:?}");
    }
}

impl Heard {
    /// The kinds of answers, for the figures.
    fn in_short(&self) -> &'static str {
        let said = |what: fn(&str) -> bool| self.lines.iter().any(|line| what(line));
        match () {
            () if !said(|line| line == "end") => "the process ended",
            () if said(|line| line.starts_with("refused")) => "it did not open",
            () if said(is_error) => "callers heard errors",
            () => "all went well",
        }
    }
}

impl Call {
    /// The number of the call among those of its place.
    pub(crate) const fn number(&self) -> usize {
        self.number
    }

    fn order(&self, fault: Fault, goes_on: bool, case: &str) -> Order {
        let part = format!("/{case}{}", PLACES[self.place].part);
        Order { fault, goes_on, kind: "any", number: self.number, part }
    }
}

/// Files whose calls one thread makes, or several one after the other.
struct Place {
    /// What is in the path behind the case's folder, or all of it before a `$`.
    part: &'static str,
}

impl Place {
    fn holds(&self, path: &str) -> bool {
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        match self.part.strip_suffix('$') {
            Some(whole) => path == whole,
            None => path.starts_with(self.part),
        }
    }
}

fn is_error(line: &str) -> bool {
    let words: Vec<_> = line.split(' ').collect();
    let fine = ["released", "pending"];
    matches!(words[..], ["heard", _, answer, ..] if !fine.contains(&answer))
}

fn run(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

const PLACES: [Place; 5] = [
    Place { part: "/data/custody." },
    Place { part: "/data/log" },
    Place { part: "/elsewhere" },
    Place { part: "/data$" },
    Place { part: "$" },
];
