//! What transactions become.

use alloy_primitives::{Address, U256, address};
use alloy_sol_types::{SolCall, sol};
use custody_chain::EvmDecoder;
use custody_core::amount::{Amount, Units};
use custody_core::caip::{AccountId, AssetId, ChainId};
use custody_core::crypto::Algorithm;
use custody_core::effect::{Arguments, DecodeFact, Effect, Selector};
use custody_core::seam::{Decoder, TaskInput};

use crate::rlp::{eip155, eip1559, legacy, list, number, string, typed, with};
use crate::support::{MAINNET, account, context, decode, decode_in, key, public, public_of};

sol! {
    function transfer(address to, uint256 amount);
    function transferFrom(address from, address to, uint256 amount);
    function approve(address spender, uint256 amount);
    function increaseAllowance(address spender, uint256 amount);
}

const TOKEN: Address = Address::repeat_byte(0x35);
const ALICE: Address = address!("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed");
const BOB: Address = address!("0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359");

/// The fee of the payloads of `rlp`.
const FEE: u128 = 20_000_000_000 * 21_000;

pub(crate) fn named(address: Address) -> AccountId {
    AccountId::new(&ChainId::parse(MAINNET).unwrap(), &address.to_string()).unwrap()
}

fn sender() -> AccountId {
    account(MAINNET, &public(&key()))
}

pub(crate) fn units(asset: &str, units: U256) -> Amount {
    Amount::new(AssetId::parse(asset).unwrap(), Units::from_be_bytes(units.to_be_bytes()))
}

pub(crate) fn native(amount: u128) -> Amount {
    units("eip155:1/slip44:60", U256::from(amount))
}

fn token(amount: U256) -> Amount {
    units(&format!("eip155:1/erc20:{TOKEN:#x}"), amount)
}

fn moved(amount: Amount, from: &AccountId, to: &AccountId) -> Effect {
    Effect::Transfer { amount, from: from.clone(), to: to.clone() }
}

fn called(selector: &str) -> Effect {
    Effect::Call {
        contract: named(TOKEN),
        selector: Selector::parse(selector).unwrap(),
        arguments: Arguments::new(),
    }
}

fn fee() -> Effect {
    Effect::PayFee { amount: native(FEE), rate: None }
}

/// The effects of a transaction with this receiver, value and calldata; the same in all kinds.
fn effects(to: Option<Address>, value: u128, data: &[u8]) -> Vec<Effect> {
    let to = to.map_or_else(|| string(&[]), |to| string(to.as_slice()));
    let body = [to, number(value), string(data)];
    let mut old = legacy();
    old.splice(3..6, body.clone());
    let mut protected = eip155();
    protected.splice(3..6, body.clone());
    let mut market = eip1559();
    market.splice(5..8, body);
    let [first, second, third] = [list(&old), list(&protected), typed(&market)].map(|bytes| {
        let intent = decode(&bytes).unwrap();
        assert_eq!(intent.effects.len(), intent.summary.len());
        intent.effects
    });
    assert_eq!(first, second);
    assert_eq!(second, third);
    first
}

#[test]
fn a_transaction_without_calldata_is_a_transfer_even_of_nothing() {
    for value in [0, 1, u128::MAX] {
        let expected = [moved(native(value), &sender(), &named(TOKEN)), fee()];
        assert_eq!(effects(Some(TOKEN), value, &[]), expected);
    }
}

#[test]
fn strict_token_calls_move_or_allow_the_token() {
    for amount in [U256::ZERO, U256::from(5), U256::MAX] {
        let transfer = transferCall { to: ALICE, amount }.abi_encode();
        let expected = [moved(token(amount), &sender(), &named(ALICE)), fee()];
        assert_eq!(effects(Some(TOKEN), 0, &transfer), expected);

        let taken = transferFromCall { from: ALICE, to: BOB, amount }.abi_encode();
        let expected = [moved(token(amount), &named(ALICE), &named(BOB)), fee()];
        assert_eq!(effects(Some(TOKEN), 0, &taken), expected);

        let approve = approveCall { spender: BOB, amount }.abi_encode();
        let expected = [Effect::Approve { amount: token(amount), spender: named(BOB) }, fee()];
        assert_eq!(effects(Some(TOKEN), 0, &approve), expected);
    }
}

