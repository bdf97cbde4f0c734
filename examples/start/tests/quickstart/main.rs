//! The quickstart, and the nightly verification of what it keeps, as a user runs them: the built
//! programs, their output, exit codes and files.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test's helpers fail by panicking, and the program under test talks"
)]

// The five steps as the program has them, to be run over a house whose randomness is known.
#[path = "../../quickstart/output.rs"]
mod output;
#[path = "../../quickstart/steps.rs"]
mod steps;

mod at_rest;
mod endings;
mod exported;
mod program;

use std::collections::BTreeSet;
use std::fs;

use alloy_consensus::{SignableTransaction as _, Transaction as _, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Decodable2718 as _;
use alloy_primitives::{TxKind, U256, address};
use custody_audit::proof::LogProof;
use examples_start::transactions::sender;
use serde_json::Value;

use program::{Kept, PASSPHRASE, Run, files};

#[test]
fn every_answer_is_one_json_object_and_every_step_ends_as_it_should() {
    let answers = json(&Run::new(&["--json"]).succeeds());
    let outcomes = |step: u64| -> Vec<&str> {
        let of_step = answers.iter().filter(|answer| answer["step"] == step);
        of_step.map(|answer| answer["outcome"].as_str().unwrap()).collect()
    };
    assert_eq!(outcomes(1), ["released", "released"]);
    assert_eq!(outcomes(2), ["pending", "released"]);
    assert_eq!(outcomes(3), ["denied", "denied", "denied"]);
    let limit = ["pending", "released", "pending", "released", "pending", "released", "denied"];
    assert_eq!(outcomes(4), limit);
    assert_eq!(outcomes(5), ["verified", "refused"]);
    assert_eq!(answers.len(), 16);
}

#[test]
fn an_answer_has_what_its_outcome_promises() {
    let answers = json(&Run::new(&["--json"]).succeeds());
    let address = &answers[0]["sender"];
    for answer in answers.iter().filter(|answer| answer["step"] != 5) {
        let fields: BTreeSet<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, BTreeSet::from(FIELDS), "{answer}");
        let released = answer["outcome"] == "released";
        for field in ["receipt", "sender", "signed_transaction"] {
            assert_eq!(answer[field].is_string(), released, "{field} of {answer}");
        }
        let pending = answer["outcome"] == "pending";
        assert_eq!(!texts(&answer["missing"]).is_empty(), pending, "{answer}");
        let denied = answer["outcome"] == "denied";
        assert_eq!(!texts(&answer["rules"]).is_empty(), denied, "{answer}");
        if released {
            assert_eq!(&answer["sender"], address, "{answer}");
            let raw = signed(answer);
            assert_eq!(answer["sender"], sender(&raw).unwrap(), "{answer}");
            LogProof::parse(answer["receipt"].as_str().unwrap()).unwrap();
        }
    }
}

#[test]
fn what_waits_is_released_as_the_same_order() {
    let answers = json(&Run::new(&["--json"]).succeeds());
    let mut waited = 0;
    for pair in answers.windows(2).filter(|pair| pair[0]["outcome"] == "pending") {
        assert_eq!(pair[1]["outcome"], "released");
        assert_eq!(pair[0]["order"], pair[1]["order"]);
        assert_eq!(texts(&pair[0]["missing"]), ["2 more of treasurer"]);
        waited += 1;
    }
    assert_eq!(waited, 4);
}

#[test]
fn denials_name_their_rule() {
    let answers = json(&Run::new(&["--json"]).succeeds());
    let denied: Vec<_> = answers
        .iter()
        .filter(|answer| answer["outcome"] == "denied")
        .map(|answer| texts(&answer["rules"]))
        .collect();
    let named = ["unlimited-allowance", "unknown-call", "fee-cap", "daily-limit"];
    assert_eq!(denied.len(), named.len());
    for (rules, rule) in denied.iter().zip(named) {
        assert!(rules.contains(&rule), "{rule} is not in {rules:?}");
    }
}

#[test]
fn the_log_is_verified_and_a_flipped_byte_is_refused_by_entry() {
    let answers = json(&Run::new(&["--json"]).succeeds());
    let verified = &answers[14];
    assert_eq!(verified["outcome"], "verified");
    assert_eq!(verified["signatures"], 6, "{verified}");
    for field in ["entries", "decisions", "approvals"] {
        assert!(verified[field].as_u64().unwrap() > 8, "{field} of {verified}");
    }
    assert_eq!(answers[15]["outcome"], "refused");
    assert!(answers[15]["error"].as_str().unwrap().contains("entry "), "{}", answers[15]);
}

#[test]
fn people_read_sentences() {
    let text = Run::new(&[]).succeeds();
    assert!(text.contains("New custodian "), "{text}");
    assert!(text.contains("Every step ended as it should."), "{text}");
    assert!(!text.contains('{') && !text.contains('\x1b'), "{text}");
}

#[test]
fn nothing_is_left_behind_without_a_directory() {
    for arguments in [&["--json"][..], &["--json", "--tx", "0x1234"]] {
        for turn in 0..5 {
            let run = Run::new(arguments);
            let left = fs::read_dir(run.temporary.path()).unwrap().count();
            assert_eq!(left, 0, "{arguments:?}, turn {turn}: the house is not deleted");
        }
    }
}

