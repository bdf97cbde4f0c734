//! What hosts say about contracts, and calls whose arguments it names: names change no effect's
//! action and no amount, other names are another decoder, and arguments are the calldata again.

use std::sync::LazyLock;

use alloy_json_abi::{Function, JsonAbi};
use alloy_primitives::{Address, U256};
use custody_chain::{AbiError, AbiRegistry, EvmDecoder};
use custody_core::caip::AccountId;
use custody_core::effect::{Arguments, Effect};
use custody_core::id::PayloadFormat;
use custody_core::seam::{Decoder as _, Intent, Payload};
use serde_json::Value;

use crate::Seed;
use crate::input::Input;
use crate::kms_texts::{WORD, says_nothing};
use crate::transactions::context;

const PARTS: [&str; 3] = ["call", "descriptor", "json abi"];
/// The functions of [`ABI`].
const FUNCTIONS: [&str; 3] = ["note", "stake", "vote"];
const CONTRACT: Address = Address::repeat_byte(0x77);

pub(crate) fn parts() -> Vec<&'static str> {
    PARTS.to_vec()
}

pub(crate) fn body(bytes: &[u8]) -> Option<&'static str> {
    let mut input = Input::new(bytes);
    let part = *input.pick(&PARTS);
    let taken = match part {
        "call" => call(input),
        "descriptor" => descriptor(input),
        _ => json_abi(input),
    };
    taken.then_some(part)
}

/// Calldata of a known function: its arguments are of their types, and are the calldata again.
fn call(mut input: Input<'_>) -> bool {
    let name = *input.pick(&FUNCTIONS);
    let (registry, abi) = &*KNOWN;
    let selector = abi.functions[name][0].selector().0;
    let data = [&selector[..], input.rest()].concat();
    let arguments = told(registry, &data);
    if let Some(expected) = encoded(name, &arguments) {
        assert_eq!(data, [&selector[..], &expected[..]].concat(), "other arguments are told");
    }
    !arguments.is_empty()
}

/// A JSON ABI, and a call of one of its functions. Of the types in the source it says nothing.
fn json_abi(mut input: Input<'_>) -> bool {
    let (choice, data) = (usize::from(input.byte()), input.field());
    let Ok(json) = std::str::from_utf8(input.rest()) else { return false };
    let Some(registry) = added(|registry| registry.add_json_abi(&contract(), json)) else {
        return false;
    };
    let abi = JsonAbi::from_json_str(json).unwrap();
    let functions: Vec<_> = abi.functions().collect();
    let selector = functions[choice % functions.len()].selector().0;
    let data = [&selector[..], data].concat();
    let arguments = told(&registry, &data);
    if let Ok(mut value) = serde_json::from_str::<Value>(json) {
        without_source_types(&mut value);
        let json = value.to_string();
        let other = added(|registry| registry.add_json_abi(&contract(), &json)).unwrap();
        assert_eq!(id(&other), id(&registry));
        assert_eq!(told(&other, &data), arguments, "one decoder tells two things");
    }
    true
}

/// A descriptor of ERC-7730, and a call of one of its functions.
fn descriptor(mut input: Input<'_>) -> bool {
    let (choice, data) = (usize::from(input.byte()), input.field());
    let Ok(json) = std::str::from_utf8(input.rest()) else { return false };
    let Some(registry) = added(|registry| registry.add_erc7730(json)) else { return false };
    // What the registry leaves out may be no JSON for others, and an object may stand as a list.
    let value: Value = serde_json::from_str(json).unwrap_or_default();
    let Some(formats) = value["display"]["formats"].as_object() else { return true };
    let signatures: Vec<_> = formats.keys().filter(|key| key.contains('(')).collect();
    let function = Function::parse(signatures[choice % signatures.len()]).unwrap();
    let selector = function.selector().0;
    let arguments = told(&registry, &[&selector[..], data].concat());
    let may_be_here = |at: &Value| {
        let address = at["address"].as_str().unwrap_or_default();
        let account = AccountId::parse(&format!("eip155:{}:{address}", at["chainId"]));
        !at.is_object() || account.is_ok_and(|account| account == contract())
    };
    let deployments = value["context"]["contract"]["deployments"].as_array();
    let is_named = deployments.is_none_or(|list| list.iter().any(may_be_here));
    assert!(arguments.is_empty() || is_named, "the names of another contract are told");
    true
}

