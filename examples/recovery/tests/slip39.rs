//! The program `slip39` as its users run it. This file opens secrets, of tests only.
#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use custody_testkit::vectors;
use serde_json::Value;

/// What the program answered.
struct Answer {
    code: Option<i32>,
    out: String,
    errors: String,
}

impl Answer {
    #[track_caller]
    fn printed(self) -> String {
        assert_eq!((self.code, self.errors.as_str()), (Some(0), ""));
        self.out
    }

    /// The reason, of a program that printed nothing else.
    #[track_caller]
    fn refused(self) -> String {
        assert_eq!((self.code, self.out.len()), (Some(2), 0), "{}", self.errors);
        self.errors.strip_prefix("refused: ").unwrap().trim_end().to_owned()
    }
}

/// Runs the program, which is built beside these tests, with `input` as its standard input.
fn run(arguments: &[&str], input: &str) -> Answer {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples/slip39");
    let mut command = Command::new(&program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    // A program that reads no input is gone before it is written.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    Answer {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A file with a text, and its name.
fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The shares that the program printed, by group.
fn shares(printed: &str) -> Vec<Vec<String>> {
    let mut groups: Vec<Vec<String>> = Vec::new();
    for line in printed.lines() {
        if line.starts_with("# group") && line.ends_with("members") {
            groups.push(Vec::new());
        } else if !line.starts_with('#') {
            groups.last_mut().unwrap().push(line.to_owned());
        }
    }
    groups
}

const TWO_GROUPS: [&str; 5] = ["split", "--groups", "2of3,3of5", "--group-threshold", "2"];

#[test]
fn a_secret_is_split_among_groups_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "000102030405060708090a0b0c0d0e0f";
    let secret_file = file(folder.path(), "secret.txt", &format!("{secret}\n"));
    let passphrase = file(folder.path(), "passphrase.txt", "correct horse\n");
    let given = ["--secret-file", &secret_file, "--passphrase-file", &passphrase];
    let printed = run(&[&TWO_GROUPS[..], &given].concat(), "").printed();

    let labels: Vec<_> = printed.lines().filter(|line| line.starts_with('#')).collect();
    assert_eq!(labels.len(), 11);
    assert_eq!(
        labels[..3],
        ["# 2 of 2 groups are needed", "# group 1: 2 of 3 members", "# group 1, member 1"]
    );
    assert_eq!(labels[10], "# group 2, member 5");

    let groups = shares(&printed);
    assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [3, 5]);
    assert!(groups.iter().flatten().all(|words| words.split(' ').count() == 20));
    let one = file(folder.path(), "one.txt", &groups[0][1..].join("\n"));
    let other =
        file(folder.path(), "other.txt", &format!("# ours\n\n{}", groups[1][2..].join("\n")));
    let combine = ["combine", &one, &other, "--passphrase-file", &passphrase];
    assert!(run(&combine, "").printed() == format!("{secret}\n"));
    // All of them, as they were printed, through standard input.
    let combine = ["combine", "--passphrase-file", &passphrase];
    assert!(run(&combine, &printed).printed() == format!("{secret}\n"));
    // Another passphrase is another secret.
    assert!(run(&["combine"], &printed).printed() != format!("{secret}\n"));
}

#[test]
fn a_new_secret_has_as_many_bits_as_asked_for() {
    for (bits, words) in [(None, 33), (Some("128"), 20), (Some("256"), 33)] {
        let bits: Vec<_> = bits.into_iter().flat_map(|bits| ["--bits", bits]).collect();
        let one = run(&[&TWO_GROUPS[..], &bits].concat(), "").printed();
        let other = run(&[&TWO_GROUPS[..], &bits].concat(), "").printed();
        for printed in [&one, &other] {
            let groups = shares(printed);
            assert!(groups.iter().flatten().all(|share| share.split(' ').count() == words));
        }
        let secrets = [one, other].map(|printed| run(&["combine"], &printed).printed());
        assert!(secrets[0] != secrets[1], "the same secret twice");
    }
}

#[test]
fn the_set_is_what_was_asked_for() {
    let options = ["--bits", "128", "--iteration-exponent", "0", "--no-extendable"];
    let printed = run(&[&TWO_GROUPS[..], &options].concat(), "").printed();
    for words in shares(&printed).into_iter().flatten() {
        let words = custody_core::secret::Secret::new(words.into_bytes());
        let share = custody_recovery::slip39::Share::parse(&words).unwrap();
        assert!(!share.is_extendable());
        assert_eq!((share.iteration_exponent(), share.group_threshold()), (0, 2));
    }
}

#[test]
fn every_published_set_gives_its_secret_or_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let passphrase = file(folder.path(), "passphrase.txt", "TREZOR");
    let list = vectors::json("slip39/vectors.json");
    let (mut valid, mut invalid) = (0, 0);
    for case in list.as_array().unwrap() {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (name, secret) = (text(&case[0]), text(&case[2]));
        let words: Vec<_> = case[1].as_array().unwrap().iter().map(text).collect();
        let answer = run(&["combine", "--passphrase-file", &passphrase], &words.join("\n"));
        if secret.is_empty() {
            assert!(!answer.refused().is_empty(), "{name}");
            invalid += 1;
        } else {
            assert!(answer.printed() == format!("{secret}\n"), "{name}");
            valid += 1;
        }
    }
    assert_eq!((valid, invalid), (15, 30));
}

