//! Every committed input, through the body of its target; and that nothing about the targets is
//! missing anywhere.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic and print"
)]

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use custody_fuzz::corpus::{FILE_MAX, TOTAL_MAX, files};
use custody_fuzz::{TARGETS, Target};

/// The parts that took an input of the corpus, and how many inputs were refused.
fn run(target: &Target) -> (BTreeSet<&'static str>, usize) {
    let files = files(target).unwrap_or_else(|error| panic!("{}: {error}", target.name));
    let (mut taken, mut refused) = (BTreeSet::new(), 0);
    for (name, bytes) in files {
        // A panic does not show the input; this line does show where it lies.
        println!("{}/{name}", target.name);
        match (target.body)(&bytes) {
            Some(part) => drop(taken.insert(part)),
            None => refused += 1,
        }
    }
    (taken, refused)
}

/// Every input holds, every part takes one, and one is refused.
fn holds(target: &Target) {
    let (taken, refused) = run(target);
    let parts: BTreeSet<_> = (target.parts)().into_iter().collect();
    let missing: Vec<_> = parts.difference(&taken).collect();
    assert!(missing.is_empty(), "no input of the corpus is taken by {missing:?}");
    let unknown: Vec<_> = taken.difference(&parts).collect();
    assert!(unknown.is_empty(), "{unknown:?} take inputs and are not named");
    assert!(refused > 0, "no input of the corpus is refused");
}

/// Every input holds after some changes, always the same ones. What fails is kept.
fn holds_when_changed(target: &Target) {
    let files = files(target).unwrap();
    let rounds = if std::env::var_os("CUSTODY_LONG").is_some() { 200 } else { 6 };
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..rounds {
        for (name, bytes) in &files {
            let (_, other) = &files[random.below(files.len())];
            let changed = random.changed(bytes, other);
            let body = AssertUnwindSafe(|| (target.body)(&changed));
            if let Err(panic) = catch_unwind(body) {
                let kept = folder().join("targets/artifacts").join(target.name);
                fs::create_dir_all(&kept).unwrap();
                let kept = kept.join(format!("changed-{round}-{name}"));
                fs::write(&kept, &changed).unwrap();
                eprintln!("{} does not hold", kept.display());
                resume_unwind(panic);
            }
        }
    }
}

/// A xorshift generator.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit.max(1)
    }

    /// One to four changes of an input: bytes flipped, cut off, put in, repeated, taken from
    /// another input.
    fn changed(&mut self, bytes: &[u8], other: &[u8]) -> Vec<u8> {
        let mut changed = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(changed.len() + 1);
            let byte = u8::try_from(self.below(256)).unwrap();
            let length = self.below(16);
            let taken =
                |from: &[u8], at: usize| from.iter().skip(at).take(length).copied().collect();
            match self.below(7) {
                0 => changed.truncate(at),
                1 => changed.insert(at, byte),
                2 => {
                    let again: Vec<u8> = taken(&changed, at);
                    changed.splice(at..at, again);
                }
                3 => {
                    let place = self.below(other.len() + 1);
                    let foreign: Vec<u8> = taken(other, place);
                    changed.splice(at..at, foreign);
                }
                4 => {
                    let end = changed.len().min(at + length);
                    changed.drain(at..end);
                }
                5 => changed.iter_mut().skip(at).take(1).for_each(|old| *old = byte),
                _ => changed.iter_mut().skip(at).take(1).for_each(|old| *old ^= 1 << (byte % 8)),
            }
        }
        changed
    }
}

/// One test for each target, so that they run beside each other and fail by name.
macro_rules! targets {
    ($test:ident: $($name:ident)*) => {
        /// The targets that have a test here.
        const TESTED: &[&str] = &[$(stringify!($name)),*];

        #[test]
        fn no_target_is_without_a_test() {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, TESTED);
        }

        $(
            #[test]
            fn $name() {
                $test(custody_fuzz::target(stringify!($name)).unwrap());
            }
        )*
    };
}

