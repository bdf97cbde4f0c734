use custody_core::amount::{Amount, Asset, Units};
use custody_core::caip::{AccountId, AssetId, ChainId};
use custody_core::effect::{
    Action, Arguments, DecodeFact, Effect, GovernanceTarget, MessageKind, Selector,
};
use custody_core::time::Timestamp;
use proptest::collection::btree_map;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;

use super::{arb_book_id, arb_extension_name, arb_wallet_id};

/// Any number of base units, small and very large ones more often.
pub fn arb_units() -> impl Strategy<Value = Units> {
    prop_oneof![
        4 => any::<u64>().prop_map(Units::from),
        2 => (0..1_000_u64).prop_map(Units::from),
        2 => any::<[u8; 32]>().prop_map(Units::from_be_bytes),
        1 => Just(Units::ZERO),
        1 => Just(Units::MAX),
    ]
}

/// Any time.
pub fn arb_timestamp() -> impl Strategy<Value = Timestamp> {
    (0..=Timestamp::MAX.as_millis()).prop_map(Timestamp::from_millis)
}

/// Any name of a chain.
pub fn arb_chain_id() -> impl Strategy<Value = ChainId> {
    prop_oneof![Just("eip155:1".to_owned()), "[a-z0-9-]{3,8}:[a-zA-Z0-9_-]{1,32}",]
        .prop_map(|text| ChainId::parse(&text).unwrap())
}

/// Any name of an account.
pub fn arb_account_id() -> impl Strategy<Value = AccountId> {
    (arb_chain_id(), "[a-zA-Z0-9.%-]{1,128}")
        .prop_map(|(chain, address)| AccountId::new(&chain, &address).unwrap())
}

/// Any name of an asset.
pub fn arb_asset_id() -> impl Strategy<Value = AssetId> {
    (arb_chain_id(), "[a-z0-9-]{3,8}:[a-zA-Z0-9.%-]{1,128}")
        .prop_map(|(chain, asset)| AssetId::parse(&format!("{chain}/{asset}")).unwrap())
}

/// Any asset.
pub fn arb_asset() -> impl Strategy<Value = Asset> {
    (arb_asset_id(), any::<u8>()).prop_map(|(id, decimals)| Asset::new(id, decimals))
}

/// Any amount.
pub fn arb_amount() -> impl Strategy<Value = Amount> {
    (arb_asset_id(), arb_units()).prop_map(|(asset, units)| Amount::new(asset, units))
}

/// Any selector.
pub fn arb_selector() -> impl Strategy<Value = Selector> {
    prop_oneof![Just(String::new()), "0x[0-9a-f]{8}", "[a-zA-Z0-9]{1,64}"]
        .prop_map(|text| Selector::parse(&text).unwrap())
}

/// Any kind of message.
pub fn arb_message_kind() -> impl Strategy<Value = MessageKind> {
    "[a-zA-Z0-9_/.:-]{1,64}".prop_map(|text| MessageKind::parse(&text).unwrap())
}

/// Up to three arguments.
pub fn arb_arguments() -> impl Strategy<Value = Arguments> {
    btree_map("[a-z.]{1,8}", "[a-zA-Z0-9 =]{0,16}", 0..4).prop_map(|texts| {
        let mut arguments = Arguments::new();
        for (name, value) in &texts {
            arguments.insert(name, value).unwrap();
        }
        arguments
    })
}

/// Any fact of a decoder.
pub fn arb_decode_fact() -> impl Strategy<Value = DecodeFact> {
    "[a-z0-9_]{1,64}".prop_map(|text| DecodeFact::parse(&text).unwrap())
}

/// Any action.
pub fn arb_action() -> impl Strategy<Value = Action> {
    select(Action::ALL)
}

/// Any target of a command.
pub fn arb_governance_target() -> impl Strategy<Value = GovernanceTarget> {
    prop_oneof![
        arb_book_id().prop_map(GovernanceTarget::Book),
        Just(GovernanceTarget::House),
        arb_wallet_id().prop_map(GovernanceTarget::Wallet),
    ]
}

/// Any effect, each kind as often.
pub fn arb_effect() -> impl Strategy<Value = Effect> {
    let contract = || (arb_account_id(), arb_selector(), arb_arguments());
    let command = (
        select(Action::ALL).prop_filter("a command", |action| action.is_governance()),
        arb_governance_target(),
        option::of(any::<bool>()),
        option::of(arb_extension_name()),
    );
    prop_oneof![
        contract().prop_map(|(contract, selector, arguments)| Effect::Administer {
            contract,
            selector,
            arguments
        }),
        (arb_amount(), arb_account_id())
            .prop_map(|(amount, spender)| Effect::Approve { amount, spender }),
        contract().prop_map(|(contract, selector, arguments)| Effect::Call {
            contract,
            selector,
            arguments
        }),
        contract().prop_map(|(contract, selector, arguments)| Effect::DelegateCall {
            contract,
            selector,
            arguments
        }),
        Just(Effect::Deploy),
        command.prop_map(|(action, target, loosens, extension)| Effect::Govern {
            action,
            target,
            loosens,
            extension,
        }),
        (arb_amount(), option::of(any::<u64>()))
            .prop_map(|(amount, rate)| Effect::PayFee { amount, rate }),
        (arb_message_kind(), arb_arguments())
            .prop_map(|(kind, arguments)| Effect::SignMessage { kind, arguments }),
        arb_message_kind().prop_map(|kind| Effect::SignOpaque { kind }),
        (arb_amount(), arb_account_id(), arb_account_id())
            .prop_map(|(amount, from, to)| Effect::Transfer { amount, from, to }),
    ]
}
