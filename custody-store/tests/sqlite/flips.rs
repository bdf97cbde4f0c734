//! A disk flips a bit, or loses the end of a file: in the file of a closed store, and in the
//! write-ahead log that a crash leaves.
//!
//! **Invariant:** damage to the file is an error of opening, reading or verifying, or changes no
//! answer. Damage to the write-ahead log may also take whole commits from its end: SQLite cannot
//! tell them from commits that a crash interrupted, but the log's signed head and its anchor can.
#![expect(clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod seeded;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use custody_core::seam::{Batch, Event, Position, Record, Store, StoreError};
use custody_store::SqliteStore;
use futures::future::try_join_all;
use pollster::block_on;
use tempfile::TempDir;

use crate::support::{key, record};
use seeded::{Seeded, seed};

#[test]
fn a_flipped_bit_in_a_header_of_the_file_is_detected_or_changes_nothing() {
    let image = Image::closed();
    let mut seeded = Seeded::new();
    let flips = image.headers().flat_map(|byte| {
        let one = seeded.bit();
        let is_meant = move |bit: &u32| byte < FILE_HEADER || is_long() || *bit == one;
        (0..8).filter(is_meant).map(move |bit| Damage::Flip(byte, bit))
    });
    image.suffer(Part::File, flips.collect::<Vec<_>>());
}

#[test]
fn a_flipped_bit_at_one_half_of_5000_places_of_the_file_is_detected_or_changes_nothing() {
    let image = Image::closed();
    image.suffer(Part::File, image.elsewhere().take(places(5_000)).step_by(2));
}

#[test]
fn a_flipped_bit_at_the_other_half_of_5000_places_is_detected_or_changes_nothing() {
    let image = Image::closed();
    image.suffer(Part::File, image.elsewhere().take(places(5_000)).skip(1).step_by(2));
}

#[test]
fn a_file_cut_short_in_a_header_is_detected_or_changes_nothing() {
    let image = Image::closed();
    let ends = (0..image.file.len()).step_by(PAGE).map(|start| start + PAGE - 1);
    image.suffer(Part::File, image.headers().chain(ends).map(Damage::Cut));
}

#[test]
fn a_file_cut_short_at_5000_places_is_detected_or_changes_nothing() {
    let image = Image::closed();
    image.suffer(Part::File, lengths(image.file.len(), 5_000).map(Damage::Cut));
}

#[test]
fn a_flipped_bit_in_a_header_of_the_log_is_detected_or_takes_whole_commits() {
    let image = Image::crashed();
    let frames = image.frames().flat_map(|start| start..start + FRAME_HEADER);
    let mut seeded = Seeded::new();
    let bytes = (0..LOG_HEADER).chain(frames);
    let flips = bytes.map(|byte| Damage::Flip(byte, seeded.bit()));
    image.suffer(Part::Log, flips.collect::<Vec<_>>());
}

/// At 5,000 seeded places.
#[test]
fn a_flipped_bit_elsewhere_in_the_log_is_detected_or_takes_whole_commits() {
    let image = Image::crashed();
    image.suffer(Part::Log, flips(image.log.len(), |_| true).take(places(5_000)));
}

/// To 5,000 lengths: each within or at the end of a header, the others seeded.
#[test]
fn a_log_cut_short_is_detected_or_takes_whole_commits() {
    let image = Image::crashed();
    let length = image.log.len();
    let frames = image.frames().flat_map(|start| start - 1..=start + FRAME_HEADER);
    let headers: Vec<_> = (0..=LOG_HEADER).chain(frames).collect();
    let others = lengths(length, 5_000_usize.saturating_sub(headers.len()));
    image.suffer(Part::Log, headers.into_iter().chain(others).map(Damage::Cut));
}

/// One damage.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// Only so many bytes are left.
    Cut(usize),
    /// This bit of this byte is another.
    Flip(usize, u32),
}

/// The file that is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    File,
    Log,
}

/// How a damage showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    /// The store does not open.
    Opening,
    /// It answers as after an earlier commit.
    Earlier,
    /// Every answer is the same.
    Nothing,
    /// A read fails.
    Reading,
    /// Only verifying fails.
    Verifying,
}

/// The bytes of a store, and what it answers after each commit.
struct Image {
    file: Vec<u8>,
    log: Vec<u8>,
    answers: Vec<Answers>,
}

/// All that a store can be asked.
#[derive(Clone, PartialEq, Eq, Default)]
struct Answers {
    head: u64,
    events: Vec<Event>,
    scans: Vec<Record>,
    gets: Vec<Option<Record>>,
}

