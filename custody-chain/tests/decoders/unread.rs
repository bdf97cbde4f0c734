//! Calls that make calls, encoded in another way than their one form. Contracts of Solidity take
//! them all the same, so what cannot be read is opaque: beside the effects that a legitimate call of
//! the same function has, nothing else would tell the two apart.

use alloy_primitives::{Address, Bytes, U256, address};
use alloy_sol_types::{SolCall, sol};

use crate::calls::{Call3, Call3Value, Uniswap, multicallCall, told, words};
use crate::safes::{
    Inner, approveHashCall, execTransactionCall, execTransactionFromModuleCall, packed, safe_tx,
};
use crate::typed_data::decode_json;

const CONTRACT: Address = Address::repeat_byte(0x5a);
const BOB: Address = Address::repeat_byte(0xb0);
const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");
const MULTI_SENDS: [Address; 2] = [
    address!("38869bf66a61cF6bDB996A6aE40D5853Fd43B526"),
    address!("9641d764fc13c8B624c04430C7356C1C7C8102e2"),
];
const OPAQUE: &str = "sign opaque evm/unread-calls";

mod batch {
    use super::sol;

    sol! {
        struct Call { address target; bytes callData; }

        function aggregate(Call[] calls);
        function blockAndAggregate(Call[] calls);
        function tryAggregate(bool requireSuccess, Call[] calls);
        function tryBlockAndAggregate(bool requireSuccess, Call[] calls);
        function execTransactionFromModuleReturnData(
            address to, uint256 value, bytes data, uint8 operation
        );
    }

    pub(super) mod until {
        super::sol! { function multicall(uint256 deadline, bytes[] data); }
    }

    pub(super) mod after {
        super::sol! { function multicall(bytes32 previousBlockhash, bytes[] data); }
    }
}

/// The forms that are not the one form, and that contracts take.
fn sloppy(data: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![
        ("a byte behind it", [data, &[0]].concat()),
        ("bytes behind it", [data, &[7; 3]].concat()),
        ("a word behind it", [data, &[0; 32]].concat()),
        ("cut", data[..data.len() - 1].to_vec()),
        ("nothing but the selector", data[..4].to_vec()),
    ];
    let mut dirty = data.to_vec();
    if dirty.last() == Some(&0) {
        *dirty.last_mut().unwrap() = 1;
        forms.push(("padding that is not zero", dirty));
    }
    if U256::from_be_slice(&data[4..36]) == U256::from(32) {
        let offset = U256::from(64).to_be_bytes::<32>();
        let moved = [&data[..4], &offset, &[0; 32], &data[36..]].concat();
        forms.push(("an offset that leaves a word out", moved));
    }
    forms
}

/// What makes calls, with who is called.
fn executing() -> Vec<(Address, Vec<u8>)> {
    // Its length is no whole number of words, so that there is padding.
    let data = || Bytes::from_static(&[0xa9; 5]);
    let call = || batch::Call { target: BOB, callData: data() };
    let call3 = || Call3 { target: BOB, allowFailure: false, callData: data() };
    let value = U256::from(9);
    let valued = Call3Value { target: BOB, allowFailure: false, value, callData: data() };
    let exec = execTransactionCall {
        to: BOB,
        value,
        data: data(),
        operation: 0,
        safeTxGas: U256::ZERO,
        baseGas: U256::ZERO,
        gasPrice: U256::ZERO,
        gasToken: Address::ZERO,
        refundReceiver: Address::ZERO,
        signatures: Bytes::from_static(&[1; 65]),
    };
    let module = execTransactionFromModuleCall { to: BOB, value, data: data(), operation: 0 };
    let returning = batch::execTransactionFromModuleReturnDataCall {
        to: BOB,
        value,
        data: data(),
        operation: 0,
    };
    let until = batch::until::multicallCall { deadline: value, data: vec![data()] };
    let after = batch::after::multicallCall { previousBlockhash: value.into(), data: vec![data()] };
    let tries = batch::tryAggregateCall { requireSuccess: true, calls: vec![call()] };
    let blocks = batch::tryBlockAndAggregateCall { requireSuccess: true, calls: vec![call()] };
    let others = [
        batch::aggregateCall { calls: vec![call()] }.abi_encode(),
        batch::blockAndAggregateCall { calls: vec![call()] }.abi_encode(),
        tries.abi_encode(),
        blocks.abi_encode(),
        Uniswap::aggregate3Call { calls: vec![call3()] }.abi_encode(),
        Uniswap::aggregate3ValueCall { calls: vec![valued] }.abi_encode(),
    ];
    let own = [
        multicallCall { data: vec![data()] }.abi_encode(),
        until.abi_encode(),
        after.abi_encode(),
        exec.abi_encode(),
        module.abi_encode(),
        returning.abi_encode(),
    ];
    let others = others.into_iter().map(|data| (MULTICALL3, data));
    others.chain(own.into_iter().map(|data| (CONTRACT, data))).collect()
}

