//! Every row of `vectors/SOURCES.md` has its file, every file its row, and no case was lost.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::Path;

use custody_testkit::vectors;
use serde_json::Value;

struct Row {
    path: String,
    cases: usize,
    licence: String,
}

fn rows() -> Vec<Row> {
    let text = vectors::text("SOURCES.md");
    text.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<_> = line.strip_prefix("| `")?.trim_end_matches(" |").split(" | ").collect();
    let [path, _, cases, _, licence] = cells.as_slice() else { panic!("five cells: {line}") };
    let path = path.trim_end_matches('`').to_owned();
    Some(Row { path, cases: cases.parse().unwrap(), licence: (*licence).to_owned() })
}

fn count(path: &str) -> usize {
    let lines =
        |matches: fn(&str) -> bool| vectors::text(path).lines().filter(|l| matches(l)).count();
    match path {
        "bip340/test-vectors.csv" => lines(|line| !line.starts_with("index")),
        "ed25519/sign.input" => lines(|_| true),
        "rfc6979/evppkey_ecdsa_rfc6979.txt" => {
            lines(|line| line.starts_with("DigestSign =") || line.starts_with("DigestVerify ="))
        }
        _ if path.ends_with('/') => files(&vectors::folder().join(path)).len(),
        _ => count_json(path, &vectors::json(path)),
    }
}

fn count_json(path: &str, json: &Value) -> usize {
    match path {
        "tlog/c2sp-examples/signed-note.json" => 1,
        "generated/hd_addresses.json.gz" => lengths(json.as_array().unwrap(), "accounts"),
        "rfc6979/bitcoinjs_ecdsa.json" => {
            let groups = json.as_object().unwrap().values();
            groups.flat_map(|group| group.as_object().unwrap().values()).map(length).sum()
        }
        "bip341/wallet-test-vectors.json" => {
            let spending = json.pointer("/keyPathSpending/0/inputSpending").unwrap();
            [json.get("scriptPubKey").unwrap(), spending].map(length).iter().sum()
        }
        "bitcoin/bitcoinjs/address.json"
        | "bitcoin/bitcoinjs/psbt.json"
        | "bitcoin/bitcoinjs/transaction.json"
        | "bech32/bech32.json"
        | "bech32/bech32m.json"
        | "bip143/bip143.json"
        | "bip322/basic-test-vectors.json"
        | "bip322/generated-test-vectors.json" => lists(json),
        _ if path.starts_with("wycheproof/") => {
            lengths(json.get("testGroups").unwrap().as_array().unwrap(), "tests")
        }
        "bip32/bip32.json"
        | "bip39/trezor_vectors.json"
        | "ethereum/tests/ABITests.json"
        | "ethereum/tests/RLPTests.json"
        | "generated/ethereum.json.gz"
        | "slip10/p256.json"
        | "slip10/slip10.json" => json.as_object().unwrap().values().map(length).sum(),
        _ => length(json),
    }
}

fn lengths(groups: &[Value], field: &str) -> usize {
    groups.iter().map(|group| length(group.get(field).unwrap())).sum()
}

/// The cases of all lists, however deep their names.
fn lists(value: &Value) -> usize {
    let named = |value: &Value| value.as_object().map(|map| map.values().map(lists).sum());
    value.as_array().map(Vec::len).or_else(|| named(value)).unwrap_or(0)
}

fn length(value: &Value) -> usize {
    let list = value.as_array().map(Vec::len);
    list.or_else(|| value.as_object().map(serde_json::Map::len)).unwrap()
}

/// All files below a folder, as paths from the root of the vectors.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let path = path.strip_prefix(vectors::folder()).unwrap();
            found.insert(path.to_str().unwrap().replace('\\', "/"));
        }
    }
    found
}

#[test]
fn every_listed_file_has_the_listed_number_of_cases() {
    let rows = rows();
    assert!(rows.len() >= 28, "only {} rows", rows.len());
    for row in rows {
        assert_eq!(count(&row.path), row.cases, "{}", row.path);
    }
}

#[test]
fn every_file_is_listed() {
    let rows = rows();
    let listed = |file: &String| {
        rows.iter().any(|row| {
            file == &row.path || (row.path.ends_with('/') && file.starts_with(&row.path))
        })
    };
    let ours = |file: &String| file.starts_with("generate/") || !file.contains('/');
    let missing: Vec<_> =
        files(&vectors::folder()).into_iter().filter(|f| !listed(f) && !ours(f)).collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn no_file_carries_a_licence_that_binds_the_code_around_it() {
    for row in rows() {
        for word in ["GPL", "-SA-", "-NC-", "no licence", "no LICENSE"] {
            assert!(!row.licence.contains(word), "{}: {}", row.path, row.licence);
        }
    }
}

#[test]
#[should_panic(expected = "no-such-file.json")]
fn a_missing_file_fails_the_test_that_needs_it() {
    let _ = vectors::json("no-such-file.json");
}
