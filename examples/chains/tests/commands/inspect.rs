//! `inspect`: what it tells, and what it refuses.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bitcoin::hashes::Hash as _;
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::{Psbt, TxOut};
use custody_core::digest::Digest;
use serde_json::{Value, json};
use solana_address::Address;
use solana_message::{Hash, Message};
use solana_system_interface::instruction;

use super::{Answer, run};

const MAINNET: &str = "eip155:1";
const BITCOIN: &str = "bip122:000000000019d6689c085ae165831e93";
const SOLANA: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
/// EIP-155, "Example".
const EIP155: &str =
    "0xec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080";
/// The same without its chain.
const LEGACY: &str =
    "0xe9098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080";
/// 100,000 satoshi of taproot pay 99,000.
const P2TR: &str = "70736274ff010052020000000103e9ea631283d4d9b30deb52842fcd943c6f114830b113903d\
    021d2b445ea8b60000000000ffffffff01b88201000000000016001459e5f4daf5f5b0b58a1068edc24f34a8512b26\
    d7000000000001012ba086010000000000225120e835385aff671f3d6899f47a710c3449ba47b8028e026a88d148b9\
    3e533184df0000";
const P2TR_KEY: &str = "e835385aff671f3d6899f47a710c3449ba47b8028e026a88d148b93e533184df";

fn inspect(arguments: &[&str], input: &str) -> Answer {
    run("inspect", arguments, input)
}

/// EIP-712, "Example".
fn mail() -> Value {
    json!({
        "types": {
            "EIP712Domain": [
                { "name": "name", "type": "string" },
                { "name": "version", "type": "string" },
                { "name": "chainId", "type": "uint256" },
                { "name": "verifyingContract", "type": "address" },
            ],
            "Person": [
                { "name": "name", "type": "string" },
                { "name": "wallet", "type": "address" },
            ],
            "Mail": [
                { "name": "from", "type": "Person" },
                { "name": "to", "type": "Person" },
                { "name": "contents", "type": "string" },
            ],
        },
        "primaryType": "Mail",
        "domain": {
            "name": "Ether Mail", "version": "1", "chainId": 1,
            "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC",
        },
        "message": {
            "from": { "name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826" },
            "to": { "name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB" },
            "contents": "Hello, Bob!",
        },
    })
}

/// A message that pays, in base64.
fn message() -> (Vec<u8>, String) {
    let from = Address::from([3; 32]);
    let pay = instruction::transfer(&from, &Address::from([4; 32]), 5);
    let message = Message::new_with_blockhash(&[pay], Some(&from), &Hash::new_from_array([5; 32]));
    let bytes = wincode::serialize(&message).unwrap();
    let text = STANDARD.encode(&bytes);
    (bytes, text)
}

fn digest(report: &Value) -> &str {
    report["tasks"][0]["digest"].as_str().unwrap()
}

#[test]
fn a_transaction_has_the_published_digest() {
    let report = inspect(&["--chain", MAINNET, EIP155], "").json();
    // EIP-155, "Example": the hash of the signing data.
    let expected = "0xdaf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53";
    assert_eq!(digest(&report), expected);
    assert_eq!(report["facts"], json!([]));
    assert_eq!(report["effects"].as_array().unwrap().len(), 2);
    let first = report["summary"][0].as_str().unwrap();
    assert!(
        first.starts_with("transfer 1000000000000000000 eip155:1/slip44:60 to 0x35"),
        "{first}"
    );
}

#[test]
fn a_transaction_without_a_chain_is_told_and_replayable() {
    let report = inspect(&["--chain", MAINNET, LEGACY], "").json();
    assert_eq!(report["facts"], json!(["replayable"]));
    assert_eq!(report["effects"][0]["transfer"]["amount"]["units"], "1000000000000000000");
}

#[test]
fn typed_data_has_the_published_digest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mail.json");
    fs::write(&file, mail().to_string()).unwrap();
    let file = file.to_str().unwrap();
    let report = inspect(&["--chain", MAINNET, "--typed-data", file], "").json();
    // EIP-712, "Example".
    let expected = "0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2";
    assert_eq!(digest(&report), expected);
    let refused = inspect(&["--chain", "eip155:10", "--typed-data", file], "");
    refused.assert_refused("another chain", "chain");
}

