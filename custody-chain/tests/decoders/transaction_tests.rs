//! The signed transactions of the Ethereum tests: what was signed in them is decoded, assembled
//! with their own signature, and must be the original again.

use std::collections::BTreeMap;

use custody_chain::EvmError;
use custody_core::crypto::{Algorithm, PublicKey, RecoveryId, Signature};
use custody_core::seam::{SigningTask, TaskInput, TaskSignature};
use custody_testkit::vectors;
use k256::ecdsa::VerifyingKey;
use serde_json::Value;

use crate::rlp::{self, Item, content, list, number};
use crate::support::{MAINNET, account, assemble, context_of, decode, unhex};

/// What becomes of a signed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// Decoded and assembled to the original bytes, from this account.
    Assembled { sender: String },
    /// Not of the form of a signed transaction: nothing can have been signed.
    NoForm,
    /// The unsigned form is refused.
    Refused(EvmError),
    /// The signature is none, has no place in a signed form, or is not the canonical one.
    Signature,
}

/// A signed transaction taken apart.
struct Parts {
    unsigned: Vec<u8>,
    parity: Option<u8>,
    r: Vec<u8>,
    s: Vec<u8>,
}

#[test]
fn every_transaction_of_the_ethereum_tests_is_read_or_refused_as_a_node_does() {
    let cases = vectors::json("ethereum/tests/TransactionTests.json");
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (file, case) in cases.as_object().unwrap() {
        let [case] = case.as_object().unwrap().values().collect::<Vec<_>>()[..] else {
            panic!("{file} has one case")
        };
        let raw = unhex(case["txbytes"].as_str().unwrap());
        // A signature of zeros under a `v` of 1 is the unsigned form of chain 1.
        assert_eq!(decode(&raw).is_ok(), file == "ttSignature/ZeroSigTransaction2.json", "{file}");
        let verdict = verdict(&case["result"]);
        let class = classify(file, verdict, &outcome(&raw));
        let node = if verdict["sender"].is_string() { "valid" } else { "invalid" };
        *counts.entry((node, class)).or_default() += 1;
    }
    let expected = [
        (("invalid", "gas schedule"), 6),
        (("invalid", "no form"), 31),
        (("invalid", "refused"), 85),
        (("invalid", "signature"), 38),
        (("valid", "assembled"), 49),
        (("valid", "value and fee above 2^256 - 1"), 1),
    ];
    assert_eq!(counts, BTreeMap::from(expected));
    assert_eq!(counts.values().sum::<usize>(), 210);
}

/// The answer of the newest fork.
fn verdict(result: &Value) -> &Value {
    let forks = ["Cancun", "Shanghai", "Paris", "London"];
    forks.iter().map(|fork| &result[fork]).find(|answer| !answer.is_null()).unwrap()
}

fn classify(file: &str, verdict: &Value, outcome: &Outcome) -> &'static str {
    if let Some(expected) = verdict["sender"].as_str() {
        return match outcome {
            Outcome::Assembled { sender } => {
                assert_eq!(sender, expected, "{file}");
                "assembled"
            }
            // No account has that much: the transaction is valid and can never be executed.
            Outcome::Refused(EvmError::TotalOverflow) => "value and fee above 2^256 - 1",
            Outcome::NoForm | Outcome::Refused(_) | Outcome::Signature => {
                panic!("{file} is valid, but {outcome:?}")
            }
        };
    }
    let exception = verdict["exception"].as_str().unwrap();
    let exception = exception.strip_prefix("TransactionException.").unwrap();
    match outcome {
        // What a transaction must pay for is a rule of the fork and of the chain.
        Outcome::Assembled { .. } => {
            let gas = ["INTRINSIC_GAS_TOO_LOW", "INITCODE_SIZE_EXCEEDED"];
            assert!(gas.contains(&exception), "{file}: {exception}");
            "gas schedule"
        }
        Outcome::NoForm => {
            let envelope = exception.starts_with("RLP_") || exception == "TYPE_NOT_SUPPORTED";
            assert!(envelope, "{file}: {exception}");
            "no form"
        }
        Outcome::Refused(error) => {
            assert!(explains(error, exception), "{file}: {exception}, but {error}");
            "refused"
        }
        Outcome::Signature => {
            assert!(about_signature(exception), "{file}: {exception}");
            "signature"
        }
    }
}

/// Whether the refusal is for the reason that a node gives.
fn explains(error: &EvmError, exception: &str) -> bool {
    let begins = |text| exception.starts_with(text);
    let ends = |text| exception.ends_with(text);
    matches!(error, EvmError::Chain { .. } | EvmError::ChainId if exception == "INVALID_CHAINID")
        || matches!(error, EvmError::Length { field: "chain id", .. } if ends("INVALID_CHAINID"))
        || matches!(error, EvmError::FeeOverflow | EvmError::TotalOverflow if ends("OVERFLOW"))
        || matches!(error, EvmError::LeadingZero { .. } if begins("RLP_LEADING_ZEROS"))
        || matches!(error, EvmError::LeadingZero { field: "gas limit" } if ends("OVERFLOW"))
        || matches!(error, EvmError::Length { .. } if ends("_OVERFLOW"))
        || matches!(error, EvmError::Length { .. } if ends("_TOO_LONG") || ends("_TOO_SHORT"))
        || matches!(error, EvmError::Malformed { .. } if begins("RLP_"))
        || matches!(error, EvmError::Nonce if exception == "NONCE_TOO_BIG")
        || matches!(error, EvmError::PriorityFee if begins("PRIORITY_"))
        || matches!(error, EvmError::Type { .. } | EvmError::Fields { .. } if ends("TYPE_NOT_SUPPORTED"))
        || matches!(error, EvmError::Malformed { .. } | EvmError::Length { .. } | EvmError::Trailing { .. }
            if begins("RLP_INVALID_ACCESS_LIST"))
}

