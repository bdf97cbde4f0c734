//! Calls whose arguments a host has named.

use alloy_primitives::{Address, I256, U256, keccak256};
use alloy_sol_types::{SolCall, sol};
use custody_chain::{AbiError, AbiRegistry, EvmDecoder};
use custody_core::caip::AccountId;
use custody_core::effect::{Arguments, Effect};
use custody_core::seam::Decoder;
use custody_testkit::vectors;

use crate::calls::words;
use crate::rlp::{eip1559, string, typed, with};
use crate::support::{MAINNET, context, payload};

const VAULT: Address = Address::repeat_byte(0x77);

sol! {
    function stake(uint256 amount, address referrer, (uint64, bytes32)[] locks);
    function withdraw(uint256 amount);
}

const ABI: &str = r#"[{"type":"function","name":"stake","stateMutability":"nonpayable","outputs":[],
    "inputs":[{"name":"amount","type":"uint256"},{"name":"","type":"address"},
    {"name":"locks","type":"tuple[]","components":[{"name":"until","type":"uint64"},
    {"name":"id","type":"bytes32"}]}]},{"type":"event","name":"E","inputs":[],"anonymous":false}]"#;

const DESCRIPTOR: &str = r#"{"$schema":"x","context":{"$id":"v","contract":{"abi":"x","deployments":[
    {"chainId":1,"address":"0x7777777777777777777777777777777777777777"},
    {"chainId":10,"address":"0x7777777777777777777777777777777777777777"}]}},"metadata":{"owner":"o"},
    "display":{"formats":{"withdraw(uint256 amount)":{"intent":"Withdraw","fields":[]},
    "0x12345678":{"intent":"?"}}}}"#;

fn vault() -> AccountId {
    AccountId::parse(&format!("{MAINNET}:{VAULT:#x}")).unwrap()
}

fn told(abis: AbiRegistry, to: Address, data: &[u8]) -> Vec<String> {
    let items = with(with(eip1559(), 5, string(to.as_slice())), 7, string(data));
    let payload = payload(&typed(&with(items, 6, crate::rlp::number(0))));
    let decoder = EvmDecoder::new().with_abis(abis);
    decoder.decode(&payload, &context(MAINNET)).unwrap().effects.iter().map(words).collect()
}

fn registry() -> AbiRegistry {
    let mut abis = AbiRegistry::new();
    abis.add_json_abi(&vault(), ABI).unwrap();
    abis.add_erc7730(DESCRIPTOR).unwrap();
    abis
}

fn stake() -> Vec<u8> {
    let locks = vec![(7, [1; 32].into()), (8, [2; 32].into())];
    stakeCall { amount: U256::from(5), referrer: Address::repeat_byte(0xee), locks }.abi_encode()
}

#[test]
fn a_call_that_is_named_carries_its_arguments() {
    let selector = hex::encode(&stake()[..4]);
    let expected = format!(
        "call 77 0x{selector} 1=0x{} amount=5 locks.0.id=0x{} locks.0.until=7 locks.1.id=0x{} \
         locks.1.until=8",
        "ee".repeat(20),
        "01".repeat(32),
        "02".repeat(32)
    );
    assert_eq!(told(registry(), VAULT, &stake())[0], expected);
    let withdraw = withdrawCall { amount: U256::from(9) }.abi_encode();
    assert_eq!(told(registry(), VAULT, &withdraw)[0], "call 77 0x2e1a7d4d amount=9");
    let bare = format!("call 77 0x{selector}");
    assert_eq!(told(AbiRegistry::new(), VAULT, &stake())[0], bare);
    assert_eq!(told(registry(), VAULT, &[stake(), vec![0]].concat())[0], bare, "a byte more");
    assert_eq!(told(registry(), VAULT, &stake()[..stake().len() - 32])[0], bare, "a word less");
    let elsewhere = told(registry(), Address::repeat_byte(0x78), &stake());
    assert_eq!(elsewhere[0], format!("call 78 0x{selector}"));
}

#[test]
fn too_many_arguments_are_told_by_one_digest() {
    let locks = (0..70).map(|number| (number, [1; 32].into())).collect();
    let call = stakeCall { amount: U256::from(5), referrer: Address::ZERO, locks }.abi_encode();
    let items = with(with(eip1559(), 5, string(VAULT.as_slice())), 7, string(&call));
    let decoder = EvmDecoder::new().with_abis(registry());
    let intent = decoder.decode(&payload(&typed(&items)), &context(MAINNET)).unwrap();
    let Effect::Call { arguments, .. } = &intent.effects[1] else { panic!() };
    assert_eq!(arguments.iter().count(), 1);
    assert!(arguments.get("all").unwrap().starts_with("sha256:"));
    const { assert!(70 * 2 + 2 > Arguments::MAX) };
}

#[test]
fn a_word_that_is_none_of_its_type_is_not_told() {
    const SHORT: &str = r#"[{"type":"function","name":"f","stateMutability":"view","outputs":[],
        "inputs":[{"name":"a","type":"uint8"},{"name":"b","type":"int16"},
        {"name":"c","type":"bytes4[]"}]}]"#;
    let mut abis = AbiRegistry::new();
    abis.add_json_abi(&vault(), SHORT).unwrap();
    let number = |number: i32| I256::try_from(number).unwrap().to_be_bytes::<32>();
    let bytes = |last: u8| {
        let mut word = [0; 32];
        (word[3], word[4]) = (1, last);
        word
    };
    let call = |a, b, last| {
        let selector = keccak256("f(uint8,int16,bytes4[])");
        let words = [number(a), number(b), number(96), number(1), bytes(last)];
        [&selector[..4], &words.concat()].concat()
    };
    let is_told = |call: Vec<u8>| told(abis.clone(), VAULT, &call)[0].contains(" a=");
    for (a, b, last, expected) in [
        (255, 32_767, 0, true),
        (0, -32_768, 0, true),
        (256, 0, 0, false),
        (-1, 0, 0, false),
        (0, 32_768, 0, false),
        (0, -32_769, 0, false),
        (0, 0, 1, false),
    ] {
        assert_eq!(is_told(call(a, b, last)), expected, "{a} {b} {last}");
    }
}

