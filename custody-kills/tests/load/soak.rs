use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use custody_kills::figures::Figures;
use custody_kills::house;
use custody_kills::line::Line;
use custody_testkit::oracle::{Given, Oracle};

/// How long, in seconds; how long payers rest, in milliseconds; and how many bytes of memory an
/// answer may cost beyond what comes back.
///
/// An id of an order that were kept for each answer would cost about 64 bytes. The usual plan sees
/// some 6,000 answers between its two looks, to which 64 bytes are 375 KiB: a hundred pages, where
/// the system counts pages up to a few dozen per processor late. Tables that double meanwhile would
/// be more than that, so the house is filled until the next doubling is out of reach of this plan.
struct Plan {
    seconds: u64,
    rest: u64,
    bytes_an_answer: u64,
}

const USUAL: Plan = Plan { seconds: 20, rest: 5, bytes_an_answer: 64 };
const LONG: Plan = Plan { seconds: 1_800, rest: 60, bytes_an_answer: 64 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_that_works_on_for_long_keeps_its_handles_its_threads_and_its_memory() {
    let plan = if std::env::var_os("CUSTODY_LONG").is_some() { LONG } else { USUAL };
    let directory = tempfile::tempdir().unwrap();
    let (house, list) = (directory.path().join("house"), directory.path().join("list.jsonl"));
    std::fs::create_dir(&house).unwrap();
    let figures = work_on(&plan, &house, &list);
    flat(&plan, &figures);

    let mut oracle = house::oracle(&house, house::promises().unwrap()).unwrap();
    let store = house::store(&house).unwrap();
    assert_eq!(oracle.follow(&store).await, Ok(()));
    hear(&mut oracle, &list);
    store.close();
    let report = oracle.report();
    println!("figures: soak: {} orders, {} events", report.orders, report.events);
    assert!(report.released > 0 && report.orders > report.released);
}

/// Lets a house work in a process of its own, keeps what callers were given, and returns what the
/// process used.
fn work_on(plan: &Plan, house: &Path, list: &Path) -> Vec<Figures> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_custody-kills"));
    command.arg("soak").arg(house).arg("7");
    command.arg(plan.seconds.to_string()).arg(plan.rest.to_string());
    // One arena: those of threads grow in steps that have nothing to do with the house.
    command.env("MALLOC_ARENA_MAX", "1");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut figures, mut closed) = (Vec::new(), false);
    let mut list = BufWriter::new(File::create(list).unwrap());
    for line in BufReader::new(child.stdout.take().unwrap()).split(b'\n') {
        match Line::parse(&line.unwrap()).unwrap() {
            Line::Figures(now) => figures.push(now),
            Line::Given(given) => {
                serde_json::to_writer(&mut list, &given).unwrap();
                list.write_all(b"\n").unwrap();
            }
            Line::Closed => closed = true,
            Line::Closing | Line::Open | Line::Reached(_) => {}
        }
    }
    list.flush().unwrap();
    let status = child.wait().unwrap();
    assert!(status.success() && closed, "{status}");
    figures
}

/// After a warm-up nothing grows: no handle, no thread, and no more memory than promised.
fn flat(plan: &Plan, figures: &[Figures]) {
    assert_eq!(figures.len(), 100);
    let (early, late) = (&figures[30..50], &figures[80..]);
    let least = |some: &[Figures], of: fn(&Figures) -> u64| some.iter().map(of).min().unwrap();
    let handles = |some| least(some, |figures| figures.handles);
    let threads = |some| least(some, |figures| figures.threads);
    let middle = |some: &[Figures]| {
        let mut sorted: Vec<_> = some.iter().map(|figures| figures.resident_kib).collect();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    };
    let (first, last) = (early[early.len() / 2], late[late.len() / 2]);
    let answers = last.answers - first.answers;
    let grown = middle(late).saturating_sub(middle(early)) * 1_024;
    println!(
        "figures: soak: {} s, {} answers; handles {} then {}, threads {} then {}, memory {} KiB then \
         {} KiB: {} bytes an answer; {} log lines refused",
        plan.seconds,
        last.answers,
        handles(early),
        handles(late),
        threads(early),
        threads(late),
        middle(early),
        middle(late),
        grown / answers,
        last.refused_writes,
    );
    assert!(answers > 500, "hardly anything was done: {answers} answers");
    assert!(last.refused_writes > first.refused_writes, "nothing was logged");
    // What is open for a moment, such as a file that is being written, is not counted.
    assert!(handles(late) <= handles(early), "handles are kept");
    assert!(threads(late) <= threads(early), "threads are kept");
    assert!(grown / answers <= plan.bytes_an_answer, "{} bytes an answer", grown / answers);
}

/// Holds everything that callers were given against the log.
fn hear(oracle: &mut Oracle, list: &Path) {
    let (mut given, mut frozen) = (Vec::new(), Vec::new());
    for line in BufReader::new(File::open(list).unwrap()).lines() {
        match serde_json::from_str::<Given>(&line.unwrap()).unwrap() {
            // A freeze holds at the end only if no later line of the list thaws it.
            Given::Frozen(scope) => frozen.push(scope),
            Given::Thawing(scope) => frozen.retain(|frozen| *frozen != scope),
            one @ (Given::Answer { .. } | Given::Head(_)) => given.push(one),
        }
        if given.len() == 1_000 {
            assert_eq!(oracle.hear(&std::mem::take(&mut given)), Ok(()));
        }
    }
    assert!(!frozen.is_empty(), "no freeze was to last");
    given.extend(frozen.into_iter().map(Given::Frozen));
    assert_eq!(oracle.hear(&given), Ok(()));
}
