//! Ethereum transactions: one payload is one transaction, its fee is among its effects, and
//! another implementation reads the signed form as the same transaction.

use alloy_consensus::{
    SignableTransaction as _, Transaction as _, TxEip1559, TxEnvelope, TxLegacy,
};
use alloy_eips::eip2718::Decodable2718 as _;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use custody_chain::EvmDecoder;
use custody_core::amount::Units;
use custody_core::caip::{AccountId, ChainId};
use custody_core::crypto::Algorithm;
use custody_core::effect::{Action, Effect};
use custody_core::id::{KeyId, PayloadFormat, WalletId};
use custody_core::seam::{
    ContextAccount, DecodeContext, Decoder as _, Intent, Payload, SigningTask, TaskInput,
    TaskSignature,
};
use custody_testkit::key::TestKey;

use crate::Seed;
use crate::input::{flip, patched};

pub(crate) fn parts() -> Vec<&'static str> {
    vec!["legacy", "eip-155", "eip-1559"]
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let intent = decode(bytes)?;
    let [task] = intent.tasks.as_slice() else { panic!("one task") };
    assert_eq!(task.input, TaskInput::Prehash(keccak256(bytes).0));
    assert_eq!(intent.summary.len(), intent.effects.len());
    let actions: Vec<_> = intent.effects.iter().map(Effect::action).collect();
    assert!((2..=3).contains(&actions.len()), "{actions:?}");
    let fees = actions.iter().filter(|action| **action == Action::PayFee).count();
    assert_eq!((actions.last(), fees), (Some(&Action::PayFee), 1), "{actions:?}");
    assert!(decode(&[bytes, &[0]].concat()).is_none(), "a byte behind the end");
    assert!(decode(&bytes[..bytes.len() - 1]).is_none(), "without its last byte");
    assert_eq!(decode(bytes).as_ref(), Some(&intent), "twice the same");
    let signed = assemble(bytes, &intent);
    // Numbers that others keep in fewer bits are no reason to refuse a transaction.
    if let Ok(envelope) = TxEnvelope::decode_2718_exact(&signed) {
        compare(&envelope, &intent, bytes);
    }
    let replayable = intent.facts.iter().any(|fact| fact.as_str() == "replayable");
    Some(match bytes {
        [2, ..] => "eip-1559",
        _ if replayable => "legacy",
        _ => "eip-155",
    })
}

/// Holds the effects against the transaction as another implementation reads it.
fn compare(envelope: &TxEnvelope, intent: &Intent, unsigned: &[u8]) {
    assert_eq!(envelope.signature_hash(), keccak256(unsigned));
    let fee = U256::from(envelope.max_fee_per_gas()) * U256::from(envelope.gas_limit());
    assert_eq!(paid(intent, Action::PayFee), Some(fee), "the fee is the worst case");
    assert!(envelope.chain_id().is_none_or(|chain| chain == 1));
    let moves_coins = intent.effects.iter().find_map(|effect| match effect {
        Effect::Transfer { amount, to, .. } if amount.asset().as_str() == COIN => {
            Some((units(amount.units()), to.clone()))
        }
        _ => None,
    });
    match (envelope.value(), envelope.kind()) {
        (value, TxKind::Call(to)) if !value.is_zero() => {
            assert_eq!(moves_coins, Some((value, account(to))), "the value goes to its receiver");
        }
        (value, TxKind::Create) if !value.is_zero() => {
            assert_eq!(moves_coins.map(|(moved, _)| moved), Some(value));
        }
        _ => assert!(moves_coins.is_none_or(|(moved, _)| moved.is_zero())),
    }
    if envelope.kind().is_create() {
        assert!(intent.effects.iter().any(|effect| effect.action() == Action::Deploy));
    } else if !envelope.input().is_empty() {
        let acts = |effect: &Effect| {
            let contract = effect.destination() == envelope.to().map(account).as_ref();
            let asset = effect.amount().is_some_and(|amount| amount.asset().as_str() != COIN);
            asset || (contract && effect.action() == Action::Call)
        };
        assert!(intent.effects.iter().any(acts), "the data are an effect");
    }
}

fn paid(intent: &Intent, action: Action) -> Option<U256> {
    let effect = intent.effects.iter().find(|effect| effect.action() == action)?;
    effect.amount().map(|amount| units(amount.units()))
}

fn units(units: Units) -> U256 {
    U256::from_be_bytes(units.to_be_bytes())
}

fn account(address: Address) -> AccountId {
    AccountId::parse(&format!("eip155:1:{address}")).unwrap()
}

fn decode(bytes: &[u8]) -> Option<Intent> {
    EvmDecoder::new().decode(&payload(bytes), &context()).ok()
}

