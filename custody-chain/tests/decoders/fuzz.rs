//! The body of a fuzz target: what must hold for any bytes whatsoever. Here it runs on all vectors,
//! on mutations of them and on random bytes.

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_primitives::keccak256;
use alloy_rlp::Decodable as _;
use custody_core::effect::Action;
use custody_core::seam::TaskInput;
use custody_testkit::vectors;
use proptest::prelude::*;
use serde_json::Value;

use crate::rlp::{eip155, eip1559, legacy, list, string, typed, with};
use crate::support::{decode, unhex};

/// Decodes any bytes; what is accepted is one transaction with one meaning.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(intent) = decode(bytes) else { return };
    let [task] = intent.tasks.as_slice() else { panic!("one task") };
    assert_eq!(task.input, TaskInput::Prehash(keccak256(bytes).0));
    assert!(intent.effects.len() >= 2 && intent.effects.len() <= 3);
    assert_eq!(intent.effects.last().unwrap().action(), Action::PayFee);
    assert_eq!(intent.summary.len(), intent.effects.len());
    assert!(decode(&[bytes, &[0]].concat()).is_err());
    assert!(decode(&bytes[..bytes.len() - 1]).is_err());
    assert_eq!(decode(bytes).unwrap(), intent);
    if let [2, list @ ..] = bytes {
        check_against_alloy(bytes, list);
    }
}

/// An independent implementation either cannot hold the numbers or writes the same bytes.
fn check_against_alloy(bytes: &[u8], mut list: &[u8]) {
    if let Ok(transaction) = TxEip1559::decode(&mut list) {
        assert_eq!(transaction.encoded_for_signing(), bytes);
    }
}

/// Every hex string of the Ethereum vectors.
fn corpus() -> Vec<Vec<u8>> {
    let mut corpus = Vec::new();
    for file in [
        "ethereum/ethers/transactions.json.gz",
        "ethereum/ethers/typed-transactions.json.gz",
        "ethereum/tests/RLPTests.json",
        "ethereum/tests/TransactionTests.json",
        "generated/ethereum.json.gz",
    ] {
        collect(&vectors::json(file), &mut corpus);
    }
    corpus
}

fn collect(value: &Value, corpus: &mut Vec<Vec<u8>>) {
    match value {
        Value::String(text) => {
            corpus.extend(hex::decode(text.strip_prefix("0x").unwrap_or(text)));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, corpus)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, corpus)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn the_corpus_holds() {
    let corpus = corpus();
    assert!(corpus.len() > 10_000, "{}", corpus.len());
    corpus.iter().for_each(|bytes| check(bytes));
}

#[test]
fn every_flip_and_cut_of_a_transaction_is_refused_or_another_transaction() {
    let data = string(&unhex(&format!("a9059cbb{:0>64}{:0>64}", "35".repeat(20), "09")));
    let entry = list(&[string(&[1; 20]), list(&[string(&[2; 32])])]);
    for bytes in [
        list(&legacy()),
        list(&eip155()),
        list(&with(eip155(), 5, data.clone())),
        typed(&eip1559()),
        typed(&with(with(eip1559(), 7, data), 8, list(&[entry]))),
    ] {
        let intent = decode(&bytes).unwrap();
        for position in 0..bytes.len() {
            for flip in 1..=u8::MAX {
                let mut other = bytes.clone();
                other[position] ^= flip;
                check(&other);
                let same = decode(&other).is_ok_and(|other| other.tasks == intent.tasks);
                assert!(!same, "byte {position} is not signed");
            }
            assert!(decode(&bytes[..position]).is_err(), "cut at {position}");
            let mut longer = bytes.clone();
            longer.insert(position, 0);
            check(&longer);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        check(&bytes);
    }

    #[test]
    fn any_items_are_decoded_or_refused(
        items in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| string(&bytes)),
                proptest::collection::vec(any::<u8>(), 0..3),
                Just(list(&[])),
                Just(string(&[0x35; 20])),
            ],
            0..13,
        ),
        envelope in any::<bool>(),
    ) {
        check(&if envelope { typed(&items) } else { list(&items) });
    }
}