/// A registry with what was added; none if that is refused, which changes nothing.
fn added(add: impl Fn(&mut AbiRegistry) -> Result<(), AbiError>) -> Option<AbiRegistry> {
    let mut registry = AbiRegistry::new();
    if let Err(error) = add(&mut registry) {
        says_nothing(&error);
        assert_eq!(registry, AbiRegistry::new(), "a refusal changes something");
        return None;
    }
    let (mut twice, mut again) = (registry.clone(), AbiRegistry::new());
    assert_eq!(add(&mut twice), Err(AbiError::Exists), "it is added twice");
    assert_eq!(twice, registry, "a refusal changes something");
    assert_eq!(add(&mut again), Ok(()));
    assert_eq!((&again, id(&again)), (&registry, id(&registry)), "it is read otherwise");
    assert_ne!(id(&registry), id(&AbiRegistry::new()), "other names are no other decoder");
    Some(registry)
}

fn id(registry: &AbiRegistry) -> String {
    EvmDecoder::new().with_abis(registry.clone()).id().as_str().to_owned()
}

/// The arguments that a call of the contract is told with. All else is as without names.
fn told(registry: &AbiRegistry, data: &[u8]) -> Arguments {
    let format = PayloadFormat::parse("evm/transaction").unwrap();
    let bytes = crate::evm_payloads::transaction(CONTRACT, data);
    let payload = Payload { format, bytes };
    let named = EvmDecoder::new().with_abis(registry.clone());
    let bare = decode(&EvmDecoder::new(), &payload);
    let Some(intent) = decode(&named, &payload) else {
        assert!(bare.is_none(), "with names it is not read");
        return Arguments::new();
    };
    assert_eq!(decode(&named, &payload).as_ref(), Some(&intent), "twice the same");
    assert_eq!(intent.summary.len(), intent.effects.len());
    let bare = bare.unwrap();
    assert_eq!((&intent.tasks, &intent.facts), (&bare.tasks, &bare.facts));
    let effects: Vec<_> = intent.effects.iter().map(without_arguments).collect();
    let expected: Vec<_> = bare.effects.iter().map(without_arguments).collect();
    assert_eq!(effects, expected, "names change an effect");
    let own = intent.effects.into_iter().find_map(|effect| match effect {
        Effect::Call { contract, arguments, .. } if contract == self::contract() => Some(arguments),
        _ => None,
    });
    own.unwrap_or_default()
}

fn decode(decoder: &EvmDecoder, payload: &Payload) -> Option<Intent> {
    decoder.decode(payload, &context()).ok()
}

fn without_arguments(effect: &Effect) -> Effect {
    match effect.clone() {
        Effect::Call { contract, selector, .. } => {
            Effect::Call { contract, selector, arguments: Arguments::new() }
        }
        other => other,
    }
}

/// Takes out what the types of parameters are called in the source.
fn without_source_types(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("internalType");
            fields.values_mut().for_each(without_source_types);
        }
        Value::Array(items) => items.iter_mut().for_each(without_source_types),
        _ => {}
    }
}

/// The calldata of arguments, made by hand; none if there are none, or some are told by a digest.
fn encoded(name: &str, arguments: &Arguments) -> Option<Vec<u8>> {
    if arguments.is_empty() || arguments.iter().any(|(_, value)| value.starts_with("sha256:")) {
        return None;
    }
    let told = |name: &str| arguments.get(name).unwrap();
    let words = match name {
        "note" => {
            let data = bytes_of(told("data"));
            let tail: Vec<_> = data.chunks(32).map(right).collect();
            let head = [integer(told("change")), count(64), count(data.len())];
            [&head[..], &tail[..]].concat()
        }
        "stake" => vec![
            natural(told("amount"), 256),
            left(&bytes_of(told("referrer"))),
            natural(told("terms.until"), 64),
            right(&bytes_of(told("terms.id"))),
            count(usize::from(told("terms.locked") == "true")),
        ],
        _ => {
            let choice = |number: usize| arguments.get(&format!("choices.{number}"));
            let choices = (0..).map_while(|number| Some(natural(choice(number)?, 8)));
            let choices: Vec<_> = choices.collect();
            let head = [count(64), right(&bytes_of(told("topic"))), count(choices.len())];
            [&head[..], &choices[..]].concat()
        }
    };
    Some(words.concat())
}

