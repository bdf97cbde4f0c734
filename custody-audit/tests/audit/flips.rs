//! A disk flips a bit, or loses the end of a file, in the directory of a closed log.
//!
//! **Invariant:** the log that is opened over it fails, or gives the same head and the same
//! receipts as before.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use custody_audit::storage::DirectoryTiles;
use custody_core::seam::{AuditError, AuditLog as _, Position, Store as _};
use pollster::block_on;
use tempfile::TempDir;

use crate::support::House;

#[test]
fn a_flipped_bit_in_each_byte_of_the_checkpoint_is_detected_or_changes_nothing() {
    let image = Image::new();
    let length = image.files[Path::new(CHECKPOINT)].len();
    let bits = (0..length * 8).map(|bit| (PathBuf::from(CHECKPOINT), Damage::Flip(bit)));
    image.suffer(bits);
}

#[test]
fn flipped_bits_in_the_tiles_are_detected_or_change_nothing() {
    let image = Image::new();
    let tiles: Vec<_> = image.tiles().collect();
    let mut seeded = Seeded(seed());
    let flips = tiles.iter().flat_map(|(path, length)| {
        let bytes: Vec<_> = if is_long() {
            (0..*length).collect()
        } else {
            (0..FLIPS / tiles.len()).map(|_| seeded.below(*length)).collect()
        };
        let flips = bytes.into_iter().map(|byte| Damage::Flip(byte * 8 + seeded.below(8)));
        flips.map(|flip| (path.clone(), flip)).collect::<Vec<_>>()
    });
    image.suffer(flips.collect::<Vec<_>>());
}

#[test]
fn files_cut_short_are_detected_or_change_nothing() {
    let image = Image::new();
    let length = image.files[Path::new(CHECKPOINT)].len();
    let lengths = (0..length).map(|length| (PathBuf::from(CHECKPOINT), Damage::Cut(length)));
    let mut seeded = Seeded(seed());
    let tiles = image.tiles().flat_map(|(path, length)| {
        let edges = [0, 1, 31, 32, 33, length / 2, length - 32, length - 1];
        let others: Vec<_> = if is_long() {
            (0..length).collect()
        } else {
            (0..40).map(|_| seeded.below(length)).collect()
        };
        let cut = move |length| (path.clone(), Damage::Cut(length));
        edges.into_iter().chain(others).map(cut).collect::<Vec<_>>()
    });
    image.suffer(lengths.chain(tiles));
}

/// One damage of a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// Only so many bytes are left.
    Cut(usize),
    /// This bit of the file is another.
    Flip(usize),
}

/// A closed log: its house, its files, and what it answers.
struct Image {
    house: House,
    files: BTreeMap<PathBuf, Vec<u8>>,
    answers: Vec<String>,
}

impl Image {
    fn new() -> Self {
        let (house, folder) = (House::new(EVENTS), in_memory());
        let answers = ask(&house, folder.path()).unwrap();
        let mut files = BTreeMap::new();
        collect(folder.path(), folder.path(), &mut files);
        assert_eq!(files.len(), 3, "{:?}", files.keys());
        Self { house, files, answers }
    }

    fn tiles(&self) -> impl Iterator<Item = (PathBuf, usize)> {
        let tiles = self.files.iter().filter(|(path, _)| path.starts_with("tile"));
        tiles.map(|(path, bytes)| (path.clone(), bytes.len()))
    }

    /// Does each damage to a copy, and asks.
    fn suffer(&self, damages: impl IntoIterator<Item = (PathBuf, Damage)>) {
        let (mut detected, mut harmless) = (0_u32, 0_u32);
        for (path, damage) in damages {
            let place = format!("seed {}, {}, {damage:?}", seed(), path.display());
            let asked = catch_unwind(AssertUnwindSafe(|| {
                let folder = self.damaged(&path, damage);
                ask(&self.house, folder.path())
            }));
            match asked.unwrap_or_else(|_| panic!("see above: {place}")) {
                Ok(answers) => {
                    assert_eq!(answers, self.answers, "another answer: {place}");
                    harmless += 1;
                }
                Err(_) => detected += 1,
            }
        }
        assert!(detected > 100, "too few to tell");
        report(detected, harmless);
    }

    fn damaged(&self, path: &Path, damage: Damage) -> TempDir {
        let folder = in_memory();
        for (name, bytes) in &self.files {
            let mut bytes = bytes.clone();
            if name == path {
                match damage {
                    Damage::Cut(length) => bytes.truncate(length),
                    Damage::Flip(bit) => bytes[bit / 8] ^= 1 << (bit % 8),
                }
            }
            let name = folder.path().join(name);
            fs::create_dir_all(name.parent().unwrap()).unwrap();
            fs::write(name, bytes).unwrap();
        }
        folder
    }
}

/// Opens the log and asks for its head, receipts from each of its tiles, and whether it still has
/// the events.
fn ask(house: &House, folder: &Path) -> Result<Vec<String>, AuditError> {
    let tiles = Arc::new(DirectoryTiles::open(folder)?);
    let log = house.open_on(tiles).map_err(|error| {
        AuditError::new(custody_core::seam::ErrorKind::Corrupt, "open").with_source(error)
    })?;
    block_on(async {
        let mut answers = vec![log.seal(Position::new(EVENTS)).await?.note];
        answers.extend(log.head().await?.map(|head| head.note));
        for index in [0, 255, 256, 511, 512, EVENTS - 1] {
            answers.push(log.receipt(Position::new(index)).await?.proof);
        }
        log.includes(&house.store.events(Position::START, u16::MAX).await.unwrap()).await?;
        Ok(answers)
    })
}

/// A folder in memory, if the machine has one: nothing here is about what is durable.
fn in_memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let bytes = fs::read(&path).unwrap();
            files.insert(path.strip_prefix(root).unwrap().to_owned(), bytes);
        }
    }
}

#[expect(clippy::print_stdout, reason = "the figures of a run")]
fn report(detected: u32, harmless: u32) {
    println!("seed {}: {detected} detected, {harmless} harmless", seed());
}

fn seed() -> u64 {
    std::env::var("CUSTODY_DISK_SEED").map_or(SEED, |text| text.parse().unwrap())
}

/// Whether every byte is asked for: that takes ten minutes.
fn is_long() -> bool {
    std::env::var_os("CUSTODY_LONG").is_some()
}

/// SplitMix64.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }
}

const SEED: u64 = 20_251_121;
const FLIPS: usize = 2_000;
const CHECKPOINT: &str = "checkpoint";
/// Two full tiles of leaves, and one of which no file is kept.
const EVENTS: u64 = 600;
