//! What is signed on EVM chains beside plain transactions: typed data, messages, authorisations,
//! and transactions with any calldata, for contracts that are known and for others.

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_primitives::{Address, Bytes, U256, address};
use custody_chain::EvmDecoder;
use custody_core::effect::{Action, Effect};
use custody_core::id::PayloadFormat;
use custody_core::seam::{Decoder as _, Intent, Payload, TaskInput};
use serde_json::{Map, Value, json};

use crate::Seed;
use crate::transactions::{context, signature};

pub(crate) fn parts() -> Vec<&'static str> {
    vec!["typed data", "message", "authorization", "calls"]
}

/// The first byte chooses what the others are.
pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let (choice, bytes) = bytes.split_first()?;
    let part = parts()[usize::from(*choice) % 4];
    let payload = payload(part, usize::from(*choice) / 4, bytes);
    let intent = decode(&payload)?;
    assert_eq!(decode(&payload).as_ref(), Some(&intent), "twice the same");
    assert_eq!(intent.summary.len(), intent.effects.len());
    assert!((1..=1_024).contains(&intent.effects.len()));
    let [task] = intent.tasks.as_slice() else { panic!("one task") };
    assert!(matches!(task.input, TaskInput::Prehash(_)));
    let signatures = [signature(task)];
    let signed = EvmDecoder::new().assemble(&payload, &context(), &signatures).unwrap();
    let last = intent.effects.last().unwrap().action();
    match part {
        "calls" => {
            assert_eq!(last, Action::PayFee);
            // Two, so that the value stays as it is.
            let longer = self::payload(part, usize::from(*choice) / 4, &[bytes, &[0; 2]].concat());
            let longer = decode(&longer);
            assert!(!longer.is_some_and(|longer| hides(&longer, &intent)), "bytes hide a call");
        }
        "authorization" => assert_eq!((last, intent.effects.len()), (Action::Administer, 1)),
        "message" => {
            assert!(matches!(last, Action::SignMessage | Action::SignOpaque));
            assert_eq!((signed.len(), intent.effects.len()), (65, 1));
        }
        _ => assert_eq!(signed.len(), 65),
    }
    if part == "authorization" {
        let longer = Payload { bytes: [bytes, &[0]].concat(), ..payload.clone() };
        assert!(decode(&longer).is_none(), "a byte behind the end");
    }
    if part == "typed data" {
        let document: Value = serde_json::from_slice(bytes).unwrap();
        assert!(are_told(&document, &intent), "tokens are permitted and not told");
        let twice = Payload { bytes: [bytes, bytes].concat(), ..payload };
        assert!(decode(&twice).is_none(), "two documents");
    }
    Some(part)
}

/// Whether rules that permit what is told of `whole` permit `part`, of which less is told.
fn hides(part: &Intent, whole: &Intent) -> bool {
    let is_opaque = part.effects.iter().any(|effect| effect.action() == Action::SignOpaque);
    let is_less = part.effects.len() < whole.effects.len();
    is_less && !is_opaque && part.effects.iter().all(|effect| whole.effects.contains(effect))
}

/// Whether a permit of Permit2 is told with every token that its contract takes from it: those in
/// `permitted`, whatever else stands beside them.
fn are_told(document: &Value, intent: &Intent) -> bool {
    let kind = document["primaryType"].as_str().unwrap_or_default();
    let is_opaque = intent.effects.iter().any(|effect| effect.action() == Action::SignOpaque);
    if is_opaque || !kind.starts_with("Permit") || !kind.ends_with("TransferFrom") {
        return true;
    }
    let permitted = match &document["message"]["permitted"] {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    };
    let told: Vec<_> = intent.effects.iter().filter_map(Effect::amount).collect();
    permitted.into_iter().filter_map(|item| item["token"].as_str()).all(|token| {
        let token = token.trim_start_matches("0x").to_lowercase();
        told.iter().any(|amount| amount.asset().as_str().ends_with(&token))
    })
}

fn payload(part: &str, choice: usize, bytes: &[u8]) -> Payload {
    let (format, bytes) = match part {
        "typed data" => ("evm/typed-data", bytes.to_vec()),
        "message" => ("evm/message", bytes.to_vec()),
        "authorization" => ("evm/authorization", bytes.to_vec()),
        _ => ("evm/transaction", transaction(CONTRACTS[choice % CONTRACTS.len()], bytes)),
    };
    Payload { format: PayloadFormat::parse(format).unwrap(), bytes }
}

fn decode(payload: &Payload) -> Option<Intent> {
    EvmDecoder::new().decode(payload, &context()).ok()
}

pub(crate) fn transaction(to: Address, data: &[u8]) -> Vec<u8> {
    let transaction = TxEip1559 {
        chain_id: 1,
        gas_limit: 21_000,
        max_fee_per_gas: 2,
        to: to.into(),
        value: U256::from(data.len() % 2),
        input: Bytes::copy_from_slice(data),
        ..TxEip1559::default()
    };
    transaction.encoded_for_signing()
}

