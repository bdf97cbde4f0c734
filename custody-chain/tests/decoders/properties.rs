//! Random transactions, written by another implementation.

use alloy_consensus::{SignableTransaction as _, TxEip1559, TxLegacy};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::SolCall as _;
use custody_core::caip::AccountId;
use custody_core::effect::{Arguments, Effect, Selector};
use proptest::prelude::*;

use crate::effects::{approveCall, named, transferCall, transferFromCall, units};
use crate::support::{MAINNET, address, decode, key, public, signed};

/// A transaction before anybody has encoded it.
#[derive(Clone, Debug)]
struct Plan {
    nonce: u64,
    priority: u128,
    fee: u128,
    gas: u64,
    value: U256,
    access_list: AccessList,
    act: Act,
}

#[derive(Clone, Debug)]
enum Act {
    Approve(Address, Address, U256),
    Call(Address, Vec<u8>),
    Create(Vec<u8>),
    Pay(Address),
    Transfer(Address, Address, U256),
    TransferFrom(Address, Address, Address, U256),
}

impl Plan {
    fn kind(&self) -> TxKind {
        match self.act {
            Act::Create(_) => TxKind::Create,
            Act::Pay(to)
            | Act::Approve(to, ..)
            | Act::Call(to, _)
            | Act::Transfer(to, ..)
            | Act::TransferFrom(to, ..) => TxKind::Call(to),
        }
    }

    fn data(&self) -> Bytes {
        match self.act.clone() {
            Act::Approve(_, spender, amount) => approveCall { spender, amount }.abi_encode(),
            Act::Call(_, data) | Act::Create(data) => data,
            Act::Pay(_) => Vec::new(),
            Act::Transfer(_, to, amount) => transferCall { to, amount }.abi_encode(),
            Act::TransferFrom(_, from, to, amount) => {
                transferFromCall { from, to, amount }.abi_encode()
            }
        }
        .into()
    }

    fn legacy(&self, chain_id: Option<u64>) -> Vec<u8> {
        TxLegacy {
            chain_id,
            nonce: self.nonce,
            gas_price: self.fee,
            gas_limit: self.gas,
            to: self.kind(),
            value: self.value,
            input: self.data(),
        }
        .encoded_for_signing()
    }

    fn eip1559(&self) -> Vec<u8> {
        TxEip1559 {
            chain_id: 1,
            nonce: self.nonce,
            gas_limit: self.gas,
            max_fee_per_gas: self.fee,
            max_priority_fee_per_gas: self.priority,
            to: self.kind(),
            value: self.value,
            access_list: self.access_list.clone(),
            input: self.data(),
        }
        .encoded_for_signing()
    }

    fn effects(&self) -> Vec<Effect> {
        let sender = address(&public(&key()));
        let native = |amount| units("eip155:1/slip44:60", amount);
        let mut effects = Vec::new();
        let receiver = match self.kind() {
            TxKind::Create => sender.create(self.nonce),
            TxKind::Call(to) => to,
        };
        if self.value != U256::ZERO || matches!(self.act, Act::Pay(_)) {
            effects.push(moved(native(self.value), named(sender), receiver));
        }
        let token = |amount| units(&format!("eip155:1/erc20:{receiver}"), amount);
        effects.extend(match &self.act {
            Act::Approve(_, spender, amount) => {
                Some(Effect::Approve { amount: token(*amount), spender: named(*spender) })
            }
            Act::Call(to, data) => Some(Effect::Call {
                contract: named(*to),
                selector: Selector::parse(&format!("0x{}", hex::encode(&data[..4]))).unwrap(),
                arguments: Arguments::new(),
            }),
            Act::Create(_) => Some(Effect::Deploy),
            Act::Pay(_) => None,
            Act::Transfer(_, to, amount) => Some(moved(token(*amount), named(sender), *to)),
            Act::TransferFrom(_, from, to, amount) => {
                Some(moved(token(*amount), named(*from), *to))
            }
        });
        let fee = U256::from(self.fee) * U256::from(self.gas);
        effects.push(Effect::PayFee { amount: native(fee), rate: None });
        effects
    }
}

fn moved(amount: custody_core::amount::Amount, from: AccountId, to: Address) -> Effect {
    Effect::Transfer { amount, from, to: named(to) }
}

fn arb_address() -> impl Strategy<Value = Address> {
    any::<[u8; 20]>().prop_map(Address::from)
}

