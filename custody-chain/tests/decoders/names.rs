//! A decoder that has seen much tells the same as one that has seen nothing.

use std::thread;

use alloy_primitives::{Address, U256};
use alloy_sol_types::{SolCall, sol};
use custody_chain::EvmDecoder;
use custody_core::seam::{DecodeContext, Decoder as _, Payload};
use k256::ecdsa::SigningKey;

use crate::rlp::{eip1559, number, string, typed};
use crate::support::{context_of, payload, public};

sol! {
    function transferFrom(address from, address to, uint256 amount);
    function setApprovalForAll(address operator, bool approved);
}

const CHAINS: [u64; 2] = [1, 10];

/// Addresses that end alike and those that do not.
fn addresses() -> impl Iterator<Item = Address> {
    (0..20).flat_map(|first| {
        [1, 2, 9].map(|last| {
            let mut address = Address::repeat_byte(0x35);
            (address[0], address[19]) = (first, last);
            address
        })
    })
}

/// Payloads for three keys on two chains, in which each address is a token of two kinds, a payer, a
/// receiver and an operator.
fn cases() -> Vec<(Payload, DecodeContext)> {
    let mut cases = Vec::new();
    let others = addresses().skip(1).chain(addresses().take(1));
    for (address, other) in addresses().zip(others) {
        let (from, to, amount) = (address, other, U256::from(9));
        let calls = [
            transferFromCall { from, to, amount }.abi_encode(),
            setApprovalForAllCall { operator: address, approved: true }.abi_encode(),
        ];
        for (call, chain) in calls.iter().flat_map(|call| CHAINS.map(|chain| (call, chain))) {
            let mut items = eip1559();
            items[0] = number(chain.into());
            items.splice(5..8, [string(other.as_slice()), number(0), string(call)]);
            for seed in 1..=3 {
                let key = public(&SigningKey::from_slice(&[seed; 32]).unwrap());
                let context = context_of(&format!("eip155:{chain}"), key);
                cases.push((payload(&typed(&items)), context));
            }
        }
    }
    cases
}

#[test]
fn what_a_decoder_kept_never_changes_what_it_tells() {
    let (cases, old) = (cases(), EvmDecoder::new());
    assert_eq!(cases.len(), 60 * 2 * 2 * 3);
    let check = |old: &EvmDecoder| {
        for (payload, context) in &cases {
            let intent = old.decode(payload, context).unwrap();
            assert_eq!(intent, EvmDecoder::new().decode(payload, context).unwrap());
        }
    };
    let copies = [old.clone(), old.clone(), old.clone(), old];
    thread::scope(|scope| {
        for copy in &copies {
            scope.spawn(move || (check(copy), check(copy)));
        }
    });
}
