//! Published vectors of what the decoder stands on: the reader of transactions, the digests of
//! inputs, and the encodings of signatures and addresses.

use bitcoin::hashes::Hash as _;
use bitcoin::opcodes::all::{OP_CHECKMULTISIG, OP_CHECKSIG, OP_DUP, OP_EQUALVERIFY, OP_HASH160};
use bitcoin::script::{Builder, PushBytesBuf};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::{
    Amount, EcdsaSighashType, ScriptBuf, TapSighashType, Transaction, TxOut, consensus, ecdsa,
};
use custody_testkit::vectors;
use serde_json::Value;

const CODE_SEPARATOR: u8 = 0xab;

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap().try_into().unwrap()
}

/// Reads a transaction; writing it again gives the same bytes.
fn transaction(bytes: &[u8]) -> Transaction {
    let transaction: Transaction = consensus::deserialize(bytes).unwrap();
    assert_eq!(consensus::serialize(&transaction), bytes);
    transaction
}

/// A digest as Bitcoin Core prints it, last byte first.
fn printed(mut digest: [u8; 32]) -> String {
    digest.reverse();
    hex::encode(digest)
}

/// The rows of a list of Bitcoin Core's, without its comments.
fn rows(path: &str, columns: usize) -> Vec<Vec<Value>> {
    let json = vectors::json(path);
    let rows = list(&json).iter().map(|row| list(row).to_vec());
    rows.filter(|row| row.len() == columns).collect()
}

#[test]
fn the_valid_transactions_of_bitcoin_core_are_read_and_written_again() {
    let rows = rows("bitcoin/bitcoinjs/tx_valid.json", 3);
    assert_eq!(rows.len(), 118);
    for row in rows {
        let read = transaction(&bytes(&row[1]));
        assert!(!read.input.is_empty() && !read.output.is_empty());
    }
}

#[test]
fn digests_of_old_inputs_are_those_of_bitcoin_core() {
    let mut counts = [0, 0];
    for (path, columns) in [("legacy_sighash", 5), ("bitcoinjs/sighash", 5)] {
        for row in rows(&format!("bitcoin/{path}.json"), columns) {
            let (read, script) = (transaction(&bytes(&row[0])), bytes(&row[1]));
            let kind =
                u32::from_ne_bytes(i32::try_from(row[3].as_i64().unwrap()).unwrap().to_ne_bytes());
            // Whoever asks takes the separators out; no script that the decoder signs has one.
            if script.contains(&CODE_SEPARATOR) && path != "legacy_sighash" {
                counts[1] += 1;
                continue;
            }
            let (cache, script) = (SighashCache::new(&read), ScriptBuf::from_bytes(script));
            let digest = cache.legacy_signature_hash(number(&row[2]), &script, kind).unwrap();
            assert_eq!(printed(digest.to_byte_array()), row[4].as_str().unwrap());
            counts[0] += 1;
        }
    }
    assert_eq!(counts, [579, 210]);
}

#[test]
fn transactions_of_bitcoinjs_have_their_ids() {
    let json = vectors::json("bitcoin/bitcoinjs/transaction.json");
    let valid = list(&json["valid"]);
    assert_eq!(valid.len(), 20);
    for case in valid {
        let whole = case.get("whex").unwrap_or(&case["hex"]);
        let whole = if whole.as_str() == Some("") { &case["hex"] } else { whole };
        let read = transaction(&bytes(whole));
        assert_eq!(read.compute_txid().to_string(), case["id"].as_str().unwrap());
        assert_eq!(read.weight().to_wu(), case["weight"].as_u64().unwrap());
    }
    for case in list(&json["invalid"]["fromBuffer"]) {
        assert!(consensus::deserialize::<Transaction>(&bytes(&case["hex"])).is_err());
    }
}

