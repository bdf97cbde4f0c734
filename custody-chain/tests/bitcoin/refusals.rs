//! What is refused, each with its reason.

use bitcoin::hashes::Hash;
use bitcoin::psbt::{PsbtSighashType, raw};
use bitcoin::{Amount, OutPoint, Psbt, ScriptBuf, Txid};
use custody_chain::{BitcoinDecoder, BitcoinError, SignerError};
use custody_core::caip::ChainId;
use custody_core::crypto::Algorithm;
use custody_core::effect::{Action, Effect};
use custody_core::id::PayloadFormat;
use custody_core::seam::{Decoder, Payload, TaskSignature};

use crate::draft::{Draft, input, simple};
use crate::support::{Named, bip340, context, decode, ecdsa, payload, reason, sign, signed};

fn plain() -> Psbt {
    simple(&ecdsa(1), &ecdsa(8).p2wpkh(), &ecdsa(9).p2wpkh()).0
}

fn keys() -> Vec<Named> {
    vec![ecdsa(1), bip340(1)]
}

fn unknown() -> (raw::Key, Vec<u8>) {
    (raw::Key { type_value: 0x77, key: vec![1] }, vec![2])
}

fn changed(change: impl FnOnce(&mut Psbt)) -> Psbt {
    let mut psbt = plain();
    change(&mut psbt);
    psbt
}

#[test]
fn malformed_transactions_are_refused() {
    let own = ecdsa(1);
    let output =
        |script: &ScriptBuf, value| Draft::new().spend(&own.p2wpkh(), 1_000).pay(script, value).0;
    let burn = ScriptBuf::new_op_return([7; 4]);
    let bare = ScriptBuf::from_hex("51").unwrap();
    for (name, psbt, expected) in [
        (
            "an empty recipient list",
            Draft::new().spend(&own.p2wpkh(), 1_000).0,
            BitcoinError::NoOutputs,
        ),
        (
            "duplicate inputs",
            changed(|psbt| {
                psbt.unsigned_tx.input.push(psbt.unsigned_tx.input[0].clone());
                psbt.inputs.push(psbt.inputs[0].clone());
            }),
            BitcoinError::DuplicateInput { input: 1 },
        ),
        (
            "a coinbase",
            changed(|psbt| psbt.unsigned_tx.input = vec![input(OutPoint::null())]),
            BitcoinError::NoInputs,
        ),
        ("money for OP_RETURN", output(&burn, 1), BitcoinError::Output { output: 0 }),
        ("money for a bare script", output(&bare, 1), BitcoinError::Output { output: 0 }),
        ("nothing for a bare script", output(&bare, 0), BitcoinError::Output { output: 0 }),
        ("a negative fee", output(&own.p2wpkh(), 1_001), BitcoinError::NegativeFee),
        (
            "a batch with one bad item",
            simple(&own, &ecdsa(8).p2wpkh(), &bare).0,
            BitcoinError::Output { output: 1 },
        ),
        (
            "more than all bitcoin",
            output(&own.p2wpkh(), Amount::MAX_MONEY.to_sat() + 1),
            BitcoinError::AmountRange,
        ),
        (
            "a sum above 64 bits",
            Draft::new()
                .spend(&own.p2wpkh(), u64::MAX)
                .spend(&own.p2wpkh(), 1)
                .pay(&own.p2wpkh(), 1)
                .0,
            BitcoinError::AmountRange,
        ),
    ] {
        assert_eq!(decode(&psbt, &context(&keys())).unwrap_err(), expected, "{name}");
    }
}

#[test]
fn the_most_money_there_is_may_move() {
    let own = ecdsa(1);
    let all = Amount::MAX_MONEY.to_sat();
    let draft = Draft::new().spend(&own.p2wpkh(), all).pay(&ecdsa(9).p2wpkh(), all);
    assert_eq!(decode(&draft.0, &context(&[own])).unwrap().effects.len(), 2);
}