/// Multicall3, Permit2, WETH, and one that nobody knows.
const CONTRACTS: [Address; 4] = [
    address!("cA11bde05977b3631167028862bE2a173976CA11"),
    address!("000000000022D473030F116dDEE9F6B43aC78BA3"),
    address!("C02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"),
    address!("3535353535353535353535353535353535353535"),
];

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |name: String, choice: u8, bytes: &[u8]| {
        let whole = [&[choice], bytes].concat();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        seeds.push((format!("{name}-flipped"), flipped));
        seeds.push((name, whole));
    };
    for (number, document) in DOCUMENTS.iter().enumerate() {
        add(format!("document-{number}"), 0, document.as_bytes());
    }
    for (name, fields, witness) in [
        ("witness", "Details witness", json!({ "token": ADDRESS, "amount": 1 })),
        ("details", "Details details", json!({ "token": ADDRESS, "amount": 1 })),
        ("no-details", "Details[] details", json!([])),
    ] {
        add(name.to_owned(), 0, witnessed(fields, &witness).as_bytes());
    }
    for types in [4, 14] {
        add(format!("types-{types}"), 0, doubling(types).as_bytes());
    }
    for (number, message) in
        [&b"hello"[..], b"", &[0x9d; 32], "Grüße".as_bytes()].iter().enumerate()
    {
        add(format!("message-{number}"), 1, message);
    }
    let consent = hex::decode("05d70194c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c007").unwrap();
    add("authorization".to_owned(), 2, &consent);
    for (number, (contract, call)) in CALLS.iter().enumerate() {
        add(format!("call-{number}"), 3 + 4 * contract, &self::call(call));
    }
    seeds
}

/// A permit of Permit2 with a witness in this field.
fn witnessed(field: &str, witness: &Value) -> String {
    let own = "TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline";
    let details = "address token,uint256 amount";
    let types = [
        ("Details", details.to_owned()),
        ("PermitWitnessTransferFrom", format!("{own},{field}")),
        ("TokenPermissions", details.to_owned()),
    ];
    let name = field.split_once(' ').unwrap().1;
    let message = json!({
        "permitted": { "token": format!("0x{}", "35".repeat(20)), "amount": "8" },
        "spender": ADDRESS, "nonce": 1, "deadline": 2, name: witness,
    });
    document("PermitWitnessTransferFrom", &types, &message)
}

/// Types each of which has two lists of the next one.
fn doubling(types: usize) -> String {
    let kinds: Vec<_> = (0..types)
        .map(|number| match number + 1 {
            next if next < types => format!("A{next}[] x,A{next}[] y"),
            _ => "bool x,bool y".to_owned(),
        })
        .collect();
    let names: Vec<_> = (0..types).map(|number| format!("A{number}")).collect();
    let types: Vec<_> = names.iter().map(String::as_str).zip(kinds).collect();
    document("A0", &types, &json!({ "x": [], "y": [] }))
}

fn document(primary: &str, types: &[(&str, String)], message: &Value) -> String {
    let fields = |text: &str| -> Value {
        let field = |pair: &str| {
            let (kind, name) = pair.split_once(' ').unwrap();
            json!({ "name": name, "type": kind })
        };
        text.split(',').map(field).collect()
    };
    let mut all = Map::new();
    all.insert("EIP712Domain".to_owned(), fields("address verifyingContract"));
    all.extend(types.iter().map(|(name, text)| ((*name).to_owned(), fields(text))));
    let domain = json!({ "verifyingContract": "0x000000000022D473030F116dDEE9F6B43aC78BA3" });
    json!({ "types": all, "primaryType": primary, "domain": domain, "message": message })
        .to_string()
}

const ADDRESS: &str = "0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";

const DOCUMENTS: [&str; 3] = [
    r#"{"types":{"EIP712Domain":[{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],"Permit":[{"name":"owner","type":"address"},{"name":"spender","type":"address"},{"name":"value","type":"uint256"},{"name":"nonce","type":"uint256"},{"name":"deadline","type":"uint256"}]},"primaryType":"Permit","domain":{"chainId":1,"verifyingContract":"0xcccccccccccccccccccccccccccccccccccccccc"},"message":{"owner":"0x0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b","spender":"0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee","value":"7","nonce":0,"deadline":9}}"#,
    r#"{"types":{"EIP712Domain":[{"name":"name","type":"string"}],"Mail":[{"name":"to","type":"Person[]"},{"name":"b","type":"bytes3"}],"Person":[{"name":"name","type":"string"}]},"primaryType":"Mail","domain":{"name":"x"},"message":{"to":[{"name":"a"},{"name":"b"}],"b":"0x010203"}}"#,
    r#"{"types":{"EIP712Domain":[{"name":"verifyingContract","type":"address"}],"SafeTx":[{"name":"to","type":"address"},{"name":"value","type":"uint256"},{"name":"data","type":"bytes"},{"name":"operation","type":"uint8"},{"name":"safeTxGas","type":"uint256"},{"name":"baseGas","type":"uint256"},{"name":"gasPrice","type":"uint256"},{"name":"gasToken","type":"address"},{"name":"refundReceiver","type":"address"},{"name":"nonce","type":"uint256"}]},"primaryType":"SafeTx","domain":{"verifyingContract":"0x5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"},"message":{"to":"0x38869bf66a61cF6bDB996A6aE40D5853Fd43B526","value":0,"data":"0x8d80ff0a","operation":1,"safeTxGas":0,"baseGas":0,"gasPrice":0,"gasToken":"0x0000000000000000000000000000000000000000","refundReceiver":"0x0000000000000000000000000000000000000000","nonce":1}}"#,
];

/// Contract and calldata: a selector, and words by their last byte, or by one byte repeated twenty
/// times.
const CALLS: [(u8, &str); 5] = [
    (0, "82ad56cb 20 00"),
    (1, "87517c45 *35 *ee 08 00"),
    (2, "2e1a7d4d 06"),
    (3, "f2fde38b *ee"),
    (3, "ac9650d8 20 01 20 00"),
];

fn call(text: &str) -> Vec<u8> {
    let (selector, words) = text.split_once(' ').unwrap();
    let words = words.split(' ').map(|word| match word.strip_prefix('*') {
        Some(byte) => format!("{:0>64}", byte.repeat(20)),
        None => format!("{word:0>64}"),
    });
    hex::decode([selector.to_owned()].into_iter().chain(words).collect::<String>()).unwrap()
}
