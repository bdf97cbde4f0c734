//! Safes: what their transactions do, called or signed as typed data, and who owns them.

use alloy_primitives::{Address, Bytes, U256, address};
use alloy_sol_types::{SolCall, sol};
use custody_chain::EvmError;
use custody_testkit::vectors;
use serde_json::{Value, json};

use crate::calls::{told, words};
use crate::effects::transferCall;
use crate::typed_data::decode_json;

const SAFE: Address = Address::repeat_byte(0x5a);
const TOKEN: Address = Address::repeat_byte(0x35);
const BOB: Address = Address::repeat_byte(0xb0);
const MULTI_SEND: Address = address!("38869bf66a61cF6bDB996A6aE40D5853Fd43B526");

sol! {
    function execTransaction(
        address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas,
        uint256 gasPrice, address gasToken, address refundReceiver, bytes signatures
    );
    function execTransactionFromModule(address to, uint256 value, bytes data, uint8 operation);
    function multiSend(bytes transactions);
    function approveHash(bytes32 hashToApprove);
    function addOwnerWithThreshold(address owner, uint256 threshold);
    function enableModule(address module);
    function setGuard(address guard);
    function setFallbackHandler(address handler);
    function changeMasterCopy(address masterCopy);
}

/// What a Safe is asked to do.
#[derive(Clone, Debug)]
pub(crate) struct Inner {
    pub(crate) to: Address,
    pub(crate) value: u64,
    pub(crate) data: Vec<u8>,
    pub(crate) operation: u8,
    pub(crate) gas_price: u64,
}

fn inner(to: Address, data: Vec<u8>, operation: u8) -> Inner {
    Inner { to, value: 0, data, operation, gas_price: 0 }
}

/// Told by a call of the Safe, and by what its owners sign.
fn both(inner: &Inner) -> [Result<Vec<String>, EvmError>; 2] {
    let call = execTransactionCall {
        to: inner.to,
        value: U256::from(inner.value),
        data: Bytes::copy_from_slice(&inner.data),
        operation: inner.operation,
        safeTxGas: U256::ZERO,
        baseGas: U256::ZERO,
        gasPrice: U256::from(inner.gas_price),
        gasToken: Address::ZERO,
        refundReceiver: BOB,
        signatures: Bytes::from_static(&[1; 65]),
    };
    let called = told(SAFE, 0, &call.abi_encode());
    let called = called.map(|mut told| {
        assert!(told[0].starts_with("call 5a 0x6a761202"), "{told:?}");
        told.remove(0);
        told
    });
    let signed =
        decode_json(&safe_tx(inner)).map(|intent| intent.effects.iter().map(words).collect());
    [called, signed]
}

pub(crate) fn safe_tx(inner: &Inner) -> Value {
    let field = |name: &str, kind: &str| json!({ "name": name, "type": kind });
    json!({
        "types": {
            "EIP712Domain": [field("chainId", "uint256"), field("verifyingContract", "address")],
            "SafeTx": [
                field("to", "address"), field("value", "uint256"), field("data", "bytes"),
                field("operation", "uint8"), field("safeTxGas", "uint256"),
                field("baseGas", "uint256"), field("gasPrice", "uint256"),
                field("gasToken", "address"), field("refundReceiver", "address"),
                field("nonce", "uint256"),
            ],
        },
        "primaryType": "SafeTx",
        "domain": { "chainId": 1, "verifyingContract": SAFE },
        "message": {
            "to": inner.to, "value": inner.value.to_string(), "data": format!("0x{}", hex::encode(&inner.data)),
            "operation": inner.operation, "safeTxGas": 0, "baseGas": 0,
            "gasPrice": inner.gas_price, "gasToken": Address::ZERO, "refundReceiver": BOB,
            "nonce": 7,
        },
    })
}

pub(crate) fn packed(items: &[(u8, Address, u64, Vec<u8>)]) -> Vec<u8> {
    let item = |(operation, to, value, data): &(u8, Address, u64, Vec<u8>)| {
        let word = |number: u64| U256::from(number).to_be_bytes::<32>().to_vec();
        let length = word(u64::try_from(data.len()).unwrap());
        [vec![*operation], to.to_vec(), word(*value), length, data.clone()].concat()
    };
    multiSendCall { transactions: items.iter().flat_map(item).collect::<Vec<_>>().into() }
        .abi_encode()
}

fn transfer(amount: u64) -> Vec<u8> {
    transferCall { to: BOB, amount: U256::from(amount) }.abi_encode()
}

#[test]
fn what_a_safe_does_is_told_through_it() {
    let batch = [
        (0, TOKEN, 0, transfer(1)),
        (0, BOB, 5, vec![]),
        (1, TOKEN, 0, vec![1, 2, 3, 4]),
        (0, TOKEN, 0, vec![9]),
    ];
    for (name, inner, expected) in [
        ("a token", inner(TOKEN, transfer(4), 0), vec!["5a pays b0 4 /erc20:0x35"]),
        ("a coin", Inner { value: 3, ..inner(BOB, vec![], 0) }, vec!["5a pays b0 3 /slip44:60"]),
        ("nothing", inner(BOB, vec![], 0), vec!["5a pays b0 0 /slip44:60"]),
        ("foreign code", inner(TOKEN, transfer(4), 1), vec!["delegate_call 35 0xa9059cbb"]),
        (
            "a batch",
            inner(MULTI_SEND, packed(&batch), 1),
            vec![
                "delegate_call 38 0x8d80ff0a",
                "5a pays b0 1 /erc20:0x35",
                "5a pays b0 5 /slip44:60",
                "delegate_call 35 0x01020304",
                "call 35 0x09",
            ],
        ),
        ("no batch", inner(MULTI_SEND, packed(&[]), 1), vec!["delegate_call 38 0x8d80ff0a"]),
        ("a batch elsewhere", inner(TOKEN, packed(&batch), 1), vec!["delegate_call 35 0x8d80ff0a"]),
        (
            "a batch that is called",
            inner(MULTI_SEND, packed(&batch), 0),
            vec!["call 38 0x8d80ff0a"],
        ),
    ] {
        for told in both(&inner) {
            assert_eq!(told.unwrap(), expected, "{name}");
        }
    }
    let paid = Inner { gas_price: 1, ..inner(BOB, vec![], 0) };
    for told in both(&paid) {
        let told = told.unwrap();
        assert_eq!(told[0], "5a pays b0 0 /slip44:60");
        assert_eq!(told[1], format!("5a pays b0 {} /slip44:60", U256::MAX), "an unbounded refund");
    }
}