#[test]
fn what_is_missing_is_told_without_a_secret() {
    let printed = run(&[&TWO_GROUPS[..], &["--bits", "128"]].concat(), "").printed();
    let groups = shares(&printed);
    let told = |words: &[&String]| {
        let lines: Vec<_> = words.iter().map(|words| words.as_str()).collect();
        let told = run(&["verify"], &lines.join("\n")).printed();
        let lines: Vec<_> = told.lines().map(str::to_owned).collect();
        assert!(lines[0].starts_with("the shares belong together: set "), "{told}");
        lines[1..].to_vec()
    };
    assert_eq!(
        told(&[&groups[1][4]]),
        [
            "2 of 2 groups are needed",
            "group 2: 1 of 3 needed shares, 2 missing",
            "shares of 1 more groups are missing",
            "they are not enough",
        ]
    );
    let all: Vec<_> = groups.iter().flatten().collect();
    assert_eq!(
        told(&all),
        [
            "2 of 2 groups are needed",
            "group 1: 3 of 2 needed shares, complete",
            "group 2: 5 of 3 needed shares, complete",
            "they are enough, and agree",
        ]
    );
    let secret = run(&["combine"], &printed).printed();
    assert!(!run(&["verify"], &printed).printed().contains(secret.trim_end()));
}

#[test]
fn what_cannot_be_combined_is_refused_with_the_reason_and_without_a_word() {
    let printed = run(&[&TWO_GROUPS[..], &["--bits", "128"]].concat(), "").printed();
    let groups = shares(&printed);
    let others = shares(&run(&[&TWO_GROUPS[..], &["--bits", "128"]].concat(), "").printed());
    let (first, second) = (&groups[0][0], &groups[0][1]);
    let last = first.rsplit(' ').next().unwrap();
    let flipped = if last == "kidney" { "keyboard" } else { "kidney" };
    let flipped = first.strip_suffix(last).unwrap().to_owned() + flipped;
    let unknown = first.strip_suffix(last).unwrap().to_owned() + "bitcoin";
    for (what, lines, reason) in [
        ("nothing", vec![], "there are no shares"),
        ("one", vec![first], "shares of 1 more groups are needed"),
        ("one twice", vec![first, second, first], "share 3 is share 1 again"),
        (
            "flipped",
            vec![second, &flipped],
            "standard input, line 2: the checksum is wrong: word 20 is another one",
        ),
        ("unknown", vec![&unknown], "standard input, line 1: word 20 is not in the list"),
        ("too few", vec![first, second, &groups[1][0]], "2 more shares of group 2 are needed"),
        (
            "another set",
            vec![first, second, &others[1][0]],
            "share 3 is of another set than share 1: its identifier is another",
        ),
    ] {
        let lines: Vec<_> = lines.iter().map(|line| line.as_str()).collect();
        assert_eq!(run(&["combine"], &lines.join("\n")).refused(), reason, "{what}");
    }
}

#[test]
fn a_share_that_is_given_as_an_argument_is_refused_and_not_repeated() {
    let words = "duckling enlarge academic academic agency result length solution fridge kidney";
    for command in ["combine", "verify"] {
        let reason = run(&[command, words], "").refused();
        assert!(reason.ends_with("shares are never given as arguments"), "{reason}");
        assert!(words.split(' ').all(|word| !reason.contains(word)), "{reason}");
    }
}

#[test]
fn what_cannot_be_split_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let split = |arguments: &[&str]| {
        let answer = run(&[&["split"], arguments].concat(), "");
        assert_eq!((answer.code, answer.out.as_str()), (Some(2), ""));
        answer.errors
    };
    for (groups, threshold, told) in [
        ("2of3,", "1", "is not of the form 2of3"),
        ("2-3", "1", "is not of the form 2of3"),
        ("4of3", "1", "4 of 3 cannot be needed"),
        ("1of3", "1", "would all hold the same words"),
        ("2of17", "1", "at most 16"),
        ("2of3", "2", "2 of 1 cannot be needed"),
        ("2of3", "0", "0 of 1 cannot be needed"),
    ] {
        let errors = split(&["--groups", groups, "--group-threshold", threshold]);
        assert!(errors.contains(told), "{groups}, {threshold}: {errors}");
    }
    let usual = ["--groups", "2of3", "--group-threshold", "1"];
    let errors = split(&[&usual[..], &["--iteration-exponent", "16"]].concat());
    assert!(errors.contains("at most 15"), "{errors}");
    let errors = split(&[&usual[..], &["--bits", "160"]].concat());
    assert!(errors.contains("128 or 256"), "{errors}");
    for (text, told) in [
        ("", "this one has 0"),
        ("00112233445566778899aabbccddee", "this one has 15"),
        ("zz112233445566778899aabbccddeeff", "it is not hex"),
    ] {
        let secret = file(folder.path(), "secret.txt", text);
        let errors = split(&[&usual[..], &["--secret-file", &secret]].concat());
        assert!(errors.contains(told) && !errors.contains("zz"), "{errors}");
    }
    let passphrase = file(folder.path(), "passphrase.txt", "two\nlines\n");
    let errors = split(&[&usual[..], &["--passphrase-file", &passphrase]].concat());
    assert!(errors.contains("byte 4 of the passphrase"), "{errors}");
    let errors = split(&[&usual[..], &["--passphrase-file", "no-such-file"]].concat());
    assert!(errors.contains("no-such-file"), "{errors}");
}