#[test]
fn unknown_keys_are_refused_and_private_ones_kept() {
    let (key, value) = unknown();
    for (name, psbt) in [
        ("global", changed(|psbt| drop(psbt.unknown.insert(key.clone(), value.clone())))),
        ("input", changed(|psbt| drop(psbt.inputs[0].unknown.insert(key.clone(), value.clone())))),
        (
            "output",
            changed(|psbt| drop(psbt.outputs[0].unknown.insert(key.clone(), value.clone()))),
        ),
    ] {
        let refused = decode(&psbt, &context(&keys())).unwrap_err();
        assert_eq!(refused, BitcoinError::UnknownKey, "{name}");
    }
    let private = raw::ProprietaryKey { prefix: b"house".to_vec(), subtype: 0, key: vec![] };
    let psbt = changed(|psbt| drop(psbt.proprietary.insert(private.clone(), value)));
    let kept = signed(&psbt, &keys());
    assert!(kept.proprietary.contains_key(&private));
}

#[test]
fn what_an_input_spends_must_be_proved() {
    let (own, tap) = (ecdsa(1), bip340(1));
    let lie = |psbt: &mut Psbt| {
        let mut told = psbt.inputs[0].non_witness_utxo.as_ref().unwrap().output[0].clone();
        told.value = Amount::from_sat(1);
        psbt.inputs[0].witness_utxo = Some(told);
    };
    for (name, psbt, expected) in [
        (
            "no previous output",
            changed(|psbt| psbt.inputs[0].non_witness_utxo = None),
            BitcoinError::PreviousOutput { input: 0 },
        ),
        (
            "another transaction",
            changed(|psbt| psbt.unsigned_tx.input[0].previous_output.txid = Txid::all_zeros()),
            BitcoinError::PreviousOutput { input: 0 },
        ),
        (
            "an output that is not there",
            changed(|psbt| psbt.unsigned_tx.input[0].previous_output.vout = 1),
            BitcoinError::PreviousOutput { input: 0 },
        ),
        ("a lie about the amount", changed(lie), BitcoinError::PreviousOutput { input: 0 }),
        (
            "a lie about the amount, by itself",
            changed(|psbt| {
                lie(psbt);
                psbt.inputs[0].non_witness_utxo = None;
            }),
            BitcoinError::FullTransaction { input: 0 },
        ),
        (
            "a foreign input told by itself, without taproot of ours",
            Draft::new()
                .spend(&own.p2wpkh(), 1_000)
                .spend_told(&bip340(2).p2tr(), 1_000)
                .pay(&own.p2wpkh(), 1_000)
                .0,
            BitcoinError::Unproved { input: 1 },
        ),
        (
            "segwit v0 told by itself, beside taproot of ours",
            Draft::new()
                .spend_told(&own.p2wpkh(), 1_000)
                .spend(&tap.p2tr(), 1_000)
                .pay(&tap.p2tr(), 9)
                .0,
            BitcoinError::FullTransaction { input: 0 },
        ),
    ] {
        assert_eq!(decode(&psbt, &context(&keys())).unwrap_err(), expected, "{name}");
    }
    let taproot = Draft::new()
        .spend_told(&bip340(2).p2tr(), 1_000)
        .spend_told(&tap.p2tr(), 1_000)
        .pay(&own.p2wpkh(), 1_000);
    assert!(decode(&taproot.0, &context(&keys())).is_ok(), "taproot of ours covers all amounts");
}

#[test]
fn fields_that_contradict_the_output_are_refused() {
    let (own, tap) = (ecdsa(1), bip340(1));
    let nested = Draft::new().spend(&own.nested(), 1_000).pay(&own.p2wpkh(), 900).0;
    let mut other = nested.clone();
    other.inputs[0].redeem_script = Some(ecdsa(2).p2wpkh());
    let mut taproot = Draft::new().spend(&tap.p2tr(), 1_000).pay(&own.p2wpkh(), 900).0;
    taproot.inputs[0].tap_internal_key = Some(bip340(2).x_only());
    for (name, psbt, expected) in [
        ("no redeem script", nested, BitcoinError::RedeemScript { input: 0 }),
        ("another redeem script", other, BitcoinError::RedeemScript { input: 0 }),
        ("another internal key", taproot, BitcoinError::Taproot { input: 0 }),
    ] {
        assert_eq!(decode(&psbt, &context(&keys())).unwrap_err(), expected, "{name}");
    }
}

#[test]
fn what_is_signed_already_is_refused() {
    let finished = signed(&plain(), &keys());
    let refused = decode(&finished, &context(&keys())).unwrap_err();
    assert_eq!(refused, BitcoinError::AlreadySigned { input: 0 });
    for number in [0x04, 0x41, 0x80, 0x84, 0xff, 0x101, u32::MAX] {
        let asked = PsbtSighashType::from_u32(number);
        let psbt = changed(|psbt| psbt.inputs[0].sighash_type = Some(asked));
        let refused = decode(&psbt, &context(&keys())).unwrap_err();
        assert_eq!(refused, BitcoinError::Sighash { input: 0 }, "{number:#x}");
    }
}