#[test]
fn what_no_safe_can_do_is_refused() {
    let whole = packed(&[(0, TOKEN, 0, transfer(1))]);
    let mut cut = multiSendCall::abi_decode(&whole).unwrap().transactions.to_vec();
    cut.truncate(cut.len() - 1);
    let cut = multiSendCall { transactions: cut.into() }.abi_encode();
    let strange = packed(&[(2, TOKEN, 0, vec![])]);
    let nested = (0..9).fold(transfer(1), |data, _| packed(&[(1, MULTI_SEND, 0, data)]));
    for (name, inner, expected) in [
        ("operation 2", inner(BOB, vec![], 2), EvmError::Operation { found: 2 }),
        ("cut off", inner(MULTI_SEND, cut, 1), EvmError::Batch { position: 0 }),
        ("operation 2 inside", inner(MULTI_SEND, strange, 1), EvmError::Operation { found: 2 }),
        ("too deep", inner(MULTI_SEND, nested, 1), EvmError::Depth { limit: 8 }),
    ] {
        for told in both(&inner) {
            assert_eq!(told, Err(expected.clone()), "{name}");
        }
    }
}

#[test]
fn a_module_acts_as_its_safe_and_an_approved_hash_is_opaque() {
    let module = execTransactionFromModuleCall {
        to: TOKEN,
        value: U256::ZERO,
        data: transfer(2).into(),
        operation: 0,
    };
    let expected = ["call 5a 0x468721a7", "5a pays b0 2 /erc20:0x35"];
    assert_eq!(told(SAFE, 0, &module.abi_encode()).unwrap(), expected);
    let approve = approveHashCall { hashToApprove: [7; 32].into() }.abi_encode();
    assert_eq!(told(SAFE, 0, &approve).unwrap(), ["sign opaque safe/approve-hash"]);
}

#[test]
fn owners_modules_guards_handlers_and_code_of_a_safe_are_administered() {
    let bob = format!("0x{}", "b0".repeat(20));
    for (data, expected) in [
        (
            addOwnerWithThresholdCall { owner: BOB, threshold: U256::from(1) }.abi_encode(),
            format!("administer 5a 0x0d582f13 owner={bob} threshold=1"),
        ),
        (
            enableModuleCall { module: BOB }.abi_encode(),
            format!("administer 5a 0x610b5925 module={bob}"),
        ),
        (setGuardCall { guard: BOB }.abi_encode(), format!("administer 5a 0xe19a9dd9 guard={bob}")),
        (
            setFallbackHandlerCall { handler: BOB }.abi_encode(),
            format!("administer 5a 0xf08a0323 handler={bob}"),
        ),
        (
            changeMasterCopyCall { masterCopy: BOB }.abi_encode(),
            format!("administer 5a 0x7de7edef masterCopy={bob}"),
        ),
    ] {
        for told in both(&inner(SAFE, data, 0)) {
            assert_eq!(told.unwrap(), std::slice::from_ref(&expected));
        }
    }
}

/// Whatever the published interface of a Safe lets somebody change is administered.
#[test]
fn every_function_that_changes_a_safe_is_known() {
    let safe = vectors::json("abi/safe/safe_v1.4.1.json");
    let changing = [
        "addOwnerWithThreshold",
        "changeThreshold",
        "disableModule",
        "enableModule",
        "removeOwner",
        "setFallbackHandler",
        "setGuard",
        "setup",
        "swapOwner",
    ];
    let abi = safe["abi"].as_array().unwrap();
    let mut counts = [0, 0];
    for function in abi.iter().filter(|item| item["type"] == "function") {
        let name = function["name"].as_str().unwrap();
        let kinds: Vec<_> = function["inputs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|input| input["type"].as_str().unwrap())
            .collect();
        let signature = format!("{name}({})", kinds.join(","));
        let selector = &alloy_primitives::keccak256(&signature)[..4];
        let told = told(SAFE, 0, selector).unwrap();
        let administers = told[0].starts_with("administer 5a");
        assert_eq!(administers, changing.contains(&name), "{signature}: {told:?}");
        counts[usize::from(administers)] += 1;
    }
    assert_eq!(counts, [21, 9]);
    for (file, address) in
        [("multi_send_v1.4.1", "38869b"), ("multi_send_call_only_v1.4.1", "9641d7")]
    {
        let text = vectors::json(&format!("abi/safe/{file}.json"))["deployments"]
            .to_string()
            .to_lowercase();
        assert!(text.contains(&format!("0x{address}")), "{file}");
    }
}
