//! The fee rate of a transaction that spends inputs of others too: whatever they say of them, it is
//! not told too low.

use bitcoin::psbt::Input;
use bitcoin::{Psbt, ScriptBuf, Witness};
use custody_core::effect::Effect;

use crate::draft::Draft;
use crate::spending::two_of_three;
use crate::support::{Named, bip340, context, decode, ecdsa, is_valid, signed};

const FEE: u64 = 20_000;

/// An input of P2WPKH that is the wallet's, and one that is somebody else's.
fn beside(script: &ScriptBuf, fill: impl FnOnce(&mut Input)) -> Psbt {
    let draft = Draft::new().spend(&ecdsa(1).p2wpkh(), 100_000).spend_with(script, 100_000, fill);
    draft.pay(&ecdsa(9).p2wpkh(), 200_000 - FEE).0
}

/// The rate that the wallet with this key is told.
fn rate(psbt: &Psbt, own: &Named) -> u64 {
    let intent = decode(psbt, &context(std::slice::from_ref(own))).unwrap();
    let Some(Effect::PayFee { rate: Some(rate), .. }) = intent.effects.last() else { panic!() };
    *rate
}

/// The rate of so many virtual bytes.
fn of_size(size: usize) -> u64 {
    (FEE * 1_000).div_ceil(u64::try_from(size).unwrap())
}

fn multisig() -> ScriptBuf {
    two_of_three(&[ecdsa(2), ecdsa(3), ecdsa(4)])
}

/// Outputs of somebody else, one of each kind.
fn kinds() -> [(&'static str, ScriptBuf); 6] {
    [
        ("P2PKH", ecdsa(2).p2pkh()),
        ("P2WPKH", ecdsa(2).p2wpkh()),
        ("P2SH", ecdsa(2).nested()),
        ("P2WSH", multisig().to_p2wsh()),
        ("P2TR", bip340(2).p2tr()),
        ("a script of its own", ScriptBuf::from_bytes(vec![0x51])),
    ]
}

#[test]
fn what_others_have_signed_does_not_change_the_rate() {
    let own = ecdsa(1);
    let witness = |length| Some(Witness::from_slice(&[vec![0_u8; length]]));
    let script = |length| Some(ScriptBuf::from_bytes(vec![0x51; length]));
    for (name, output) in kinds() {
        let expected = rate(&beside(&output, |_| {}), &own);
        for (said, final_script_sig, final_script_witness) in [
            ("a padded witness", None, witness(50_000)),
            ("a padded script", script(50_000), None),
            ("both", script(1_000), witness(10_000)),
            ("more than nodes relay", None, witness(500_000)),
            ("an empty witness", None, Some(Witness::new())),
            ("an empty script", script(0), None),
        ] {
            let psbt = beside(&output, |input| {
                input.final_script_sig = final_script_sig;
                input.final_script_witness = final_script_witness;
            });
            assert_eq!(rate(&psbt, &own), expected, "{name}: {said}");
        }
    }
}

#[test]
fn a_script_that_the_output_does_not_commit_to_does_not_change_the_rate() {
    let own = ecdsa(1);
    let others = two_of_three(&[ecdsa(5), ecdsa(6), ecdsa(7)]);
    let longer = ScriptBuf::from_bytes([multisig().as_bytes(), &[0x51]].concat());
    let padded = ScriptBuf::from_bytes(vec![0x51; 50_000]);
    for (name, output) in kinds() {
        let expected = rate(&beside(&output, |_| {}), &own);
        for (said, script) in [
            ("of other keys", &others),
            ("with a byte more", &longer),
            ("padded", &padded),
            ("empty", &ScriptBuf::new()),
            ("of another key", &ecdsa(3).p2wpkh()),
        ] {
            let psbt = beside(&output, |input| input.witness_script = Some(script.clone()));
            assert_eq!(rate(&psbt, &own), expected, "{name}: a witness script {said}");
            let psbt = beside(&output, |input| input.redeem_script = Some(script.clone()));
            assert_eq!(rate(&psbt, &own), expected, "{name}: a redeem script {said}");
        }
    }
    // The script of another output of the same kind.
    let redeem = ecdsa(2).p2wpkh();
    let psbt = beside(&ecdsa(3).nested(), |input| input.redeem_script = Some(redeem));
    assert_eq!(rate(&psbt, &own), rate(&beside(&ecdsa(3).nested(), |_| {}), &own));
}

/// 123 bytes without a witness, 110 of witness for the own input and the marker; what the other
/// input takes besides its outpoint, its sequence and the length of its script is the least it can.
#[test]
fn an_input_of_others_counts_with_the_least_that_it_takes() {
    let (own, redeem, witness) = (ecdsa(1), ecdsa(2).p2wpkh(), multisig());
    for ((name, output), size) in kinds().into_iter().zip([195, 162, 151, 151, 160, 151]) {
        assert_eq!(rate(&beside(&output, |_| {}), &own), of_size(size), "{name}");
    }
    let nested = beside(&ecdsa(2).nested(), |input| input.redeem_script = Some(redeem));
    assert_eq!(rate(&nested, &own), of_size(185), "with the redeem script of the output");
    let multisig = beside(&witness.to_p2wsh(), |input| input.witness_script = Some(witness));
    assert_eq!(rate(&multisig, &own), of_size(178), "with the witness script of the output");
}

#[test]
fn the_rate_is_never_below_that_of_the_transaction_that_all_have_signed() {
    let (own, ecdsa_key, tap) = (ecdsa(1), ecdsa(2), bip340(2));
    let redeem = Some(ecdsa_key.p2wpkh());
    for (name, other, output, redeem_script) in [
        ("P2PKH", &ecdsa_key, ecdsa_key.p2pkh(), None),
        ("P2WPKH", &ecdsa_key, ecdsa_key.p2wpkh(), None),
        ("P2SH-P2WPKH", &ecdsa_key, ecdsa_key.nested(), redeem),
        ("P2TR", &tap, tap.p2tr(), None),
    ] {
        let psbt = beside(&output, |input| input.redeem_script = redeem_script);
        let told = rate(&psbt, &own);
        let partial = signed(&psbt, std::slice::from_ref(&own));
        let told_second = rate(&partial, other);
        let finished = signed(&partial, std::slice::from_ref(other));
        assert!(is_valid(&finished), "{name}");
        let exact = of_size(finished.extract_tx_unchecked_fee_rate().vsize());
        assert!(told >= exact, "{name}: {told}, {exact}");
        assert!(told_second >= exact, "{name}, told second: {told_second}, {exact}");
    }
}
