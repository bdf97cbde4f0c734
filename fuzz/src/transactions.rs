//! Ethereum transactions: one payload is one transaction, its fee is among its effects, and
//! another implementation reads the signed form as the same transaction.

use alloy_consensus::{
    SignableTransaction as _, Transaction as _, TxEip1559, TxEip2930, TxEip4844, TxEip7702,
    TxEnvelope, TxLegacy,
};
use alloy_eips::eip2718::Decodable2718 as _;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
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
    vec!["legacy", "eip-155", "eip-2930", "eip-1559", "eip-4844", "eip-7702"]
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let intent = decode(bytes)?;
    let [task] = intent.tasks.as_slice() else { panic!("one task") };
    assert_eq!(task.input, TaskInput::Prehash(keccak256(bytes).0));
    assert_eq!(intent.summary.len(), intent.effects.len());
    let actions: Vec<_> = intent.effects.iter().map(Effect::action).collect();
    assert!((2..=most_effects(bytes)).contains(&actions.len()), "{actions:?}");
    let fees = actions.iter().filter(|action| **action == Action::PayFee).count();
    assert_eq!((actions.last(), fees), (Some(&Action::PayFee), 1), "{actions:?}");
    assert!(decode(&[bytes, &[0]].concat()).is_none(), "a byte behind the end");
    assert!(decode(&bytes[..bytes.len() - 1]).is_none(), "without its last byte");
    assert_eq!(decode(bytes).as_ref(), Some(&intent), "twice the same");
    let signed = assemble(bytes, &intent);
    // A price that others keep in fewer bits is no reason to refuse a transaction.
    match TxEnvelope::decode_2718_exact(&signed) {
        Ok(envelope) => compare(&envelope, &intent, bytes),
        Err(error) => assert!(has_wide_price(bytes), "the signed form is none: {error}"),
    }
    let replayable = intent.facts.iter().any(|fact| fact.as_str() == "replayable");
    Some(match bytes {
        [1, ..] => "eip-2930",
        [2, ..] => "eip-1559",
        [3, ..] => "eip-4844",
        [4, ..] => "eip-7702",
        _ if replayable => "legacy",
        _ => "eip-155",
    })
}

/// Holds the effects against the transaction as another implementation reads it.
fn compare(envelope: &TxEnvelope, intent: &Intent, unsigned: &[u8]) {
    assert_eq!(envelope.signature_hash(), keccak256(unsigned));
    let product = |price: u128, gas: u64| U256::from(price) * U256::from(gas);
    let blobs = envelope.max_fee_per_blob_gas().zip(envelope.blob_gas_used());
    let fee = product(envelope.max_fee_per_gas(), envelope.gas_limit())
        + blobs.map_or(U256::ZERO, |(price, gas)| product(price, gas));
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
        // A batch does what is in it, at other contracts; all else names this one, or moves something
        // besides the coins of the transaction itself.
        let is_batch = envelope.input().len() > ONE_CALL;
        let receiver = envelope.to().map(account);
        let acts = |effect: &Effect| match effect {
            Effect::PayFee { .. } => false,
            Effect::Transfer { amount, to, .. } => {
                amount.asset().as_str() != COIN || Some(to) != receiver.as_ref()
            }
            Effect::Administer { .. } | Effect::Call { .. } | Effect::DelegateCall { .. } => {
                is_batch || effect.destination() == receiver.as_ref()
            }
            _ => effect.amount().is_some_and(|amount| amount.asset().as_str() != COIN),
        };
        assert!(intent.effects.iter().any(acts), "the data are an effect");
    }
}

/// The coins, the data and the fee are one effect each, and so is each authorisation (EIP-7702). Data
/// that are longer than one call may be a batch of more.
fn most_effects(unsigned: &[u8]) -> usize {
    let fields = fields(unsigned);
    let (data, authorizations) = match unsigned[0] {
        1 => (6, 0),
        2 | 3 => (7, 0),
        4 => (7, items(fields[9]).len()),
        _ => (5, 0),
    };
    3 + authorizations + fields[data].len().saturating_sub(ONE_CALL) / 64
}

/// Whether a price is wider than the 128 bits in which `alloy` keeps it.
fn has_wide_price(unsigned: &[u8]) -> bool {
    let places: &[usize] = match unsigned[0] {
        1 => &[2],
        2 | 4 => &[2, 3],
        3 => &[2, 3, 9],
        _ => &[1],
    };
    let fields = fields(unsigned);
    places.iter().any(|place| fields[*place].len() > size_of::<u128>())
}