/// A word of the EVM, as often of one length as of another.
fn arb_word() -> impl Strategy<Value = U256> {
    (any::<[u8; 32]>(), 0..=256_usize)
        .prop_map(|(bytes, shift)| U256::from_be_bytes(bytes) >> shift)
}

fn arb_act() -> impl Strategy<Value = Act> {
    let address = arb_address;
    let data = || proptest::collection::vec(1_u8..8, 4..200);
    prop_oneof![
        address().prop_map(Act::Pay),
        (address(), data()).prop_map(|(to, data)| Act::Call(to, data)),
        data().prop_map(Act::Create),
        (address(), address(), arb_word()).prop_map(|(a, b, n)| Act::Approve(a, b, n)),
        (address(), address(), arb_word()).prop_map(|(a, b, n)| Act::Transfer(a, b, n)),
        (address(), address(), address(), arb_word())
            .prop_map(|(a, b, c, n)| Act::TransferFrom(a, b, c, n)),
    ]
}

fn arb_access_list() -> impl Strategy<Value = AccessList> {
    let keys = proptest::collection::vec(any::<[u8; 32]>().prop_map(B256::from), 0..3);
    let item = (arb_address(), keys)
        .prop_map(|(address, storage_keys)| AccessListItem { address, storage_keys });
    proptest::collection::vec(item, 0..3).prop_map(AccessList)
}

prop_compose! {
    fn arb_plan()(
        nonce in 0..u64::MAX,
        fees in (0..=u128::MAX, 0..=128_u32),
        share in 0..=128_u32,
        gas in any::<u64>(),
        value in arb_word().prop_map(|units| units >> 1),
        access_list in arb_access_list(),
        act in arb_act(),
    ) -> Plan {
        let fee = fees.0.checked_shr(fees.1).unwrap_or(0);
        let priority = fee.checked_shr(share).unwrap_or(0);
        Plan { nonce, priority, fee, gas, value, access_list, act }
    }
}

proptest! {
    #[test]
    fn a_transaction_of_another_implementation_gives_its_effects(plan in arb_plan()) {
        for bytes in [plan.legacy(None), plan.legacy(Some(1)), plan.eip1559()] {
            prop_assert_eq!(decode(&bytes).unwrap().effects, plan.effects());
        }
    }

    #[test]
    fn every_prefix_and_every_extension_is_refused(
        plan in arb_plan(),
        more in proptest::collection::vec(any::<u8>(), 1..40),
    ) {
        for bytes in [plan.legacy(None), plan.legacy(Some(1)), plan.eip1559()] {
            for length in 0..bytes.len() {
                prop_assert!(decode(&bytes[..length]).is_err());
            }
            prop_assert!(decode(&[bytes.as_slice(), &more].concat()).is_err());
        }
    }

    #[test]
    fn a_flip_of_any_bit_gives_another_digest_or_a_refusal(
        plan in arb_plan(),
        position in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        for bytes in [plan.legacy(None), plan.legacy(Some(1)), plan.eip1559()] {
            let mut other = bytes.clone();
            other[position.index(bytes.len())] ^= 1 << bit;
            crate::fuzz::check(&other);
            if let Ok(other) = decode(&other) {
                prop_assert_ne!(other.tasks, decode(&bytes).unwrap().tasks);
            }
        }
    }

    #[test]
    fn the_signed_form_recovers_to_the_sender(plan in arb_plan()) {
        for bytes in [plan.legacy(None), plan.legacy(Some(1)), plan.eip1559()] {
            let raw = signed(&bytes, MAINNET, &key()).unwrap();
            prop_assert_eq!(recovered(&raw), address(&public(&key())));
        }
    }
}

/// The sender of a signed transaction, as another implementation reads it.
fn recovered(raw: &[u8]) -> Address {
    use alloy_consensus::TxEnvelope;
    use alloy_eips::eip2718::Decodable2718 as _;

    let envelope = TxEnvelope::decode_2718_exact(raw).unwrap();
    let signature = envelope.signature();
    let digest = envelope.signature_hash();
    let scalars = k256::ecdsa::Signature::from_slice(&signature.as_bytes()[..64]).unwrap();
    let parity = k256::ecdsa::RecoveryId::from_byte(u8::from(signature.v())).unwrap();
    let key = k256::ecdsa::VerifyingKey::recover_from_prehash(digest.as_slice(), &scalars, parity)
        .unwrap();
    Address::from_raw_public_key(&key.to_sec1_point(false).as_bytes()[1..])
}