/// The word of a number, which has so many bits at most.
fn natural(text: &str, bits: usize) -> [u8; 32] {
    let number = U256::from_str_radix(text, 10).unwrap();
    assert!(number.bit_len() <= bits, "an argument is none of its type");
    number.to_be_bytes()
}

fn integer(text: &str) -> [u8; 32] {
    let number = |digits: &str| U256::from_str_radix(digits, 10).unwrap();
    match text.strip_prefix('-') {
        Some(digits) => number(digits).wrapping_neg().to_be_bytes(),
        None => number(text).to_be_bytes(),
    }
}

fn count(number: usize) -> [u8; 32] {
    U256::from(number).to_be_bytes()
}

fn bytes_of(text: &str) -> Vec<u8> {
    hex::decode(text.strip_prefix("0x").unwrap()).unwrap()
}

/// Bytes at the beginning of a word.
fn right(bytes: &[u8]) -> [u8; 32] {
    let mut word = [0; 32];
    word[..bytes.len()].copy_from_slice(bytes);
    word
}

/// Bytes at the end of a word.
fn left(bytes: &[u8]) -> [u8; 32] {
    let mut word = [0; 32];
    word[32 - bytes.len()..].copy_from_slice(bytes);
    word
}

fn contract() -> AccountId {
    AccountId::parse(&format!("eip155:1:{CONTRACT:#x}")).unwrap()
}

static KNOWN: LazyLock<(AbiRegistry, JsonAbi)> = LazyLock::new(|| {
    let registry = added(|registry| registry.add_json_abi(&contract(), ABI)).unwrap();
    (registry, JsonAbi::from_json_str(ABI).unwrap())
});

pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, function, words) in calls() {
        let call = [&[0, function], &words.concat()[..]].concat();
        seeds.push((format!("call-{name}"), call));
    }
    // Of the functions of an ABI, sorted by their names, this is the second.
    let stake = [&[1, 160], &stake(7, &[1, 2, 3, 4]).concat()[..]].concat();
    let mut add = |part: u8, name: &str, head: &[u8], json: &str| {
        seeds.push((name.to_owned(), [&[part], head, json.as_bytes()].concat()));
    };
    let typed = ABI.replace("\"tuple\"", "\"tuple\",\"internalType\":\"struct Vault.Terms\"");
    let deep = format!("\"uint256{}\"", "[]".repeat(1_000));
    for (name, json) in [
        ("whole", ABI.to_owned()),
        ("typed", typed.clone()),
        ("typed-unnamed", typed.replace("\"id\"", "\"\"").replace("\"until\"", "\"\"")),
        ("renamed", ABI.replace("\"amount\"", "\"shares\"")),
        ("same-names", ABI.replace("\"referrer\"", "\"amount\"")),
        ("same-selector", ABI.replace("\"vote\"", "\"stake\"")),
        ("function-twice", format!("{},{}", ABI.trim_end_matches(']'), &ABI[1..])),
        ("large-array", ABI.replace("\"uint256\"", "\"uint256[65535]\"")),
        ("deep", ABI.replace("\"uint256\"", &deep)),
        ("no-type", ABI.replace("\"uint256\"", "\"uint257\"")),
        ("no-components", ABI.replace("\"components\"", "\"others\"")),
        ("no-functions", "[]".to_owned()),
        ("word", format!("[{{\"type\":\"{WORD}\"}}]")),
    ] {
        add(2, &format!("json-{name}"), &stake, &json);
    }
    for name in ["IERC20", "IERC1271"] {
        let file = custody_testkit::vectors::json(&format!("abi/openzeppelin/{name}.json"));
        let abi = file.get("abi").unwrap_or(&file);
        add(2, &format!("json-{name}"), &[0, 0], &abi.to_string());
    }
    let withdraw = [&[0, 32], &count(9)[..]].concat();
    for (name, from, to) in [
        ("whole", "", ""),
        ("elsewhere", "\"chainId\":1,", "\"chainId\":5,"),
        ("other-address", "0x7777", "0x7778"),
        ("no-address", "0x7777", WORD),
        ("plain-address", "0x7777", "7777"),
        ("deployed-twice", "\"chainId\":10,", "\"chainId\":1,"),
        ("no-function", "withdraw(uint256 amount)", "withdraw"),
        ("no-type", "uint256 amount", WORD),
        ("tuple", "uint256 amount", "(uint256,bool)[] pairs"),
        ("named-tuple", "uint256 amount", "(uint256 one, bool two) pair"),
        ("no-display", "\"display\"", "\"displays\""),
    ] {
        let json = DESCRIPTOR.replacen(from, to, 1);
        add(1, &format!("descriptor-{name}"), &withdraw, &json);
    }
    seeds
}

