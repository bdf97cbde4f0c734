//! Published vectors of what the decoder stands on: RLP, selectors and the encoding of arguments.

use alloy_dyn_abi::{DynSolType, DynSolValue, FunctionExt as _};
use alloy_json_abi::JsonAbi;
use alloy_primitives::U256;
use custody_testkit::vectors;
use serde_json::Value;

use crate::rlp::{Item, content, items, list, string};

fn cases(path: &str) -> Vec<Value> {
    vectors::json(path).as_array().unwrap().clone()
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    hex::decode(text.strip_prefix("0x").unwrap_or(text)).unwrap()
}

fn encoded(value: &Value) -> Item {
    match value.as_array() {
        Some(inner) => list(&inner.iter().map(encoded).collect::<Vec<_>>()),
        None => string(&bytes(value)),
    }
}

fn assert_read(item: &[u8], value: &Value) {
    let Some(inner) = value.as_array() else {
        assert_eq!(content(item).unwrap(), bytes(value));
        return;
    };
    let found = items(item).unwrap();
    assert_eq!(found.len(), inner.len());
    for (item, value) in found.iter().zip(inner) {
        assert_read(item, value);
    }
}

/// The reader and the writer of RLP that the tests hold the decoder against.
#[test]
fn the_rlp_of_the_tests_is_that_of_ethers() {
    let cases = cases("ethereum/ethers/rlp-coder.json.gz");
    assert_eq!(cases.len(), 39);
    for case in &cases {
        let whole = bytes(&case["encoded"]);
        assert_eq!(encoded(&case["decoded"]), whole, "{}", case["name"]);
        assert_read(&whole, &case["decoded"]);
    }
}

#[test]
fn selectors_are_those_of_ethers() {
    let cases = cases("ethereum/ethers/contract-signatures.json.gz");
    assert_eq!(cases.len(), 210);
    for case in &cases {
        let abi: JsonAbi = serde_json::from_str(case["abi"].as_str().unwrap()).unwrap();
        let [function] = abi.function("testSig").unwrap().as_slice() else { panic!("one") };
        assert_eq!(function.signature(), case["signature"].as_str().unwrap());
        assert_eq!(function.selector().to_vec(), bytes(&case["sigHash"]));
    }
}

#[test]
fn arguments_are_read_and_written_as_ethers_does() {
    let cases = cases("ethereum/ethers/contract-interface.json.gz");
    assert_eq!(cases.len(), 127);
    for case in &cases {
        let abi: JsonAbi = serde_json::from_str(case["interface"].as_str().unwrap()).unwrap();
        let [function] = abi.function("test").unwrap().as_slice() else { panic!("one") };
        let whole = bytes(&case["result"]);
        let values = function.abi_decode_output(&whole).unwrap();
        let told: Value = serde_json::from_str(case["normalizedValues"].as_str().unwrap()).unwrap();
        let told = told.as_array().unwrap();
        assert_eq!(values.len(), told.len(), "{}", case["name"]);
        for (value, told) in values.iter().zip(told) {
            assert_told(value, told);
        }
        assert_eq!(function.abi_encode_output(&values).unwrap(), whole, "{}", case["name"]);
    }
}

fn assert_told(value: &DynSolValue, told: &Value) {
    let text = |told: &Value| told["value"].as_str().unwrap().to_owned();
    match value {
        DynSolValue::Array(inner) | DynSolValue::FixedArray(inner) => {
            let told = told.as_array().unwrap();
            assert_eq!(inner.len(), told.len());
            inner.iter().zip(told).for_each(|(value, told)| assert_told(value, told));
        }
        DynSolValue::Address(address) => {
            assert_eq!(address.to_checksum(None).to_lowercase(), text(told).to_lowercase());
        }
        DynSolValue::Bool(value) => assert_eq!(Some(*value), told["value"].as_bool()),
        DynSolValue::Bytes(value) => assert_eq!(format!("0x{}", hex::encode(value)), text(told)),
        DynSolValue::FixedBytes(word, size) => {
            assert_eq!(format!("0x{}", hex::encode(&word[..*size])), text(told));
        }
        DynSolValue::Int(value, _) => assert_eq!(value.to_string(), text(told)),
        DynSolValue::String(value) => assert_eq!(*value, text(told)),
        DynSolValue::Uint(value, _) => assert_eq!(value.to_string(), text(told)),
        DynSolValue::Function(_) | DynSolValue::Tuple(_) | DynSolValue::CustomStruct { .. } => {
            panic!("no vector has {value:?}")
        }
    }
}

#[test]
fn arguments_are_written_as_the_tests_of_ethereum_say() {
    let json = vectors::json("ethereum/tests/ABITests.json");
    let cases = json["basic_abi_tests.json"].as_object().unwrap();
    assert_eq!(cases.len(), 3);
    for (name, case) in cases {
        let kinds: Vec<_> = case["types"].as_array().unwrap().iter().map(Value::as_str).collect();
        let kinds = kinds.into_iter().map(|kind| DynSolType::parse(kind.unwrap()).unwrap());
        let arguments = case["args"].as_array().unwrap();
        let values = kinds.zip(arguments).map(|(kind, value)| argument(&kind, value)).collect();
        let encoded = DynSolValue::Tuple(values).abi_encode_params();
        assert_eq!(encoded, bytes(&case["result"]), "{name}");
    }
}

fn argument(kind: &DynSolType, value: &Value) -> DynSolValue {
    match kind {
        DynSolType::Address => DynSolValue::Address(value.as_str().unwrap().parse().unwrap()),
        DynSolType::Array(inner) => {
            let values = value.as_array().unwrap().iter().map(|value| argument(inner, value));
            DynSolValue::Array(values.collect())
        }
        DynSolType::Bytes => DynSolValue::Bytes(value.as_str().unwrap().as_bytes().to_vec()),
        DynSolType::FixedBytes(size) => {
            let mut word = [0; 32];
            word[..*size].copy_from_slice(value.as_str().unwrap().as_bytes());
            DynSolValue::FixedBytes(word.into(), *size)
        }
        DynSolType::Uint(size) => DynSolValue::Uint(U256::from(value.as_u64().unwrap()), *size),
        DynSolType::Bool
        | DynSolType::CustomStruct { .. }
        | DynSolType::FixedArray(..)
        | DynSolType::Function
        | DynSolType::Int(_)
        | DynSolType::String
        | DynSolType::Tuple(_) => panic!("no vector has {kind}"),
    }
}
