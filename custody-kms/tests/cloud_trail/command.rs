//! The same through the command.

use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::*;

/// What the command is given.
struct Files(TempDir);

impl Files {
    fn new(house: &House, records: &Records) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        let lines: Vec<u8> =
            house.events.iter().flat_map(|event| [event, &b"\n"[..]].concat()).collect();
        files.write("events", &lines);
        files.write("keys.toml", keys_text(house).as_bytes());
        let half = Records { all: records.all[..records.all.len() / 2].to_vec() };
        files.write("one.json", &half.file());
        files.write("two.json", &records.lines());
        for (digest, bytes) in &house.documents {
            files.write(&digest.to_string(), bytes);
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// The log as it is exported.
    fn export(&self, house: &House) {
        let size = house.events.len();
        let bundles = self.path("log/tile/entries/000.p");
        std::fs::create_dir_all(&bundles).unwrap();
        std::fs::create_dir_all(self.path("log/documents")).unwrap();
        let entry = |event: &Vec<u8>| {
            let length = u16::try_from(event.len()).unwrap().to_be_bytes();
            [&length[..], event].concat()
        };
        let bundle: Vec<u8> = house.events.iter().flat_map(entry).collect();
        std::fs::write(bundles.join(size.to_string()), bundle).unwrap();
        self.write("log/checkpoint", format!("custody.example/log\n{size}\n").as_bytes());
        for (digest, bytes) in &house.documents {
            self.write(&format!("log/documents/{digest}"), bytes);
        }
    }

    fn run(&self, more: &[&str]) -> Output {
        let documents = self.0.path().to_str().unwrap();
        self.run_with("events", &[&["--documents", documents], more].concat())
    }

    fn run_with(&self, events: &str, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_custody-kms"))
            .args(["reconcile", "--tolerance", "1m", "--trail"])
            .args([self.path("one.json"), self.path("two.json")])
            .arg("--events")
            .arg(self.path(events))
            .arg("--keys")
            .arg(self.path("keys.toml"))
            .args(more)
            .output()
            .unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_command_says_clean_and_exits_with_0() {
    let (house, records) = good_day();
    let output = Files::new(&house, &records).run(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).ends_with("result: clean\n"));
}

#[test]
fn the_command_says_different_and_exits_with_1() {
    let (house, records) = bad_day();
    let files = Files::new(&house, &records);
    let output = files.run(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stdout).ends_with("result: DIFFERENT\n"));
    let output = files.run(&["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = serde_json::to_value(compare(&house, &records)).unwrap();
    assert_eq!(report["unexplained"], expected["unexplained"]);
}

#[test]
fn an_exported_log_is_read_as_it_is() {
    let (house, records) = bad_day();
    let files = Files::new(&house, &records);
    files.export(&house);
    let output = files.run_with("log", &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(output.stdout, files.run(&[]).stdout);
    let size = house.events.len();
    let bundle = format!("log/tile/entries/000.p/{size}");
    let whole = std::fs::read(files.path(&bundle)).unwrap();
    let next = format!("custody.example/log\n{}\n", size + 1);
    for (name, bytes) in [
        (bundle.as_str(), &whole[..whole.len() - 1]),
        (bundle.as_str(), &whole[..1]),
        ("log/checkpoint", b"custody.example/log\n"),
        ("log/checkpoint", next.as_bytes()),
    ] {
        files.export(&house);
        files.write(name, bytes);
        assert_eq!(files.run_with("log", &[]).status.code(), Some(2), "{name}");
    }
}

#[test]
fn the_command_takes_files_as_they_are_delivered() {
    for (house, records) in [good_day(), bad_day()] {
        let files = Files::new(&house, &records);
        let plain = files.run(&["--json"]);
        let packed = packed::pack(&records.lines());
        files.write("two.json", &packed);
        let output = files.run(&["--json"]);
        assert_eq!(output.status.code(), plain.status.code(), "{}", text(&output.stderr));
        assert_eq!(output.stdout, plain.stdout);
        files.write("two.json", &packed[..packed.len() - 1]);
        let output = files.run(&[]);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        assert!(text(&output.stderr).contains("compressed and damaged"));
    }
}

#[test]
fn the_command_names_a_key_that_is_not_listed_and_exits_with_1() {
    let (house, records) = good_day();
    let files = Files::new(&house, &records);
    let unlisted = keys_text(&house).replace("sealed-1", "sealed-2");
    files.write("keys.toml", unlisted.as_bytes());
    let output = files.run(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let expected = "ALARM: keys of the log that are not listed: 1\n  key sealed-1  wallet hot  \
                    perhaps in KMS  1 signatures\n";
    assert!(text(&output.stdout).contains(expected), "{}", text(&output.stdout));
}

#[test]
fn the_command_looks_at_the_period_it_is_told() {
    let (house, records) = bad_day();
    let files = Files::new(&house, &records);
    let output = files.run(&["--until", "2026-03-01T12:15:00Z"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let output = files.run(&["--from", "2026-03-01T12:15:00Z"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(files.run(&["--from", "yesterday"]).status.code(), Some(2));
}

#[test]
fn what_cannot_be_read_exits_with_2_and_is_not_repeated() {
    let (house, records) = good_day();
    for (name, bytes, said) in [
        ("one.json", WORD.as_bytes(), "record 1 is no JSON"),
        ("two.json", br#"{"eventSource":"kms.amazonaws.com"}"#, "the field eventName is missing"),
        ("keys.toml", b"s3cret-input", "the keys are malformed at line 1"),
        ("keys.toml", b"\xff", "cannot be read"),
        ("events", b"", "the log has no events"),
        ("events", b"s3cret-input", "event 0 is not taken: the event or its document is malformed"),
    ] {
        let files = Files::new(&house, &records);
        files.write(name, bytes);
        let output = files.run(&[]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(output.stdout.is_empty(), "{name}");
        let error = text(&output.stderr);
        assert!(error.contains(said), "{name}: {error}");
        assert!(!error.contains(WORD), "{name}: {error}");
    }
    let files = Files::new(&house, &records);
    for digest in house.documents.keys() {
        std::fs::remove_file(files.path(&digest.to_string())).unwrap();
    }
    let output = files.run(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("a document that the event names is missing"));
    std::fs::remove_file(files.path("one.json")).unwrap();
    assert_eq!(files.run(&[]).status.code(), Some(2));
}