#[test]
fn what_a_type_is_called_in_the_source_changes_nothing() {
    let typed = ABI.replace(r#""tuple[]""#, r#""tuple[]","internalType":"struct Vault.Lock[]""#);
    let mut abis = AbiRegistry::new();
    abis.add_json_abi(&vault(), &typed).unwrap();
    assert_eq!(told(abis, VAULT, &stake()), told(registry(), VAULT, &stake()));
}

#[test]
fn a_wrapped_coin_of_the_hosts_own_is_unwrapped() {
    let mut abis = AbiRegistry::new();
    abis.add_wrapped_native(&vault()).unwrap();
    let withdraw = withdrawCall { amount: U256::from(9) }.abi_encode();
    assert_eq!(told(abis, VAULT, &withdraw)[0], "9d pays 77 9 /erc20:0x77");
}

#[test]
fn other_names_are_another_decoder() {
    let id = |abis| EvmDecoder::new().with_abis(abis).id().as_str().to_owned();
    let mut wrapped = AbiRegistry::new();
    wrapped.add_wrapped_native(&vault()).unwrap();
    let mut renamed = AbiRegistry::new();
    renamed.add_json_abi(&vault(), &ABI.replace("\"amount\"", "\"shares\"")).unwrap();
    let mut named = AbiRegistry::new();
    named.add_json_abi(&vault(), ABI).unwrap();
    let ids = [id(AbiRegistry::new()), id(wrapped), id(renamed), id(named), id(registry())];
    assert_eq!(ids[0], "evm/5");
    assert_eq!(id(registry()), ids[4]);
    for (index, one) in ids.iter().enumerate() {
        assert!(!ids[..index].contains(one), "{ids:?}");
    }
}

#[test]
fn descriptions_that_say_nothing_or_too_much_are_refused() {
    let mut abis = registry();
    let before = abis.clone();
    let solana = AccountId::parse("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:abc").unwrap();
    let short = AccountId::parse("eip155:1:0x77").unwrap();
    let long = " ".repeat(1_024 * 1_024 + 1);
    let deep = format!("uint256{} amount", "[]".repeat(9));
    for (contract, json, error) in [
        (&vault(), "", AbiError::Malformed),
        (&vault(), "{}", AbiError::Malformed),
        (&vault(), "[]", AbiError::Empty),
        (&vault(), ABI, AbiError::Exists),
        (&solana, ABI, AbiError::Contract),
        (&short, ABI, AbiError::Contract),
        (&vault(), &long, AbiError::TooLong { length: long.len(), limit: long.len() - 1 }),
    ] {
        assert_eq!(abis.add_json_abi(contract, json), Err(error));
    }
    for (json, error) in [
        (DESCRIPTOR.to_owned(), AbiError::Exists),
        ("{}".to_owned(), AbiError::Malformed),
        (
            DESCRIPTOR.replace("withdraw(uint256 amount)", "withdraw(uint7 amount)"),
            AbiError::Malformed,
        ),
        (DESCRIPTOR.replace("withdraw(uint256 amount)", "withdraw"), AbiError::Empty),
        (DESCRIPTOR.replace("7777777777", "zz"), AbiError::Contract),
        (DESCRIPTOR.replace("0x7777", "7777"), AbiError::Contract),
        (DESCRIPTOR.replace("uint256 amount", &deep), AbiError::Malformed),
        (DESCRIPTOR.replace("uint256 amount", "uint256[64][65] amount"), AbiError::Malformed),
        (DESCRIPTOR.replace("uint256 amount", "(bool,bool)[2049] amount"), AbiError::Malformed),
        (long.clone(), AbiError::TooLong { length: long.len(), limit: long.len() - 1 }),
    ] {
        assert_eq!(abis.add_erc7730(&json), Err(error), "{json:.60}");
    }
    assert_eq!(abis.add_wrapped_native(&solana), Err(AbiError::Contract));
    assert_eq!(abis, before, "a refusal changes nothing");
}

#[test]
fn arrays_of_a_fixed_size_are_bounded_and_not_refused() {
    for amount in
        ["uint256[64][64] amount", "uint256[][][][][][][][] amount", "(bool,bool)[2048] a"]
    {
        let json = DESCRIPTOR.replace("uint256 amount", amount);
        assert_eq!(AbiRegistry::new().add_erc7730(&json), Ok(()), "{amount}");
    }
}

#[test]
fn published_abis_are_read() {
    let mut functions = 0;
    for (number, name) in
        ["ERC20", "ERC20Permit", "ERC721", "ERC1155", "IERC20", "IERC1271"].iter().enumerate()
    {
        let contract = AccountId::parse(&format!("{MAINNET}:0x{:040x}", number + 1)).unwrap();
        let file = vectors::json(&format!("abi/openzeppelin/{name}.json"));
        let abi = file.get("abi").unwrap_or(&file);
        AbiRegistry::new().add_json_abi(&contract, &abi.to_string()).unwrap();
        functions +=
            abi.as_array().unwrap().iter().filter(|item| item["type"] == "function").count();
    }
    assert_eq!(functions, 50);
}
