//! Somebody has the files, but not the log key.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Answer, ETHER, House, Verifier, copy_folder, released};

#[test]
fn no_flipped_byte_of_a_log_is_believed() {
    let house = small_house();
    let log = house.export("log");
    let files = files(&log);
    let kinds = ["checkpoint", "tile/0", "tile/entries", "documents"];
    for kind in kinds {
        assert!(files.iter().any(|file| file.starts_with(log.join(kind))), "{kind}");
    }
    let flips: Vec<(PathBuf, usize)> = files
        .iter()
        .flat_map(|file| {
            let inside = file.strip_prefix(&log).unwrap().to_owned();
            let length = fs::metadata(file).unwrap().len() as usize;
            // A document is hashed as a whole; its bytes are alike.
            let step = if inside.starts_with("documents") { 7 } else { 1 };
            let places = (0..length).step_by(step).chain([length - 1]);
            places.map(move |place| (inside.clone(), place))
        })
        .collect();
    let halves: Vec<_> = flips.chunks(flips.len().div_ceil(2)).collect();
    std::thread::scope(|scope| {
        for (number, half) in halves.iter().enumerate() {
            let copy = house.folder.path().join(format!("copy-{number}"));
            copy_folder(&log, &copy);
            let verifier = verifier(&house, &copy).flag("--no-replay");
            scope.spawn(move || {
                verifier.run().assert_verified();
                for (file, place) in *half {
                    assert_flip_is_refused(&verifier, &copy, file, *place);
                }
            });
        }
    });
    println!("{} bytes were flipped", flips.len());
}

#[test]
fn a_changed_entry_is_named() {
    let house = small_house();
    let log = house.export("log");
    let file = entries_file(&log);
    let good = fs::read(&file).unwrap();
    let events = house.events();
    let mut start = 0;
    for (index, event) in events.iter().enumerate() {
        let end = start + 2 + event.len();
        for place in [start + 2, start + 2 + event.len() / 2, end - 1] {
            let mut bad = good.clone();
            bad[place] ^= 1;
            fs::write(&file, bad).unwrap();
            let answer = verifier(&house, &log).run();
            answer.assert_failed_at(index as u64, "is not the one in the tree");
        }
        start = end;
    }
    assert_eq!(start, good.len());
}

#[test]
fn a_changed_document_is_named_with_the_entry_that_needs_it() {
    let house = small_house();
    let log = house.export("log");
    let event: serde_json::Value = serde_json::from_slice(&house.events()[1]).unwrap();
    let name = event["event"]["order_submitted"]["document"]["sha256"].as_str().unwrap();
    fs::write(log.join("documents").join(name), b"{}").unwrap();
    let answer = verifier(&house, &log).run();
    answer.assert_failed_at(1, &format!("document {name} has other content"));
}

#[test]
fn a_document_that_no_entry_names_must_still_be_what_its_name_says() {
    let house = small_house();
    let log = house.export("log");
    let name = "00".repeat(32);
    fs::write(log.join("documents").join(&name), b"{}").unwrap();
    verifier(&house, &log).run().assert_failed(&format!("document {name} has other content"));
}

#[test]
fn every_file_that_is_cut_short_or_goes_on_is_refused() {
    let house = small_house();
    let log = house.export("log");
    for file in files(&log) {
        let good = fs::read(&file).unwrap();
        fs::write(&file, &good[..good.len() - 1]).unwrap();
        refused(&verifier(&house, &log).run(), &file);
        fs::write(&file, [&good[..], b"\n"].concat()).unwrap();
        refused(&verifier(&house, &log).run(), &file);
        fs::write(&file, &good).unwrap();
    }
    verifier(&house, &log).run().assert_verified();
}

#[test]
fn every_file_that_is_missing_is_missed() {
    let house = small_house();
    let log = house.export("log");
    for file in files(&log) {
        let good = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        refused(&verifier(&house, &log).run(), &file);
        fs::write(&file, &good).unwrap();
    }
    verifier(&house, &log).run().assert_verified();
}

#[cfg(unix)]
#[test]
fn a_link_in_place_of_a_file_is_not_followed() {
    let house = small_house();
    let log = house.export("log");
    for file in files(&log) {
        let elsewhere = house.folder.path().join("elsewhere");
        fs::rename(&file, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        refused(&verifier(&house, &log).run(), &file);
        fs::remove_file(&file).unwrap();
        fs::rename(&elsewhere, &file).unwrap();
    }
    verifier(&house, &log).run().assert_verified();
}

#[test]
fn files_that_are_no_part_of_the_log_are_listed_and_harmless() {
    let house = small_house();
    let log = house.export("log");
    fs::write(log.join("notes\u{1b}[2J.txt"), b"hello").unwrap();
    let answer = verifier(&house, &log).run();
    answer.assert_verified();
    assert!(answer.line("documents").ends_with("1 files are no part of the log"), "{answer:?}");
    assert!(answer.text.contains("notes"), "{answer:?}");
    assert!(!answer.text.contains('\u{1b}'), "{answer:?}");
}

fn assert_flip_is_refused(verifier: &Verifier, log: &Path, file: &Path, place: usize) {
    let path = log.join(file);
    let good = fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[place] ^= 1 << (place % 8);
    fs::write(&path, bad).unwrap();
    let answer = verifier.run();
    assert_eq!(answer.code, 1, "{} byte {place}: {answer:?}", file.display());
    let is_entry = file.starts_with("tile");
    let named = answer.result().starts_with("result: FAILED at entry ");
    assert!(named || !is_entry, "{} byte {place}: {answer:?}", file.display());
    fs::write(&path, good).unwrap();
}

fn refused(answer: &Answer, file: &Path) {
    assert_eq!(answer.code, 1, "{}: {answer:?}", file.display());
    assert!(answer.result().starts_with("result: FAILED"), "{}: {answer:?}", file.display());
}

fn small_house() -> House {
    let house = House::new(10_000);
    house.wallet("hot-1");
    house.know_payee();
    released(&house.transfer("hot-1", ETHER / 2));
    house
}

fn verifier(house: &House, log: &Path) -> Verifier {
    Verifier::new(log, &house.custodian.id(), &house.verifier_key(0))
}

fn entries_file(log: &Path) -> PathBuf {
    let folder = log.join("tile/entries/000.p");
    fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
