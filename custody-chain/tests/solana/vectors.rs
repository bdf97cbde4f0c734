//! Messages that solders wrote, signed and read: an independent decoder agrees about each.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use custody_chain::SolanaDecoder;
use custody_core::caip::ChainId;
use custody_core::crypto::{Algorithm, PublicKey};
use custody_core::effect::Effect;
use custody_core::seam::{DecodeContext, Decoder as _, Intent, TaskSignature};
use custody_testkit::key::TestKey;
use custody_testkit::vectors;
use serde_json::Value;

use crate::properties::check;
use crate::support::{
    CHAIN, MESSAGE, RESOLVED, address_of, context_with, decode_as, facts, payload, told,
};

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("no {field} in {case}"))
}

fn bytes(case: &Value, field: &str) -> Vec<u8> {
    STANDARD.decode(text(case, field)).unwrap()
}

fn key(seed: &str) -> TestKey {
    TestKey::from_bytes(Algorithm::Ed25519, &hex::decode(seed).unwrap()).unwrap()
}

/// Signs every task and puts the transaction together.
fn signed(
    format: &str,
    bytes: &[u8],
    context: &DecodeContext,
    keys: &[TestKey],
) -> (Intent, Vec<u8>) {
    let intent = decode_as(format, bytes, context).unwrap();
    let sign = |task: &custody_core::seam::SigningTask| {
        let position = context.accounts.iter().position(|it| it.key == task.key).unwrap();
        let signature = keys[position].sign(task.input.as_input()).unwrap();
        let signature = signature.checked(keys[position].public_key(), task.input.as_input());
        TaskSignature { key: task.key.clone(), signature: signature.unwrap() }
    };
    let signatures: Vec<_> = intent.tasks.iter().map(sign).collect();
    let payload = payload(format, bytes);
    let wire = SolanaDecoder::new().assemble(&payload, context, &signatures).unwrap();
    (intent, wire)
}