#[test]
fn nobody_elses_input_is_signed() {
    for keys in [vec![ecdsa(2)], vec![bip340(1)], vec![ed25519()]] {
        let refused = decode(&plain(), &context(&keys)).unwrap_err();
        assert_eq!(refused, BitcoinError::NothingOfOurs);
    }
    let refused = decode(&plain(), &context(&[])).unwrap_err();
    assert_eq!(refused, BitcoinError::Signer(SignerError::NoAccount));
}

fn ed25519() -> Named {
    let key = custody_testkit::key::TestKey::seeded(Algorithm::Ed25519, 1);
    crate::support::named("ed25519", key)
}

#[test]
fn another_format_chain_or_version_is_refused() {
    let decoder = BitcoinDecoder::new();
    let refused = |payload: &Payload, chain: &str| {
        let mut context = context(&keys());
        context.chain = ChainId::parse(chain).unwrap();
        reason(&decoder.decode(payload, &context).unwrap_err())
    };
    let mut other = payload(plain().serialize());
    other.format = PayloadFormat::parse("evm/transaction").unwrap();
    assert_eq!(refused(&other, crate::support::MAINNET), BitcoinError::Format);
    let plain = payload(plain().serialize());
    for chain in ["eip155:1", "bip122:12a765e31ffd4059bada1e25190f6e98"] {
        assert_eq!(refused(&plain, chain), BitcoinError::ContextChain, "{chain}");
    }
    let mut context = context(&keys());
    context.v = 2;
    let error = reason(&decoder.decode(&plain, &context).unwrap_err());
    assert_eq!(error, BitcoinError::Signer(SignerError::ContextVersion { found: 2 }));
}

#[test]
fn signatures_that_are_not_the_payloads_are_refused() {
    let decoder = BitcoinDecoder::new();
    let (psbt, context) = (payload(plain().serialize()), context(&keys()));
    let intent = decode(&plain(), &context).unwrap();
    let good = sign(&intent, &keys());
    let renamed = TaskSignature { key: bip340(1).id, ..good[0].clone() };
    let message = custody_core::crypto::SignInput::Message(b"");
    let foreign =
        TaskSignature { signature: bip340(1).key.sign(message).unwrap(), ..good[0].clone() };
    let (expected, found) = (Algorithm::EcdsaSecp256k1, Algorithm::Bip340);
    for (name, signatures, expected) in [
        ("none", vec![], SignerError::Count { found: 0 }),
        ("two", vec![good[0].clone(), good[0].clone()], SignerError::Count { found: 2 }),
        ("another key's", vec![renamed], SignerError::Key),
        ("another algorithm's", vec![foreign], SignerError::Algorithm { expected, found }),
    ] {
        let error = decoder.assemble(&psbt, &context, &signatures).unwrap_err();
        assert_eq!(reason(&error), BitcoinError::Signer(expected), "{name}");
    }
    let mut other = plain();
    other.unsigned_tx.output[0].value = Amount::from_sat(1);
    let error = decoder.assemble(&payload(other.serialize()), &context, &good).unwrap_err();
    assert_eq!(reason(&error), BitcoinError::Finalize { input: 0 }, "of another transaction");
}

#[test]
fn published_bytes_are_a_message() {
    let own = ecdsa(1);
    for (data, shown) in [
        (vec![0xff; 4], "04ffffffff".to_owned()),
        (vec![0xff; 80], format!("4c50{}", "ff".repeat(80))),
    ] {
        let bytes: &bitcoin::script::PushBytes = data.as_slice().try_into().unwrap();
        let draft = Draft::new()
            .spend(&own.p2wpkh(), 1_000)
            .pay(&ScriptBuf::new_op_return(bytes), 0)
            .pay(&ecdsa(9).p2wpkh(), 900);
        let intent = decode(&draft.0, &context(std::slice::from_ref(&own))).unwrap();
        assert_eq!(intent.effects[0].action(), Action::SignMessage);
        let Effect::SignMessage { kind, arguments } = &intent.effects[0] else { panic!() };
        assert_eq!(
            (kind.as_str(), arguments.get("data")),
            ("bitcoin/op_return", Some(shown.as_str()))
        );
    }
}
