//! Typed data: what is told of it, what is signed for it, what is refused.

mod limits;

use custody_chain::{EvmDecoder, EvmError};
use custody_core::effect::{Arguments, Effect};
use custody_core::seam::{Decoder, Intent, TaskInput};
use custody_testkit::vectors;
use serde_json::{Map, Value, json};

use crate::calls::words;
use crate::support::{MAINNET, context, context_of, key, payload_of, public, reason, sign, unhex};

const FORMAT: &str = "evm/typed-data";

pub(crate) fn decode_text(text: &str) -> Result<Intent, EvmError> {
    let payload = payload_of(FORMAT, text.as_bytes());
    EvmDecoder::new().decode(&payload, &context(MAINNET)).map_err(|error| reason(&error))
}

pub(crate) fn decode_json(document: &Value) -> Result<Intent, EvmError> {
    decode_text(&document.to_string())
}

pub(crate) fn told(document: &Value) -> Vec<String> {
    decode_json(document).unwrap().effects.iter().map(words).collect()
}

fn fields(text: &str) -> Value {
    let field = |pair: &str| {
        let (kind, name) = pair.trim().split_once(' ').unwrap();
        json!({ "name": name, "type": kind })
    };
    text.split(',').map(field).collect()
}

/// A document of these types for the contract `0xcc…` on chain 1.
pub(crate) fn document(primary: &str, types: &[(&str, &str)], message: Value) -> Value {
    let mut all = Map::new();
    all.insert("EIP712Domain".to_owned(), fields("uint256 chainId,address verifyingContract"));
    for (name, text) in types {
        all.insert((*name).to_owned(), fields(text));
    }
    json!({
        "types": all,
        "primaryType": primary,
        "domain": { "chainId": 1, "verifyingContract": format!("0x{}", "cc".repeat(20)) },
        "message": message,
    })
}

pub(crate) fn permit() -> Value {
    document(
        "Permit",
        &[("Permit", "address owner,address spender,uint256 value,uint256 nonce,uint256 deadline")],
        json!({
            "owner": address("0b"), "spender": address("ee"), "value": "7", "nonce": 0,
            "deadline": "99",
        }),
    )
}

fn mail() -> Value {
    document(
        "Mail",
        &[
            ("Mail", "Person from,Person[] to,string contents"),
            ("Person", "string name,address wallet"),
        ],
        json!({
            "from": { "name": "Cow", "wallet": address("0c") },
            "to": [{ "name": "Bob", "wallet": address("b0") }],
            "contents": "Hello, Bob!",
        }),
    )
}

pub(crate) fn address(byte: &str) -> String {
    format!("0x{}", byte.repeat(20))
}

#[test]
fn other_typed_data_is_a_message_with_domain_type_and_fields() {
    let intent = decode_json(&mail()).unwrap();
    let [Effect::SignMessage { kind, arguments }] = intent.effects.as_slice() else { panic!() };
    let said: Vec<_> = arguments.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let expected = [
        "domain.chainId=1".to_owned(),
        format!("domain.verifyingContract={}", address("cc")),
        "message.contents=Hello, Bob!".to_owned(),
        "message.from.name=Cow".to_owned(),
        format!("message.from.wallet={}", address("0c")),
        "message.to.0.name=Bob".to_owned(),
        format!("message.to.0.wallet={}", address("b0")),
        "primaryType=Mail".to_owned(),
    ];
    assert_eq!((kind.as_str(), said.as_slice()), ("eip712", &expected[..]));
    assert!(intent.facts.is_empty());
}

#[test]
fn what_is_too_long_or_hidden_stands_there_by_its_digest() {
    let mut long = mail();
    long["message"]["contents"] = json!("x".repeat(Arguments::VALUE_MAX + 1));
    let intent = decode_json(&long).unwrap();
    let Effect::SignMessage { arguments, .. } = &intent.effects[0] else { panic!() };
    assert!(arguments.get("message.contents").unwrap().starts_with("sha256:"));
    for text in ["turned \u{202e}round", "no\u{200b}thing", "sha256:00", "two\nlines"] {
        let mut mail = mail();
        mail["message"]["contents"] = json!(text);
        let intent = decode_json(&mail).unwrap();
        let Effect::SignMessage { arguments, .. } = &intent.effects[0] else { panic!() };
        let expected = format!("sha256:{}", custody_core::digest::Digest::of(text.as_bytes()));
        assert_eq!(arguments.get("message.contents"), Some(expected.as_str()), "{text:?}");
    }
    let person = mail()["message"]["to"][0].clone();
    long["message"]["to"] = vec![person; 100].into();
    let intent = decode_json(&long).unwrap();
    let Effect::SignMessage { arguments, .. } = &intent.effects[0] else { panic!() };
    assert!(arguments.get("all").unwrap().starts_with("sha256:"));
    let rest: Vec<_> = arguments.iter().map(|(name, _)| name).collect();
    assert_eq!(rest, ["all", "domain.chainId", "domain.verifyingContract", "primaryType"]);
    assert_eq!(arguments.get("primaryType"), Some("Mail"));
}

