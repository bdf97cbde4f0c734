//! Every kind of input, signed, put together and verified by the scripts of Bitcoin Core.

use bitcoin::secp256k1::Secp256k1;
use bitcoin::sighash::TapSighashType;
use bitcoin::taproot::{LeafVersion, TaprootBuilder};
use bitcoin::{Psbt, ScriptBuf};
use custody_chain::{BitcoinDecoder, SighashAllowance};
use custody_core::effect::{Action, Effect};
use custody_core::seam::TaskInput;

use crate::draft::{Draft, simple};
use crate::support::{
    Named, bip340, context, decode, decode_by, ecdsa, is_valid, signed, signed_by,
};

fn script(text: &str) -> ScriptBuf {
    ScriptBuf::from_hex(text).unwrap()
}

/// A witness script of 2 of 3 keys.
pub(crate) fn two_of_three(keys: &[Named; 3]) -> ScriptBuf {
    let push = |named: &Named| format!("21{}", hex::encode(named.key.public_key().as_bytes()));
    let keys: String = keys.iter().map(push).collect();
    script(&format!("52{keys}53ae"))
}

fn leaf(key: &Named) -> ScriptBuf {
    script(&format!("20{}ac", hex::encode(key.key.public_key().as_bytes())))
}

fn multisig(script: &ScriptBuf) -> Draft {
    Draft::new()
        .spend_with(&script.to_p2wsh(), 100_000, |input| {
            input.witness_script = Some(script.clone())
        })
        .pay(&ecdsa(9).p2wpkh(), 99_000)
}

/// An output of taproot with two leaves, spent by a leaf.
fn by_leaf(leaves: [ScriptBuf; 2], internal: &Named) -> Draft {
    let secp = Secp256k1::verification_only();
    let [first, second] = leaves;
    let tree = TaprootBuilder::new()
        .add_leaf(1, first.clone())
        .unwrap()
        .add_leaf(1, second.clone())
        .unwrap()
        .finalize(&secp, internal.x_only())
        .unwrap();
    let output = ScriptBuf::new_p2tr_tweaked(tree.output_key());
    Draft::new()
        .spend_with(&output, 100_000, |input| {
            for leaf in [first, second] {
                let control = tree.control_block(&(leaf.clone(), LeafVersion::TapScript)).unwrap();
                input.tap_scripts.insert(control, (leaf, LeafVersion::TapScript));
            }
            input.tap_internal_key = Some(internal.x_only());
            input.tap_merkle_root = tree.merkle_root();
        })
        .pay(&ecdsa(9).p2wpkh(), 99_000)
}

#[test]
fn every_kind_of_input_is_signed_and_valid() {
    let (own, tap) = (ecdsa(1), bip340(1));
    let to = ecdsa(9).p2wpkh();
    let redeem = own.p2wpkh();
    let nested = |draft: Draft| {
        draft.spend_with(&own.nested(), 50_000, |input| input.redeem_script = Some(redeem.clone()))
    };
    for (name, draft) in [
        ("P2PKH", Draft::new().spend(&own.p2pkh(), 50_000)),
        ("P2WPKH", Draft::new().spend(&own.p2wpkh(), 50_000)),
        ("P2SH-P2WPKH", nested(Draft::new())),
        ("P2TR", Draft::new().spend(&tap.p2tr(), 50_000)),
        ("P2TR, told", Draft::new().spend_told(&tap.p2tr(), 50_000)),
        (
            "all at once",
            nested(Draft::new().spend(&own.p2pkh(), 50_000).spend(&own.p2wpkh(), 50_000))
                .spend(&tap.p2tr(), 50_000),
        ),
    ] {
        let draft = draft.pay(&to, 40_000);
        let keys = [own.clone(), tap.clone()];
        let finished = signed(&draft.0, &keys);
        assert!(is_valid(&finished), "{name}");
        assert_rate(&draft.0, &keys, &finished, name);
        for index in 0..finished.inputs.len() {
            let mut forged = finished.clone();
            forged.unsigned_tx.output[0].value = bitcoin::Amount::from_sat(39_999);
            assert!(!is_valid(&forged), "{name}: input {index} does not cover the outputs");
        }
    }
}