#[test]
fn value_beside_calldata_is_a_transfer_of_its_own() {
    let paid = moved(native(5), &sender(), &named(TOKEN));
    let transfer = transferCall { to: ALICE, amount: U256::from(9) }.abi_encode();
    let sent = moved(token(U256::from(9)), &sender(), &named(ALICE));
    assert_eq!(effects(Some(TOKEN), 5, &transfer), [paid.clone(), sent, fee()]);
    assert_eq!(effects(Some(TOKEN), 5, &[0xde; 9]), [paid, called("0xdededede"), fee()]);
}

#[test]
fn sloppy_token_calls_are_calls_of_unknown_meaning() {
    let calls = [
        ("0xa9059cbb", transferCall { to: ALICE, amount: U256::from(5) }.abi_encode()),
        ("0x095ea7b3", approveCall { spender: ALICE, amount: U256::from(5) }.abi_encode()),
        (
            "0x23b872dd",
            transferFromCall { from: ALICE, to: BOB, amount: U256::from(5) }.abi_encode(),
        ),
    ];
    for (selector, data) in calls {
        let mut sloppy: Vec<Vec<u8>> =
            (4..data.len()).map(|length| data[..length].to_vec()).collect();
        for more in [1, 4, 31, 32, 64] {
            sloppy.push([data.clone(), vec![0; more]].concat());
            sloppy.push([data.clone(), vec![7; more]].concat());
        }
        let padding = if data.len() > 68 { [4..16, 36..48] } else { [4..16, 4..16] };
        for position in padding.into_iter().flatten() {
            for dirt in [0x01, 0x80, 0xff] {
                let mut dirty = data.clone();
                dirty[position] = dirt;
                sloppy.push(dirty);
            }
        }
        for data in sloppy {
            let found = effects(Some(TOKEN), 0, &data);
            assert_eq!(found, [called(selector), fee()], "{} bytes", data.len());
        }
    }
}

#[test]
fn other_functions_are_calls_with_their_selector() {
    for (data, selector) in [
        (&[0x12][..], "0x12"),
        (&[0x12, 0x34], "0x1234"),
        (&[0x12, 0x34, 0x56], "0x123456"),
        (&[0x12, 0x34, 0x56, 0x78], "0x12345678"),
        (&[0; 100], "0x00000000"),
    ] {
        assert_eq!(effects(Some(TOKEN), 0, data), [called(selector), fee()], "{selector}");
    }
}

#[test]
fn a_call_is_one_whether_it_is_of_a_token_or_of_the_sender_itself() {
    let own: Address = sender().address().parse().unwrap();
    let data = transferCall { to: own, amount: U256::from(5) }.abi_encode();
    let expected = [moved(token(U256::from(5)), &sender(), &sender()), fee()];
    assert_eq!(effects(Some(TOKEN), 0, &data), expected);
}

#[test]
fn a_transaction_without_receiver_deploys_and_its_value_goes_to_the_new_contract() {
    assert_eq!(effects(None, 0, &[0x60; 9]), [Effect::Deploy, fee()]);
    assert_eq!(effects(None, 0, &[]), [Effect::Deploy, fee()]);
    let own: Address = sender().address().parse().unwrap();
    let created = named(own.create(7));
    let expected = [moved(native(5), &sender(), &created), Effect::Deploy, fee()];
    assert_eq!(effects(None, 5, &[0x60; 9]), expected);
}

#[test]
fn the_created_address_follows_from_sender_and_nonce() {
    // go-ethereum, crypto_test.go, TestNewContractAddress.
    let sender = address!("0x970e8128ab834e8eac17ab8e3812f010678cf791");
    assert_eq!(sender.create(0), address!("0x333c3310824b7c685133f2bedb2ca4b8b4df633d"));
    assert_eq!(sender.create(1), address!("0x8bda78331c916a08481428e4b07c96d3e916d165"));
    assert_eq!(sender.create(2), address!("0xc9ddedf451bc62ce88bf9292afb13df35b670699"));
}