fn about_signature(exception: &str) -> bool {
    let names = ["EC_RECOVERY_FAIL", "INVALID_SIGNATURE_VRS", "INVALID_CHAINID"];
    let fields = ["RLP_LEADING_ZEROS_V", "RLP_LEADING_ZEROS_R", "RLP_LEADING_ZEROS_S"];
    let lists = ["RLP_INVALID_SIGNATURE_R", "RLP_INVALID_SIGNATURE_S"];
    [&names[..], &fields, &lists].concat().contains(&exception)
}

fn outcome(raw: &[u8]) -> Outcome {
    let Some(parts) = take_apart(raw) else { return Outcome::NoForm };
    let task = match decode(&parts.unsigned) {
        Ok(intent) => intent.tasks[0].clone(),
        Err(error) => return Outcome::Refused(error),
    };
    let Some((key, signature)) = recover(&parts, &task) else { return Outcome::Signature };
    let context = context_of(MAINNET, key.clone());
    let answer = TaskSignature { key: task.key, signature };
    if assemble(&parts.unsigned, &context, &[answer]).unwrap() != raw {
        return Outcome::Signature;
    }
    Outcome::Assembled { sender: account(MAINNET, &key).address().into() }
}

/// The unsigned form and the signature, without any check of the fields; none if `raw` has not the
/// form of a signed transaction.
fn take_apart(raw: &[u8]) -> Option<Parts> {
    let kind = raw.first().filter(|first| **first < 0x80);
    let body = &raw[usize::from(kind.is_some())..];
    let mut items = rlp::items(body)?;
    if list(&items) != body {
        return None;
    }
    let [s, r, v] = [items.pop()?, items.pop()?, items.pop()?];
    let v = content(&v)?;
    let (unsigned, parity) = match kind {
        Some(kind) => ([vec![*kind], list(&items)].concat(), parity_of(v)),
        None if items.len() != 6 => return None,
        None => legacy(items, v),
    };
    // A list in the place of r or s is a signature that is none.
    let bytes = |item: &Item| content(item).unwrap_or_default().to_vec();
    Some(Parts { unsigned, parity, r: bytes(&r), s: bytes(&s) })
}

fn parity_of(v: &[u8]) -> Option<u8> {
    match v {
        [] => Some(0),
        [1] => Some(1),
        _ => None,
    }
}

/// `v` tells the kind of a legacy transaction: 27 and 28 are without chain id, from 35 on it is
/// twice the chain id and 35 or 36 (EIP-155). Any other `v`, and one that is not canonically
/// encoded, is a fault of the signature.
fn legacy(mut items: Vec<Item>, v: &[u8]) -> (Vec<u8>, Option<u8>) {
    let mut wide = [0; 16];
    if v.len() <= 16 && v.first() != Some(&0) {
        wide[16 - v.len()..].copy_from_slice(v);
    }
    let (chain, parity) = match u128::from_be_bytes(wide) {
        v @ 27..=28 => (None, u8::try_from(v - 27).ok()),
        v @ 35.. => (Some((v - 35) / 2), u8::try_from((v - 35) % 2).ok()),
        _ => (None, None),
    };
    if let Some(chain) = chain {
        items.extend([number(chain), number(0), number(0)]);
    }
    (list(&items), parity)
}

/// The key that made the signature, and the signature as the custodian would hold it.
fn recover(parts: &Parts, task: &SigningTask) -> Option<(PublicKey, Signature)> {
    let mut bytes = [0; 64];
    for (half, scalar) in bytes.chunks_mut(32).zip([&parts.r, &parts.s]) {
        let start = 32_usize.checked_sub(scalar.len())?;
        half[start..].copy_from_slice(scalar);
    }
    let TaskInput::Prehash(digest) = &task.input else { panic!("not a prehash") };
    let signature = k256::ecdsa::Signature::from_slice(&bytes).ok()?;
    let parity = k256::ecdsa::RecoveryId::from_byte(parts.parity?)?;
    let key = VerifyingKey::recover_from_prehash(digest, &signature, parity).ok()?;
    let key = key.to_sec1_point(true);
    let key = PublicKey::from_bytes(Algorithm::EcdsaSecp256k1, key.as_bytes()).unwrap();
    let signature = Signature::from_bytes(Algorithm::EcdsaSecp256k1, &bytes)
        .unwrap()
        .with_recovery_hint(RecoveryId::new(parity.to_byte()).unwrap())
        .checked(&key, task.input.as_input())
        .unwrap();
    Some((key, signature))
}