/// The rate is at most that of the signed transaction, and at most one in a hundred below it.
fn assert_rate(draft: &Psbt, keys: &[Named], finished: &Psbt, name: &str) {
    let intent = decode(draft, &context(keys)).unwrap();
    let Some(Effect::PayFee { amount, rate: Some(rate) }) = intent.effects.last() else { panic!() };
    let fee: u64 = amount.units().to_string().parse().unwrap();
    let size = finished.clone().extract_tx_unchecked_fee_rate().vsize();
    let exact = (fee * 1_000).div_ceil(u64::try_from(size).unwrap());
    assert!(*rate <= exact && exact - rate <= exact.div_ceil(100), "{name}: {rate}, {exact}");
}

#[test]
fn a_payment_is_a_transfer_and_a_fee() {
    let (own, to, rest) = (ecdsa(1), ecdsa(8), ecdsa(9));
    let draft = simple(&own, &to.p2wpkh(), &rest.p2wpkh());
    let intent = decode(&draft.0, &context(&[own])).unwrap();
    let actions: Vec<_> = intent.effects.iter().map(Effect::action).collect();
    assert_eq!(actions, [Action::Transfer, Action::Transfer, Action::PayFee]);
    let Effect::PayFee { amount, rate } = &intent.effects[2] else { panic!("no fee") };
    // 141 virtual bytes (BIP-141): 10.5 and 68 for one input and 31 for each output.
    assert_eq!((amount.units().to_string().as_str(), *rate), ("1000", Some(7_093)));
    assert!(matches!(intent.tasks[0].input, TaskInput::Prehash(_)));
    assert!(intent.facts.is_empty());
    insta::assert_snapshot!(intent.summary.join("\n"), @r"
    transfer 60000 bip122:000000000019d6689c085ae165831e93/slip44:0 to bc1q73j37mz3gkv7t8pzu8sqah5xwljv8rkp9nd2yp
    transfer 39000 bip122:000000000019d6689c085ae165831e93/slip44:0 to bc1qt8jlfkh47kcttzssdrkuyne54pgjkfkha5ap0y
    pay a fee of 1000 bip122:000000000019d6689c085ae165831e93/slip44:0, 7093 for 1000 virtual bytes
    ");
}

#[test]
fn a_multisig_input_is_complete_with_enough_keys_of_ours() {
    let keys = [ecdsa(1), ecdsa(2), ecdsa(3)];
    let draft = multisig(&two_of_three(&keys));
    let finished = signed(&draft.0, &keys[..2]);
    assert!(is_valid(&finished));
    assert_rate(&draft.0, &keys[..2], &finished, "2 of 3");
    let partial = signed(&draft.0, &keys[1..2]);
    assert_eq!(partial.inputs[0].partial_sigs.len(), 1);
    assert!(partial.inputs[0].final_script_witness.is_none());
    let finished = signed(&partial, &keys[2..]);
    assert!(is_valid(&finished), "two signers, one after the other");
}

#[test]
fn a_witness_script_of_another_output_proves_nothing() {
    let keys = [ecdsa(1), ecdsa(2), ecdsa(3)];
    let mut draft = multisig(&two_of_three(&keys));
    draft.0.inputs[0].witness_script = Some(two_of_three(&[ecdsa(1), ecdsa(2), ecdsa(4)]));
    let refused = decode(&draft.0, &context(&keys)).unwrap_err();
    assert_eq!(refused, custody_chain::BitcoinError::NothingOfOurs);
}

#[test]
fn a_leaf_with_our_key_is_signed_as_that_leaf() {
    let (own, other, internal) = (bip340(1), bip340(2), bip340(3));
    let draft = by_leaf([leaf(&own), leaf(&other)], &internal);
    let intent = decode(&draft.0, &context(std::slice::from_ref(&own))).unwrap();
    assert_eq!(intent.tasks.len(), 1);
    let finished = signed(&draft.0, std::slice::from_ref(&own));
    assert!(is_valid(&finished));
    assert_rate(&draft.0, &[own], &finished, "a leaf");
}

#[test]
fn a_leaf_that_the_output_does_not_commit_to_proves_nothing() {
    let (own, other, internal) = (bip340(1), bip340(2), bip340(3));
    let mut draft = by_leaf([leaf(&other), leaf(&bip340(4))], &internal);
    let foreign = by_leaf([leaf(&own), leaf(&other)], &internal);
    draft.0.inputs[0].tap_scripts.clone_from(&foreign.0.inputs[0].tap_scripts);
    let refused = decode(&draft.0, &context(&[own])).unwrap_err();
    assert_eq!(refused, custody_chain::BitcoinError::NothingOfOurs);
}

#[test]
fn an_allowed_hash_type_is_signed_and_told() {
    let (own, tap) = (ecdsa(1), bip340(1));
    for (kind, number, name, facts) in [
        (SighashAllowance::None, 0x02, "sighash_none", vec!["sighash_none"]),
        (SighashAllowance::Single, 0x03, "sighash_single", vec!["sighash_single"]),
        (SighashAllowance::AllAnyoneCanPay, 0x81, "anyone_can_pay", vec!["anyone_can_pay"]),
        (
            SighashAllowance::NoneAnyoneCanPay,
            0x82,
            "sighash_none.anyone_can_pay",
            vec!["anyone_can_pay", "sighash_none"],
        ),
        (
            SighashAllowance::SingleAnyoneCanPay,
            0x83,
            "sighash_single.anyone_can_pay",
            vec!["anyone_can_pay", "sighash_single"],
        ),
    ] {
        for script in [own.p2pkh(), own.p2wpkh(), tap.p2tr()] {
            let asked = bitcoin::psbt::PsbtSighashType::from_u32(number);
            let draft = Draft::new()
                .spend_with(&script, 50_000, |input| input.sighash_type = Some(asked))
                .pay(&ecdsa(9).p2wpkh(), 40_000);
            let keys = [own.clone(), tap.clone()];
            let decoder = BitcoinDecoder::new().allowing(kind);
            let intent = decode_by(&decoder, &draft.0, &context(&keys)).unwrap();
            let found: Vec<_> = intent.facts.iter().map(|fact| fact.as_str()).collect();
            assert_eq!(found, facts);
            let opaque = intent.effects.iter().find_map(|effect| {
                let Effect::SignOpaque { kind } = effect else { return None };
                Some(kind.as_str().to_owned())
            });
            assert_eq!(opaque.unwrap(), format!("bitcoin/{name}"));
            assert!(is_valid(&signed_by(&decoder, &draft.0, &keys)), "{name}");
            let refused = decode(&draft.0, &context(&keys)).unwrap_err();
            assert_eq!(refused, custody_chain::BitcoinError::Sighash { input: 0 });
        }
    }
}

#[test]
fn the_whole_transaction_is_covered_by_all_and_by_default() {
    let tap = bip340(1);
    for number in [TapSighashType::Default as u32, TapSighashType::All as u32] {
        let asked = bitcoin::psbt::PsbtSighashType::from_u32(number);
        let draft = Draft::new()
            .spend_with(&tap.p2tr(), 50_000, |input| input.sighash_type = Some(asked))
            .pay(&ecdsa(9).p2wpkh(), 40_000);
        assert!(is_valid(&signed(&draft.0, std::slice::from_ref(&tap))));
    }
}

#[test]
fn a_foreign_input_is_never_signed() {
    let (own, foreign) = (ecdsa(1), ecdsa(2));
    let draft = Draft::new()
        .spend(&foreign.p2wpkh(), 70_000)
        .spend(&own.p2wpkh(), 50_000)
        .pay(&ecdsa(9).p2wpkh(), 110_000);
    let intent = decode(&draft.0, &context(std::slice::from_ref(&own))).unwrap();
    assert_eq!(intent.tasks.len(), 1);
    assert!(intent.facts.iter().any(|fact| fact.as_str() == "foreign_input"));
    let partial = signed(&draft.0, std::slice::from_ref(&own));
    assert!(partial.inputs[0].partial_sigs.is_empty());
    assert!(partial.inputs[0].final_script_witness.is_none());
    assert!(is_valid(&signed(&partial, &[foreign])), "the other side signs next");
}
