//! The process dies at any moment.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use custody_core::seam::{Batch, Position, Record, Store};
use custody_store::SqliteStore;
use pollster::block_on;

use crate::support::{Folder, key, other_process, record, role};

const ROUNDS: u64 = 24;
/// What a batch of the writing process has, for its number.
const EVENTS_A_BATCH: u64 = 3;
const RECORDS_A_BATCH: u64 = 20;

#[test]
#[cfg(unix)]
fn a_process_killed_in_the_middle_of_commits_leaves_whole_batches() {
    if let Some(path) = role() {
        write_for_ever(&path);
    }
    let folder = Folder::new();
    drop(folder.open());
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        let test = "crash::a_process_killed_in_the_middle_of_commits_leaves_whole_batches";
        let mut command = other_process(test, &folder.file(), "");
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        // Some die while they open, some between two commits, most inside one.
        let commits = if round % 6 == 0 { 0 } else { usize::try_from(round * 5).unwrap() };
        let pause = Duration::from_micros(round * 337 % 4_000);
        acknowledged = kill_after(child, commits, pause).unwrap_or(acknowledged);
        let store = folder.open();
        let head = block_on(store.head()).unwrap().value();
        let may = [acknowledged, acknowledged + EVENTS_A_BATCH];
        assert!(may.contains(&head), "round {round}: {acknowledged} acknowledged, head {head}");
        assert_whole(&store, head, round);
        acknowledged = head;
    }
    assert!(
        acknowledged > ROUNDS * EVENTS_A_BATCH,
        "the other process wrote {acknowledged} events"
    );
}

/// The other process: commits until it is killed, and tells each head that it was given.
fn write_for_ever(path: &Path) -> ! {
    let store = SqliteStore::open(path).unwrap();
    let mut head = block_on(store.head()).unwrap();
    let mut out = std::io::stdout();
    loop {
        head = block_on(store.commit(head, batch(head.value() / EVENTS_A_BATCH))).unwrap();
        writeln!(out, "head {head}").unwrap();
        out.flush().unwrap();
    }
}

fn batch(number: u64) -> Batch {
    let order = |index| record(&format!("order/{number:08}/{index:02}"), vec![b'v'; 700]);
    Batch {
        inserts: (0..RECORDS_A_BATCH).map(order).collect(),
        puts: vec![record("last", number.to_be_bytes())],
        events: (0..EVENTS_A_BATCH).map(|index| event(number * EVENTS_A_BATCH + index)).collect(),
    }
}

fn event(position: u64) -> Vec<u8> {
    format!("event {position} {}", "e".repeat(700)).into_bytes()
}

/// Kills `child` after it has told of `commits` commits; returns the last head that it told.
fn kill_after(mut child: Child, commits: usize, pause: Duration) -> Option<u64> {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let head = |line: &String| line.rsplit_once("head ").map(|(_, head)| head.parse().unwrap());
    let mut last = lines.by_ref().filter_map(|line| head(&line)).take(commits).last();
    std::thread::sleep(pause);
    child.kill().unwrap();
    child.wait().unwrap();
    // What it told before it died, and nobody had read yet.
    last = lines.filter_map(|line| head(&line)).last().or(last);
    last
}

fn assert_whole(store: &SqliteStore, head: u64, round: u64) {
    assert_eq!(head % EVENTS_A_BATCH, 0, "round {round}: half a batch of events");
    let batches = head / EVENTS_A_BATCH;
    let (mut position, mut records) = (Position::START, 0);
    while position.value() < head {
        let found = block_on(store.events(position, 1_000)).unwrap();
        for found in &found {
            assert_eq!(found.bytes, event(found.position.value()), "round {round}");
        }
        position = position.plus(found.len() as u64);
    }
    let mut after = None;
    loop {
        let found: Vec<Record> =
            block_on(store.scan(&key("order/"), after.as_ref(), 1_000)).unwrap();
        let Some(last) = found.last() else { break };
        after = Some(last.key.clone());
        records += found.len() as u64;
    }
    assert_eq!(records, batches * RECORDS_A_BATCH, "round {round}: half a batch of records");
    let last = block_on(store.get(&key("last"))).unwrap();
    let expected = batches.checked_sub(1).map(|last| last.to_be_bytes().to_vec());
    assert_eq!(last.map(|last| last.value), expected, "round {round}");
}