#[test]
fn calls_that_make_calls_in_another_form_are_opaque() {
    for (to, data) in executing() {
        let selector = format!("0x{}", hex::encode(&data[..4]));
        let canonical = told(to, 0, &data).unwrap();
        assert!(!canonical.iter().any(|effect| effect.starts_with("sign opaque")), "{selector}");
        assert!(
            canonical
                .iter()
                .any(|effect| effect.starts_with("call b0 ")
                    || effect.starts_with("call 5a 0xa9a9a9a9")),
            "{selector}: {canonical:?}"
        );
        for (form, data) in sloppy(&data) {
            let told = told(to, 0, &data).unwrap();
            assert_eq!(told.len(), 2, "{selector}, {form}: {told:?}");
            assert!(told[0].starts_with("call ") && told[0].contains(&selector), "{told:?}");
            assert_eq!(told[1], OPAQUE, "{selector}, {form}");
        }
    }
}

#[test]
fn an_approved_hash_is_opaque_in_every_form() {
    let data = approveHashCall { hashToApprove: [7; 32].into() }.abi_encode();
    for (form, data) in sloppy(&data) {
        let told = told(CONTRACT, 0, &data).unwrap();
        assert_eq!(told, ["sign opaque safe/approve-hash"], "{form}");
    }
}

#[test]
fn what_a_safe_runs_in_another_form_is_opaque() {
    let batch = packed(&[(0, BOB, 5, vec![])]);
    for to in MULTI_SENDS {
        for (form, data) in sloppy(&batch) {
            let inner = Inner { to, value: 0, data: data.clone(), operation: 1, gas_price: 0 };
            let signed: Vec<_> =
                decode_json(&safe_tx(&inner)).unwrap().effects.iter().map(words).collect();
            assert_eq!(signed.len(), 2, "{form}: {signed:?}");
            assert!(signed[0].starts_with("delegate_call "), "{signed:?}");
            assert_eq!(signed[1], OPAQUE, "{form}");
            // The same inside of a batch that is well encoded.
            let outer = packed(&[(0, BOB, 1, vec![]), (1, to, 0, data)]);
            let inner = Inner { to, value: 0, data: outer, operation: 1, gas_price: 0 };
            let signed: Vec<_> =
                decode_json(&safe_tx(&inner)).unwrap().effects.iter().map(words).collect();
            assert_eq!(signed.len(), 4, "{form}: {signed:?}");
            assert_eq!(signed[3], OPAQUE, "{form}");
        }
    }
}

#[test]
fn a_sloppy_batch_is_opaque_however_deep_it_is() {
    for (_, data) in executing().into_iter().filter(|(to, _)| *to == CONTRACT) {
        for (form, data) in sloppy(&data) {
            let outer = execTransactionFromModuleCall {
                to: CONTRACT,
                value: U256::ZERO,
                data: data.into(),
                operation: 0,
            };
            let told = told(CONTRACT, 0, &outer.abi_encode()).unwrap();
            assert_eq!(told.len(), 3, "{form}: {told:?}");
            assert_eq!(told[2], OPAQUE, "{form}");
        }
    }
}
