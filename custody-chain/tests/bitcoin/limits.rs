//! Each limit, and one past it.

use custody_chain::{BitcoinDecoder, BitcoinError};
use custody_core::seam::Decoder;

use crate::draft::Draft;
use crate::support::{bip340, context, decode, ecdsa, is_valid, payload, reason, signed};

#[test]
fn a_thousand_inputs_are_signed_and_one_too_many_is_refused() {
    let own = ecdsa(1);
    let spending = |count: usize| {
        let inputs = (0..count).fold(Draft::new(), |draft, _| draft.spend(&own.p2wpkh(), 1_000));
        inputs.pay(&ecdsa(9).p2wpkh(), 900_000).0
    };
    let keys = [own.clone()];
    let thousand = spending(1_000);
    assert_eq!(decode(&thousand, &context(&keys)).unwrap().tasks.len(), 1_000);
    assert!(is_valid(&signed(&thousand, &keys)));
    assert_eq!(decode(&spending(1_024), &context(&keys)).unwrap().tasks.len(), 1_024);
    let refused = decode(&spending(1_025), &context(&keys)).unwrap_err();
    assert_eq!(refused, BitcoinError::Limit { what: "signatures", limit: 1_024 });
}

#[test]
fn effects_are_limited() {
    let own = bip340(1);
    let paying = |count: u64| {
        let draft = Draft::new().spend(&own.p2tr(), 10_000_000);
        (0..count).fold(draft, |draft, _| draft.pay(&ecdsa(9).p2wpkh(), 1_000)).0
    };
    let context = context(std::slice::from_ref(&own));
    assert_eq!(decode(&paying(1_023), &context).unwrap().effects.len(), 1_024);
    let refused = decode(&paying(1_024), &context).unwrap_err();
    assert_eq!(refused, BitcoinError::Limit { what: "effects", limit: 1_024 });
    let refused = decode(&paying(1_025), &context).unwrap_err();
    assert_eq!(refused, BitcoinError::Limit { what: "outputs", limit: 1_024 });
}

#[test]
fn leaves_are_limited() {
    let own = bip340(1);
    let with_leaves = |count: u16| {
        let secp = bitcoin::secp256k1::Secp256k1::new();
        let draft = Draft::new().spend_with(&own.p2tr(), 1_000, |input| {
            let internal = bip340(2).x_only();
            for number in 0..count {
                let [high, low] = number.to_be_bytes();
                let script = bitcoin::ScriptBuf::from_bytes(vec![0x51, 0x02, high, low]);
                let version = bitcoin::taproot::LeafVersion::TapScript;
                let tree = bitcoin::taproot::TaprootBuilder::new().add_leaf(0, script.clone());
                let tree = tree.unwrap().finalize(&secp, internal).unwrap();
                let control = tree.control_block(&(script.clone(), version)).unwrap();
                // Another path makes it another key of the map.
                let mut bytes = control.serialize();
                bytes.extend([0; 30]);
                bytes.extend([high, low]);
                let control = bitcoin::taproot::ControlBlock::decode(&bytes).unwrap();
                input.tap_scripts.insert(control, (script, version));
            }
        });
        draft.pay(&ecdsa(9).p2wpkh(), 900).0
    };
    let context = context(std::slice::from_ref(&own));
    assert!(decode(&with_leaves(4_096), &context).is_ok());
    let refused = decode(&with_leaves(4_097), &context).unwrap_err();
    assert_eq!(refused, BitcoinError::Limit { what: "leaves", limit: 4_096 });
}

#[test]
fn a_transaction_that_nobody_relays_is_refused() {
    let own = ecdsa(1);
    let spending = |count: usize| {
        let inputs = (0..count).fold(Draft::new(), |draft, _| draft.spend(&own.p2pkh(), 1_000));
        inputs.spend(&own.p2wpkh(), 1_000).pay(&ecdsa(9).p2wpkh(), 1_000).0
    };
    let context = context(std::slice::from_ref(&own));
    // Each input of P2PKH weighs 593 units, 1 of them for its empty witness; the rest weighs 446.
    assert!(decode(&spending(673), &context).is_ok());
    let refused = decode(&spending(674), &context).unwrap_err();
    assert_eq!(refused, BitcoinError::TooHeavy { weight: 593 * 674 + 446, limit: 400_000 });
}

#[test]
fn a_payload_of_8_mib_is_parsed_and_one_byte_more_is_not() {
    const LIMIT: usize = 8 * 1024 * 1024;
    let own = ecdsa(1);
    // Neither the global map nor a value may have more than 4,000,000 bytes.
    let draft = |last: usize| {
        let draft = Draft::new().spend(&own.p2wpkh(), 1_000).pay(&ecdsa(9).p2wpkh(), 900);
        let fill = |psbt: &mut bitcoin::Psbt| {
            let (prefix, key) = (vec![], vec![]);
            let key = bitcoin::psbt::raw::ProprietaryKey { prefix, subtype: 0, key };
            psbt.proprietary.insert(key.clone(), vec![0; 3_900_000]);
            psbt.inputs[0].proprietary.insert(key.clone(), vec![0; 3_900_000]);
            psbt.outputs[0].proprietary.insert(key, vec![0; last]);
        };
        draft.with(fill).0.serialize()
    };
    let rest = 100_000 + LIMIT - draft(100_000).len();
    let context = context(std::slice::from_ref(&own));
    let decoder = BitcoinDecoder::new();
    let largest = draft(rest);
    assert_eq!(largest.len(), LIMIT);
    assert!(decoder.decode(&payload(largest), &context).is_ok());
    let error = decoder.decode(&payload(draft(rest + 1)), &context).unwrap_err();
    assert_eq!(reason(&error), BitcoinError::TooLong { length: LIMIT + 1, limit: LIMIT });
}