/// A script that is written in words and keys.
fn script(text: &str) -> ScriptBuf {
    let words = text.split(' ').fold(Builder::new(), |script, word| match word {
        "OP_CHECKMULTISIG" => script.push_opcode(OP_CHECKMULTISIG),
        "OP_CHECKSIG" => script.push_opcode(OP_CHECKSIG),
        "OP_DUP" => script.push_opcode(OP_DUP),
        "OP_EQUALVERIFY" => script.push_opcode(OP_EQUALVERIFY),
        "OP_HASH160" => script.push_opcode(OP_HASH160),
        _ => match word.strip_prefix("OP_") {
            Some(number) => script.push_int(number.parse().unwrap()),
            None => script.push_slice(PushBytesBuf::try_from(hex::decode(word).unwrap()).unwrap()),
        },
    });
    words.into_script()
}

#[test]
fn digests_of_segwit_inputs_are_those_of_bitcoinjs() {
    let json = vectors::json("bitcoin/bitcoinjs/transaction.json");
    let cases = list(&json["hashForWitnessV0"]);
    assert_eq!(cases.len(), 8);
    for case in cases {
        let read = transaction(&bytes(&case["txHex"]));
        let script = script(case["script"].as_str().unwrap());
        let kind = EcdsaSighashType::from_standard(number(&case["type"]).try_into().unwrap());
        let (at, value) = (number(&case["inIndex"]), case["value"].as_u64().unwrap());
        let mut cache = SighashCache::new(&read);
        let digest =
            cache.p2wsh_signature_hash(at, &script, Amount::from_sat(value), kind.unwrap());
        let found = hex::encode(digest.unwrap().to_byte_array());
        assert_eq!(found, case["hash"].as_str().unwrap(), "{}", case["description"]);
    }
}

#[test]
fn digests_of_taproot_inputs_are_those_of_bitcoinjs() {
    let json = vectors::json("bitcoin/bitcoinjs/transaction.json");
    let case = &json["taprootSigning"][0];
    let read = transaction(&bytes(&case["txHex"]));
    let spent: Vec<_> = list(&case["utxos"])
        .iter()
        .map(|spent| TxOut {
            value: Amount::from_sat(spent["value"].as_u64().unwrap()),
            script_pubkey: ScriptBuf::from_bytes(bytes(&spent["scriptHex"])),
        })
        .collect();
    let cases = list(&case["cases"]);
    assert_eq!(cases.len(), 7);
    for case in cases {
        let kind = TapSighashType::from_consensus_u8(bytes(&case["typeHex"])[0]).unwrap();
        let mut cache = SighashCache::new(&read);
        let all = Prevouts::All(&spent);
        let digest = cache.taproot_key_spend_signature_hash(number(&case["vin"]), &all, kind);
        let found = hex::encode(digest.unwrap().to_byte_array());
        assert_eq!(found, case["hash"].as_str().unwrap());
    }
}

#[test]
fn signatures_have_one_encoding() {
    let canonical = vectors::json("bitcoin/bitcoinjs/sig_canonical.json");
    let read =
        |text: &Value| ecdsa::Signature::from_slice(&bytes(text)).map(|read| read.serialize());
    assert_eq!(list(&canonical).len(), 5);
    for text in list(&canonical) {
        assert_eq!(read(text).unwrap().to_vec(), bytes(text));
    }
    let others = vectors::json("bitcoin/bitcoinjs/sig_noncanonical.json");
    let others: Vec<_> = list(&others)[1..].chunks(2).collect();
    assert_eq!(others.len(), 15);
    for pair in others {
        // A negative number is read as zero, under which nothing verifies.
        let is_negative = pair[0].as_str().unwrap().ends_with("<0:");
        let read = read(&pair[1]);
        assert_eq!(read.is_ok(), is_negative, "{}", pair[0]);
        assert!(read.is_err() || read.unwrap().to_vec() != bytes(&pair[1]));
    }
}

#[test]
fn base58_is_that_of_bitcoin_core() {
    let rows = rows("bitcoin/bitcoinjs/base58_encode_decode.json", 2);
    assert_eq!(rows.len(), 12);
    for row in rows {
        let (whole, text) = (bytes(&row[0]), row[1].as_str().unwrap());
        assert_eq!(bs58::encode(&whole).into_string(), text);
        assert_eq!(bs58::decode(text).into_vec().unwrap(), whole);
    }
}