/// The payload of a case: the message, or the message with its tables.
fn stated(case: &Value) -> (&'static str, Vec<u8>) {
    let Some(tables) = case["tables"].as_array() else { return (MESSAGE, bytes(case, "message")) };
    let table =
        |it: &Value| format!(r#"{{"address":{},"accounts":{}}}"#, it["address"], it["accounts"]);
    let tables: Vec<_> = tables.iter().map(table).collect();
    let message = &case["message"];
    let document = format!(r#"{{"v":1,"message":{message},"tables":[{}]}}"#, tables.join(","));
    (RESOLVED, document.into_bytes())
}

#[test]
fn an_independent_decoder_finds_the_same_effects_facts_and_signatures() {
    let cases = vectors::json("solana/messages.json.gz");
    let mut counts = BTreeMap::<&str, usize>::new();
    for (number, case) in cases.as_array().unwrap().iter().enumerate() {
        let seeds = case["ours"].as_array().unwrap();
        let keys: Vec<_> = seeds.iter().map(|seed| key(seed.as_str().unwrap())).collect();
        let (format, bytes) = stated(case);
        let (intent, wire) = signed(format, &bytes, &context_with(CHAIN, &keys), &keys);
        let expected: Vec<String> = serde_json::from_value(case["effects"].clone()).unwrap();
        assert_eq!(told(&intent), expected, "case {number}");
        let expected: Vec<String> = serde_json::from_value(case["facts"].clone()).unwrap();
        assert_eq!(facts(&intent), expected, "case {number}");
        assert_eq!(wire, self::bytes(case, "raw"), "case {number}");
        for effect in &intent.effects {
            *counts.entry(effect.action().as_str()).or_default() += 1;
        }
        *counts.entry(format).or_default() += 1;
    }
    let expected = [
        ("administer", 196),
        ("approve", 6),
        ("call", 709),
        ("pay_fee", 264),
        ("sign_opaque", 31),
        (MESSAGE, 256),
        (RESOLVED, 144),
        ("transfer", 194),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
}

#[test]
fn published_payments_are_signed_as_published() {
    let cases = vectors::json("generated/solana.json.gz");
    let mut counts = BTreeMap::<&str, usize>::new();
    for case in cases.as_array().unwrap() {
        let keys = [key(text(case, "seed"))];
        assert_eq!(address_of(&keys[0]).to_string(), text(case, "pubkey"));
        let context = context_with(CHAIN, &keys);
        let (intent, wire) = signed(MESSAGE, &bytes(case, "message"), &context, &keys);
        assert_eq!(wire, bytes(case, "raw"));
        let signature = bs58::decode(text(case, "signature")).into_vec().unwrap();
        assert_eq!(wire[1..65], signature);
        let is_payment = |effect: &&Effect| {
            let to = effect.destination().is_some_and(|it| it.address() == text(case, "to"));
            let units = effect.amount().map(|amount| amount.units().to_string());
            to && units.as_deref() == Some(text(case, "lamports"))
        };
        let found = intent.effects.iter().any(|effect| is_payment(&effect));
        let opaque = facts(&intent).contains(&"unresolved");
        assert!(found || opaque);
        *counts.entry(if found { "payment" } else { "unresolved" }).or_default() += 1;
        check(&bytes(case, "message"));
    }
    assert_eq!(counts, BTreeMap::from([("payment", 21), ("unresolved", 9)]));
}

#[test]
#[ignore = "needs the Python environment that `cargo xtask test` makes"]
fn solders_still_reads_the_messages_as_it_did() {
    let root = vectors::folder().join("..");
    let folder = tempfile::tempdir().unwrap();
    let mut python = std::process::Command::new(root.join("target/python/bin/python"));
    let script = vectors::folder().join("generate/solana.py");
    assert!(python.arg(script).arg(folder.path()).status().unwrap().success());
    let written = std::fs::File::open(folder.path().join("messages.json.gz")).unwrap();
    let written: Value = serde_json::from_reader(flate2::read::GzDecoder::new(written)).unwrap();
    assert!(written == vectors::json("solana/messages.json.gz"));
}

#[test]
fn wallets_have_the_addresses_and_paths_that_others_give_them() {
    let cases = vectors::json("generated/hd_addresses.json.gz");
    let cases = cases.as_array().unwrap().iter();
    let accounts = cases.flat_map(|case| case["accounts"].as_array().unwrap());
    let mut count = 0;
    for account in accounts.filter(|account| account["coin"] == "SOL") {
        let key = hex::decode(text(account, "public_key")).unwrap();
        let key = PublicKey::from_bytes(Algorithm::Ed25519, &key).unwrap();
        let found = SolanaDecoder::new().account(&ChainId::parse(CHAIN).unwrap(), &key).unwrap();
        assert_eq!(found.address(), text(account, "address"));
        let path = text(account, "path");
        let number = path.split('/').nth(3).unwrap().trim_end_matches('\'').parse().unwrap();
        assert_eq!(SolanaDecoder::path(number).unwrap().to_string(), path);
        count += 1;
    }
    assert_eq!(count, 20);
}

/// The virtual machine never takes more from the wallet than the effects say.
#[test]
fn what_the_network_takes_is_at_most_what_is_told() {
    let cases = vectors::json("solana/charges.json");
    let mut counts = BTreeMap::<&str, usize>::new();
    for case in cases.as_array().unwrap() {
        let context = context_with(CHAIN, &[key(text(case, "seed"))]);
        let intent = decode_as(MESSAGE, &bytes(case, "message"), &context).unwrap();
        let coin = format!("{CHAIN}/slip44:501");
        let amounts = intent.effects.iter().filter_map(Effect::amount);
        let coins = amounts.filter(|amount| amount.asset().as_str() == coin);
        let told: u64 = coins.map(|it| it.units().to_string().parse::<u64>().unwrap()).sum();
        let taken = case["taken"].as_u64().unwrap();
        let name = if case["exact"] == true { "exactly" } else { "at most" };
        *counts.entry(name).or_default() += 1;
        let holds = if name == "exactly" { told == taken } else { told >= taken };
        assert!(holds, "{}: {taken} taken, {told} told", text(case, "name"));
    }
    assert_eq!(counts, BTreeMap::from([("at most", 8), ("exactly", 29)]));
}

/// Every message of the vectors, cut and changed.
#[test]
fn the_corpus_holds() {
    let cases = vectors::json("solana/messages.json.gz");
    for case in cases.as_array().unwrap() {
        let bytes = bytes(case, "message");
        for position in (0..bytes.len()).step_by(7) {
            check(&bytes[..position]);
            let mut changed = bytes.clone();
            changed[position] ^= 0x11;
            check(&changed);
        }
    }
}
