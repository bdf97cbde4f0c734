//! The binary: what it says of worlds in which nothing is wrong, and that a failure can be replayed.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::process::{Command, Output};

#[test]
fn worlds_in_which_nothing_is_wrong_are_counted() {
    let output = run(&["--seeds", "12", "--first", "40", "--threads", "2"]);
    assert!(output.status.success());
    let text = text(&output.stdout);
    assert!(text.starts_with("12 seeds from 40: "), "{text}");
    assert!(text.lines().any(|line| line.ends_with(" events: signed")), "{text}");
    assert!(output.stderr.is_empty());
}

#[test]
fn a_failure_names_one_seed_and_that_seed_fails_in_the_same_way_again() {
    let sabotage = ["--sabotage", "BackendDenies"];
    let output = run(&[&["--seeds", "40"][..], &sabotage].concat());
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    let (said, command) = errors.trim_end().rsplit_once("\nreplay it: ").unwrap();
    let said = said.lines().next_back().unwrap();
    let (_, arguments) = command.split_once(" -- ").unwrap();
    let arguments: Vec<_> = arguments.split(' ').collect();
    assert_eq!((arguments[0], &arguments[2..]), ("--seed", &sabotage[..]), "{command}");
    let (first, second) = (run(&arguments), run(&arguments));
    assert_eq!(first.status.code(), Some(1));
    assert_eq!(text(&first.stderr).trim_end(), said);
    assert!(said.starts_with(&format!("seed {}: what failed was not signed", arguments[1])));
    assert!(first.stdout.len() > 1_000 && first.stdout == second.stdout);
}

#[test]
fn what_it_does_not_know_is_refused() {
    for arguments in [&["--sabotage", "Nothing"][..], &["--seed", "1", "--seeds", "2"], &["--all"]]
    {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_custody-sim")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