impl Image {
    /// A store that was closed: no log is left.
    fn closed() -> Self {
        Self::of(120, true)
    }

    /// A store whose process died: twelve commits are in the log only.
    fn crashed() -> Self {
        Self::of(60, false)
    }

    fn of(batches: u64, is_closed: bool) -> Self {
        let folder = folder();
        let file = folder.path().join("custody.db");
        let store = SqliteStore::open(&file).unwrap();
        let mut answers = vec![ask(&store, batches).unwrap()];
        for number in 0..batches {
            if !is_closed && number + IN_LOG == batches {
                // Opening moves the log into the file.
                store.close();
                return Self::with_log(&file, batches, answers);
            }
            block_on(store.commit(Position::new(number), batch(number))).unwrap();
            answers.push(ask(&store, batches).unwrap());
        }
        store.close();
        assert!(!log_of(&file).exists(), "closing left a log");
        Self { file: fs::read(&file).unwrap(), log: Vec::new(), answers }
    }

    fn with_log(file: &Path, batches: u64, mut answers: Vec<Answers>) -> Self {
        let store = SqliteStore::open(file).unwrap();
        for number in batches - IN_LOG..batches {
            block_on(store.commit(Position::new(number), batch(number))).unwrap();
            answers.push(ask(&store, batches).unwrap());
        }
        let (file, log) = (fs::read(file).unwrap(), fs::read(log_of(file)).unwrap());
        assert!(log.len() > 12 * (FRAME_HEADER + PAGE), "the log has {} bytes", log.len());
        Self { file, log, answers }
    }

    fn part(&self, part: Part) -> &[u8] {
        match part {
            Part::File => &self.file,
            Part::Log => &self.log,
        }
    }

    /// The bytes of the file's header and of each page's: 12 of a page inside a tree, 8 of others.
    fn headers(&self) -> impl Iterator<Item = usize> {
        let pages = (0..self.file.len()).step_by(PAGE).flat_map(|page| {
            let start = if page == 0 { FILE_HEADER } else { page };
            start..start + if [2, 5].contains(&self.file[start]) { 12 } else { 8 }
        });
        (0..FILE_HEADER).chain(pages)
    }

    /// Bits outside the headers.
    fn elsewhere(&self) -> impl Iterator<Item = Damage> {
        let headers: BTreeSet<_> = self.headers().collect();
        flips(self.file.len(), move |byte| !headers.contains(&byte))
    }

    /// Where the frames of the log begin.
    fn frames(&self) -> impl Iterator<Item = usize> {
        (LOG_HEADER..self.log.len()).step_by(FRAME_HEADER + PAGE)
    }

    /// Does each damage to a copy, and looks how it shows.
    fn suffer(&self, part: Part, damages: impl IntoIterator<Item = Damage>) {
        count_panics();
        let folder = folder();
        let mut counts = BTreeMap::<Shown, usize>::new();
        for damage in damages {
            let place = format!("seed {}, {part:?}, {damage:?}", seed());
            let shown = catch_unwind(AssertUnwindSafe(|| self.show(&folder, part, damage, &place)));
            let shown = shown.unwrap_or_else(|_| panic!("see above: {place}"));
            assert_eq!(PANICS.load(Ordering::SeqCst), 0, "a thread of the store panicked: {place}");
            *counts.entry(shown).or_default() += 1;
        }
        assert!(counts.values().sum::<usize>() > 100, "too few to tell: {counts:?}");
        println_counts(part, &counts);
    }

    fn show(&self, folder: &TempDir, part: Part, damage: Damage, place: &str) -> Shown {
        let file = folder.path().join("custody.db");
        for stale in ["custody.db-wal", "custody.db-shm"] {
            drop(fs::remove_file(folder.path().join(stale)));
        }
        let mut damaged = self.part(part).to_vec();
        match damage {
            Damage::Cut(length) => damaged.truncate(length),
            Damage::Flip(byte, bit) => damaged[byte] ^= 1 << bit,
        }
        let (bytes, log) = match part {
            Part::File => (&damaged, &self.log),
            Part::Log => (&self.file, &damaged),
        };
        fs::write(&file, bytes).unwrap();
        if !self.log.is_empty() {
            fs::write(log_of(&file), log).unwrap();
        }
        let Ok(store) = SqliteStore::open(&file) else { return Shown::Opening };
        let batches = u64::try_from(self.answers.len() - 1).unwrap();
        let Ok(answers) = ask(&store, batches) else { return Shown::Reading };
        if self.answers.last() == Some(&answers) {
            return Shown::Nothing;
        }
        // A file without a byte is a new store; the log of it is what may lose commits.
        let may_be_earlier = part == Part::Log || matches!(damage, Damage::Cut(0));
        if may_be_earlier && self.answers.contains(&answers) {
            return Shown::Earlier;
        }
        let verified = block_on(store.verify());
        assert!(verified.is_err(), "another answer, and nobody says so: {place}");
        Shown::Verifying
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("head", &self.head).finish_non_exhaustive()
    }
}

