//! Sets that the reference implementation made and we read, and the other way round. It is the
//! package `shamir-mnemonic` of PyPI, in the environment that `cargo xtask test` makes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use custody_testkit::runtime::TestEntropy;
use serde_json::{Value, json};

use crate::support::{Random, combined, scheme, split_words};

const SETS: usize = 400;

/// The reference implementation, running; it ends with this.
struct Reference {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Reference {
    fn start() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(python());
        command.arg(folder.join("tests/slip39/reference.py"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{}: {error}; `cargo xtask test` sets it up", python().display())
        });
        let questions = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, questions, answers }
    }

    /// Its answer; none if it refuses.
    fn ask(&mut self, question: &Value) -> Option<Value> {
        writeln!(self.questions.as_mut().unwrap(), "{question}").unwrap();
        let mut line = String::new();
        let length = self.answers.read_line(&mut line).unwrap();
        assert!(length > 0, "the reference implementation is gone");
        let mut said: Value = serde_json::from_str(&line).unwrap();
        let answer = said.get_mut("answer").map(Value::take);
        assert!(answer.is_some() || said["refused"] == "MnemonicError", "it says something else");
        answer
    }

    fn combine(&mut self, words: &[String], passphrase: &str) -> Option<String> {
        let answer = self.ask(&json!({"words": words, "passphrase": passphrase}))?;
        Some(answer.as_str().unwrap().to_owned())
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // It ends when there are no more questions.
        self.questions = None;
        drop(self.child.wait());
    }
}

fn python() -> PathBuf {
    std::env::var_os("CUSTODY_SLIP39_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/slip39/bin/python"),
        PathBuf::from,
    )
}

/// A set to make: everything about it is drawn.
struct Wanted {
    group_threshold: u8,
    groups: Vec<(u8, u8)>,
    secret: Vec<u8>,
    passphrase: String,
    is_extendable: bool,
    iteration_exponent: u8,
}

impl Wanted {
    fn draw(random: &mut Random) -> Self {
        let count = match random.below(8) {
            0..4 => 1,
            4..7 => random.between(2, 4),
            _ => random.between(5, 16),
        };
        let length = *[16, 16, 32, 32, 20, 18, 24, 64].get(random.below(8)).unwrap();
        let passphrase = random.below(30);
        Self {
            group_threshold: random.between(1, count),
            groups: (0..count).map(|_| random.group()).collect(),
            secret: (0..length).map(|_| random.between(0, 255)).collect(),
            passphrase: (0..passphrase).map(|_| char::from(random.between(32, 126))).collect(),
            is_extendable: random.below(2) == 1,
            iteration_exponent: random.between(0, 1),
        }
    }

    fn question(&self) -> Value {
        json!({
            "group_threshold": self.group_threshold,
            "groups": self.groups,
            "secret": hex::encode(&self.secret),
            "passphrase": self.passphrase,
            "extendable": self.is_extendable,
            "iteration_exponent": self.iteration_exponent,
        })
    }

    /// Just enough of the shares, drawn.
    fn choose(&self, words: &[Vec<String>], random: &mut Random) -> Vec<String> {
        let indices: Vec<_> = (0..words.len()).collect();
        let groups = random.choose(&indices, self.group_threshold.into());
        let chosen = groups.into_iter();
        chosen.flat_map(|group| random.choose(&words[group], self.groups[group].0.into())).collect()
    }

    /// What it is, for a message.
    fn shown(&self) -> String {
        let Self { group_threshold, groups, secret, .. } = self;
        let (extendable, exponent) = (self.is_extendable, self.iteration_exponent);
        let length = secret.len();
        format!("{group_threshold} of {groups:?}, {length} bytes, {extendable}, {exponent}")
    }
}

#[test]
#[ignore = "needs the reference implementation, in the environment that `cargo xtask test` makes"]
fn what_the_reference_implementation_splits_is_combined_here() {
    let mut reference = Reference::start();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for number in 0..SETS {
        let wanted = Wanted::draw(&mut random);
        let answer = reference.ask(&wanted.question()).unwrap();
        let words: Vec<Vec<String>> = serde_json::from_value(answer).unwrap();
        let chosen = wanted.choose(&words, &mut random);
        let combined = combined(&chosen, &wanted.passphrase);
        let is_right = combined == Ok(hex::encode(&wanted.secret));
        assert!(is_right, "set {number}: {}", wanted.shown());
    }
}

#[test]
#[ignore = "needs the reference implementation, in the environment that `cargo xtask test` makes"]
fn what_is_split_here_the_reference_implementation_combines() {
    let mut reference = Reference::start();
    let mut random = Random(0xd1b5_4a32_d192_ed03);
    for number in 0..SETS {
        let wanted = Wanted::draw(&mut random);
        let scheme = scheme(wanted.group_threshold, &wanted.groups);
        let scheme = scheme.iteration_exponent(wanted.iteration_exponent).unwrap();
        let scheme = scheme.extendable(wanted.is_extendable);
        let entropy = TestEntropy::seeded(u64::try_from(number).unwrap());
        let words = split_words(&wanted.secret, &wanted.passphrase, &scheme, &entropy);
        let chosen = wanted.choose(&words, &mut random);
        let combined = reference.combine(&chosen, &wanted.passphrase);
        assert!(combined == Some(hex::encode(&wanted.secret)), "set {number}: {}", wanted.shown());
    }
}

#[test]
#[ignore = "needs the reference implementation, in the environment that `cargo xtask test` makes"]
fn another_passphrase_gives_the_same_other_secret_as_the_reference_implementation() {
    let mut reference = Reference::start();
    let mut random = Random(0x94d0_49bb_1331_11eb);
    for number in 0..50 {
        let wanted = Wanted::draw(&mut random);
        let words: Vec<Vec<String>> =
            serde_json::from_value(reference.ask(&wanted.question()).unwrap()).unwrap();
        let chosen = wanted.choose(&words, &mut random);
        let passphrase = format!("{}x", wanted.passphrase);
        let theirs = reference.combine(&chosen, &passphrase).unwrap();
        assert!(theirs != hex::encode(&wanted.secret), "set {number}");
        assert!(combined(&chosen, &passphrase) == Ok(theirs), "set {number}: {}", wanted.shown());
    }
}

#[test]
#[ignore = "needs the reference implementation, in the environment that `cargo xtask test` makes"]
fn what_lacks_a_share_or_has_another_word_both_refuse() {
    let mut reference = Reference::start();
    let mut random = Random(0xbf58_476d_1ce4_e5b9);
    for number in 0..100 {
        let wanted = Wanted::draw(&mut random);
        let words: Vec<Vec<String>> =
            serde_json::from_value(reference.ask(&wanted.question()).unwrap()).unwrap();
        let mut chosen = wanted.choose(&words, &mut random);
        let wrong = random.below(chosen.len());
        if number % 2 == 0 {
            chosen.swap_remove(wrong);
        } else {
            let mut words: Vec<_> = chosen[wrong].split(' ').collect();
            let place = random.below(words.len());
            words[place] = if words[place] == "academic" { "acid" } else { "academic" };
            chosen[wrong] = words.join(" ");
        }
        let theirs = reference.combine(&chosen, &wanted.passphrase);
        let ours = combined(&chosen, &wanted.passphrase);
        assert!(ours.is_err() && theirs.is_none(), "{number}: {}", wanted.shown());
    }
}