#[test]
fn an_access_list_changes_the_digest_and_no_effect() {
    let entry = list(&[string(&[1; 20]), list(&[string(&[2; 32])])]);
    let plain = decode(&typed(&eip1559())).unwrap();
    let listed = decode(&typed(&with(eip1559(), 8, list(&[entry])))).unwrap();
    assert_eq!(plain.effects, listed.effects);
    assert_ne!(plain.tasks, listed.tasks);
}

#[test]
fn only_a_transaction_without_chain_id_is_replayable() {
    let fact = DecodeFact::parse("replayable").unwrap();
    assert!(decode(&list(&legacy())).unwrap().facts.into_iter().eq([fact]));
    assert!(decode(&list(&eip155())).unwrap().facts.is_empty());
    assert!(decode(&typed(&eip1559())).unwrap().facts.is_empty());
    for chain in ["eip155:5", "eip155:8453", "eip155:9223372036854775771"] {
        assert!(decode_in(&list(&legacy()), &context(chain)).is_ok());
        assert!(decode_in(&list(&eip155()), &context(chain)).is_err());
    }
}

#[test]
fn the_native_asset_is_named_after_the_chain() {
    let intent = decode_in(&list(&legacy()), &context("eip155:8453")).unwrap();
    for effect in &intent.effects {
        assert_eq!(effect.amount().unwrap().asset().as_str(), "eip155:8453/slip44:60");
    }
    assert_eq!(intent.chain.as_str(), "eip155:8453");
}

#[test]
fn there_is_one_task_over_the_bytes_as_given() {
    for bytes in [list(&legacy()), list(&eip155()), typed(&eip1559())] {
        let intent = decode(&bytes).unwrap();
        let [task] = intent.tasks.as_slice() else { panic!("one task") };
        assert_eq!(task.key.as_str(), "key-0");
        assert_eq!(task.algorithm, Algorithm::EcdsaSecp256k1);
        assert_eq!(task.input, TaskInput::Prehash(alloy_primitives::keccak256(&bytes).0));
    }
}

#[test]
fn the_summary_tells_each_effect_in_base_units_and_checksummed_addresses() {
    let summary = |to: Option<Address>, value, data: &[u8]| {
        let to = to.map_or_else(|| string(&[]), |to| string(to.as_slice()));
        let mut items = eip1559();
        items.splice(5..8, [to, number(value), string(data)]);
        let mut lines = decode(&typed(&items)).unwrap().summary;
        assert_eq!(lines.pop().unwrap(), "pay a fee of at most 420000000000000 eip155:1/slip44:60");
        lines
    };
    let token = "eip155:1/erc20:0x3535353535353535353535353535353535353535";
    let amount = U256::from(9);
    assert_eq!(
        summary(Some(ALICE), 5, &[]),
        ["transfer 5 eip155:1/slip44:60 to 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"]
    );
    assert_eq!(
        summary(Some(TOKEN), 0, &transferFromCall { from: ALICE, to: BOB, amount }.abi_encode()),
        [format!(
            "transfer 9 {token} from 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed \
             to 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"
        )]
    );
    assert_eq!(
        summary(Some(TOKEN), 0, &approveCall { spender: ALICE, amount }.abi_encode()),
        [format!("allow 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed to take 9 {token}")]
    );
    assert_eq!(
        summary(Some(BOB), 0, &[0xde; 9]),
        ["call 0xdededede of 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359 with 9 bytes"]
    );
    assert_eq!(
        summary(None, 0, &[0x60; 9]),
        ["create a contract at 0x393FB85c28C24868D5DfCe91194699ac342fFa6B from 9 bytes"]
    );
}

#[test]
fn accounts_are_those_of_ecdsa_keys_over_secp256k1_on_evm_chains() {
    let decoder = EvmDecoder::new();
    let chain = |text| ChainId::parse(text).unwrap();
    // EIP-155, "Example".
    let expected = "eip155:1:0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f";
    assert_eq!(sender().to_string(), expected);
    for algorithm in Algorithm::ALL {
        let key = public_of(algorithm);
        let known = algorithm == Algorithm::EcdsaSecp256k1;
        assert_eq!(decoder.account(&chain(MAINNET), &key).is_some(), known, "{algorithm}");
        assert_eq!(decoder.account(&chain("solana:1"), &key), None);
        assert_eq!(decoder.account(&chain("eip155:01"), &key), None);
    }
}
