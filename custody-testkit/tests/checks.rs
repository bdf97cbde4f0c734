//! Every check is in a suite, every suite's check exists, and the table of the README covers every
//! "must" of the seams.
#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    reason = "a tree that cannot be read fails the test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// How much of a sentence from its "must" on has to stand in the table.
const WORDS: usize = 5;

fn files(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            texts.extend(files(&entry.path()));
        } else {
            texts.push(fs::read_to_string(entry.path()).unwrap());
        }
    }
    texts
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names of the public functions in the folder `suite` whose one parameter is a fixture.
fn functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for text in files(&here().join("src/suite")) {
        for line in text.lines() {
            let rest = line.strip_prefix("pub async fn ").or_else(|| line.strip_prefix("pub fn "));
            names.extend(rest.map(|rest| rest[..rest.find('(').unwrap()].to_owned()));
        }
    }
    names
}

/// The names that the suites' macros list.
fn listed() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for text in files(&here().join("src/suite")) {
        // Some suites hand an attribute on to their tests.
        let text = text.replace("@tests [$($attribute)?] $make;", "@tests $make;");
        for part in text.split("@tests $make;").skip(1) {
            let list = &part[..part.find('}').unwrap()];
            names.extend(list.split_whitespace().map(str::to_owned));
        }
    }
    names
}

#[test]
fn every_check_is_in_a_suite_and_every_suites_check_exists() {
    let (functions, listed) = (functions(), listed());
    assert!(functions.len() > 120, "only {} checks were found", functions.len());
    let forgotten: Vec<_> = functions.difference(&listed).collect();
    assert!(forgotten.is_empty(), "in no suite: {forgotten:?}");
    let missing: Vec<_> = listed.difference(&functions).collect();
    assert!(missing.is_empty(), "no function: {missing:?}");
}

#[test]
fn the_checks_of_the_readme_exist() {
    let readme = fs::read_to_string(here().join("README.md")).unwrap();
    let (_, table) = readme.split_once("| seam | must | check |").unwrap();
    let listed = listed();
    let mut named = 0;
    for name in table.split('`').skip(1).step_by(2).filter(|name| name.contains('_')) {
        named += 1;
        let field = name.contains(':') || name == "public_key";
        assert!(field || listed.contains(name), "{name} is no check");
    }
    assert!(named > 30, "the table was not read");
}

#[test]
fn every_must_of_the_seams_stands_in_the_readme() {
    let readme = fs::read_to_string(here().join("README.md")).unwrap();
    let readme = words(&readme).join(" ");
    let mut musts = 0;
    for text in files(&here().join("../custody-core/src/seam")) {
        for sentence in sentences(&text) {
            let words = words(&sentence);
            let Some(at) = words.iter().position(|word| word == "must") else { continue };
            musts += 1;
            let phrase = words[at..words.len().min(at + WORDS)].join(" ");
            assert!(readme.contains(&phrase), "no check stands in the README for: {phrase}");
        }
    }
    assert!(musts >= 25, "only {musts} were found");
}

/// The sentences of the doc comments, cut at each further "must" too.
fn sentences(text: &str) -> Vec<String> {
    let mut docs = String::new();
    for line in text.lines() {
        match line.trim_start().strip_prefix("///") {
            Some(doc) => docs += &format!("{doc} "),
            None => docs += ". ",
        }
    }
    let cut =
        docs.replace(" must ", "\n must ").replace(". ", "\n").replace(['\n', ';', ':'], "\n");
    cut.lines().map(str::to_owned).collect()
}

/// The words of a text, without marks.
fn words(text: &str) -> Vec<String> {
    let plain = text.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', " ");
    plain.split_whitespace().map(str::to_lowercase).collect()
}