/// The fields of a transaction.
fn fields(unsigned: &[u8]) -> Vec<&[u8]> {
    let list = if unsigned[0] < 0x80 { &unsigned[1..] } else { unsigned };
    items(item(list).0)
}

/// What is in each item of a list.
fn items(mut list: &[u8]) -> Vec<&[u8]> {
    let mut items = Vec::new();
    while !list.is_empty() {
        let (own, behind) = item(list);
        items.push(own);
        list = behind;
    }
    items
}

/// What is in the first item of RLP (Yellow Paper, appendix B), and what is behind it.
fn item(bytes: &[u8]) -> (&[u8], &[u8]) {
    let first = usize::from(bytes[0]);
    let number = |size: usize| {
        bytes[1..=size].iter().fold(0_usize, |number, byte| number * 256 + usize::from(*byte))
    };
    let (head, length) = match first {
        ..0x80 => (0, 1),
        0x80..0xb8 => (1, first - 0x80),
        0xb8..0xc0 => (first - 0xb6, number(first - 0xb7)),
        0xc0..0xf8 => (1, first - 0xc0),
        _ => (first - 0xf6, number(first - 0xf7)),
    };
    bytes[head..].split_at(length)
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
/// A selector and two words: no batch of calls is shorter.
const ONE_CALL: usize = 68;

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
        (
            "administer",
            to,
            0,
            [&[0x36, 0x56, 0x8a, 0xbe][..], &[2; 32], &word(9, 0)[..32]].concat(),
        ),
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
    samples.extend(typed(&access_list));
    samples
}

/// One payment in each of the other types of transactions.
fn typed(access_list: &AccessList) -> [Seed; 3] {
    let (address, value) = (Address::repeat_byte(0x35), U256::from(1));
    let listed = TxEip2930 {
        chain_id: 1,
        gas_price: 20_000_000_000,
        gas_limit: 60_000,
        to: TxKind::Call(address),
        value,
        access_list: access_list.clone(),
        ..TxEip2930::default()
    };
    let blobs = TxEip4844 {
        chain_id: 1,
        gas_limit: 60_000,
        max_fee_per_gas: 30_000_000_000,
        to: address,
        value,
        blob_versioned_hashes: vec![B256::repeat_byte(1)],
        max_fee_per_blob_gas: 7,
        ..TxEip4844::default()
    };
    let authorization = Authorization { chain_id: U256::from(1), address, nonce: 3 };
    let delegates = TxEip7702 {
        chain_id: 1,
        gas_limit: 60_000,
        max_fee_per_gas: 30_000_000_000,
        to: address,
        value,
        authorization_list: vec![authorization.into_signed(Signature::test_signature())],
        ..TxEip7702::default()
    };
    [
        ("eip2930-pay".to_owned(), listed.encoded_for_signing()),
        ("eip4844-pay".to_owned(), blobs.encoded_for_signing()),
        ("eip7702-pay".to_owned(), delegates.encoded_for_signing()),
    ]
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
    seeds.push(("legacy-wide-price".to_owned(), priced(17)));
    let file = custody_testkit::vectors::json("ethereum/tests/TransactionTests.json");
    let mut found = Vec::new();
    collect(&file, &mut found);
    let short = found.into_iter().filter(|bytes| (80..600).contains(&bytes.len()));
    seeds.extend(short.step_by(23).take(40).enumerate().map(|(n, b)| (format!("vector-{n}"), b)));
    seeds
}

/// A legacy transaction whose price has so many bytes.
fn priced(size: u8) -> Vec<u8> {
    let price = vec![1; usize::from(size)];
    let head = [0xc0 + 28 + size, 9, 0x80 + size];
    [&head[..], &price, &[0x82, 0x52, 0x08, 0x94], &[0x35; 20], &[1, 0x80]].concat()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_implementation_reads_every_sample() {
        for (name, bytes) in samples() {
            let signed = assemble(&bytes, &decode(&bytes).unwrap());
            let read = TxEnvelope::decode_2718_exact(&signed);
            assert!(read.is_ok(), "{name}: {read:?}");
        }
    }

    #[test]
    fn only_a_price_above_128_bits_is_too_wide_for_it() {
        for (size, is_wide) in [(16, false), (17, true)] {
            let bytes = priced(size);
            let signed = assemble(&bytes, &decode(&bytes).unwrap());
            assert_eq!(has_wide_price(&bytes), is_wide, "{size} bytes");
            assert_eq!(TxEnvelope::decode_2718_exact(&signed).is_err(), is_wide, "{size} bytes");
        }
    }
}