#[test]
fn a_domain_without_a_chain_is_a_fact_and_one_of_another_chain_is_refused() {
    let mut unbound = mail();
    unbound["types"]["EIP712Domain"] = fields("address verifyingContract");
    unbound["domain"].as_object_mut().unwrap().remove("chainId");
    let intent = decode_json(&unbound).unwrap();
    assert_eq!(
        intent.facts.iter().map(|fact| fact.as_str()).collect::<Vec<_>>(),
        ["unbound_chain"]
    );
    for (chain, error) in [
        (json!(5), EvmError::Chain { expected: 1, found: 5 }),
        (json!(0), EvmError::Chain { expected: 1, found: 0 }),
        (json!("0x10000000000000001"), EvmError::ChainId),
    ] {
        let mut other = mail();
        other["domain"]["chainId"] = chain;
        assert_eq!(decode_json(&other).unwrap_err(), error);
    }
    let mut nowhere = permit();
    nowhere["types"]["EIP712Domain"] = fields("uint256 chainId");
    nowhere["domain"].as_object_mut().unwrap().remove("verifyingContract");
    assert_eq!(decode_json(&nowhere).unwrap_err(), EvmError::VerifyingContract);
}

type Change = fn(&mut Value);

fn changes() -> Vec<(&'static str, Change, &'static str)> {
    let malformed = "the document is malformed";
    let undeclared = "the message is not what is declared";
    let domain = "the domain is not what is declared";
    vec![
        ("a fifth part", |d| d["more"] = json!(1), malformed),
        ("no domain", |d| drop(d.as_object_mut().unwrap().remove("domain")), malformed),
        ("a list as message", |d| d["message"] = json!([]), malformed),
        ("null", |d| d["message"]["contents"] = Value::Null, malformed),
        ("one field more", |d| d["message"]["more"] = json!(1), undeclared),
        (
            "one field less",
            |d| drop(d["message"].as_object_mut().unwrap().remove("contents")),
            undeclared,
        ),
        ("one field more inside", |d| d["message"]["from"]["more"] = json!(1), undeclared),
        ("one field more in a list", |d| d["message"]["to"][0]["more"] = json!(1), undeclared),
        ("a domain field more", |d| d["domain"]["name"] = json!("x"), domain),
        (
            "a domain field less",
            |d| drop(d["domain"].as_object_mut().unwrap().remove("chainId")),
            domain,
        ),
        (
            "domain fields out of order",
            |d| d["types"]["EIP712Domain"].as_array_mut().unwrap().reverse(),
            domain,
        ),
        (
            "a domain of another type",
            |d| d["types"]["EIP712Domain"][0]["type"] = json!("uint8"),
            domain,
        ),
    ]
}

fn more_changes() -> Vec<(&'static str, Change, &'static str)> {
    let kind = "a value is not of its type";
    vec![
        (
            "no declared domain",
            |d| drop(d["types"].as_object_mut().unwrap().remove("EIP712Domain")),
            "the domain is not declared",
        ),
        (
            "another primary type",
            |d| d["primaryType"] = json!("Post"),
            "the primary type is not declared",
        ),
        (
            "the domain as primary type",
            |d| d["primaryType"] = json!("EIP712Domain"),
            "the primary type is not declared",
        ),
        (
            "an unused type",
            |d| d["types"]["Other"] = fields("bool a"),
            "a type is declared and not used",
        ),
        (
            "an undeclared type",
            |d| d["types"]["Mail"][0]["type"] = json!("Man"),
            "a field is of a type that is not declared",
        ),
        (
            "a type of a strange size",
            |d| d["types"]["Mail"][2]["type"] = json!("uint7"),
            "a field is of a type that is not declared",
        ),
        (
            "a field twice",
            |d| d["types"]["Person"] = fields("string name,address name"),
            "a field is declared twice",
        ),
        ("a field with more", |d| d["types"]["Mail"][0]["more"] = json!(1), "a field is malformed"),
        (
            "a name with a space",
            |d| d["types"]["Mail"][0]["name"] = json!("a b"),
            "a field is malformed",
        ),
        (
            "a type without a name",
            |d| d["types"][""] = fields("bool a"),
            "a type has no proper name",
        ),
        (
            "a type that is no list",
            |d| d["types"]["Mail"] = json!({}),
            "a type is no list of fields",
        ),
        ("a struct for a text", |d| d["message"]["contents"] = json!({}), kind),
        ("a text for a struct", |d| d["message"]["from"] = json!("x"), kind),
        ("a text for a list", |d| d["message"]["to"] = json!("x"), "a list is expected"),
        ("a number for an address", |d| d["message"]["from"]["wallet"] = json!(1), kind),
        ("a short address", |d| d["message"]["from"]["wallet"] = json!("0x01"), kind),
    ]
}