/// Calls of the known functions: a name, the function and the words behind its selector.
fn calls() -> Vec<(&'static str, u8, Vec<[u8; 32]>)> {
    let topic = right(&[9; 32]);
    let long = [vec![count(0), count(64), count(130)], vec![[7; 32]; 4], vec![right(&[7; 2])]];
    let many = [vec![count(64), topic, count(130)], vec![count(3); 130]];
    vec![
        ("note", 0, vec![integer("-5"), count(64), count(3), right(b"abc")]),
        ("note-long", 0, long.concat()),
        ("note-empty", 0, vec![count(5), count(64), count(0)]),
        ("note-moved", 0, vec![count(5), count(96), count(0), count(0)]),
        ("note-padded", 0, vec![count(5), count(64), count(3), right(b"abcd")]),
        ("note-cut", 0, vec![count(5), count(64), count(33), right(b"abc")]),
        ("stake", 1, stake(7, &[1, 2, 3, 4])),
        ("stake-cut", 1, stake(7, &[1])[..4].to_vec()),
        ("stake-no-number-of-64-bits", 1, wide()),
        ("stake-no-four-bytes", 1, stake(7, &[1, 2, 3, 4, 5])),
        ("stake-more", 1, [stake(7, &[1]), vec![count(0)]].concat()),
        ("vote", 2, vec![count(64), topic, count(2), count(1), count(255)]),
        ("vote-none", 2, vec![count(64), topic, count(0)]),
        ("vote-many", 2, many.concat()),
        ("vote-no-byte", 2, vec![count(64), topic, count(1), count(256)]),
        ("vote-too-many", 2, vec![count(64), topic, [0xff; 32], count(1)]),
    ]
}

/// The words of `stake`.
fn stake(until: usize, id: &[u8]) -> Vec<[u8; 32]> {
    vec![count(5), left(&[0xee; 20]), count(until), right(id), count(1)]
}

/// The same, with a number that its type does not have.
fn wide() -> Vec<[u8; 32]> {
    let mut words = stake(0, &[1]);
    words[2][23] = 1;
    words
}

const ABI: &str = r#"[{"type":"function","name":"note","stateMutability":"view","outputs":[],
"inputs":[{"name":"change","type":"int256"},{"name":"data","type":"bytes"}]},
{"type":"function","name":"stake","stateMutability":"payable","outputs":[],
"inputs":[{"name":"amount","type":"uint256"},{"name":"referrer","type":"address"},
{"name":"terms","type":"tuple","components":[{"name":"until","type":"uint64"},
{"name":"id","type":"bytes4"},{"name":"locked","type":"bool"}]}]},
{"type":"function","name":"vote","stateMutability":"view","outputs":[],
"inputs":[{"name":"choices","type":"uint8[]"},{"name":"topic","type":"bytes32"}]}]"#;

const DESCRIPTOR: &str = r#"{"$schema":"x","context":{"$id":"v","contract":{"abi":"x",
"deployments":[{"chainId":1,"address":"0x7777777777777777777777777777777777777777"},
{"chainId":10,"address":"0x7777777777777777777777777777777777777777"}]}},
"metadata":{"owner":"o"},"display":{"formats":{"0x12345678":{"intent":"?"},
"withdraw(uint256 amount)":{"intent":"Withdraw","fields":[]}}}}"#;