#[test]
fn a_psbt_has_the_digest_that_rust_bitcoin_computes() {
    let bytes = hex::decode(P2TR).unwrap();
    let text = STANDARD.encode(&bytes);
    let report = inspect(&["--chain", BITCOIN, "--public-key", P2TR_KEY, &text], "").json();
    let psbt = Psbt::deserialize(&bytes).unwrap();
    let spent: Vec<TxOut> = psbt.iter_funding_utxos().map(|spent| spent.unwrap().clone()).collect();
    let mut cache = SighashCache::new(&psbt.unsigned_tx);
    let prevouts = Prevouts::All(&spent);
    let hash = cache.taproot_key_spend_signature_hash(0, &prevouts, TapSighashType::Default);
    assert_eq!(digest(&report), format!("0x{}", hex::encode(hash.unwrap().to_byte_array())));
    assert_eq!(report["effects"][0]["transfer"]["amount"]["units"], "99000");
    assert_eq!(report["effects"][1]["pay_fee"]["amount"]["units"], "1000");
    let unsigned = inspect(&["--chain", BITCOIN, &text], "");
    unsigned.assert_refused("no key of it", "wallet");
}

#[test]
fn a_message_of_solana_is_told_for_those_who_must_sign() {
    let (bytes, text) = message();
    let report = inspect(&["--chain", SOLANA, &text], "").json();
    assert_eq!(report["tasks"].as_array().unwrap().len(), 1);
    assert_eq!(digest(&report), format!("0x{}", Digest::of(&bytes)));
    assert_eq!(report["effects"][0]["transfer"]["amount"]["units"], "5");
}

#[test]
fn a_payload_comes_from_the_line_a_file_or_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("payload.txt");
    fs::write(&file, format!("{EIP155}\n")).unwrap();
    let from_line = inspect(&["--chain", MAINNET, EIP155], "").json();
    let from_file = inspect(&["--chain", MAINNET, "--file", file.to_str().unwrap()], "").json();
    let from_input = inspect(&["--chain", MAINNET, "-"], &format!("{EIP155}\n")).json();
    assert_eq!((&from_file, &from_input), (&from_line, &from_line));
}

#[test]
fn what_is_refused_is_refused_with_2_and_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let invalid = file("invalid", b"{\"types\": \"\xff\xfe\"}");
    let long = file("long", format!("0x{}", "00".repeat(256 * 1024 + 1)).as_bytes());
    let trailing = format!("{EIP155}00");
    let cut = EIP155.split_at(EIP155.len() - 2).0;
    for (name, arguments, reason) in [
        ("a byte more", vec!["--chain", MAINNET, &trailing], "transaction"),
        ("a byte less", vec!["--chain", MAINNET, cut], "transaction"),
        ("another chain", vec!["--chain", "eip155:10", EIP155], "chain"),
        ("neither hex nor base64", vec!["--chain", MAINNET, "0xzz"], "neither hex"),
        ("no base64", vec!["--chain", BITCOIN, "cHNi*"], "neither hex"),
        ("no psbt", vec!["--chain", BITCOIN, "AAAA"], ""),
        ("no message", vec!["--chain", SOLANA, "AAAA"], ""),
        ("an unknown family", vec!["--chain", "cosmos:cosmoshub-4", "0x00"], "no format"),
        ("no chain", vec!["--chain", "ethereum", "0x00"], "chain id"),
        ("an unknown format", vec!["--chain", MAINNET, "--format", "evm/x", "0x00"], "no decoder"),
        ("invalid UTF-8", vec!["--chain", MAINNET, "--typed-data", &invalid], "UTF-8"),
        ("too long", vec!["--chain", MAINNET, "--file", &long], "allowed"),
        ("no such file", vec!["--chain", MAINNET, "--file", "/no/such/file"], "No such file"),
        ("no key", vec!["--chain", MAINNET, "--public-key", "0x02", EIP155], "public key"),
        ("an empty payload", vec!["--chain", MAINNET, "0x"], ""),
    ] {
        inspect(&arguments, "").assert_refused(name, reason);
    }
}