/// Asks for everything, under the keys of so many batches and two that there are not.
fn ask(store: &SqliteStore, batches: u64) -> Result<Answers, StoreError> {
    block_on(async {
        let mut answers = Answers { head: store.head().await?.value(), ..Answers::default() };
        loop {
            let from = Position::new(answers.events.len() as u64);
            let page = store.events(from, 1_000).await?;
            if page.is_empty() {
                break;
            }
            answers.events.extend(page);
        }
        for prefix in ["document/", "handle/", "last", "order/", "request/"] {
            answers.scans.extend(store.scan(&key(prefix), None, u16::MAX).await?);
        }
        let records = (0..=batches).flat_map(|number| batch(number).inserts);
        let keys: Vec<_> =
            records.map(|record| record.key).chain([key("last"), key("nothing")]).collect();
        // All at once: a caller who waits for each has its thread woken for each.
        answers.gets = try_join_all(keys.iter().map(|key| store.get(key))).await?;
        Ok(answers)
    })
}

/// What a paid order leaves, about: four records, one of them replaced, and an event. Now and then
/// a record needs pages of its own.
fn batch(number: u64) -> Batch {
    let text = |length: u64| {
        let byte = |at: u64| u8::try_from((number * 31 + at * 7) % 251).unwrap();
        (0..length).map(byte).collect::<Vec<_>>()
    };
    let large = if number % 40 == 7 { 20_000 } else { 300 };
    Batch {
        inserts: vec![
            record(&format!("document/{number:08}/{:064x}", number * 77), text(large)),
            record(&format!("order/{number:08}"), text(40)),
            record(&format!("request/olivia/{:016x}", number.wrapping_mul(0x9e37_79b9)), text(90)),
        ],
        puts: vec![record("last", text(60))],
        events: vec![text(400 + number % 90)],
    }
}

/// A folder in memory, if the machine has one: nothing here is about what is durable.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn log_of(file: &Path) -> PathBuf {
    file.with_file_name("custody.db-wal")
}

/// Counts panics of the store's own threads, which the caller hears of as another error.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            if thread.name().is_some_and(|name| name.starts_with("custody-store-")) {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            before(panic);
        }));
    });
}

#[expect(clippy::print_stdout, reason = "the figures of a run")]
fn println_counts(part: Part, counts: &BTreeMap<Shown, usize>) {
    println!("seed {}, {part:?}: {counts:?}", seed());
}

/// Seeded bits of seeded bytes; of every byte, one after the other, in a long run.
fn flips(length: usize, wanted: impl Fn(usize) -> bool) -> impl Iterator<Item = Damage> {
    let (mut seeded, mut next) = (Seeded::new(), 0..length);
    let byte = move || {
        let byte = if is_long() { next.next()? } else { index(seeded.draw(), length) };
        Some(Damage::Flip(byte, seeded.bit()))
    };
    std::iter::from_fn(byte).filter(move |damage| match damage {
        Damage::Flip(byte, _) => wanted(*byte),
        Damage::Cut(_) => false,
    })
}

/// Seeded lengths; every one in a long run.
fn lengths(length: usize, count: usize) -> impl Iterator<Item = usize> {
    let (mut seeded, mut next) = (Seeded::new(), 0..length);
    let one = move || if is_long() { next.next() } else { Some(index(seeded.draw(), length)) };
    std::iter::from_fn(one).take(places(count))
}

/// How many places of so many are tried.
fn places(count: usize) -> usize {
    if is_long() { usize::MAX } else { count }
}

/// Whether every byte is asked for: that takes an hour.
fn is_long() -> bool {
    std::env::var_os("CUSTODY_LONG").is_some()
}

fn index(number: u64, length: usize) -> usize {
    usize::try_from(number % length as u64).unwrap()
}

static PANICS: AtomicUsize = AtomicUsize::new(0);

const PAGE: usize = 8_192;
const FILE_HEADER: usize = 100;
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
const IN_LOG: u64 = 12;