#[test]
fn a_kept_house_is_opened_again() {
    let kept = Kept::new();
    let first = kept.run(PASSPHRASE, &[]).succeeds();
    let second = kept.run(PASSPHRASE, &[]).succeeds();
    let id = |text: &str, made: &str| -> String {
        let line = text.lines().find_map(|line| line.strip_prefix(made));
        line.unwrap_or_else(|| unexpected(text)).to_owned()
    };
    assert_eq!(id(&first, "New custodian "), id(&second, "Opened custodian "));
    let (one, two) = ("New hot wallet hot-1 with address ", "New hot wallet hot-2 with address ");
    assert_ne!(id(&first, one), id(&second, two));
}

#[test]
fn a_wrong_passphrase_is_refused_and_changes_nothing() {
    let kept = Kept::new();
    kept.run(PASSPHRASE, &[]).succeeds();
    let before = files(&kept.house());
    let message = kept.run("another passphrase, also long\n", &[]).fails();
    assert!(message.contains("passphrase"), "{message}");
    assert!(!message.contains("another passphrase"), "{message}");
    assert!(files(&kept.house()) == before, "a refused passphrase changed the house");
    kept.run(PASSPHRASE, &[]).succeeds();
}

#[test]
fn a_directory_without_a_passphrase_is_not_made() {
    let kept = Kept::new();
    let house = kept.house();
    let message = Run::new(&["--dir", house.to_str().unwrap()]).fails();
    assert!(message.contains("--passphrase-file"), "{message}");
    assert!(!house.exists());
}

#[test]
fn a_transaction_of_ones_own_replaces_the_first() {
    let own = TxEip1559 {
        chain_id: 1,
        nonce: 4_711,
        gas_limit: 21_000,
        max_fee_per_gas: 40_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(address!("3c44cdddb6a900fa2b585dd299e03d12fa4293bc")),
        value: U256::from(125_000_000_000_000_000_u64),
        ..TxEip1559::default()
    };
    let text = format!("0x{}", hex::encode(own.encoded_for_signing()));
    let answers = json(&Run::new(&["--json", "--tx", &text]).succeeds());
    assert_eq!(answers[0]["outcome"], "released", "{}", answers[0]);
    let envelope = TxEnvelope::decode_2718_exact(&signed(&answers[0])).unwrap();
    assert_eq!(envelope.nonce(), own.nonce);
    assert_eq!(envelope.value(), own.value);
    assert_eq!(envelope.signature_hash(), own.signature_hash());
    let others = answers.iter().filter(|answer| answer["what"] == "0.5 ETH");
    assert_eq!(others.count(), 0, "the first one was signed as well");
}

#[test]
fn what_is_no_transaction_is_refused() {
    for (case, text) in [
        ("no hex", "0xzz"),
        ("half a byte", "0x123"),
        ("nothing", ""),
        ("no transaction", "0x1234"),
        ("cut", "0x02f00180843b9aca008506fc23ac0082520894"),
    ] {
        let run = Run::new(&["--json", "--tx", text]);
        let message = run.fails();
        assert!(message.contains("failed: "), "{case}: {message}");
        assert!(!message.contains("panicked"), "{case}: {message}");
        assert_eq!(String::from_utf8_lossy(&run.output.stdout), "", "{case}");
    }
}

#[test]
fn the_nightly_job_verifies_a_kept_log_and_that_it_goes_on() {
    let kept = Kept::new();
    kept.run(PASSPHRASE, &[]).succeeds();
    let first = kept.nightly().succeeds();
    assert!(first.contains("verified ") && first.contains(" proves entry "), "{first}");
    assert!(!first.contains("of last time"), "{first}");
    kept.run(PASSPHRASE, &[]).succeeds();
    let second = kept.nightly().succeeds();
    assert!(second.contains("the same log as the 50 entries of last time"), "{second}");
}

#[test]
fn the_nightly_job_refuses_to_go_on_from_another_log() {
    let houses = [Kept::new(), Kept::new()];
    for kept in &houses {
        kept.run(PASSPHRASE, &[]).succeeds();
        kept.nightly().succeeds();
    }
    let [own, other] = houses.map(|kept| (kept.house().join("verified.checkpoint"), kept));
    fs::copy(other.0, own.0).unwrap();
    let message = own.1.nightly().fails();
    assert!(message.contains("not verified: "), "{message}");
}

#[test]
fn the_nightly_job_needs_no_house() {
    let run = Run::of("custody_verify_log", &[]);
    assert!(run.succeeds().contains("verified "));
    assert_eq!(fs::read_dir(run.temporary.path()).unwrap().count(), 0);
}

fn json(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn signed(answer: &Value) -> Vec<u8> {
    let text = answer["signed_transaction"].as_str().unwrap();
    hex::decode(text.strip_prefix("0x").unwrap()).unwrap()
}

#[expect(clippy::panic, reason = "it fails a test")]
fn unexpected(text: &str) -> ! {
    panic!("the line is missing in:\n{text}")
}

const FIELDS: [&str; 9] = [
    "missing",
    "order",
    "outcome",
    "receipt",
    "rules",
    "sender",
    "signed_transaction",
    "step",
    "what",
];