#[test]
fn what_is_not_declared_or_not_there_is_refused() {
    assert!(decode_json(&mail()).is_ok());
    for (name, change, what) in changes().into_iter().chain(more_changes()) {
        let mut document = mail();
        change(&mut document);
        assert_eq!(decode_json(&document).unwrap_err(), EvmError::TypedData { what }, "{name}");
    }
}

#[test]
fn names_that_stand_twice_are_refused_wherever_they_stand() {
    let text = mail().to_string();
    let malformed = EvmError::TypedData { what: "the document is malformed" };
    for (once, twice) in [
        (
            "\"contents\":\"Hello, Bob!\"",
            "\"contents\":\"Hello, Eve!\",\"contents\":\"Hello, Bob!\"",
        ),
        ("\"Person\":[", "\"Person\":[],\"Person\":["),
        ("\"chainId\":1", "\"chainId\":5,\"chainId\":1"),
        ("\"primaryType\":\"Mail\"", "\"primaryType\":\"Mail\",\"primaryType\":\"Mail\""),
        ("\"name\":\"Cow\"", "\"name\":\"Cow\",\"name\":\"Cow\""),
    ] {
        assert_eq!(text.matches(once).count(), 1, "{once}");
        assert_eq!(decode_text(&text.replace(once, twice)).unwrap_err(), malformed, "{twice}");
    }
    for text in ["", "{", "[]", "\"x\"", &format!("{text} x"), &format!("{text}{text}")] {
        assert_eq!(decode_text(text).unwrap_err(), malformed);
    }
}

#[test]
fn generated_typed_data_is_signed_as_generated() {
    let file = vectors::json("generated/ethereum.json.gz");
    let (mut count, decoder) = (0, EvmDecoder::new());
    for case in file["typed_data"].as_array().unwrap() {
        let key =
            k256::ecdsa::SigningKey::from_slice(&unhex(case["private_key"].as_str().unwrap()))
                .unwrap();
        let chain = case["typed_data"]["domain"]["chainId"].as_str().unwrap();
        let context = context_of(&format!("eip155:{chain}"), public(&key));
        let payload = payload_of(FORMAT, case["typed_data"].to_string().as_bytes());
        let intent = decoder.decode(&payload, &context).unwrap();
        let TaskInput::Prehash(digest) = &intent.tasks[0].input else { panic!() };
        assert_eq!(hex::encode(digest), case["digest"].as_str().unwrap());
        let signed = decoder.assemble(&payload, &context, &[sign(&key, &intent.tasks[0])]).unwrap();
        assert_eq!(hex::encode(signed), case["signature"].as_str().unwrap());
        count += 1;
    }
    assert_eq!(count, 20);
}

#[test]
fn typed_data_of_ethers_has_the_published_digests() {
    const DOMAIN: [(&str, &str); 5] = [
        ("name", "string"),
        ("version", "string"),
        ("chainId", "uint256"),
        ("verifyingContract", "address"),
        ("salt", "bytes32"),
    ];
    let cases = vectors::json("ethereum/ethers/eip712.json.gz");
    let (mut same, mut no_chain) = (0, 0);
    for case in cases.as_array().unwrap() {
        let domain = case["domain"].as_object().unwrap();
        let declared = DOMAIN.iter().filter(|(name, _)| domain.contains_key(*name));
        let declared: Value =
            declared.map(|(name, kind)| json!({ "name": name, "type": kind })).collect();
        let mut types = case["types"].as_object().unwrap().clone();
        types.insert("EIP712Domain".to_owned(), declared);
        let document = json!({
            "types": types, "primaryType": case["primaryType"], "domain": domain, "message": case["data"],
        });
        let chain = domain.get("chainId").map_or(1, chain_number);
        let context = context_of(&format!("eip155:{chain}"), public(&key()));
        let payload = payload_of(FORMAT, document.to_string().as_bytes());
        match EvmDecoder::new().decode(&payload, &context).map_err(|error| reason(&error)) {
            Ok(intent) => {
                let TaskInput::Prehash(digest) = &intent.tasks[0].input else { panic!() };
                assert_eq!(format!("0x{}", hex::encode(digest)), case["digest"].as_str().unwrap());
                same += 1;
            }
            Err(EvmError::ChainId) if chain == 0 => no_chain += 1,
            Err(error) => panic!("{}: {error}", case["name"]),
        }
    }
    assert_eq!((same, no_chain), (657, 0));
}

/// A chain id as ethers writes it: a number, or decimal or hex text; 0 if no chain can have it.
fn chain_number(id: &Value) -> u64 {
    let text = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).unwrap_or(0),
        None => text.parse().unwrap_or(0),
    }
}

#[test]
fn a_text_ends_where_the_line_says_that_it_ends() {
    let mut mail = mail();
    mail["message"]["contents"] = json!("hi, message.to.0.name=\"Eve");
    let line = decode_json(&mail).unwrap().summary.join("\n");
    assert!(line.contains(r#"message.contents="hi, message.to.0.name=\"Eve", "#), "{line}");
}