/// The signed transaction.
fn assemble(bytes: &[u8], intent: &Intent) -> Vec<u8> {
    let (decoder, signature) = (EvmDecoder::new(), signature(&intent.tasks[0]));
    assert!(decoder.assemble(&payload(bytes), &context(), &[]).is_err(), "without a signature");
    decoder.assemble(&payload(bytes), &context(), &[signature]).unwrap()
}

fn payload(bytes: &[u8]) -> Payload {
    Payload { format: PayloadFormat::parse("evm/transaction").unwrap(), bytes: bytes.to_vec() }
}

pub(crate) fn signature(task: &SigningTask) -> TaskSignature {
    let input = task.input.as_input();
    let signature = key().sign(input).unwrap().checked(key().public_key(), input).unwrap();
    TaskSignature { key: task.key.clone(), signature }
}

pub(crate) fn context() -> DecodeContext {
    DecodeContext {
        v: 1,
        wallet: WalletId::parse("treasury").unwrap(),
        chain: ChainId::parse("eip155:1").unwrap(),
        accounts: vec![ContextAccount {
            key: KeyId::parse("key-0").unwrap(),
            public_key: key().public_key().clone(),
            path: None,
        }],
        descriptors: Vec::new(),
    }
}

fn key() -> TestKey {
    TestKey::seeded(Algorithm::EcdsaSecp256k1, 1)
}

const COIN: &str = "eip155:1/slip44:60";

/// Unsigned transactions that are read, each with a name.
pub(crate) fn samples() -> Vec<Seed> {
    let to = TxKind::Call(Address::repeat_byte(0x35));
    let word =
        |byte: u8, number: u8| [vec![0; 12], vec![byte; 20], vec![0; 31], vec![number]].concat();
    let access_list = AccessList(vec![AccessListItem {
        address: Address::repeat_byte(1),
        storage_keys: vec![B256::repeat_byte(2)],
    }]);
    let mut samples = Vec::new();
    for (name, to, value, data) in [
        ("pay", to, 1_u64, Vec::new()),
        ("token", to, 0, [&[0xa9, 0x05, 0x9c, 0xbb][..], &word(9, 7)].concat()),
        ("allowance", to, 0, [&[0x09, 0x5e, 0xa7, 0xb3][..], &word(9, 255)].concat()),
        ("call", to, 5, vec![1, 2, 3, 4, 5]),
        ("create", TxKind::Create, 0, vec![0x60, 0x80]),
        ("create-paid", TxKind::Create, 9, vec![0x60, 0x80]),
    ] {
        let (value, input) = (U256::from(value), Bytes::from(data));
        for chain_id in [None, Some(1)] {
            let legacy = TxLegacy {
                chain_id,
                nonce: 9,
                gas_price: 20_000_000_000,
                gas_limit: 21_000,
                to,
                value,
                input: input.clone(),
            };
            let kind = if chain_id.is_some() { "eip155" } else { "legacy" };
            samples.push((format!("{kind}-{name}"), legacy.encoded_for_signing()));
        }
        let fee_market = TxEip1559 {
            chain_id: 1,
            nonce: 0,
            gas_limit: 60_000,
            max_fee_per_gas: 30_000_000_000,
            max_priority_fee_per_gas: 1,
            to,
            value,
            access_list: access_list.clone(),
            input,
        };
        samples.push((format!("eip1559-{name}"), fee_market.encoded_for_signing()));
    }
    samples
}

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, bytes) in samples() {
        for at in [0, 1, 3] {
            seeds.push((format!("{name}-flipped-{at}"), patched(&bytes, &flip(at, 0x80))));
        }
        seeds.push((format!("{name}-cut"), bytes[..bytes.len() - 1].to_vec()));
        seeds.push((name, bytes));
    }
    seeds.push(("empty".to_owned(), Vec::new()));
    let file = custody_testkit::vectors::json("ethereum/tests/TransactionTests.json");
    let mut found = Vec::new();
    collect(&file, &mut found);
    let short = found.into_iter().filter(|bytes| (80..600).contains(&bytes.len()));
    seeds.extend(short.step_by(23).take(40).enumerate().map(|(n, b)| (format!("vector-{n}"), b)));
    seeds
}

/// Every hex string of a file.
fn collect(value: &serde_json::Value, found: &mut Vec<Vec<u8>>) {
    match value {
        serde_json::Value::String(text) => {
            found.extend(hex::decode(text.strip_prefix("0x").unwrap_or(text)));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        serde_json::Value::Object(fields) => fields.values().for_each(|item| collect(item, found)),
        _ => {}
    }
}
