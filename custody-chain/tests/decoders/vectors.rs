//! Published and generated transactions, each counted.

use std::collections::BTreeMap;

use custody_chain::EvmError;
use custody_testkit::vectors;
use k256::ecdsa::SigningKey;
use serde_json::Value;

use crate::rlp::{Item, eip155, eip1559, legacy, list, string, typed, with};
use crate::support::{MAINNET, account, decode, public, signed, unhex};

type Counts = BTreeMap<&'static str, usize>;

fn count(counts: &mut Counts, outcome: &'static str) {
    *counts.entry(outcome).or_default() += 1;
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("no {field} in {case}"))
}

fn signing_key(case: &Value, field: &str) -> SigningKey {
    SigningKey::from_slice(&unhex(text(case, field))).unwrap()
}

fn assert_address(key: &SigningKey, chain: &str, expected: &str) {
    let expected = format!("{chain}:{}", expected.to_lowercase());
    assert_eq!(account(chain, &public(key)).as_str(), expected);
}

/// Signs with the key of the case and compares with the published signed form.
fn outcome(unsigned: &[u8], chain: &str, key: &SigningKey, expected: &str) -> &'static str {
    match signed(unsigned, chain, key) {
        Ok(raw) => {
            assert_eq!(raw, unhex(expected));
            "assembled"
        }
        Err(EvmError::ChainId) => "chain id 0",
        Err(EvmError::Length { field: "gas limit", length: 9 }) => "gas limit above 64 bits",
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn legacy_transactions_of_ethers_are_signed_as_published() {
    let cases = vectors::json("ethereum/ethers/transactions.json.gz");
    let mut counts = Counts::new();
    for case in cases.as_array().unwrap() {
        let key = signing_key(case, "privateKey");
        assert_address(&key, MAINNET, text(case, "accountAddress"));
        let bytes = unhex(text(case, "unsignedTransaction"));
        let expected = text(case, "signedTransaction");
        count(&mut counts, outcome(&bytes, MAINNET, &key, expected));
        let bytes = unhex(text(case, "unsignedTransactionChainId5"));
        let expected = text(case, "signedTransactionChainId5");
        count(&mut counts, outcome(&bytes, "eip155:5", &key, expected));
        let other = signed(&bytes, "eip155:6", &key).unwrap_err();
        let chain = EvmError::Chain { expected: 6, found: 5 };
        assert!(other == chain || matches!(other, EvmError::Length { field: "gas limit", .. }));
    }
    let expected = [("assembled", 1_268), ("gas limit above 64 bits", 100)];
    assert_eq!(counts, Counts::from(expected));
}

#[test]
fn typed_transactions_of_ethers_are_signed_as_published() {
    let cases = vectors::json("ethereum/ethers/typed-transactions.json.gz");
    let mut counts = Counts::new();
    for case in cases.as_array().unwrap() {
        let key = signing_key(case, "key");
        assert_address(&key, MAINNET, text(case, "address"));
        let chain = chain_number(&case["tx"]["chainId"]);
        let chain = if chain == 0 { MAINNET.into() } else { format!("eip155:{chain}") };
        let bytes = unhex(text(case, "unsigned"));
        count(&mut counts, outcome(&bytes, &chain, &key, text(case, "signed")));
    }
    let expected = [("assembled", 959), ("chain id 0", 263)];
    assert_eq!(counts, Counts::from(expected));
}

/// A chain id as ethers takes it: absent, a number, or decimal or hex text.
fn chain_number(id: &Value) -> u64 {
    match id.as_str().map(|text| text.strip_prefix("0x").ok_or(text)) {
        Some(Ok(digits)) => u64::from_str_radix(digits, 16).unwrap(),
        Some(Err(digits)) => digits.parse().unwrap(),
        None => id.as_u64().unwrap_or(0),
    }
}

#[test]
fn generated_transactions_are_signed_as_generated() {
    let file = vectors::json("generated/ethereum.json.gz");
    let mut counts = Counts::new();
    for case in file["transactions"].as_array().unwrap() {
        let key = signing_key(case, "private_key");
        let chain = format!("eip155:{}", text(&case["tx"], "chainId"));
        assert_address(&key, &chain, text(case, "from"));
        let raw = text(case, "raw");
        let unsigned = unsigned(&unhex(raw), text(&case["tx"], "chainId").parse().unwrap());
        count(&mut counts, outcome(&unsigned, &chain, &key, raw));
    }
    assert_eq!(counts, Counts::from([("assembled", 40)]));
}

/// What was signed in a signed transaction.
fn unsigned(raw: &[u8], chain: u128) -> Vec<u8> {
    if raw[0] >= 0xc0 {
        let mut items = crate::rlp::items(raw).unwrap();
        items.splice(6.., [crate::rlp::number(chain), string(&[]), string(&[])]);
        return list(&items);
    }
    let mut items = crate::rlp::items(&raw[1..]).unwrap();
    items.truncate(items.len() - 3);
    [vec![raw[0]], list(&items)].concat()
}

#[test]
fn no_rlp_of_the_rlp_tests_is_a_transaction() {
    let groups = vectors::json("ethereum/tests/RLPTests.json");
    let mut counts = Counts::new();
    for (name, case) in groups.as_object().unwrap().values().flat_map(|g| g.as_object().unwrap()) {
        let item = unhex(text(case, "out"));
        assert!(decode(&item).is_err(), "{name}");
        assert!(decode(&[vec![2], item.clone()].concat()).is_err(), "{name}");
        if case["in"] == "INVALID" {
            assert_refused_everywhere(name, &item);
            count(&mut counts, "invalid");
        } else {
            let found = decode(&list(&with(legacy(), 5, item.clone())));
            assert_eq!(found.is_ok(), item[0] < 0xc0, "{name}");
            count(&mut counts, "valid");
        }
    }
    assert_eq!(counts, Counts::from([("invalid", 26), ("valid", 29)]));
}

fn assert_refused_everywhere(name: &str, item: &Item) {
    for (kind, items) in [("legacy", legacy()), ("155", eip155()), ("1559", eip1559())] {
        for index in 0..items.len() {
            let items = with(items.clone(), index, item.clone());
            let bytes = if kind == "1559" { typed(&items) } else { list(&items) };
            assert!(decode(&bytes).is_err(), "{name} as field {index} of {kind}");
        }
    }
}