mod every_input_holds_and_every_part_takes_one {
    use super::*;

    targets! { holds:
        abis
        archives
        bench_runs
        ceremonies
        cloud_trails
        custodian_sequences
        documents
        entries
        envelopes
        evm_payloads
        handles
        hsm_texts
        http_signers
        imports
        keys
        kms_handles
        kms_texts
        ledger_sequences
        log_directories
        mnemonics
        notes
        payloads
        policies
        proofs
        psbts
        receipts
        sealed_records
        slip39_shares
        solana_messages
        states
        texts
        tiles
        transactions
    }
}

mod every_input_holds_when_it_is_changed {
    use super::*;

    targets! { holds_when_changed:
        abis
        archives
        bench_runs
        ceremonies
        cloud_trails
        custodian_sequences
        documents
        entries
        envelopes
        evm_payloads
        handles
        hsm_texts
        http_signers
        imports
        keys
        kms_handles
        kms_texts
        ledger_sequences
        log_directories
        mnemonics
        notes
        payloads
        policies
        proofs
        psbts
        receipts
        sealed_records
        slip39_shares
        solana_messages
        states
        texts
        tiles
        transactions
    }
}

#[test]
fn a_body_takes_the_empty_input_and_short_ones() {
    for target in TARGETS {
        for length in 0..4_usize {
            for byte in [0, 1, 2, 0x7f, 0xff] {
                let _either = (target.body)(&vec![byte; length]);
            }
        }
    }
}

#[test]
fn a_body_answers_the_same_twice() {
    for target in TARGETS {
        for (name, bytes) in files(target).unwrap().into_iter().step_by(17) {
            let first = (target.body)(&bytes);
            assert_eq!((target.body)(&bytes), first, "{}/{name}", target.name);
        }
    }
}

#[test]
fn corpora_are_small() {
    let mut total = 0_u64;
    for target in TARGETS {
        for (name, bytes) in files(target).unwrap() {
            assert!(bytes.len() <= FILE_MAX, "{}/{name}: {} bytes", target.name, bytes.len());
            total += bytes.len() as u64;
        }
    }
    assert!(total <= TOTAL_MAX, "all corpora have {total} bytes");
}

#[test]
fn there_is_no_corpus_without_a_target() {
    let folders = names_in(&folder().join("corpus"));
    let names: BTreeSet<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(folders, names);
}

#[test]
fn each_target_is_a_program_that_does_nothing_else() {
    let sources = folder().join("targets/fuzz_targets");
    let names: BTreeSet<_> = TARGETS.iter().map(|target| format!("{}.rs", target.name)).collect();
    assert_eq!(names_in(&sources), names);
    let manifest = fs::read_to_string(folder().join("targets/Cargo.toml")).unwrap();
    for Target { name, .. } in TARGETS {
        let source = fs::read_to_string(sources.join(format!("{name}.rs"))).unwrap();
        let expected = format!(
            "#![no_main]\n\nlibfuzzer_sys::fuzz_target!(|bytes: &[u8]| {{\n    \
             custody_fuzz::{name}(bytes);\n}});\n"
        );
        assert_eq!(source, expected, "{name}");
        let program = format!("[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n");
        assert!(manifest.contains(&program), "the manifest has no program {name}");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
}

#[test]
fn the_readme_has_a_row_for_each_target() {
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let rows: Vec<_> = rows.map(|(name, _)| name).collect();
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(rows, names);
}

#[test]
fn targets_are_in_order_and_each_has_parts_and_seeds() {
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    assert!(names.is_sorted());
    for target in TARGETS {
        assert!(!(target.parts)().is_empty(), "{}", target.name);
        let seeds = (target.seeds)();
        let distinct: BTreeSet<_> = seeds.iter().map(|(name, _)| name).collect();
        assert!(distinct.len() == seeds.len() && seeds.len() > 4, "{}", target.name);
    }
    assert!(custody_fuzz::target("no-such-target").is_none());
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}
